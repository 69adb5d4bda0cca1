"""Markov games: the papers' grids, classics, and exact soft values and improvements."""

from malfl.games import classics, gridworlds, soft
from malfl.games.markov import Dynamics, MarkovGame, Policies

__all__ = ["Dynamics", "MarkovGame", "Policies", "classics", "gridworlds", "soft"]
