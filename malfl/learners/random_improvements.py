"""Improvements at random, a learner that LfL observes in Section 6.1."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from malfl import checks
from malfl.games.markov import MarkovGame
from malfl.games.soft import improve, induced_mdp, soft_optimum
from malfl.learners.learner import Improvement, Iteration, Learning, Needs
from malfl.values import Value, set_fields


@dataclass(frozen=True)
class RandomImprovements(Value):
    """Moves its policy towards the best one, without anything like an improvement operator.

    Alone in its game it goes through ``points`` points, drawn at random between its first policy
    and the soft optimum and put in order. Among others, whose policies move the optimum, it goes
    the same share of the rest of the distance. After the last point it stays there.

    Parameters
    ----------
    points
        At least 1; 15 in LfL, Section 6.3.
    """

    points: int = 15

    name = "random improvements"
    needs: ClassVar[Needs] = "rules"

    def __post_init__(self) -> None:
        set_fields(self, points=checks.count(self.points, "points"))

    def start(
        self, game: MarkovGame, agent: int, alpha: float, rng: np.random.Generator
    ) -> Learning:
        """Begin; see `malfl.learners.learner.Learner`."""
        return _Learning(game, agent, alpha, rng, self.points)


class _Learning:
    def __init__(
        self, game: MarkovGame, agent: int, alpha: float, rng: np.random.Generator, points: int
    ) -> None:
        self.game, self.agent, self.alpha, self.rng, self.points = game, agent, alpha, rng, points

    def improve(self, now: Iteration) -> Improvement:
        policy, left = now.policies[self.agent], self.points - now.number
        if left > 0:
            process = induced_mdp(self.game, now.policies, self.agent)
            best = soft_optimum(process, self.alpha).policy
            # The least of `left` numbers drawn between here and there, as a share of the distance.
            policy = policy + self.rng.beta(1, left) * (best - policy)
        # By a softmax of logarithms: so rows sum to 1 and no action is impossible.
        logs = self.alpha * np.log(np.maximum(policy, np.finfo(np.float64).tiny))
        return Improvement(improve(logs, self.alpha, self.game.legal[self.agent]), None)
