"""A learner's temporal differences made again for a reward that is not known."""

from typing import NamedTuple

import numpy as np
from numba import njit

from malfl.checks import FloatArray, IntArray
from malfl.kernels.steps import Learner, Steps


class Update(NamedTuple):
    """How a learner moves its values while it plays one policy.

    It moves q(s, a) a part of the way to R + gamma (q(s', a') + bonus(s', a')): the n-th time by
    beta n^-falling. If ``executed``, a' is the action of the step that follows. Otherwise, and
    after an episode's last step, it was not seen, and its expectation stands for it.
    """

    policy: FloatArray  #: (S * A_i,), the probability of each (s, a^i)
    bonus: FloatArray  #: (S * A_i,), -alpha times its logarithm
    entropy: FloatArray  #: (S,), the expectation of ``bonus``
    gamma: float
    beta: float
    executed: bool
    falling: float  #: 0 for a constant step
    visits: FloatArray  #: (S * A_i,), how often each q was updated; updated if steps fall


@njit(cache=True, nogil=True)
def _step(beta: float, falling: float, visits: FloatArray, i: int | np.uint64) -> float:
    """The size of the next step of q(s, a), which is counted if steps fall."""
    if falling == 0:
        return beta
    visits[i] += 1
    return float(beta * visits[i] ** -falling)


@njit(cache=True, nogil=True)
def _expect(policy: FloatArray, q: FloatArray, s: int, value: FloatArray) -> None:
    """Bring the expectations of one state up to date."""
    own = q.shape[0] // value.shape[0]
    value[s] = 0.0
    for i in range(s * own, (s + 1) * own):
        for k in range(q.shape[1]):
            value[s, k] += policy[i] * q[i, k]


@njit(cache=True, nogil=True)
def replay(
    steps: Steps,
    learner: Learner,
    entries: IntArray,
    numbers: int,
    begin: int,
    end: int,
    update: Update,
    column: int,
    q: FloatArray,
    value: FloatArray,
) -> None:
    """Go through steps ``begin..end-1``, one after the other, for a reward that is not known.

    Each q(s, a) is a row of numbers, its slopes in the K numbers of a reward and, in column K, what
    is there without any reward.

    Parameters
    ----------
    entries
        Which number of the reward a step of each code earns, (S * A,).
    numbers
        How many they are, K.
    column
        Which column comes first in ``q`` and ``value``, which may hold only some of them.
    q, value
        Rows of (s, a^i), (S * A_i, W), and their expectations under the policy, (S, W); updated.
        If ``executed``, values are room to work in.
    """
    (codes, ends, last), (states, pairs) = steps, learner
    policy, bonus, entropy, gamma, beta, executed, falling, visits = update
    unit = numbers - column  # column of no reward
    width = q.shape[1]
    change = np.empty(width)
    first, beyond = np.searchsorted(ends, begin, "right") - 1, np.searchsorted(ends, end)
    for episode in range(first, beyond):
        final = ends[episode + 1]
        for t in range(max(begin, ends[episode]), min(end, final)):
            s, i = states[codes[t]], pairs[codes[t]]
            step = _step(beta, falling, visits, i)
            if executed and t + 1 < final:
                j = pairs[codes[t + 1]]
                ahead = bonus[j]
                for k in range(width):
                    change[k] = step * (gamma * q[j, k] - q[i, k])
            else:
                after = states[codes[t + 1]] if t + 1 < final else np.int64(last[episode])
                if executed:  # rarely: values are not up to date then
                    _expect(policy, q, int(after), value)
                ahead = entropy[after]
                for k in range(width):
                    change[k] = step * (gamma * value[after, k] - q[i, k])
            share = policy[i]
            for k in range(width):
                q[i, k] += change[k]
            if not executed:
                for k in range(width):
                    value[s, k] += share * change[k]
            if 0 <= unit < width:
                q[i, unit] += step * gamma * ahead
                value[s, unit] += share * step * gamma * ahead
            earned = entries[codes[t]] - column
            if 0 <= earned < width:
                q[i, earned] += step
                value[s, earned] += share * step


class Ledger(NamedTuple):
    """Values of a learner as far as they depend on a reward, without what is always zero.

    A state's values depend on the numbers ``columns[starts[s]:starts[s + 1]]``; the slopes of
    (s, a) in these begin at ``rows[s * A_i + a]``.
    """

    starts: IntArray  #: (S + 1,)
    columns: IntArray  #: (P,), sorted in each state
    rows: IntArray  #: (S * A_i + 1,)
    earned_starts: IntArray  #: (S * A + 1,), of each code in ``earned``
    earned: IntArray  #: sorted numbers of which a step of a code earns something ...
    weights: FloatArray  #: ... and how much
    slopes: FloatArray  #: (R,), updated
    constants: FloatArray  #: (S * A_i,), updated
    value: FloatArray  #: (P,), expectations of the slopes under the policy, updated
    worth: FloatArray  #: (S,), and of the constants, updated


