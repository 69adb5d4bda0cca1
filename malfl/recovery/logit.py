"""Rewards from improved policies, read as a regression on their logits.

A soft improvement is a softmax of Q / alpha (MA-LfL, Eq. 6), and Q is affine in the reward of the
states. So the actions seen under improved policies are a multinomial regression whose coefficients
are the reward; shapings are not needed. What a learner's values are off by is a random error of
each logit, and a normal prior keeps directions that the data barely fix from taking errors for
reward. Both variances are chosen by the evidence: the likelihood with reward and errors integrated
out.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.linalg import inv
from scipy.special import log_softmax, softmax

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.recovery.reward import (
    Determination,
    Evidence,
    NothingToLearnError,
    RecoveredReward,
    determination_of,
)
from malfl.values import Value, freeze

MOST_ROUNDS = 500
NEGLIGIBLE = 0.01  # of the variance of a logit: a part that may be left to fall further
LEAST_FOUND = 0.05  # of a single number: a reward of which less is found is none
STRIDE = 3  # steps of the fixed point for errors taken in one while it keeps its direction
LEAST_ERROR = 1e-12  # variance of logits that cannot be told from none
ROUNDING = 1e-12  # between actions, relative to the largest slope


@dataclass(frozen=True, eq=False)
class AffineLogits:
    """Logits of an agent's policies pi_1, pi_2, ...: ``slopes @ reward + constants``."""

    slopes: FloatArray  #: (H, S, A_i, S), by the reward of each state
    constants: FloatArray  #: (H, S, A_i)
    known: npt.NDArray[np.bool_]  #: (H, S, A_i), where the learner had a value to improve by
    variances: FloatArray  #: (H, S, A_i), of errors that are known to be there

    def policies(self, reward: FloatArray) -> FloatArray:
        """The improved policies, (H, S, A_i), if the agent has this reward."""
        return np.asarray(softmax(self.slopes @ reward + self.constants, axis=-1))

    def first(self, improvements: int) -> "AffineLogits":
        """The first so many of them."""
        return replace(
            self,
            slopes=self.slopes[:improvements],
            constants=self.constants[:improvements],
            known=self.known[:improvements],
            variances=self.variances[:improvements],
        )


@dataclass(frozen=True, eq=False)
class LogitFit(Value):
    """A multinomial regression on logits that are affine in the reward."""

    steps: int
    moved: float  #: the reward's last relative move
    converged: bool
    evidence: Evidence
    information: FloatArray  #: (S, S), of the data alone
    unknowns: int  #: states whose reward some logit depends on
    beta: float | None = None  #: step size of the learner that was replayed

    def __post_init__(self) -> None:
        freeze(self.information)

    @property
    def determination(self) -> Determination:
        """By the eigenvalues of the information."""
        return determination_of(self.information, self.unknowns)

    def lines(self) -> list[str]:
        """For a summary."""
        beta = [] if self.beta is None else [f"Replayed with step size {self.beta:.4g}"]
        return beta + self.evidence.lines()


class _Data(NamedTuple):
    """Choices among actions, G of them: those (h, s) with anything to learn from."""

    slopes: FloatArray  # (G, A_i, S)
    constants: FloatArray  # (G, A_i)
    counts: FloatArray  # (G, A_i)
    known: npt.NDArray[np.bool_]  # (G, A_i)
    variances: FloatArray  # (G, A_i)


def recover_from_logits(
    logits: AffineLogits, counts: FloatArray, alpha: float, tolerance: float = 1e-4
) -> RecoveredReward:
    """Fit a reward of the state to the actions seen under improved policies.

    Counts are multinomial with logits X r + c + e, rewards r of variance rho^2 and errors e of
    variance tau^2, beyond what is known of it, all normal and independent. Rewards and errors are
    found together by Newton's steps (penalised quasi-likelihood, Breslow and Clayton 1993), each
    followed by one step of Schall's (1991) fixed point for the variances.

    Parameters
    ----------
    logits
        Of pi_1..pi_H.
    counts
        Of the agent's own actions under them, (H, S, A_i).
    alpha
        Entropy coefficient, the first guess at the size of rewards.
    tolerance
        How far the last round may move the reward, relative to its largest value.

    Returns
    -------
    RecoveredReward
        Zero throughout if the evidence is for no reward at all.

    Raises
    ------
    ValueError
        If shapes disagree.
    NothingToLearnError
        If no policy that was seen depends on the reward.
    """
    counts = checks.counts(counts, "counts")
    if counts.shape != logits.constants.shape:
        raise ValueError(f"counts must have shape {logits.constants.shape}, got {counts.shape}")
    data = _informative(logits, counts)
    found = _regress(data, alpha, tolerance)
    likelihood = _log_likelihood(data, found)
    touched = np.abs(found.rows).max(axis=0) > ROUNDING * np.abs(data.slopes).max()
    # A constant is a shaping, or next to one: deviations are of what is left without it.
    centring = np.where(touched, np.eye(len(touched)) - touched / touched.sum(), 0.0)
    variances = np.diag(centring @ found.covariance @ centring.T)
    deviation = np.sqrt(np.maximum(variances, 0.0))
    return RecoveredReward(
        values=np.where(touched, found.reward, np.nan),
        reward_class="state",
        diagnostics=LogitFit(
            steps=found.rounds,
            moved=found.moved,
            converged=found.settled,
            evidence=Evidence(found.error, found.prior, likelihood),
            information=found.information,
            unknowns=int(touched.sum()),
        ),
        deviation=np.where(touched, deviation, np.nan),
    )


