"""An agent with a body: its networks, and the scales in which they see observations and rewards."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from malfl.checks import FloatArray
from malfl.control.networks import HIDDEN, Gaussian, random_layers
from malfl.control.ppo import Networks

FARTHEST = 10.0  # deviations, beyond which observations and rewards are clipped
LEAST = 1e-8  # variance


class Scale(NamedTuple):
    """Mean and variance of all that was seen so far."""

    number: float
    mean: FloatArray
    variance: FloatArray

    @classmethod
    def unknown(cls, shape: tuple[int, ...]) -> "Scale":
        """Before anything was seen."""
        return cls(1e-4, np.zeros(shape), np.ones(shape))

    def after(self, more: FloatArray) -> "Scale":
        """Of this and more, (n, ...)."""
        number, mean, variance = len(more), more.mean(axis=0), more.var(axis=0)
        total, off = self.number + number, mean - self.mean
        spread = self.variance * self.number + variance * number
        return Scale(
            total,
            self.mean + off * number / total,
            (spread + off**2 * self.number * number / total) / total,
        )

    def scaled(self, values: FloatArray) -> FloatArray:
        """In deviations from the mean, clipped."""
        off = (values - self.mean) / np.sqrt(self.variance + LEAST)
        return np.clip(off, -FARTHEST, FARTHEST)


class Agent(NamedTuple):
    """What it has learned, and in which scale it sees."""

    networks: Networks
    seen: Scale

    @classmethod
    def beginner(cls, observations: int, actions: int, rng: np.random.Generator) -> "Agent":
        """As PPO begins."""
        policy = Gaussian(
            random_layers(rng, (observations, *HIDDEN, actions), 0.01), jnp.zeros(actions)
        )
        value = random_layers(rng, (observations, *HIDDEN, 1), 1.0)
        return cls(Networks(policy, value), Scale.unknown((observations,)))


class Actor:
    """A policy in NumPy, which is faster for a few states at a time."""

    def __init__(self, policy: Gaussian) -> None:
        self._layers = [(np.asarray(w), np.asarray(b)) for w, b in policy.layers]
        self.std = np.exp(np.asarray(policy.log_std))  #: (actions,)

    def mean(self, seen: FloatArray) -> FloatArray:
        """What it does on average, (n, actions), by scaled observations."""
        *hidden, (weights, bias) = self._layers
        for within, shift in hidden:
            seen = np.tanh(seen @ within + shift)
        return seen @ weights + bias

    def draw(self, seen: FloatArray, rng: np.random.Generator) -> FloatArray:
        """What it does, (n, actions)."""
        mean = self.mean(seen)
        return mean + self.std * rng.standard_normal(mean.shape, dtype=np.float32)
