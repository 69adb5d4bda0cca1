"""What each misprint that changes results does to a recovered reward of the state.

Nothing is sampled. Agents improve exactly, and the observer solves by least squares the equations
that the reading in question gives it.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.sparse import block_diag, csr_array, eye_array, kron

from malfl.evaluation.metrics import pearson
from malfl.games.markov import MarkovGame, Policies
from malfl.games.soft import improve, joint_probabilities
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery.consistency import ConsistencySystem, consistency_system
from malfl.recovery.least_squares import least_squares
from malfl.recovery.printed import printed_system
from malfl.recovery.targets import improvement_targets
from malfl.theory.prediction import Prediction
from malfl.theory.statements.inversion import new_action_q

Reading = Callable[[MarkovGame, Policies, int, float], ConsistencySystem]


def effects(game: MarkovGame, alpha: float, iterations: int) -> pd.DataFrame:
    """Correlation of each agent's reward, recovered by each reading, with the true one.

    Returns
    -------
    DataFrame
        Columns ``reading``, ``agent``, ``PCC``.
    """
    learned = iterate_exactly(game, alpha=alpha, iterations=iterations)
    misread = iterate_with_new_actions(game, alpha, iterations)
    rows = []
    for name, reading in READINGS.items():
        policies = misread if reading is new_actions else learned
        for agent in range(game.n_agents):
            found = least_squares(reading(game, policies, agent, alpha)).reward
            rows.append((name, agent, pearson(found, game.rewards[agent])))
    return pd.DataFrame(rows, columns=["reading", "agent", "PCC"])


def as_meant(game: MarkovGame, policies: Policies, agent: int, alpha: float) -> ConsistencySystem:
    """The equations of Theorem 5.1."""
    return consistency_system(game, policies, agent, alpha, "state")


def new_actions(
    game: MarkovGame, policies: Policies, agent: int, alpha: float
) -> ConsistencySystem:
    """Eq. 5 with a_new drawn from pi_new; for policies of `iterate_with_new_actions`."""
    return as_meant(game, policies, agent, alpha)


def unconditional_opponents(
    game: MarkovGame, policies: Policies, agent: int, alpha: float
) -> ConsistencySystem:
    """Definition 4.3 with pi^-i(a^-i), the same in all states: the average over these."""
    average = [
        p if i == agent else np.broadcast_to(p.mean(axis=1, keepdims=True), p.shape)
        for i, p in enumerate(policies)
    ]
    return as_meant(game, tuple(average), agent, alpha)


def undiscounted_shaping(
    game: MarkovGame, policies: Policies, agent: int, alpha: float
) -> ConsistencySystem:
    """Section 5.2 with sh = g(s) - E[g(s')]."""
    system = as_meant(game, policies, agent, alpha)
    improvements, own = len(policies[agent]) - 1, game.actions[agent]
    here = kron(eye_array(game.n_states), np.ones((own, 1)))
    repeated = csr_array(block_diag([here] * improvements))
    return replace(system, shaping=csr_array(repeated - (repeated - system.shaping) / game.gamma))


def opponents_after(
    game: MarkovGame, policies: Policies, agent: int, alpha: float
) -> ConsistencySystem:
    """Eq. 11 with the opponents' policies pi_h^-i in the target Y_h."""
    later = [p if i == agent else np.concatenate([p[1:], p[-1:]]) for i, p in enumerate(policies)]
    targets = improvement_targets(game, later, agent, alpha)
    return replace(as_meant(game, policies, agent, alpha), targets=targets.ravel())


def opponents_after_throughout(
    game: MarkovGame, policies: Policies, agent: int, alpha: float
) -> ConsistencySystem:
    """The same, in Eq. 12's expectations too."""
    later = [p if i == agent else np.concatenate([p[1:], p[-1:]]) for i, p in enumerate(policies)]
    return as_meant(game, tuple(later), agent, alpha)


def squared_samples(
    game: MarkovGame, policies: Policies, agent: int, alpha: float
) -> ConsistencySystem:
    """Eq. 12 with (s, a, s') of pi_h inside the square, each state met a million times."""
    shares = [
        joint_probabilities(game, [p[h] for p in policies]) for h in range(len(policies[agent]))
    ]
    counts = np.round(1e6 * np.array(shares))
    return printed_system(game, policies, agent, alpha, "state", counts)


READINGS: dict[str, Reading] = {
    "as meant": as_meant,
    "Definition 4.3: opponents the same in all states": unconditional_opponents,
    "Eq. 5: next action from pi_new": new_actions,
    "Section 5.2: shaping without gamma": undiscounted_shaping,
    "Eq. 11: opponents after the improvement": opponents_after,
    "Eq. 11 and 12: opponents after the improvement": opponents_after_throughout,
    "Eq. 12: each s, a, s' in the square": squared_samples,
}


def iterate_with_new_actions(game: MarkovGame, alpha: float, iterations: int) -> Policies:
    """Exact iterations of learners who take Eq. 5 at its word; see `new_action_q`."""
    history = [game.uniform_policies()]
    for _ in range(iterations):
        seen = [
            Prediction(game, history[-1], i, alpha, game.rewards[i]) for i in range(game.n_agents)
        ]
        history.append(tuple(improve(new_action_q(p), alpha) for p in seen))
    return tuple(np.array(agent) for agent in zip(*history, strict=True))
