"""The reward by which counts alone explain how an agent's policies improve."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics, Policies
from malfl.play.view import View
from malfl.recovery.classes import RewardSpace, Space, check_space, entries, space_of
from malfl.recovery.estimator import Prepared
from malfl.recovery.factored import factored_slopes
from malfl.recovery.learned_values import (
    ROUNDS,
    Process,
    exact_constants,
    exact_values,
    learned_values,
    learned_variances,
    process_of,
)
from malfl.recovery.likeliest import Likeliest
from malfl.recovery.logit import AffineLogits, LogitFit, glance_at_logits, recover_from_logits
from malfl.recovery.patterns import PatternedSlopes
from malfl.recovery.policies import PolicyFit, Smoothing, check_fit, estimate_policies
from malfl.recovery.reward import REWARD_CLASSES, RecoveredReward, RewardClass
from malfl.recovery.shown import promised_directions
from malfl.recovery.step_size import SMALL_ERRORS, likeliest_step_size, settled
from malfl.values import Value, set_fields

Evaluation = Literal["td", "exact"]

ROUGH_ERROR = 1e-2  # variance of logits for that glance
ALWAYS = 1e6  # visits after which a value is what it is learned from
MOST_SLOPES = 10_000_000  # of exact values; where there are more, their factors are kept
SEARCH_VALUES = 2000  # by which a step size is found; those of the first two improvements at least


@dataclass(frozen=True)
class Structural(Value):
    """A regression on the logits of improved policies, from counts alone.

    The learner's values are exact, or learned from zero by temporal differences with a constant
    step size. These are off in ways that can be computed; see `malfl.recovery.learned_values`.

    Parameters
    ----------
    beta
        The learner's step size, in (0, 1]. If it is not known, the likeliest is looked for.
    evaluation
        ``"td"`` or ``"exact"``; if not known, as the evidence says.
    reward_class
        What the reward may depend on. ``"state"``: R(s). ``"state-action"``: R(s, a^i).
        ``"joint-action"``: R(s, a). Or `malfl.Features`. By default R(s) and, in small games and
        where R(s) leaves much unexplained, the others are compared, and the likeliest is taken.
    policies
        How policies are estimated.

    Raises
    ------
    TypeError, ValueError
        If ``beta`` is out of range or given for exact values, or a name is unknown.
    """

    beta: float | None = None
    evaluation: Evaluation | None = None
    reward_class: RewardSpace | None = None
    policies: PolicyFit = Smoothing()

    needs_steps = False
    needs_improvements = True

    def __post_init__(self) -> None:
        if self.beta is not None:
            set_fields(self, beta=checks.step_size(self.beta))
        if self.evaluation is not None:
            checks.choice(self.evaluation, "evaluation", ("td", "exact"))
        if self.evaluation == "exact" and self.beta is not None:
            raise ValueError(f"beta must be None for exact values, got {self.beta:g}")
        check_space(self.reward_class)
        check_fit(self.policies)

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        if self.reward_class is None:
            return Likeliest(lambda one: [replace(self, reward_class=one)], None, view, agent, rng)
        space = space_of(view.dynamics, agent, self.reward_class)
        return _Prepared(self, view, agent, space, estimate_policies(view, self.policies, rng))


class _Prepared:
    def __init__(
        self, estimator: Structural, view: View, agent: int, space: Space, policies: Policies
    ) -> None:
        self._estimator, self._view, self._agent, self._space = estimator, view, agent, space
        self._policies, self._counts = policies, view.own_counts(agent)
        self._processes: list[Process] = []
        self._known: dict[int, tuple[FloatArray, FloatArray]] = {}  # at the estimator's own beta

    def reward(self, improvements: int) -> RecoveredReward:
        """See `Prepared`."""
        alpha, some = self._view.unit, range(improvements)
        beta = self._likeliest(some) if self._estimator.beta is None else self._estimator.beta
        logits = self._logits(some, beta)
        if beta is not None:
            self._add_errors(logits, some, beta, self._rough(logits, some), ROUNDS)
        shown = promised_directions(self._view.dynamics, self._agent, self._space.reward_class)
        found = recover_from_logits(logits, self._seen(some), alpha, self._space, beta, shown)
        return settled(found) if self._estimator.beta is None else found

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        """See `Prepared`."""
        fit = reward.diagnostics
        beta = fit.beta if isinstance(fit, LogitFit) else None
        logits = self._logits([improvements], beta)
        return np.asarray(logits.policies(self._space.numbers_of(reward))[0])

    def _rough(self, logits: AffineLogits, some: Sequence[int]) -> FloatArray:
        glance, _ = glance_at_logits(logits, self._seen(some), self._view.unit, [ROUGH_ERROR])
        return self._space.reward(glance)

    def _likeliest(self, some: Sequence[int]) -> float | None:
        """The step size that explains the improvements best; None if exact values do it better."""
        if self._estimator.evaluation == "exact":
            return None
        some = some[: max(2, SEARCH_VALUES // self._counts[0].size)]

        def likelihood(beta: float | None) -> float:
            logits = self._logits(some, beta)
            if beta is not None:
                self._add_errors(logits, some, beta, self._rough(logits, some), 1)
            return glance_at_logits(logits, self._seen(some), self._view.unit, SMALL_ERRORS)[1]

        beta, highest = likeliest_step_size(likelihood)
        if self._estimator.evaluation is None and likelihood(None) > highest:
            return None
        return beta

    def _seen(self, some: Sequence[int]) -> FloatArray:
        """Counts under the improved policies."""
        return self._counts[[h + 1 for h in some]]

    def _logits(self, some: Sequence[int], beta: float | None) -> AffineLogits:
        """Of some improvements, by the number of the policy that was improved."""
        view, space = self._view, self._space
        many = len(some) * self._counts[0].size * space.numbers > MOST_SLOPES
        if beta is None and many and space.numbers >= view.dynamics.n_states:
            return self._factored_logits(some)
        logits = empty_logits(
            view.dynamics,
            len(some),
            self._agent,
            room(view.dynamics, len(some), self._agent, space.numbers),
        )
        for k, h in enumerate(some):
            slopes, constants = self._values(h, beta)
            _set(logits, k, space.by_numbers(slopes), constants, view.unit)
            # Nobody knows what was improved where nothing was seen.
            logits.known[k] = view.dynamics.legal[self._agent] & self._counts[h].any()
        return logits

    def _factored_logits(self, some: Sequence[int]) -> AffineLogits:
        """Of exact values, whose slopes are too many to be written down."""
        view, processes = self._view, [self._process(h) for h in some]
        slopes = factored_slopes(view.dynamics, self._agent, self._space, processes, view.unit)
        constants = np.array([exact_constants(process) for process in processes]) / view.unit
        seen = self._counts[list(some)].sum(axis=(1, 2), keepdims=True) > 0
        known = view.dynamics.legal[self._agent] & seen
        constants = constants.reshape(known.shape)
        return AffineLogits(slopes, constants, known, np.zeros(known.shape))

    def _values(self, h: int, beta: float | None) -> tuple[FloatArray, FloatArray]:
        """Of the policy of that number: exact, or learned with a step size."""
        if beta == self._estimator.beta and h in self._known:
            return self._known[h]
        process, visits = self._process(h), self._visits(h)
        values = exact_values(process) if beta is None else learned_values(process, visits, beta)
        if beta == self._estimator.beta:
            self._known[h] = values
        return values

    def _add_errors(
        self,
        logits: AffineLogits,
        some: Sequence[int],
        beta: float,
        reward: FloatArray,
        rounds: int,
    ) -> None:
        """Add what learned values are off by to what is known of the logits."""
        for k, h in enumerate(some):
            off = learned_variances(self._process(h), self._visits(h), beta, reward, rounds)
            logits.variances[k] = off.reshape(logits.variances[k].shape) / self._view.unit**2

    def _visits(self, h: int) -> FloatArray:
        """How often each action was tried; where an episode ends its value is known."""
        ends = self._view.dynamics.ends
        return np.where(ends[:, None], ALWAYS, self._counts[h]) if ends.any() else self._counts[h]

    def _process(self, h: int) -> Process:
        view = self._view
        for g in range(len(self._processes), h + 1):
            now = [policies[g] for policies in self._policies]
            reward_class = self._space.reward_class
            self._processes.append(
                process_of(view.dynamics, now, self._agent, view.unit, reward_class)
            )
        return self._processes[h]


def room(dynamics: Dynamics, number: int, agent: int, numbers: int) -> FloatArray:
    """Room for the slopes of so many policies of an agent, in so many numbers of a reward."""
    states, own = dynamics.n_states, dynamics.actions[agent]
    size = 8 * number * states * own * (numbers + 1)
    checks.memory(size, f"logits of {number} policies and {states} states", "use a smaller game")
    return np.zeros((number, states, own, numbers))


def empty_logits(
    dynamics: Dynamics, number: int, agent: int, slopes: FloatArray | PatternedSlopes
) -> AffineLogits:
    """Logits of so many policies of an agent, to be filled."""
    states, own = dynamics.n_states, dynamics.actions[agent]
    return AffineLogits(
        slopes,
        np.zeros((number, states, own)),
        np.ones((number, states, own), dtype=bool),
        np.zeros((number, states, own)),
    )


def structural_logits(
    dynamics: Dynamics,
    policies: Sequence[FloatArray],
    agent: int,
    alpha: float,
    reward_class: RewardClass = "state",
) -> AffineLogits:
    """How the improvements of pi_0..pi_n depend on the agent's reward, if it evaluates exactly.

    Parameters
    ----------
    policies
        pi_0..pi_n of every agent, one (n + 1, S, A_i) array each. Where one is unknown (NaN), a
        uniform one is used.

    Returns
    -------
    AffineLogits
        Of pi_1..pi_{n+1}, all known.
    """
    agent, alpha = dynamics.check_agent(agent), checks.positive(alpha, "alpha")
    checks.choice(reward_class, "reward_class", REWARD_CLASSES)
    numbers = entries(dynamics, agent, reward_class)
    histories = checks.histories(policies, "policies", dynamics.n_states, dynamics.actions)
    number = len(histories[agent])
    logits = empty_logits(dynamics, number, agent, room(dynamics, number, agent, numbers))
    for h in range(len(histories[agent])):
        now = [history[h] for history in histories]
        process = process_of(dynamics, now, agent, alpha, reward_class)
        _set(logits, h, *exact_values(process), alpha)
    return logits


def learned_logits(
    view: View,
    agent: int,
    policies: Policies,
    beta: float,
    reward: FloatArray,
    reward_class: RewardClass = "state",
) -> AffineLogits:
    """How the improvements that were seen depend on the reward of a learner with this step size.

    Parameters
    ----------
    policies
        As far as they are known; see `malfl.estimate_policies`.
    reward
        For which the variances are, flat.
    """
    by = Structural(beta, reward_class=reward_class)
    space, some = space_of(view.dynamics, agent, reward_class), range(view.iterations - 1)
    prepared = _Prepared(by, view, agent, space, policies)
    logits = prepared._logits(some, beta)
    prepared._add_errors(logits, some, beta, reward, ROUNDS)
    return logits


def _set(
    logits: AffineLogits, h: int, slopes: FloatArray, constants: FloatArray, alpha: float
) -> None:
    """Put values (S * A_i, ...) in for improvement ``h``."""
    given = logits.slopes
    assert isinstance(given, np.ndarray)
    given[h] = slopes.reshape(given[h].shape) / alpha
    logits.constants[h] = constants.reshape(logits.constants[h].shape) / alpha
