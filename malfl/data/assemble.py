"""Rows of a table put together to episodes, in one pass, with everything checked on the way."""

import numpy as np

from malfl.checks import BoolArray, IntArray
from malfl.data.codebook import Codebook
from malfl.data.columns import Columns, Rows
from malfl.data.played import UNKNOWN, Played


class Assembler:
    """Takes rows as they come; a row is looked at when the one after it is there.

    Raises
    ------
    ValueError
        If a row does not follow the one before it: iterations, episodes or steps are out of order,
        missing or doubled, an episode goes on after its end, or the next state is another one.
    """

    def __init__(self, columns: Columns, states: Codebook) -> None:
        self._columns, self._states = columns, states
        self._held: Rows | None = None  # the last row, which waits for the next
        self._row = 0  # of the table, of the held row
        self._starts, self._ended_before = True, False  # of the held row
        self._begun = 0  # row in which the episode of the row before the held one began
        self._first_step: int | None = None
        self._kept = 0
        self._parts: list[tuple[IntArray, ...]] = []
        self._episodes: list[IntArray] = []

    def add(self, rows: Rows) -> None:
        """The rows that come next."""
        if len(rows.state) == 0:
            return
        if self._held is None:
            self._first_step = int(rows.step[0])
            if self._columns.step is not None and self._first_step > 1:
                raise ValueError(
                    f"column '{self._columns.step}' begins with {self._first_step} in row 0; steps "
                    "of an episode are counted from 0 or 1"
                )
        else:
            rows = self._held.then(rows)
        new, cut = self._new(rows)
        starts = np.append(self._starts, new)
        then = np.where(new & ~cut, UNKNOWN, rows.state[1:])
        if len(new):
            self._look_at(rows.some(slice(-1)), starts[:-1], new, then)
        self._held = rows.some(slice(-1, None))
        self._starts = bool(starts[-1])

    def finish(self, table: str) -> Played:
        """All episodes; raises ValueError if there are none."""
        if self._held is None:
            raise ValueError(f"{table} has no rows")
        self._look_at(self._held, np.array([self._starts]), np.array([True]), np.array([UNKNOWN]))
        states, *actions = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        self._parts = []
        ends, first, iteration, episode, last, ended = np.concatenate(self._episodes, axis=1)
        self._check_overlap(iteration, episode, first)
        return Played(
            states, tuple(actions), np.diff(ends, prepend=0), first, iteration, last,
            ended.astype(bool),
        )  # fmt: skip

    def _new(self, rows: Rows) -> tuple[BoolArray, BoolArray]:
        """Whether a row begins an episode, for each but the first; checks that they follow.

        Also whether it goes on with one that was cut, as another iteration begins.
        """
        names, (iteration, episode, step, *_) = self._columns, rows
        onward = np.diff(iteration)
        self._refuse(
            onward < 0, names.iteration, iteration, "iterations must be in order, and it was {}"
        )
        self._refuse(
            onward > 1, names.iteration, iteration, "iterations are missing: the last was {}"
        )
        other = (onward != 0) | (np.diff(episode) != 0)
        if names.step is None:
            return other, np.zeros_like(other)
        by = np.diff(step)
        again = step[1:] == self._first_step
        if names.episode is None:
            other |= again & (by != 1)
        cut = (onward == 1) & (np.diff(episode) == 0) & (by == 1)
        self._refuse(
            other & ~again & ~cut, names.step, step,
            f"an episode must begin with step {self._first_step}; before it was {{}}",
        )  # fmt: skip
        self._refuse(~other & (by == 0), names.step, step, "two rows are of one step, {}")
        self._refuse(~other & (by < 0), names.step, step, "rows are out of order: before it was {}")
        self._refuse(~other & (by > 1), names.step, step, "steps are missing: before it was {}")
        return other, cut

    def _refuse(self, wrong: BoolArray, name: str | None, values: IntArray, why: str) -> None:
        if wrong.any():
            bad = int(np.argmax(wrong))
            raise ValueError(
                f"column '{name}' is {values[bad + 1]} in row {self._row + bad + 1}; "
                f"{why.format(values[bad])}"
            )

    def _look_at(self, rows: Rows, starts: BoolArray, leaves: BoolArray, then: IntArray) -> None:
        """Rows, whether they begin and are the last of an episode, and the state of the next."""
        idle = np.asarray((rows.actions < 0).all(axis=1))
        only_state = idle & leaves
        before = np.append(self._ended_before, rows.ended[:-1])
        self._refuse_at(
            ~starts & before & ~only_state, "the episode goes on after its end in row {}"
        )
        given = rows.next_state
        self._refuse_at(
            only_state & (given >= 0), "no agent acts in row {}, but there is a next state"
        )
        wrong = (given >= 0) & (then >= 0) & (given != then)
        if wrong.any():
            self._refuse_leap(int(np.argmax(wrong)), given, then)
        kept = ~only_state
        self._parts.append(tuple(_narrow(part[kept]) for part in (rows.state, *rows.actions.T)))
        self._note_episodes(rows, starts, leaves, only_state, then, before & ~starts)
        self._ended_before = bool(rows.ended[-1])
        self._row += len(idle)

    def _note_episodes(
        self,
        rows: Rows,
        starts: BoolArray,
        leaves: BoolArray,
        only_state: BoolArray,
        then: IntArray,
        ended_before: BoolArray,
    ) -> None:
        """What is known of the episodes that are left in these rows."""
        (at,) = np.nonzero(leaves)
        so_far = self._kept + np.cumsum(~only_state)
        self._kept = int(so_far[-1])
        known = np.where(rows.next_state >= 0, rows.next_state, then)
        last = np.where(only_state, rows.state, known)[at]
        ended = (rows.ended | (only_state & ended_before))[at]
        numbers = self._row + np.arange(len(starts))
        begun = np.maximum.accumulate(np.where(starts, numbers, self._begun))
        self._begun = int(begun[-1])
        self._episodes.append(
            np.array([so_far[at], begun[at], rows.iteration[at], rows.episode[at], last, ended])
        )

    def _refuse_leap(self, bad: int, given: IntArray, then: IntArray) -> None:
        """A step that leads to another state than that of the next row."""
        names, said, begun = self._columns, self._states.shown, ""
        if names.episode is None:
            begun = "; if another episode begins there, episode= must name the column that says so"
        raise ValueError(
            f"column '{names.next_state}' is {said(int(given[bad]))} in row {self._row + bad}, but "
            f"column '{names.state}' is {said(int(then[bad]))} in the next row{begun}"
        )

    def _refuse_at(self, wrong: BoolArray, why: str) -> None:
        if wrong.any():
            raise ValueError(why.format(self._row + int(np.argmax(wrong))))

    def _check_overlap(self, iteration: IntArray, episode: IntArray, first: IntArray) -> None:
        """Raise if rows of one episode are not next to each other."""
        if self._columns.episode is None:
            return
        order = np.lexsort((first, episode, iteration))
        again = (np.diff(iteration[order]) == 0) & (np.diff(episode[order]) == 0)
        if again.any():
            row = first[order[1:][again]].min()
            raise ValueError(
                f"an episode that was left before goes on in row {row}; the rows of one episode "
                f"must follow each other, and column '{self._columns.episode}' name each once in "
                "an iteration"
            )


def _narrow(values: IntArray) -> IntArray:
    """The same numbers in as few bytes as hold them."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return values.astype(np.result_type(np.min_scalar_type(low), np.min_scalar_type(high)))
