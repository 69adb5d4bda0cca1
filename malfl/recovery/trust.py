"""What a posterior promises: how near the reward found is to the true one."""

from dataclasses import dataclass

import numpy as np
from numpy.linalg import eigh, eigvalsh

from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.recovery.parts import eigh_by_parts
from malfl.recovery.prior import Posterior
from malfl.values import Value, freeze

CONFIDENCE = 0.95  # with which a correlation is promised
DETERMINED = 0.1  # variance, relative to the prior's, up to which the data determine a direction
WEAK = 0.5  # deviation, relative to the prior's, from which on an entry is hardly known
DRAWS = 2000  # of rewards from the posterior
ROUNDING = 1e-9  # of information: directions with less, relative to the largest, are open


@dataclass(frozen=True, eq=False)
class Promise(Value):
    """What the posterior of a reward says of it, as far as the learner was modelled right."""

    correlation: float  #: to expect with the truth, in what improvements show; the median
    at_least: float  #: the correlation that is exceeded with a probability of .95
    directions: int  #: of the reward that improvements show at all
    determined: int  #: of these, how many the data know to a tenth of the prior's variance
    #: (k,), entries that are hardly known better than before anything was seen, of the reward as
    #: one array.
    weak: IntArray

    def __post_init__(self) -> None:
        freeze(self.weak)

    def lines(self) -> list[str]:
        """For a summary."""
        return [
            f"Correlation with the true reward, if the model is right: {self.correlation:.3f} to "
            f"be expected, {self.at_least:.3f} or more with a probability of {CONFIDENCE:.0%}",
            f"Directions determined: {self.determined} of {self.directions}",
        ]


def deviations(covariance: FloatArray, touched: BoolArray) -> FloatArray:
    """Of the entries (K,) of a reward that some policy depends on, NaN for others.

    A constant is a shaping, or next to one: they are of what is left without it.
    """
    centred = covariance - covariance[touched].mean(axis=0)
    spread = np.diag(centred) - centred[:, touched].mean(axis=1)
    return np.where(touched, np.sqrt(np.maximum(spread, 0.0)), np.nan)


def deviations_of(basis: FloatArray, covariance: FloatArray, known: BoolArray) -> FloatArray:
    """As `deviations`, of the entries (E,) that numbers of this covariance (K, K) make up."""
    centred = basis - basis[known].mean(axis=0)
    spread = ((centred @ covariance) * centred).sum(axis=1)
    return np.where(known, np.sqrt(np.maximum(spread, 0.0)), np.nan)


def informed(information: FloatArray) -> FloatArray:
    """An orthonormal basis (K, k) of the directions that the data say anything of."""
    sizes, axes = eigh_by_parts(information)
    return np.asarray(axes[:, sizes > ROUNDING * max(float(sizes.max()), 0.0)])


def promise(
    found: Posterior, shown: FloatArray, touched: BoolArray, basis: FloatArray | None = None
) -> Promise:
    """What a posterior says of its mean.

    Parameters
    ----------
    shown
        An orthonormal basis (E, k) of what improvements show of the entries of a reward; see
        `informed` and `malfl.recovery.shown.shown_directions`.
    touched
        (E,), entries of the reward that some policy depends on.
    basis
        (E, K), how the numbers found make up entries; None if they are the entries.
    """
    if shown.shape[1] == 0:
        return Promise(0.0, 0.0, 0, 0, np.arange(len(touched)))
    of_numbers = shown.T if basis is None else shown.T @ basis
    spread, turned = eigh(covariance := of_numbers @ found.covariance @ of_numbers.T)
    spread, mean = np.maximum(spread, 0.0), turned.T @ (of_numbers @ found.reward)
    draws = np.random.default_rng(0).normal(size=(DRAWS, len(mean)))
    truths = mean + draws * np.sqrt(spread)
    lengths = np.linalg.norm(truths, axis=1) * np.linalg.norm(mean)
    likeness = truths @ mean / np.where(lengths > 0, lengths, 1.0)
    least, middle = np.quantile(likeness, [1 - CONFIDENCE, 0.5])
    shares = spread / found.prior if basis is None else _shares(covariance, of_numbers, found.prior)
    known = int((shares < DETERMINED).sum())
    # What is shown of an entry, relative to what the prior says of that.
    allowed = ((shown if basis is None else shown @ of_numbers) ** 2).sum(axis=1)
    left = ((shown @ covariance) * shown).sum(axis=1)
    weak = np.flatnonzero((left > WEAK**2 * found.prior * allowed) | ~touched)
    return Promise(float(middle), float(least), shares.size, known, weak)


def _shares(covariance: FloatArray, of_numbers: FloatArray, prior: float) -> FloatArray:
    """Variances relative to the prior's, of the directions in which the prior allows any."""
    sizes, axes = eigh(prior * of_numbers @ of_numbers.T)
    allowed = sizes > ROUNDING * max(float(sizes.max()), 0.0)
    white = axes[:, allowed] / np.sqrt(sizes[allowed])
    return np.asarray(eigvalsh(white.T @ covariance @ white))
