"""Learning reward functions by watching agents learn.

A running companion to *Multi-Agent Learning from Learners* (ICML 2023) and *Learning from a
Learner* (ICML 2019).
"""

from malfl import gridworlds
from malfl.estimation import estimate_policies
from malfl.games import Dynamics, MarkovGame
from malfl.learners.learn import learn, learn_all
from malfl.logs import LearningLog, Observation
from malfl.metrics import correlation
from malfl.recovery import RecoveredReward, recover
from malfl.sampling import sample_counts, sample_trajectories

__all__ = [
    "Dynamics",
    "LearningLog",
    "MarkovGame",
    "Observation",
    "RecoveredReward",
    "correlation",
    "estimate_policies",
    "gridworlds",
    "learn",
    "learn_all",
    "recover",
    "sample_counts",
    "sample_trajectories",
]
