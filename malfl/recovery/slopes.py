"""Slopes of logits in the numbers of a reward, in blocks that leave out what is zero.

A block holds choices that depend on the same numbers. Where all depend on all there is one block.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.recovery.parts import ALL, Part, Symmetric, parts_of


class Block(NamedTuple):
    """Neighbouring choices, g of them, that depend on the same k numbers."""

    choices: slice
    columns: IntArray | slice  # (k,), which numbers; all of them in a block of everything
    values: FloatArray  # (g, A_i, k)


class Slopes:
    """Of G choices among A_i actions in K numbers."""

    def __init__(
        self,
        blocks: Sequence[Block],
        shape: tuple[int, int, int],
        parts: Sequence[Part] | None = None,
    ) -> None:
        self.blocks, self.shape = tuple(blocks), shape
        #: Numbers that no choice depends on together, in groups.
        self.parts = _parts(self.blocks, shape[2]) if parts is None else parts

    @classmethod
    def of(cls, values: FloatArray) -> "Slopes":
        """One block of everything, (G, A_i, K)."""
        return cls([Block(ALL, ALL, values)], values.shape)

    def times(self, factor: float, known: BoolArray) -> "Slopes":
        """The same, times a factor; zero where nothing is known of an action (G, A_i)."""
        blocks = [
            block._replace(
                values=factor * np.where(known[block.choices][..., None], block.values, 0.0)
            )
            for block in self.blocks
        ]
        return Slopes(blocks, self.shape, self.parts)

    def at(self, reward: FloatArray) -> FloatArray:
        """The logits (G, A_i) of a reward (K,)."""
        if len(self.blocks) == 1 and self.blocks[0].choices == ALL:
            return np.asarray(self.blocks[0].values @ reward)
        found = np.empty(self.shape[:2])
        for choices, columns, values in self.blocks:
            found[choices] = values @ reward[columns]
        return found

    def along(self, rest: FloatArray) -> FloatArray:
        """The sum (K,) of all slopes, each times what is given for its logit, (G, A_i)."""
        found = np.zeros(self.shape[2])
        if len(self.blocks) == 1:
            found[self.blocks[0].columns] = np.tensordot(rest, self.blocks[0].values, 2)
            return found
        for choices, columns, values in self.blocks:
            found[columns] += rest[choices].ravel() @ _flat(values)
        return found

    def mixed(self, matrices: FloatArray) -> "Slopes":
        """Each choice's slopes times a matrix of its own from the left, (G, B, A_i)."""
        blocks = [
            block._replace(values=matrices[block.choices] @ block.values) for block in self.blocks
        ]
        shape = (self.shape[0], matrices.shape[1], self.shape[2])
        return Slopes(blocks, shape, self.parts)

    def square(self) -> Symmetric:
        """The sum (K, K) of the slopes' outer products."""
        owner, place = np.zeros((2, self.shape[2]), dtype=np.int64)
        for number, part in enumerate(self.parts):
            owner[part], place[part] = number, np.arange(owner[part].size)
        blocks = [np.zeros((owner[part].size,) * 2) for part in self.parts]
        for _, columns, values in self.blocks:
            flat = _flat(values)
            if isinstance(columns, slice):
                blocks[0] += flat.T @ flat  # of one array with itself, for half the work
            elif columns.size:
                some = place[columns]
                blocks[owner[columns[0]]][np.ix_(some, some)] += flat.T @ flat
        return Symmetric(self.parts, blocks)

    def apart(self, known: BoolArray) -> FloatArray:
        """How far any is from the mean over the known actions, at most, by number, (K,)."""
        found = np.zeros(self.shape[2])
        for choices, columns, values in self.blocks:
            found[columns] = np.maximum(found[columns], farthest(values, known[choices]))
        return found

    def largest(self) -> float:
        """The largest of all, whatever its sign."""
        return max((float(np.abs(block.values).max(initial=0)) for block in self.blocks), default=0)


def less_mean(values: FloatArray, known: BoolArray) -> FloatArray:
    """Slopes (g, A_i, k) less their mean over known actions (g, A_i); zero of others."""
    some = known[..., None]
    mean = (values * some).sum(axis=1, keepdims=True) / some.sum(axis=1, keepdims=True)
    return np.asarray((values - mean) * some)


def farthest(values: FloatArray, known: BoolArray) -> FloatArray:
    """How far slopes (g, A_i, k) are from that mean, at most, (k,)."""
    return np.asarray(np.abs(less_mean(values, known)).max(axis=(0, 1), initial=0.0))


def _parts(blocks: Sequence[Block], numbers: int) -> tuple[Part, ...]:
    if not blocks or any(isinstance(block.columns, slice) for block in blocks):
        return (ALL,)
    columns = [np.arange(numbers)[block.columns] for block in blocks]
    sizes, where = list(map(len, columns)), np.concatenate(columns)
    touched = csr_array(
        (np.ones(len(where)), where, np.append(0, np.cumsum(sizes))), shape=(len(sizes), numbers)
    )
    return parts_of(csr_array(touched.T @ touched))


def _flat(values: FloatArray) -> FloatArray:
    """Choices and actions along one axis; there may be no numbers."""
    return values.reshape(values.shape[0] * values.shape[1], values.shape[2])
