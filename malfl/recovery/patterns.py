"""Which numbers of a reward each state's values can depend on, where that is few of them.

In games that end, such as board games, a position's value depends on the ends that can still come,
not on all. What depends on nothing needs neither room nor time.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, eye_array

from malfl import progress
from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.games.markov import Dynamics
from malfl.recovery.classes import Space, earned_by_code
from malfl.recovery.slopes import Block, Slopes

MOST_SHARE = 0.25  # of all pairs of state and number; beyond that, plain arrays are faster


class Patterns(NamedTuple):
    """The numbers that the values of each state depend on, sorted, one after the other."""

    starts: IntArray  # (S + 1,), where those of each state begin in ``columns``
    columns: IntArray  # (P,)
    #: (S * A_i + 1,), where the slopes of each (s, a) begin; an action that is not legal has none.
    rows: IntArray

    @classmethod
    def where(cls, starts: IntArray, columns: IntArray, legal: BoolArray) -> "Patterns":
        """Of states in which these actions are legal, (S, A_i)."""
        sizes = np.repeat(np.diff(starts), legal.shape[1])
        return cls(starts, columns, np.append(0, np.where(legal.ravel(), sizes, 0).cumsum()))

    def of(self, state: int) -> IntArray:
        """Those of one state."""
        return self.columns[self.starts[state] : self.starts[state + 1]]


def earnings(dynamics: Dynamics, agent: int, space: Space) -> csr_array:
    """How much of each number a step of each code earns, (S * A, K)."""
    basis = eye_array(space.entries) if space.basis is None else space.basis
    return csr_array(csr_array(basis)[earned_by_code(dynamics, agent, space.reward_class)])


def one_step(dynamics: Dynamics, agent: int, space: Space) -> tuple[csr_array, csr_array]:
    """Nonzero where a step from a state may earn a number (S, K), or lead to a state (S, S)."""
    done = dynamics.possible.copy()
    done[dynamics.ends, 0] = True  # what is received there
    codes = np.flatnonzero(done.ravel())
    of_state = csr_array(
        (np.ones(codes.size), (codes // dynamics.n_joint_actions, codes)),
        shape=(dynamics.n_states, done.size),
    )
    own = of_state @ abs(earnings(dynamics, agent, space))  # signs must not cancel
    return csr_array(own), csr_array(of_state @ dynamics.transitions)


def patterns_of(dynamics: Dynamics, agent: int, space: Space) -> Patterns | None:
    """The patterns of an agent's values; None if they are no sparser than is worth the trouble."""
    states = dynamics.n_states
    if not dynamics.ends.any():
        return None
    own, moves = one_step(dynamics, agent, space)
    found, before = own, -1
    while found.nnz != before:
        before = found.nnz
        if before > MOST_SHARE * states * space.numbers:
            return None
        progress.advance()
        found = csr_array(own + moves @ found)
        found.data[:] = 1.0
    found.sort_indices()
    starts, columns = found.indptr.astype(np.int64), found.indices.astype(np.int64)
    return Patterns.where(starts, columns, dynamics.legal[agent])


class PatternedSlopes(NamedTuple):
    """Slopes of an agent's logits under H policies, in what their patterns leave."""

    patterns: Patterns
    values: FloatArray  # (H, R), by the patterns' rows
    legal: BoolArray  # (S, A_i)
    numbers: int  # K

    def first(self, policies: int) -> "PatternedSlopes":
        """Those of the first so many."""
        return self._replace(values=self.values[:policies])

    def at(self, reward: FloatArray) -> FloatArray:
        """The logits (H, S, A_i) of a reward (K,)."""
        found = np.zeros((len(self.values), *self.legal.shape))
        for state in range(len(self.legal)):
            found[:, state] = self._of(state, slice(None)) @ reward[self.patterns.of(state)]
        return found

    def chosen(self, policies: IntArray, states: IntArray) -> Slopes:
        """Those of some choices, sorted by state."""
        bounds = np.append(np.flatnonzero(np.diff(states, prepend=-1)), len(states))
        blocks = [
            Block(
                slice(begin, end),
                self.patterns.of(states[begin]),
                self._of(int(states[begin]), policies[begin:end]),
            )
            for begin, end in itertools.pairwise(bounds.tolist())
        ]
        return Slopes(blocks, (len(states), self.legal.shape[1], self.numbers))

    def _of(self, state: int, policies: IntArray | slice) -> FloatArray:
        """Of one state, (h, A_i, k); zero for what is not legal."""
        actions = self.legal.shape[1]
        begin, end = self.patterns.rows[[state * actions, (state + 1) * actions]]
        own = np.flatnonzero(self.legal[state])
        part = self.values[policies, begin:end]
        found = np.zeros((len(part), actions, self.patterns.of(state).size))
        found[:, own] = part.reshape(len(part), own.size, found.shape[2])
        return found
