"""Rewards from improvements; one file per estimator."""

from malfl.recovery.from_policies import recover_from_policies
from malfl.recovery.recover import recover
from malfl.recovery.result import RecoveredReward

__all__ = ["RecoveredReward", "recover", "recover_from_policies"]
