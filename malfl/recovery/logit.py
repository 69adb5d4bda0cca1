"""Rewards from improved policies, read as a regression on their logits.

A soft improvement is a softmax of Q / alpha (MA-LfL, Eq. 6), and Q is affine in the reward. So the
actions seen under improved policies are a multinomial regression whose coefficients are the reward;
shapings are not needed. What a learner's values are off by is a random error of each logit. A
normal prior keeps directions that the data barely fix from taking errors for reward: its variance
is not known and is integrated over. The variance of unexplained errors is the likeliest one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.linalg import cholesky, inv
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.recovery.classes import Space
from malfl.recovery.factored import ChosenFactored, FactoredSlopes
from malfl.recovery.parts import Factor, Symmetric
from malfl.recovery.patterns import PatternedSlopes
from malfl.recovery.prior import PRIOR_SCALE, Posterior, integrate
from malfl.recovery.reading import read
from malfl.recovery.reward import (
    Determination,
    Evidence,
    NothingToLearnError,
    RecoveredReward,
    determination_of,
)
from malfl.recovery.slopes import Slopes
from malfl.recovery.trust import Promise, informed
from malfl.values import Value, freeze

MOST_STEPS = 100  # of Newton's method for one pair of variances
HALVINGS = 30  # of a step that goes too far
GAIN = 1e-3  # of the log-likelihood that one more step may still promise
LEAST_ERROR = 1e-12  # variance of logits that cannot be told from none
FIRST_ERROR, LARGEST_ERROR = 0.01, 100.0
STRIDE = 100.0  # from one variance of errors to the next, before they are looked at closely
FAR = 30.0  # ratio of deviations of the prior from which on errors are looked for once more
RARE = 1e-30  # probability below which none counts
ROUNDING = 1e-12  # between actions, relative to the largest slope


@dataclass(frozen=True, eq=False)
class AffineLogits:
    """Logits of an agent's policies pi_1, pi_2, ...: ``slopes @ reward + constants``."""

    #: (H, S, A_i, K), by each of the K numbers of the reward.
    slopes: FloatArray | PatternedSlopes | FactoredSlopes
    constants: FloatArray  #: (H, S, A_i)
    known: npt.NDArray[np.bool_]  #: (H, S, A_i), where the learner had a value to improve by
    variances: FloatArray  #: (H, S, A_i), of errors that are known to be there

    def policies(self, reward: FloatArray) -> FloatArray:
        """The improved policies, (H, S, A_i), if the agent has this reward."""
        if isinstance(self.slopes, np.ndarray):
            logits = np.asarray(self.slopes @ reward)
        else:
            logits = self.slopes.at(reward)
        return np.asarray(softmax(logits + self.constants, axis=-1))

    @property
    def numbers(self) -> int:
        """How many numbers K the reward is."""
        if isinstance(self.slopes, np.ndarray):
            return int(self.slopes.shape[-1])
        return self.slopes.numbers

    def first(self, improvements: int) -> "AffineLogits":
        """The first so many of them."""
        return replace(
            self,
            slopes=(
                self.slopes[:improvements]
                if isinstance(self.slopes, np.ndarray)
                else self.slopes.first(improvements)
            ),
            constants=self.constants[:improvements],
            known=self.known[:improvements],
            variances=self.variances[:improvements],
        )


@dataclass(frozen=True, eq=False)
class LogitFit(Value):
    """A multinomial regression on logits that are affine in the reward."""

    steps: int  #: of Newton's method
    converged: bool
    evidence: Evidence
    information: FloatArray  #: (K, K), of the data alone
    unknowns: int  #: numbers of the reward that some logit depends on
    promise: Promise
    beta: float | None = None  #: step size of the learner, if it learns by temporal differences

    def __post_init__(self) -> None:
        freeze(self.information)

    @property
    def determination(self) -> Determination:
        """By the eigenvalues of the information."""
        return determination_of(self.information, self.unknowns)

    def lines(self) -> list[str]:
        """For a summary."""
        beta = [] if self.beta is None else [f"Learns with step size {self.beta:.4g}"]
        return beta + self.evidence.lines()


class _Choices(NamedTuple):
    """Choices among actions, G of them: those (h, s) with anything to learn from."""

    slopes: Slopes | ChosenFactored  # (G, A_i, K), in units of alpha
    constants: FloatArray  # (G, A_i)
    counts: FloatArray  # (G, A_i)
    known: npt.NDArray[np.bool_]  # (G, A_i)
    variances: FloatArray  # (G, A_i)


