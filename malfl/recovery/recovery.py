"""One estimator at work on one view, and whether there is anything to learn from."""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from scipy.special import xlogy
from scipy.stats import chi2

from malfl import checks
from malfl.checks import FloatArray
from malfl.play.view import View
from malfl.recovery.estimator import Estimator, check_estimator
from malfl.recovery.moves import check_moves
from malfl.recovery.reward import NothingToLearnError, RecoveredReward

Unvisited = Literal["raise", "omit"]

ENOUGH_VISITS = 50  # to a state in an iteration, to judge whether a policy changed there
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
    # The likelihood ratio of a policy for each iteration against one for all of them, where enough
    # was seen for its distribution to be known.
    counts = view.own_counts(of) * (visits >= ENOUGH_VISITS)[:, :, None]
    together = counts.sum(axis=0)
    ratio = 2 * (_likelihood_of_shares(counts) - _likelihood_of_shares(together))
    parameters = _parameters(counts) - _parameters(together)
    if parameters > 0 and chi2.sf(ratio, parameters) > CHANCE:
        raise NothingToLearnError(
            f"the policies of agent {of} do not change over the {view.iterations} iterations as "
            "far as can be seen; there is no improvement to learn from"
        )


def _likelihood_of_shares(counts: FloatArray) -> float:
    """Of counts (..., A_i) under the shares seen."""
    return float(xlogy(counts, counts).sum() - xlogy(totals := counts.sum(axis=-1), totals).sum())


def _parameters(counts: FloatArray) -> int:
    """How many probabilities those shares are, beyond what sums to one."""
    return int((counts > 0).sum() - (counts.sum(axis=-1) > 0).sum())
