"""Rewards by which a whole path of learning is the likeliest.

If it is known how an agent learns, a reward predicts all its policies, from the first one on. The
actions seen under them are a multinomial regression on the reward, not a linear one: each policy is
improved upon as it was predicted, not as it was seen. So a policy that was seen too little to be
estimated does no harm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.linalg import eigh
from scipy.optimize import OptimizeResult, minimize
from scipy.special import log_softmax

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.games.legal import or_uniform
from malfl.learners.learner import Learner
from malfl.learners.q_learning import QLearning
from malfl.learners.soft_policy_iteration import SoftPolicyIteration
from malfl.learners.soft_value_iteration import SoftValueIteration
from malfl.play.view import View
from malfl.recovery import learner_models
from malfl.recovery.classes import RewardSpace, Space, check_space, space_of
from malfl.recovery.deviance import deviance, expected_deviance
from malfl.recovery.estimator import Estimator, Prepared
from malfl.recovery.learner_models import NEVER, Model, Path
from malfl.recovery.likeliest import Likeliest
from malfl.recovery.next_policy import exact_next_policy
from malfl.recovery.parts import ALL, Symmetric
from malfl.recovery.policies import PolicyFit, Smoothing, check_fit, estimate_policies
from malfl.recovery.prior import PRIOR_SCALE, at_deviation, integrate, spoken_of
from malfl.recovery.reading import read
from malfl.recovery.reward import (
    Determination,
    Evidence,
    NothingToLearnError,
    RecoveredReward,
    RewardClass,
    determination_of,
)
from malfl.recovery.shown import promised_directions
from malfl.recovery.trust import Promise, informed
from malfl.values import Value, freeze, set_fields

MOST_STEPS = 100
# Norm of the slope by the rewards at which the search ends, relative to the first.
LEAST_SCORE = 1e-6
PATIENCE, GAIN = 10, 0.01  # steps in which the log-likelihood must grow by so much
STOPPED = 99  # SciPy's status of a search ended by what follows it
CHANCE = 2.0  # deviations of a deviance that chance may bring about
LEAST_FREEDOM = 2.0  # of a deviance's expectation, to compare with it
MUCH_DEVIANCE = 10.0  # that chance leaves nowhere if it leaves less than that
ROUNDING = 1e-12  # slopes below this share of the largest are none

#: Learners whose path can be fitted.
MODELLED: tuple[Learner, ...] = (
    SoftPolicyIteration(evaluation="exact"),
    SoftValueIteration(),
    QLearning(),
)


@dataclass(frozen=True, eq=False)
class PathFit(Value):
    """The likeliest reward for a whole path of learning."""

    steps: int
    log_likelihood: float  #: at the reward found
    evidence: Evidence
    gradient: float  #: norm of the log-likelihood's slope, relative to one by chance
    converged: bool
    information: FloatArray  #: (K, K), of the data alone
    unknowns: int  #: numbers of the reward that some policy depends on
    #: The deviance relative to what chance leaves, so about 1 if the agent learns that way. Far
    #: above, the reward explains little of what was seen.
    misfit: float
    promise: Promise | None  #: None if nothing can show that the agent learns that way
    learner: Learner | None = None  #: how the agent is assumed to learn

    def __post_init__(self) -> None:
        freeze(self.information)

    @property
    def determination(self) -> Determination:
        """By the eigenvalues of the information."""
        return determination_of(self.information, self.unknowns)

    def lines(self) -> list[str]:
        """For a summary."""
        assumed = [] if self.learner is None else [f"Assumed to learn as {self.learner}"]
        return [*assumed, f"Misfit {self.misfit:.3g} (1 or less if it learns that way)"]


@dataclass(frozen=True)
class PathLikelihood(Value):
    """The reward by which all that the agent did is the likeliest, if it is known how it learns.

    The result's ``misfit`` says if it learns in another way, or gets worse.

    Parameters
    ----------
    learners
        How the agent may learn: soft policy iteration with exact values, soft value iteration,
        Q-learning (needs recorded episodes). Of several the likeliest is chosen; those that need
        steps are left out where no episodes were recorded, unless nothing else is left.
    prior
        Standard deviation of rewards, in units of alpha; by default it is integrated over, see
        `malfl.recovery.prior`.
    reward_class
        What the reward may depend on, as for `malfl.Structural`.
    policies
        How policies are estimated.

    Raises
    ------
    ValueError
        If ``prior`` is not greater than 0, a learner is none whose path can be fitted, or a name
        is unknown.
    """

    learners: tuple[Learner, ...] = MODELLED
    prior: float | None = None
    reward_class: RewardSpace | None = None
    policies: PolicyFit = Smoothing()

    needs_improvements = True

    def __post_init__(self) -> None:
        checks.sequence(self.learners, "learners", "such as (SoftPolicyIteration(),)")
        set_fields(self, learners=tuple(self.learners))
        if self.prior is not None:
            set_fields(self, prior=checks.squarable(self.prior, "prior"))
        check_space(self.reward_class)
        check_fit(self.policies)
        if not self.learners:
            raise ValueError("learners must name at least one, got none")
        for k, one in enumerate(self.learners):
            sampled = isinstance(one, SoftPolicyIteration) and one.evaluation != "exact"
            if sampled or not isinstance(one, tuple(type(known) for known in MODELLED)):
                raise ValueError(
                    f"learners[{k}] must be one whose path can be fitted: "
                    f"{', '.join(map(str, MODELLED))}; got {checks.shown(one)}"
                )

    @property
    def needs_steps(self) -> bool:
        """Whether a learner among them does."""
        return any(one.needs == "steps" for one in self.learners)

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        played = view.episodes is not None
        possible = tuple(one for one in self.learners if played or one.needs != "steps")
        learners = possible or self.learners
        if self.reward_class is None or len(learners) > 1:

            def in_class(space: RewardSpace) -> list[Estimator]:
                return [replace(self, learners=(one,), reward_class=space) for one in learners]

            return Likeliest(in_class, self.reward_class, view, agent, rng)
        return _Prepared(
            self, learners[0], space_of(view.dynamics, agent, self.reward_class), view, agent, rng
        )


class _Prepared:
    """For one learner and one class of rewards."""

    def __init__(
        self,
        estimator: PathLikelihood,
        learner: Learner,
        space: Space,
        view: View,
        agent: int,
        rng: np.random.Generator,
    ) -> None:
        self._learner, self._prior, self._space = learner, estimator.prior, space
        self._view, self._agent, self._counts = view, agent, view.own_counts(agent)
        self._policies = estimate_policies(view, estimator.policies, rng)

    def reward(self, improvements: int) -> RecoveredReward:
        """See `Prepared`."""
        shown = promised_directions(self._view.dynamics, self._agent, self._space.reward_class)
        fit = recover_from_path(
            self._model(improvements), self._counts[1 : improvements + 1], self._view.unit,
            self._prior, shown, self._space,
            compared=self._counts[:improvements].sum(axis=(1, 2)) > 0,
        )  # fmt: skip
        assert isinstance(fit.diagnostics, PathFit)
        return replace(fit, diagnostics=replace(fit.diagnostics, learner=self._learner))

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        """By exact soft policy iteration, unless the learner is another one."""
        if not isinstance(self._learner, SoftValueIteration | QLearning):
            now = [policies[improvements] for policies in self._policies]
            return exact_next_policy(self._view.dynamics, now, self._agent, self._view.unit, reward)
        entries = self._space.reward(self._space.numbers_of(reward))
        logits, _ = self._model(improvements + 1)(entries)
        return np.asarray(np.exp(log_softmax(logits[improvements], axis=-1)))

    def _model(self, improvements: int) -> Model:
        given = self._learner, self._view, self._agent, self._policies, improvements
        return model_of(*given, self._space.reward_class)


def model_of(
    learner: Learner,
    view: View,
    agent: int,
    policies: Sequence[FloatArray],
    improvements: int,
    reward_class: RewardClass = "state",
) -> Model:
    """How an agent's policies pi_1, ..., so many, depend on its reward, if it is such a learner.

    Parameters
    ----------
    policies
        Everyone's, one (n, S, A_i) array an agent, NaN where unknown.

    Raises
    ------
    ValueError
        If the learner needs steps and no episodes were recorded.
    """
    alpha, gamma = view.unit, view.dynamics.gamma
    if isinstance(learner, QLearning):
        if view.episodes is None:
            raise ValueError(
                "view has no episodes to learn from once more; learn with record=True, or "
                "choose another learner"
            )
        played = view.episodes[:improvements]
        return learner_models.q_learning(
            view.dynamics, played, agent, alpha, learner.beta, reward_class
        )
    seen = [policy[:improvements] for policy in policies]
    faced = learner_models.face(view.dynamics, seen, agent, reward_class)
    if isinstance(learner, SoftValueIteration):
        return learner_models.soft_value_iteration(faced, alpha, gamma)
    first = or_uniform(policies[agent][0], view.dynamics.legal[agent])
    return learner_models.soft_policy_iteration(faced, first, alpha, gamma)


def recover_from_path(
    model: Model,
    counts: FloatArray,
    alpha: float,
    prior: float | None = None,
    shown: FloatArray | None = None,
    space: Space | None = None,
    compared: npt.NDArray[np.bool_] | None = None,
) -> RecoveredReward:
    """Find the likeliest reward, with a normal prior.

    Steps are those of SciPy's exact trust region, with the expected information as the curvature.
    Where the path misfits, deviations are wider by the root of the misfit.

    Parameters
    ----------
    model
        Of the learner.
    counts
        Of the agent's own actions under pi_1..pi_H, (H, S, A_i).
    alpha
        Entropy coefficient: rewards are known in its units only.
    prior
        Standard deviation of rewards, in units of alpha; by default it is integrated over.
    shown
        An orthonormal basis (entries, k) of what the promise is about; by default all that the
        data say anything of.
    space
        The rewards that are looked for; by default those of the state.
    compared
        (H,), the policies whose likelihood counts as evidence; by default all. If one was improved
        upon that nobody saw, regressions on logits say nothing of it, and cannot be compared.

    Returns
    -------
    RecoveredReward
        With ``misfit``: about 1 if this is how the agent learns.

    Raises
    ------
    ValueError
        If a count is not one, or ``alpha`` or ``prior`` not greater than 0.
    NothingToLearnError
        If no policy that was seen depends on the reward.
    """
    counts, alpha = checks.counts(counts, "counts"), checks.squarable(alpha, "alpha")
    given = None if prior is None else checks.squarable(prior, "prior")
    space = Space("state", counts.shape[1]) if space is None else space
    scales = _Scales(by_numbers(model, space), counts, alpha)
    start = scales.weigh(np.zeros(space.numbers))
    if not start.touched.any():
        raise NothingToLearnError(
            f"the policies that were seen do not depend on a reward of the {space.reward_class}; "
            "there is nothing to learn from"
        )
    peak = _peak(scales, start.reward, given)
    around = _Around(peak.weighed)
    found = integrate(around) if given is None else at_deviation(around, given)
    now = scales.weigh(found.reward)
    evidence = found.log_likelihood + now.log_likelihood - around.log_likelihood(found.reward)
    if compared is not None:
        evidence -= scales.log_likelihood(now, ~compared)
    touched = start.touched | now.touched
    shown = informed(now.information) if shown is None else shown
    misfit, error = _misfit(scales.counts, now, found.prior)
    wide = found._replace(covariance=found.covariance * np.fmax(misfit, 1.0))
    reading = read(wide._replace(reward=now.reward), touched, alpha, space, counts.shape[1], shown)
    return RecoveredReward(
        values=reading.values,
        reward_class=space.reward_class,
        diagnostics=PathFit(
            steps=peak.steps,
            log_likelihood=now.log_likelihood,
            evidence=Evidence(error, found.prior * alpha**2, evidence),
            gradient=peak.gradient,
            converged=peak.converged,
            information=now.information / alpha**2,
            unknowns=int(touched.sum()),
            misfit=misfit,
            promise=reading.promise,
        ),
        deviation=reading.deviation,
        weights=reading.weights,
        weight_deviation=reading.weight_deviation,
    )


def by_numbers(model: Model, space: Space) -> Model:
    """The model as a function of the numbers that make up a reward."""
    if space.basis is None:
        return model

    def path(numbers: FloatArray) -> Path:
        logits, slopes = model(space.reward(numbers))
        return logits, space.by_numbers(slopes)

    return path


class _Peak(NamedTuple):
    """The likeliest reward for one deviation of the prior."""

    weighed: "_Weighed"
    steps: int
    gradient: float
    converged: bool


def _peak(scales: "_Scales", start: FloatArray, given: float | None) -> "_Peak":
    """The likeliest reward for the deviation given, or else for the likeliest one."""
    peak = _climb(scales, start, given or PRIOR_SCALE)
    if given is not None:
        return peak
    # The likelihood counts as quadratic around the likeliest reward for the likeliest prior.
    rough = integrate(_Around(peak.weighed))
    again = _climb(scales, peak.weighed.reward, float(np.sqrt(rough.prior)))
    return again._replace(steps=peak.steps + again.steps)


def _climb(scales: "_Scales", start: FloatArray, prior: float) -> _Peak:
    by_chance = float(np.sqrt(np.trace(scales.weigh(start).information)))  # about a score's length
    scales.prior = prior**-2
    end = minimize(
        scales.loss, start, jac=scales.slope, hess=scales.curvature, method="trust-exact",
        options={"gtol": LEAST_SCORE * by_chance, "maxiter": MOST_STEPS}, callback=_Patience(),
    )  # fmt: skip
    gradient = float(np.linalg.norm(scales.slope(end.x))) / by_chance
    return _Peak(scales.weigh(end.x), int(end.nit), gradient, end.status in (0, STOPPED))


class _Around:
    """The log-likelihood around a reward, taken for quadratic; see `malfl.recovery.prior.Search`.

    Its slope there and the expected information say what it is elsewhere.
    """

    def __init__(self, weighed: "_Weighed") -> None:
        self._centre, self.information = weighed, weighed.information
        sizes, self._axes = eigh(weighed.information)
        self._sizes = np.maximum(sizes, 0.0)
        self._along = self._axes.T @ (weighed.score + weighed.information @ weighed.reward)
        self.reward = weighed.reward

    def log_likelihood(self, reward: FloatArray) -> float:
        """What it is taken for."""
        off = reward - self._centre.reward
        slope = self._centre.score - 0.5 * self.information @ off
        return float(self._centre.log_likelihood + off @ slope)

    def climb(self, prior: float) -> bool:
        """Find the likeliest reward for this deviation of the prior; always found."""
        self.reward = self._axes @ (self._along / (self._sizes + prior**-2))
        return True

    def evidence(self, prior: float) -> float:
        """The logarithm of the likelihood, the reward integrated out."""
        value = self.log_likelihood(self.reward) - 0.5 * (self.reward @ self.reward) / prior**2
        return float(value - 0.5 * np.log1p(prior**2 * self._sizes).sum())

    def covariance(self, prior: float) -> Symmetric:
        """Of the reward, (K, K)."""
        whole = np.asarray(self._axes / (self._sizes + prior**-2) @ self._axes.T)
        return Symmetric((ALL,), [whole])


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
    log_odds: FloatArray  # (G, A_i), of the policies that were seen
    log_likelihood: float
    score: FloatArray  # (S,), its derivatives
    information: FloatArray  # (S, S), expected
    touched: npt.NDArray[np.bool_]  # (S,), whether the policies that were seen depend on it
    depends: npt.NDArray[np.bool_]  # (G,), which of these policies depend on the reward


class _Scales:
    """Weighs rewards, in units of alpha, by counts; each one once."""

    def __init__(self, model: Model, counts: FloatArray, alpha: float) -> None:
        self._model, self._alpha = model, alpha
        self.prior = 0.0  # one over its variance
        self._seen = counts.sum(axis=-1) > 0
        self.counts = counts[self._seen]
        self._latest: _Weighed | None = None

    def weigh(self, reward: FloatArray) -> _Weighed:
        if self._latest is None or not np.array_equal(reward, self._latest.reward):
            self._latest = self._weigh(reward.copy())
        return self._latest

    def log_likelihood(self, weighed: "_Weighed", which: npt.NDArray[np.bool_]) -> float:
        """Of the policies (H,) of these numbers."""
        these = np.broadcast_to(which[:, None], self._seen.shape)[self._seen]
        return float((self.counts * weighed.log_odds)[these].sum())

    def loss(self, reward: FloatArray) -> float:
        return 0.5 * self.prior * float(reward @ reward) - self.weigh(reward).log_likelihood

    def slope(self, reward: FloatArray) -> FloatArray:
        return np.asarray(self.prior * reward - self.weigh(reward).score)

    def curvature(self, reward: FloatArray) -> FloatArray:
        return self.weigh(reward).information + self.prior * np.eye(len(reward))

    def _weigh(self, reward: FloatArray) -> _Weighed:
        progress.advance()
        logits, slopes = (part[self._seen] for part in self._model(self._alpha * reward))
        slopes = self._alpha * slopes
        total = self.counts.sum(axis=-1, keepdims=True)
        log_odds = log_softmax(logits, axis=-1)
        odds = np.exp(log_odds)
        # A slope counts relative to those of the other actions, whence the centring.
        apart = (slopes - odds[:, None, :] @ slopes) * (logits > NEVER)[..., None]
        rows = apart.reshape(-1, len(reward))
        weights = (total * odds).reshape(-1, 1)
        pull = (self.counts - total * odds).ravel()
        largest = np.abs(slopes).max(initial=0.0)
        return _Weighed(
            reward,
            log_odds,
            float((self.counts * log_odds).sum()),
            pull @ rows,
            rows.T @ (weights * rows),
            np.abs(rows).max(axis=0, initial=0.0) > ROUNDING * largest,
            np.abs(apart).max(axis=(1, 2), initial=0.0) > ROUNDING * largest,
        )


def _misfit(counts: FloatArray, now: _Weighed, prior: float) -> tuple[float, float]:
    """The deviance relative to its expectation, and a variance of logits that it shows.

    The latter explains what is left beyond chance. A reward that was fitted takes up as many
    numbers as the data speak of, and of policies that depend on it: others, as in a state that
    nobody leaves, show little of how the agent learns.
    """
    seen = deviance(counts, now.log_odds)
    expected = expected_deviance(counts.sum(axis=-1), now.log_odds)
    taken = spoken_of(now.information, prior)
    if expected[now.depends].sum() - taken < LEAST_FREEDOM and seen < MUCH_DEVIANCE:
        return np.nan, np.nan
    by_chance = max(float(expected.sum()) - taken, LEAST_FREEDOM)
    odds, total = np.exp(now.log_odds[now.depends]), counts[now.depends].sum(axis=-1)
    weight = float((total * (odds * (1 - odds)).sum(axis=-1)).sum())
    beyond = seen - by_chance - CHANCE * np.sqrt(2 * by_chance)
    return seen / by_chance, float(max(beyond, 0.0)) / max(weight, 1.0)
