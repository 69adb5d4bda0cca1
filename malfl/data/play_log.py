"""What others recorded of agents that learn: their episodes, and the names of things."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from malfl import checks
from malfl.checks import FloatArray, IntArray
from malfl.games.markov import Dynamics
from malfl.play.episodes import Episodes
from malfl.play.view import View
from malfl.values import Value, freeze, set_fields


@dataclass(frozen=True, eq=False)
class PlayLog(Value):
    """Episodes played iteration by iteration, as `malfl.read_log` reads them.

    Raises
    ------
    TypeError, ValueError
        If names are not one for each state and action, or episodes are of something else.
    """

    dynamics: Dynamics  #: the rules, known or estimated
    episodes: tuple[Episodes, ...]  #: of each iteration
    alpha: float | None = None  #: entropy coefficient of the agents, if it is known
    estimated_rules: bool = False  #: whether ``dynamics`` are estimated from these moves
    states: tuple[str, ...] | None = None  #: names, if the table had any
    actions: tuple[tuple[str, ...], ...] | None = None  #: names of each agent's, if it had any
    notes: tuple[str, ...] = ()  #: what should be known of the data, a sentence each

    def __post_init__(self) -> None:
        checks.boolean(self.estimated_rules, "estimated_rules")
        dynamics = self.dynamics
        checks.instance(dynamics, Dynamics, "dynamics", "the rules")
        if self.alpha is not None:
            set_fields(self, alpha=checks.positive(self.alpha, "alpha"))
        checks.sequence(self.episodes, "episodes", "one of Episodes for each iteration")
        for h, played in enumerate(self.episodes):
            checks.instance(played, Episodes, f"episodes[{h}]", "see Episodes.from_lists")
        if self.states is not None:
            set_fields(self, states=checks.names(self.states, "states", dynamics.n_states))
        if self.actions is not None:
            checks.one_per_agent(self.actions, "actions", dynamics.n_agents)
            names = [
                checks.names(names, f"actions[{i}]", size)
                for i, (names, size) in enumerate(zip(self.actions, dynamics.actions, strict=True))
            ]
            set_fields(self, actions=tuple(names))
        set_fields(self, episodes=tuple(self.episodes), notes=checks.texts(self.notes, "notes"))
        self.seen_by(None)  # which refuses episodes of something else

    @property
    def iterations(self) -> int:
        """Number n of iterations."""
        return len(self.episodes)

    @cached_property
    def counts(self) -> IntArray:
        """Steps of each iteration that took joint action a in state s, (n, S, A)."""
        counts = np.array([played.counts() for played in self.episodes])
        freeze(counts)
        return counts

    def seen_by(
        self, agent: int | None, own_policies: Sequence[Sequence[float]] | FloatArray | None = None
    ) -> View:
        """What ``agent``, who knows its own policies (n, S, A_i), may use; None is a bystander."""
        own = None if own_policies is None else np.asarray(own_policies, dtype=np.float64)
        return View(
            observer=agent,
            dynamics=self.dynamics,
            alpha=self.alpha,
            counts=self.counts.astype(np.float64),
            own_policies=own,
            episodes=self.episodes,
            estimated_rules=self.estimated_rules,
        )

    def summary(self) -> str:
        """What the log holds, a line for each."""
        dynamics, steps = self.dynamics, sum(played.steps for played in self.episodes)
        how = "estimated" if self.estimated_rules else "known"
        lines = [
            f"{sum(map(len, self.episodes))} episodes of {steps} steps in {self.iterations} "
            "iterations",
            f"{dynamics.n_states} states, actions {dynamics.actions}, rules {how}",
        ]
        return "\n".join([*lines, *self.notes])

    def __repr__(self) -> str:
        return f"<PlayLog: {self.summary().splitlines()[0]}>"
