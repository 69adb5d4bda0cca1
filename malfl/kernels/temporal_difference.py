"""Soft temporal-difference evaluation of one agent's policy along observed trajectories."""

import numpy as np
from numba import njit

from malfl.checks import FloatArray, IntArray
from malfl.kernels.sampling import draw


@njit(cache=True, nogil=True)
def soft_td(
    rng: np.random.Generator,
    q: FloatArray,
    states: IntArray,
    actions: IntArray,
    own: IntArray,
    reward: FloatArray,
    policy: FloatArray,
    bonus: FloatArray,
    gamma: float,
    beta: float,
    executed: bool,
) -> None:
    """Update ``q`` (S, A_i) in place along ``states`` (E, T + 1) and joint ``actions`` (E, T).

    Algorithm 1 of MA-LfL with Eq. 5 as the target: q(s, a) moves a fraction ``beta`` towards
    R(s, a) + gamma (q(s', a') + bonus(s', a')), bonus = -alpha ln pi. The next action a' is drawn
    afresh from the cumulative ``policy`` (S, A_i) and not executed; if ``executed``, it is the
    action that the agent takes next (SARSA), drawn only after an episode's last step. ``own`` (A,)
    is the agent's part of each joint action, ``reward`` has shape (S, 1) or (S, A).
    """
    episodes, steps = actions.shape
    has_actions = reward.shape[1] > 1
    for e in range(episodes):
        for t in range(steps):
            s, joint, following = states[e, t], actions[e, t], states[e, t + 1]
            if executed and t + 1 < steps:
                later = own[actions[e, t + 1]]
            else:
                later = draw(policy[following], 0, policy.shape[1], rng.random())
            gain = reward[s, joint if has_actions else 0]
            target = gain + gamma * (q[following, later] + bonus[following, later])
            a = own[joint]
            q[s, a] += beta * (target - q[s, a])
