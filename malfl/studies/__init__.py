"""Many runs: agents learn, others watch, rewards are recovered and compared."""

from malfl.studies.store import Store
from malfl.studies.study import (
    NO_CHANGE,
    Recovered,
    Study,
    errors_of_forecast,
    misread_alpha,
    recovered,
    rewards,
    trained_and_recovered,
)

__all__ = [
    "NO_CHANGE",
    "Recovered",
    "Store",
    "Study",
    "errors_of_forecast",
    "misread_alpha",
    "recovered",
    "rewards",
    "trained_and_recovered",
]
