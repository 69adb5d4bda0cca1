"""The loss that the program released with MA-LfL minimises.

It is meant to be Eq. 12, but three indices are astray. Written for states (p, q) of two agents'
cells, with r(s, a, b) the reward of agent 0's action a and agent 1's action b, and

    scrambled_h(s, a) = g_h(p, (A_i q + a) mod cells),

it asks that

    sum_b pi(b|s) r(s, a, b) + (1 - gamma) scrambled_h(s, a) = Y_h(s, a)          for agent 0,
    pi(b|s) sum_a r(s, a, b) + scrambled_h(s, b)
        - gamma pi(b|s) sum_a scrambled_h(s, a) = Y_h(s, b)                       for agent 1,

pi being the observer's policy before the improvement. So a shaping depends on the action, the next
state occurs nowhere, and the second agent's own action is taken for the observer's.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.sparse import block_diag, csr_array, eye_array, kron, vstack

from malfl.checks import FloatArray
from malfl.games.markov import Dynamics
from malfl.recovery.consistency import ConsistencySystem
from malfl.recovery.targets import improvement_targets


def released_system(
    dynamics: Dynamics, policies: Sequence[FloatArray], agent: int, alpha: float
) -> ConsistencySystem:
    """The equations above, for a reward of joint actions.

    Parameters
    ----------
    policies
        pi_0..pi_H of both agents, one (H + 1, S, A_i) array each, NaN where unknown.

    Raises
    ------
    ValueError
        Unless there are two agents with as many actions and cells each.
    """
    cells = math.isqrt(dynamics.n_states)
    actions = dynamics.actions
    if len(actions) != 2 or actions[0] != actions[1] or cells * cells != dynamics.n_states:
        raise ValueError(
            "the released loss is written for two agents with as many actions and cells each, got "
            f"actions {actions} and {dynamics.n_states} states"
        )
    targets = improvement_targets(dynamics, policies, agent, alpha)
    improvements, states, own = targets.shape
    state, action = np.divmod(np.arange(states * own), own)
    cell, other = np.divmod(state, cells)
    scrambled = csr_array(
        (
            np.ones(state.size),
            (np.arange(state.size), cell * cells + (own * other + action) % cells),
        ),
        shape=(state.size, states),
    )
    sums = kron(eye_array(states), np.ones((own, own)), format="csr")  # over the own action
    rewards, shapings = [], []
    for observer in policies[1 - agent][:-1]:
        if agent == 0:
            rewards.append(_over_joint_actions(np.repeat(observer, own, axis=0), agent))
            shapings.append((1 - dynamics.gamma) * scrambled)
        else:
            odds = observer.reshape(-1, 1)
            rewards.append(_over_joint_actions(np.repeat(odds, own, axis=1), agent))
            shapings.append(scrambled - dynamics.gamma * (sums @ scrambled).multiply(odds))
    known = np.isfinite(targets.ravel())
    return ConsistencySystem(
        reward=csr_array(vstack(rewards, format="csr"))[known],
        shaping=csr_array(block_diag(shapings, format="csr"))[known],
        targets=targets.ravel()[known],
        weights=np.ones(int(known.sum())),
        improvement=np.repeat(np.arange(improvements), states * own)[known],
        shape=(states, own * own),
        states=states,
    )


def _over_joint_actions(odds: FloatArray, agent: int) -> csr_array:
    """``odds`` (S * A_i, A_j) of the other's actions, put where joint actions have them."""
    rows, others = odds.shape
    state, action = np.divmod(np.arange(rows), others)
    other = np.arange(others)
    joint = (
        action[:, None] * others + other if agent == 0 else other * others + action[:, None]
    ) + state[:, None] * others**2
    return csr_array(
        (odds.ravel(), joint.ravel(), np.arange(rows + 1) * others),
        shape=(rows, rows * others),
    )
