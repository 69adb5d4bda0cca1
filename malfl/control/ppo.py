"""Proximal policy optimisation (Schulman et al. 2017), with the settings of its experiments.

LfL, Section 6.3, keeps these and has 32 simulations at a time.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from malfl.control.networks import Gaussian, Layers, log_density, outputs_of

EPOCHS, BATCHES = 10, 32  # of an update, and in each of these
CLIP = 0.2  # of the ratio of probabilities
GAMMA, LAMBDA = 0.99, 0.95
RATE, STEEPEST = 3e-4, 0.5  # of Adam, and the longest gradient
VALUE_SHARE = 0.5  # of the loss
OPTIMISER = optax.chain(optax.clip_by_global_norm(STEEPEST), optax.adam(RATE, eps=1e-5))


class Networks(NamedTuple):
    """What is learned."""

    policy: Gaussian
    value: Layers


class Transitions(NamedTuple):
    """What an update learns from, N steps."""

    seen: jax.Array  # (N, observations), normalised
    actions: jax.Array  # (N, actions)
    logs: jax.Array  # (N,), of the policy that acted
    advantages: jax.Array  # (N,)
    returns: jax.Array  # (N,)


def loss(networks: Networks, some: Transitions) -> jax.Array:
    """The clipped surrogate (Eq. 7 there), and the squared error of values."""
    ratio = jnp.exp(log_density(networks.policy, some.seen, some.actions) - some.logs)
    gain = (some.advantages - some.advantages.mean()) / (some.advantages.std() + 1e-8)
    clipped = jnp.clip(ratio, 1 - CLIP, 1 + CLIP)
    off = outputs_of(networks.value, some.seen)[..., 0] - some.returns
    return VALUE_SHARE * (off**2).mean() - jnp.minimum(ratio * gain, clipped * gain).mean()


@jax.jit
def updated(
    networks: Networks, state: optax.OptState, data: Transitions, key: jax.Array
) -> tuple[Networks, optax.OptState]:
    """Networks and the optimiser's state after one update."""

    def step(
        carry: tuple[Networks, optax.OptState], rows: jax.Array
    ) -> tuple[tuple[Networks, optax.OptState], None]:
        now, inner = carry
        slopes = jax.grad(loss)(now, jax.tree.map(lambda part: part[rows], data))
        change, inner = OPTIMISER.update(slopes, inner, now)
        return (optax.apply_updates(now, change), inner), None

    def epoch(
        carry: tuple[Networks, optax.OptState], own: jax.Array
    ) -> tuple[tuple[Networks, optax.OptState], None]:
        rows = jax.random.permutation(own, len(data.logs)).reshape(BATCHES, -1)
        return jax.lax.scan(step, carry, rows)

    (networks, state), _ = jax.lax.scan(epoch, (networks, state), jax.random.split(key, EPOCHS))
    return networks, state


@jax.jit
def advantages_of(
    rewards: jax.Array, values: jax.Array, after: jax.Array, ended: jax.Array, cut: jax.Array
) -> jax.Array:
    """Generalised advantages (T, n) of steps of n simulations.

    ``after`` are values of what was seen after each step, before a new episode began. Nothing
    follows where an episode ended; where it was cut off, its value does.
    """
    surprise = rewards + GAMMA * jnp.where(ended, 0.0, after) - values
    onward = ~(ended | cut)

    def back(carry: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        own, goes_on = now
        carry = own + GAMMA * LAMBDA * jnp.where(goes_on, carry, 0.0)
        return carry, carry

    first = jnp.zeros(rewards.shape[1], rewards.dtype)
    return jax.lax.scan(back, first, (surprise, onward), reverse=True)[1]
