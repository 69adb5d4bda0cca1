"""What one simulation did between two updates."""

from dataclasses import dataclass

import numpy as np

from malfl import checks
from malfl.checks import BoolArray, FloatArray
from malfl.values import Value, freeze, set_fields


@dataclass(frozen=True, eq=False)
class Rollout(Value):
    """T steps of one simulation, which may go over several episodes.

    Raises
    ------
    ValueError
        If a shape disagrees, or a number is not finite.
    """

    seen: FloatArray  #: (T, observations), before each action
    actions: FloatArray  #: (T, actions), as drawn, before they are clipped
    after: FloatArray  #: (T, observations), after each action, before a new episode began
    rewards: FloatArray  #: (T,), the task's own, which an observer does not see
    ended: BoolArray  #: (T,), whether the episode ended there
    cut: BoolArray  #: (T,), or was cut off

    def __post_init__(self) -> None:
        steps = len(self.seen)
        for name in ("seen", "actions", "after", "rewards"):
            given = checks.finite(getattr(self, name), name).astype(np.float32)
            if len(given) != steps:
                raise ValueError(f"{name} must have {steps} steps as seen has, got {len(given)}")
            freeze(given)
            set_fields(self, **{name: given})
        for name in ("ended", "cut"):
            freeze(checks.truths(getattr(self, name), name, (steps,)))
