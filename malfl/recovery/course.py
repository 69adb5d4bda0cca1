"""Rewards by which a whole course of learning is the likeliest.

If it is known how an agent learns, a reward of the state foretells all its policies, from the first
one on. The actions seen under them are a multinomial regression on the reward, not a linear one:
each policy is improved upon as it was foretold, not as it was seen. So a policy that was seen too
little to be estimated does no harm.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import OptimizeResult, minimize
from scipy.special import log_softmax, xlogy

from malfl import checks
from malfl.checks import FloatArray
from malfl.estimation import PolicyEstimates
from malfl.logs import Observation
from malfl.recovery import learner_models
from malfl.recovery.diagnostics import Convergence, NothingToLearnError, determination_of
from malfl.recovery.learner_models import Model
from malfl.recovery.result import RecoveredReward

MOST_STEPS = 100
# Norm of the slope by the rewards at which the search ends, relative to the first.
LEAST_SCORE = 1e-6
PATIENCE, GAIN = 10, 0.01  # steps in which the log-likelihood must grow by so much
STOPPED = 99  # SciPy's status of a search ended by what follows it
ROUNDING = 1e-12  # slopes below this share of the largest are none

#: Ways of learning whose course can be fitted.
MODELS = ("soft policy iteration", "soft value iteration", "Q-learning")


def model_of(
    learner: str, seen: Observation, of: int, estimates: PolicyEstimates, beta: float
) -> Model:
    """How agent ``of`` learns, if it is a ``learner``, from what was seen of the game.

    Parameters
    ----------
    learner
        One of `MODELS`.
    beta
        Step size of Q-learning, which also needs trajectories.
    """
    checks.choice(learner, "learner", MODELS)
    alpha, gamma = seen.alpha, seen.dynamics.gamma
    if learner == "Q-learning":
        beta = checks.step_size(beta)
        if seen.trajectories is None:
            raise ValueError(
                "seen has no trajectories to learn from once more; learn with record=True, or "
                "take another learner"
            )
        return learner_models.q_learning(seen.dynamics, seen.trajectories[:-1], of, alpha, beta)
    moves = learner_models.reach(seen.dynamics, [p[:-1] for p in estimates.policies], of)
    if learner == "soft value iteration":
        return learner_models.soft_value_iteration(moves, alpha, gamma)
    first = estimates.policies[of][0]
    first = np.where(np.isnan(first), 1 / first.shape[1], first)
    return learner_models.soft_policy_iteration(moves, first, alpha, gamma)


def recover_from_course(
    model: Model, counts: FloatArray, alpha: float, prior: float = 10.0
) -> RecoveredReward:
    """Find the likeliest reward of the state, with a normal prior.

    Steps are those of SciPy's exact trust region, with the expected information as the curvature.

    Parameters
    ----------
    model
        Of the learner.
    counts
        Of the agent's own actions under pi_1..pi_H, (H, S, A_i).
    alpha
        Entropy coefficient: rewards are known in its units only.
    prior
        Standard deviation of rewards, in units of alpha.

    Returns
    -------
    RecoveredReward
        With ``misfit``: about 1 or less if this is how the agent learns.

    Raises
    ------
    ValueError
        If a count is not one, or ``alpha`` or ``prior`` not greater than 0.
    NothingToLearnError
        If no policy that was seen depends on the reward.
    """
    counts, alpha = checks.counts(counts, "counts"), checks.positive(alpha, "alpha")
    scales = _Scales(model, counts, alpha, checks.positive(prior, "prior"))
    start = scales.weigh(np.zeros(counts.shape[1]))
    if not start.touched.any():
        raise NothingToLearnError(
            "the policies that were seen do not depend on a reward of the state; there is nothing "
            "to learn from"
        )
    by_chance = float(np.sqrt(np.trace(start.information)))  # about the length of a score
    end = minimize(
        scales.loss, start.reward, jac=scales.slope, hess=scales.curvature, method="trust-exact",
        options={"gtol": LEAST_SCORE * by_chance, "maxiter": MOST_STEPS}, callback=_Patience(),
    )  # fmt: skip
    now = scales.weigh(end.x)
    touched = start.touched | now.touched
    unit = np.eye(len(touched))
    covariance = cho_solve(cho_factor(now.information), unit)
    # A constant is a shaping, or next to one: deviations are of what is left without it.
    centring = np.where(touched, unit - touched / touched.sum(), 0.0)
    spread = np.sqrt(np.maximum(np.diag(centring @ covariance @ centring.T), 0.0))
    learned = (now.information - unit / prior**2) / alpha**2
    return RecoveredReward(
        values=np.where(touched, alpha * now.reward, np.nan),
        reward_class="state",
        convergence=Convergence(
            steps=end.nit,
            loss=-now.log_likelihood,
            gradient=float(np.linalg.norm(now.score)) / by_chance,
            converged=end.status in (0, STOPPED),
        ),
        determine=lambda: determination_of(learned, int(touched.sum())),
        deviation=np.where(touched, alpha * spread, np.nan),
        misfit=_misfit(counts, now.log_likelihood, int(touched.sum())),
    )


class _Patience:
    """Ends a search that gains too little to matter, as at the kinks of Q-learning's values."""

    def __init__(self) -> None:
        self._losses: list[float] = []

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        self._losses.append(float(intermediate_result.fun))
        if len(self._losses) > PATIENCE and self._losses[-PATIENCE - 1] - self._losses[-1] < GAIN:
            raise StopIteration


