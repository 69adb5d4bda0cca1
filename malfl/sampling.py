"""Episodes of agents that play a game with fixed policies: trajectories, or only counts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from malfl import checks
from malfl.checks import IntArray, WordArray
from malfl.games import Dynamics, Policies
from malfl.kernels import occupancy as kernel
from malfl.kernels.walk import LOW
from malfl.parallel import Job, run
from malfl.play import Block, Player, bits_for, can_pack
from malfl.soft import joint_probabilities

WALKED_STEPS = 30  # steps of a walk that take the time of one split of the occupancy
SPLITS = 2**17  # splits in one call of a kernel, some milliseconds

Method = Literal["auto", "walk", "occupancy"]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Episodes of E times T steps, a step packed in one integer ``state * A + joint action``."""

    steps: WordArray  #: (E, T)
    last: WordArray  #: (E,), the states reached but not acted in
    n_joint_actions: int  #: A

    @property
    def states(self) -> IntArray:
        """States s_0..s_T, shape (E, T + 1)."""
        before = self.steps // self.n_joint_actions
        return np.concatenate([before, self.last[:, None]], axis=1, dtype=np.int64)

    @property
    def actions(self) -> IntArray:
        """Joint actions, shape (E, T)."""
        return (self.steps % self.n_joint_actions).astype(np.int64)

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.steps)


def sample_trajectories(
    dynamics: Dynamics,
    policies: Sequence[npt.ArrayLike],
    *,
    episodes: int,
    steps: int,
    seed: int | np.random.Generator,
) -> Trajectories:
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
        If there is no room for the trajectories.
    """
    episodes, steps = checks.steps_played(episodes, steps)
    joint_policy = dynamics.check_policies(policies)
    rng = checks.generator(seed)
    Recorder.check_memory(dynamics, episodes, steps)

    def work() -> Job[Trajectories]:
        recorder = Recorder(dynamics, episodes, steps)
        for block in Player(dynamics).play(joint_policy, episodes, steps, rng):
            recorder.add(block)
            yield block.steps * len(block.codes)
        return recorder.trajectories

    return run([work()], episodes * steps)[0]


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
        for ``"walk"`` as `sample_trajectories` does.
    """
    episodes, steps = checks.steps_played(episodes, steps)
    checks.choice(method, "method", ("auto", "walk", "occupancy"))
    joint_policy = dynamics.check_policies(policies)
    rng = checks.generator(seed)

    def work() -> Job[IntArray]:
        shape = (dynamics.n_states, dynamics.n_joint_actions)
        checks.memory(8 * math.prod(shape), f"counts of shape {shape}", "use a smaller game")
        counts = np.zeros(shape, dtype=np.int64)
        yield from counting(dynamics, joint_policy, episodes, steps, rng, counts, method)
        return counts

    return run([work()], episodes * steps)[0]


def counting(
    dynamics: Dynamics,
    policies: Policies,
    episodes: int,
    steps: int,
    rng: np.random.Generator,
    counts: IntArray,
    method: Method = "auto",
) -> Iterator[int]:
    """Add to ``counts`` (S, A) as `sample_counts` does, telling the steps done on the way."""
    chain = Chain(dynamics, policies) if method != "walk" else None
    if chain and (
        method == "occupancy" or episodes > WALKED_STEPS * chain.odds.size or not can_pack(dynamics)
    ):
        yield from chain.counting(episodes, steps, rng, counts)
        return
    yield from Player(dynamics).count(policies, episodes, steps, rng, counts)


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

    def counting(
        self, episodes: int, steps: int, rng: np.random.Generator, counts: IntArray
    ) -> Iterator[int]:
        """Add to ``counts`` (S, A), telling the steps done on the way."""
        flows = np.zeros(self.odds.size, dtype=np.int64)
        occupancy = rng.multinomial(episodes, self.start / self.start.sum())
        piece = max(1, SPLITS // self.odds.size)
        for step in range(0, steps, piece):
            n = min(piece, steps - step)
            kernel.flow(rng, occupancy, n, self.row_starts, self.successors, self.odds, flows)
            yield n * episodes
        kernel.joint_counts(
            rng, flows, self.flow_starts, self.action_odds, self.actions, self.origins, counts
        )


class Recorder:
    """Room for trajectories that come in blocks; see `check_memory` first."""

    def __init__(self, dynamics: Dynamics, episodes: int, steps: int) -> None:
        joint = dynamics.n_joint_actions
        kind = self._kind(dynamics)
        self.trajectories = Trajectories(
            np.empty((episodes, steps), dtype=kind), np.empty(episodes, dtype=kind), joint
        )
        self.bits = np.uint64(bits_for(joint))

    @staticmethod
    def check_memory(dynamics: Dynamics, episodes: int, steps: int, times: int = 1) -> None:
        """Raise unless there is room for so many trajectories, so many ``times``."""
        checks.memory(
            times * Recorder._kind(dynamics).itemsize * episodes * (steps + 1),
            f"trajectories of {times} x {episodes} episodes of {steps} steps",
            "record fewer, or only count",
        )

    @staticmethod
    def _kind(dynamics: Dynamics) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest integers that hold a step."""
        return np.min_scalar_type(dynamics.n_states * dynamics.n_joint_actions - 1)

    def add(self, block: Block) -> None:
        """Keep the steps of a block, and what was reached by the last of them."""
        kept, joint = self.trajectories, np.uint64(self.trajectories.n_joint_actions)
        lanes = slice(block.episode, block.episode + len(block.codes))
        codes = block.codes[:, : block.steps] & LOW
        action = codes & ((np.uint64(1) << self.bits) - np.uint64(1))
        kept.steps[lanes, block.step : block.step + block.steps] = (
            codes >> self.bits
        ) * joint + action
        kept.last[lanes] = block.reached >> self.bits
