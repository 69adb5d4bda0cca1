"""The likeliest states of episodes whose states were read with errors (Viterbi, 1967)."""

from typing import NamedTuple

import numpy as np
from numba import njit

from malfl.checks import FloatArray, IntArray, WordArray
from malfl.kernels.steps import Steps


class HiddenStates(NamedTuple):
    """A game and how its states are read, in logarithms of probabilities."""

    start: FloatArray  #: (S,)
    pointers: IntArray  #: (S * A + 1,), where the row of each code begins
    follows: IntArray  #: next states, rows as a sparse matrix (S * A, S)
    odds: FloatArray  #: of these
    match: float  #: of reading the state itself rather than one given other


@njit(cache=True, nogil=True)
def _possible(scores: FloatArray, listed: IntArray) -> int:
    """List the states with a score above -inf; their number."""
    number = 0
    for s in range(scores.size):
        if scores[s] > -np.inf:
            listed[number] = s
            number += 1
    return number


@njit(cache=True, nogil=True)
def _move(
    model: HiddenStates,
    action: np.int64,
    now: IntArray,
    scores: FloatArray,
    later: IntArray,
    ahead: FloatArray,
    before: WordArray,
) -> int:
    """Move the scores of the states ``now`` to those that may follow; the number of these."""
    joint, found = (model.pointers.size - 1) // scores.size, 0
    for s in now:
        code = s * joint + action
        for k in range(model.pointers[code], model.pointers[code + 1]):
            score, after = scores[s] + model.odds[k], model.follows[k]
            if score > ahead[after]:
                if ahead[after] == -np.inf:
                    later[found] = after
                    found += 1
                ahead[after] = score
                before[after] = s
        scores[s] = -np.inf
    return found


@njit(cache=True, nogil=True)
def forward(
    seen: Steps,
    model: HiddenStates,
    begin: int,
    end: int,
    origin: int,
    scores: FloatArray,
    before: WordArray,
    last: WordArray,
) -> None:
    """Score the paths of states along the steps ``begin..end-1``.

    Parameters
    ----------
    origin
        The step that row 0 of ``before`` belongs to.
    scores
        (S,), of the likeliest path that ends in each state, -inf where there is none. Goes on
        from the step before ``begin``, in place.
    before
        (n, S), receives for each step and the state after it the state before it.
    last
        (E,), receives the likeliest last state of each episode that ends.
    """
    codes, ends, reached = seen
    states, joint = scores.size, (model.pointers.size - 1) // scores.size
    ahead = np.full(states, -np.inf)
    now, later = np.empty(states, dtype=np.int64), np.empty(states, dtype=np.int64)
    possible = _possible(scores, now)  # of the states, listed first in `now`
    episode = np.searchsorted(ends, begin, "right") - 1
    for t in range(begin, end):
        while t == ends[episode + 1]:
            episode += 1
        state, action = divmod(np.int64(codes[t]), joint)
        if t == ends[episode]:
            scores[:] = model.start
            scores[state] += model.match
            possible = _possible(scores, now)
        row = before[t - origin]
        possible = _move(model, action, now[:possible], scores, later, ahead, row)
        final = t + 1 == ends[episode + 1]
        after = np.int64(reached[episode]) if final else np.int64(codes[t + 1]) // joint
        ahead[after] += model.match
        for s in later[:possible]:
            scores[s], ahead[s] = ahead[s], -np.inf
        now, later = later, now
        if final:
            last[episode] = scores.argmax()


@njit(cache=True, nogil=True)
def backward(
    likeliest: Steps, joint: int, begin: int, end: int, origin: int, before: WordArray
) -> None:
    """Put the likeliest states into the codes of the steps ``end-1..begin``, last steps first."""
    codes, ends, last = likeliest
    episode = np.searchsorted(ends, end) - 1
    for t in range(end - 1, begin - 1, -1):
        while t < ends[episode]:
            episode -= 1
        final = t + 1 == ends[episode + 1]
        after = np.int64(last[episode]) if final else np.int64(codes[t + 1]) // joint
        codes[t] = np.int64(before[t - origin, after]) * joint + np.int64(codes[t]) % joint
