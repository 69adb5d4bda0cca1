"""Policies and values as small networks."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

HIDDEN = (64, 64)  # units, as in PPO's experiments

Array = jax.Array | npt.NDArray[Any]
Layer = tuple[Array, Array]
Layers = tuple[Layer, ...]
"""Weights (inputs, outputs) and biases of each layer; tanh units between them."""


class Gaussian(NamedTuple):
    """A policy: normal actions around what a network says, with the same deviations everywhere."""

    layers: Layers
    log_std: jax.Array  # (actions,)


def random_layers(rng: np.random.Generator, sizes: tuple[int, ...], last: float) -> Layers:
    """Orthogonal weights, those of the last layer of size ``last``, others sqrt(2); no biases."""
    layers = []
    for k, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        q, r = np.linalg.qr(rng.normal(size=(max(inputs, outputs), min(inputs, outputs))))
        q = q * np.sign(np.diag(r))
        size = last if k == len(sizes) - 2 else np.sqrt(2)
        weights = size * (q if inputs >= outputs else q.T)
        layers.append((jnp.asarray(weights, jnp.float32), jnp.zeros(outputs, jnp.float32)))
    return tuple(layers)


def outputs_of(layers: Layers, inputs: Array) -> jax.Array:
    """What a network says of inputs (..., inputs), shape (..., outputs)."""
    *hidden, (weights, bias) = layers
    inputs = jnp.asarray(inputs)
    for within, shift in hidden:
        inputs = jnp.tanh(inputs @ within + shift)
    return inputs @ weights + bias


def log_density(policy: Gaussian, seen: Array, actions: Array) -> jax.Array:
    """Ln pi(a|s) of actions (..., actions), shape (...)."""
    off = (actions - outputs_of(policy.layers, seen)) * jnp.exp(-policy.log_std)
    constant = policy.log_std.sum() + 0.5 * actions.shape[-1] * jnp.log(2 * jnp.pi)
    return -0.5 * (off**2).sum(axis=-1) - constant


def divergence(one: Gaussian, other: Gaussian, seen: Array) -> jax.Array:
    """KL(one || other) in each state, shape (...)."""
    off = outputs_of(one.layers, seen) - outputs_of(other.layers, seen)
    ratio = jnp.exp(2 * (one.log_std - other.log_std))
    terms = other.log_std - one.log_std + 0.5 * (ratio + (off / jnp.exp(other.log_std)) ** 2 - 1)
    return terms.sum(axis=-1)
