"""Rewards from the last policy seen, as if learning were over: what one would try first."""

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.estimation import PolicyEstimates
from malfl.logs import Observation
from malfl.recovery.course import recover_from_course
from malfl.recovery.diagnostics import Convergence, Determination
from malfl.recovery.learner_models import best_response, reach
from malfl.recovery.result import RecoveredReward


def causal_entropy(
    seen: Observation, of: int, estimates: PolicyEstimates, prior: float = 10.0
) -> RecoveredReward:
    """Maximum causal entropy (Ziebart 2010): the last policy is the best one among the others'.

    The likeliest reward of the state, with a normal prior of ``prior`` times alpha.
    """
    moves = reach(seen.dynamics, [policies[-1:] for policies in estimates.policies], of)
    model = best_response(moves, seen.alpha, seen.dynamics.gamma)
    return recover_from_course(model, seen.own_counts(of)[-1:], seen.alpha, prior)


def log_policy(policy: FloatArray, alpha: float) -> RecoveredReward:
    """Alpha ln pi, the reward that LfL begins with (Section 5.4).

    By its Theorem 2 it is the reward, shaped, if the policy no longer changes.

    Parameters
    ----------
    policy
        The last one, (S, A_i); NaN where unknown.

    Raises
    ------
    ValueError
        If a probability is 0.
    """
    if (policy <= 0).any():
        where = checks.first(policy <= 0)
        raise ValueError(
            f"policy{list(where)} is {policy[where]:g}, and its logarithm is needed; smoothed "
            "estimates have no zeros"
        )
    return RecoveredReward(
        values=alpha * np.log(policy),
        reward_class="state-action",
        convergence=Convergence(steps=0, loss=0.0, gradient=0.0, converged=True),
        determine=_undetermined,
    )


def _undetermined() -> Determination:
    raise ValueError("a policy's logarithm solves no equations that could determine it")
