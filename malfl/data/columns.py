"""Which columns of a table hold what, and their numbers batch by batch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from malfl import checks
from malfl.checks import BoolArray, IntArray
from malfl.data.codebook import NONE, Codebooks, whole


class Columns(NamedTuple):
    """Names of columns; None where there is none."""

    iteration: str | None
    episode: str | None
    step: str | None
    state: str
    actions: tuple[str, ...]
    next_state: str | None
    ended: str | None
    acted: tuple[str, ...]  # one an agent, or none


class Rows(NamedTuple):
    """Numbers of some rows, n of them."""

    iteration: IntArray  # (n,)
    episode: IntArray  # (n,)
    step: IntArray  # (n,)
    state: IntArray  # (n,)
    next_state: IntArray  # (n,), -1 where none is given
    ended: BoolArray  # (n,)
    actions: IntArray  # (n, N), -1 where an agent did not act

    def some(self, which: slice) -> "Rows":
        """Some of them."""
        return Rows(
            self.iteration[which], self.episode[which], self.step[which], self.state[which],
            self.next_state[which], self.ended[which], self.actions[which],
        )  # fmt: skip

    def then(self, rows: "Rows") -> "Rows":
        """These and the ones that follow."""
        return Rows(
            np.append(self.iteration, rows.iteration),
            np.append(self.episode, rows.episode),
            np.append(self.step, rows.step),
            np.append(self.state, rows.state),
            np.append(self.next_state, rows.next_state),
            np.append(self.ended, rows.ended),
            np.append(self.actions, rows.actions, axis=0),
        )


def find_columns(
    present: Sequence[str],
    table: str,
    *,
    iteration: str | None,
    episode: str | None,
    step: str | None,
    state: str,
    action: str | Sequence[str] | None,
    next_state: str | None,
    ended: str | None,
    acted: str | Sequence[str] | None,
    agents: int | None,
) -> Columns:
    """The names that are in the table: those asked for, and usual ones that are there.

    Raises
    ------
    ValueError
        If one that is asked for is missing or named twice, or there are not as many columns of
        actions as agents.
    """

    def found(name: str | None, usual: str) -> str | None:
        if name is None:
            return usual if usual in present else None
        return _present(name, usual, present, table)

    where = _present(state, "state", present, table)
    several = _per_agent(action, "action", present, table)
    if not several:
        raise ValueError(
            f"{table} must have a column 'action', or 'action_0', 'action_1' and so on, one an "
            f"agent, or action must name them; its columns are {_listed(present)}"
        )
    if agents is not None and len(several) != agents:
        raise ValueError(
            f"action must name a column for each of {agents} agents of game, got {list(several)}"
        )
    who = _per_agent(acted, "acted", present, table)
    if who and len(who) != len(several):
        raise ValueError(
            f"acted must name a column for each of {len(several)} agents, got {list(who)}"
        )
    names = Columns(
        found(iteration, "iteration"), found(episode, "episode"), found(step, "step"),
        where, several, found(next_state, "next_state"),
        found(ended, "ended"), who,
    )  # fmt: skip
    used = [name for part in names for name in (part if isinstance(part, tuple) else [part])]
    for k, name in enumerate(used):
        if name is not None and name in used[:k]:
            raise ValueError(f"column '{name}' of {table} is to be used twice")
    return names


def _per_agent(
    names: str | Sequence[str] | None, usual: str, present: Sequence[str], table: str
) -> tuple[str, ...]:
    if isinstance(names, str):
        names = [names]
    if names is not None:
        checks.sequence(names, usual, "the name of a column for each agent")
        return tuple(_present(name, f"{usual}[{i}]", present, table)
                     for i, name in enumerate(names))  # fmt: skip
    if usual in present:
        return (usual,)
    numbered: list[str] = []
    while (name := f"{usual}_{len(numbered)}") in present:
        numbered.append(name)
    return tuple(numbered)


def _present(name: object, argument: str, present: Sequence[str], table: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be the name of a column, got {checks.shown(name)}")
    if name not in present:
        raise ValueError(
            f"{argument} must be a column of {table}, got '{name}'; there are {_listed(present)}"
        )
    if list(present).count(name) > 1:
        raise ValueError(f"{table} has more than one column '{name}'")
    return name


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(str, names)) or "none"


class Reader:
    """Rows as numbers, batch by batch."""

    def __init__(self, columns: Columns, books: Codebooks) -> None:
        self._columns, self._books = columns, books
        self._row = 0

    def read(self, batch: pa.RecordBatch) -> Rows:
        """The numbers of the rows that come next."""
        names, row, none = self._columns, self._row, np.zeros(batch.num_rows, dtype=np.int64)
        self._row += batch.num_rows

        def numbers(name: str | None) -> IntArray:
            return none if name is None else _present_in(batch, name, row)

        states = self._books.states.codes(batch.column(names.state), names.state, row)
        _none_missing(states, names.state, row)
        after = none + NONE
        if names.next_state is not None:
            after = self._books.states.codes(batch.column(names.next_state), names.next_state, row)
        episode = none
        if names.episode is not None:
            episode = self._books.episodes.codes(batch.column(names.episode), names.episode, row)
            _none_missing(episode, names.episode, row)
        actions = np.empty((batch.num_rows, len(names.actions)), dtype=np.int64)
        for i, (name, book) in enumerate(zip(names.actions, self._books.actions, strict=True)):
            actions[:, i] = book.codes(batch.column(name), name, row)
        for i, name in enumerate(names.acted):
            acts = _truths(batch, name, row)
            if (lost := acts & (actions[:, i] < 0)).any():
                bad = int(np.argmax(lost))
                raise ValueError(
                    f"column '{names.actions[i]}' is empty in row {row + bad}, where '{name}' says "
                    f"that agent {i} acted"
                )
            actions[~acts, i] = NONE
        ended = none.astype(bool) if names.ended is None else _truths(batch, names.ended, row)
        return Rows(
            numbers(names.iteration), episode, numbers(names.step), states, after, ended, actions
        )


def _present_in(batch: pa.RecordBatch, name: str, row: int) -> IntArray:
    found = whole(batch.column(name), name, row)
    _none_missing(found, name, row)
    return found


def _none_missing(codes: IntArray, name: str, row: int) -> None:
    if (codes < 0).any():
        raise ValueError(f"column '{name}' is empty in row {row + int(np.argmax(codes < 0))}")


def _truths(batch: pa.RecordBatch, name: str, row: int) -> BoolArray:
    column = batch.column(name)
    if column.null_count:
        raise ValueError(
            f"column '{name}' is empty in row {row + int(np.argmax(column.is_null()))}"
        )
    if pa.types.is_boolean(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    found = whole(column, name, row)
    if (wrong := found > 1).any():
        bad = int(np.argmax(wrong))
        raise ValueError(
            f"column '{name}' is {found[bad]} in row {row + bad}; it must be true or false"
        )
    return np.asarray(found == 1)
