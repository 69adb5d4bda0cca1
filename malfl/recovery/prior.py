"""A normal prior of rewards whose deviation nobody knows: it is integrated over.

The deviation has a half-Cauchy prior of scale 10 alpha. For each of some deviations on a grid,
even in the logarithm, Laplace's method gives the posterior of the reward and the evidence. Rewards
are in units of alpha here.
"""

from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import logsumexp

from malfl.checks import FloatArray
from malfl.recovery.parts import Symmetric, eigvalsh_by_parts, mixture

PRIOR_SCALE = 10.0  # median of the prior's deviation
GRID = 8  # deviations of the prior looked at per factor of ten ...
COARSE = 4  # ... of which every fourth at first ...
FARTHEST = 40  # ... up to so many away from alpha: a factor of 100,000
NEGLIGIBLE = 15.0  # of log-likelihood: what is less likely by that has no weight
LEAST_SHARE = 1e-6  # of the posterior, from which on a deviation must have been searched well


class Search(Protocol):
    """The likeliest reward for a given deviation of the prior, from wherever it was before."""

    reward: FloatArray  #: (K,)

    @property
    def information(self) -> FloatArray:
        """Of the data alone, at the reward, (K, K)."""

    def climb(self, prior: float) -> bool:
        """Find the reward for this deviation; whether it was found."""

    def evidence(self, prior: float) -> float:
        """The logarithm of the likelihood, the reward integrated out."""

    def covariance(self, prior: float) -> Symmetric:
        """Of the reward, (K, K)."""


class Posterior(NamedTuple):
    """Of the reward, for one deviation of the prior or with that integrated over."""

    reward: FloatArray  # (K,), its mean
    covariance: FloatArray  # (K, K)
    prior: float  # variance of rewards, its geometric mean if several
    log_likelihood: float
    converged: bool


def integrate(search: Search) -> Posterior:
    """Integrate over the prior's deviation."""
    weighed = _scan(search)
    best = max(weighed, key=lambda k: weighed[k].log_likelihood)
    for k in sorted(range(best - COARSE + 1, best + COARSE), key=lambda k: abs(k - best)):
        if abs(k) <= FARTHEST and k not in weighed:
            weighed[k] = _weigh(search, k)
    order = sorted(weighed)
    apart = np.gradient(np.array(order, dtype=np.float64)) if len(order) > 1 else np.ones(1)
    evidence = np.array([weighed[k].log_likelihood for k in order])
    evidence += np.log(apart * np.log(10) / GRID)
    total = float(logsumexp(evidence))
    shares = np.exp(evidence - total)
    rewards = np.array([weighed[k].reward for k in order])
    reward = shares @ rewards
    within = mixture([weighed[k].covariance for k in order], shares)
    return Posterior(
        reward,
        within.whole() + (shares * (rewards - reward).T) @ (rewards - reward),
        float(_deviation(shares @ np.array(order)) ** 2),
        total,
        all(weighed[k].converged for w, k in zip(shares, order, strict=True) if w > LEAST_SHARE),
    )


def at_deviation(search: Search, deviation: float) -> Posterior:
    """The posterior for one deviation of the prior, in units of alpha."""
    found = _at(search, deviation)
    return Posterior(
        found.reward, found.covariance.whole(), deviation**2, found.log_likelihood, found.converged
    )


def spoken_of(information: FloatArray, prior: float) -> float:
    """How many numbers of a reward the data speak of, under a prior of this variance."""
    sizes = np.maximum(eigvalsh_by_parts(information), 0.0)
    return float((sizes / (sizes + 1 / prior)).sum())


class _Weighed(NamedTuple):
    """A posterior for one deviation of the prior."""

    reward: FloatArray  # (K,), its mean
    covariance: Symmetric  # (K, K)
    log_likelihood: float
    converged: bool


def _scan(search: Search) -> dict[int, _Weighed]:
    """Go from one prior to wider and narrower ones until they are not worth a look."""
    search.climb(PRIOR_SCALE)
    number = spoken_of(search.information, PRIOR_SCALE**2)
    size = float(np.sqrt(search.reward @ search.reward / max(number, 1.0)))
    guess = float(np.clip(GRID * np.log10(max(size, 1e-9)), -FARTHEST, FARTHEST))
    start = COARSE * round(guess / COARSE)
    weighed = {start: _weigh(search, start)}
    for direction in (COARSE, -COARSE):
        k = start + direction
        while abs(k) <= FARTHEST:
            weighed[k] = _weigh(search, k)
            best = max(w.log_likelihood for w in weighed.values())
            if weighed[k].log_likelihood < best - NEGLIGIBLE:
                break
            k += direction
    return weighed


def _weigh(search: Search, k: int) -> _Weighed:
    """Its evidence includes the half-Cauchy density of the deviation, by its logarithm."""
    found = _at(search, _deviation(k))
    share = _deviation(k) / PRIOR_SCALE
    density = float(np.log(2 / np.pi * share / (1 + share**2)))
    return found._replace(log_likelihood=found.log_likelihood + density)


def _at(search: Search, deviation: float) -> _Weighed:
    converged = search.climb(deviation)
    covariance, evidence = search.covariance(deviation), search.evidence(deviation)
    return _Weighed(search.reward.copy(), covariance, evidence, converged)


def _deviation(k: float) -> float:
    """The prior's deviation at a place of the grid."""
    return float(10.0 ** (k / GRID))
