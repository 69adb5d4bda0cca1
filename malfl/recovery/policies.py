"""Policies from counts of the actions seen (MA-LfL, Section 5.1).

A state never visited says nothing about the policy in it: its row is NaN, whatever the method.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, softmax, wrightomega

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.legal import only_legal, or_uniform
from malfl.games.markov import Policies
from malfl.play.view import View
from malfl.recovery.adam import adam
from malfl.values import Value, set_fields


@runtime_checkable
class PolicyFit(Protocol):
    """A way to estimate policies: a frozen value with its parameters."""

    def fit(self, counts: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Policies (n, S, A_i) from counts of the same shape; NaN where nothing was seen."""


def check_fit(value: object, name: str = "policies") -> None:
    """Raise unless ``value`` is a way to estimate policies."""
    checks.instance(value, PolicyFit, name, "such as Smoothing()")


@dataclass(frozen=True)
class Smoothing(Value):
    """Shares after adding a pseudo-count to every action; see `additive_smoothing`."""

    strength: float = 0.5

    def __post_init__(self) -> None:
        set_fields(self, strength=checks.squarable(self.strength, "strength"))

    def fit(self, counts: FloatArray, rng: np.random.Generator) -> FloatArray:
        """See `PolicyFit`."""
        return additive_smoothing(counts, self.strength)


@dataclass(frozen=True)
class MaximumLikelihood(Value):
    """The shares seen; see `maximum_likelihood`."""

    def fit(self, counts: FloatArray, rng: np.random.Generator) -> FloatArray:
        """See `PolicyFit`."""
        return maximum_likelihood(counts)


@dataclass(frozen=True)
class EntropyRegularised(Value):
    """The optimum of Eq. 10; see `entropy_regularised`."""

    lambda_: float = 0.3

    def __post_init__(self) -> None:
        set_fields(self, lambda_=checks.squarable(self.lambda_, "lambda_"))

    def fit(self, counts: FloatArray, rng: np.random.Generator) -> FloatArray:
        """See `PolicyFit`."""
        return entropy_regularised(counts, self.lambda_)


@dataclass(frozen=True)
class Descended(Value):
    """Some steps of Adam towards Eq. 10, as MA-LfL's program makes them; see `descended`."""

    lambda_: float = 0.3
    steps: int = 10
    rate: float = 0.1

    def __post_init__(self) -> None:
        set_fields(self, lambda_=_entropy_weight(self.lambda_))
        set_fields(
            self, steps=checks.count(self.steps, "steps"), rate=checks.squarable(self.rate, "rate")
        )

    def fit(self, counts: FloatArray, rng: np.random.Generator) -> FloatArray:
        """See `PolicyFit`."""
        return descended(counts, self.lambda_, steps=self.steps, rate=self.rate, seed=rng)


@dataclass(frozen=True)
class UniformWhereUnseen(Value):
    """Another fit, and uniform policies in states that were never visited."""

    fitted: PolicyFit

    def __post_init__(self) -> None:
        check_fit(self.fitted, "fitted")

    def fit(self, counts: FloatArray, rng: np.random.Generator) -> FloatArray:
        """See `PolicyFit`."""
        return or_uniform(self.fitted.fit(counts, rng))


def estimate_policies(
    view: View,
    by: PolicyFit = Smoothing(),
    seed: int | np.random.Generator = 0,
) -> Policies:
    """Estimate every agent's policies; the observer's own are known and taken as they are.

    Parameters
    ----------
    by
        `Smoothing`, `MaximumLikelihood`, `EntropyRegularised` (Eq. 10), `Descended` (the few steps
        towards Eq. 10 that the paper makes), or a fit of your own.
    seed
        Of fits that draw something.

    Returns
    -------
    Policies
        pi_0..pi_{n-1}, one (n, S, A_i) array an agent; NaN in states never visited.
    """
    checks.instance(view, View, "view", "see LearningLog.seen_by")
    check_fit(by, "by")
    rng = checks.generator(seed)
    return tuple(
        view.own_policies
        if agent == view.observer and view.own_policies is not None
        else only_legal(by.fit(view.own_counts(agent), rng), legal)
        for agent, legal in enumerate(view.dynamics.legal)
    )


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
    padded = numbers + checks.squarable(strength, "strength")
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
    lambda_ = checks.squarable(lambda_, "lambda_")
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
        raise ValueError(
            f"lambda_ must be nearer to 1 for Newton's steps to settle, got {lambda_:g}"
        )
    p, _ = _stationary(f, log_f, c, lambda_)
    result = np.full_like(shares, np.nan)
    result[seen] = p / p.sum(axis=-1, keepdims=True)
    return result


def descended(
    counts: npt.ArrayLike,
    lambda_: float = 0.3,
    *,
    steps: int = 10,
    rate: float = 0.1,
    seed: int | np.random.Generator,
) -> FloatArray:
    """Some steps of Adam towards Eq. 10, as MA-LfL's program makes them (Table 3).

    Logits begin between 0 and 1 at random. Ten steps of size 0.1 move each by about 1 at most, so
    probabilities that differ by more than a factor of e^3, about 20, cannot be reached.

    Parameters
    ----------
    counts
        Whole numbers of shape (..., A_i).
    lambda_
        Weight of the entropy, 0 or more.
    steps, rate
        Of Adam.
    seed
        Of the first logits.

    Returns
    -------
    ndarray
        Probabilities of the same shape; NaN where nothing was seen.
    """
    numbers, total = _with_totals(counts)
    lambda_ = _entropy_weight(lambda_)

    def gradient(logits: FloatArray) -> FloatArray:
        p, log_p = softmax(logits, axis=-1), log_softmax(logits, axis=-1)
        surprise = log_p - (p * log_p).sum(axis=-1, keepdims=True)
        return np.asarray(total * p - numbers + lambda_ * total * p * surprise)

    logits = adam(gradient, checks.generator(seed).random(numbers.shape), steps, rate)
    return np.asarray(np.where(total > 0, softmax(logits, axis=-1), np.nan))


def _entropy_weight(lambda_: float) -> float:
    return checks.squarable(lambda_, "lambda_") if checks.not_negative(lambda_, "lambda_") else 0.0


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
