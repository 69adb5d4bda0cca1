"""How close a recovered reward is to the true one, and how sure one can be of a mean."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from malfl import checks
from malfl.checks import FloatArray
from malfl.recovery.reward import RecoveredReward

FLAT = 1e-12  # values that differ by less than this share of the largest are the same
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
    return _pearson(*_comparable({"a": a, "b": b}))


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Spearman's rank correlation of two arrays of the same shape, in [-1, 1].

    Neighbouring values less than a billionth of the range apart are ties; without that, rounding
    errors of a perfect recovery break the ties of the true reward.

    Raises
    ------
    ValueError
        As `pearson` does.
    """
    return _spearman(*_comparable({"a": a, "b": b}))


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
    truth, _ = _near_1(checks.finite(true, "true"))
    values = recovered.over_states()
    if truth.ndim == 0 or len(truth) != len(values):
        raise ValueError(f"true must have {len(values)} states, got shape {truth.shape}")
    truth = truth.reshape(len(truth), -1).mean(axis=1)
    known = np.isfinite(values)
    both = _comparable({"recovered": values[known], "true": truth[known]})
    return Correlation(_pearson(*both), _spearman(*both), int(known.sum()))


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
    if len(runs) == 1:
        return Interval(float(runs[0]), np.nan, np.nan, np.nan, 1)
    n, (near_1, power) = len(runs), _near_1(runs)
    mean, sd = float(near_1.mean()), float(near_1.std(ddof=1))
    half = float(stats.t.ppf(0.975, n - 1)) * sd / np.sqrt(n)
    with np.errstate(over="ignore"):  # a bound may lie beyond what floats can hold
        mean, sd, low, high = np.ldexp([mean, sd, mean - half, mean + half], power).tolist()
    return Interval(mean, sd, low, high, n)


def prediction_half_width(sd: float, n: int) -> float:
    """How far one more run may lie from the mean of n, in 95 % of cases; 0 if there is only one.

    Parameters
    ----------
    sd
        Sample standard deviation of the n runs.
    """
    if checks.count(n, "n") == 1:
        return 0.0
    return float(stats.t.ppf(0.975, n - 1)) * checks.not_negative(sd, "sd") * math.sqrt(1 + 1 / n)


def normalised(reward: npt.ArrayLike) -> FloatArray:
    """A reward shifted and scaled to [0, 1], NaN entries kept; 0 where it is constant.

    Raises
    ------
    ValueError
        If an entry is infinite, or none is known.
    """
    given = checks.numbers(reward, "reward")
    known = given[~np.isnan(given)]
    checks.finite(known, "reward, where it is known,")
    if known.size == 0:
        raise ValueError(f"reward must have an entry that is known, got shape {given.shape}")
    values, _ = _near_1(given)
    low, high = np.nanmin(values), np.nanmax(values)
    return np.asarray((values - low) / (high - low if high > low else 1.0))


def _pearson(a: FloatArray, b: FloatArray) -> float:
    return float(stats.pearsonr(a, b).statistic)


def _spearman(a: FloatArray, b: FloatArray) -> float:
    return float(stats.spearmanr(_tied(a), _tied(b)).statistic)


def _comparable(given: dict[str, npt.ArrayLike]) -> list[FloatArray]:
    """Two arrays, by the names of the arguments, flat and with a largest entry next to 1."""
    arrays = {name: checks.finite(values, name) for name, values in given.items()}
    shapes = [array.shape for array in arrays.values()]
    if shapes[0] != shapes[1] or math.prod(shapes[0]) < 2:
        raise ValueError(
            f"{' and '.join(arrays)} must have one shape with two values or more, got {shapes[0]} "
            f"and {shapes[1]}"
        )
    for name, array in arrays.items():
        if is_flat(array):
            raise ValueError(
                f"{name} is {array.flat[0]:g} throughout; a constant has no correlation"
            )
    return [_near_1(array.ravel())[0] for array in arrays.values()]


def is_flat(values: FloatArray) -> bool:
    """Whether values differ by no more than rounding."""
    least, most = values.min(), values.max()
    return bool(most / 2 - least / 2 <= FLAT / 2 * max(most, -least))


def _near_1(values: FloatArray) -> tuple[FloatArray, int]:
    """Values over the power of two next to the largest one, and its exponent.

    No digit changes, and sums and squares neither overflow nor vanish.
    """
    _, power = np.frexp(np.nanmax(np.abs(values), initial=0.0))
    return np.ldexp(values, -power), int(power)


def _tied(values: FloatArray) -> FloatArray:
    """Number the groups of values that a gap sets apart."""
    order = np.argsort(values)
    apart = np.diff(values[order], prepend=values[order[0]]) > TIE * np.ptp(values)
    groups = np.empty(len(values))
    groups[order] = apart.cumsum()
    return groups
