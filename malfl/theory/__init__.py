"""Predicted improvements, bounds, random games, and the papers' statements as checks."""

from malfl.theory import bounds, certificates, statements
from malfl.theory.certificates import certified_prediction_error, certified_reward_error
from malfl.theory.prediction import Prediction
from malfl.theory.random_games import GAMMAS, random_predictions

__all__ = [
    "GAMMAS",
    "Prediction",
    "bounds",
    "certificates",
    "certified_prediction_error",
    "certified_reward_error",
    "random_predictions",
    "statements",
]
