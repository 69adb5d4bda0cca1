"""How far recovery carries: one run in a random or a classic game, and how good its results are.

A run is a job that any process can do again from its regime and seed. It returns a flat row for
each recovery of agent 0's reward, as another agent sees it.
"""

import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.linalg import eigh, inv
from scipy.stats import norm

from malfl.checks import FloatArray
from malfl.companion.regimes import REGIMES, Drawn, Regime, Wrong, draw
from malfl.evaluation.compare import compare
from malfl.games.markov import MarkovGame
from malfl.learners.learn import train
from malfl.play.episodes import Episodes
from malfl.play.view import View
from malfl.recovery.auto import Auto, LikeliestFit, brief
from malfl.recovery.estimator import Estimator
from malfl.recovery.logit import LogitFit
from malfl.recovery.path import PathFit
from malfl.recovery.recover import recover
from malfl.recovery.replay import Replay
from malfl.recovery.reward import NothingToLearnError, RecoveredReward, RewardClass
from malfl.recovery.shown import shown_directions
from malfl.recovery.structural import Structural
from malfl.recovery.trust import DETERMINED
from malfl.recovery.verdict import DoubtfulRewardWarning

OBSERVED = 0  # agent whose reward is recovered
TOO_LARGE = 4  # times as large as it is: a wrong step size
LOST, MISREAD = 0.5, 0.01  # shares of steps and of states
LEVELS = (50, 80, 95)  # of intervals, in %

Row = dict[str, Any]


def in_random_game(regime: str, seed: int) -> list[Row]:
    """Rows of one game of a regime in `malfl.companion.regimes.REGIMES`.

    Parameters
    ----------
    regime
        Its name.
    seed
        Of all that is random.

    Returns
    -------
    list of dict
        One for each recovery. ``used`` is "episodes" or "counts" for what a user gets without
        naming an estimator, and "replay" or "structural" where learner and step size were known.
    """
    one, rng = REGIMES[regime], np.random.default_rng(seed)
    drawn = draw(one, rng)
    log = train(drawn.game, drawn.training, rng, record=True)
    view = spoilt(log.seen_by(1), one.wrong, rng)
    named = one.learns == "td" and one.wrong is None
    rows = [
        {"regime": regime, "seed": seed, "right": one.wrong is None, "well_seen": one.well_seen}
        | row
        for row in _rows(drawn, view, by_of(one, drawn.beta), named, one.reward_class)
    ]
    return rows


def by_of(regime: Regime, beta: float) -> tuple[Estimator, Estimator]:
    """What an observer in this regime recovers by, from episodes and from counts."""
    if regime.wrong == "step size":
        believed = min(1.0, TOO_LARGE * beta)
        return Replay(believed), Structural(believed, "td")
    return Auto(), Auto()


def spoilt(view: View, wrong: Wrong | None, rng: np.random.Generator) -> View:
    """What an observer takes for what happened."""
    if wrong == "missing iterations":
        assert view.own_policies is not None
        assert view.episodes is not None
        return replace(
            view, counts=view.counts[::2], own_policies=view.own_policies[::2],
            episodes=view.episodes[::2],
        )  # fmt: skip
    change = {"lost steps": without_some, "misread states": misread}.get(str(wrong))
    if change is None:
        return view
    episodes = tuple(change(played, rng) for played in view.episodes or ())
    return replace(view, episodes=episodes, counts=np.array([one.counts() for one in episodes]))


def without_some(played: Episodes, rng: np.random.Generator) -> Episodes:
    """Episodes in which each step is lost with a probability of `LOST`, but not all of one."""
    before, actions, _ = played.moves()
    starts = played.packed.ends[:-1]
    seen = rng.random(len(before)) >= LOST
    seen[starts] |= ~np.logical_or.reduceat(seen, starts)
    lengths = np.add.reduceat(seen.astype(np.int64), starts)
    return Episodes(
        states=np.insert(before[seen], lengths.cumsum(), played.packed.last),
        actions=actions[seen], lengths=lengths, n_states=played.n_states,
        n_joint_actions=played.n_joint_actions,
    )  # fmt: skip


def misread(played: Episodes, rng: np.random.Generator) -> Episodes:
    """Episodes in which each state is taken for any with a probability of `MISREAD`."""
    before, actions, _ = played.moves()
    states = np.insert(before, played.packed.ends[1:], played.packed.last)
    wrong = rng.random(len(states)) < MISREAD
    states = np.where(wrong, rng.integers(played.n_states, size=len(states)), states)
    return Episodes(
        states=states, actions=actions, lengths=played.lengths, n_states=played.n_states,
        n_joint_actions=played.n_joint_actions,
    )  # fmt: skip