class _Weighed(NamedTuple):
    """A reward in units of alpha, and what the counts say of it."""

    reward: FloatArray  # (S,)
    log_likelihood: float
    objective: float  # that and the logarithm of the prior
    score: FloatArray  # (S,), derivatives of the objective
    information: FloatArray  # (S, S), expected, the prior's included
    touched: npt.NDArray[np.bool_]  # (S,), whether the policies that were seen depend on it


class _Scales:
    """Weighs rewards, in units of alpha, by counts; each one once."""

    def __init__(self, model: Model, counts: FloatArray, alpha: float, prior: float) -> None:
        self._model, self._alpha, self._prior = model, alpha, 1 / prior**2
        self._seen = counts.sum(axis=-1) > 0
        self._counts = counts[self._seen]
        self._latest: _Weighed | None = None

    def weigh(self, reward: FloatArray) -> _Weighed:
        if self._latest is None or not np.array_equal(reward, self._latest.reward):
            self._latest = self._weigh(reward.copy())
        return self._latest

    def loss(self, reward: FloatArray) -> float:
        return -self.weigh(reward).objective

    def slope(self, reward: FloatArray) -> FloatArray:
        return -self.weigh(reward).score

    def curvature(self, reward: FloatArray) -> FloatArray:
        return self.weigh(reward).information

    def _weigh(self, reward: FloatArray) -> _Weighed:
        logits, slopes = (part[self._seen] for part in self._model(self._alpha * reward))
        slopes = self._alpha * slopes
        total = self._counts.sum(axis=-1, keepdims=True)
        log_odds = log_softmax(logits, axis=-1)
        odds = np.exp(log_odds)
        # A slope counts relative to those of the other actions, whence the centring.
        rows = (slopes - odds[:, None, :] @ slopes).reshape(-1, len(reward))
        weights = (total * odds).reshape(-1, 1)
        likelihood = float((self._counts * log_odds).sum())
        pull = (self._counts - total * odds).ravel()
        largest = np.abs(slopes).max(initial=0.0)
        return _Weighed(
            reward,
            likelihood,
            likelihood - 0.5 * self._prior * float(reward @ reward),
            pull @ rows - self._prior * reward,
            rows.T @ (weights * rows) + self._prior * np.eye(len(reward)),
            np.abs(rows).max(axis=0, initial=0.0) > ROUNDING * largest,
        )


def _misfit(counts: FloatArray, log_likelihood: float, unknowns: int) -> float:
    """Deviance from the shares seen, for each number that these are more than the reward has."""
    total = counts.sum(axis=-1, keepdims=True)
    best = float((xlogy(counts, counts) - xlogy(counts, total)).sum())
    freedom = int((total > 0).sum()) * (counts.shape[-1] - 1) - unknowns
    return 2 * (best - log_likelihood) / freedom if freedom > 0 else np.nan
