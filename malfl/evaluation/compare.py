"""A recovered reward beside the true one, by several measures."""

from typing import NamedTuple

import numpy as np

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.evaluation.distances import epic, starc
from malfl.evaluation.metrics import correlation, is_flat, pearson
from malfl.games.markov import MarkovGame
from malfl.recovery.reward import RecoveredReward


class Comparison(NamedTuple):
    """How near a reward is to the true one; its first fields are called as in the papers."""

    PCC: float  #: Pearson's correlation over states
    SCC: float  #: Spearman's rank correlation over states
    EPIC: float  #: distance that scale and shapings do not change, in [0, 1]
    STARC: float  #: another
    #: Root mean square of the errors in posterior deviations, which should be 1; constants aside.
    calibration: float
    states: int  #: how many were compared
    converged: bool


@progress.interruptible
def compare(reward: RecoveredReward | None, game: MarkovGame, agent: int) -> Comparison:
    """Compare a recovered reward with that of an agent.

    Distances are while the others play uniformly, and NaN where a state's reward is unknown.
    Nothing (None), the reward of a single state, and the same everywhere have a correlation of 0.
    """
    if reward is None:
        return Comparison(0.0, 0.0, np.nan, np.nan, np.nan, 0, False)
    checks.instance(reward, RecoveredReward, "reward", "see malfl.recover")
    checks.instance(game, MarkovGame, "game", "with the true rewards")
    true = game.rewards[game.check_agent(agent)]
    over_states = reward.over_states()
    known = over_states[np.isfinite(over_states)]
    if known.size < 2 or is_flat(known):
        return Comparison(0.0, 0.0, np.nan, np.nan, np.nan, known.size, reward.converged)
    pcc, scc, states = correlation(reward, true)
    distances = (np.nan, np.nan)
    if np.isfinite(reward.values).all():
        given = (reward.values, true, game, game.uniform_policies(), agent)
        distances = epic(*given), starc(*given)
    return Comparison(pcc, scc, *distances, _calibration(reward, true), states, reward.converged)


def pearson_of(reward: FloatArray, game: MarkovGame, agent: int) -> float:
    """Correlation of a reward of the state with the agent's, where known; 0 if one is flat."""
    known = np.isfinite(reward)
    both = reward[known], game.rewards[agent][known]
    if known.sum() < 2 or any(map(is_flat, both)):
        return 0.0
    return pearson(*both)


def _calibration(found: RecoveredReward, true: FloatArray) -> float:
    if found.deviation is None or true.shape != found.values.shape:
        return np.nan
    known = np.isfinite(found.values)
    error = (found.values - true)[known]
    return float(np.sqrt(np.mean(((error - error.mean()) / found.deviation[known]) ** 2)))