def _rows(
    drawn: Drawn,
    view: View,
    by: tuple[Estimator, Estimator],
    named: bool,
    reward_class: RewardClass,
) -> Iterator[Row]:
    """By what a user gets; and, if ``named``, by what knows the learner and its step size."""
    game, training, beta = drawn
    counts = replace(view, episodes=None)
    first: Row = {
        "states": game.n_states, "agents": game.n_agents, "gamma": game.gamma,
        "alpha": training.alpha, "beta": beta, "steps": int(view.counts.sum()),
    }  # fmt: skip
    yield first | _row(game, view, "episodes", by[0])
    yield first | _row(game, counts, "counts", by[1])
    if named:
        replaying = Replay(beta, reward_class=reward_class)
        yield first | _row(game, view, "replay", replaying)
        yield first | _row(game, counts, "structural", Structural(beta, "td", reward_class))


def _row(game: MarkovGame, view: View, used: str, by: Estimator) -> Row:
    """One recovery; where nothing can be learned, ``problem`` says why."""
    began = time.perf_counter()
    row: Row = {"used": used, "by": brief(by), "verdict": "nothing", "problem": ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DoubtfulRewardWarning)
            found = recover(view, of=OBSERVED, by=by, unvisited="omit")
    except NothingToLearnError as error:
        return row | {"problem": str(error), "seconds": time.perf_counter() - began}
    row["seconds"] = time.perf_counter() - began
    fit = found.diagnostics
    if isinstance(fit, LikeliestFit):
        row["by"] = fit.compared[0][0]
    known = np.isfinite(found.values)
    whole = replace(found, values=np.where(known, found.values, 0.0))
    measured = compare(whole, game, OBSERVED)
    row |= {
        "verdict": found.verdict, "reward_class": found.reward_class, "unknown": (~known).sum(),
        "converged": found.converged, "identified": measured.identified, "STARC": measured.STARC,
    }  # fmt: skip
    if isinstance(fit, LikeliestFit | LogitFit | PathFit):
        row |= {"misfit": fit.evidence.error}
        if fit.promise is not None:
            row |= {"promised": fit.promise.correlation, "at_least": fit.promise.at_least}
    return row | calibration(whole, game)


def in_class(game: MarkovGame, agent: int, reward_class: RewardClass) -> FloatArray:
    """An agent's reward in a class: its mean over what the class leaves out; flat."""
    joint = game.joint_reward(agent)
    if reward_class == "joint-action":
        return joint.ravel()
    if reward_class == "state":
        return np.asarray(joint.mean(axis=1))
    member = game.own_actions[agent][:, None] == np.arange(game.actions[agent])
    return np.asarray(joint @ (member / member.sum(axis=0))).ravel()


def covariance_of(found: RecoveredReward) -> tuple[FloatArray, float] | None:
    """Of a reward's posterior, (K, K), and the variance of its prior; None if it has none."""
    fit = found.diagnostics.fit if isinstance(found.diagnostics, LikeliestFit) else (
        found.diagnostics
    )  # fmt: skip
    if not isinstance(fit, LogitFit | PathFit):
        return None
    prior = fit.evidence.prior
    covariance = inv(fit.information + np.eye(found.values.size) / prior)
    wider = float(np.fmax(fit.misfit, 1.0)) if isinstance(fit, PathFit) else 1.0
    return wider * covariance, prior


def calibration(found: RecoveredReward, game: MarkovGame) -> Row:
    """How often intervals hold the truth, along the directions that the data determine.

    These are the axes of the posterior of what improvements show, turned so that the reward found
    is positive. ``below_95`` is the share of them whose true value is below the lower end of the
    interval of 95 %, and ``above_95`` the share above its upper end. ``z`` is the root mean square
    of errors in posterior deviations.
    """
    posterior = covariance_of(found)
    if posterior is None:
        return {}
    covariance, prior = posterior
    shown = shown_directions(game, OBSERVED, found.reward_class)
    spread, axes = eigh(shown.T @ covariance @ shown)
    sharp = spread < DETERMINED * prior
    row: Row = {"shown": len(spread), "determined": int(sharp.sum())}
    if not sharp.any():
        return row
    axes = shown @ axes[:, sharp]
    mine, true = (
        axes.T @ found.values.ravel(),
        axes.T @ in_class(game, OBSERVED, found.reward_class),
    )
    z = np.where(mine < 0, -1.0, 1.0) * (true - mine) / np.sqrt(spread[sharp])
    row["z"] = float(np.sqrt(np.mean(z**2)))
    for level in LEVELS:
        end = float(norm.ppf(0.5 + level / 200))
        row |= {
            f"below_{level}": float((z < -end).mean()),
            f"above_{level}": float((z > end).mean()),
        }
    return row
