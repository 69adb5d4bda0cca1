"""The learners by their names."""

from collections.abc import Callable, Sequence
from typing import Literal

from malfl import checks
from malfl.learners.learner import Learner
from malfl.learners.q_learning import QLearning
from malfl.learners.random_improvements import RandomImprovements
from malfl.learners.soft_policy_iteration import SoftPolicyIteration
from malfl.learners.soft_value_iteration import SoftValueIteration

Evaluation = Literal["td", "sarsa", "exact"]
Learners = str | Learner | Sequence[str | Learner]

LEARNERS: dict[str, Callable[[float], Learner]] = {
    "soft policy iteration": lambda beta: SoftPolicyIteration(),
    "soft value iteration": lambda beta: SoftValueIteration(),
    "Q-learning": QLearning,
    "random improvements": lambda beta: RandomImprovements(),
}
"""Made with a step size."""


def one_for_each(
    learners: Learners, agents: int, beta: float, evaluation: Evaluation
) -> list[Learner | None]:
    """Each agent's learner; None is soft policy iteration that evaluates while it plays.

    Raises
    ------
    ValueError
        If a name is unknown, or there is not one for each agent.
    """
    if isinstance(learners, str | Learner):
        learners = [learners] * agents
    checks.one_per_agent(learners, "learners", agents)
    chosen: list[Learner | None] = []
    for i, one in enumerate(learners):
        name = f"learners[{i}]"
        if isinstance(one, str):
            checks.choice(one, name, tuple(LEARNERS))
            sampled = one == "soft policy iteration" and evaluation != "exact"
            chosen.append(None if sampled else LEARNERS[one](beta))
        else:
            if isinstance(one, type):
                raise TypeError(f"{name} must be a Learner, not a class of them: {one.__name__}()")
            checks.instance(one, Learner, name, f"or one of {', '.join(LEARNERS)}")
            chosen.append(one)
    return chosen
