"""Soft value iteration (Haarnoja et al. 2017), a learner that LfL observes in Section 6.1."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import logsumexp

from malfl.checks import FloatArray
from malfl.learners.learner import Round
from malfl.soft import marginal_backup


@dataclass(frozen=True)
class SoftValueIteration:
    """Backs its values up once a round, from zero, with the rules of the game.

    Q <- E[R(s, a) + gamma alpha ln sum_b exp(Q(s', b) / alpha)], over what the others do now.
    """

    needs_steps: ClassVar[bool] = False

    def values(self, now: Round) -> FloatArray:
        """The values backed up; see `malfl.learners.learner.Learner`."""
        value = now.alpha * np.asarray(logsumexp(now.q / now.alpha, axis=1))
        return marginal_backup(now.game, now.policies, now.agent, value)
