"""Policies from counts of the actions seen (MA-LfL, Section 5.1).

A state never visited says nothing about the policy in it: its row is NaN, whatever the method.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.special import log_softmax, softmax, wrightomega

from malfl import checks
from malfl.adam import adam
from malfl.checks import FloatArray, IntArray
from malfl.games import Dynamics, Policies
from malfl.logs import Observation

Method = Literal["smoothing", "maximum_likelihood", "entropy", "descent"]
METHODS: tuple[Method, ...] = ("smoothing", "maximum_likelihood", "entropy", "descent")


@dataclass(frozen=True, eq=False)
class PolicyEstimates:
    """What an observer takes the policies pi_0..pi_{n-1} of all agents to be."""

    policies: Policies  #: one (n, S, A_i) array an agent; NaN in states never visited
    visits: FloatArray  #: (n, S)

    def first(self, iterations: int) -> "PolicyEstimates":
        """Those of the first so many iterations."""
        policies = tuple(policy[:iterations] for policy in self.policies)
        return PolicyEstimates(policies, self.visits[:iterations])

    @property
    def unvisited(self) -> IntArray:
        """Pairs (iteration, state) that were never visited, shape (k, 2)."""
        return np.argwhere(self.visits == 0)


def estimate_policies(
    seen: Observation,
    method: Method = "smoothing",
    strength: float | None = None,
    seed: int | np.random.Generator | None = None,
) -> PolicyEstimates:
    """Estimate every agent's policies; the observer's own are known and taken as they are.

    Parameters
    ----------
    method
        ``"smoothing"``: `additive_smoothing`. ``"maximum_likelihood"``: the shares seen.
        ``"entropy"``: `entropy_regularised`, Eq. 10. ``"descent"``: `descended`, the few steps
        towards Eq. 10 that the paper takes.
    strength
        Pseudo-count an action of smoothing (default 0.5), or lambda of Eq. 10 (default 0.3).
    seed
        Of the logits that descent begins with, needed for it only.
    """
    checks.instance(seen, Observation, "seen", "see LearningLog.observed_by")
    checks.choice(method, "method", METHODS)
    if method == "maximum_likelihood" and strength is not None:
        raise ValueError(f"strength must be left out with maximum likelihood, got {strength}")
    if (seed is None) == (method == "descent"):
        raise ValueError(f"seed must be given for descent, and only for it; got {seed}")
    rng = None if seed is None else checks.generator(seed)
    estimates = []
    for agent in range(seen.dynamics.n_agents):
        counts = seen.own_counts(agent)
        if agent == seen.observer and seen.own_policies is not None:
            estimates.append(seen.own_policies)
        elif method == "maximum_likelihood":
            estimates.append(maximum_likelihood(counts))
        elif method == "smoothing":
            estimates.append(additive_smoothing(counts, 0.5 if strength is None else strength))
        elif rng is None:
            estimates.append(entropy_regularised(counts, 0.3 if strength is None else strength))
        else:
            estimates.append(descended(counts, 0.3 if strength is None else strength, seed=rng))
    return PolicyEstimates(tuple(estimates), seen.counts.sum(axis=-1))


def estimate_dynamics(seen: Observation) -> Dynamics:
    """The rules of the game as the moves that were seen tell them: shares of the next states.

    Where a joint action was never taken in a state, every next state is taken for equally likely.
    Start and discount are those of ``seen``. To recover rewards without knowing the rules, pass
    ``dataclasses.replace(seen, dynamics=estimate_dynamics(seen))`` on.

    Raises
    ------
    ValueError
        If trajectories were not recorded.
    """
    checks.instance(seen, Observation, "seen", "see LearningLog.observed_by")
    if seen.trajectories is None:
        raise ValueError("seen has no trajectories; learn with record=True")
    states, codes = seen.dynamics.n_states, seen.dynamics.n_states * seen.dynamics.n_joint_actions
    parts = []
    for played in seen.trajectories:
        after = np.concatenate(
            [played.steps[:, 1:] // played.n_joint_actions, played.last[:, None]], axis=1
        )
        seen_once = (np.ones(after.size), (played.steps.ravel(), after.ravel()))
        parts.append(csr_array(coo_array(seen_once, shape=(codes, states))))
    moves = csr_array(sum(parts[1:], start=parts[0]))
    total = np.asarray(moves.sum(axis=1))
    moves.data /= np.repeat(total, np.diff(moves.indptr))
    (never,) = np.nonzero(total == 0)
    checks.memory(32 * never.size * states, f"{never.size} unseen moves", "observe more episodes")
    anywhere = csr_array(
        (
            np.full(never.size * states, 1 / states),
            (np.repeat(never, states), np.tile(np.arange(states), never.size)),
        ),
        shape=moves.shape,
    )
    return Dynamics(
        actions=seen.dynamics.actions,
        transitions=csr_array(moves + anywhere),
        start=seen.dynamics.start,
        gamma=seen.dynamics.gamma,
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


def descended(
    counts: npt.ArrayLike,
    lambda_: float = 0.3,
    *,
    steps: int = 10,
    rate: float = 0.1,
    seed: int | np.random.Generator,
) -> FloatArray:
    """Some steps of Adam towards Eq. 10, as MA-LfL's program takes them (Table 3).

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
    if checks.real(lambda_, "lambda_") < 0:
        raise ValueError(f"lambda_ must be 0 or more, got {lambda_}")

    def gradient(logits: FloatArray) -> FloatArray:
        p, log_p = softmax(logits, axis=-1), log_softmax(logits, axis=-1)
        surprise = log_p - (p * log_p).sum(axis=-1, keepdims=True)
        return np.asarray(total * p - numbers + lambda_ * total * p * surprise)

    logits = adam(gradient, checks.generator(seed).random(numbers.shape), steps, rate)
    return np.asarray(np.where(total > 0, softmax(logits, axis=-1), np.nan))


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
