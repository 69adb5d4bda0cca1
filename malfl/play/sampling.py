"""Episodes of agents that play a game with fixed policies, or only counts of them."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from malfl import checks, progress
from malfl.checks import IntArray, WordArray
from malfl.games.markov import Dynamics, Policies
from malfl.games.soft import joint_probabilities
from malfl.kernels import occupancy as kernel
from malfl.kernels.steps import Steps
from malfl.kernels.walk import LOW
from malfl.play.episodes import Episodes
from malfl.play.player import Block, Player, bits_for, can_pack

WALKED_STEPS = 30  # steps of a walk that take the time of one split of the occupancy
HALF = np.uint64(32)  # bits of a word below what was drawn ahead
SPLITS = 2**17  # splits in one call of a kernel, some milliseconds

Method = Literal["auto", "walk", "occupancy"]


def sample_episodes(
    dynamics: Dynamics,
    policies: Sequence[npt.ArrayLike],
    *,
    episodes: int,
    steps: int,
    seed: int | np.random.Generator,
) -> Episodes:
    """Let the agents play ``episodes`` episodes of ``steps`` steps.

    Parameters
    ----------
    policies
        A joint policy, one (S, A_i) array an agent.
    seed
        The source of all randomness. A Generator moves on, so that its next use differs.

    Raises
    ------
    ValueError
        If there are no episodes or no steps, a policy is not one, or the game is too large to
        pack a state and a joint action into 32 bits.
    MemoryError
        If there is no room for the episodes.
    """
    episodes, steps = checks.steps_played(episodes, steps)
    checks.instance(dynamics, Dynamics, "dynamics", "or a MarkovGame")
    joint_policy = dynamics.check_policies(policies)
    rng = checks.generator(seed)
    Recorder.check_memory(dynamics, episodes, steps)
    recorder = Recorder(dynamics, episodes, steps)
    with progress.bar(episodes * steps):
        for block in Player(dynamics).play(joint_policy, episodes, steps, rng):
            recorder.add(block)
            progress.advance(block.steps * len(block.codes))
    return recorder.episodes()


def sample_counts(
    dynamics: Dynamics,
    policies: Sequence[npt.ArrayLike],
    *,
    episodes: int,
    steps: int,
    seed: int | np.random.Generator,
    method: Method = "auto",
) -> IntArray:
    """How often each joint action is taken in each state over so many episodes, shape (S, A).

    Parameters
    ----------
    policies
        A joint policy, one (S, A_i) array an agent.
    seed
        The source of all randomness. A Generator moves on, so that its next use differs.
    method
        ``"walk"`` plays the episodes and counts. ``"occupancy"`` draws from the same distribution
        without playing: it keeps only how many episodes are in each state and splits these numbers
        among the next states, at a cost that hardly depends on the number of episodes. ``"auto"``
        takes the cheaper one.

    Raises
    ------
    ValueError
        If there are no episodes or no steps, a policy is not one, or ``method`` is unknown; and
        for ``"walk"`` as `sample_episodes` does.
    """
    episodes, steps = checks.steps_played(episodes, steps)
    checks.choice(method, "method", ("auto", "walk", "occupancy"))
    checks.instance(dynamics, Dynamics, "dynamics", "or a MarkovGame")
    joint_policy = dynamics.check_policies(policies)
    rng = checks.generator(seed)
    shape = (dynamics.n_states, dynamics.n_joint_actions)
    checks.memory(8 * math.prod(shape), f"counts of shape {shape}", "use a smaller game")
    counts = np.zeros(shape, dtype=np.int64)
    with progress.bar(episodes * steps):
        add_counts(dynamics, joint_policy, episodes, steps, rng, counts, method)
    return counts


def add_counts(
    dynamics: Dynamics,
    policies: Policies,
    episodes: int,
    steps: int,
    rng: np.random.Generator,
    counts: IntArray,
    method: Method = "auto",
) -> None:
    """Add to ``counts`` (S, A) as `sample_counts` does."""
    chain = Chain(dynamics, policies) if method != "walk" else None
    if chain and (
        method == "occupancy" or episodes > WALKED_STEPS * chain.odds.size or not can_pack(dynamics)
    ):
        chain.count(episodes, steps, rng, counts)
    else:
        Player(dynamics).count(policies, episodes, steps, rng, counts)


class Chain:
    """The Markov chain of states under a joint policy, its transitions by falling probability."""

    def __init__(self, dynamics: Dynamics, policies: Policies) -> None:
        matrix = dynamics.transitions
        states, joint = dynamics.n_states, dynamics.n_joint_actions
        rows = np.repeat(np.arange(states * joint), np.diff(matrix.indptr))
        taken = joint_probabilities(dynamics, policies).ravel()[rows] * matrix.data
        possible = taken > 0
        rows, taken, target = rows[possible], taken[possible], matrix.indices[possible]
        flow, which = np.unique(rows // joint * states + target, return_inverse=True)
        odds = np.asarray(np.bincount(which, weights=taken), dtype=np.float64)
        order = np.lexsort((-odds, flow // states))
        rank = np.empty_like(order)
        rank[order] = np.arange(order.size)
        which = rank[which]
        self.odds = odds[order]
        self.origins, self.successors = np.divmod(flow[order], states)
        self.row_starts = np.searchsorted(self.origins, np.arange(states + 1))
        by_flow = np.argsort(which, kind="stable")
        self.flow_starts = np.searchsorted(which[by_flow], np.arange(order.size + 1))
        self.action_odds, self.actions = taken[by_flow], rows[by_flow] % joint
        self.start = dynamics.start

    def count(self, episodes: int, steps: int, rng: np.random.Generator, counts: IntArray) -> None:
        """Add to ``counts`` (S, A)."""
        flows = np.zeros(self.odds.size, dtype=np.int64)
        occupancy = rng.multinomial(episodes, self.start / self.start.sum())
        piece = max(1, SPLITS // self.odds.size)
        for step in range(0, steps, piece):
            n = min(piece, steps - step)
            kernel.flow(rng, occupancy, n, self.row_starts, self.successors, self.odds, flows)
            progress.advance(n * episodes)
        kernel.joint_counts(
            rng, flows, self.flow_starts, self.action_odds, self.actions, self.origins, counts
        )


class Recorder:
    """Room for episodes that come in blocks; see `check_memory` first.

    Parameters
    ----------
    ahead
        Whether to record the joint actions drawn in the next states too.
    """

    def __init__(self, dynamics: Dynamics, episodes: int, steps: int, ahead: bool = False) -> None:
        kind = self._kind(dynamics)
        self._size = dynamics.n_states, dynamics.n_joint_actions
        self._codes = np.empty((episodes, steps), dtype=kind)
        self._last = np.empty(episodes, dtype=kind)
        self._ahead = np.empty((episodes, steps), dtype=kind) if ahead else None
        self._bits = np.uint64(bits_for(dynamics.n_joint_actions))
        self._ends = dynamics.ends
        self._lengths = np.full(episodes, steps)

    @staticmethod
    def check_memory(dynamics: Dynamics, episodes: int, steps: int, times: int = 1) -> None:
        """Raise unless there is room for so many episodes, so many ``times``."""
        checks.memory(
            times * Recorder._kind(dynamics).itemsize * episodes * (steps + 1),
            f"{times} x {episodes} episodes of {steps} steps",
            "record fewer, or only count",
        )

    @staticmethod
    def _kind(dynamics: Dynamics) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest integers that hold a step."""
        return np.min_scalar_type(dynamics.n_states * dynamics.n_joint_actions - 1)

    def add(self, block: Block) -> None:
        """Record the steps of a block, and what was reached by the last of them."""
        lanes = slice(block.episode, block.episode + len(block.codes))
        steps = slice(block.step, block.step + block.steps)
        words = block.codes[:, : block.steps]
        self._codes[lanes, steps] = self._unpadded(words & LOW)
        self._last[lanes] = block.reached >> self._bits
        if self._ends.any():
            over = self._ends[(words & LOW) >> self._bits]
            first = np.where(
                over.any(axis=1), block.step + over.argmax(axis=1), self._lengths[lanes]
            )
            self._lengths[lanes] = np.minimum(self._lengths[lanes], first)
        if self._ahead is not None:
            self._ahead[lanes, steps] = self._unpadded(words >> HALF)

    def _unpadded(self, codes: WordArray) -> WordArray:
        """Codes ``state << bits | joint action`` as ``state * A + joint action``."""
        action = codes & ((np.uint64(1) << self._bits) - np.uint64(1))
        return (codes >> self._bits) * np.uint64(self._size[1]) + action

    def episodes(self) -> Episodes:
        """What was recorded, episodes that ended without the steps that came after."""
        ends = np.append(0, self._lengths.cumsum())
        steps = Steps(self._before_ends(self._codes), ends, self._last)
        return Episodes.from_packed(steps, *self._size)

    @property
    def ahead(self) -> WordArray | None:
        """Codes (N,) of the next states and joint actions drawn there, if they were asked for."""
        return None if self._ahead is None else self._before_ends(self._ahead)

    def _before_ends(self, codes: WordArray) -> WordArray:
        """Codes (E, T) in one row, without those of steps that come after an end."""
        if not self._ends.any():
            return codes.reshape(-1)
        return codes[np.arange(codes.shape[1]) < self._lengths[:, None]]
