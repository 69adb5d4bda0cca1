"""A recovered reward beside the true one, by several measures."""

from typing import Any, NamedTuple

import numpy as np

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.evaluation.distances import epic, starc
from malfl.evaluation.identified import identified_correlation, known_throughout
from malfl.evaluation.metrics import FLAT, Correlation, correlation, is_flat, pearson
from malfl.games.markov import MarkovGame
from malfl.recovery.reward import RecoveredReward

APART = 0.1  # of two correlations that tell different stories


class Comparison(NamedTuple):
    """How near a reward is to the true one; PCC, SCC and EPIC are called as in the papers."""

    #: Cosine between the parts that improvements can show; see
    #: `malfl.recovery.shown.identified_part`. NaN in games too large for it.
    identified: float
    STARC: float  #: distance that scale and shapings do not change, in [0, 1]
    EPIC: float  #: another
    PCC: float  #: Pearson's correlation over states
    SCC: float  #: Spearman's rank correlation over states
    #: Root mean square of the errors in posterior deviations, which should be 1; constants aside.
    calibration: float
    states: int  #: how many were compared
    converged: bool

    @property
    def remark(self) -> str:
        """Where a plain correlation misleads, why; empty where it does not."""
        if self.identified - self.PCC > APART:
            return (
                "PCC is lower than the correlation of the identified part: the rewards differ by "
                "a shaping, or in what no improvement shows"
            )
        if self.PCC - self.identified > APART:
            return (
                "PCC is higher than the correlation of the identified part: much of what the "
                "rewards share is nothing that an improvement could show"
            )
        return ""


@progress.interruptible
def compare(reward: RecoveredReward | None, game: MarkovGame, agent: int) -> Comparison:
    """Compare a recovered reward with that of an agent.

    Distances are while the others play uniformly. They and ``identified`` are NaN where a state's
    reward is unknown, and distances also where a reward is constant up to shaping. Nothing (None),
    a single number, and the same everywhere have correlations of 0. So have ``PCC`` and ``SCC``
    where one of the rewards, averaged over actions, is the same in all states, or there is only one
    state.
    """
    if reward is None:
        return Comparison(0.0, np.nan, np.nan, 0.0, 0.0, np.nan, 0, False)
    checks.instance(reward, RecoveredReward, "reward", "see malfl.recover")
    checks.instance(game, MarkovGame, "game", "with the true rewards")
    true = game.rewards[game.check_agent(agent)]
    known = reward.values[np.isfinite(reward.values)]
    if known.size < 2 or is_flat(known):
        states = int(np.isfinite(reward.over_states()).sum())
        return Comparison(0.0, np.nan, np.nan, 0.0, 0.0, np.nan, states, reward.converged)
    pcc, scc, states = _over_states(reward, true)
    shown, distances = np.nan, (np.nan, np.nan)
    if known_throughout(reward, game, agent):
        given = (np.nan_to_num(reward.values), true, game, game.uniform_policies(), agent)
        distances = _distances(*given)
        shown = _identified(reward, game, agent)
    calibration = _calibration(reward, true)
    return Comparison(shown, *distances, pcc, scc, calibration, states, reward.converged)


def _over_states(reward: RecoveredReward, true: FloatArray) -> Correlation:
    known = np.isfinite(reward.over_states())
    mean = true.reshape(len(true), -1).mean(axis=1)
    if mean.shape == known.shape:
        # Relative to the reward itself: means of what cancels out are rounding errors.
        both = (reward.values, reward.over_states()[known]), (true, mean[known])
        if known.sum() < 2 or any(
            np.ptp(over) <= FLAT * np.nanmax(np.abs(whole)) for whole, over in both
        ):
            return Correlation(0.0, 0.0, int(known.sum()))
    return correlation(reward, true)


def _distances(*given: Any) -> tuple[float, float]:  # noqa: ANN401
    try:
        return starc(*given), epic(*given)
    except ValueError:  # one of the rewards is constant up to shaping, and near to nothing
        return np.nan, np.nan


def _identified(reward: RecoveredReward, game: MarkovGame, agent: int) -> float:
    try:
        return identified_correlation(reward, game, agent)
    except ValueError:  # the game is too large for it
        return np.nan


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
