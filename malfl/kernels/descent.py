"""Adam on a weighted sum of squares of sparse equations."""

import numpy as np
from numba import njit

from malfl.checks import FloatArray, IntArray


@njit(cache=True, nogil=True)
def descend(
    entries: FloatArray,
    columns: IntArray,
    begins: IntArray,
    targets: FloatArray,
    weights: FloatArray,
    begin: int,
    end: int,
    rate: float,
    mean: FloatArray,
    square: FloatArray,
    x: FloatArray,
) -> None:
    """Move ``x`` down sum_m w_m (sum_k A_mk x_k - y_m)^2 by Adam's steps (`malfl.recovery.adam`).

    Parameters
    ----------
    entries, columns, begins
        The equations A by compressed rows, as SciPy has them. Unsigned indices spare numba's test
        for those that count from an array's end, and a third of the time.
    targets, weights
        y and w, (M,).
    begin, end
        Steps made before, and when these are made; each is of size ``rate``.
    mean, square
        Adam's running means, (K,), zero at first; updated.
    x
        Where to go on, (K,); updated.
    """
    slope = np.empty_like(x)
    for step in range(begin + 1, end + 1):
        slope[:] = 0.0
        first = begins[0]
        for m in range(len(targets)):
            last = begins[m + 1]
            left = -targets[m]
            for k in range(first, last):
                left += entries[k] * x[columns[k]]
            left *= 2 * weights[m]
            for k in range(first, last):
                slope[columns[k]] += entries[k] * left
            first = last
        stride, steady = rate / (1 - 0.9**step), 1 / (1 - 0.999**step)
        for k in range(len(x)):
            mean[k] += (1 - 0.9) * (slope[k] - mean[k])
            square[k] += (1 - 0.999) * (slope[k] * slope[k] - square[k])
            x[k] -= stride * mean[k] / (np.sqrt(square[k] * steady) + 1e-8)
