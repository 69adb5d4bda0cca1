"""Games played: episodes, counts of them, and what an observer may see."""

from malfl.play.episodes import Episode, Episodes
from malfl.play.misread import most_likely_states
from malfl.play.sampling import sample_counts, sample_episodes
from malfl.play.view import View

__all__ = [
    "Episode",
    "Episodes",
    "View",
    "most_likely_states",
    "sample_counts",
    "sample_episodes",
]
