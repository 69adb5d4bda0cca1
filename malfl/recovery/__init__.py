"""Rewards from improvements; one file an estimator."""

from malfl.recovery.alone import AsIfAlone, as_if_alone
from malfl.recovery.auto import Auto
from malfl.recovery.by_consistency import ByConsistency, ConsistencyFit, Equations
from malfl.recovery.classes import Features, RewardSpace
from malfl.recovery.consistency import ConsistencySystem, consistency_system
from malfl.recovery.descent import Adam, MiniBatchAdam
from malfl.recovery.estimator import Estimator, Prepared
from malfl.recovery.evidence import EvidenceRidge
from malfl.recovery.forecast import Forecast, forecast, prediction_error
from malfl.recovery.from_policies import recover_from_policies
from malfl.recovery.last_policy import CausalEntropy, LastPolicy
from malfl.recovery.least_squares import LeastSquares
from malfl.recovery.limits import identified_error, limit_from_counts, limit_with_episodes
from malfl.recovery.logit import LogitFit
from malfl.recovery.named import DEFAULTS
from malfl.recovery.path import PathFit, PathLikelihood
from malfl.recovery.policies import (
    Descended,
    EntropyRegularised,
    MaximumLikelihood,
    PolicyFit,
    Smoothing,
    UniformWhereUnseen,
    estimate_policies,
)
from malfl.recovery.recover import recover
from malfl.recovery.recovery import Recovery
from malfl.recovery.replay import Replay
from malfl.recovery.reward import (
    Determination,
    Diagnostics,
    NoFit,
    NothingToLearnError,
    RecoveredReward,
    RewardClass,
)
from malfl.recovery.rules import WithEstimatedRules, estimate_rules
from malfl.recovery.sensitivity import Sensitivity, sensitivity
from malfl.recovery.structural import Structural
from malfl.recovery.targets import improvement_targets
from malfl.recovery.trust import Promise
from malfl.recovery.verdict import DoubtfulRewardWarning, Judgement, Verdict

__all__ = [
    "DEFAULTS",
    "Adam",
    "AsIfAlone",
    "Auto",
    "ByConsistency",
    "CausalEntropy",
    "ConsistencyFit",
    "ConsistencySystem",
    "Descended",
    "Determination",
    "Diagnostics",
    "DoubtfulRewardWarning",
    "EntropyRegularised",
    "Equations",
    "Estimator",
    "EvidenceRidge",
    "Features",
    "Forecast",
    "Judgement",
    "LastPolicy",
    "LeastSquares",
    "LogitFit",
    "MaximumLikelihood",
    "MiniBatchAdam",
    "NoFit",
    "NothingToLearnError",
    "PathFit",
    "PathLikelihood",
    "PolicyFit",
    "Prepared",
    "Promise",
    "RecoveredReward",
    "Recovery",
    "Replay",
    "RewardClass",
    "RewardSpace",
    "Sensitivity",
    "Smoothing",
    "Structural",
    "UniformWhereUnseen",
    "Verdict",
    "WithEstimatedRules",
    "as_if_alone",
    "consistency_system",
    "estimate_policies",
    "estimate_rules",
    "forecast",
    "identified_error",
    "improvement_targets",
    "limit_from_counts",
    "limit_with_episodes",
    "prediction_error",
    "recover",
    "recover_from_policies",
    "sensitivity",
]
