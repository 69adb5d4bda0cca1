"""What an estimator is: a frozen value with its parameters, twin of a learner."""

from typing import Protocol, runtime_checkable

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.play.view import View
from malfl.recovery.reward import RecoveredReward


class Prepared(Protocol):
    """What an estimator makes once of a view and shares among all numbers of improvements."""

    def reward(self, improvements: int) -> RecoveredReward:
        """The agent's reward from its first so many improvements.

        Raises
        ------
        NothingToLearnError
            If these do not depend on the reward.
        """

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        """The policy (S, A_i) that the agent is expected to improve to next (Section 5.3).

        After as many improvements, if it has this reward; entries of it that are NaN count as 0.
        """


@runtime_checkable
class Estimator(Protocol):
    """A way to recover rewards, the same for any view and agent."""

    @property
    def needs_steps(self) -> bool:
        """Whether it uses the steps of episodes, which must be recorded then."""

    @property
    def needs_improvements(self) -> bool:
        """Whether it learns from changes of policy; if not, it takes the last policy alone."""

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """Get ready to recover the reward of an agent from what was seen."""


def check_estimator(value: object, name: str = "by") -> None:
    """Raise unless ``value`` is an estimator."""
    checks.instance(value, Estimator, name, "such as Structural()")
