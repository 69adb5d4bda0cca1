"""How far counts of choices are from what was predicted, and how far chance alone takes them."""

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

from malfl.checks import FloatArray

LARGE = 30.0  # expected counts from which on a series is used
TERMS = 90  # counts that matter below


def deviance(counts: FloatArray, log_odds: FloatArray) -> float:
    """Twice the log-likelihood that choices (..., A) lack beside the shares that were seen."""
    total = counts.sum(axis=-1, keepdims=True)
    best = float((xlogy(counts, counts) - xlogy(counts, total)).sum())
    return 2 * (best - float((counts * log_odds).sum()))


def expected_deviance(totals: FloatArray, log_odds: FloatArray) -> FloatArray:
    """The deviance to expect of so many choices (...) with these probabilities (..., A).

    It is about A - 1 where much was seen of every action, and less where an action is hardly ever
    chosen. By the expectation of each action's part, whose count is binomial.

    Returns
    -------
    ndarray
        Shape (...).
    """
    odds = np.exp(log_odds)
    total = np.broadcast_to(totals[..., None], odds.shape)
    means = total * odds
    few = means < LARGE
    large = np.where(few, LARGE, means)
    parts = 1 - odds + (1 - odds**2) / (6 * large)
    parts[few] = _of_few(total[few], odds[few], means[few])
    return np.asarray(parts.sum(axis=-1))


def _of_few(total: FloatArray, odds: FloatArray, means: FloatArray) -> FloatArray:
    """2 E[Y ln(Y / mean)] of a binomial count Y, all of shape (K,)."""
    summed = -xlogy(means, means)
    for number in range(2, TERMS):
        rest = np.maximum(total - number, 0.0)
        ways = gammaln(total + 1) - gammaln(number + 1) - gammaln(rest + 1)
        chance = np.exp(ways + xlogy(number, odds) + xlog1py(rest, -odds)) * (number <= total)
        summed += chance * number * np.log(number)
    return np.asarray(2 * summed)
