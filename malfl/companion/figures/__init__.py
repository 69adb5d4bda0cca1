"""The book's figures. Every function returns a Matplotlib figure and saves nothing."""

from malfl.companion.figures.boards import (
    episode_strip,
    game_board,
    lfl_board,
    policy_strip,
    reward_maps,
    reward_strips,
)
from malfl.companion.figures.carry import by_regime, coverage, promised_against_true
from malfl.companion.figures.lines import (
    both_sides,
    cost_curves,
    curves,
    learning_curves,
    line,
    over_alpha,
)
from malfl.companion.figures.points import (
    changes,
    ends_by_outcome,
    frontier,
    learned_against_exact,
    lfl_scores,
    readings,
    speed_bars,
    table_intervals,
    tightness,
    with_deviations,
)
from malfl.companion.figures.style import AGENT_COLOURS, MAP, set_style

__all__ = [
    "AGENT_COLOURS",
    "MAP",
    "both_sides",
    "by_regime",
    "changes",
    "cost_curves",
    "coverage",
    "curves",
    "ends_by_outcome",
    "episode_strip",
    "frontier",
    "game_board",
    "learned_against_exact",
    "learning_curves",
    "lfl_board",
    "lfl_scores",
    "line",
    "over_alpha",
    "policy_strip",
    "promised_against_true",
    "readings",
    "reward_maps",
    "reward_strips",
    "set_style",
    "speed_bars",
    "table_intervals",
    "tightness",
    "with_deviations",
]
