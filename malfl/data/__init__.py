"""Data from elsewhere: tables of what happened."""

from malfl.data.play_log import PlayLog
from malfl.data.read_log import DoubtfulLogWarning, read_log

__all__ = ["DoubtfulLogWarning", "PlayLog", "read_log"]
