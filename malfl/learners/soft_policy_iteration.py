"""Soft policy iteration (MA-LfL, Algorithm 1; LfL, Eq. 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.markov import MarkovGame, Policies
from malfl.games.soft import improve_all, marginal_soft_q
from malfl.learners.learner import Improvement, Iteration, Learning, Needs, soft_improvement
from malfl.learners.temporal_differences import along_steps
from malfl.values import Value, set_fields

Evaluation = Literal["td", "sarsa", "exact"]
EVALUATIONS: tuple[Evaluation, ...] = ("td", "sarsa", "exact")


@dataclass(frozen=True)
class SoftPolicyIteration(Value):
    """Evaluates its policy, then plays a softmax of the values, again and again.

    Parameters
    ----------
    beta
        Step size of temporal differences, in (0, 1].
    evaluation
        ``"td"``: Eq. 5 with a next action drawn for the update and not executed, as in Algorithm 1.
        ``"sarsa"``: with the action executed next. ``"exact"``: exact soft Q, from the rules of the
        game; what is played only serves those who watch.

    Raises
    ------
    ValueError
        If ``beta`` is out of range or ``evaluation`` unknown.
    """

    beta: float = 0.1
    evaluation: Evaluation = "td"

    name = "soft policy iteration"

    def __post_init__(self) -> None:
        set_fields(self, beta=checks.step_size(self.beta))
        checks.choice(self.evaluation, "evaluation", EVALUATIONS)

    @property
    def needs(self) -> Needs:
        """Steps and draws, unless values are exact."""
        return "rules" if self.evaluation == "exact" else "draws"

    def start(
        self, game: MarkovGame, agent: int, alpha: float, rng: np.random.Generator
    ) -> Learning:
        """Begin to learn; see `malfl.learners.learner.Learner`."""
        return SoftPolicyLearning(self, game, agent, alpha)


class SoftPolicyLearning:
    """Soft policy iteration of one agent; it remembers nothing from one policy to the next."""

    def __init__(
        self, learner: SoftPolicyIteration, game: MarkovGame, agent: int, alpha: float
    ) -> None:
        self.learner, self.game, self.agent, self.alpha = learner, game, agent, alpha
        # Values of this iteration, if they were learned while it was played.
        self.evaluated: FloatArray | None = None

    def learns_from_steps(self, game: MarkovGame, agent: int, alpha: float) -> bool:
        """Whether it learns by temporal differences, and just that in just this game."""
        same = self.game is game and (self.agent, self.alpha) == (agent, alpha)
        return same and self.learner.evaluation != "exact"

    def improve(self, now: Iteration) -> Improvement:
        """Evaluate the policy, unless that is done, and improve on it."""
        values, self.evaluated = self.evaluated, None
        if values is None:
            values = self._evaluate(now)
        return soft_improvement(values, self.alpha, self.game.legal[self.agent])

    def _evaluate(self, now: Iteration) -> FloatArray:
        if self.learner.evaluation == "exact":
            return marginal_soft_q(self.game, now.policies, self.agent, self.alpha)
        if now.played is None or now.ahead is None:
            raise ValueError("now must hold the steps played and the draws ahead of them, got None")
        return along_steps(
            self.game, now.policies, self.agent, now.played, now.ahead, alpha=self.alpha,
            beta=self.learner.beta, executed=self.learner.evaluation == "sarsa",
        )  # fmt: skip


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

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or ``initial`` is no joint policy.
    MemoryError
        If there is no room for the policies.
    """
    checks.instance(game, MarkovGame, "game", "with rewards to learn from")
    iterations = checks.count(iterations, "iterations")
    size = 2 * 8 * (iterations + 1) * game.n_states * sum(game.actions)  # a list, then arrays
    checks.memory(size, f"policies of {iterations} iterations", "take fewer iterations")
    start = game.uniform_policies() if initial is None else game.check_policies(initial, "initial")
    history = [start]
    for _ in range(iterations):
        history.append(improve_all(game, history[-1], alpha)[1])
    return tuple(np.array(agent) for agent in zip(*history, strict=True))
