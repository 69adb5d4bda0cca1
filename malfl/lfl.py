"""LfL's experiments: a learner on a grid, an observer, and what the observer then earns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from malfl import checks
from malfl.checks import FloatArray
from malfl.estimation import (
    PolicyEstimates,
    additive_smoothing,
    descended,
    entropy_regularised,
    estimate_dynamics,
)
from malfl.games import MarkovGame
from malfl.learners.learn import learn
from malfl.logs import LearningLog, Observation
from malfl.recovery import RecoveredReward, recover, recover_from_policies
from malfl.soft import soft_optimum, soft_return

IMPROVEMENTS = {
    "soft policy iteration": 3,
    "soft value iteration": 20,
    "Q-learning": 50,
    "random improvements": 10,
}
"""How many of each learner LfL's observer sees (Table 2)."""

LAMBDA = 0.01  #: of the released program's entropy regulariser; the paper has no number
EXPLAINED = 1.2  #: misfit up to which a course explains what was seen

Observer = Callable[[Observation, int], RecoveredReward]
"""From what was seen, and a seed for what is random, to a reward."""


def watched(
    game: MarkovGame, learner: str, *, improvements: int, steps: int, alpha: float, seed: int
) -> LearningLog:
    """A learner alone in its game, one episode of so many steps under each policy (Section 6.1).

    The last policy that is played is the one after all ``improvements``. Soft policy iteration
    evaluates exactly.
    """
    return learn(
        game, learner, alpha=alpha, iterations=improvements + 1, episodes=1, steps=steps,
        evaluation="exact", record=True, seed=seed,
    )  # fmt: skip


def algorithm_1(
    seen: Observation, *, policy_rate: float, reward_rate: float, seed: int
) -> RecoveredReward:
    """LfL's Algorithm 1 with tables, as its Section 6.3 runs it.

    Policies by 10 steps of Adam, divergences from these and the transitions that the first
    trajectory shows, a state-action reward by 200 steps of Adam. Where a state was never visited,
    its policy is taken for uniform.

    Parameters
    ----------
    policy_rate, reward_rate
        Of Adam. The paper says 0.001 for both; its program has 0.5 and 1.
    """
    policies = descended(seen.own_counts(0), LAMBDA, steps=10, rate=policy_rate, seed=seed)
    return recover_from_policies(
        estimate_dynamics(seen.first(1)), (_filled(policies),), of=0, alpha=seen.alpha,
        method="adam", reward_class="state-action", steps=200, rate=reward_rate,
    )  # fmt: skip


def converged(seen: Observation) -> RecoveredReward:
    """Algorithm 1 with every step at its optimum, and transitions from all trajectories."""
    policies = entropy_regularised(seen.own_counts(0), LAMBDA)
    return recover_from_policies(
        estimate_dynamics(seen), (_filled(policies),), of=0, alpha=seen.alpha,
        reward_class="state-action",
    )  # fmt: skip


def weighted(seen: Observation) -> RecoveredReward:
    """Algorithm 1 at its optimum, policies smoothed, equations weighted by what was seen."""
    counts = seen.own_counts(0)
    policies = _filled(additive_smoothing(counts, 0.1))
    estimates = PolicyEstimates((policies,), counts.sum(axis=-1))
    return recover(
        seen, of=0, method="least_squares", reward_class="state-action", weighting="overlap",
        policies=estimates, unvisited="omit",
    )  # fmt: skip


def by_course(seen: Observation, learner: str | None = None) -> RecoveredReward:
    """The likeliest reward for a kind of learner, or for the likeliest kind."""
    return recover(seen, of=0, method="course", learner=learner, unvisited="omit")


def adaptive(seen: Observation) -> RecoveredReward:
    """The likeliest kind of learner if it explains what was seen; if none does, `weighted`."""
    found = by_course(seen)
    return found if found.misfit is not None and found.misfit <= EXPLAINED else weighted(seen)


OBSERVERS: dict[str, Observer] = {
    "as printed": lambda seen, seed: algorithm_1(
        seen, policy_rate=1e-3, reward_rate=1e-3, seed=seed
    ),
    "as released": lambda seen, seed: algorithm_1(
        seen, policy_rate=0.5, reward_rate=1.0, seed=seed
    ),
    "converged": lambda seen, seed: converged(seen),
    "weighted": lambda seen, seed: weighted(seen),
    "last policy": lambda seen, seed: recover(seen, of=0, method="last_policy", unvisited="omit"),
    "causal entropy": lambda seen, seed: recover(
        seen, of=0, method="causal_entropy", unvisited="omit"
    ),
    "adaptive": lambda seen, seed: adaptive(seen),
}


def earned(
    game: MarkovGame, found: RecoveredReward, *, alpha: float, own_alpha: float, doubt: float = 0.0
) -> float:
    """Soft return, with ``alpha`` and the true reward, of who is best by the recovered one.

    Parameters
    ----------
    own_alpha
        Entropy coefficient by which the observer is best. LfL's takes the true one; on the scale of
        what it recovered it is the one of its model.
    doubt
        Posterior standard deviations by which the observer takes the reward to be less than found.
        Where nothing is known, it takes the least reward found anywhere.
    """
    values = found.values
    if found.deviation is not None:
        values = values - checks.real(doubt, "doubt") * found.deviation
    values = np.where(np.isfinite(values), values, np.nanmin(values))
    believed = game.with_rewards([values])
    return soft_return(game, (soft_optimum(believed, own_alpha).policy,), 0, alpha)


def scores(
    game: MarkovGame,
    observers: Mapping[str, Observer],
    *,
    seeds: Sequence[int],
    improvements: Mapping[str, int] = IMPROVEMENTS,
    steps: int = 1000,
    alpha: float = 0.3,
    model_alpha: float = 0.7,
) -> pd.DataFrame:
    """Learners watched by observers: LfL's Table 2, seed by seed.

    Returns
    -------
    DataFrame
        A row for each ``learner``, ``seed`` and ``observer``, with ``learner score`` (of its best
        policy that was seen), ``last score``, ``score`` (of who is best by the recovered reward
        with the learner's alpha, as in the paper), ``own scale`` (with the model's alpha, and a
        standard deviation's doubt), ``trusted`` (the latter if the kind of learner explains what
        was seen, the former if not), ``misfit`` and ``taken for`` (the likeliest learner).
    """
    rows = []
    for learner, number in improvements.items():
        for seed in seeds:
            log = watched(game, learner, improvements=number, steps=steps, alpha=alpha, seed=seed)
            played = [soft_return(game, (one,), 0, alpha) for one in log.policies[0][:-1]]
            seen = replace(log.observed_by(None), alpha=model_alpha)
            for name, observer in observers.items():
                found = observer(seen, seed)
                score = earned(game, found, alpha=alpha, own_alpha=alpha)
                own_scale = earned(game, found, alpha=alpha, own_alpha=model_alpha, doubt=1.0)
                explained = found.learner is not None and (found.misfit or 0.0) <= EXPLAINED
                rows.append(
                    (
                        learner, seed, name, max(played), played[-1],
                        score, own_scale, own_scale if explained else score,
                        found.misfit, found.learner,
                    )
                )  # fmt: skip
    columns = ["learner", "seed", "observer", "learner score", "last score", "score", "own scale"]
    return pd.DataFrame(rows, columns=[*columns, "trusted", "misfit", "taken for"])


def _filled(policies: FloatArray) -> FloatArray:
    return np.where(np.isnan(policies), 1 / policies.shape[-1], policies)
