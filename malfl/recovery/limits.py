"""How well a reward can be known from what was seen: a bound on the errors of all estimators.

The inequality of van Trees (1968) bounds the mean square error, averaged over a prior, by the
inverse of the information: that of the data plus that of the prior. The data are the agent's
actions under improved policies, whose logits are affine in the reward and have errors of known
variances.

Three things are approximate. The inequality needs the mean information over the prior; here it is
the information at the true reward, so that an estimator may stay below the limit in a single game.
Counts are taken for normal. The policies that values were learned under are those that
`malfl.estimate_policies` gives, as for the estimators, and count as known.
"""

import numpy as np
import numpy.typing as npt
from numpy.linalg import inv

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics
from malfl.play.view import View
from malfl.recovery.classes import class_of_shape, space_of
from malfl.recovery.logit import AffineLogits, information_at
from malfl.recovery.policies import estimate_policies
from malfl.recovery.replay import Replayed
from malfl.recovery.reward import RecoveredReward, RewardClass
from malfl.recovery.shown import identified_part, shown_directions
from malfl.recovery.structural import learned_logits


@progress.interruptible
def limit_with_episodes(view: View, *, of: int, reward: npt.ArrayLike, beta: float) -> float:
    """The error of a reward below which no estimator stays on average that replays episodes.

    For a learner of Algorithm 1 by temporal differences, from zero, whose next actions were drawn
    and not seen.

    Parameters
    ----------
    of
        The agent observed.
    reward
        Its true one; the shape, (S,), (S, A_i) or (S, A), says what is known of its class. The
        prior is normal, with the variance of these entries around their mean.
    beta
        The learner's step size, in (0, 1].

    Returns
    -------
    float
        Root mean square over all entries of the reward, of errors in what improvements show; to
        compare with `identified_error`.

    Raises
    ------
    TypeError, ValueError
        If there are no episodes, the reward has another shape or is the same everywhere, or
        ``beta`` is out of range.
    NothingToLearnError
        A ValueError as well: if nothing that was seen depends on the reward.
    """
    agent, true, reward_class = _checked(view, of, reward)
    own, beta = estimate_policies(view)[agent], checks.step_size(beta)
    space = space_of(view.dynamics, agent, reward_class)
    replayed = Replayed(view, agent, own, beta=beta, executed=False, space=space, rough=true)
    return _limit(view, agent, replayed.logits(view.iterations - 1), true, reward_class)


@progress.interruptible
def limit_from_counts(view: View, *, of: int, reward: npt.ArrayLike, beta: float) -> float:
    """The same for estimators that use only how often each action was taken.

    The mean and variances of learned values are those of `malfl.recovery.learned_values`; errors of
    several values count as independent. For parameters, the result and errors see
    `limit_with_episodes`.
    """
    agent, true, reward_class = _checked(view, of, reward)
    policies, beta = estimate_policies(view), checks.step_size(beta)
    logits = learned_logits(view, agent, policies, beta, true, reward_class)
    return _limit(view, agent, logits, true, reward_class)


def identified_error(
    found: RecoveredReward, truth: npt.ArrayLike, dynamics: Dynamics, agent: int
) -> float:
    """The root mean square error in what improvements show, over all entries of the reward.

    Parameters
    ----------
    found
        Entries that are not known (NaN) count as 0, the mean of the prior.
    truth
        The true reward, of the shape of ``found.values``.

    Raises
    ------
    ValueError
        If the shapes differ, or the reward is too large for its identified part.
    """
    checks.instance(found, RecoveredReward, "found", "see malfl.recover")
    checks.instance(dynamics, Dynamics, "dynamics", "such as a game")
    true, agent = checks.finite(truth, "truth"), dynamics.check_agent(agent)
    if true.shape != found.values.shape:
        raise ValueError(f"truth must have shape {found.values.shape}, got {true.shape}")
    off = identified_part(np.nan_to_num(found.values) - true, dynamics, agent, found.reward_class)
    return float(np.sqrt((off**2).mean()))


def _checked(view: View, of: int, reward: npt.ArrayLike) -> tuple[int, FloatArray, RewardClass]:
    """The agent, its reward, flat, and that one's class."""
    checks.instance(view, View, "view", "see LearningLog.seen_by")
    agent, true = view.check_observed(of), checks.finite(reward, "reward")
    name = class_of_shape(view.dynamics, agent, true.shape)
    if name is None:
        states, own = view.dynamics.n_states, view.dynamics.actions[agent]
        joint = view.dynamics.n_joint_actions
        raise ValueError(
            f"reward must have shape {(states,)}, {(states, own)} or {(states, joint)}, "
            f"got {true.shape}"
        )
    if np.ptp(true) == 0:
        raise ValueError("reward must differ between entries; a constant is nothing to recover")
    return agent, true.ravel(), name


def _limit(
    view: View, agent: int, logits: AffineLogits, true: FloatArray, reward_class: RewardClass
) -> float:
    information = information_at(logits, view.own_counts(agent)[1:], view.unit, true)
    covariance = inv(information + np.eye(true.size) / true.var())
    shown = shown_directions(view.dynamics, agent, reward_class)
    return float(np.sqrt(np.trace(shown.T @ covariance @ shown) / true.size))
