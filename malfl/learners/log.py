"""What happened while agents learned, and how it was made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from malfl import checks
from malfl.checks import FloatArray, IntArray
from malfl.games.markov import MarkovGame, Policies
from malfl.learners.learner import Learner
from malfl.learners.soft_policy_iteration import SoftPolicyIteration
from malfl.play.episodes import Episodes
from malfl.play.view import View
from malfl.values import Value, freeze, set_fields


@dataclass(frozen=True)
class Training(Value):
    """How agents are made to learn. The defaults are those of MA-LfL's Table 3.

    Parameters
    ----------
    learners
        One for all agents, or one for each.
    alpha
        Entropy coefficient, greater than 0.
    iterations
        Number of improvements H, at least 1.
    episodes, steps
        Played in each iteration, and steps of each, at least 1.
    seed
        Of a run that was made, if it was a number.

    Raises
    ------
    TypeError, ValueError
        If a learner is none or a number is out of range.
    """

    learners: Learner | tuple[Learner, ...] = SoftPolicyIteration()
    alpha: float = 3.0
    iterations: int = 10
    episodes: int = 3000
    steps: int = 1000
    seed: int | None = None

    def __post_init__(self) -> None:
        several: object = self.learners
        if isinstance(several, list | tuple):
            set_fields(self, learners=tuple(several))
            for i, one in enumerate(several):
                _check_learner(one, f"learners[{i}]")
        else:
            _check_learner(several, "learners")
        episodes, steps = checks.steps_played(self.episodes, self.steps)
        set_fields(
            self,
            alpha=checks.positive(self.alpha, "alpha"),
            iterations=checks.count(self.iterations, "iterations"),
            episodes=episodes,
            steps=steps,
            seed=None if self.seed is None else checks.count(self.seed, "seed", 0),
        )

    def learner_of(self, agents: int) -> tuple[Learner, ...]:
        """Each agent's learner; raises ValueError unless there is one for each of ``agents``."""
        if not isinstance(self.learners, tuple):
            return (self.learners,) * agents
        checks.one_per_agent(self.learners, "learners", agents)
        return self.learners

    def but(self, **changed: object) -> "Training":
        """The same with some parameters changed."""
        return replace(self, **changed)  # type: ignore[arg-type]


def _check_learner(value: object, name: str) -> None:
    if not isinstance(value, str):  # the text of a learner that a file brought and nobody knows
        checks.instance(value, Learner, name, "such as SoftPolicyIteration()")


@dataclass(frozen=True, eq=False)
class LearningLog(Value):
    """What happened, iteration by iteration, while agents learned over H improvements.

    The last policies, pi_H, were reached but not played: there are H iterations of data, of
    pi_0..pi_{H-1}.

    Raises
    ------
    TypeError, ValueError
        If shapes disagree, a policy is not one or a count negative.
    """

    game: MarkovGame
    training: Training  #: how it was made
    policies: Policies  #: pi_0..pi_H, one (H + 1, S, A_i) array an agent
    #: Values whose softmax is pi_{h+1}, one (H, S, A_i) array an agent; NaN if it comes from none.
    q: Policies
    counts: IntArray  #: (H, S, A), steps of pi_h that took joint action a in state s
    episodes: tuple[Episodes, ...] | None = None  #: of pi_0..pi_{H-1}, if recorded

    def __post_init__(self) -> None:
        game = self.game
        checks.instance(game, MarkovGame, "game", "with the rewards that were learned from")
        checks.instance(self.training, Training, "training", "how the log was made")
        counts = checks.counts(self.counts, "counts").astype(np.int64)
        if counts.ndim != 3 or counts.shape[1:] != (game.n_states, game.n_joint_actions):
            raise ValueError(
                f"counts must have shape (H, {game.n_states}, {game.n_joint_actions}), "
                f"got {counts.shape}"
            )
        policies = checks.histories(self.policies, "policies", game.n_states, game.actions)
        checks.one_per_agent(self.q, "q", game.n_agents)
        values = tuple(checks.numbers(one, f"q[{i}]") for i, one in enumerate(self.q))
        for name, arrays, length in (
            ("policies", policies, len(counts) + 1),
            ("q", values, len(counts)),
        ):
            shapes = [array.shape for array in arrays]
            expected = [(length, game.n_states, own) for own in game.actions]
            if shapes != expected:
                raise ValueError(f"{name} must have shapes {expected}, got {shapes}")
        freeze(counts, policies, values)
        set_fields(self, counts=counts, policies=policies, q=values)
        if self.episodes is not None:
            checks.sequence(self.episodes, "episodes", "one of Episodes for each iteration")
            set_fields(self, episodes=tuple(self.episodes))
        self.seen_by(None)  # which refuses episodes of something else

    @property
    def alpha(self) -> float:
        """Entropy coefficient of the agents."""
        return self.training.alpha

    @property
    def iterations(self) -> int:
        """Number H of improvements."""
        return len(self.counts)

    def policies_at(self, h: int) -> Policies:
        """The joint policy pi_h, one (S, A_i) array an agent."""
        h = checks.index(h, "h", self.iterations + 1)
        return tuple(policies[h] for policies in self.policies)

    def seen_by(self, agent: int | None) -> View:
        """What ``agent`` may use of this log (MA-LfL, Assumption 3.4); None is a bystander."""
        if agent is not None:
            agent = self.game.check_agent(agent)
        return View(
            observer=agent,
            dynamics=self.game.without_rewards(),
            alpha=self.alpha,
            counts=self.counts.astype(np.float64),
            own_policies=None if agent is None else self.policies[agent][:-1],
            episodes=self.episodes,
        )


def by_agent(history: Sequence[Sequence[FloatArray]]) -> Policies:
    """Arrays of each iteration and agent as one array an agent."""
    return tuple(np.array(agent) for agent in zip(*history, strict=True))
