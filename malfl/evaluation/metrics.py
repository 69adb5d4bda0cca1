"""How close a recovered reward is to the true one, and how sure one can be of a mean."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from malfl import checks
from malfl.checks import FloatArray
from malfl.recovery.reward import RecoveredReward

TIE = 1e-9  # neighbours closer than this share of the range count as equal when ranked


class Correlation(NamedTuple):
    """Correlation of a recovered with the true reward over states."""

    pearson: float
    spearman: float
    states: int  #: how many states were compared


class Interval(NamedTuple):
    """Mean of independent runs with its 95 % confidence interval (Student's t)."""

    mean: float
    sd: float  #: sample standard deviation, n - 1 in the denominator
    low: float
    high: float
    n: int


def pearson(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Pearson's correlation coefficient of two arrays of the same shape, in [-1, 1].

    Raises
    ------
    ValueError
        If the shapes differ, there are fewer than two values, an entry is not finite, or one of
        the arrays is constant.
    """
    return float(stats.pearsonr(*_comparable(a, b)).statistic)


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Spearman's rank correlation of two arrays of the same shape, in [-1, 1].

    Neighbouring values less than a billionth of the range apart are ties; without that, rounding
    errors of a perfect recovery break the ties of the true reward.

    Raises
    ------
    ValueError
        As `pearson` does.
    """
    left, right = _comparable(a, b)
    return float(stats.spearmanr(_tied(left), _tied(right)).statistic)


def correlation(recovered: RecoveredReward, true: npt.ArrayLike) -> Correlation:
    """Correlations over states, both rewards averaged uniformly over actions (Section 7).

    States whose recovered reward is unknown (NaN) are left out and not counted in ``states``.

    Parameters
    ----------
    true
        The agent's reward, shape (S,), (S, A) or (S, A_0, ..., A_{N-1}).
    """
    checks.instance(
        recovered, RecoveredReward, "recovered", "see malfl.recover; or metrics.pearson"
    )
    truth = checks.finite(true, "true")
    values = recovered.over_states()
    if truth.ndim == 0 or len(truth) != len(values):
        raise ValueError(f"true must have {len(values)} states, got shape {truth.shape}")
    truth = truth.reshape(len(truth), -1).mean(axis=1)
    known = np.isfinite(values)
    return Correlation(
        pearson(values[known], truth[known]),
        spearman(values[known], truth[known]),
        int(known.sum()),
    )


def interval(values: npt.ArrayLike) -> Interval:
    """Mean and 95 % interval over independent runs; NaN bounds if there is only one.

    Parameters
    ----------
    values
        Shape (n,), n at least 1.
    """
    runs = checks.finite(values, "values")
    if runs.ndim != 1 or len(runs) == 0:
        raise ValueError(f"values must have shape (n,) with n >= 1, got {runs.shape}")
    n, mean = len(runs), float(runs.mean())
    if n == 1:
        return Interval(mean, np.nan, np.nan, np.nan, 1)
    sd = float(runs.std(ddof=1))
    half = float(stats.t.ppf(0.975, n - 1)) * sd / np.sqrt(n)
    return Interval(mean, sd, mean - half, mean + half, n)


def prediction_half_width(sd: float, n: int) -> float:
    """How far one more run may lie from the mean of n, in 95 % of cases; 0 if there is only one.

    Parameters
    ----------
    sd
        Sample standard deviation of the n runs.
    """
    if checks.count(n, "n") == 1:
        return 0.0
    return float(stats.t.ppf(0.975, n - 1) * checks.real(sd, "sd") * np.sqrt(1 + 1 / n))


def normalised(reward: npt.ArrayLike) -> FloatArray:
    """A reward shifted and scaled to [0, 1], NaN entries kept; 0 where it is constant.

    Raises
    ------
    ValueError
        If an entry is infinite, or none is known.
    """
    values = checks.numbers(reward, "reward")
    known = values[~np.isnan(values)]
    checks.finite(known, "reward, where it is known,")
    if known.size == 0:
        raise ValueError(f"reward must have an entry that is known, got shape {values.shape}")
    low, high = np.nanmin(values), np.nanmax(values)
    return np.asarray((values - low) / (high - low if high > low else 1.0))


def _comparable(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    left, right = checks.finite(a, "a").ravel(), checks.finite(b, "b").ravel()
    if np.shape(a) != np.shape(b) or left.size < 2:
        raise ValueError(
            f"a and b must have one shape with two values or more, got {np.shape(a)}, {np.shape(b)}"
        )
    for name, values in (("a", left), ("b", right)):
        if np.ptp(values) == 0:
            raise ValueError(f"{name} is {values[0]:g} throughout; a constant has no correlation")
    return left, right


def _tied(values: FloatArray) -> FloatArray:
    """Number the groups of values that a gap sets apart."""
    order = np.argsort(values)
    apart = np.diff(values[order], prepend=values[order[0]]) > TIE * np.ptp(values)
    groups = np.empty(len(values))
    groups[order] = apart.cumsum()
    return groups
