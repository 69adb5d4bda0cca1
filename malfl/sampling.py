"""Trajectories of agents that play a game with fixed policies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from malfl import checks
from malfl.checks import FloatArray
from malfl.games import Dynamics
from malfl.kernels import sampling as kernel

BATCH_STEPS = 2**20  # steps drawn at once


@dataclass(frozen=True, eq=False)
class Trajectories:
    """States and joint actions of E episodes of T steps, as packed integers."""

    states: npt.NDArray[np.int32]  # (E, T + 1), the last one reached but not acted in
    actions: npt.NDArray[np.int32]  # (E, T)

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.actions)


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
        If there are no episodes or no steps, or a policy is not one.
    """
    rng = checks.generator(seed)
    return joined(list(trajectory_batches(dynamics, policies, episodes, steps, rng)))


def trajectory_batches(
    dynamics: Dynamics,
    policies: Sequence[npt.ArrayLike],
    episodes: int,
    steps: int,
    rng: np.random.Generator,
) -> Iterator[Trajectories]:
    """Episodes of a joint policy, in batches of about a million steps.

    The episodes do not depend on where the batches are cut.
    """
    episodes, steps = checks.count(episodes, "episodes"), checks.count(steps, "steps")
    joint_policy = dynamics.check_policies(policies)
    matrix = dynamics.transitions
    odds = np.empty_like(matrix.data)
    for row in np.flatnonzero(np.diff(matrix.indptr) > 1):
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        odds[part] = cumulative(matrix.data[part])
    start = cumulative(dynamics.start)
    tables = np.hstack([cumulative(policy) for policy in joint_policy])
    offsets = np.concatenate([[0], np.cumsum(dynamics.actions)])
    size = max(1, BATCH_STEPS // steps)
    for first in range(0, episodes, size):
        number = min(size, episodes - first)
        batch = Trajectories(
            np.empty((number, steps + 1), dtype=np.int32), np.empty((number, steps), dtype=np.int32)
        )
        kernel.sample_trajectories(
            rng,
            start,
            matrix.indptr,
            matrix.indices,
            odds,
            tables,
            offsets,
            batch.states,
            batch.actions,
        )
        yield batch


def joined(batches: Sequence[Trajectories]) -> Trajectories:
    """All batches as one."""
    return Trajectories(
        np.concatenate([batch.states for batch in batches]),
        np.concatenate([batch.actions for batch in batches]),
    )


def cumulative(probabilities: FloatArray) -> FloatArray:
    """Cumulative sums along the last axis that end at exactly 1 with the last possible entry."""
    sums = probabilities.cumsum(axis=-1)
    return np.asarray(sums / sums[..., -1:])
