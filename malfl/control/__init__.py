"""LfL with bodies (Section 6.2): tasks, learners, and what is recovered of a learner with a body.

Comes with ``pip install 'malfl[control]'``. A run keeps to one thread; runs with different seeds
belong into processes of their own.
"""

from malfl.control import one_thread  # noqa: F401, before anything uses JAX
from malfl.control.clones import pooled_clones, separate_clones
from malfl.control.learn import Run, learn
from malfl.control.lfl import LfL
from malfl.control.motion import Motion
from malfl.control.play import Score, score
from malfl.control.policy import Policy
from malfl.control.rewards import LogDensity, NetworkReward, QuadraticReward, lifted
from malfl.control.rollout import Rollout, RolloutView
from malfl.control.tasks import TASKS, Task
from malfl.control.trex import TRex

__all__ = [
    "TASKS",
    "LfL",
    "LogDensity",
    "Motion",
    "NetworkReward",
    "Policy",
    "QuadraticReward",
    "Rollout",
    "RolloutView",
    "Run",
    "Score",
    "TRex",
    "Task",
    "learn",
    "lifted",
    "pooled_clones",
    "score",
    "separate_clones",
]
