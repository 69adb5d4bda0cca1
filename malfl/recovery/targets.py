"""What one improvement says about a reward (MA-LfL, Theorem 5.1)."""

from collections.abc import Sequence

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics
from malfl.games.soft import own_transitions


def improvement_targets(
    dynamics: Dynamics, policies: Sequence[FloatArray], agent: int, alpha: float
) -> FloatArray:
    """Y_h(s, a^i) of Eq. 11 for h = 1..H, the right-hand side of Eq. 7.

    Y_h = alpha ln pi_h^i + alpha gamma E[KL(pi_{h-1}^i(.|s') || pi_h^i(.|s'))] with s' reached
    under the opponents' policies *before* the improvement, pi_{h-1}^-i.

    Parameters
    ----------
    policies
        pi_0..pi_H of every agent, one (H + 1, S, A_i) array each. Rows may be NaN where a policy
        is unknown.
    agent
        The agent i whose improvements are read.
    alpha
        Its entropy coefficient, greater than 0.

    Returns
    -------
    ndarray
        Shape (H, S, A_i); NaN where an unknown policy is needed, or an action is not legal.

    Raises
    ------
    ValueError
        If ``policies`` are not that, are fewer than two, or one of the agent's has a zero.
    """
    checks.instance(dynamics, Dynamics, "dynamics", "or a MarkovGame")
    agent, alpha = dynamics.check_agent(agent), checks.squarable(alpha, "alpha")
    policies = checks.histories(policies, "policies", dynamics.n_states, dynamics.actions)
    own = policies[agent]
    if len(own) < 2:
        raise ValueError(f"policies must show at least one improvement, got {len(own)} iteration")
    legal = dynamics.legal[agent]
    if (none := (own <= 0) & legal).any():
        where = checks.first(none)
        raise ValueError(
            f"policies[{agent}]{list(where)} is {own[where]:g}, and its logarithm is needed; "
            "every probability must be greater than 0 (smoothed estimates are)"
        )
    logs = np.log(np.where(legal, own, 1.0))
    targets = np.empty((len(own) - 1, *own.shape[1:]))
    for h in range(1, len(own)):
        before = [policy[h - 1] for policy in policies]
        divergence = (own[h - 1] * (logs[h - 1] - logs[h])).sum(axis=-1)
        reach = own_transitions(dynamics, before, agent)
        expected = (reach @ divergence).reshape(own.shape[1:])
        found = alpha * logs[h] + alpha * dynamics.gamma * expected
        targets[h - 1] = np.where(legal, found, np.nan)
    return targets