@njit(cache=True, nogil=True)
def replay_patterned(
    steps: Steps, learner: Learner, begin: int, end: int, update: Update, ledger: Ledger
) -> None:
    """As `replay`, for values that depend on few numbers of the reward each.

    What a state's values depend on holds all that those of the states after it depend on.
    """
    (codes, ends, last), (states, pairs) = steps, learner
    policy, bonus, entropy, gamma, beta, executed, falling, visits = update
    starts, columns, rows, earned_starts, earned, weights = ledger[:6]
    slopes, constants, value, worth = ledger[6:]
    first, beyond = np.searchsorted(ends, begin, "right") - 1, np.searchsorted(ends, end)
    for episode in range(first, beyond):
        final = ends[episode + 1]
        for t in range(max(begin, ends[episode]), min(end, final)):
            code = codes[t]
            s, i = states[code], pairs[code]
            step = _step(beta, falling, visits, i)
            after = states[codes[t + 1]] if t + 1 < final else np.int64(last[episode])
            taken = executed and t + 1 < final
            j = pairs[codes[t + 1]] if taken else 0
            ahead = constants[j] + bonus[j] if taken else worth[after] + entropy[after]
            source, shift = (slopes, rows[j]) if taken else (value, starts[after])
            share, own = policy[i], rows[i]
            k, beyond_k = starts[after], starts[after + 1]
            e, beyond_e = earned_starts[code], earned_starts[code + 1]
            for n in range(starts[s], starts[s + 1]):
                target = 0.0
                while k < beyond_k and columns[k] < columns[n]:
                    k += 1
                while e < beyond_e and earned[e] < columns[n]:
                    e += 1
                if k < beyond_k and columns[k] == columns[n]:
                    target = gamma * source[shift + k - starts[after]]
                    k += 1
                if e < beyond_e and earned[e] == columns[n]:
                    target += weights[e]
                    e += 1
                change = step * (target - slopes[own + n - starts[s]])
                slopes[own + n - starts[s]] += change
                value[n] += share * change
            change = step * (gamma * ahead - constants[i])
            constants[i] += change
            worth[s] += share * change


@njit(cache=True, nogil=True)
def replay_errors(
    steps: Steps,
    learner: Learner,
    entries: IntArray,
    begin: int,
    end: int,
    update: Update,
    reward: FloatArray,
    q: FloatArray,
    variance: FloatArray,
) -> None:
    """Go through the same steps for one reward (K,), with the variance of what `replay` leaves out.

    Where a' was drawn and not seen, the learner's values differ from their expectations. An update
    carries a part of the difference at (s', a') on to (s, a) and adds what a' itself makes of it;
    differences at (s, a) and (s', a') count as independent unless they are the same.

    Parameters
    ----------
    q, variance
        Expected values and the variances of their differences, (S * A_i,); updated.
    """
    codes, ends, last = steps
    states, pairs = learner
    policy, bonus, entropy, gamma, beta, executed, falling, visits = update
    # Unsigned indices spare numba's test for those that count from an array's end.
    own, one = np.uint64(policy.size // entropy.size), np.uint64(1)
    first, beyond = np.searchsorted(ends, begin, "right") - 1, np.searchsorted(ends, end)
    for episode in range(first, beyond):
        final = ends[episode + 1]
        for t in range(max(begin, ends[episode]), min(end, final)):
            code = codes[t]
            s, i = np.uint64(states[code]), np.uint64(pairs[code])
            step = _step(beta, falling, visits, i)
            if executed and t + 1 < final:
                j = np.uint64(pairs[codes[t + 1]])
                mean, spread = q[j] + bonus[j], variance[j]
                same = 1.0 if j == i else 0.0
            else:
                after = np.uint64(states[codes[t + 1]] if t + 1 < final else last[episode])
                mean, square, spread = 0.0, 0.0, 0.0
                for k in range(after * own, (after + one) * own):
                    worth = q[k] + bonus[k]
                    mean += policy[k] * worth
                    square += policy[k] * worth * worth
                    spread += policy[k] * variance[k]
                spread += max(square - mean * mean, 0.0)
                same = policy[i] if after == s else 0.0
            q[i] += step * (reward[entries[code]] + gamma * mean - q[i])
            keep = (1.0 - step) * (1.0 - step + 2.0 * step * gamma * same)
            variance[i] = keep * variance[i] + (step * gamma) ** 2 * spread
