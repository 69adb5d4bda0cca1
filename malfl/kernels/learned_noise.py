"""How values learned by temporal differences scatter together with those that they lead to."""

from typing import NamedTuple

import numpy as np
from numba import njit

from malfl.checks import FloatArray, IntArray


class Reach(NamedTuple):
    """Where each (s, a^i) leads, as a sparse matrix (S * A_i, S)."""

    pointers: IntArray  #: (S * A_i + 1,), where the row of each begins
    states: IntArray
    odds: FloatArray


@njit(cache=True, nogil=True)
def relax(
    reach: Reach,
    policy: FloatArray,
    rates: FloatArray,
    relaxed: FloatArray,
    noise: FloatArray,
    carried: FloatArray,
    gamma: float,
    covariance: FloatArray,
) -> float:
    """One round of a fixed point for the covariance C of values, in place; its largest change.

    The equation is dC/dt = N + gamma (D P C + C P' D) - D C - C D. Each entry of C relaxes at the
    sum of two of the rates D. N holds on its diagonal what targets scatter by.

    Parameters
    ----------
    policy
        (S, A_i).
    rates
        Of (s, a^i), (S * A_i,).
    relaxed
        (S * A_i, S * A_i), how far an entry of C is on its way, over the sum of its rates.
    noise, carried
        (S * A_i,), what targets scatter by if values do not, and how much of the variance among
        the values ahead is added to it.
    covariance
        C, (S * A_i, S * A_i).
    """
    pointers, follows, odds = reach
    states, own = policy.shape
    pairs = states * own
    mean, ahead = np.zeros((states, pairs)), np.zeros((pairs, pairs))
    spread = np.zeros(states)
    for s in range(states):
        for a in range(own):
            i = s * own + a
            spread[s] += policy[s, a] * covariance[i, i]
            for j in range(pairs):
                mean[s, j] += policy[s, a] * covariance[i, j]
    for i in range(pairs):
        for k in range(pointers[i], pointers[i + 1]):
            for j in range(pairs):
                ahead[i, j] += odds[k] * mean[follows[k], j]
    change = 0.0
    for i in range(pairs):
        differ = 0.0
        for k in range(pointers[i], pointers[i + 1]):
            differ += odds[k] * spread[follows[k]]
            for a in range(own):
                differ -= odds[k] * policy[follows[k], a] * ahead[i, follows[k] * own + a]
        for j in range(i + 1):
            now = gamma * (rates[i] * ahead[i, j] + rates[j] * ahead[j, i])
            if i == j:
                now += noise[i] + carried[i] * max(differ, 0.0)
            now *= relaxed[i, j]
            change = max(change, abs(now - covariance[i, j]))
            covariance[i, j] = covariance[j, i] = now
    return change
