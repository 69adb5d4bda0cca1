"""LfL's Algorithm 1 with networks (Sections 5 and 6.3)."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from malfl import checks, progress
from malfl.control.clones import beginner, pooled_clones, separate_clones
from malfl.control.fit import fitted
from malfl.control.networks import (
    Gaussian,
    Layers,
    divergence,
    log_density,
    outputs_of,
    random_layers,
)
from malfl.control.observed import Observed, observed
from malfl.control.policy import Policy
from malfl.control.rewards import LogDensity
from malfl.control.rollout import RolloutView

UNITS = 128  # of the hidden layer that divergences share, and that of shapings
DIVERGENCE_STEPS, FIRST_STEPS, CONSISTENCY_STEPS = 100, 3000, 1000
RELEASED_BATCH = 100  # rows of each rollout at a step, where the paper has all


@dataclass(frozen=True)
class LfL:
    """A reward ln pi(a|s) that is consistent with all improvements, up to a shaping of each.

    Parameters
    ----------
    policies
        "separate" networks for each rollout, as printed, or "pooled" ones, with exact divergences.
    released
        Do as the released program does: its policies share one storage, so that every target is
        alpha ln pi_K with no divergence, and a step of Adam looks at 100 rows of each rollout.
    alpha
        Of the soft policy improvements it takes the learner's for; above zero.
    gamma
        Below 1.

    Raises
    ------
    TypeError, ValueError
        If a parameter is none of these.
    """

    policies: Literal["separate", "pooled"] = "separate"
    released: bool = False
    alpha: float = 0.7
    gamma: float = 0.99

    def __post_init__(self) -> None:
        checks.choice(self.policies, "policies", ("separate", "pooled"))
        checks.boolean(self.released, "released")
        checks.positive(self.alpha, "alpha")
        checks.discount(self.gamma)

    @progress.interruptible
    def reward(self, view: RolloutView, seed: int = 0) -> LogDensity:
        """The reward of the learner in a view."""
        data, center, spread = observed(view)
        rng = np.random.default_rng(checks.count(seed, "seed", 0))
        key = jax.random.key(seed)
        pooled = self.policies == "pooled"
        fit = pooled_clones if pooled else separate_clones
        clones = [policy.gaussian() for policy in fit(view, seed)]
        if self.released:
            clones = [clones[-1]] * len(clones)
        targets = self._targets(data, clones, rng, key)
        first = clones[-1] if pooled else self._first(data, rng, key)
        shapings = random_layers(rng, (data.before.shape[2], UNITS, len(clones) - 1), 0.01)
        task = Consistency(
            data.before[:-1], data.actions[:-1], data.after[:-1], targets, self.gamma
        )
        loss = _inconsistent_in_some if self.released else inconsistent
        found = fitted(loss, Sought(first, shapings), task, CONSISTENCY_STEPS, key)
        return LogDensity(Policy.of(found.reward, center, spread))

    def _targets(
        self, data: Observed, clones: list[Gaussian], rng: np.random.Generator, key: jax.Array
    ) -> jax.Array:
        """Alpha ln pi_k+1(a|s) + alpha gamma KL(s'), (K - 1, T)."""
        steps = list(zip(data.before, data.actions, data.after, strict=True))[:-1]
        logs = [log_density(one, s, a) for one, (s, a, _) in zip(clones[1:], steps, strict=True)]
        if self.policies == "pooled" or self.released:
            far = [
                divergence(one, other, then)
                for one, other, (_, _, then) in zip(clones, clones[1:], steps, strict=False)
            ]
        else:
            far = self._divergences(data, clones, rng, key)
        return self.alpha * (jnp.stack(logs) + self.gamma * jnp.stack(far))

    def _divergences(
        self, data: Observed, clones: list[Gaussian], rng: np.random.Generator, key: jax.Array
    ) -> list[jax.Array]:
        """As networks say that were fitted to ln pi_k - ln pi_k+1 (lines 4 to 6)."""
        start = random_layers(rng, (data.before.shape[2], UNITS, len(clones) - 1), 0.01)
        gaps = [
            log_density(one, s, a) - log_density(other, s, a)
            for one, other, s, a in zip(clones, clones[1:], data.before, data.actions, strict=False)
        ]
        found = fitted(_far_off, start, (data.before[:-1], jnp.stack(gaps)), DIVERGENCE_STEPS, key)
        return list(_own(found, data.after[:-1]))

    def _first(self, data: Observed, rng: np.random.Generator, key: jax.Array) -> Gaussian:
        """The likeliest policy of the last rollout (lines 7 to 9)."""
        start = beginner(rng, data.before.shape[2], data.actions.shape[2])
        return fitted(unlikely, start, (data.before[-1], data.actions[-1]), FIRST_STEPS, key)


class Sought(NamedTuple):
    """What the consistency of rewards is sought over: ln pi, and a shaping for each improvement."""

    reward: Gaussian
    shapings: Layers


class Consistency(NamedTuple):
    """Steps of K - 1 improvements, T of each, and the rewards they say."""

    before: jax.Array
    actions: jax.Array
    after: jax.Array
    targets: jax.Array
    gamma: float


def _own(layers: Layers, seen: jax.Array) -> jax.Array:
    """Of outputs for each improvement, its own: (K - 1, T)."""
    said = outputs_of(layers, seen)
    return jnp.moveaxis(jnp.diagonal(said, axis1=0, axis2=2), -1, 0)


def unlikely(policy: Gaussian, data: tuple[jax.Array, jax.Array], key: jax.Array) -> jax.Array:
    """Less the mean of ln pi(a|s)."""
    return -log_density(policy, *data).mean()


def _far_off(layers: Layers, data: tuple[jax.Array, jax.Array], key: jax.Array) -> jax.Array:
    """Squared errors of divergences (Section 5.2)."""
    return ((_own(layers, data[0]) - data[1]) ** 2).mean(axis=1).sum()


def inconsistent(sought: Sought, data: Consistency, key: jax.Array) -> jax.Array:
    """Eq. (5)."""
    says = log_density(sought.reward, data.before, data.actions)
    shaping = _own(sought.shapings, data.before) - data.gamma * _own(sought.shapings, data.after)
    return ((data.targets - says - shaping) ** 2).mean(axis=1).sum()


def _inconsistent_in_some(sought: Sought, data: Consistency, key: jax.Array) -> jax.Array:
    """Eq. (5) of some steps."""
    rows = jax.random.randint(key, (RELEASED_BATCH,), 0, data.targets.shape[1])
    before, actions, after, targets = (part[:, rows] for part in data[:4])
    return inconsistent(sought, Consistency(before, actions, after, targets, data.gamma), key)
