"""What happened while agents learned, and what one of them may see of it."""

from dataclasses import dataclass, replace

import numpy as np

from malfl import checks
from malfl.checks import FloatArray, IntArray
from malfl.games import Dynamics, MarkovGame, Policies
from malfl.sampling import Trajectories


@dataclass(frozen=True, eq=False)
class Observation:
    """What ``observer`` may use under Assumption 3.4 of MA-LfL.

    Everyone's states and actions, its own policies and the rules of the game; never another
    agent's policy or reward. Data and policies cover the iterations 0..n-1. A bystander, as in
    LfL, is ``None`` and has no policies.
    """

    observer: int | None
    dynamics: Dynamics
    alpha: float  #: entropy coefficient that the observer takes the others to have
    counts: FloatArray  #: (n, S, A), whole numbers
    own_policies: FloatArray | None  #: (n, S, A_observer)
    trajectories: tuple[Trajectories, ...] | None = None

    def __post_init__(self) -> None:
        if type(self.dynamics) is not Dynamics:
            raise TypeError("dynamics must not carry rewards; pass game.without_rewards()")
        object.__setattr__(self, "alpha", checks.positive(self.alpha, "alpha"))
        shapes = [np.shape(part) for part in self.counts]
        for h, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise ValueError(
                    f"counts[{h}] has shape {shape}, and counts[0] {shapes[0]}; all iterations "
                    "must be of the same states and joint actions"
                )
        counts = checks.counts(self.counts, "counts")
        states, joint = self.dynamics.n_states, self.dynamics.n_joint_actions
        if counts.ndim != 3 or counts.shape[1:] != (states, joint) or len(counts) == 0:
            raise ValueError(f"counts must have shape (n, {states}, {joint}), got {counts.shape}")
        checks.frozen(counts)
        object.__setattr__(self, "counts", counts)
        if self.observer is not None and self.own_policies is not None:
            observer = self.dynamics.check_agent(self.observer, "observer")
            shape = (len(counts), states, self.dynamics.actions[observer])
            own = checks.distributions(self.own_policies, "own_policies", shape)
            checks.frozen(own)
            object.__setattr__(self, "own_policies", own)
        elif self.observer is not None or self.own_policies is not None:
            raise ValueError(
                "own_policies must be given for an observer that is an agent, and only then; "
                f"the observer is {self.observer}"
            )
        if self.trajectories is not None:
            _check_trajectories(self.trajectories, counts)

    @property
    def iterations(self) -> int:
        """Number n of policies seen at work; n - 1 improvements lie between them."""
        return len(self.counts)

    def first(self, iterations: int) -> "Observation":
        """What was seen by the end of the first so many iterations."""
        checks.count(iterations, "iterations")
        n = checks.index(iterations - 1, "iterations - 1", self.iterations) + 1
        return replace(
            self,
            counts=self.counts[:n],
            own_policies=None if self.own_policies is None else self.own_policies[:n],
            trajectories=self.trajectories and self.trajectories[:n],
        )

    def check_observed(self, agent: int, name: str = "of") -> int:
        """Return ``agent``; raise unless it is one of the others."""
        agent = self.dynamics.check_agent(agent, name)
        if agent == self.observer:
            raise ValueError(f"{name} must be another agent than the observer, both are {agent}")
        return agent

    def own_counts(self, agent: int) -> FloatArray:
        """How often ``agent`` took each of its own actions, shape (n, S, A_i)."""
        own = self.dynamics.own_actions[self.dynamics.check_agent(agent)]
        member = own[:, None] == np.arange(self.dynamics.actions[agent])[None, :]
        return np.asarray(self.counts @ member)


@dataclass(frozen=True, eq=False)
class LearningLog:
    """What happened, iteration by iteration, while agents learned over H improvements.

    The last policies, pi_H, were reached but not played: there are H rounds of data, of
    pi_0..pi_{H-1}.
    """

    game: MarkovGame
    alpha: float
    policies: Policies  #: pi_0..pi_H, one (H + 1, S, A_i) array an agent
    q: Policies  #: values whose softmax is pi_{h+1}, one (H, S, A_i) array an agent
    counts: IntArray  #: (H, S, A), steps of pi_h that took joint action a in state s
    trajectories: tuple[Trajectories, ...] | None = None  #: of pi_0..pi_{H-1}, if recorded

    def __post_init__(self) -> None:
        game = self.game
        if self.counts.ndim != 3 or self.counts.shape[1:] != (game.n_states, game.n_joint_actions):
            raise ValueError(
                f"counts must have shape (H, {game.n_states}, {game.n_joint_actions}), "
                f"got {self.counts.shape}"
            )
        for name, arrays, length in (
            ("policies", self.policies, len(self.counts) + 1),
            ("q", self.q, len(self.counts)),
        ):
            shapes = [array.shape for array in arrays]
            expected = [(length, game.n_states, own) for own in game.actions]
            if shapes != expected:
                raise ValueError(f"{name} must have shapes {expected}, got {shapes}")
        for array in (self.counts, *self.policies, *self.q):
            checks.frozen(array)

    @property
    def iterations(self) -> int:
        """Number H of improvements."""
        return len(self.counts)

    def policies_at(self, h: int) -> Policies:
        """The joint policy pi_h, one (S, A_i) array an agent."""
        h = checks.index(h, "h", self.iterations + 1)
        return tuple(policies[h] for policies in self.policies)

    def observed_by(self, agent: int | None) -> Observation:
        """What ``agent`` may use of this log (MA-LfL, Assumption 3.4); None is a bystander."""
        if agent is not None:
            agent = self.game.check_agent(agent)
        return Observation(
            observer=agent,
            dynamics=self.game.without_rewards(),
            alpha=self.alpha,
            counts=self.counts.astype(np.float64),
            own_policies=None if agent is None else self.policies[agent][:-1],
            trajectories=self.trajectories,
        )


def _check_trajectories(trajectories: tuple[Trajectories, ...], counts: FloatArray) -> None:
    """Raise unless the trajectories are of the iterations and the steps that were counted."""
    iterations, states, joint = counts.shape
    if len(trajectories) != iterations:
        raise ValueError(
            f"trajectories must be of the {iterations} iterations counted, got {len(trajectories)}"
        )
    for h, (played, counted) in enumerate(zip(trajectories, counts, strict=True)):
        if played.n_joint_actions != joint:
            raise ValueError(
                f"trajectories[{h}] must have {joint} joint actions, got {played.n_joint_actions}"
            )
        largest = int(max(played.steps.max(initial=0) // joint, played.last.max(initial=0)))
        if largest >= states:
            raise ValueError(
                f"trajectories[{h}] visit state {largest}; states must lie in 0..{states - 1}"
            )
        if played.steps.size != counted.sum():
            raise ValueError(
                f"trajectories[{h}] have {played.steps.size} steps, and {counted.sum():.0f} were "
                "counted; they must be the same steps"
            )