class _Regression(NamedTuple):
    """Where the regression came to an end."""

    reward: FloatArray  # (S,)
    eta: FloatArray  # (G, A_i), logits, errors included
    spread: FloatArray  # (G, A_i), variances of their errors
    rows: FloatArray  # (G * A_i, S), slopes, centred
    information: FloatArray  # (S, S), of the data alone
    covariance: FloatArray  # (S, S), of the reward
    error: float  # variance of errors beyond those that are known
    prior: float  # variance of rewards
    rounds: int
    moved: float  # the reward's last move, relative to its largest value
    settled: bool


def _regress(data: _Data, alpha: float, tolerance: float) -> _Regression:
    """Newton's steps for reward and errors, each followed by a step for the variances."""
    states = data.slopes.shape[-1]
    unit = np.eye(states)
    total = data.counts.sum(axis=-1, keepdims=True)
    eta = np.log(data.counts + 0.5)
    reward, error, prior, growth = np.zeros(states), 0.01, alpha**2, 1.0
    for rounds in range(1, MOST_ROUNDS + 1):  # noqa: B007
        progress.advance()
        expected = np.maximum(total * softmax(_masked(eta, data.known), axis=-1), 1e-12)
        response = eta - data.constants + (data.counts - expected) / expected
        spread = error + data.variances
        weights = np.where(data.known, 1 / (spread + 1 / expected), 0.0)
        shares = weights / weights.sum(axis=-1, keepdims=True)
        # A logit counts relative to the others of its state, whence the centring.
        response -= (shares * response).sum(axis=-1, keepdims=True)
        rows = (data.slopes - shares[:, None, :] @ data.slopes).reshape(-1, states)
        roots = np.sqrt(weights).reshape(-1, 1)
        scaled = rows * roots
        information = scaled.T @ scaled  # of one array with itself, for half the work
        weighted = scaled * roots
        covariance = inv(information + unit / prior)
        before, reward = reward, covariance @ (weighted.T @ response.ravel())
        pull = weights * (response - (rows @ reward).reshape(response.shape))
        eta = data.constants + data.slopes @ reward + spread * pull
        freedom = (weights * (1 - shares)).sum() - (covariance * (weighted.T @ weighted)).sum()
        earlier, growth = growth, float((pull**2).sum() / freedom)
        stride = STRIDE if (growth > 1) == (earlier > 1) else 1
        error = max(error * growth**stride, LEAST_ERROR)
        found = float((covariance * information).sum())  # how many numbers the data speak of
        prior = float(reward @ reward / found) if found > 0 else 0.0
        if found < LEAST_FOUND or prior == 0:
            # The data cannot tell this reward from none.
            reward, prior, moved, settled = np.zeros(states), 0.0, 0.0, True
            eta = data.constants + spread * pull
            break
        moved = float(np.abs(reward - before).max() / np.abs(reward).max())
        share = error * float((weights * (1 - shares)).sum()) / (data.known.sum() - len(total))
        steady = abs(growth - 1) <= 0.01 or (growth < 1 and share <= NEGLIGIBLE)
        settled = bool(moved <= tolerance and steady)
        if settled:
            break
    return _Regression(
        reward, eta, spread, rows, information, covariance, error, prior, rounds, moved, settled
    )


def _informative(logits: AffineLogits, counts: FloatArray) -> _Data:
    counts = np.where(logits.known, counts, 0.0)
    chosen = (logits.known.sum(axis=-1) > 1) & (counts.sum(axis=-1) > 0)
    data = _Data(
        logits.slopes[chosen],
        logits.constants[chosen],
        counts[chosen],
        logits.known[chosen],
        logits.variances[chosen],
    )
    differences = np.ptp(data.slopes, axis=1).max(initial=0.0)
    if differences <= ROUNDING * np.abs(data.slopes).max(initial=0.0):
        raise NothingToLearnError(
            "the improved policies do not depend on a reward of the state, or were not seen; "
            "there is nothing to learn from"
        )
    return data


def _masked(eta: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
    return np.where(known, eta, -np.inf)


def _log_likelihood(data: _Data, found: _Regression) -> float:
    """Of the counts, with reward and errors (G, A_i) integrated out by Laplace's method."""
    eta, reward, variances, prior = found.eta, found.reward, found.spread, found.prior
    log_odds = log_softmax(_masked(eta, data.known), axis=-1)
    total = data.counts.sum(axis=-1)
    expected = np.where(data.known, total[:, None] * np.exp(log_odds), 0.0)
    errors = eta - data.constants - data.slopes @ reward
    spread = variances * expected
    # The determinant of 1 + variances * (diag(expected) - expected expected' / total), per choice.
    rest = (expected / (1 + spread)).sum(axis=-1) / total
    _, size = np.linalg.slogdet(prior * found.information + np.eye(len(reward)))
    return float(
        (data.counts * np.where(data.known, log_odds, 0.0)).sum()
        - 0.5 * (errors**2 / variances).sum()
        - (0.5 * reward @ reward / prior if prior > 0 else 0.0)
        - 0.5 * (np.log1p(spread).sum() + np.log(rest).sum() + size)
    )
