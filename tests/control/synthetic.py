"""Rollouts of learners that are known exactly: one observation, one action, no body."""

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from malfl.control.rollout import Rollout, RolloutView


def one_step_view(means, stds, rng, steps=2048):
    """Episodes of one step: observations are normal, actions normal around means(s)."""
    rollouts = []
    for mean, std in zip(means, stds, strict=True):
        seen = rng.normal(size=(steps, 2, 1))
        actions = mean(seen[:, 0]) + std * rng.normal(size=(steps, 1))
        rollouts.append(
            Rollout(seen.reshape(-1, 1), actions, np.ones(steps, int), np.ones(steps, bool))
        )
    return RolloutView("Reacher", tuple(range(len(rollouts))), tuple(rollouts))


def gradient_is_right(loss, start, data, rng):
    """Against differences, in double precision."""
    flat, back = ravel_pytree(start)
    key = jax.random.key(0)
    slopes, _ = ravel_pytree(jax.grad(loss)(start, data, key))
    for direction in rng.normal(size=(3, len(flat))):
        step = 1e-6 * direction
        rise = (loss(back(flat + step), data, key) - loss(back(flat - step), data, key)) / 2e-6
        assert float(rise) == pytest.approx(float(slopes @ direction), rel=1e-4, abs=1e-7)
