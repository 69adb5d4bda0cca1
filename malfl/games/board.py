"""Boards of cells, ``columns * row + column``, and where steps on them end."""

from collections.abc import Sequence

import numpy as np

from malfl.checks import IntArray


def landings(rows: int, columns: int, steps: Sequence[tuple[int, int]]) -> IntArray:
    """Cell in which each step from each cell ends, shape (rows * columns, len(steps)).

    A step is of so many rows and columns. One that leads off the board ends where it began.
    """
    row, column = np.divmod(np.arange(rows * columns), columns)
    target = np.empty((rows * columns, len(steps)), dtype=np.int64)
    for number, (down, right) in enumerate(steps):
        r, c = row + down, column + right
        inside = (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
        target[:, number] = np.where(inside, columns * r + c, columns * row + column)
    return target
