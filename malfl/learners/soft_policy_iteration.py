"""Soft policy iteration with exact values (MA-LfL, Eq. 5 and 6; LfL, Eq. 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from malfl import checks
from malfl.checks import FloatArray
from malfl.games import MarkovGame, Policies
from malfl.learners.learner import Round
from malfl.soft import improve_all, marginal_soft_q


@dataclass(frozen=True)
class SoftPolicyIteration:
    """Improves on the exact soft Q values of what everyone plays."""

    needs_steps: ClassVar[bool] = False

    def values(self, now: Round) -> FloatArray:
        """Soft Q over the agent's own actions; see `malfl.learners.learner.Learner`."""
        return marginal_soft_q(now.game, now.policies, now.agent, now.alpha)


def iterate_exactly(
    game: MarkovGame,
    *,
    alpha: float = 3.0,
    iterations: int = 10,
    initial: Sequence[npt.ArrayLike] | None = None,
) -> Policies:
    """Policies pi_0..pi_H of exact soft policy iteration of all agents, nothing sampled.

    Returns
    -------
    Policies
        One (H + 1, S, A_i) array an agent.
    """
    iterations = checks.count(iterations, "iterations")
    history = [game.uniform_policies() if initial is None else game.check_policies(initial)]
    for _ in range(iterations):
        history.append(improve_all(game, history[-1], alpha)[1])
    return tuple(np.array(agent) for agent in zip(*history, strict=True))
