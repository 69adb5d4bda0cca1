"""Trajectories of a joint policy, drawn by inverting cumulative probabilities."""

import numpy as np
from numba import njit

from malfl.checks import FloatArray, IntArray


@njit(cache=True, nogil=True)
def draw(cumulative: FloatArray, first: int, last: int, u: float) -> int:
    """The index k in first..last-1 with cumulative[k-1] <= u < cumulative[k], less ``first``."""
    k = first
    while k < last - 1 and u >= cumulative[k]:
        k += 1
    return k - first


@njit(cache=True, nogil=True)
def sample_trajectories(
    rng: np.random.Generator,
    start: FloatArray,
    row_starts: IntArray,
    successors: IntArray,
    successor_odds: FloatArray,
    policies: FloatArray,
    offsets: IntArray,
    states: IntArray,
    actions: IntArray,
) -> None:
    """Fill ``states`` (E, T + 1) and the joint ``actions`` (E, T) of E episodes of T steps.

    ``start`` (S,), ``successor_odds`` (along each row of the transitions, in the compressed
    layout of ``row_starts`` and ``successors``) and ``policies`` (S, sum of A_i, agent i in
    columns offsets[i]..offsets[i+1]-1) are cumulative probabilities. One draw is used for the
    start of an episode, one for each agent's action, and one for the next state where more than
    one is possible.
    """
    episodes, steps = actions.shape
    joint = 1
    for i in range(offsets.size - 1):
        joint *= offsets[i + 1] - offsets[i]
    for e in range(episodes):
        s = draw(start, 0, start.size, rng.random())
        states[e, 0] = s
        for t in range(steps):
            a = 0
            for i in range(offsets.size - 1):
                own = draw(policies[s], offsets[i], offsets[i + 1], rng.random())
                a = a * (offsets[i + 1] - offsets[i]) + own
            row = s * joint + a
            k = row_starts[row]
            if row_starts[row + 1] - k > 1:
                k += draw(successor_odds, k, row_starts[row + 1], rng.random())
            s = successors[k]
            states[e, t + 1] = s
            actions[e, t] = a
