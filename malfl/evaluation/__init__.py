"""How near a recovered reward is to the true one, and what can be known of it."""

from malfl.evaluation import distances, identifiability, metrics
from malfl.evaluation.compare import Comparison, compare
from malfl.evaluation.metrics import correlation, interval

__all__ = [
    "Comparison",
    "compare",
    "correlation",
    "distances",
    "identifiability",
    "interval",
    "metrics",
]
