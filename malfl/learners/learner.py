"""How an agent learns: what a learner is, and what it may learn from."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from malfl import checks
from malfl.checks import BoolArray, FloatArray, WordArray
from malfl.games.markov import MarkovGame, Policies
from malfl.games.soft import improve
from malfl.play.episodes import Episodes
from malfl.values import freeze

Needs = Literal["rules", "steps", "draws"]
"""The rules of the game alone; the steps played too; and the actions drawn ahead of them."""


@dataclass(frozen=True, eq=False)
class Iteration:
    """What one agent may learn from, after everyone has played and before everyone improves."""

    number: int  #: h
    policies: Policies  #: everyone's pi_h
    played: Episodes | None = None  #: under pi_h, if the learner needs steps
    #: (N,), codes ``state * A + joint action`` of the state after each step and a joint action that
    #: was drawn there and not executed, if the learner needs them
    ahead: WordArray | None = None

    def __post_init__(self) -> None:
        freeze(self.policies, self.ahead)


class Improvement(NamedTuple):
    """An agent's next policy, and what it comes from."""

    policy: FloatArray  #: (S, A_i), pi_{h+1}
    values: FloatArray | None  #: (S, A_i), whose softmax, divided by alpha, it is, if it is one


def soft_improvement(
    values: FloatArray, alpha: float, legal: BoolArray | None = None
) -> Improvement:
    """The improvement of Eq. 6 by any values (S, A_i), over what is legal, by default all."""
    values = checks.finite(values, "values")
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"values must have shape (S, A_i) with A_i >= 1, got {values.shape}")
    return Improvement(improve(values, alpha, legal), values)


class Learning(Protocol):
    """One agent's learning in one run, with whatever it remembers."""

    def improve(self, now: Iteration) -> Improvement:
        """Learn from an iteration and say the next policy."""


@runtime_checkable
class Learner(Protocol):
    """A way to learn: a frozen value with its parameters, the same for any game and agent."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def needs(self) -> Needs:
        """What it learns from."""

    def start(
        self, game: MarkovGame, agent: int, alpha: float, rng: np.random.Generator
    ) -> Learning:
        """Begin to learn, as one of the agents of a game; ``alpha`` is the entropy coefficient."""