def recover_from_logits(
    logits: AffineLogits,
    counts: FloatArray,
    alpha: float,
    space: Space | None = None,
    beta: float | None = None,
    shown: FloatArray | None = None,
) -> RecoveredReward:
    """Fit a reward to the actions seen under improved policies.

    Counts are multinomial with logits X r + c + e, rewards r of variance rho^2 and errors e of
    variance tau^2, beyond what is known of it, all normal and independent. For given variances the
    likeliest r and e are found by damped Newton's steps (penalised quasi-likelihood, Breslow and
    Clayton 1993), and Laplace's method gives the evidence. The deviation rho has a half-Cauchy
    prior of scale 10 alpha and is integrated over; tau is the likeliest.

    Parameters
    ----------
    logits
        Of pi_1..pi_H.
    counts
        Of the agent's own actions under them, (H, S, A_i).
    alpha
        Entropy coefficient, the unit of rewards.
    space
        The rewards whose numbers the slopes belong to; by default those of the state.
    beta
        The learner's step size, to be noted.
    shown
        An orthonormal basis (entries, k) of what the promise is about; by default all that the
        data say anything of.

    Returns
    -------
    RecoveredReward
        The posterior's mean and deviations. Where the data say little, the mean is near zero and
        the deviation large.

    Raises
    ------
    ValueError
        If shapes disagree.
    NothingToLearnError
        If no policy that was seen depends on the reward.
    """
    counts = checks.counts(counts, "counts")
    choices = _informative(logits, counts, alpha)
    search = _Search(choices)
    found = _posterior(search)
    space = Space("state", logits.numbers) if space is None else space
    if shown is None:
        shown = informed(search.information)
        if space.basis is not None:
            shown = np.linalg.qr(space.basis @ shown)[0]
    touched = choices.slopes.apart(choices.known) > ROUNDING * choices.slopes.largest()
    reading = read(found, touched, alpha, space, logits.constants.shape[1], shown)
    return RecoveredReward(
        values=reading.values,
        reward_class=space.reward_class,
        diagnostics=LogitFit(
            steps=search.steps,
            converged=found.converged,
            evidence=Evidence(search.error, found.prior * alpha**2, found.log_likelihood),
            information=search.information / alpha**2,
            unknowns=int(touched.sum()),
            promise=reading.promise,
            beta=beta,
        ),
        deviation=reading.deviation,
        weights=reading.weights,
        weight_deviation=reading.weight_deviation,
    )


def evidence_of_logits(logits: AffineLogits, counts: FloatArray, alpha: float) -> float:
    """The logarithm of the evidence for logits, as `recover_from_logits` weighs it.

    Raises
    ------
    ValueError, NothingToLearnError
        As that does.
    """
    return _posterior(_Search(_informative(logits, counts, alpha))).log_likelihood


def glance_at_logits(
    logits: AffineLogits, counts: FloatArray, alpha: float, errors: Sequence[float]
) -> tuple[FloatArray, float]:
    """The likeliest reward (K,) for one wide prior and the best of some variances of errors.

    Cheap, and enough to tell variances or step sizes by it.

    Returns
    -------
    (reward, evidence)
        As far as the evidence rises along ``errors``.

    Raises
    ------
    NothingToLearnError
        As `recover_from_logits` does.
    """
    search = _Search(_informative(logits, counts, alpha))
    best = np.zeros(logits.numbers), -np.inf
    for error in errors:
        search.error = error
        search.climb(PRIOR_SCALE)
        evidence = search.evidence(PRIOR_SCALE)
        if evidence <= best[1]:
            break
        best = alpha * search.reward, evidence
    return best


def information_at(
    logits: AffineLogits, counts: FloatArray, alpha: float, reward: FloatArray
) -> FloatArray:
    """What is to be expected of counts in these states if an agent has this reward.

    Fisher's information on the reward, errors of logits of the known variances integrated out, as
    far as counts are nearly normal.

    Parameters
    ----------
    reward
        Shape (K,).

    Returns
    -------
    ndarray
        Shape (K, K).

    Raises
    ------
    ValueError, NothingToLearnError
        As `recover_from_logits` does.
    """
    counts = checks.counts(counts, "counts")
    search = _Search(_informative(logits, counts, alpha))
    search.linearise_at(reward / alpha)
    return np.asarray(search.information / alpha**2)


def _posterior(search: "_Search") -> Posterior:
    """At the likeliest variance of errors, which hardly depends on the prior's deviation."""
    search.error = _likeliest_error(search, PRIOR_SCALE)
    found = integrate(search)
    size = float(np.sqrt(found.prior))
    if search.error > LEAST_ERROR and not 1 / FAR < size / PRIOR_SCALE < FAR:
        search.error = _likeliest_error(search, size)
        found = integrate(search)
    return found


