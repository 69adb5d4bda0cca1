"""Policies of a learner, by the likelihood of what it did."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from malfl import checks, progress
from malfl.control.fit import fitted
from malfl.control.networks import (
    HIDDEN,
    Gaussian,
    Layer,
    Layers,
    log_density,
    outputs_of,
    random_layers,
)
from malfl.control.observed import Observed, observed
from malfl.control.policy import Policy
from malfl.control.rollout import RolloutView

STEPS = 1000  # of Adam; LfL, Section 6.3
ENTROPY = 0.01  # lambda of LfL, Section 5.2; it says no number
POOLED_STEPS, SHARE = 1500, 256  # of Adam, and rows of each rollout in each of them


def beginner(rng: np.random.Generator, seen: int, actions: int) -> Gaussian:
    """A policy as PPO begins."""
    return Gaussian(random_layers(rng, (seen, *HIDDEN, actions), 0.01), jnp.zeros(actions))


@progress.interruptible
def separate_clones(view: RolloutView, seed: int = 0) -> tuple[Policy, ...]:
    """A network for each rollout, as LfL prints it (Algorithm 1, lines 1 to 3).

    Returns
    -------
    tuple of Policy
        One for each of the K rollouts.

    Raises
    ------
    TypeError, ValueError
        If ``view`` is none, or ``seed`` is no whole number of at least 0.
    """
    rng = np.random.default_rng(checks.count(seed, "seed", 0))
    data, center, spread = observed(view)
    k, _, seen = data.before.shape
    each = [beginner(rng, seen, data.actions.shape[2]) for _ in range(k)]
    start = jax.tree.map(lambda *parts: jnp.stack(parts), *each)
    found = fitted(_unlikely, start, data, STEPS, jax.random.key(seed))
    each = [jax.tree.map(lambda part, k=k: part[k], found) for k in range(k)]
    return tuple(Policy.of(one, center, spread) for one in each)


def _unlikely(policies: Gaussian, data: Observed, key: jax.Array) -> jax.Array:
    """Less the likelihood, and less the entropies; of all policies."""
    logs = jax.vmap(log_density)(policies, data.before, data.actions)
    return -logs.mean(axis=1).sum() - ENTROPY * policies.log_std.sum()


class Family(NamedTuple):
    """Policies whose means move on a line: of policy k, shared layers and (1 - t) one + t other."""

    shared: Layers
    ends: tuple[Layer, Layer]


@progress.interruptible
def pooled_clones(view: RolloutView, seed: int = 0) -> tuple[Policy, ...]:
    """Policies N(mu(s) + t_k B(s), sigma_k), by all rollouts together, t from 0 to 1.

    One network has the outputs mu and B. Each rollout has deviations of its own, those that are
    likeliest. So every rollout says what all policies have in common.

    Returns
    -------
    tuple of Policy
        One for each of the K rollouts.

    Raises
    ------
    TypeError, ValueError
        If ``view`` is none, or ``seed`` is no whole number of at least 0.
    """
    rng = np.random.default_rng(checks.count(seed, "seed", 0))
    data, center, spread = observed(view)
    sizes = (data.before.shape[2], *HIDDEN, data.actions.shape[2])
    *shared, last = random_layers(rng, sizes, 0.01)
    start = Family(tuple(shared), (last, last))
    family = fitted(_spread_out, start, data, POOLED_STEPS, jax.random.key(seed))
    log_std = 0.5 * jnp.log(_squares(family, data))
    return tuple(
        Policy.of(Gaussian((*family.shared, _last(family, t)), log_std[k]), center, spread)
        for k, t in enumerate(_times(len(log_std)))
    )


def _times(number: int) -> jax.Array:
    return jnp.linspace(0, 1, number)


def _last(family: Family, t: jax.Array) -> Layer:
    one, other = family.ends
    return ((1 - t) * one[0] + t * other[0], (1 - t) * one[1] + t * other[1])


def _squares(family: Family, data: Observed) -> jax.Array:
    """Mean squares (K, actions) of what actions are off."""

    def off(t: jax.Array, before: jax.Array, actions: jax.Array) -> jax.Array:
        return ((actions - outputs_of((*family.shared, _last(family, t)), before)) ** 2).mean(
            axis=0
        )

    return jax.vmap(off)(_times(len(data.before)), data.before, data.actions)


def _spread_out(family: Family, data: Observed, key: jax.Array) -> jax.Array:
    """Less the likelihood of some rows of each rollout, with the likeliest deviations."""
    rows = jax.random.randint(key, (SHARE,), 0, data.before.shape[1])
    some = jax.tree.map(lambda part: part[:, rows], data)
    return 0.5 * jnp.log(_squares(family, some)).sum()
