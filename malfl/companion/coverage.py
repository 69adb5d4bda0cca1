"""Whether the errors of a recovered reward are as large as its posterior says."""

import numpy as np
from numpy.linalg import eigh, inv
from scipy.stats import norm

from malfl.checks import FloatArray
from malfl.evaluation.identified import narrowed
from malfl.games.markov import Dynamics, MarkovGame
from malfl.recovery.classes import earned_by_code
from malfl.recovery.logit import LogitFit
from malfl.recovery.path import PathFit
from malfl.recovery.reward import RANK_TOLERANCE, REWARD_CLASSES, RecoveredReward, RewardClass
from malfl.recovery.shown import shown_directions
from malfl.recovery.trust import DETERMINED

LEVELS = (50, 80, 95)  # of intervals, in %


def in_class(game: MarkovGame, agent: int, reward_class: RewardClass) -> FloatArray:
    """What improvements show of an agent's reward, in a class: (S,), (S, A_i) or (S, A).

    A class that does not hold the reward may hold one that is the same up to a shaping: it is the
    one whose identified part is nearest.
    """
    _, own = narrowed(game.rewards[agent], game, agent)
    wide = max(own, reward_class, key=REWARD_CLASSES.index)
    shown = shown_directions(game.without_rewards(), agent, wide)
    entry = earned_by_code(game, agent, reward_class)
    codes = np.unique(earned_by_code(game, agent, wide), return_index=True)[1]  # one an entry
    true = game.joint_reward(agent).ravel()[codes]
    widening = np.eye(entry.max() + 1)[entry[codes]]
    nearest = np.linalg.lstsq(shown.T @ widening, shown.T @ true, rcond=RANK_TOLERANCE)[0]
    return np.asarray(nearest if reward_class == "state" else nearest.reshape(game.n_states, -1))


def covariance_of(found: RecoveredReward) -> tuple[FloatArray, float] | None:
    """Of a reward's posterior, (K, K), and the variance of its prior; None if it has none."""
    fit = found.diagnostics
    if not isinstance(fit, LogitFit | PathFit):
        return None
    prior = fit.evidence.prior
    covariance = inv(fit.information + np.eye(found.values.size) / prior)
    wider = float(np.fmax(fit.misfit, 1.0)) if isinstance(fit, PathFit) else 1.0
    return np.asarray(wider * covariance), prior


def calibration(
    found: RecoveredReward,
    truth: FloatArray,
    covariance: FloatArray,
    prior: float,
    dynamics: Dynamics,
    agent: int,
) -> dict[str, float]:
    """How often intervals hold the truth, along the directions that the data determine.

    These are the axes of the posterior of what improvements show, turned so that the reward found
    is positive.

    Parameters
    ----------
    truth
        Of the shape of ``found.values``.
    covariance, prior
        Of `covariance_of`.

    Returns
    -------
    dict
        ``below_95`` is the share of directions whose true value is below the lower end of the 95 %
        interval, ``above_95`` of those above its upper end. ``z`` is the root mean square of errors
        in posterior deviations. ``determined`` of ``shown`` directions were looked at; with none of
        them there is nothing else.
    """
    shown = shown_directions(dynamics, agent, found.reward_class)
    spread, axes = eigh(shown.T @ covariance @ shown)
    sharp = spread < DETERMINED * prior
    row: dict[str, float] = {"shown": len(spread), "determined": int(sharp.sum())}
    if not sharp.any():
        return row
    axes = shown @ axes[:, sharp]
    mine, true = axes.T @ found.values.ravel(), axes.T @ truth.ravel()
    z = np.where(mine < 0, -1.0, 1.0) * (true - mine) / np.sqrt(spread[sharp])
    row["z"] = float(np.sqrt(np.mean(z**2)))
    for level in LEVELS:
        end = float(norm.ppf(0.5 + level / 200))
        row[f"below_{level}"] = float((z < -end).mean())
        row[f"above_{level}"] = float((z > end).mean())
    return row
