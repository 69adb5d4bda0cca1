"""Episodes as a table shows them, on their way to `malfl.Episodes`."""

import itertools
from math import prod
from typing import NamedTuple

import numpy as np

from malfl import progress
from malfl.checks import BoolArray, IntArray
from malfl.data.codebook import Codebooks
from malfl.games.markov import Dynamics
from malfl.kernels.steps import Steps
from malfl.play.episodes import Episodes

UNKNOWN = -1  # state in which an episode was left, if nobody says


class Played(NamedTuple):
    """Episodes as they were found, E of them, with N steps in all."""

    states: IntArray  # (N,), in which something was done
    actions: tuple[IntArray, ...]  # (N,) of each agent, -1 where it did not act
    lengths: IntArray  # (E,), steps; 0 if there is only a state
    first_row: IntArray  # (E,), of the table; the steps of an episode are in rows that follow
    iteration: IntArray  # (E,)
    last: IntArray  # (E,), state in which it was left, or UNKNOWN
    ended: BoolArray  # (E,), whether it ended there

    @property
    def ends(self) -> IntArray:
        """How many steps there were by the end of each episode, (E,)."""
        return self.lengths.cumsum()

    def row_of(self, step: int) -> int:
        """The row of the table that a step is in."""
        ends = self.ends
        episode = int(np.searchsorted(ends, step, side="right"))
        return int(self.first_row[episode] + step - (ends[episode] - self.lengths[episode]))

    def last_row_of(self, episode: int) -> int:
        """The row in which, or after which, an episode was left."""
        return int(self.first_row[episode] + self.lengths[episode])


class Found(NamedTuple):
    """What a table comes to, by known rules or estimated ones."""

    dynamics: Dynamics
    episodes: tuple[Episodes, ...]  # of each iteration
    states: tuple[str, ...] | None  # names, if there are any
    notes: tuple[str, ...]


def in_order(played: Played, books: Codebooks) -> Played:
    """The same episodes, labels numbered in their order."""
    return played._replace(
        states=books.states.in_order(played.states),
        actions=tuple(
            book.in_order(own) for book, own in zip(books.actions, played.actions, strict=True)
        ),
        last=books.states.in_order(played.last),
    )


def in_iterations(played: Played, window: int | None) -> Played:
    """Episodes by iterations 0..n-1: as they are, or so many in each.

    If there is one long episode, it is cut after so many steps.
    """
    if window is None:
        return played._replace(iteration=played.iteration - played.iteration[0])
    if len(played.lengths) > 1:
        return played._replace(iteration=np.arange(len(played.lengths)) // window)
    steps = int(played.lengths[0])
    begin = np.arange(0, max(steps, 1), window)
    return played._replace(
        lengths=np.diff(begin, append=steps),
        first_row=played.first_row[0] + begin,
        iteration=np.arange(len(begin)),
        last=np.append(played.states[begin[1:]].astype(np.int64), played.last),
        ended=np.append(np.zeros(len(begin) - 1, dtype=bool), played.ended),
    )


def without_open_ends(played: Played) -> tuple[Played, tuple[str, ...]]:
    """Episodes without steps of which nobody knows where they led; a note of how many, if any.

    Raises
    ------
    ValueError
        If no step is left.
    """
    open_ = (played.last == UNKNOWN) & (played.lengths > 0)
    if not open_.any():
        return played, ()
    steps = played.ends[open_] - 1
    last = played.last.copy()
    last[open_] = played.states[steps]
    kept = np.ones(len(played.states), dtype=bool)
    kept[steps] = False
    if not kept.any():
        raise ValueError(
            "nothing says where any step led; a column 'next_state' would, or a last row of each "
            "episode without actions"
        )
    shorter = played._replace(
        states=played.states[kept],
        actions=tuple(own[kept] for own in played.actions),
        lengths=played.lengths - open_,
        last=last,
        ended=played.ended & ~open_,
    )
    note = (
        f"The last step of {len(steps)} of {len(last)} episodes is left out, as nothing says where "
        "it led; a column 'next_state' would."
    )
    return _without_empty_last(shorter), (note,)


def _without_empty_last(played: Played) -> Played:
    """Without iterations at the end in which no step is left."""
    acted = played.iteration[played.lengths > 0]
    kept = played.iteration <= (acted[-1] if acted.size else played.iteration[0])
    return played._replace(
        lengths=played.lengths[kept], first_row=played.first_row[kept],
        iteration=played.iteration[kept], last=played.last[kept], ended=played.ended[kept],
    )  # fmt: skip


def as_episodes(played: Played, states: int, sizes: tuple[int, ...]) -> tuple[Episodes, ...]:
    """The episodes of each iteration, those without steps left out; everybody has an action."""
    joint = prod(sizes)
    kind, wide = np.min_scalar_type(states * joint - 1), np.min_scalar_type(states * joint)
    iterations, ends = int(played.iteration[-1]) + 1, played.ends
    found = []
    bounds = np.searchsorted(played.iteration, np.arange(iterations + 1))
    for begin, end in itertools.pairwise(bounds):
        progress.advance()
        first, last = (0 if at == 0 else int(ends[at - 1]) for at in (begin, end))
        some = slice(first, last)
        codes = played.states[some].astype(wide)
        for own, size in zip(played.actions, sizes, strict=True):
            codes *= wide.type(size)
            codes += own[some].astype(wide)
        lengths, left = played.lengths[begin:end], played.last[begin:end]
        some_steps = lengths > 0
        steps = Steps(
            codes.astype(kind, copy=False),
            np.append(0, lengths[some_steps].cumsum()),
            left[some_steps].astype(kind),
        )
        found.append(Episodes.from_packed(steps, states, joint))
    return tuple(found)
