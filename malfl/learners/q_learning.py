"""Q-learning (Watkins 1989) with a softmax policy, a learner that LfL observes in Section 6.1."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from malfl import checks, progress
from malfl.checks import BoolArray, FloatArray
from malfl.games.markov import MarkovGame
from malfl.kernels import q_learning as kernel
from malfl.kernels.steps import Learner as Codes
from malfl.learners.learner import Improvement, Iteration, Learning, Needs, soft_improvement
from malfl.values import Value, set_fields

NEVER = -1e100  # value of what is not legal
CALL_STEPS = 2**16  # in one call of the kernel, about; it lasts less than a millisecond


@dataclass(frozen=True)
class QLearning(Value):
    """Moves its values, zero at first, along the steps of each iteration, in their order.

    Q(s, a) <- (1 - beta) Q(s, a) + beta (R + gamma max_b Q(s', b)), over its own actions and
    without entropy.

    Parameters
    ----------
    beta
        Step size, in (0, 1].
    """

    beta: float = 0.1

    name = "Q-learning"
    needs: ClassVar[Needs] = "steps"

    def __post_init__(self) -> None:
        set_fields(self, beta=checks.step_size(self.beta))

    def start(
        self, game: MarkovGame, agent: int, alpha: float, rng: np.random.Generator
    ) -> Learning:
        """Begin with values of zero; see `malfl.learners.learner.Learner`."""
        return _Learning(game, agent, alpha, self.beta)


def first_values(legal: BoolArray, final: FloatArray) -> FloatArray:
    """Values (S, A_i) to begin with: zero, or what an end brings, and never best if not legal."""
    return np.where(legal, final[:, None], NEVER)


class _Learning:
    def __init__(self, game: MarkovGame, agent: int, alpha: float, beta: float) -> None:
        self.alpha, self.gamma, self.beta = alpha, game.gamma, beta
        self.legal = game.legal[agent]
        self.codes, self.rewards = Codes(*game.code_parts(agent)), game.joint_reward(agent).ravel()
        self.q = first_values(game.legal[agent], game.final_reward(agent))

    def improve(self, now: Iteration) -> Improvement:
        if now.played is None:
            raise ValueError("now.played must hold the steps of the iteration, got None")
        steps, episodes = now.played.packed, len(now.played)
        piece = max(1, CALL_STEPS * episodes // now.played.steps)
        given = self.rewards, self.gamma, self.beta, self.q
        for episode in range(0, episodes, piece):
            end = min(episode + piece, episodes)
            kernel.q_learning(steps, self.codes, episode, end, *given)
            progress.advance()
        return soft_improvement(np.where(self.legal, self.q, 0.0), self.alpha, self.legal)
