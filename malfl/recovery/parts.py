"""Parts of a reward that no data weigh against each other, and matrices that fall apart by them.

In some games play never leads from one part to another, as where a goal is drawn at the start and
stays. All that is done with large symmetric matrices is then done part by part.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.linalg import cholesky, eigh, eigvalsh
from scipy.linalg import cho_solve
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from malfl.checks import FloatArray, IntArray

MANY = 500  # rows of a matrix; a smaller one is one part
LEAST = 100  # rows of a part; smaller ones are put together

Part = IntArray | slice
"""Indices, or all of them."""

ALL = slice(None)


def parts_of(matrix: FloatArray | csr_array) -> tuple[Part, ...]:
    """Groups of rows of a symmetric matrix (K, K) between which all entries are zero."""
    if matrix.shape[0] < MANY:
        return (ALL,)
    return together(connected_components(csr_array(matrix), directed=False)[1])


def together(labels: IntArray) -> tuple[IntArray, ...]:
    """Groups of equal labels, small ones put together with those before them."""
    sizes = np.bincount(labels)
    # A group of LEAST or more begins a new one; whatever is left of small ones before joins it.
    groups = (np.cumsum(np.where(sizes >= LEAST, LEAST, sizes)) // LEAST)[labels]
    return tuple(np.flatnonzero(groups == group) for group in np.unique(groups))


class Symmetric(NamedTuple):
    """A symmetric matrix (K, K), part by part."""

    parts: Sequence[Part]
    blocks: Sequence[FloatArray]

    def whole(self) -> FloatArray:
        """Shape (K, K)."""
        if len(self.parts) == 1:
            return self.blocks[0]
        size = sum(map(len, self.blocks))
        found = np.zeros((size, size))
        for part, block in zip(self.parts, self.blocks, strict=True):
            found[square(part)] = block
        return found

    def factor(self, ridge: float) -> "Factor":
        """Of this with a ridge on the diagonal, and with what rounding needs.

        LinAlgError unless that is positive definite.
        """
        largest = max(float(np.diag(block).max()) for block in self.blocks)
        rounding = np.finfo(np.float64).eps * sum(map(len, self.blocks)) * largest
        lower = []
        for block in self.blocks:
            own = block.copy()
            own.flat[:: len(own) + 1] += ridge + rounding
            lower.append(np.asarray(cholesky(own)))
        return Factor(self.parts, lower)


def mixture(matrices: Sequence[Symmetric], shares: FloatArray) -> Symmetric:
    """The sum of matrices of the same parts, each times its share."""
    blocks = [np.zeros_like(block) for block in matrices[0].blocks]
    for matrix, share in zip(matrices, shares, strict=True):
        for block, own in zip(blocks, matrix.blocks, strict=True):
            block += share * own
    return Symmetric(matrices[0].parts, blocks)


class Factor(NamedTuple):
    """The Cholesky factor of a symmetric matrix (K, K), part by part."""

    parts: Sequence[Part]
    lower: Sequence[FloatArray]

    def solve(self, given: FloatArray) -> FloatArray:
        """The inverse times a vector (K,)."""
        found = np.empty_like(given)
        for part, lower in zip(self.parts, self.lower, strict=True):
            found[part] = cho_solve((lower, True), given[part])
        return found

    def inverse(self) -> Symmetric:
        """Of the matrix."""
        blocks = [cho_solve((lower, True), np.eye(len(lower))) for lower in self.lower]
        return Symmetric(self.parts, blocks)

    def trace(self, matrix: Symmetric) -> float:
        """Of the inverse times a matrix of the same parts."""
        both = zip(self.lower, matrix.blocks, strict=True)
        return sum(float(np.trace(cho_solve((lower, True), block))) for lower, block in both)

    def diagonal(self) -> FloatArray:
        """Of the factor, (K,), part by part."""
        return np.concatenate([np.diag(lower) for lower in self.lower])


def eigh_by_parts(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues (K,) of a symmetric matrix, in ascending order, and eigenvectors (K, K)."""
    parts = parts_of(matrix)
    if len(parts) == 1:
        sizes, axes = eigh(matrix)
        return sizes, axes
    sizes, axes, begin = np.empty(len(matrix)), np.zeros(matrix.shape), 0
    for part in parts:
        some, own = eigh(matrix[square(part)])
        here = slice(begin, begin + len(some))
        sizes[here], axes[part, here] = some, own
        begin += len(some)
    order = np.argsort(sizes, kind="stable")
    return sizes[order], axes[:, order]


def eigvalsh_by_parts(matrix: FloatArray) -> FloatArray:
    """Eigenvalues (K,) of a symmetric matrix, in ascending order."""
    return np.sort(np.concatenate([eigvalsh(matrix[square(part)]) for part in parts_of(matrix)]))


def square(part: Part) -> tuple[Part, ...]:
    """The rows and columns of a part."""
    return (part, part) if isinstance(part, slice) else np.ix_(part, part)
