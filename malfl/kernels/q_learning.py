"""Q-learning along the steps of one agent among others."""

from numba import njit

from malfl.checks import FloatArray, IntArray, WordArray


@njit(cache=True, nogil=True)
def q_learning(
    steps: WordArray,
    last: WordArray,
    states: IntArray,
    pairs: IntArray,
    rewards: FloatArray,
    gamma: float,
    beta: float,
    q: FloatArray,
) -> None:
    """Go through the episodes one after the other (Watkins 1989).

    Parameters
    ----------
    steps, last
        Codes of the steps (E, T), and the states after them, (E,).
    states, pairs
        The state of each code, and its (s, a^i) as ``s * A_i + a^i``.
    rewards
        By code.
    q
        (S, A_i), updated.
    """
    episodes, length = steps.shape
    flat = q.ravel()
    for episode in range(episodes):
        for t in range(length):
            code = steps[episode, t]
            there = states[steps[episode, t + 1]] if t + 1 < length else int(last[episode])
            i = pairs[code]
            flat[i] += beta * (rewards[code] + gamma * q[there].max() - flat[i])


@njit(cache=True, nogil=True)
def q_learning_with_slopes(
    steps: WordArray,
    last: WordArray,
    states: IntArray,
    pairs: IntArray,
    rewards: FloatArray,
    gamma: float,
    beta: float,
    q: FloatArray,
    slopes: FloatArray,
) -> None:
    """`q_learning` for a reward of the state, and how its values depend on that reward.

    Parameters
    ----------
    rewards
        By state, (S,).
    slopes
        Derivatives of q by the rewards, (S * A_i, S), updated. Where two actions are best, that
        of the first is used.
    """
    episodes, length = steps.shape
    states_known = slopes.shape[1]
    own = q.shape[1]
    flat = q.ravel()
    keep = 1.0 - beta
    for episode in range(episodes):
        for t in range(length):
            code = steps[episode, t]
            there = states[steps[episode, t + 1]] if t + 1 < length else int(last[episode])
            s, i = states[code], pairs[code]
            j = there * own + q[there].argmax()
            flat[i] += beta * (rewards[s] + gamma * flat[j] - flat[i])
            here, ahead = slopes[i], slopes[j]
            for k in range(states_known):
                here[k] = keep * here[k] + beta * gamma * ahead[k]
            here[s] += beta
