"""What an observer sees, as arrays that networks are fitted to."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from malfl import checks
from malfl.control.policy import FARTHEST, Floats
from malfl.control.rollout import RolloutView


class Observed(NamedTuple):
    """The T steps of each of K rollouts, observations in the observer's scale."""

    before: jax.Array  # (K, T, observations)
    actions: jax.Array  # (K, T, actions)
    after: jax.Array  # (K, T, observations)


def observed(view: RolloutView) -> tuple[Observed, Floats, Floats]:
    """The steps, and the center and the spread (observations,) of what is seen in all of them."""
    checks.instance(view, RolloutView, "view", "see malfl.control.Run.seen")
    before, actions, after = (
        np.stack([getattr(rollout, part) for rollout in view.rollouts]).astype(np.float32)
        for part in Observed._fields
    )
    center, spread = before.mean(axis=(0, 1)), before.std(axis=(0, 1)) + 1e-4
    scaled = [
        jnp.asarray(np.clip((part - center) / spread, -FARTHEST, FARTHEST))
        for part in (before, after)
    ]
    return Observed(scaled[0], jnp.asarray(actions), scaled[1]), center, spread
