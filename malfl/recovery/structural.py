"""Logits of improved policies from exact soft Q values, affine in the reward of the states."""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import solve

from malfl import checks
from malfl.checks import FloatArray
from malfl.games import Dynamics
from malfl.recovery.logit import AffineLogits
from malfl.soft import dense_own_transitions, dense_state_transitions, entropy, joint_probabilities


def structural_logits(
    dynamics: Dynamics,
    policies: Sequence[FloatArray],
    agent: int,
    alpha: float,
    own_counts: FloatArray | None = None,
    least_visits: int = 100,
) -> AffineLogits:
    """How the improvements of pi_0..pi_n depend on the agent's reward, if it evaluates exactly.

    Soft values solve V = R + alpha H + gamma P V (Eq. 3), so Q = R + gamma E[V(s')] is affine in R.

    Parameters
    ----------
    policies
        pi_0..pi_n of every agent, one (n + 1, S, A_i) array each. Where one is unknown (NaN), a
        uniform one is used.
    own_counts
        How often the agent took each action, (n + 1, S, A_i). Actions taken less often than
        ``least_visits`` in a state are left out there: a learner that begins from zero has no
        exact value of what it hardly tried.

    Returns
    -------
    AffineLogits
        Of pi_1..pi_{n+1}.
    """
    agent, alpha = dynamics.check_agent(agent), checks.positive(alpha, "alpha")
    histories = checks.histories(policies, "policies", dynamics.n_states, dynamics.actions)
    states, own, number = dynamics.n_states, dynamics.actions[agent], len(histories[agent])
    size = 8 * number * states * own * states
    checks.memory(size, f"logits of {number} policies and {states} states", "use a smaller game")
    slopes = np.empty((number, states, own, states))
    constants = np.empty((number, states, own))
    for h in range(number):
        now = [np.where(np.isnan(p[h]), 1 / p.shape[2], p[h]) for p in histories]
        chain = dense_state_transitions(dynamics, joint_probabilities(dynamics, now))
        reach = dense_own_transitions(dynamics, now, agent)
        bonus = alpha * entropy(now[agent])
        value = solve(
            np.eye(states) - dynamics.gamma * chain, np.column_stack([np.eye(states), bonus])
        )
        q = dynamics.gamma * (reach @ value).reshape(states, own, states + 1)
        slopes[h] = q[..., :-1] + np.eye(states)[:, None, :]
        constants[h] = q[..., -1]
    known = (
        np.ones(constants.shape, dtype=bool) if own_counts is None else own_counts >= least_visits
    )
    return AffineLogits(slopes / alpha, constants / alpha, known, np.zeros_like(constants))
