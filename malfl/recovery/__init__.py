"""Rewards from improvements; one file per estimator."""

from malfl.recovery.recover import RecoveredReward, recover, recover_from_policies

__all__ = ["RecoveredReward", "recover", "recover_from_policies"]
