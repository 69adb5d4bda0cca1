"""Markov games (MA-LfL, Definition 3.1) and what is left of one when its rewards are hidden."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, sparray, spmatrix

from malfl import checks
from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.games.legal import (
    Legal,
    discount,
    end_states,
    legal_actions,
    only_legal,
    possible,
    reached,
)
from malfl.games.transitions import number_of_states, read_transitions, transition_matrix
from malfl.values import Value, freeze, set_fields

Policies = tuple[FloatArray, ...]
"""A joint policy: one array of shape (S, A_i) for each agent, rows summing to 1."""


@dataclass(frozen=True, eq=False, init=False)
class Dynamics(Value):
    """A Markov game without its rewards: all that an observer may know of the game.

    A joint action is one number in ``0..A-1``, agent 0's action varying slowest, where
    ``A = A_0 * ... * A_{N-1}``.

    Parameters
    ----------
    actions
        Number of actions of each agent, ``(A_0, ..., A_{N-1})``.
    transitions
        Where a joint action leads. Integers of shape (S, A) or (S, A_0, ..., A_{N-1}) are a table
        of next states. Floats of shape (S, A, S) are probabilities, as is a SciPy sparse matrix
        of shape (S * A, S) with row ``s * A + a``; the latter never needs a dense S x S array.
    start
        The start state, or a distribution over states of shape (S,).
    gamma
        Discount factor in [0, 1], and below 1 unless every episode ends.
    ends
        States in which an episode ends: numbers of them, or a mask (S,). Nobody acts there, and
        nothing follows; transitions from there are left out.
    legal
        Which actions each agent may take: a mask (S, A_i) for each, or None for an agent who may
        do everything. Transitions by others are left out. An agent who has no choice in a state,
        as when it is somebody else's turn, has one legal action there. Where an episode ends that
        is action 0.

    Raises
    ------
    ValueError
        If a shape disagrees, a probability is negative, a row does not sum to 1, a next state
        does not exist, there are no agents or actions, an agent has no legal action, an episode may
        end where it starts, or gamma lies outside [0, 1], or is 1 though an episode may never end.
    """

    actions: tuple[int, ...]
    transitions: csr_array  #: (S * A, S), canonical; rows of what cannot be done are empty
    start: FloatArray
    gamma: float
    ends: BoolArray  #: (S,)
    legal: Legal

    def __init__(
        self,
        *,
        actions: Sequence[int],
        transitions: npt.ArrayLike | sparray | spmatrix,
        start: int | npt.ArrayLike,
        gamma: float,
        ends: npt.ArrayLike = (),
        legal: Sequence[npt.ArrayLike | None] | None = None,
    ) -> None:
        checks.sequence(actions, "actions")
        if len(actions) == 0:
            raise ValueError("actions must name at least one agent, got none")
        sizes = tuple(checks.count(n, f"actions[{i}]") for i, n in enumerate(actions))
        given = read_transitions(transitions, sizes)
        final = end_states(ends, number_of_states(given))
        masks = legal_actions(legal, sizes, final)
        matrix = transition_matrix(given, possible(masks, sizes, final))
        set_fields(
            self,
            actions=sizes,
            transitions=matrix,
            start=_start_distribution(start, final),
            gamma=discount(gamma, matrix, final),
            ends=final,
            legal=masks,
        )

    def parts(self) -> dict[str, object]:
        """As any value's, without what is left to the constructor in games that never end."""
        parts = super().parts()
        if not self.ends.any():
            del parts["ends"]
            if self.all_legal:
                del parts["legal"]
        return parts

    @property
    def all_legal(self) -> bool:
        """Whether every agent may do everything everywhere."""
        return all(bool(mask.all()) for mask in self.legal)

    @cached_property
    def possible(self) -> BoolArray:
        """Which joint actions may be taken in each state, (S, A); none where an episode ends."""
        mask = possible(self.legal, self.actions, self.ends)
        freeze(mask)
        return mask

    @cached_property
    def reachable(self) -> BoolArray:
        """Which states play can come to from the start, (S,)."""
        rows, after = self.transitions.nonzero()
        first = np.flatnonzero(self.start)
        mask = reached(self.n_states, rows // self.n_joint_actions, after, first)
        freeze(mask)
        return mask

    @property
    def n_agents(self) -> int:
        """Number of agents N."""
        return len(self.actions)

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return int(self.transitions.shape[1])

    @property
    def n_joint_actions(self) -> int:
        """Number of joint actions A."""
        return prod(self.actions)

    @property
    def is_deterministic(self) -> bool:
        """Whether every joint action leads to one state only."""
        return int(np.diff(self.transitions.indptr).max()) <= 1

    @cached_property
    def own_actions(self) -> IntArray:
        """Each agent's own action in each joint action, shape (N, A)."""
        own = np.array(np.unravel_index(np.arange(self.n_joint_actions), self.actions))
        freeze(own)
        return own

    @property
    def played_transitions(self) -> csr_array:
        """`transitions`, in which what cannot be done leaves the state as it is, (S * A, S)."""
        empty = np.flatnonzero(np.diff(self.transitions.indptr) == 0)
        if empty.size == 0:
            return self.transitions
        loops = (np.ones(empty.size), (empty, empty // self.n_joint_actions))
        return csr_array(self.transitions + csr_array(loops, shape=self.transitions.shape))

    def code_parts(self, agent: int) -> tuple[IntArray, IntArray]:
        """State and (s, a^i), as ``s * A_i + a^i``, of each code ``s * A + a``; both (S * A,)."""
        states, actions = np.divmod(
            np.arange(self.n_states * self.n_joint_actions), self.n_joint_actions
        )
        return states, states * self.actions[agent] + self.own_actions[agent][actions]

    def check_agent(self, agent: int, name: str = "agent") -> int:
        """Return ``agent``; raise unless it is one of ``0..N-1``."""
        return checks.index(agent, name, self.n_agents)

    def check_policies(self, policies: Sequence[npt.ArrayLike], name: str = "policies") -> Policies:
        """Return a joint policy as float arrays; raise unless there is one (S, A_i) an agent."""
        checks.one_per_agent(policies, name, self.n_agents)
        return tuple(
            self.check_legal(
                checks.distributions(policy, f"{name}[{i}]", (self.n_states, size)),
                i,
                f"{name}[{i}]",
            )
            for i, (policy, size) in enumerate(zip(policies, self.actions, strict=True))
        )

    def check_legal(self, policy: FloatArray, agent: int, name: str) -> FloatArray:
        """Return an agent's policies (..., S, A_i), certain where it has no choice.

        Raises
        ------
        ValueError
            If one of them takes an action that is not legal, where the agent has a choice.
        """
        legal = self.legal[agent]
        if legal.all():
            return policy
        wrong = (policy > 0) & ~legal & (legal.sum(axis=1) > 1)[:, None]
        if wrong.any():
            *_, state, action = where = checks.first(wrong)
            raise ValueError(
                f"{name}{list(where)} is {policy[where]:g}, but action {action} is not legal for "
                f"agent {agent} in state {state}"
            )
        return only_legal(policy, legal)

    def uniform_policies(self) -> Policies:
        """The joint policy under which every agent plays every legal action equally often."""
        return tuple(mask / mask.sum(axis=1, keepdims=True) for mask in self.legal)


@dataclass(frozen=True, eq=False, init=False)
class MarkovGame(Dynamics):
    """A Markov game of N agents, (S, {A^i}, T, {R^i}, P_0, gamma) (MA-LfL, Definition 3.1).

    A game of one agent is a Markov decision process.

    Parameters
    ----------
    rewards
        One array an agent: of shape (S,) for R(s), of shape (S, A) or (S, A_0, ..., A_{N-1})
        for R(s, a) over joint actions, or of shape (S, A, S) for R(s, a, s'), whose mean over s'
        is taken. Where an episode ends, the reward of the state, or that of its joint action 0, is
        received once.
    actions, transitions, start, gamma, ends, legal
        As in `Dynamics`.

    Raises
    ------
    ValueError
        As `Dynamics` does, and if a reward has another shape, or is NaN or infinite.
    """

    rewards: tuple[FloatArray, ...]  #: each (S,) or (S, A)

    def __init__(
        self,
        *,
        actions: Sequence[int],
        transitions: npt.ArrayLike | sparray | spmatrix,
        rewards: Sequence[npt.ArrayLike],
        start: int | npt.ArrayLike,
        gamma: float,
        ends: npt.ArrayLike = (),
        legal: Sequence[npt.ArrayLike | None] | None = None,
    ) -> None:
        super().__init__(
            actions=actions,
            transitions=transitions,
            start=start,
            gamma=gamma,
            ends=ends,
            legal=legal,
        )
        self._set_rewards(rewards)

    def _set_rewards(self, rewards: Sequence[npt.ArrayLike]) -> None:
        checks.one_per_agent(rewards, "rewards", self.n_agents)
        set_fields(self, rewards=tuple(self._reward(r, i) for i, r in enumerate(rewards)))

    def _reward(self, reward: npt.ArrayLike, agent: int) -> FloatArray:
        array = checks.finite(reward, f"rewards[{agent}]")
        states, joint = self.n_states, self.n_joint_actions
        if array.shape == (states, *self.actions):
            array = array.reshape(states, joint)
        if array.shape == (states, joint, states):
            moves = self.transitions.tocoo()
            earned = moves.data * array.reshape(-1, states)[moves.row, moves.col]
            means = np.bincount(moves.row, earned, states * joint)
            array = means.reshape(states, joint).astype(np.float64)
        if array.shape not in ((states,), (states, joint)):
            raise ValueError(
                f"rewards[{agent}] must have shape {(states,)}, {(states, joint)}, "
                f"{(states, *self.actions)} or {(states, joint, states)}, got {array.shape}"
            )
        freeze(array)
        return array

    def joint_reward(self, agent: int) -> FloatArray:
        """R^i(s, a) of shape (S, A), a view that repeats R(s) where the reward has no action."""
        reward = self.rewards[self.check_agent(agent)]
        columns = reward[:, None] if reward.ndim == 1 else reward
        return np.broadcast_to(columns, (self.n_states, self.n_joint_actions))

    def final_reward(self, agent: int) -> FloatArray:
        """What an agent receives where an episode ends, shape (S,); 0 elsewhere."""
        return np.where(self.ends, self.joint_reward(agent)[:, 0], 0.0)

    def lasting(self) -> "MarkovGame":
        """The same game, in which to stay for ever where an episode ended is worth as much."""
        if not self.ends.any():
            return self
        left = np.where(self.ends, 1 - self.gamma, 1.0)
        return self.with_rewards([(reward.T * left).T for reward in self.rewards])

    def with_rewards(self, rewards: Sequence[npt.ArrayLike]) -> "MarkovGame":
        """The same game for others, one array an agent."""
        other = copy(self)
        other._set_rewards(rewards)
        return other

    def without_rewards(self) -> Dynamics:
        """The game as its observers know it (MA-LfL, Assumption 3.4)."""
        return Dynamics(
            actions=self.actions, transitions=self.transitions, start=self.start, gamma=self.gamma,
            ends=self.ends, legal=self.legal,
        )  # fmt: skip


def _start_distribution(start: int | npt.ArrayLike, ends: BoolArray) -> FloatArray:
    states = ends.size
    if np.ndim(start) == 0:
        distribution = np.zeros(states)
        distribution[checks.index(start, "start", states)] = 1.0
    else:
        distribution = checks.distributions(start, "start", (states,))
    if (over := (distribution > 0) & ends).any():
        raise ValueError(f"start may be state {int(over.argmax())}, where an episode ends")
    freeze(distribution)
    return distribution
