"""How agents learn; one file a learner."""

from malfl.learners.learn import learn, learn_all, train
from malfl.learners.learner import (
    Improvement,
    Iteration,
    Learner,
    Learning,
    soft_improvement,
)
from malfl.learners.log import LearningLog, Training
from malfl.learners.q_learning import QLearning
from malfl.learners.random_improvements import RandomImprovements
from malfl.learners.soft_policy_iteration import SoftPolicyIteration, iterate_exactly
from malfl.learners.soft_value_iteration import SoftValueIteration

__all__ = [
    "Improvement",
    "Iteration",
    "Learner",
    "Learning",
    "LearningLog",
    "QLearning",
    "RandomImprovements",
    "SoftPolicyIteration",
    "SoftValueIteration",
    "Training",
    "iterate_exactly",
    "learn",
    "learn_all",
    "soft_improvement",
    "train",
]
