"""Estimators that solve the consistency of all improvements (MA-LfL, Eq. 12)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics, Policies
from malfl.play.view import View
from malfl.recovery.consistency import ConsistencySystem, Fit, consistency_system
from malfl.recovery.estimator import Prepared
from malfl.recovery.next_policy import exact_next_policy
from malfl.recovery.policies import PolicyFit, Smoothing, check_fit, estimate_policies
from malfl.recovery.printed import printed_system
from malfl.recovery.projection import determination
from malfl.recovery.released import released_system
from malfl.recovery.reward import (
    REWARD_CLASSES,
    Determination,
    Evidence,
    NothingToLearnError,
    RecoveredReward,
    RewardClass,
)
from malfl.values import Value, freeze

Weighting = Literal["uniform", "visits", "overlap"]
Equations = Literal["theorem", "printed", "released"]
WEIGHTINGS: tuple[Weighting, ...] = ("uniform", "visits", "overlap")
EQUATIONS: tuple[Equations, ...] = ("theorem", "printed", "released")


class Solution(NamedTuple):
    """A fit of the equations and, where there is a prior, what the evidence says."""

    fit: Fit
    deviation: FloatArray | None = None  #: flat, posterior standard deviations of the reward
    evidence: Evidence | None = None


@dataclass(frozen=True, eq=False)
class ConsistencyFit(Value):
    """A solution of a consistency system, and where the search for it stopped."""

    steps: int
    loss: float  #: weighted sum of squared residuals
    gradient: float  #: its norm relative to that at zero
    converged: bool
    shapings: FloatArray  #: (H, S), g_h of Section 5.2
    system: ConsistencySystem
    evidence: Evidence | None = None  #: where the ridge was chosen by it

    def __post_init__(self) -> None:
        freeze(self.shapings)

    @property
    def determination(self) -> Determination:
        """By the singular values of the equations, shapings projected out."""
        return determination(self.system)

    def lines(self) -> list[str]:
        """For a summary."""
        lines = [f"Loss {self.loss:.4g}, gradient {self.gradient:.2g} of that at zero"]
        return lines + (self.evidence.lines() if self.evidence else [])


@dataclass(frozen=True)
class ByConsistency(Value, ABC):
    """A reward and shapings that are consistent with all improvements.

    Parameters
    ----------
    reward_class
        What the reward may depend on. ``"state"``: R(s). ``"state-action"``: R(s, a^i).
        ``"joint-action"``: R(s, a). How much of it can be found, ``determination`` of the result
        says.
    equations
        ``"theorem"`` for those of Theorem 5.1, ``"printed"`` for Eq. 12 at its word, ``"released"``
        for those of the paper's program (of joint actions).
    weighting
        Of the equations: ``"uniform"``; by ``"visits"`` to (s, a^i) under the improved policy; by
        ``"overlap"``, the harmonic mean of visits to (s, a^i) before an improvement and to s after
        it, one added to each. By default as each estimator says, most often uniform.
    policies
        How policies are estimated.

    Raises
    ------
    ValueError
        If a name is unknown, or these cannot go together.
    """

    reward_class: RewardClass = "state"
    equations: Equations = "theorem"
    weighting: Weighting | None = None
    policies: PolicyFit = Smoothing()

    needs_steps = False
    needs_improvements = True

    def __post_init__(self) -> None:
        checks.choice(self.reward_class, "reward_class", REWARD_CLASSES)
        checks.choice(self.equations, "equations", EQUATIONS)
        if self.weighting is not None:
            checks.choice(self.weighting, "weighting", WEIGHTINGS)
        check_fit(self.policies)
        if self.equations == "released" and self.reward_class != "joint-action":
            raise ValueError(
                "reward_class must be joint-action for the released equations, got "
                f"{self.reward_class!r}"
            )
        if self.equations != "theorem" and self.weighting not in (None, "uniform"):
            raise ValueError(
                f"weighting is for the equations of Theorem 5.1, not for {self.equations!r}; got "
                f"{self.weighting!r}"
            )

    @property
    def default_weighting(self) -> Weighting:
        """Where none is named."""
        return "uniform"

    @abstractmethod
    def solve(self, system: ConsistencySystem) -> Solution:
        """Solve the equations."""

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        return PreparedByConsistency(self, view, agent, estimate_policies(view, self.policies, rng))

    def recover(
        self,
        dynamics: Dynamics,
        policies: Sequence[FloatArray],
        agent: int,
        alpha: float,
        weights: FloatArray | None,
        counts: FloatArray | None,
    ) -> RecoveredReward:
        """Set up the equations and solve them; see `malfl.recover_from_policies`."""
        own = policies[agent]
        if len(own) > 1 and all(np.array_equal(own[0], later, equal_nan=True) for later in own[1:]):
            raise NothingToLearnError(
                f"policies[{agent}] are the same in all {len(own)} iterations; there is no "
                "improvement to learn from"
            )
        if self.equations != "theorem" and weights is not None:
            raise ValueError(
                f"weights are for the equations of Theorem 5.1, not for {self.equations!r}"
            )
        if self.equations == "printed":
            if counts is None:
                raise ValueError("counts must be given for the printed equations, got None")
            system = printed_system(dynamics, policies, agent, alpha, self.reward_class, counts)
        elif self.equations == "released":
            system = released_system(dynamics, policies, agent, alpha)
        else:
            system = consistency_system(
                dynamics, policies, agent, alpha, self.reward_class, weights
            )
        return self._solved(system)

    def _solved(self, system: ConsistencySystem) -> RecoveredReward:
        if len(system.targets) == 0:
            raise NothingToLearnError(
                "policies and weights leave no equation: every one meets a state never visited or "
                "has weight 0; observe more episodes, or weigh differently"
            )
        fit, spread, evidence = self.solve(system)
        deviation = None
        if spread is not None:
            deviation = np.where(system.touched, spread, np.nan).reshape(system.shape)
        return RecoveredReward(
            values=np.where(system.touched, fit.reward, np.nan).reshape(system.shape),
            reward_class=self.reward_class,
            diagnostics=ConsistencyFit(
                steps=fit.steps,
                loss=fit.loss,
                gradient=fit.gradient,
                converged=fit.converged,
                shapings=fit.shapings.reshape(-1, system.states),
                system=system,
                evidence=evidence,
            ),
            deviation=deviation,
        )


class PreparedByConsistency:
    """Estimated policies, shared by all numbers of improvements."""

    def __init__(
        self, estimator: ByConsistency, view: View, agent: int, policies: Policies
    ) -> None:
        self._estimator, self._view, self._agent = estimator, view, agent
        self._policies, self._counts = policies, view.own_counts(agent)

    def reward(self, improvements: int) -> RecoveredReward:
        """See `malfl.recovery.estimator.Prepared`."""
        n, view = improvements + 1, self._view
        weighting = self._estimator.weighting or self._estimator.default_weighting
        return self._estimator.recover(
            view.dynamics,
            [policies[:n] for policies in self._policies],
            self._agent,
            view.unit,
            weights_of(self._counts[:n], weighting),
            view.counts[:n],
        )

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        """See `malfl.recovery.estimator.Prepared`."""
        now = [policies[improvements] for policies in self._policies]
        return exact_next_policy(self._view.dynamics, now, self._agent, self._view.unit, reward)


def weights_of(counts: FloatArray, weighting: Weighting) -> FloatArray | None:
    """Of the equations (h, s, a^i), from the agent's own counts (H + 1, S, A_i); None for all 1."""
    if weighting == "uniform":
        return None
    if weighting == "visits":
        return counts[1:]
    before, after = 1 + counts[:-1], 1 + counts[1:].sum(axis=-1, keepdims=True)
    return np.asarray(before * after / (before + after))
