"""How often each joint action was taken in each state."""

from numba import njit

from malfl.checks import IntArray


@njit(cache=True, nogil=True)
def add_joint_counts(counts: IntArray, states: IntArray, actions: IntArray) -> None:
    """Add to ``counts`` (S, A) every step of ``states`` (E, T + 1) and ``actions`` (E, T)."""
    episodes, steps = actions.shape
    for e in range(episodes):
        for t in range(steps):
            counts[states[e, t], actions[e, t]] += 1
