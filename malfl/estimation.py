"""Policies from counts of the actions seen (MA-LfL, Section 5.1).

A state never visited says nothing about the policy in it: its row is NaN, whatever the method.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import wrightomega

from malfl import checks
from malfl.checks import FloatArray, IntArray
from malfl.games import Policies
from malfl.logs import Observation

Method = Literal["smoothing", "maximum_likelihood", "entropy"]


@dataclass(frozen=True, eq=False)
class PolicyEstimates:
    """What an observer takes the policies pi_0..pi_{n-1} of all agents to be."""

    policies: Policies  # one (n, S, A_i) array an agent; NaN in states never visited
    visits: FloatArray  # (n, S)

    @property
    def unvisited(self) -> IntArray:
        """Pairs (iteration, state) that were never visited, shape (k, 2)."""
        return np.argwhere(self.visits == 0)


def estimate_policies(
    seen: Observation, method: Method = "smoothing", strength: float | None = None
) -> PolicyEstimates:
    """Estimate every agent's policies; the observer's own are known and taken as they are.

    Parameters
    ----------
    method
        ``"smoothing"``: `additive_smoothing`. ``"maximum_likelihood"``: the shares seen.
        ``"entropy"``: `entropy_regularised`, Eq. 10.
    strength
        Pseudo-count an action of smoothing (default 0.5), or lambda of Eq. 10 (default 0.3).
    """
    checks.instance(seen, Observation, "seen", "see LearningLog.observed_by")
    checks.choice(method, "method", ("smoothing", "maximum_likelihood", "entropy"))
    if method == "maximum_likelihood" and strength is not None:
        raise ValueError(f"strength must be left out with maximum likelihood, got {strength}")
    estimates = []
    for agent in range(seen.dynamics.n_agents):
        if agent == seen.observer:
            estimates.append(seen.own_policies)
            continue
        counts = seen.own_counts(agent)
        if method == "maximum_likelihood":
            estimates.append(maximum_likelihood(counts))
        elif method == "smoothing":
            estimates.append(additive_smoothing(counts, 0.5 if strength is None else strength))
        else:
            estimates.append(entropy_regularised(counts, 0.3 if strength is None else strength))
    return PolicyEstimates(tuple(estimates), seen.counts.sum(axis=-1))


def maximum_likelihood(counts: npt.ArrayLike) -> FloatArray:
    """Shares of the actions seen: Eq. 10 with lambda = 0.

    Parameters
    ----------
    counts
        Whole numbers of shape (..., A_i).

    Returns
    -------
    ndarray
        Probabilities of the same shape; NaN where nothing was seen.
    """
    numbers, total = _with_totals(counts)
    shares = np.full_like(numbers, np.nan)
    np.divide(numbers, total, out=shares, where=total > 0)
    return shares


def additive_smoothing(counts: npt.ArrayLike, strength: float = 0.5) -> FloatArray:
    """Shares after adding ``strength`` to the count of every action.

    With one half, differences of logarithms between actions, on which improvements depend, are
    biased only in the second order of the number of visits.

    Parameters
    ----------
    counts
        Whole numbers of shape (..., A_i).
    strength
        Pseudo-count, greater than 0.

    Returns
    -------
    ndarray
        Probabilities of the same shape; NaN where nothing was seen.
    """
    numbers, total = _with_totals(counts)
    padded = numbers + checks.positive(strength, "strength")
    return np.asarray(np.where(total > 0, padded / padded.sum(axis=-1, keepdims=True), np.nan))


def entropy_regularised(counts: npt.ArrayLike, lambda_: float = 0.3) -> FloatArray:
    """The optimum of Eq. 10, entropy-regularised maximum likelihood, to machine precision.

    Maximises sum_a f_a ln p_a + lambda H(p) in every state, f the shares seen: Eq. 10 with its
    sign put right (as printed it has no maximum). The optimum is p_a = f_a / (lambda W_a),
    W_a = W(exp(c + ln(f_a / lambda))) with Lambert's W; the scalar c makes p sum to 1 and is
    found by Newton steps from 1 / lambda, which approach it from below.

    Parameters
    ----------
    counts
        Whole numbers of shape (..., A_i).
    lambda_
        Weight of the entropy, greater than 0. Its bias does not fade with more data.

    Returns
    -------
    ndarray
        Probabilities of the same shape; NaN where nothing was seen.
    """
    lambda_ = checks.positive(lambda_, "lambda_")
    shares = maximum_likelihood(counts)
    seen = ~np.isnan(shares).any(axis=-1)
    f = shares[seen]
    if f.size == 0:
        return shares
    with np.errstate(divide="ignore"):
        log_f = np.log(f / lambda_)
    c = np.full((len(f), 1), 1 / lambda_)
    for _ in range(50):
        p, w = _stationary(f, log_f, c, lambda_)
        step = (p.sum(axis=-1, keepdims=True) - 1) / (p / (1 + w)).sum(axis=-1, keepdims=True)
        c = c + step
        if (np.abs(step) <= 1e-14 * c).all():
            break
    else:
        raise RuntimeError(f"Newton's steps for Eq. 10 do not settle with lambda_ = {lambda_:g}")
    p, _ = _stationary(f, log_f, c, lambda_)
    result = np.full_like(shares, np.nan)
    result[seen] = p / p.sum(axis=-1, keepdims=True)
    return result


def _with_totals(counts: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Counts as floats, (..., A_i), and their sums over actions, (..., 1)."""
    numbers = checks.counts(counts, "counts")
    if numbers.ndim == 0:
        raise ValueError("counts must have an axis of actions, got a single number")
    return numbers, numbers.sum(axis=-1, keepdims=True)


def _stationary(
    f: FloatArray, log_f: FloatArray, c: FloatArray, lambda_: float
) -> tuple[FloatArray, FloatArray]:
    # Wright's omega is Lambert's W of an exponential, without the overflow of the exponential.
    w = np.where(f > 0, wrightomega(np.where(f > 0, log_f + c, 0.0)), 0.0)
    unseen = np.exp(-np.broadcast_to(c, f.shape))
    return np.where(f > 0, f / (lambda_ * np.where(f > 0, w, 1.0)), unseen), w
