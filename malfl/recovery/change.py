"""Whether choices changed from one policy to the next, or chance explains how they differ."""

import numpy as np
from scipy.special import xlogy
from scipy.stats import chi2

from malfl.checks import FloatArray

ENOUGH = 50  # choices in a row, for the distribution of its likelihood ratio to be known


def chance_of_no_change(counts: FloatArray) -> float:
    """How likely one policy for all is to give counts (H, S, A_i) as different as these.

    By the likelihood ratio of a policy for each against one for all, in rows of many choices; or,
    as rows have few in a large game, by the trends of all rows, if these are more unlikely. A trend
    is that of Cochran (1954) and Armitage (1955), for any number of actions.

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
    return min(float(chi2.sf(ratio, parameters)), _chance_of_trends(counts))


def _likelihood_of_shares(counts: FloatArray) -> float:
    """Of counts (..., A_i) under the shares seen."""
    return float(xlogy(counts, counts).sum() - xlogy(totals := counts.sum(axis=-1), totals).sum())


def _parameters(counts: FloatArray) -> int:
    """How many probabilities those shares are, beyond what sums to one."""
    return int((counts > 0).sum() - (counts.sum(axis=-1) > 0).sum())


def _chance_of_trends(counts: FloatArray) -> float:
    """How likely such trends are if the choices in a state are shuffled among the policies."""
    when = np.arange(len(counts), dtype=np.float64)
    of_state, of_action = counts.sum(axis=-1), counts.sum(axis=0)
    total = of_state.sum(axis=0)
    mean = (when @ of_state) / np.maximum(total, 1.0)
    spread = ((when[:, None] - mean) ** 2 * of_state).sum(axis=0)
    some = spread > 0
    later = np.tensordot(when, counts, 1)[some] - of_action[some] * mean[some, None]
    squares = (later**2 / np.maximum(of_action[some], 1.0)).sum(axis=-1)
    trend = float((squares * (total[some] - 1) / spread[some]).sum())
    return float(chi2.sf(trend, _parameters(of_action[some])))
