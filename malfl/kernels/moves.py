"""Whether moves that were seen are possible."""

import numpy as np
from numba import njit

from malfl.checks import IntArray
from malfl.kernels.steps import Steps


@njit(cache=True, nogil=True)
def first_forbidden(
    steps: Steps, states: IntArray, pointers: IntArray, follows: IntArray, begin: int, end: int
) -> int:
    """The first of the steps ``begin..end-1`` that leads where it cannot, or -1.

    Parameters
    ----------
    states
        (S * A,), the state of each code.
    pointers, follows
        Where each code may lead, as a sparse matrix (S * A, S) with its indices in order.
    """
    codes, ends, last = steps
    first, beyond = np.searchsorted(ends, begin, "right") - 1, np.searchsorted(ends, end)
    for episode in range(first, beyond):
        final = ends[episode + 1]
        for t in range(max(begin, ends[episode]), min(end, final)):
            code = codes[t]
            after = states[codes[t + 1]] if t + 1 < final else np.int64(last[episode])
            low, high = pointers[code], pointers[code + 1]
            while low < high:
                middle = (low + high) // 2
                if follows[middle] < after:
                    low = middle + 1
                else:
                    high = middle
            if low == pointers[code + 1] or follows[low] != after:
                return t
    return -1
