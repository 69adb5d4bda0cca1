"""What one simulation did between two updates, and what an observer sees of a learner."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from malfl import checks
from malfl.checks import BoolArray, IntArray
from malfl.control.policy import Floats
from malfl.values import Value, freeze, set_fields

HALF = np.float16  # what is seen has 11 bits, which takes half the space on record


@dataclass(frozen=True, eq=False)
class Rollout(Value):
    """T steps of one simulation, which may go over E episodes.

    Raises
    ------
    ValueError
        If a shape disagrees, or a number is not finite or beyond 65 504.
    """

    observations: Floats  #: (T + E, observations), one more than steps an episode
    actions: Floats  #: (T, actions), as drawn, before they are clipped
    lengths: IntArray  #: (E,), steps of each episode, at least 1
    ended: BoolArray  #: (E,), whether the body fell there; False where the episode was cut off

    def __post_init__(self) -> None:
        lengths = checks.whole(self.lengths, "lengths")
        ended = checks.truths(self.ended, "ended", lengths.shape)
        if not lengths.size or lengths.min() < 1:
            raise ValueError("lengths must hold at least one number, each at least 1")
        steps = int(lengths.sum())
        for name, rows in (("observations", steps + len(lengths)), ("actions", steps)):
            with np.errstate(over="ignore"):
                given = checks.finite(getattr(self, name), name).astype(HALF)
            if given.ndim != 2 or len(given) != rows:
                raise ValueError(
                    f"{name} must have {rows} rows for episodes of {steps} steps in all, "
                    f"got shape {given.shape}"
                )
            if not np.isfinite(given).all():
                raise ValueError(f"{name} must lie within 65504 of zero")
            freeze(given)
            set_fields(self, **{name: given})
        freeze(lengths, ended)
        set_fields(self, lengths=lengths, ended=ended)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.actions)

    @property
    def before(self) -> Floats:
        """What was seen before each action, (T, observations)."""
        return np.delete(self.observations, self._lasts(), axis=0).astype(np.float32)

    @property
    def after(self) -> Floats:
        """What was seen after each action, (T, observations)."""
        firsts = np.concatenate([[0], self._lasts()[:-1] + 1])
        return np.delete(self.observations, firsts, axis=0).astype(np.float32)

    @property
    def fell(self) -> BoolArray:
        """Whether the body fell after each action, (T,)."""
        fell = np.zeros(self.steps, dtype=bool)
        fell[np.cumsum(self.lengths) - 1] = self.ended
        return fell

    @property
    def broke_off(self) -> BoolArray:
        """Whether an episode ended or was cut off after each action, (T,)."""
        ends = np.zeros(self.steps, dtype=bool)
        ends[np.cumsum(self.lengths) - 1] = True
        return ends

    def _lasts(self) -> IntArray:
        return np.cumsum(self.lengths + 1) - 1


@dataclass(frozen=True, eq=False)
class RolloutView(Value):
    """What an observer sees of a learner: one rollout of each of its policies, and no rewards.

    Raises
    ------
    TypeError, ValueError
        If there are no two rollouts, or they are not of the same body.
    """

    task: str  #: which the learner does, by its name
    updates: tuple[int, ...]  #: K, after which each policy came, ascending
    rollouts: tuple[Rollout, ...]  #: K, in their order

    def __post_init__(self) -> None:
        checks.sequence(self.rollouts, "rollouts", "one rollout for each policy")
        for k, rollout in enumerate(self.rollouts):
            checks.instance(rollout, Rollout, f"rollouts[{k}]", "see malfl.control.learn")
        if len(self.rollouts) < 2:
            raise ValueError(f"rollouts must be at least 2, got {len(self.rollouts)}")
        shapes = {(r.observations.shape[1], r.actions.shape[1]) for r in self.rollouts}
        if len(shapes) > 1:
            raise ValueError(
                f"rollouts must have as many observations and actions each, got {sorted(shapes)}"
            )
        if len({rollout.steps for rollout in self.rollouts}) > 1:
            raise ValueError("rollouts must have as many steps each")
        updates = tuple(checks.count(k, "updates", 0) for k in self.updates)
        if len(updates) != len(self.rollouts) or any(b <= a for a, b in pairwise(updates)):
            raise ValueError(f"updates must ascend, one for each rollout, got {updates}")
        set_fields(self, rollouts=tuple(self.rollouts), updates=updates)

    def at(self, updates: Sequence[int]) -> "RolloutView":
        """Of these updates only.

        Raises
        ------
        ValueError
            If one is not among `updates`, or there are fewer than two.
        """
        missing = [k for k in updates if k not in self.updates]
        if missing:
            raise ValueError(f"updates must be among {self.updates}, got {missing[0]}")
        found = [self.rollouts[self.updates.index(k)] for k in updates]
        return RolloutView(self.task, tuple(updates), tuple(found))
