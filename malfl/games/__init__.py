"""Markov games, the papers' grids, and exact soft values and improvements."""

from malfl.games import gridworlds, soft
from malfl.games.markov import Dynamics, MarkovGame, Policies

__all__ = ["Dynamics", "MarkovGame", "Policies", "gridworlds", "soft"]
