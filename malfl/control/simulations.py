"""Many simulations of a task at a time."""

from typing import NamedTuple

import mujoco
import numpy as np
from mujoco.batch import Batch

from malfl import checks
from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.control.policy import Floats
from malfl.control.tasks import Pose, Task


class Step(NamedTuple):
    """What came of one action of each of n simulations."""

    seen: FloatArray  # (n, observations), before a new episode begins
    rewards: FloatArray  # (n,), the task's own
    ended: BoolArray  # (n,), as the body fell
    cut: BoolArray  # (n,), as the episode has become too long


class Simulations:
    """Bodies that do a task, each in an episode of its own.

    Parameters
    ----------
    number
        How many, at least 1.
    rng
        For where episodes begin.

    Raises
    ------
    ValueError
        If ``number`` is below 1.
    """

    def __init__(self, task: Task, number: int, rng: np.random.Generator) -> None:
        self.task, self.number = task, checks.count(number, "number")
        self._rng, self._model = rng, task.model()
        self.seconds = float(self._model.opt.timestep * task.frames)  #: an action lasts
        self.bounds = self._model.actuator_ctrlrange.copy()  #: (actions, 2), of each action
        self._batch = Batch(self._model, number, nthread=1)
        names = ("qpos", "qvel", "ctrl", "xpos")
        self._qpos, self._qvel, self._ctrl, self._xpos = map(self._batch.bind, names)
        self.steps = np.zeros(number, dtype=np.int64)  #: of each episode so far
        self.earned = np.zeros(number)  #: by the task's own reward, in each so far
        self.begin(np.arange(number))

    def begin(self, some: IntArray) -> None:
        """Begin new episodes in some simulations."""
        if some.size:
            starts = [self.task.start(self._model, self._rng) for _ in some]
            self.put(some, *map(np.array, zip(*starts, strict=True)))

    def put(self, some: IntArray, qpos: FloatArray, qvel: FloatArray) -> None:
        """Begin episodes of some simulations there, (k, positions) and (k, velocities)."""
        self._batch.reset(some, stage=mujoco.mjtStage.mjSTAGE_NONE)
        self._qpos[some], self._qvel[some] = qpos, qvel
        self._batch.forward(some)
        self.steps[some], self.earned[some] = 0, 0.0

    def seen(self) -> FloatArray:
        """What is seen now, (n, observations)."""
        return self.task.observe(self.pose())

    def pose(self) -> Pose:
        """Where the bodies are now."""
        return Pose(self._qpos.copy(), self._qvel.copy(), self._xpos.copy())

    def step(self, actions: Floats) -> Step:
        """Do an action in each, (n, actions); within the bounds, where others are clipped."""
        before = self.pose()
        self._ctrl[:] = np.clip(actions, *self.bounds.T)
        self._batch.step(nstep=self.task.frames)
        self.steps += 1
        after = self.pose()
        ended = ~self.task.healthy(after)
        rewards = self.task.reward(before, after, self._ctrl.copy(), self.seconds)
        self.earned += rewards
        return Step(
            self.task.observe(after),
            rewards,
            ended,
            (self.steps >= self.task.longest) & ~ended,
        )
