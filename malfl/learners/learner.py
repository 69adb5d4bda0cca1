"""One agent's way to learn, and what it may learn from."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from malfl.checks import FloatArray
from malfl.games import MarkovGame, Policies
from malfl.sampling import Trajectories


@dataclass(frozen=True, eq=False)
class Round:
    """An iteration of one agent, after everyone has played and before everyone improves."""

    game: MarkovGame
    agent: int
    alpha: float  #: entropy coefficient
    number: int  #: h
    policies: Policies  #: everyone's pi_h
    q: FloatArray  #: (S, A_i), the values that led to the agent's pi_h; 0 in the first round
    played: Trajectories | None  #: the steps of pi_h, if the learner needs them
    rng: np.random.Generator


@runtime_checkable
class Learner(Protocol):
    """How an agent changes its policy from round to round."""

    @property
    def needs_steps(self) -> bool:
        """Whether it learns from the steps played, not from the rules of the game."""

    def values(self, now: Round) -> FloatArray:
        """The (S, A_i) values whose softmax, divided by alpha, is the agent's next policy."""
