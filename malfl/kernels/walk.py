"""Many episodes of a joint policy at once, one table look-up for each choice.

An episode is a *lane*: a random stream of its own and a state. Lanes do not wait for each other,
which is what makes them fast. A step is written as a *code*, ``state << bits | joint action``.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from malfl.checks import IntArray, WordArray

U = np.uint64
LOW = U(0xFFFFFFFF)
WARM_UP = 12  # draws that NumPy's SFC64 throws away too


class Tables(NamedTuple):
    """A game and its joint policy, made for look-ups; ``bits`` holds joint actions.

    ``choices`` has one alias table a state and choosing agent; a single one of joint actions
    stands for all agents together. ``moves`` (S << bits,) holds the next state ``<< bits`` of each
    code or, if there are ``row_slots``, where in these the transition's alias table begins
    ``<< 6`` and its bits; ``successors`` holds the state ``<< bits`` of each of its slots.
    """

    bits: int
    choices: tuple[WordArray, ...]
    choice_bits: tuple[int, ...]
    choice_sizes: tuple[int, ...]
    moves: WordArray
    row_slots: WordArray
    successors: WordArray


@njit(cache=True, nogil=True)
def draw(word: np.uint64, slots: WordArray, first: np.uint64, bits: np.uint64) -> np.uint64:
    """``first`` + the outcome that 64 random bits pick from the alias table at ``slots[first]``.

    Written without a branch: which way it goes cannot be predicted.
    """
    k = first | word >> (U(64) - bits)  # `first` is a multiple of the table's size
    slot = slots[k]
    left = U(0) - ((word - slot) >> U(63))  # all ones if the word lies below the slot
    outcome: np.uint64 = k ^ (slot & ((U(1) << bits) - U(1)) & left)
    return outcome


@njit(cache=True, nogil=True)
def fill_words(lanes: WordArray, counter: int, words: WordArray) -> None:
    """Draw ``words`` (n, L) from the streams of SFC64 (Doty-Humphrey's, as NumPy has it).

    ``lanes`` (3, L) holds each stream's state but for the counter, which all share.
    """
    n, size = words.shape
    a, b, c = lanes[0], lanes[1], lanes[2]
    for t in range(n):
        row = words[t]
        count = U(counter) + U(t)
        for lane in range(size):
            word = a[lane] + b[lane] + count
            a[lane] = b[lane] ^ (b[lane] >> U(11))
            b[lane] = c[lane] + (c[lane] << U(3))
            c[lane] = ((c[lane] << U(24)) | (c[lane] >> U(40))) + word
            row[lane] = word


@njit(cache=True, nogil=True)
def begin(
    keys: WordArray,
    first: int,
    start: WordArray,
    start_bits: int,
    bits: int,
    lanes: WordArray,
    bases: WordArray,
) -> None:
    """Seed lanes for episodes ``first``, ``first + 1``, ... and draw where they start.

    Streams are numbered: an episode's is SFC64 seeded with both ``keys`` and the episode's number,
    so no two are the same and none depends on what runs beside it. ``start`` is the alias table
    of the first state; ``bases`` (L,) receives ``state << bits``.
    """
    size = bases.size
    for lane in range(size):
        lanes[0, lane], lanes[1, lane], lanes[2, lane] = keys[0], keys[1], U(first + lane)
    words = np.empty((WARM_UP + 1, size), dtype=np.uint64)
    fill_words(lanes, 1, words)
    for lane in range(size):
        bases[lane] = draw(words[WARM_UP, lane], start, U(0), U(start_bits)) << U(bits)


@njit(cache=True, nogil=True)
def _act(words: WordArray, lane: int, tables: Tables, base: np.uint64, swap: bool) -> np.uint64:
    """The code of ``base``'s state and a joint action drawn there."""
    bits = U(tables.bits)
    action = U(0)
    for k in range(len(tables.choices)):
        word = words[k, lane]
        if swap:
            word = (word << U(32)) | (word >> U(32))
        own = U(tables.choice_bits[k])
        if len(tables.choices) == 1:
            return draw(word, tables.choices[k], base, bits)
        first = base >> bits << own
        one = draw(word, tables.choices[k], first, own) ^ first
        action = action * U(tables.choice_sizes[k]) + one
    return base | action


@njit(cache=True, nogil=True)
def _move(words: WordArray, lane: int, tables: Tables, code: np.uint64) -> np.uint64:
    """The state that a step leads to, ``<< bits``."""
    move = U(tables.moves[code])
    if tables.row_slots.size == 0:
        return move
    word = words[words.shape[0] - 1, lane]
    return U(tables.successors[draw(word, tables.row_slots, move >> U(6), move & U(63))])


@njit(cache=True, nogil=True)
def walk(
    lanes: WordArray,
    bases: WordArray,
    counter: int,
    tables: Tables,
    words: WordArray,
    codes: WordArray,
) -> None:
    """Go on for the steps of ``codes`` (L, T).

    Their lower halves become the codes of the steps, their upper halves the codes of the next
    states and of joint actions drawn there but not taken. Both are drawn from the same words, the
    latter with halves swapped: each draw has 64 random bits, and the two are independent as far as
    the first half of the bits decides, which is all but one in 10^8 of the draws.

    Parameters
    ----------
    counter
        Draws that the streams have made.
    words
        Room for random words, (n, draws a step, L).
    """
    steps = codes.shape[1]
    block, draws, size = words.shape
    for t0 in range(0, steps, block):
        n = min(block, steps - t0)
        fill_words(lanes, counter + t0 * draws, words[:n].reshape(n * draws, size))
        for t in range(n):
            now = words[t]
            for lane in range(size):
                code = _act(now, lane, tables, bases[lane], False)
                base = _move(now, lane, tables, code)
                bases[lane] = base
                later = _act(now, lane, tables, base, True)
                codes[lane, t0 + t] = code | later << U(32)


@njit(cache=True, nogil=True)
def count(
    lanes: WordArray,
    bases: WordArray,
    counter: int,
    tables: Tables,
    words: WordArray,
    steps: int,
    counts: IntArray,
) -> None:
    """Go on as `walk` does, but only add the steps to ``counts`` (S << bits,)."""
    block, draws, size = words.shape
    for t0 in range(0, steps, block):
        n = min(block, steps - t0)
        fill_words(lanes, counter + t0 * draws, words[:n].reshape(n * draws, size))
        for t in range(n):
            now = words[t]
            for lane in range(size):
                code = _act(now, lane, tables, bases[lane], False)
                counts[code] += 1
                bases[lane] = _move(now, lane, tables, code)
