"""How wrong a reward is and how wrong the improvement it predicts, for observers.

They know policies but not rewards (MA-LfL, Section 6, corrected).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from malfl import checks
from malfl.checks import FloatArray


@dataclass(frozen=True)
class RewardError:
    """Ends between which the least error of a reward lies, shapings allowed for, in its unit."""

    least: float
    most: float


@dataclass(frozen=True)
class PredictionError:
    """What a prediction cannot be worse than, in nats."""

    log_ratio: float  #: ``|ln pi-hat_new - ln pi_new|``, any state and action
    divergence: float  #: ``KL(pi_new || pi-hat_new)``, any state


def certified_reward_error(
    observed: npt.ArrayLike, predicted: npt.ArrayLike, *, alpha: float, gamma: float
) -> RewardError:
    """How wrong a reward is, from the improvement it predicted and the one that happened.

    The error is ``E* = min over shapings of sup |E[R-hat - R] - sh|``, averaged over what the
    others did at that improvement: it is about the process that the agent faced there. With omega
    the largest spread max - min over actions of ln predicted - ln observed in a state, it lies
    between alpha (1 - gamma) omega / 2 and alpha (1 + gamma) omega / 2, and can be either
    (corrected statement T1, which contains MA-LfL's Theorem 6.1).

    Parameters
    ----------
    observed, predicted
        pi_new and pi-hat_new of one agent, shape (S, A_i), no zeros.
    alpha
        The agent's entropy coefficient, greater than 0.
    gamma
        Discount in [0, 1).

    Raises
    ------
    ValueError
        If a policy is not one or has a zero, or a number is out of range.
    """
    alpha, gamma = checks.positive(alpha, "alpha"), checks.discount(gamma)
    actual, expected = _logs(observed, "observed"), _logs(predicted, "predicted")
    if expected.shape != actual.shape:
        raise ValueError(f"predicted must have shape {actual.shape}, got {expected.shape}")
    change = expected - actual
    omega = float(np.ptp(change, axis=1).max())
    return RewardError(alpha * (1 - gamma) * omega / 2, alpha * (1 + gamma) * omega / 2)


def certified_prediction_error(error: float, *, alpha: float, gamma: float) -> PredictionError:
    """How wrong a predicted improvement can be, from how wrong the reward is.

    For any policy of the agent while the others keep to theirs: once they have moved, the error is
    another one.

    With x = error / (alpha (1 - gamma)): log ratios of up to 2 x, and divergences of up to
    K(x) = x coth x - 1 + ln(sinh x / x), which is less than 2 x and than x ** 2 / 2 (corrected
    statement T2, in place of MA-LfL's Theorem 6.5).

    Parameters
    ----------
    error
        ``sup |E[R-hat - R] - sh|`` for any shaping sh, 0 or more.
    alpha, gamma
        As for `certified_reward_error`.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    size, alpha = checks.not_negative(error, "error"), checks.positive(alpha, "alpha")
    # One after the other: their product may be too small for a float.
    x = size / alpha / (1 - checks.discount(gamma))
    if math.isinf(x):
        raise ValueError(
            f"error and alpha must leave a ratio that can be represented, got {size} and {alpha}"
        )
    return PredictionError(2 * x, largest_divergence(x))


def log_changes(probability: float, divergence: float) -> tuple[float, float]:
    """How far ln of a probability can fall and rise when a distribution moves by a divergence.

    The largest t and u with kl(p, p e^-t) <= divergence and kl(p, p e^u) <= divergence, where
    kl is the divergence of two coins. They are the sharp versions of what Pinsker's inequality
    says, t, u <= -ln(1 - sqrt(divergence / 2) / p).

    Parameters
    ----------
    probability
        p in [0, 1]. With p below 1e-300 the first answer is infinite.
    divergence
        ``KL(before || after)`` in nats, 0 or more, infinity included.

    Returns
    -------
    (fall, rise)
        t in [0, inf] and u in [0, -ln p].
    """
    p = checks.probability(probability, "probability")
    limit = divergence if divergence == math.inf else checks.real(divergence, "divergence")
    if limit < 0:
        raise ValueError(f"divergence must be 0 or more, got {limit}")
    # Beside a probability that is next to nothing, a divergence that seems 0 may be one as well.
    if p < 1e-300 or (ratio := limit / p) > 1e300:
        return math.inf, math.inf if p == 0 else -math.log(p)
    if limit == 0:
        return 0.0, 0.0
    if p == 1:
        return limit, 0.0

    def beyond(change: float) -> float:
        return _coin_divergence(p, change) - limit

    # t ** 2 / (2 + t) <= e^-t - 1 + t <= kl / p, and no rise goes beyond the fall or a sure event.
    most = (ratio + math.sqrt(ratio) * math.sqrt(ratio + 8)) / 2
    top = min(most, -math.log(p) * (1 - 1e-14))  # a sure event itself is infinitely far
    fall = most if beyond(-most) <= 0 else _root(lambda t: beyond(-t), most)
    rise = top if beyond(top) <= 0 else _root(beyond, top)
    return fall, rise


def largest_divergence(x: float) -> float:
    """K(x) = x coth x - 1 + ln(sinh x / x)."""
    if x < 1e-3:
        return x * x / 2 - x**4 / 36
    far = math.exp(-2 * x) if x < 400 else 0.0
    return x * (1 + far) / (1 - far) - 1 + x + math.log1p(-far) - math.log(2) - math.log(x)


def _logs(policy: npt.ArrayLike, name: str) -> FloatArray:
    shape = checks.any_numbers(policy, name).shape
    if len(shape) != 2:
        raise ValueError(f"{name} must have shape (S, A_i), got {shape}")
    array = checks.distributions(policy, name, shape)
    if (array == 0).any():
        where = checks.first(array == 0)
        raise ValueError(
            f"{name}{list(where)} is 0, and improvements give every action some probability; "
            "every entry must be greater than 0"
        )
    return np.log(array)


def _coin_divergence(p: float, change: float) -> float:
    """KL of a coin of probability p and one of p e^change, from terms that do not cancel."""
    up = math.expm1(change)
    down = -p * up / (1 - p)
    if down <= -1:
        return math.inf
    return p * (up - change) + (1 - p) * (down - math.log1p(down))


def _root(function: Callable[[float], float], most: float) -> float:
    """Where an increasing function of [0, most] is 0; the square of ``most`` may overflow."""
    return most * float(brentq(lambda z: function(z * most), 0.0, 1.0, xtol=1e-18, maxiter=500))
