"""Soft value iteration (Haarnoja et al. 2017), a learner that LfL observes in Section 6.1."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from malfl.games.markov import MarkovGame
from malfl.games.soft import marginal_backup, soft_maximum
from malfl.learners.learner import Improvement, Iteration, Learning, Needs, soft_improvement
from malfl.values import Value


@dataclass(frozen=True)
class SoftValueIteration(Value):
    """Backs its values up once an iteration, from zero, with the rules of the game.

    Q <- E[R(s, a) + gamma alpha ln sum_b exp(Q(s', b) / alpha)], over what the others do now.
    """

    name = "soft value iteration"
    needs: ClassVar[Needs] = "rules"

    def start(
        self, game: MarkovGame, agent: int, alpha: float, rng: np.random.Generator
    ) -> Learning:
        """Begin with values of zero; see `malfl.learners.learner.Learner`."""
        return _Learning(game, agent, alpha)


class _Learning:
    def __init__(self, game: MarkovGame, agent: int, alpha: float) -> None:
        self.game, self.agent, self.alpha = game, agent, alpha
        self.q = np.zeros((game.n_states, game.actions[agent]))

    def improve(self, now: Iteration) -> Improvement:
        legal = self.game.legal[self.agent]
        value = soft_maximum(np.where(legal, self.q, -np.inf), self.alpha)
        self.q = marginal_backup(self.game, now.policies, self.agent, value)
        return soft_improvement(self.q, self.alpha, legal)
