"""One estimator at work on one view, and whether there is anything to learn from."""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from malfl import checks
from malfl.play.view import View
from malfl.recovery.change import chance_of_no_change
from malfl.recovery.estimator import Estimator, check_estimator
from malfl.recovery.moves import check_moves
from malfl.recovery.reward import NothingToLearnError, RecoveredReward

Unvisited = Literal["raise", "omit"]

CHANCE = 0.01  # how likely counts of one unchanging policy must be to count as that


class Recovery:
    """One agent's reward from a view, after any number of improvements; see `malfl.recover`."""

    def __init__(
        self,
        view: View,
        *,
        of: int,
        by: Estimator,
        unvisited: Unvisited = "raise",
        seed: int | np.random.Generator = 0,
    ) -> None:
        checks.instance(view, View, "view", "see LearningLog.seen_by")
        checks.squarable(view.unit, "alpha of view")
        self.view, self.of = view, view.check_observed(of)
        self.unvisited = checks.choice(unvisited, "unvisited", get_args(Unvisited))
        check_estimator(by)
        self.estimator = by
        self._checked = 0  # iterations whose moves are known to be possible
        self.prepared = by.prepare(view, self.of, checks.generator(seed))

    def reward(self, improvements: int | None = None) -> RecoveredReward:
        """From the first so many improvements, all by default.

        Raises
        ------
        ValueError, NothingToLearnError
            As `malfl.recover` does.
        """
        part = self.view if improvements is None else self.view.first(improvements + 1)
        if getattr(self.estimator, "needs_rules", True):  # unless it says that it estimates them
            check_moves(part, self._checked)
            self._checked = max(self._checked, part.iterations)
        if self.estimator.needs_improvements:
            check_improvements(part, self.of, self.unvisited)
        found = self.prepared.reward(part.iterations - 1)
        unvisited = np.argwhere((part.counts.sum(axis=-1) == 0) & ~part.dynamics.ends)
        return replace(found, unvisited=unvisited, scale_known=part.alpha is not None)


def check_improvements(view: View, of: int, unvisited: str = "raise") -> None:
    """Raise unless there is something to learn from; see `malfl.recover`."""
    visits = view.counts.sum(axis=2)
    if view.iterations < 2:
        raise ValueError("view must show at least one improvement, got 1 iteration")
    seen = visits.sum(axis=1) > 0
    if unvisited == "raise" and not seen.all():
        raise ValueError(
            f"view has no steps in iteration {checks.first(~seen)[0]}; pass unvisited='omit' to do "
            "without the improvements from it and to it"
        )
    if not (seen[:-1] & seen[1:]).any():
        raise ValueError(
            f"view must show an improvement, so steps in two iterations in a row; {seen.sum()} of "
            f"{len(seen)} iterations have steps, and none of these follow each other"
        )
    missing = (visits == 0) & ~view.dynamics.ends
    if unvisited == "raise" and missing.any():
        h, state = checks.first(missing)
        raise ValueError(
            f"state {state} was not visited in iteration {h}, one of {int(missing.sum())} "
            f"such pairs out of {visits.size}; observe more episodes, or pass unvisited='omit' to "
            "do without"
        )
    if chance_of_no_change(view.own_counts(of)) > CHANCE:
        raise NothingToLearnError(
            f"the policies of agent {of} do not change over the {view.iterations} iterations as "
            "far as can be seen; there is no improvement to learn from"
        )
