"""Whether choices changed from one policy to the next, or chance explains how they differ.

The likelihood ratio of shares for each policy against the same for all of them. In a large game
hardly any state is visited often, but there are many of them: what chance alone is expected to do
to rows of few choices is summed exactly, given how often each action was taken in all.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, xlogy
from scipy.stats import chi2, gamma

from malfl.checks import FloatArray

ENOUGH = 50  # choices in a row, for the distribution of its ratio to be known


class _Ratio(NamedTuple):
    """A likelihood ratio, and its mean and variance if nothing but chance is at work."""

    seen: float
    mean: float
    variance: float


def chance_of_no_change(counts: FloatArray) -> float:
    """How likely one policy for all is to give counts (H, S, A_i) as different as these.

    The larger of two: by rows of many choices, and by all rows.

    Returns
    -------
    float
        In [0, 1]; 0 if no row has as many choices as it takes to judge.
    """
    many = counts * (counts.sum(axis=-1, keepdims=True) >= ENOUGH)
    together = many.sum(axis=0)
    parameters = _parameters(many) - _parameters(together)
    if parameters <= 0:
        return 0.0
    ratio = 2 * (_likelihood_of_shares(many) - _likelihood_of_shares(together))
    chance = float(chi2.sf(ratio, parameters))
    everything = _ratio(counts)
    scale = everything.variance / everything.mean
    return min(chance, float(gamma.sf(everything.seen, everything.mean / scale, scale=scale)))


def _ratio(counts: FloatArray) -> _Ratio:
    """Over all rows; counts of a state's row are hypergeometric if all come from one urn."""
    policies, states, actions = np.nonzero(
        (counts.sum(axis=-1) > 0)[..., None] & (counts.sum(axis=0) > 0)
    )
    totals = counts.sum(axis=0)
    of_action, of_state = totals[states, actions], totals.sum(axis=-1)[states]
    of_row, seen = counts.sum(axis=-1)[policies, states], counts[policies, states, actions]
    share = of_action / of_state
    parts = 2 * xlogy(seen, seen / (of_row * share))
    left = 1 - of_row / of_state  # of the variance, as what is drawn is not put back
    means, variances = (1 - share) * left, 2 * (1 - share) * left
    few = of_row < ENOUGH
    means[few], variances[few] = _moments(of_action[few], of_state[few], of_row[few])
    return _Ratio(float(parts.sum()), float(means.sum()), float(variances.sum()))


def _moments(of_action: FloatArray, of_state: FloatArray, of_row: FloatArray) -> FloatArray:
    """Mean and variance of 2 Y ln(Y / E[Y]) for hypergeometric counts Y."""
    expected = of_row * of_action / of_state
    ways = _log_ways(of_state, of_row)
    sums = np.zeros((2, of_row.size))
    for number in range(1, ENOUGH):
        rest = of_row - number
        some = np.flatnonzero((rest >= 0) & (number <= of_action) & (rest <= of_state - of_action))
        if not some.size and number > of_row.max(initial=0):
            break
        chance = np.exp(
            _log_ways(of_action[some], np.float64(number))
            + _log_ways((of_state - of_action)[some], rest[some])
            - ways[some]
        )
        part = 2 * number * np.log(number / expected[some])
        sums[0, some] += chance * part
        sums[1, some] += chance * part**2
    return np.stack([sums[0], sums[1] - sums[0] ** 2])


def _log_ways(of: FloatArray, drawn: FloatArray) -> FloatArray:
    return np.asarray(gammaln(of + 1) - gammaln(drawn + 1) - gammaln(of - drawn + 1))


def _likelihood_of_shares(counts: FloatArray) -> float:
    """Of counts (..., A_i) under the shares seen."""
    return float(xlogy(counts, counts).sum() - xlogy(totals := counts.sum(axis=-1), totals).sum())


def _parameters(counts: FloatArray) -> int:
    """How many probabilities those shares are, beyond what sums to one."""
    return int((counts > 0).sum() - (counts.sum(axis=-1) > 0).sum())
