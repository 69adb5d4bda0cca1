"""The next improvement of an agent that evaluates exactly (MA-LfL, Eq. 6)."""

from collections.abc import Sequence

import numpy as np

from malfl.checks import FloatArray
from malfl.games.legal import or_uniform
from malfl.games.markov import Dynamics, MarkovGame
from malfl.games.soft import improve, marginal_soft_q
from malfl.recovery.reward import RecoveredReward


def exact_next_policy(
    dynamics: Dynamics,
    policies: Sequence[FloatArray],
    agent: int,
    alpha: float,
    reward: RecoveredReward,
) -> FloatArray:
    """Softmax of the exact soft Q values under a reward of any class, shape (S, A_i).

    Parameters
    ----------
    policies
        Everyone's, one (S, A_i) array an agent; NaN, where one is unknown, stands for uniform.
    """
    values = np.nan_to_num(reward.values)
    if reward.reward_class == "state-action":
        values = values[:, dynamics.own_actions[agent]]
    nothing = np.zeros(dynamics.n_states)
    game = MarkovGame(
        actions=dynamics.actions,
        transitions=dynamics.transitions,
        rewards=[values if i == agent else nothing for i in range(dynamics.n_agents)],
        start=dynamics.start,
        gamma=dynamics.gamma,
        ends=dynamics.ends,
        legal=dynamics.legal,
    )
    known = [or_uniform(policy, legal) for policy, legal in zip(policies, game.legal, strict=True)]
    return improve(marginal_soft_q(game, known, agent, alpha), alpha, game.legal[agent])
