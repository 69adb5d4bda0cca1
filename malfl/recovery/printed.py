"""Eq. 12 of MA-LfL taken at its word."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import block_diag, csr_array, vstack

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics
from malfl.recovery.consistency import ConsistencySystem, reward_shape
from malfl.recovery.reward import RewardClass
from malfl.recovery.targets import improvement_targets


def printed_system(
    dynamics: Dynamics,
    policies: Sequence[FloatArray],
    agent: int,
    alpha: float,
    reward_class: RewardClass,
    counts: FloatArray,
) -> ConsistencySystem:
    """An equation R(s, a) + g_h(s) - gamma g_h(s') = Y_h(s, a^i) for each (s, a, s') of D_h.

    Theorem 5.1 has an expectation over the opponents and the next state on the left. Here it stands
    outside the square, and the steps are those of pi_h, not of pi_{h-1}: even with exact policies
    the true reward is no minimum.

    Parameters
    ----------
    policies
        pi_0..pi_H of every agent, one (H + 1, S, A_i) array each, NaN where unknown.
    counts
        How often each joint action was seen under them, (H + 1, S, A). Next states are taken to
        follow each as often as the transitions say.
    """
    targets = improvement_targets(dynamics, policies, agent, alpha)
    improvements, states, own = targets.shape
    joint = dynamics.n_joint_actions
    if np.shape(counts) != (improvements + 1, states, joint):
        raise ValueError(
            f"counts must have shape {(improvements + 1, states, joint)}, got {np.shape(counts)}"
        )
    seen = checks.counts(counts, "counts")[1:].reshape(improvements, -1)
    moves = dynamics.transitions.tocoo()
    taken, after = moves.coords
    here, action = np.divmod(taken, joint)
    own_pair = here * own + dynamics.own_actions[agent][action]
    shape = reward_shape(dynamics, agent, reward_class)
    entry = {"state": here, "state-action": own_pair, "joint-action": taken}[reward_class]
    equation = np.arange(taken.size)
    reward = csr_array(
        (np.ones(taken.size), (equation, entry)), shape=(taken.size, int(np.prod(shape)))
    )
    both = np.concatenate([equation, equation]), np.concatenate([here, after])
    ends = np.repeat([1.0, -dynamics.gamma], taken.size)
    shaping = csr_array((ends, both), shape=(taken.size, states))
    rows = targets.reshape(improvements, -1)[:, own_pair].ravel()
    weights = (seen[:, taken] * moves.data).ravel()
    used = np.isfinite(rows) & (weights > 0)
    return ConsistencySystem(
        reward=csr_array(vstack([reward] * improvements, format="csr"))[used],
        shaping=csr_array(block_diag([shaping] * improvements, format="csr"))[used],
        targets=rows[used],
        weights=weights[used],
        improvement=np.repeat(np.arange(improvements), taken.size)[used],
        shape=shape,
        states=states,
    )
