"""Q-learning along the steps of one agent among others (Watkins 1989)."""

from numba import njit

from malfl.checks import FloatArray, IntArray
from malfl.kernels.steps import Learner, Steps


@njit(cache=True, nogil=True)
def q_learning(
    steps: Steps,
    learner: Learner,
    begin: int,
    end: int,
    rewards: FloatArray,
    gamma: float,
    beta: float,
    q: FloatArray,
) -> None:
    """Go through episodes ``begin..end-1``, one after the other.

    Parameters
    ----------
    rewards
        By code.
    q
        (S, A_i), updated.
    """
    codes, ends, last = steps
    states, pairs = learner
    flat = q.ravel()
    for episode in range(begin, end):
        final = ends[episode + 1]
        for t in range(ends[episode], final):
            code = codes[t]
            there = states[codes[t + 1]] if t + 1 < final else int(last[episode])
            i = pairs[code]
            flat[i] += beta * (rewards[code] + gamma * q[there].max() - flat[i])


@njit(cache=True, nogil=True)
def q_learning_with_slopes(
    steps: Steps,
    learner: Learner,
    entries: IntArray,
    begin: int,
    end: int,
    rewards: FloatArray,
    gamma: float,
    beta: float,
    q: FloatArray,
    slopes: FloatArray,
) -> None:
    """`q_learning`, and how its values depend on the reward.

    Parameters
    ----------
    entries
        Which entry of the reward a step of each code earns, (S * A,).
    rewards
        The entries, (K,).
    slopes
        Derivatives of q by the rewards, (S * A_i, K), updated. Where two actions are best, that
        of the first is used.
    """
    codes, ends, last = steps
    states, pairs = learner
    numbers = slopes.shape[1]
    own = q.shape[1]
    flat = q.ravel()
    keep = 1.0 - beta
    for episode in range(begin, end):
        final = ends[episode + 1]
        for t in range(ends[episode], final):
            code = codes[t]
            there = states[codes[t + 1]] if t + 1 < final else int(last[episode])
            earned, i = entries[code], pairs[code]
            j = there * own + q[there].argmax()
            flat[i] += beta * (rewards[earned] + gamma * flat[j] - flat[i])
            here, ahead = slopes[i], slopes[j]
            for k in range(numbers):
                here[k] = keep * here[k] + beta * gamma * ahead[k]
            here[earned] += beta
