"""Markov games: the papers' grids, classics, and exact soft values and improvements."""

from malfl.games import classics, gridworlds, soft
from malfl.games.gymnasium import from_gymnasium
from malfl.games.markov import Dynamics, MarkovGame, Policies

__all__ = ["Dynamics", "MarkovGame", "Policies", "classics", "from_gymnasium", "gridworlds", "soft"]