def _likeliest_error(search: "_Search", prior: float) -> float:
    """The variance of unexplained errors, looked for from a middling one up or down."""

    def likelihood(error: float) -> float:
        search.error = error
        search.climb(prior)
        return search.evidence(prior)

    error, highest = FIRST_ERROR, likelihood(FIRST_ERROR)
    step = STRIDE if search.slope_by_error(prior) > 0 else 1 / STRIDE
    while LEAST_ERROR < error < LARGEST_ERROR:
        there = likelihood(error * step)
        if there < highest:
            break
        error, gain, highest = error * step, there - highest, there
        if step < 1 and gain < GAIN:
            return LEAST_ERROR
    if error <= LEAST_ERROR:
        return LEAST_ERROR
    bounds = np.log(error / STRIDE), np.log(error * STRIDE)
    best = minimize_scalar(
        lambda log_error: -likelihood(float(np.exp(log_error))), bounds=bounds, method="bounded",
        options={"xatol": 0.3},
    )  # fmt: skip
    return float(np.exp(best.x))


class _Search:
    """The likeliest reward and errors for given variances; see `malfl.recovery.prior.Search`.

    Errors are their variances times a pull, which has no variance to divide by.
    """

    def __init__(self, choices: _Choices) -> None:
        self._choices, self._total = choices, choices.counts.sum(axis=-1, keepdims=True)
        self.reward = np.zeros(choices.slopes.shape[-1])
        self.steps = 0
        self.error = FIRST_ERROR  # variance beyond what is known
        self._enough = GAIN + np.finfo(np.float64).eps * float(self._total.sum())
        self._pull = np.zeros_like(choices.counts)
        self._linearised: float | None = None  # for which variance of errors
        self._factored: tuple[float, Factor] | None = None  # for which prior, and the factor

    def climb(self, prior: float) -> bool:
        """Find them for this deviation of the prior; whether they were found."""
        error = self.error
        if self._linearised is None:
            self._linearise(np.log(self._choices.counts + 0.5), error)
        elif self._linearised != error:
            self._linearise(self._logits(self.reward, self._pull, error), error)
        fresh = False
        for _ in range(MOST_STEPS):
            progress.advance()
            reward, pull = self._target(prior)
            along, pulled = reward - self.reward, pull - self._pull
            rise = self._rise(along, pulled, prior, error)
            now = self._value(self.reward, self._pull, prior, error)
            share = 1.0
            for _ in range(HALVINGS):
                there = self.reward + share * along, self._pull + share * pulled
                if self._value(*there, prior, error) >= now + 1e-4 * share * min(rise, 0.0):
                    self.reward, self._pull = there
                    break
                share /= 2
            else:
                share = 0.0
            if abs(rise) <= self._enough and (share == 1 or fresh):
                return True
            self._linearise(self._logits(self.reward, self._pull, error), error)
            fresh = True
        return False

    def linearise_at(self, reward: FloatArray) -> None:
        """Take counts for normal around the logits of a reward, without unknown errors."""
        self._linearise(self._logits(reward, self._pull, 0.0), 0.0)

    @property
    def information(self) -> FloatArray:
        """Of the data alone on the reward, (K, K)."""
        return self._square.whole()

    def evidence(self, prior: float) -> float:
        """The likelihood of the counts, with reward and errors integrated out (Laplace)."""
        value = self._value(self.reward, self._pull, prior, self.error)
        size = np.log(prior * self._factor(prior).diagonal()).sum()
        return float(value - self._size - size)

    def covariance(self, prior: float) -> Symmetric:
        """Of the reward, (K, K)."""
        return self._factor(prior).inverse()

    def slope_by_error(self, prior: float) -> float:
        """How the evidence rises with the variance of errors, from where it was linearised."""
        back = self._half.swapaxes(1, 2) @ self._inverse.swapaxes(1, 2)
        carried = self._factor(prior).trace(self._rows.mixed(back).square())
        return 0.5 * float((self._pull**2).sum() - (back**2).sum() + carried)

    def _factor(self, prior: float) -> Factor:
        """The Cholesky factor of the reward's information, the prior's included."""
        if self._factored is None or self._factored[0] != prior:
            self._factored = prior, self._square.factor(prior**-2)
        return self._factored[1]

    def _logits(self, reward: FloatArray, pull: FloatArray, error: float) -> FloatArray:
        given = self._choices
        errors = (given.variances + error) * pull
        return np.asarray(given.constants + given.slopes.at(reward) + errors)

    def _log_odds(self, logits: FloatArray) -> FloatArray:
        # SciPy's log_softmax takes three times as long for so few actions.
        logits = np.where(self._choices.known, logits, -np.inf)
        logits -= logits.max(axis=-1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))

    def _value(self, reward: FloatArray, pull: FloatArray, prior: float, error: float) -> float:
        """The logarithm of the joint density of counts, errors and reward, but for constants."""
        given = self._choices
        odds = np.where(given.known, self._log_odds(self._logits(reward, pull, error)), 0.0)
        fit = float((given.counts * odds).sum())
        errors = float(((given.variances + error) * pull**2).sum())
        return fit - 0.5 * errors - 0.5 * float(reward @ reward) / prior**2

    def _rise(self, along: FloatArray, pulled: FloatArray, prior: float, error: float) -> float:
        """The slope of that density along a step."""
        given = self._choices
        odds = self._log_odds(self._logits(self.reward, self._pull, error))
        rest = given.counts - self._total * np.exp(odds)
        by_reward = given.slopes.along(rest) - self.reward / prior**2
        by_pull = (given.variances + error) * (rest - self._pull)
        return float(by_reward @ along + (by_pull * pulled).sum())

    def _linearise(self, logits: FloatArray, error: float) -> None:
        """Take the counts for normal around these logits.

        A choice has the information D^(1/2) (1 - u u') D^(1/2), with D the expected counts and u
        the roots of the probabilities; errors included, (1 - u u') D^(1/2) is whitened by the
        Cholesky factor of 1 + (1 - u u') D^(1/2) V D^(1/2) (1 - u u').
        """
        given, self._linearised = self._choices, error
        self.steps += 1
        odds = np.exp(self._log_odds(logits))
        odds = np.where(given.known, np.maximum(odds, RARE), 0.0)
        odds /= odds.sum(axis=-1, keepdims=True)
        expected, roots = self._total * odds, np.sqrt(odds)
        unit = np.eye(odds.shape[-1])
        half = (unit - roots[:, :, None] * roots[:, None, :]) * np.sqrt(expected)[:, None, :]
        factor = cholesky(
            unit + (half * (given.variances + error)[:, None, :]) @ half.swapaxes(1, 2)
        )
        self._half, self._inverse = half, inv(factor)
        scaled = np.sqrt(np.where(given.known, expected, 1.0))
        rest = np.where(given.known, (given.counts - expected) / scaled, 0.0)
        rest -= roots * (roots * rest).sum(axis=-1, keepdims=True)
        response = (half @ (logits - given.constants)[..., None])[..., 0] + rest
        self._rows: Slopes | ChosenFactored = given.slopes.mixed(half).mixed(self._inverse)
        self._response = (self._inverse @ response[..., None])[..., 0]
        self._square = self._rows.square()
        self._along = self._rows.along(self._response)
        self._factored = None
        self._size = float(np.log(np.diagonal(factor, axis1=1, axis2=2)).sum())

    def _target(self, prior: float) -> tuple[FloatArray, FloatArray]:
        """The likeliest reward and pulls, counts taken for normal."""
        reward = self._factor(prior).solve(self._along)
        rest = self._response - self._rows.at(reward)
        white = (self._inverse.swapaxes(1, 2) @ rest[..., None])[..., 0]
        return reward, (self._half.swapaxes(1, 2) @ white[..., None])[..., 0]


def _informative(logits: AffineLogits, counts: FloatArray, alpha: float) -> _Choices:
    if counts.shape != logits.constants.shape:
        raise ValueError(f"counts must have shape {logits.constants.shape}, got {counts.shape}")
    counts = np.where(logits.known, counts, 0.0)
    chosen = (logits.known.sum(axis=-1) > 1) & (counts.sum(axis=-1) > 0)
    slopes: Slopes | ChosenFactored
    if isinstance(logits.slopes, np.ndarray):
        policies, states = np.nonzero(chosen)
        slopes = Slopes.of(logits.slopes[policies, states])
    else:
        states, policies = np.nonzero(chosen.T)  # sorted by state
        slopes = logits.slopes.chosen(policies, states)
    known = logits.known[policies, states]
    choices = _Choices(
        slopes.times(alpha, known),
        np.where(known, logits.constants[policies, states], 0.0),
        counts[policies, states],
        known,
        np.where(known, logits.variances[policies, states], 0.0),
    )
    largest = choices.slopes.apart(known).max(initial=0.0)
    if largest <= ROUNDING * choices.slopes.largest():
        raise NothingToLearnError(
            "the improved policies do not depend on the reward, or were not seen; "
            "there is nothing to learn from"
        )
    return choices
