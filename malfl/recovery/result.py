"""What a recovery hands out."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from malfl.checks import FloatArray, IntArray
from malfl.recovery.diagnostics import Convergence, Determination, Evidence, RewardClass


@dataclass(frozen=True, eq=False)
class RecoveredReward:
    """An agent's reward as recovered, up to what its class leaves open.

    Entries that no equation touches, because too little was seen, are NaN.
    """

    values: FloatArray  #: (S,), (S, A_i) or (S, A)
    reward_class: RewardClass
    convergence: Convergence
    determine: Callable[[], Determination] = field(repr=False)
    shapings: FloatArray | None = None  #: (H, S), g_h of Section 5.2, where the method has them
    #: Like values, posterior standard deviations; the mean put aside.
    deviation: FloatArray | None = None
    evidence: Evidence | None = None  #: where variances were chosen by it
    #: The deviance for each degree of freedom, where a whole course of learning was fitted. It is 1
    #: or less if the agent learns that way. Far above, the reward explains little of what was seen.
    misfit: float | None = None
    learner: str | None = None  #: how the agent was taken to learn
    beta: float | None = None  #: step size of the learner that was replayed
    unvisited: IntArray | None = None  #: (k, 2), pairs (iteration, state) without data, if data

    @property
    def determination(self) -> Determination:
        """How well the data determine the reward; a decomposition, made when asked for.

        Raises
        ------
        ValueError
            If the game is too large for one; ``convergence`` is always known.
        """
        return self.determine()

    def over_states(self) -> FloatArray:
        """The reward averaged uniformly over actions, as the paper compares it, shape (S,).

        NaN where one of the averaged entries is.
        """
        return self.values if self.values.ndim == 1 else np.asarray(self.values.mean(axis=1))
