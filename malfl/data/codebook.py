"""Numbers for states and actions that a table holds as numbers or labels."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from malfl import checks
from malfl.checks import IntArray

NONE = -1  # code of an entry that is missing
MOST_CODES = 2**31  # numbers above are no codes


class Codebook:
    """The codes of one kind of thing, such as the states, as a table shows them batch by batch.

    Whole numbers are codes already. Labels get theirs in the order in which they come; `in_order`
    turns these into those of the sorted labels.

    Parameters
    ----------
    what
        For errors, such as ``"states"``.
    labels
        All there are, in the order of their codes, if they are known.
    """

    def __init__(self, what: str, labels: Sequence[str] | None) -> None:
        self._what, self._fixed = what, labels is not None
        self._labels = [] if labels is None else _checked(labels, what)
        self._codes = {label: code for code, label in enumerate(self._labels)}
        self._text: bool | None = None
        self._seen = np.zeros(len(self._labels), dtype=np.int64)
        self._first_row: list[int] = []  # of labels that were not given
        self.largest = len(self._labels) - 1  #: code

    def codes(self, column: pa.Array, name: str, row: int) -> IntArray:
        """The codes (n,) of a column, `NONE` where an entry is missing; its first row is ``row``.

        Raises
        ------
        TypeError, ValueError
            If an entry is neither a whole number of 0 or more nor a label that is known.
        """
        if pa.types.is_dictionary(column.type) and not _is_text(column.type.value_type):
            column = column.dictionary_decode()
        text = _is_text(column.type) or pa.types.is_dictionary(column.type)
        if pa.types.is_null(column.type):
            return np.full(len(column), NONE)
        if self._text is not None and self._text != text:
            raise TypeError(f"column '{name}' holds {self._what} in another form than before: text "
                            "in one place and numbers in another")  # fmt: skip
        self._text = text
        found = self._of_text(column, name, row) if text else whole(column, name, row)
        self.largest = max(self.largest, int(found.max(initial=NONE)))
        if self._fixed and self.largest >= len(self._labels):
            bad = int(np.argmax(found >= len(self._labels)))
            raise ValueError(
                f"column '{name}' is {found[bad]} in row {row + bad}; {self._what} are numbered "
                f"0..{len(self._labels) - 1}"
            )
        return found

    @property
    def unordered(self) -> bool:
        """Whether there are labels of which nobody has said the order."""
        return bool(self._text) and not self._fixed

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Those there are, sorted unless they were given; None if the table holds numbers."""
        if self.unordered:
            return tuple(sorted(self._labels))
        return tuple(self._labels) or None

    def in_order(self, codes: IntArray) -> IntArray:
        """Codes that came from `codes`, as those of the labels in their order; -1 stays."""
        if not self.unordered:
            return codes
        order = np.argsort(np.argsort(self._labels))
        new = np.append(order, NONE).astype(
            np.result_type(np.min_scalar_type(-len(order)), np.int8)
        )
        return np.asarray(new[codes])

    def shown(self, code: int) -> str:
        """What the table holds for one of the `codes`, for errors."""
        return repr(self._labels[code]) if self._text else str(code)

    def seen_once(self) -> Iterator[str]:
        """Labels that came once, and in which row, a sentence each."""
        if self.unordered:
            for code in np.flatnonzero(self._seen == 1):
                row = self._first_row[code]
                yield f"'{self._labels[code]}' comes only once among the {self._what}, in row {row}"

    def _of_text(self, column: pa.Array, name: str, row: int) -> IntArray:
        if not pa.types.is_dictionary(column.type):
            column = pc.dictionary_encode(column.cast(pa.large_string()))
        inside = column.indices.fill_null(NONE).to_numpy(zero_copy_only=False).astype(np.int64)
        new = np.full(len(column.dictionary) + 1, NONE)
        labels = column.dictionary.to_pylist()
        for k, first in zip(*np.unique(inside, return_index=True), strict=True):
            if k == NONE:
                continue
            label = labels[k]
            if label not in self._codes:
                if self._fixed:
                    raise ValueError(
                        f"column '{name}' is {label!r} in row {row + int(first)}, which is none "
                        f"of the {self._what} {checks.shown(self._labels)}"
                    )
                self._codes[label] = len(self._labels)
                self._labels.append(label)
                self._first_row.append(row + int(first))
            new[k] = self._codes[label]
        found: IntArray = new[inside]
        counted = np.bincount(found[found >= 0], minlength=len(self._labels))
        counted[: len(self._seen)] += self._seen
        self._seen = counted
        return found


class Codebooks(NamedTuple):
    """Those of states, of each agent's actions and of episodes."""

    states: Codebook
    actions: tuple[Codebook, ...]
    episodes: Codebook

    @classmethod
    def of(
        cls,
        agents: int,
        states: Sequence[str] | None,
        actions: Sequence[Sequence[str] | None] | None,
    ) -> Self:
        """Those of so many agents, with the labels that are known."""
        given = [None] * agents if actions is None else actions
        checks.one_per_agent(given, "actions", agents)
        return cls(
            Codebook("states", states),
            tuple(Codebook(f"actions[{i}]", labels) for i, labels in enumerate(given)),
            Codebook("episodes", None),
        )

    @property
    def sizes(self) -> tuple[int, tuple[int, ...]]:
        """Numbers of states and of each agent's actions, as far as they are known."""
        return self.states.largest + 1, tuple(max(book.largest, 0) + 1 for book in self.actions)

    @property
    def action_names(self) -> tuple[tuple[str, ...], ...] | None:
        """Each agent's; None if all have numbers only."""
        if all(book.labels is None for book in self.actions):
            return None
        return tuple(
            tuple(map(str, range(size))) if book.labels is None else book.labels
            for book, size in zip(self.actions, self.sizes[1], strict=True)
        )

    def seen_once(self) -> tuple[str, ...]:
        """Labels that came once, a sentence each."""
        return tuple(said for book in (self.states, *self.actions) for said in book.seen_once())


def whole(column: pa.Array, name: str, row: int) -> IntArray:
    """A column of whole numbers, `NONE` where an entry is missing.

    Raises
    ------
    TypeError, ValueError
        If there are no numbers in it, or one that is not whole, negative or too large.
    """
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise TypeError(f"column '{name}' must hold whole numbers, it holds {column.type}")
    missing = column.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    values = column.fill_null(0).to_numpy(zero_copy_only=False)
    values = np.where(missing, 0, values) if missing.any() else values
    bad = (values < 0) | (values >= MOST_CODES)
    if values.dtype.kind == "f":
        bad |= values != np.floor(values)
    bad &= ~missing
    if bad.any():
        where = int(np.argmax(bad))
        raise ValueError(
            f"column '{name}' is {values[where]:g} in row {row + where}; it must hold whole "
            f"numbers from 0 to {MOST_CODES - 1}"
        )
    return np.where(missing, NONE, values.astype(np.int64))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind)
                or pa.types.is_string_view(kind))  # fmt: skip


def _checked(labels: Sequence[str], what: str) -> list[str]:
    found = list(checks.texts(labels, what))
    if len(set(found)) < len(found):
        twice = next(label for k, label in enumerate(found) if label in found[:k])
        raise ValueError(f"{what} must name each once, got {twice!r} twice")
    return found
