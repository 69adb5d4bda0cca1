"""Data from elsewhere: tables of what happened."""

from malfl.data.examples import example_log
from malfl.data.play_log import PlayLog
from malfl.data.read_log import DoubtfulLogWarning, read_log
from malfl.data.recorder import Recorder, record
from malfl.data.reward_table import reward_table

__all__ = [
    "DoubtfulLogWarning",
    "PlayLog",
    "Recorder",
    "example_log",
    "read_log",
    "record",
    "reward_table",
]
