"""Rewards of bodies, as functions of (s, a, s')."""

from dataclasses import dataclass, replace
from typing import TypeVar

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from malfl import checks
from malfl.checks import FloatArray
from malfl.control.networks import outputs_of
from malfl.control.policy import FARTHEST, Floats, Policy
from malfl.control.rollout import RolloutView
from malfl.values import Value, freeze

LOW = 5  # percentile of what the learner earned that is lifted to zero


@dataclass(frozen=True, eq=False)
class LogDensity(Value):
    """Ln pi(a|s), the form of LfL's rewards (Section 5.4).

    It is highest at the mean action, and equally high there in all states.
    """

    policy: Policy
    shift: float = 0.0  #: added everywhere

    def __call__(self, before: Floats, actions: Floats, after: Floats) -> Floats:
        """Shape (n,)."""
        return self.policy.log_density(before, actions) + np.float32(self.shift)


@dataclass(frozen=True, eq=False)
class NetworkReward(Value):
    """The mean of networks of scaled observations and actions."""

    networks: tuple[tuple[tuple[Floats, Floats], ...], ...]
    center: Floats  #: (observations + actions,)
    spread: Floats  #: (observations + actions,)
    shift: float = 0.0  #: added everywhere

    def __post_init__(self) -> None:
        freeze(self.networks, self.center, self.spread)

    def __call__(self, before: Floats, actions: Floats, after: Floats) -> Floats:
        """Shape (n,)."""
        inputs = jnp.asarray(scaled(inputs_of(before, actions), self.center, self.spread))
        found = [outputs_of(layers, inputs)[..., 0] for layers in self.networks]
        return np.asarray(sum(found) / len(found)) + np.float32(self.shift)


@dataclass(frozen=True, eq=False)
class QuadraticReward(Value):
    """Linear in scaled observations and actions and in their products."""

    weights: FloatArray  #: of each, then of each product
    center: Floats  #: (observations + actions,)
    spread: Floats  #: (observations + actions,)
    shift: float = 0.0  #: added everywhere

    def __post_init__(self) -> None:
        freeze(self.weights, self.center, self.spread)

    def __call__(self, before: Floats, actions: Floats, after: Floats) -> Floats:
        """Shape (n,)."""
        terms = quadratic(scaled(inputs_of(before, actions), self.center, self.spread))
        return np.asarray(terms @ self.weights + self.shift, dtype=np.float32)


Lifted = TypeVar("Lifted", LogDensity, NetworkReward, QuadraticReward)


def lifted(reward: Lifted, view: RolloutView) -> Lifted:
    """The reward, shifted so that nearly all that the learner did earned more than nothing.

    How high a reward is matters where an episode can end: where all is negative, it is best to
    end it soon.

    Raises
    ------
    TypeError
        If ``reward`` or ``view`` is none.
    """
    if not isinstance(reward, LogDensity | NetworkReward | QuadraticReward):
        raise TypeError(f"reward must be a reward of a body, got {checks.shown(reward)}")
    checks.instance(view, RolloutView, "view", "see malfl.control.Run.seen")
    earned = [reward(r.before, r.actions.astype(np.float32), r.after) for r in view.rollouts]
    return replace(reward, shift=reward.shift - float(np.percentile(earned, LOW)))


def inputs_of(before: Floats, actions: npt.NDArray[np.floating]) -> Floats:
    """Observations and actions (n, both); all tasks clip actions at 1."""
    return np.hstack([before, np.clip(actions, -1, 1)]).astype(np.float32)


def scaled(inputs: Floats, center: Floats, spread: Floats) -> Floats:
    """In deviations from the center, clipped."""
    return np.asarray(np.clip((inputs - center) / spread, -FARTHEST, FARTHEST))


def quadratic(inputs: Floats) -> FloatArray:
    """Of (n, inputs), these and the products of each two of them, its own square included."""
    first, second = np.triu_indices(inputs.shape[1])
    return np.hstack([inputs, inputs[:, first] * inputs[:, second]]).astype(np.float64)
