"""Rewards from policies, known or estimated, by the consistency of all improvements."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.games import Dynamics
from malfl.recovery.consistency import ConsistencySystem, consistency_system
from malfl.recovery.descent import descend
from malfl.recovery.diagnostics import NothingToLearnError, RewardClass
from malfl.recovery.evidence import weigh_evidence
from malfl.recovery.least_squares import determination, least_squares
from malfl.recovery.printed import printed_system
from malfl.recovery.released import released_system
from malfl.recovery.result import RecoveredReward

Solver = Literal["least_squares", "evidence", "adam"]
SOLVERS: tuple[Solver, ...] = ("least_squares", "evidence", "adam")
Equations = Literal["theorem", "printed", "released"]
EQUATIONS: tuple[Equations, ...] = ("theorem", "printed", "released")


def recover_from_policies(
    dynamics: Dynamics,
    policies: Sequence[FloatArray],
    *,
    of: int,
    alpha: float,
    method: Solver = "least_squares",
    equations: Equations = "theorem",
    reward_class: RewardClass = "state",
    weights: FloatArray | None = None,
    counts: FloatArray | None = None,
    steps: int = 1000,
    rate: float = 0.01,
) -> RecoveredReward:
    """Recover the reward of agent ``of`` from policies, known or estimated.

    Parameters
    ----------
    policies
        pi_0..pi_H of every agent, one (H + 1, S, A_i) array each; NaN where unknown.
    weights
        Of the equations of Theorem 5.1, shape (H, S, A_i), 0 or more; all 1 by default.
    counts
        Of joint actions, shape (H + 1, S, A); the printed equations need them.
    alpha, method, equations, reward_class, steps, rate
        As for `malfl.recover`.

    Raises
    ------
    ValueError
        As `malfl.recover` does.
    """
    of = dynamics.check_agent(of, "of")
    checks.choice(method, "method", SOLVERS)
    checks.choice(equations, "equations", EQUATIONS)
    histories = checks.histories(policies, "policies", dynamics.n_states, dynamics.actions)
    own = histories[of]
    if len(own) > 1 and all(np.array_equal(own[0], later, equal_nan=True) for later in own[1:]):
        raise NothingToLearnError(
            f"policies[{of}] are the same in all {len(own)} iterations; there is no improvement to "
            "learn from"
        )
    if equations != "theorem" and weights is not None:
        raise ValueError(f"weights are for the equations of Theorem 5.1, not for {equations!r}")
    if equations == "printed":
        if counts is None:
            raise ValueError("counts must be given for the printed equations, got None")
        system = printed_system(dynamics, histories, of, alpha, reward_class, counts)
    elif equations == "released":
        if reward_class != "joint-action":
            raise ValueError(
                "reward_class must be joint-action for the released equations, got "
                f"{reward_class!r}"
            )
        system = released_system(dynamics, histories, of, alpha)
    else:
        system = consistency_system(dynamics, histories, of, alpha, reward_class, weights)
    return _solve(system, method, reward_class, steps, rate)


def _solve(
    system: ConsistencySystem, method: Solver, reward_class: RewardClass, steps: int, rate: float
) -> RecoveredReward:
    if len(system.targets) == 0:
        raise NothingToLearnError(
            "policies and weights leave no equation: every one meets a state never visited or has "
            "weight 0; observe more episodes, or weigh differently"
        )
    deviation, evidence = None, None
    if method == "adam":
        fit = descend(system, steps, rate)
    elif method == "evidence":
        fit, spread, evidence = weigh_evidence(system)
        deviation = np.where(system.touched, spread, np.nan).reshape(system.shape)
    else:
        fit = least_squares(system)
    return RecoveredReward(
        values=np.where(system.touched, fit.reward, np.nan).reshape(system.shape),
        reward_class=reward_class,
        convergence=fit.convergence,
        determine=partial(determination, system),
        shapings=fit.shapings.reshape(-1, system.states),
        deviation=deviation,
        evidence=evidence,
    )
