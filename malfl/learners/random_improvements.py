"""Improvements at random, a learner that LfL observes in Section 6.1."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.learners.learner import Round
from malfl.soft import induced_mdp, soft_optimum


@dataclass(frozen=True)
class RandomImprovements:
    """Moves its policy towards the best one, without anything like an improvement operator.

    Alone in its game it goes through ``points`` points, drawn at random between its first policy
    and the soft optimum and put in order. Among others, whose policies move the optimum, it goes
    the same share of the way that is left. After the last point it stays there.

    Parameters
    ----------
    points
        At least 1; 15 in LfL, Section 6.3.
    """

    points: int = 15
    needs_steps: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.count(self.points, "points")

    def values(self, now: Round) -> FloatArray:
        """Alpha times the logarithm of the next policy; see `malfl.learners.learner.Learner`."""
        policy, left = now.policies[now.agent], self.points - now.number
        if left > 0:
            process = induced_mdp(now.game, now.policies, now.agent)
            best = soft_optimum(process, now.alpha).policy
            # The least of `left` numbers drawn between here and there, as a share of the way.
            policy = policy + now.rng.beta(1, left) * (best - policy)
        return now.alpha * np.log(np.maximum(policy, np.finfo(np.float64).tiny))
