"""Alias tables: a draw from any distribution by one look-up (Walker 1977, Vose 1991).

A distribution over at most ``2 ** bits`` outcomes, bits being at least 2, has ``2 ** bits`` slots.
The first ``bits`` of 64 random bits are the number k of one. Slot k is one word: it is left for
another outcome, its alias, if the random word lies below it as numbers do on a circle, and its
last ``bits`` bits are k XOR alias. No word lies below ``k << (64 - bits)``, and all of slot k's
words lie below ``(k + 1 << (64 - bits)) + 1``.
"""

import numpy as np
from numba import njit

from malfl.checks import FloatArray, WordArray

U = np.uint64


@njit(cache=True, nogil=True)
def fill_slots(probabilities: FloatArray, bits: int, slots: WordArray) -> None:
    """Write one table a row of ``probabilities`` (R, A) into ``slots`` (R * 2 ** bits,).

    Rows sum to 1 up to rounding. An outcome of probability 0 is never drawn; another probability
    is off by 2 ** (2 * bits - 64) at most, but for rounding.
    """
    rows, outcomes = probabilities.shape
    size = 1 << bits
    width = 64 - bits
    weights = np.empty(size)
    pending = np.empty(size, dtype=np.int64)  # small ones from the left, large from the right
    for row in range(rows):
        total = probabilities[row].sum()
        small, large = 0, size
        for k in range(size):
            weights[k] = probabilities[row, k] / total * size if k < outcomes else 0.0
            slots[row * size + k] = U(k) << U(width)
            if weights[k] < 1.0:
                pending[small] = k
                small += 1
            else:
                large -= 1
                pending[large] = k
        while small > 0 and large < size:
            small -= 1
            k, alias = pending[small], pending[large]
            stay = np.int64(np.rint(weights[k] * 2.0**width))
            leave = ((np.int64(1) << width) - stay) >> bits << bits
            if leave > 0:
                slots[row * size + k] += U(leave | (k ^ alias))
            weights[alias] -= 1.0 - weights[k]
            if weights[alias] < 1.0:
                large += 1
                pending[small] = alias
                small += 1
