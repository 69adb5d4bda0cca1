"""The counts of many episodes without the episodes: how many are in each state, step by step."""

import numpy as np
from numba import njit

from malfl.checks import FloatArray, IntArray


@njit(cache=True, nogil=True)
def split(
    rng: np.random.Generator, number: int, odds: FloatArray, first: int, last: int, parts: IntArray
) -> None:
    """Add to ``parts[first:last]`` a multinomial split of ``number`` in proportion to ``odds``."""
    rest = 0.0
    for k in range(first, last):
        rest += odds[k]
    for k in range(first, last):
        if number == 0:
            return
        share = odds[k] / rest if k + 1 < last and odds[k] < rest else 1.0
        part = number if share == 1.0 else rng.binomial(number, share)
        parts[k] += part
        number -= part
        rest -= odds[k]


@njit(cache=True, nogil=True)
def flow(
    rng: np.random.Generator,
    occupancy: IntArray,
    steps: int,
    row_starts: IntArray,
    successors: IntArray,
    odds: FloatArray,
    flows: IntArray,
) -> None:
    """Move the episodes of ``occupancy`` (S,) on by some steps, in place.

    The chain of states is sparse: from s to ``successors[k]`` with probability ``odds[k]``, k in
    row_starts[s]..row_starts[s+1]-1, the likeliest first. ``flows[k]`` counts who went there.
    """
    states = occupancy.size
    gone = np.zeros(odds.size, dtype=np.int64)
    for _ in range(steps):
        for s in range(states):
            if occupancy[s] > 0:
                split(rng, occupancy[s], odds, row_starts[s], row_starts[s + 1], gone)
        occupancy[:] = 0
        for s in range(states):
            for k in range(row_starts[s], row_starts[s + 1]):
                occupancy[successors[k]] += gone[k]
                flows[k] += gone[k]
                gone[k] = 0


@njit(cache=True, nogil=True)
def joint_counts(
    rng: np.random.Generator,
    flows: IntArray,
    flow_starts: IntArray,
    action_odds: FloatArray,
    actions: IntArray,
    flow_states: IntArray,
    counts: IntArray,
) -> None:
    """Add to ``counts`` (S, A) by which joint actions the flows went.

    Flow k, from state ``flow_states[k]``, went by action ``actions[j]`` with a probability in
    proportion to ``action_odds[j]``, j in flow_starts[k]..flow_starts[k+1]-1.
    """
    parts = np.zeros(action_odds.size, dtype=np.int64)
    for k in range(flows.size):
        split(rng, flows[k], action_odds, flow_starts[k], flow_starts[k + 1], parts)
        for j in range(flow_starts[k], flow_starts[k + 1]):
            counts[flow_states[k], actions[j]] += parts[j]
