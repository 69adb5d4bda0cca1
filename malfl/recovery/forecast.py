"""Rewards recovered while agents learn, and forecasts of their next improvements (Section 5.3)."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.play.view import View
from malfl.recovery.estimator import Estimator
from malfl.recovery.recovery import Recovery, check_improvements
from malfl.recovery.reward import NoFit, NothingToLearnError, RecoveredReward
from malfl.values import Value, freeze


@dataclass(frozen=True, eq=False)
class Forecast(Value):
    """An observer's estimates after each iteration, made from what it had seen by then."""

    rewards: FloatArray  #: (n - 1, S), after the iterations 1..n-1; NaN where nothing is known
    policies: FloatArray  #: (n - 1, S, A_i), what the agent was expected to play in 2..n

    def __post_init__(self) -> None:
        freeze(self.rewards, self.policies)


@progress.interruptible
def forecast(
    view: View, *, of: int, by: Estimator, seed: int | np.random.Generator = 0
) -> Forecast:
    """Go through what was seen, iteration by iteration, as semi-online MA-LfL does.

    After each, the reward of agent ``of`` is estimated anew and its next policy predicted by Eq. 6:
    a softmax of its soft Q values under the estimated reward. Where there is nothing to learn from,
    it is predicted for a reward of zero.

    Parameters
    ----------
    of
        The agent observed; not the observer itself.
    by
        Such as ``Replay()``; ``MiniBatchAdam()`` is the paper's.

    Raises
    ------
    ValueError
        As `malfl.recover` does, but states may remain unvisited.
    """
    recovery = Recovery(view, of=of, by=by, seed=seed)
    if by.needs_improvements:
        check_improvements(view, recovery.of, "omit")
    nothing = RecoveredReward(np.full(view.dynamics.n_states, np.nan), "state", NoFit())
    rewards, policies = [], []
    replayed = view.episodes if by.needs_steps else None
    with progress.bar(sum(played.steps for played in replayed or ())):
        for h in range(1, view.iterations):
            found = nothing
            with suppress(NothingToLearnError):
                found = recovery.prepared.reward(h)
            rewards.append(found.over_states())
            policies.append(recovery.prepared.next_policy(found, h))
    shape = (len(rewards), *view.own_counts(recovery.of).shape[1:])
    return Forecast(np.reshape(rewards, shape[:2]), np.reshape(policies, shape))


def prediction_error(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> FloatArray:
    """KL divergence of what was predicted from what happened, per state, shape (..., S).

    Parameters
    ----------
    actual, predicted
        Policies of shape (..., S, A_i); NaN rows give NaN.

    Raises
    ------
    ValueError
        If shapes differ, or a row is neither a distribution nor unknown.
    """
    p, q = checks.policies(actual, "actual"), checks.policies(predicted, "predicted")
    if p.shape != q.shape:
        raise ValueError(f"actual and predicted must have one shape, got {p.shape} and {q.shape}")
    return np.asarray(rel_entr(p, q).sum(axis=-1))
