"""Values of a learner of Algorithm 1, by the numbers of a reward that is not known."""

from typing import Protocol

import numpy as np

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics
from malfl.kernels.replay import Ledger, Update, replay, replay_patterned
from malfl.kernels.steps import Learner, Steps
from malfl.recovery.classes import Space, earned_by_code
from malfl.recovery.logit import AffineLogits
from malfl.recovery.patterns import PatternedSlopes, Patterns, earnings, patterns_of
from malfl.recovery.structural import room

BLOCK_BYTES = 2**20  # of the rows that a pass updates; they should stay in the cache
PASS_STEPS = 2**16  # in one call of a kernel, some milliseconds


class ReplayedValues(Protocol):
    """Values to begin with, and what they become along the steps of a policy."""

    patterned: bool  #: whether zeros are left out

    def room(self, policies: int) -> FloatArray | PatternedSlopes:
        """Slopes of so many policies, to be filled."""

    def learn(self, steps: Steps, update: Update, kept: bool) -> None:
        """Go through the steps, from the beginning, or if kept from where they were."""

    def write(self, logits: AffineLogits, policy: int, alpha: float) -> None:
        """Put what was learned in as the logits of that policy."""


def values_of(dynamics: Dynamics, agent: int, space: Space) -> ReplayedValues:
    """By patterns where that saves much, else in full."""
    patterns = patterns_of(dynamics, agent, space)
    if patterns is None:
        return _Full(dynamics, agent, space)
    return _Patterned(dynamics, agent, space, patterns)


def passes(steps: Steps) -> list[tuple[int, int]]:
    """The steps in parts of some milliseconds each."""
    begins = range(0, len(steps.codes), PASS_STEPS)
    return [(begin, min(begin + PASS_STEPS, len(steps.codes))) for begin in begins]


class _Full:
    """A row of all entries of the reward for each (s, a)."""

    patterned = False

    def __init__(self, dynamics: Dynamics, agent: int, space: Space) -> None:
        self._dynamics, self._agent = dynamics, agent
        self._space, self._shape = space, (dynamics.n_states, dynamics.actions[agent])
        self._codes = Learner(*dynamics.code_parts(agent))
        self._entries = earned_by_code(dynamics, agent, space.reward_class)
        pairs = self._shape[0] * self._shape[1]
        # None but where an episode ends; the last column is what is there without a reward.
        self._values = np.zeros((pairs, space.entries + 1))
        ended = np.flatnonzero(dynamics.ends)
        final = self._entries[ended * dynamics.n_joint_actions]
        self._values[ended * self._shape[1], final] = 1.0
        self._learned = self._values

    def room(self, policies: int) -> FloatArray:
        return room(self._dynamics, policies, self._agent, self._space.numbers)

    def learn(self, steps: Steps, update: Update, kept: bool) -> None:
        states, own = self._shape
        numbers, visits = self._space.entries, update.visits.copy()
        columns = numbers + 1
        width = min(columns, max(16, BLOCK_BYTES // (8 * states * (own + 1))))
        q = self._values if kept else self._values.copy()
        for column in range(0, columns, width):
            rows = np.ascontiguousarray(q[:, column : column + width])
            value = (update.policy[:, None] * rows).reshape(states, own, -1).sum(axis=1)
            update.visits[:] = visits
            for begin, end in passes(steps):
                replay(
                    steps, self._codes, self._entries, numbers, begin, end, update, column, rows,
                    value,
                )  # fmt: skip
                progress.advance(end - begin if column == 0 else 0)
            q[:, column : column + width] = rows
        self._learned = q

    def write(self, logits: AffineLogits, policy: int, alpha: float) -> None:
        slopes, q = logits.slopes, self._learned
        assert isinstance(slopes, np.ndarray)
        slopes[policy] = (self._space.by_numbers(q[:, :-1]) / alpha).reshape(slopes[policy].shape)
        logits.constants[policy] = q[:, -1].reshape(self._shape) / alpha


class _Patterned:
    """For each (s, a) what its state depends on, and nothing else."""

    patterned = True

    def __init__(self, dynamics: Dynamics, agent: int, space: Space, patterns: Patterns) -> None:
        self._numbers, self._legal = space.numbers, dynamics.legal[agent]
        self._patterns, self._codes = patterns, Learner(*dynamics.code_parts(agent))
        self._own = dynamics.actions[agent]
        self._earned = earnings(dynamics, agent, space)
        self._slopes = np.zeros(patterns.rows[-1])
        for state in np.flatnonzero(dynamics.ends):
            earned = self._earned[[state * dynamics.n_joint_actions]].toarray()[0]
            begin = patterns.rows[state * self._own]
            of = patterns.of(int(state))
            self._slopes[begin : begin + of.size] = earned[of]
        self._constants = np.zeros(dynamics.n_states * self._own)
        self._learned = self._slopes, self._constants

    def room(self, policies: int) -> PatternedSlopes:
        size = 8 * policies * self._slopes.size
        checks.memory(size, f"logits of {policies} policies", "use a smaller game")
        empty = np.zeros((policies, self._slopes.size))
        return PatternedSlopes(self._patterns, empty, self._legal, self._numbers)

    def learn(self, steps: Steps, update: Update, kept: bool) -> None:
        slopes, constants = self._slopes, self._constants
        if not kept:
            slopes, constants = slopes.copy(), constants.copy()
        patterns, earned = self._patterns, self._earned
        ledger = Ledger(
            *patterns, earned.indptr.astype(np.int64), earned.indices.astype(np.int64),
            earned.data, slopes, constants, self._mean(update, slopes),
            (update.policy * constants).reshape(-1, self._own).sum(axis=1),
        )  # fmt: skip
        for begin, end in passes(steps):
            replay_patterned(steps, self._codes, begin, end, update, ledger)
            progress.advance(end - begin)
        self._learned = slopes, constants

    def write(self, logits: AffineLogits, policy: int, alpha: float) -> None:
        slopes, constants = self._learned
        assert isinstance(logits.slopes, PatternedSlopes)
        logits.slopes.values[policy] = slopes / alpha
        logits.constants[policy] = constants.reshape(self._legal.shape) / alpha

    def _mean(self, update: Update, slopes: FloatArray) -> FloatArray:
        """The expectations of slopes under the policy, by state."""
        starts, columns, rows = self._patterns
        sizes = np.diff(rows)
        pair = np.repeat(np.arange(sizes.size), sizes)
        place = np.arange(slopes.size) - rows[pair] + starts[pair // self._own]
        weighed = update.policy[pair] * slopes
        return np.bincount(place, weighed, minlength=columns.size).astype(np.float64)
