"""What one agent, or a bystander, may use of what happened (MA-LfL, Assumption 3.4)."""

from dataclasses import dataclass, replace

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics
from malfl.play.episodes import Episodes
from malfl.values import Value, freeze, set_fields


@dataclass(frozen=True, eq=False)
class View(Value):
    """What ``observer`` may use under Assumption 3.4 of MA-LfL.

    Everyone's states and actions, its own policies and the rules of the game; never another
    agent's policy or reward. Data and policies cover the iterations 0..n-1. A bystander, as in
    LfL, is ``None`` and has no policies.

    Raises
    ------
    TypeError, ValueError
        If ``dynamics`` carry rewards, or counts, policies and episodes do not fit each other.
    """

    observer: int | None
    dynamics: Dynamics
    alpha: float | None  #: entropy coefficient that the observer takes the others to have, if any
    counts: FloatArray  #: (n, S, A), whole numbers
    own_policies: FloatArray | None  #: (n, S, A_observer)
    episodes: tuple[Episodes, ...] | None = None
    estimated_rules: bool = False  #: whether ``dynamics`` are estimated from these episodes

    def __post_init__(self) -> None:
        if type(self.dynamics) is not Dynamics:
            raise TypeError("dynamics must not carry rewards; pass game.without_rewards()")
        if self.alpha is not None:
            set_fields(self, alpha=checks.positive(self.alpha, "alpha"))
        checks.boolean(self.estimated_rules, "estimated_rules")
        checks.sequence(self.counts, "counts", "an array (S, A) for each iteration")
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
        self._check_possible(counts)
        freeze(counts)
        set_fields(self, counts=counts)
        if self.observer is not None and self.own_policies is not None:
            observer = self.dynamics.check_agent(self.observer, "observer")
            set_fields(self, observer=observer)
            shape = (len(counts), states, self.dynamics.actions[observer])
            own = checks.distributions(self.own_policies, "own_policies", shape)
            own = self.dynamics.check_legal(own, observer, "own_policies")
            freeze(own)
            set_fields(self, own_policies=own)
        elif self.observer is not None or self.own_policies is not None:
            raise ValueError(
                "own_policies must be given for an observer that is an agent, and only then; "
                f"the observer is {self.observer}"
            )
        if self.episodes is not None:
            checks.sequence(self.episodes, "episodes", "one of Episodes for each iteration")
            set_fields(self, episodes=tuple(self.episodes))
            _check_episodes(self.episodes, counts)

    def parts(self) -> dict[str, object]:
        """As any value's, without what is left to the constructor where rules are known."""
        parts = super().parts()
        if not self.estimated_rules:
            del parts["estimated_rules"]
        return parts

    def _check_possible(self, counts: FloatArray) -> None:
        """Raise if something was counted that cannot be done."""
        wrong = (counts > 0) & ~self.dynamics.possible
        if wrong.any():
            h, state, joint = where = checks.first(wrong)
            reason = (
                f"an episode ends in state {state}, and nobody acts there"
                if self.dynamics.ends[state]
                else f"joint action {joint} is not legal in state {state}"
            )
            raise ValueError(f"counts{list(where)} is {counts[h, state, joint]:g}, but {reason}")

    @property
    def unit(self) -> float:
        """The unit of recovered rewards, alpha, or 1 where it is not known."""
        return 1.0 if self.alpha is None else self.alpha

    @property
    def iterations(self) -> int:
        """Number n of policies seen at work; n - 1 improvements lie between them."""
        return len(self.counts)

    def first(self, iterations: int) -> "View":
        """What was seen by the end of the first so many iterations."""
        checks.count(iterations, "iterations")
        n = checks.index(iterations - 1, "iterations - 1", self.iterations) + 1
        return replace(
            self,
            counts=self.counts[:n],
            own_policies=None if self.own_policies is None else self.own_policies[:n],
            episodes=self.episodes and self.episodes[:n],
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


def _check_episodes(episodes: tuple[Episodes, ...], counts: FloatArray) -> None:
    """Raise unless the episodes are of the iterations and the steps that were counted."""
    iterations, states, joint = counts.shape
    if len(episodes) != iterations:
        raise ValueError(
            f"episodes must be of the {iterations} iterations counted, got {len(episodes)}"
        )
    for h, (played, counted) in enumerate(zip(episodes, counts, strict=True)):
        checks.instance(played, Episodes, f"episodes[{h}]", "see Episodes.from_lists")
        if (played.n_states, played.n_joint_actions) != (states, joint):
            raise ValueError(
                f"episodes[{h}] must be of {states} states and {joint} joint actions, got "
                f"{played.n_states} and {played.n_joint_actions}"
            )
        if played.steps != counted.sum():
            raise ValueError(
                f"episodes[{h}] have {played.steps} steps, and {counted.sum():.15g} were counted; "
                "they must be the same steps"
            )
