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

from malfl.companion.coverage import LEVELS, calibration, covariance_of, in_class
from malfl.companion.regimes import BENIGN, REGIMES, Drawn, Regime, draw, draw_training
from malfl.companion.spoilt import spoilt
from malfl.evaluation.compare import compare
from malfl.evaluation.identified import narrowed
from malfl.games.classics import CLASSICS
from malfl.games.markov import MarkovGame
from malfl.learners.learn import train
from malfl.play.view import View
from malfl.recovery.auto import Auto
from malfl.recovery.estimator import Estimator
from malfl.recovery.likeliest import brief
from malfl.recovery.limits import identified_error, limit_from_counts, limit_with_episodes
from malfl.recovery.recover import recover
from malfl.recovery.replay import Replay
from malfl.recovery.reward import NothingToLearnError, Promising, RecoveredReward
from malfl.recovery.shown import identified_part
from malfl.recovery.structural import Structural
from malfl.recovery.verdict import DoubtfulRewardWarning

OBSERVED = 0  # agent whose reward is recovered
TOO_LARGE = 4  # times as large as it is: a wrong step size
#: How agents learn in classic games, whose rewards are zero in many states.
CLASSIC = replace(REGIMES[BENIGN], name="classic games", alphas=((0.1, 1.0),))
NOTHING = "nothing"  # in place of a verdict, if there was nothing to learn from

Row = dict[str, Any]

#: Columns that are NaN where nothing was found, or nothing can be said.
MEASURED = (
    "unknown", "identified", "STARC", "promised", "at_least", "unexplained", "error", "bound",
    "possible", "shown", "determined", "z",
    *(f"{side}_{k}" for k in LEVELS for side in ("below", "above")),
)  # fmt: skip


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
    first = {"regime": regime, "seed": seed, "right": one.right}
    return [first | row for row in _rows(one, drawn, view)]


def in_classic(name: str, seed: int) -> list[Row]:
    """Rows of one of `malfl.games.classics.CLASSICS`, as those of `in_random_game`.

    Agents learn with parameters drawn as `CLASSIC` says. Of an agent alone the observer is a
    bystander.
    """
    rng = np.random.default_rng(seed)
    drawn = draw_training(CLASSIC, CLASSICS[name](), rng)
    log = train(drawn.game, drawn.training, rng, record=True)
    view = log.seen_by(1 if drawn.game.n_agents > 1 else None)
    first = {"regime": name, "seed": seed, "right": True}
    return [first | row for row in _rows(CLASSIC, drawn, view)]


def by_of(regime: Regime, beta: float) -> tuple[Estimator, Estimator]:
    """What an observer in this regime recovers by, from episodes and from counts."""
    if regime.wrong == "step size":
        believed = min(1.0, TOO_LARGE * beta)
        return Replay(believed), Structural(believed, "td")
    return Auto(), Auto()


def _rows(regime: Regime, drawn: Drawn, view: View) -> Iterator[Row]:
    """By what a user gets; and by what knows learner and step size, where there is one to know."""
    game, training, beta = drawn
    counts = replace(view, episodes=None)
    first: Row = {
        "states": game.n_states, "agents": game.n_agents, "gamma": game.gamma,
        "alpha": training.alpha, "beta": beta, "steps": int(view.counts.sum()),
    }  # fmt: skip
    by_episodes, by_counts = by_of(regime, beta)
    known = regime.learns == "td" and regime.right
    bounds = _bounds(game, view, beta) if known else {}
    for used, seen, by in (("episodes", view, by_episodes), ("counts", counts, by_counts)):
        possible = {"possible": bounds[used][1]} if known else {}
        yield first | _row(game, seen, used, by) | possible
    if known:
        _, its_class = narrowed(game.rewards[OBSERVED], game, OBSERVED)
        row = _row(game, view, "replay", Replay(beta, reward_class=its_class))
        yield first | row | {"bound": bounds["episodes"][0]}
        row = _row(game, counts, "structural", Structural(beta, "td", its_class))
        yield first | row | {"bound": bounds["counts"][0]}


def _bounds(game: MarkovGame, view: View, beta: float) -> dict[str, tuple[float, float]]:
    """By what is used, the bound on errors, and the correlation with the truth that it allows."""
    true, its_class = narrowed(game.rewards[OBSERVED], game, OBSERVED)
    part = identified_part(true, game.without_rewards(), OBSERVED, its_class)
    given: dict[str, Any] = {"of": OBSERVED, "reward": true, "beta": beta}
    limits = {
        "episodes": limit_with_episodes(view, **given),
        "counts": limit_from_counts(view, **given),
    }
    size = float(np.mean(part**2))
    return {
        used: (bound, float(np.sqrt(max(0.0, 1 - bound**2 / size))))
        for used, bound in limits.items()
    }


def _row(game: MarkovGame, view: View, used: str, by: Estimator) -> Row:
    """One recovery; where nothing can be learned, ``problem`` says why."""
    began = time.perf_counter()
    row: Row = {"used": used, "by": brief(by), "verdict": NOTHING, "problem": ""}
    row |= {"reward_class": "", "converged": False} | dict.fromkeys(MEASURED, np.nan)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DoubtfulRewardWarning)
            found = recover(view, of=OBSERVED, by=by, unvisited="omit")
    except NothingToLearnError as error:
        return row | {"problem": str(error), "seconds": time.perf_counter() - began}
    row["seconds"] = time.perf_counter() - began
    if found.compared:
        row["by"] = found.compared[0][0]
    return row | _measured(found, game)


def _measured(found: RecoveredReward, game: MarkovGame) -> Row:
    """How good a reward is and says it is. What it does not know counts as 0, the prior's mean."""
    known = np.isfinite(found.values)
    whole = replace(found, values=np.where(known, found.values, 0.0))
    compared, fit = compare(whole, game, OBSERVED), found.diagnostics
    row: Row = {
        "verdict": found.verdict, "reward_class": found.reward_class,
        "unknown": int((~known).sum()), "converged": found.converged,
        "identified": compared.identified, "STARC": compared.STARC,
    }  # fmt: skip
    if isinstance(fit, Promising) and fit.promise is not None:
        row |= {"promised": fit.promise.correlation, "at_least": fit.promise.at_least}
        row["unexplained"] = fit.evidence.error
    truth = in_class(game, OBSERVED, found.reward_class)
    row["error"] = identified_error(whole, truth, game, OBSERVED)
    posterior = covariance_of(found)
    return row if posterior is None else row | calibration(whole, truth, *posterior, game, OBSERVED)
