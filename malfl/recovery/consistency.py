"""The consistency of all improvements with one reward (MA-LfL, Eq. 12), as a linear system.

For every improvement h, state s and own action a^i,

    E_{pi_{h-1}^-i}[R(s, a)] + g_h(s) - gamma E_{pi_{h-1}^-i}[g_h(s')] = Y_h(s, a^i).

The expectations are those of Theorem 5.1, taken in closed form. Two other readings of Eq. 12 are
systems of the same kind: `malfl.recovery.printed` and `malfl.recovery.released`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import block_diag, csr_array, eye_array, kron, vstack

from malfl import checks
from malfl.checks import FloatArray, IntArray
from malfl.games.markov import Dynamics
from malfl.games.soft import expectation_over_opponents
from malfl.recovery.reward import REWARD_CLASSES, RewardClass
from malfl.recovery.targets import improvement_targets
from malfl.values import Value, freeze

GRADIENT_TOLERANCE = 1e-6  # relative to the gradient at zero


@dataclass(frozen=True, eq=False)
class ConsistencySystem(Value):
    """Equations for a reward and its shapings, one for each (h, s, a^i) that was determined."""

    reward: csr_array  #: (M, number of reward entries)
    shaping: csr_array  #: (M, H * S)
    targets: FloatArray  #: (M,)
    weights: FloatArray  #: (M,)
    improvement: IntArray  #: (M,), h - 1 of each equation
    shape: tuple[int, ...]  #: of the reward
    states: int

    def __post_init__(self) -> None:
        freeze(*vars(self).values())

    @property
    def touched(self) -> npt.NDArray[np.bool_]:
        """Which entries of the reward occur in an equation of positive weight."""
        return np.asarray(abs(self.reward).T @ self.weights) > 0


class Fit(NamedTuple):
    """A solution of a consistency system, and where the search for it stopped."""

    reward: FloatArray  #: flat
    shapings: FloatArray  #: (H * S,)
    steps: int
    loss: float  #: weighted sum of squared residuals
    gradient: float  #: its norm relative to that at zero
    converged: bool


def consistency_system(
    dynamics: Dynamics,
    policies: Sequence[FloatArray],
    agent: int,
    alpha: float,
    reward_class: RewardClass,
    weights: FloatArray | None = None,
) -> ConsistencySystem:
    """Set up the equations of Eq. 12 for the reward of ``agent``.

    Parameters
    ----------
    policies
        pi_0..pi_H of every agent, one (H + 1, S, A_i) array each, NaN where unknown.
    reward_class
        ``"state"``: R(s). ``"state-action"``: R(s, a^i). ``"joint-action"``: R(s, a).
    weights
        Of the equations (h, s, a^i), shape (H, S, A_i), 0 or more; all 1 by default.
    """
    checks.choice(reward_class, "reward_class", REWARD_CLASSES)
    targets = improvement_targets(dynamics, policies, agent, alpha)
    improvements, states, own = targets.shape
    weights = np.ones_like(targets) if weights is None else checks.numbers(weights, "weights")
    if weights.shape != targets.shape:
        raise ValueError(f"weights must have shape {targets.shape}, got {weights.shape}")
    bad = ~(weights >= 0) | np.isinf(weights)
    if bad.any():
        where = checks.first(bad)
        raise ValueError(f"weights{list(where)} is {weights[where]:g}; it must be 0 or more")
    own_state = csr_array(kron(eye_array(states), np.ones((own, 1))))
    reward_rows, shaping_rows = [], []
    histories = checks.histories(policies, "policies", dynamics.n_states, dynamics.actions)
    for h in range(improvements):
        before = [policy[h] for policy in histories]
        expect = expectation_over_opponents(dynamics, before, agent)
        shaping_rows.append(own_state - dynamics.gamma * (expect @ dynamics.transitions))
        if reward_class == "state":
            reward_rows.append(own_state)
        elif reward_class == "state-action":
            reward_rows.append(eye_array(states * own, format="csr"))
        else:
            reward_rows.append(expect)
    known = np.isfinite(targets.ravel()) & (weights.ravel() > 0)
    return ConsistencySystem(
        reward=csr_array(vstack(reward_rows, format="csr"))[known],
        shaping=csr_array(block_diag(shaping_rows, format="csr"))[known],
        targets=targets.ravel()[known],
        weights=weights.ravel()[known],
        improvement=np.repeat(np.arange(improvements), states * own)[known],
        shape=reward_shape(dynamics, agent, reward_class),
        states=states,
    )


def reward_shape(dynamics: Dynamics, agent: int, reward_class: RewardClass) -> tuple[int, ...]:
    """Shape of a reward of ``agent``."""
    return {
        "state": (dynamics.n_states,),
        "state-action": (dynamics.n_states, dynamics.actions[agent]),
        "joint-action": (dynamics.n_states, dynamics.n_joint_actions),
    }[checks.choice(reward_class, "reward_class", REWARD_CLASSES)]


def finish(system: ConsistencySystem, reward: FloatArray, shapings: FloatArray, steps: int) -> Fit:
    """Say where a fit stopped: converged means a gradient a million times below that at zero."""

    def gradient(residual: FloatArray) -> float:
        slope = system.weights * residual
        return float(np.linalg.norm(np.concatenate([part.T @ slope for part in parts])))

    parts = (system.reward, system.shaping)
    residual = system.reward @ reward + system.shaping @ shapings - system.targets
    start = gradient(system.targets)
    left = gradient(residual) / start if start > 0 else 0.0
    loss = float((system.weights * residual**2).sum())
    return Fit(reward, shapings, steps, loss, left, left <= GRADIENT_TOLERANCE)
