"""Policies at work: steps of many simulations, and the scores of whole episodes."""

import itertools
from typing import NamedTuple

import numpy as np

from malfl import checks, progress
from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.control.policy import Floats, Policy
from malfl.control.rollout import Rollout
from malfl.control.simulations import Simulations
from malfl.control.tasks import task_of


class Play(NamedTuple):
    """T steps of n simulations."""

    seen: Floats  # (T, n, observations), before each action
    actions: Floats  # (T, n, actions), as drawn
    after: Floats  # (T, n, observations), before a new episode begins
    rewards: FloatArray  # (T, n), the task's own
    ended: BoolArray  # (T, n)
    cut: BoolArray  # (T, n)
    returns: FloatArray  # of each episode that ended or was cut off, the task's own
    lengths: IntArray  # of these, in steps

    def rollout(self, number: int) -> Rollout:
        """What one simulation did."""
        ends = np.flatnonzero((self.ended | self.cut)[:-1, number])
        bounds = np.concatenate([[0], ends + 1, [len(self.actions)]])
        observations = [
            part
            for begin, end in itertools.pairwise(bounds)
            for part in (self.seen[begin:end, number], self.after[end - 1 : end, number])
        ]
        return Rollout(
            np.concatenate(observations), self.actions[:, number],
            np.diff(bounds), self.ended[bounds[1:] - 1, number],
        )  # fmt: skip


def play(simulations: Simulations, policy: Policy, steps: int, rng: np.random.Generator) -> Play:
    """Let a policy act for some steps; a new episode begins wherever one is over."""
    n, actions = simulations.number, len(policy.log_std)
    seen = simulations.seen()
    before = np.empty((steps, n, seen.shape[1]), np.float32)
    drawn, after = np.empty((steps, n, actions), np.float32), np.empty_like(before)
    rewards, ended, cut = (
        np.empty((steps, n)),
        np.empty((steps, n), bool),
        np.empty((steps, n), bool),
    )
    returns: list[float] = []
    lengths: list[int] = []
    for t in range(steps):
        before[t], drawn[t] = seen, policy.draw(seen, rng)
        step = simulations.step(drawn[t])
        after[t], rewards[t], ended[t], cut[t] = step
        seen, over = step.seen, np.flatnonzero(step.ended | step.cut)
        if over.size:
            returns += simulations.earned[over].tolist()
            lengths += simulations.steps[over].tolist()
            simulations.begin(over)
            seen = simulations.seen()
        progress.advance()
    return Play(
        before, drawn, after, rewards, ended, cut, np.array(returns), np.array(lengths, np.int64)
    )


class Score(NamedTuple):
    """What whole episodes earned, by the task's own reward."""

    returns: FloatArray  # (episodes,)
    lengths: IntArray  # (episodes,), in steps


@progress.interruptible
def score(
    policy: Policy, task: str, *, mean_action: bool = False, episodes: int = 32, seed: int = 0
) -> Score:
    """Let a policy act over whole episodes.

    Parameters
    ----------
    task
        One of ``malfl.control.TASKS``.
    mean_action
        Whether it does what it does on average, without noise.
    episodes
        At least 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these.
    """
    checks.instance(policy, Policy, "policy", "see malfl.control.learn")
    checks.boolean(mean_action, "mean_action")
    rng = checks.generator(seed)
    simulations = Simulations(task_of(task), checks.count(episodes, "episodes"), rng)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, dtype=np.int64)
    left = np.ones(episodes, dtype=bool)
    with progress.bar(simulations.task.longest):
        while left.any():
            seen = simulations.seen()
            step = simulations.step(policy.mean(seen) if mean_action else policy.draw(seen, rng))
            returns[left] += step.rewards[left]
            lengths[left] += 1
            left &= ~(step.ended | step.cut)
            progress.advance()
    return Score(returns, lengths)
