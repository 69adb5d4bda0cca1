"""A log to begin with, made by a learner that is not malfl's."""

from importlib.resources import files
from pathlib import Path


def example_log() -> Path:
    """The path of a CSV: a mouse learns its way through 16 rooms, in 10 sessions of 100 trials.

    The how-to page "From a log to a reward" has the program that made it.
    """
    return Path(str(files("malfl.data") / "mouse.csv"))
