"""Rewards by the order in which a learner did things (T-REX, Brown et al. 2019)."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from malfl import checks, progress
from malfl.checks import IntArray
from malfl.control.fit import fitted
from malfl.control.networks import HIDDEN, Layers, outputs_of, random_layers
from malfl.control.rewards import NetworkReward, inputs_of, scaled
from malfl.control.rollout import Rollout, RolloutView

PAIRS = 64  # of stretches that a step of Adam compares
BEGINS = 4096  # first steps of stretches that are drawn from each rollout
SIZE = 1e-3  # share of the loss of squared rewards


@dataclass(frozen=True)
class TRex:
    """A reward by which later rollouts earn more than earlier ones.

    Networks are fitted to pairs of stretches of two rollouts: that of the later one is preferred
    with probability exp(R') / (exp(R) + exp(R')), by what each earns in all. A stretch ends early
    where the body falls, so that it is told what staying upright earns.

    Parameters
    ----------
    length
        Of a stretch, in steps.
    steps
        Of Adam.
    networks
        Whose mean is the reward.
    """

    length: int = 25
    steps: int = 1000
    networks: int = 3

    def __post_init__(self) -> None:
        for name in ("length", "steps", "networks"):
            checks.count(getattr(self, name), name)

    @progress.interruptible
    def reward(self, view: RolloutView, seed: int = 0) -> NetworkReward:
        """The reward of the learner in a view."""
        checks.instance(view, RolloutView, "view", "see malfl.control.Run.seen")
        rng = np.random.default_rng(checks.count(seed, "seed", 0))
        key = jax.random.key(seed)
        inputs = np.stack([inputs_of(r.before, r.actions) for r in view.rollouts])
        center, spread = inputs.mean(axis=(0, 1)), inputs.std(axis=(0, 1)) + 1e-4
        shown = jnp.asarray(scaled(inputs, center, spread))
        begins = [self._begins(k, rollout, rng) for k, rollout in enumerate(view.rollouts)]
        lasts = [np.repeat(np.cumsum(r.lengths) - 1, r.lengths) for r in view.rollouts]
        stretch = jnp.arange(self.length)
        data = Ranked(shown, jnp.asarray(np.stack(begins)), jnp.asarray(np.stack(lasts)), stretch)
        found = []
        for number in range(self.networks):
            start = random_layers(rng, (shown.shape[2], *HIDDEN, 1), 0.1)
            end = fitted(_unlike, start, data, self.steps, jax.random.fold_in(key, number))
            found.append(tuple((np.asarray(w), np.asarray(b)) for w, b in end))
        return NetworkReward(tuple(found), center, spread)

    def _begins(self, number: int, rollout: Rollout, rng: np.random.Generator) -> IntArray:
        """Some steps at which a stretch begins that is whole, or ends where the body falls."""
        left = np.concatenate([np.arange(n, 0, -1) for n in rollout.lengths])
        falls = np.repeat(rollout.ended, rollout.lengths)
        allowed = np.flatnonzero(falls | (left >= self.length))
        if not allowed.size:
            raise ValueError(
                f"length must be at most {left.max()}, the steps of the longest episode of "
                f"rollout {number}, got {self.length}"
            )
        return rng.choice(allowed, BEGINS)


class Ranked(NamedTuple):
    """What pairs of stretches are drawn from."""

    inputs: jax.Array  # (K, T, inputs)
    begins: jax.Array  # (K, BEGINS), first steps of stretches
    lasts: jax.Array  # (K, T), the last step of the episode of each step
    stretch: jax.Array  # 0, ..., length - 1


def _unlike(layers: Layers, data: Ranked, key: jax.Array) -> jax.Array:
    """Less the likelihood of the order of some pairs of stretches."""
    k, t = data.inputs.shape[:2]
    first, second, begins = jax.random.split(key, 3)
    earlier = jax.random.randint(first, (PAIRS,), 0, k - 1)
    later = (
        earlier
        + 1
        + jnp.floor(jax.random.uniform(second, (PAIRS,)) * (k - 1 - earlier)).astype(int)
    )
    which = jnp.stack([earlier, later])
    begin = data.begins[which, jax.random.randint(begins, which.shape, 0, BEGINS)][..., None]
    rows = begin + data.stretch
    there = rows <= data.lasts[which[..., None], begin]
    rows = jnp.minimum(rows, t - 1)
    rewards = outputs_of(layers, data.inputs[which[..., None], rows])[..., 0] * there
    ahead = rewards[1].sum(axis=1) - rewards[0].sum(axis=1)
    return jax.nn.softplus(-ahead).mean() + SIZE * (rewards**2).mean()
