"""Markov games: the papers' grids, classics, and exact soft values and improvements."""

from malfl.games import classics, gridworlds, soft
from malfl.games.gymnasium import from_gymnasium
from malfl.games.markov import Dynamics, MarkovGame, Policies
from malfl.games.pettingzoo import Walked, from_pettingzoo

__all__ = [
    "Dynamics",
    "MarkovGame",
    "Policies",
    "Walked",
    "classics",
    "from_gymnasium",
    "from_pettingzoo",
    "gridworlds",
    "soft",
]
