"""The tasks of LfL, Section 6.2: what is seen of a body, what it earns, and when it has fallen.

Observations, rewards, ends and starts are those of Gymnasium's environments of version 5; of Ant,
those without contact forces.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

import mujoco
import numpy as np

from malfl import checks
from malfl.checks import BoolArray, FloatArray

ASSETS = "envs/mujoco/assets"  # in Gymnasium
TORSO, FINGERTIP, TARGET = 1, 3, 4  # numbers of bodies of Ant's, and of Reacher's model


@dataclass(frozen=True)
class Pose:
    """Where n simulated bodies are, and how they move."""

    qpos: FloatArray  #: (n, positions)
    qvel: FloatArray  #: (n, velocities)
    xpos: FloatArray  #: (n, parts, 3), as they were computed last, before the last small step


Start = Callable[[mujoco.MjModel, np.random.Generator], tuple[FloatArray, FloatArray]]
"""Positions and velocities at which an episode begins."""


@dataclass(frozen=True)
class Task:
    """A body and what it is to do."""

    name: str  #: as Gymnasium calls it, without the version
    file: str  #: of the body's model, as Gymnasium has it
    frames: int  #: small steps of the simulation with the same action
    longest: int  #: actions after which an episode is cut off
    observe: Callable[[Pose], FloatArray]  #: (n, observations)
    reward: Callable[[Pose, Pose, FloatArray, float], FloatArray]
    """(n,), by the poses before and after, the actions and the seconds between."""
    healthy: Callable[[Pose], BoolArray]  #: (n,); an episode ends where it is not
    start: Start

    def model(self) -> mujoco.MjModel:
        """The body's model."""
        mujoco.set_mju_user_warning(_unheard)
        try:
            return mujoco.MjModel.from_xml_path(str(files("gymnasium") / ASSETS / self.file))
        finally:
            mujoco.set_mju_user_warning(None)


def _unheard(warning: str) -> None:
    """Models of Gymnasium's say how heavy a body is in a way that MuJoCo will no longer read."""


def task_of(name: str) -> Task:
    """The task of a name; raises ValueError for an unknown one."""
    checks.choice(name, "task", tuple(TASKS))
    return TASKS[name]


def _effort(actions: FloatArray) -> FloatArray:
    return np.asarray(np.square(actions).sum(axis=1))


def _velocity(before: Pose, after: Pose, seconds: float) -> FloatArray:
    return np.asarray((after.qpos[:, 0] - before.qpos[:, 0]) / seconds)


def _never_falls(pose: Pose) -> BoolArray:
    return np.ones(len(pose.qpos), dtype=bool)


def _all_but(hidden: int, fastest: float = np.inf) -> Callable[[Pose], FloatArray]:
    """Positions but for the first, and velocities, clipped."""

    def observe(pose: Pose) -> FloatArray:
        return np.hstack([pose.qpos[:, hidden:], np.clip(pose.qvel, -fastest, fastest)])

    return observe


def _near_rest(noise: float, *, normal: bool) -> Start:
    """Uniform noise of positions; that of velocities is normal or uniform."""

    def start(model: mujoco.MjModel, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        qpos = model.qpos0 + rng.uniform(-noise, noise, size=model.nq)
        if normal:
            return qpos, noise * rng.standard_normal(model.nv)
        return qpos, rng.uniform(-noise, noise, size=model.nv)

    return start


def _reacher_sees(pose: Pose) -> FloatArray:
    angles = pose.qpos[:, :2]
    off = (pose.xpos[:, FINGERTIP] - pose.xpos[:, TARGET])[:, :2]
    return np.hstack([np.cos(angles), np.sin(angles), pose.qpos[:, 2:], pose.qvel[:, :2], off])


def _reacher_earns(before: Pose, after: Pose, actions: FloatArray, seconds: float) -> FloatArray:
    off = after.xpos[:, FINGERTIP] - after.xpos[:, TARGET]
    return np.asarray(-np.linalg.norm(off, axis=1) - _effort(actions))


def _reacher_begins(
    model: mujoco.MjModel, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """With the target somewhere within reach."""
    qpos = model.qpos0 + rng.uniform(-0.1, 0.1, size=model.nq)
    target = rng.uniform(-0.2, 0.2, size=2)
    while np.linalg.norm(target) >= 0.2:
        target = rng.uniform(-0.2, 0.2, size=2)
    qvel = rng.uniform(-0.005, 0.005, size=model.nv)
    qpos[-2:], qvel[-2:] = target, 0.0
    return qpos, qvel


def _cheetah_earns(before: Pose, after: Pose, actions: FloatArray, seconds: float) -> FloatArray:
    return _velocity(before, after, seconds) - 0.1 * _effort(actions)


def _hopper_stands(pose: Pose) -> BoolArray:
    rest = np.hstack([pose.qpos[:, 2:], pose.qvel])
    upright = (pose.qpos[:, 1] > 0.7) & (np.abs(pose.qpos[:, 2]) < 0.2)
    return np.asarray(upright & (np.abs(rest) < 100).all(axis=1))


def _hopper_earns(before: Pose, after: Pose, actions: FloatArray, seconds: float) -> FloatArray:
    return _velocity(before, after, seconds) + _hopper_stands(after) - 1e-3 * _effort(actions)


def _ant_stands(pose: Pose) -> BoolArray:
    height = pose.qpos[:, 2]
    known = np.isfinite(np.hstack([pose.qpos, pose.qvel])).all(axis=1)
    return np.asarray(known & (height >= 0.2) & (height <= 1.0))


def _ant_earns(before: Pose, after: Pose, actions: FloatArray, seconds: float) -> FloatArray:
    velocity = (after.xpos[:, TORSO, 0] - before.xpos[:, TORSO, 0]) / seconds
    return np.asarray(velocity + _ant_stands(after) - 0.5 * _effort(actions))


TASKS = {
    task.name: task
    for task in [
        Task(
            "Reacher", "reacher.xml", 2, 50,
            _reacher_sees, _reacher_earns, _never_falls, _reacher_begins,
        ),
        Task(
            "HalfCheetah", "half_cheetah.xml", 5, 1000,
            _all_but(1), _cheetah_earns, _never_falls, _near_rest(0.1, normal=True),
        ),
        Task(
            "Hopper", "hopper.xml", 4, 1000,
            _all_but(1, 10.0), _hopper_earns, _hopper_stands, _near_rest(5e-3, normal=False),
        ),
        Task(
            "Ant", "ant.xml", 5, 1000,
            _all_but(2), _ant_earns, _ant_stands, _near_rest(0.1, normal=True),
        ),
    ]
}  # fmt: skip
