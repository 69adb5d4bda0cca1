"""A learner's temporal differences made again for a reward that is not known."""

import numpy as np
from numba import njit

from malfl.checks import FloatArray, IntArray, WordArray


@njit(cache=True, nogil=True)
def replay(
    steps: WordArray,
    last: WordArray,
    begin: int,
    end: int,
    states: IntArray,
    pairs: IntArray,
    policy: FloatArray,
    bonus: FloatArray,
    entropy: FloatArray,
    gamma: float,
    beta: float,
    executed: bool,
    column: int,
    q: FloatArray,
    value: FloatArray,
) -> None:
    """Go through steps ``begin..end-1`` of some episodes, one after the other.

    The learner moved q(s, a) a part beta of the way to R(s) + gamma (q(s', a') + bonus(s', a')).
    Here each q(s, a) is a row of numbers, its slopes in the rewards of all states and, in column S,
    what is there without any reward. If ``executed``, a' is the action of the step that follows.
    Otherwise, and after an episode's last step, it was not seen, and its expectation stands for it.

    Parameters
    ----------
    steps, last
        Codes of the steps (E, T), and of the states after them, (E,).
    states, pairs
        The state of each code, and its (s, a^i) as ``s * A_i + a^i``.
    policy, bonus
        The learner's probability of each (s, a^i), and -alpha times its logarithm, (S * A_i,).
    entropy
        The expectation of ``bonus`` in each state, (S,).
    column
        Which column comes first in ``q`` and ``value``, which may hold only some of them.
    q, value
        Rows of (s, a^i), (S * A_i, W), and their expectations under the policy, (S, W); updated.
        If ``executed``, values are room to work in.
    """
    episodes, length = steps.shape
    width, unit = q.shape[1], value.shape[0] - column  # where the column of no reward is
    own = q.shape[0] // value.shape[0]
    change = np.empty(width)
    for episode in range(episodes):
        for t in range(begin, end):
            code = steps[episode, t]
            s, i = states[code], pairs[code]
            if executed and t + 1 < length:
                j = pairs[steps[episode, t + 1]]
                ahead = bonus[j]
                for k in range(width):
                    change[k] = beta * (gamma * q[j, k] - q[i, k])
            else:
                after = states[steps[episode, t + 1]] if t + 1 < length else np.int64(last[episode])
                if executed:  # rarely: values are not kept up then
                    value[after] = 0.0
                    for j in range(after * own, (after + 1) * own):
                        for k in range(width):
                            value[after, k] += policy[j] * q[j, k]
                ahead = entropy[after]
                for k in range(width):
                    change[k] = beta * (gamma * value[after, k] - q[i, k])
            share = policy[i]
            if executed:
                for k in range(width):
                    q[i, k] += change[k]
            else:
                for k in range(width):
                    q[i, k] += change[k]
                    value[s, k] += share * change[k]
            if 0 <= unit < width:
                q[i, unit] += beta * gamma * ahead
                value[s, unit] += share * beta * gamma * ahead
            if 0 <= s - column < width:
                q[i, s - column] += beta
                value[s, s - column] += share * beta


@njit(cache=True, nogil=True)
def replay_errors(
    steps: WordArray,
    last: WordArray,
    begin: int,
    end: int,
    states: IntArray,
    pairs: IntArray,
    policy: FloatArray,
    bonus: FloatArray,
    reward: FloatArray,
    gamma: float,
    beta: float,
    executed: bool,
    q: FloatArray,
    variance: FloatArray,
) -> None:
    """Go through the same steps for one reward (S,), with the variance of what `replay` leaves out.

    Where a' was drawn and not seen, the learner's values differ from their expectations. An update
    carries a part of the difference at (s', a') on to (s, a) and adds what a' itself makes of it;
    differences at (s, a) and (s', a') are taken to be independent unless they are the same.

    Parameters
    ----------
    steps, last, begin, end, states, pairs, policy, bonus, executed
        As in `replay`.
    q, variance
        Expected values and the variances of their differences, (S * A_i,); updated.
    """
    episodes, length = steps.shape
    own = policy.size // reward.size
    for episode in range(episodes):
        for t in range(begin, end):
            code = steps[episode, t]
            s, i = states[code], pairs[code]
            if executed and t + 1 < length:
                j = pairs[steps[episode, t + 1]]
                mean, spread = q[j] + bonus[j], variance[j]
                same = 1.0 if j == i else 0.0
            else:
                after = states[steps[episode, t + 1]] if t + 1 < length else np.int64(last[episode])
                mean, square, spread = 0.0, 0.0, 0.0
                for j in range(after * own, (after + 1) * own):
                    worth = q[j] + bonus[j]
                    mean += policy[j] * worth
                    square += policy[j] * worth * worth
                    spread += policy[j] * variance[j]
                spread += max(square - mean * mean, 0.0)
                same = policy[i] if after == s else 0.0
            q[i] += beta * (reward[s] + gamma * mean - q[i])
            keep = (1.0 - beta) * (1.0 - beta + 2.0 * beta * gamma * same)
            variance[i] = keep * variance[i] + (beta * gamma) ** 2 * spread
