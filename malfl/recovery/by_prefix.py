"""Estimators that look at what was seen in another light, and pass it on."""

from collections.abc import Callable
from copy import deepcopy
from typing import Protocol, runtime_checkable

import numpy as np

from malfl.checks import FloatArray
from malfl.play.view import View
from malfl.recovery.estimator import Estimator, Prepared
from malfl.recovery.reward import RecoveredReward


@runtime_checkable
class PassingOn(Protocol):
    """An estimator that gives another one a changed view."""

    @property
    def estimator(self) -> Estimator:
        """The other one."""

    def changed(self, view: View, agent: int) -> tuple[View, int]:
        """The view that it is given, and the agent in it."""


def innermost(by: Estimator, view: View, agent: int) -> tuple[Estimator, View, int]:
    """The estimator that views are passed on to in the end, what it is given, and the agent."""
    while isinstance(by, PassingOn):
        (view, agent), by = by.changed(view, agent), by.estimator
    return by, view, agent


class PreparedByPrefix:
    """Prepares an estimator anew for each number of improvements, from a changed view of them.

    Parameters
    ----------
    changed
        From the view of the iterations that are used to another one, and the agent in it.
    """

    def __init__(
        self,
        estimator: Estimator,
        view: View,
        changed: Callable[[View], tuple[View, int]],
        rng: np.random.Generator,
    ) -> None:
        self._estimator, self._view, self._changed, self._rng = estimator, view, changed, rng
        self._latest: tuple[int, Prepared] | None = None

    def reward(self, improvements: int) -> RecoveredReward:
        """See `Prepared`."""
        return self._for(improvements).reward(improvements)

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        """See `Prepared`."""
        return self._for(improvements).next_policy(reward, improvements)

    def _for(self, improvements: int) -> Prepared:
        if self._latest is None or self._latest[0] != improvements:
            view, agent = self._changed(self._view.first(improvements + 1))
            # The same draws for each: results do not depend on which came before.
            rng = deepcopy(self._rng)
            self._latest = improvements, self._estimator.prepare(view, agent, rng)
        return self._latest[1]
