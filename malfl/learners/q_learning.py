"""Q-learning (Watkins 1989) with a softmax policy, a learner that LfL observes in Section 6.1."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.kernels.q_learning import q_learning
from malfl.learners.learner import Round


@dataclass(frozen=True)
class QLearning:
    """Moves its values, zero at first, along the steps of each round, in their order.

    Q(s, a) <- (1 - beta) Q(s, a) + beta (R + gamma max_b Q(s', b)), over its own actions and
    without entropy.

    Parameters
    ----------
    beta
        Step size, in (0, 1].
    """

    beta: float = 0.1
    needs_steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta", checks.step_size(self.beta))

    def values(self, now: Round) -> FloatArray:
        """The values moved; see `malfl.learners.learner.Learner`."""
        if now.played is None:
            raise ValueError("now.played must hold the steps of the round, got None")
        game, q = now.game, now.q.copy()
        codes = np.arange(game.n_states * game.n_joint_actions)
        state = codes // game.n_joint_actions
        action = game.own_actions[now.agent][codes % game.n_joint_actions]
        q_learning(
            now.played.steps,
            now.played.last,
            state,
            state * q.shape[1] + action,
            game.joint_reward(now.agent).ravel(),
            game.gamma,
            self.beta,
            q,
        )
        return q
