"""Learning by PPO, from the task's own reward or from one that was recovered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from malfl import checks, progress
from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.control import ppo
from malfl.control.networks import HIDDEN, log_density, outputs_of, random_layers
from malfl.control.play import Play, play
from malfl.control.policy import FARTHEST, Floats, Policy
from malfl.control.ppo import Networks, Transitions
from malfl.control.rollout import Rollout, RolloutView
from malfl.control.simulations import Simulations
from malfl.control.tasks import task_of
from malfl.values import Value, freeze, set_fields

SIMULATIONS, STEPS = 32, 2048  # of each, between two updates; LfL, Section 6.3
WARM_UP = 128  # steps of random actions, by which a beginner learns what it may see
LEAST = 1e-8  # variance

Reward = Callable[[Floats, Floats, Floats], Floats]
"""(n,), by what was seen before (n, observations), actions (n, actions), and what was seen then."""


@dataclass(frozen=True, eq=False)
class Run(Value):
    """What happened while an agent learned: K policies, each an update after the one before.

    Raises
    ------
    TypeError, ValueError
        If parts disagree.
    """

    task: str  #: by its name
    seed: int
    returns: FloatArray  #: (K,), means by the task's own reward; NaN where no episode was over
    lengths: FloatArray  #: (K,), mean steps of these episodes
    rewards: FloatArray  #: (K, T), the task's own along the rollouts
    policies: tuple[Policy, ...]  #: K
    rollouts: tuple[Rollout, ...]  #: K, of the first simulation

    def __post_init__(self) -> None:
        task_of(self.task)
        number = len(self.policies)
        for name in ("returns", "lengths", "rewards", "rollouts"):
            if len(getattr(self, name)) != number:
                raise ValueError(f"{name} must have an entry for each of {number} policies")
        freeze(self.returns, self.lengths, self.rewards)
        set_fields(self, policies=tuple(self.policies), rollouts=tuple(self.rollouts))

    def seen(self, updates: Sequence[int] | None = None) -> RolloutView:
        """What an observer sees: the rollouts after these updates, by default after each.

        Raises
        ------
        ValueError
            If there is no such update, or fewer than two.
        """
        chosen = range(len(self.rollouts)) if updates is None else updates
        found = [checks.index(k, "updates", len(self.rollouts)) for k in chosen]
        return RolloutView(self.task, tuple(found), tuple(self.rollouts[k] for k in found))


class Scale(NamedTuple):
    """Mean and variance of all that was seen so far."""

    number: float
    mean: FloatArray
    variance: FloatArray

    def after(self, more: Floats) -> "Scale":
        """Of this and more, (n, ...)."""
        number, mean, variance = len(more), more.mean(axis=0), more.var(axis=0)
        total, off = self.number + number, mean - self.mean
        spread = self.variance * self.number + variance * number
        return Scale(
            total,
            self.mean + off * number / total,
            (spread + off**2 * self.number * number / total) / total,
        )


@progress.interruptible
def learn(
    task: str,
    updates: int,
    *,
    seed: int = 0,
    reward: Reward | None = None,
    start: Policy | None = None,
    simulations: int = SIMULATIONS,
    steps: int = STEPS,
) -> Run:
    """Let an agent learn by proximal policy optimisation (LfL, Sections 6.2 and 6.3).

    Parameters
    ----------
    task
        One of ``malfl.control.TASKS``.
    updates
        Of the policy, at least 1; as many policies and one more act.
    reward
        What it learns from, by default the task's own.
    start
        The policy it begins with, which goes on to see in its own scale. By default a beginner,
        which scales what it sees by all that it has seen.
    simulations, steps
        How many at a time, and steps of each between two updates; together a multiple of 32.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these, or ``reward`` returns what is no finite number.
    """
    checks.count(updates, "updates")
    size = checks.count(simulations, "simulations") * checks.count(steps, "steps")
    if size % ppo.BATCHES:
        raise ValueError(
            f"simulations * steps must be a multiple of {ppo.BATCHES}, got {simulations} * {steps}"
        )
    if start is not None:
        checks.instance(start, Policy, "start", "see malfl.control.learn")
    if reward is not None and not callable(reward):
        raise TypeError(f"reward must be a function, got {checks.shown(reward)}")
    rng = np.random.default_rng(checks.count(seed, "seed", 0))
    bodies = Simulations(task_of(task), simulations, rng)
    learner = _Learner(bodies, start, reward, rng)
    policies, plays, rewards = [], [], []
    with progress.bar((updates + 1) * steps):
        for update in range(updates + 1):
            played = play(bodies, learner.policy, steps, rng)
            policies.append(learner.policy)
            rewards.append(played.rewards[:, 0])
            plays.append((_mean(played.returns), _mean(played.lengths), played.rollout(0)))
            if update < updates:
                learner.update(played)
    returns, lengths, rollouts = zip(*plays, strict=True)
    return Run(
        task, seed, np.array(returns), np.array(lengths), np.array(rewards),
        tuple(policies), rollouts,
    )  # fmt: skip


def _mean(values: FloatArray | IntArray) -> float:
    return float(values.mean()) if values.size else np.nan


class _Learner:
    """Networks, their optimiser, and the scales of what is seen and earned."""

    def __init__(
        self,
        bodies: Simulations,
        start: Policy | None,
        reward: Reward | None,
        rng: np.random.Generator,
    ) -> None:
        self.reward = reward
        self.key = jax.random.key(int(rng.integers(2**31)))
        self.seen: Scale | None = None
        if start is None:
            self.seen = _warmed_up(bodies, rng)
            start = Policy.beginner(*_scale(self.seen), len(bodies.bounds), rng)
        self.policy = start
        value = random_layers(rng, (len(start.center), *HIDDEN, 1), 1.0)
        self.networks = Networks(start.gaussian(), value)
        self.state = ppo.OPTIMISER.init(self.networks)
        self.earned = Scale(1e-4, np.zeros(()), np.ones(()))
        self.flow = np.zeros(bodies.number)  # discounted rewards so far

    def update(self, played: Play) -> None:
        """Learn from what was played."""
        rewards = self.scaled(self._rewards(played), played.ended | played.cut)
        seen, after = (self.policy.scaled(part) for part in (played.seen, played.after))
        values, then = (outputs_of(self.networks.value, part)[..., 0] for part in (seen, after))
        advantages = ppo.advantages_of(rewards, values, then, played.ended, played.cut)
        logs = log_density(self.networks.policy, seen, played.actions)
        parts = (seen, played.actions, logs, advantages, advantages + values)
        data = Transitions(*(jnp.asarray(p).reshape(rewards.size, *p.shape[2:]) for p in parts))
        self.key, own = jax.random.split(self.key)
        self.networks, self.state = ppo.updated(self.networks, self.state, data, own)
        center, spread = self.policy.center, self.policy.spread
        if self.seen is not None:
            self.seen = self.seen.after(played.after.reshape(-1, len(center)))
            center, spread = _scale(self.seen)
        self.policy = Policy.of(self.networks.policy, center, spread)

    def _rewards(self, played: Play) -> FloatArray:
        if self.reward is None:
            return played.rewards
        shape, (before, actions, after) = played.rewards.shape, played[:3]
        flat = (part.reshape(-1, part.shape[2]) for part in (before, actions, after))
        found = checks.finite(self.reward(*flat), "reward(...)")
        if found.shape != (played.rewards.size,):
            raise ValueError(
                f"reward(...) must be a number for each of {played.rewards.size} steps, "
                f"got shape {found.shape}"
            )
        return found.reshape(shape)

    def scaled(self, rewards: FloatArray, over: BoolArray) -> Floats:
        """Rewards by the deviation of discounted returns so far, clipped."""
        flows = np.empty_like(rewards)
        for t, (now, ends) in enumerate(zip(rewards, over, strict=True)):
            self.flow = self.flow * ppo.GAMMA + now
            flows[t] = self.flow
            self.flow[ends] = 0.0
        self.earned = self.earned.after(flows.ravel())
        shown = rewards / np.sqrt(self.earned.variance + LEAST)
        return np.clip(shown, -FARTHEST, FARTHEST).astype(np.float32)


def _warmed_up(bodies: Simulations, rng: np.random.Generator) -> Scale:
    """What random actions let it see."""
    size = bodies.seen().shape[1]
    plain = Policy.beginner(np.zeros(size), np.ones(size), len(bodies.bounds), rng)
    seen = play(bodies, plain, WARM_UP, rng).after.reshape(-1, size)
    return Scale(1e-4, np.zeros(size), np.ones(size)).after(seen)


def _scale(seen: Scale) -> tuple[Floats, Floats]:
    spread = np.sqrt(seen.variance + LEAST)
    return seen.mean.astype(np.float32), spread.astype(np.float32)
