"""Experiments: agents learn, others watch, and what they recover is scored, for many seeds."""

import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from malfl import checks
from malfl.checks import FloatArray
from malfl.estimation import estimate_dynamics, estimate_policies
from malfl.games import MarkovGame
from malfl.learners.learn import learning
from malfl.logs import LearningLog
from malfl.memory import Memory, game_name, run_name
from malfl.parallel import Job, cores, run
from malfl.recovery import RecoveredReward, recover
from malfl.recovery.alone import alone
from malfl.recovery.diagnostics import NothingToLearnError
from malfl.recovery.replay import replayed_logits
from malfl.recovery.semi_online import foretelling, prediction_error
from malfl.scores import METRICS, pearson_of, score


class Estimator(NamedTuple):
    """How an observer goes about it: options of `malfl.recover`, and its fit of policies."""

    options: Mapping[str, Any]
    descent: bool = False  #: whether policies are fitted by few steps of Adam, as the paper does
    rules: bool = False  #: whether the rules of the game are taken from the moves seen
    alone: bool = False  #: whether the agent is taken for the only one

    @property
    def needs_steps(self) -> bool:
        """Whether trajectories must be recorded for it."""
        learner = self.options.get("learner", "Q-learning")
        replays = self.options["method"] == "course" and learner in (None, "Q-learning")
        return self.rules or replays or self.options["method"] == "replay"


def papers_estimators(steps: int = 1000, rate: float = 0.01) -> dict[str, Estimator]:
    """MA-LfL's way, in three readings of its loss: as released, as printed, as Theorem 5.1 has it.

    Parameters
    ----------
    steps, rate
        Of the reward's Adam; Table 3 by default.
    """
    adam = {"method": "adam", "reward_class": "joint-action", "steps": steps, "rate": rate}
    return {
        "as released": Estimator(adam | {"equations": "released"}, descent=True),
        "Eq. 12 as printed": Estimator(adam | {"equations": "printed"}, descent=True),
        "Theorem 5.1, same Adam": Estimator(adam, descent=True),
    }


def better_estimators(beta: float) -> dict[str, Estimator]:
    """What can be done with the same trajectories.

    Parameters
    ----------
    beta
        The learners' step size, which replay takes for known.
    """
    return {
        "least squares, R(s)": Estimator({"method": "least_squares"}),
        "evidence ridge, R(s)": Estimator({"method": "evidence"}),
        "structural": Estimator({"method": "structural"}),
        "replay": Estimator({"method": "replay", "beta": beta}),
    }


def watch(
    games: Mapping[str, MarkovGame],
    estimators: Mapping[str, Estimator],
    *,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    improvements: Sequence[int] | None = None,
    against: Mapping[str, MarkovGame] | None = None,
    agents: Sequence[int] | None = None,
    threads: int | None = None,
    memory: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Let agents learn, recover rewards as the next agent sees them, and score them.

    Parameters
    ----------
    games
        Under the names they are reported by.
    estimators, improvements, agents
        As for `recovering`.
    settings
        Of `malfl.learn`: ``alpha``, ``beta``, ``iterations``, ``episodes``, ``steps``, and
        ``learners`` and ``evaluation`` if they are not its own.
    against
        Games whose rewards are taken for the true ones; by default each game's own.
    threads
        Runs at the same time, by default as many as there are processors. The results do not
        depend on it.
    memory
        A folder that keeps the scores of every run that ends. What is found there is not done
        again: work that was stopped goes on where it was, and several tables can share their runs.
        Only for settings and options that are names and numbers.

    Returns
    -------
    DataFrame
        Columns ``game``, ``seed``, ``agent`` (from 1), ``estimator``, ``improvements``, ``truth``,
        `METRICS`, ``calibration`` (root mean square of the errors in posterior deviations, which
        should be 1), ``states`` (how many were compared) and ``converged``.
    """
    threads = cores() if threads is None else checks.count(threads, "threads")
    replays = any(one.options["method"] == "replay" for one in estimators.values())
    lengths = [settings["iterations"] - 1] if improvements is None else improvements
    played = settings["iterations"] * settings["episodes"] * settings["steps"]
    watched = max(len(agents or game.actions) for game in games.values())
    steps = played * (1 + watched * replays)
    kept = None if memory is None else Memory(memory)

    def scored(
        game: MarkovGame, seed: int, truths: Mapping[str, MarkovGame], ways: Iterable[str]
    ) -> Job[dict[_Row, Any]]:
        chosen = {way: estimators[way] for way in ways}
        record = any(one.needs_steps for one in chosen.values())
        log = yield from learning(game, seed=seed, record=record, **settings)
        recovered = yield from recovering(log, chosen, lengths, agents, seed)
        return {
            _Row(agent, way, length, truth): score(found, other, agent)
            for agent, way, length, found in recovered
            for truth, other in truths.items()
        }

    def remembered(
        memory: Memory, game: MarkovGame, seed: int, truths: Mapping[str, MarkovGame]
    ) -> Job[dict[_Row, Any]]:
        who = range(game.n_agents) if agents is None else agents
        names = {truth: game_name(other) for truth, other in truths.items()}
        keys = {
            row: row.key(estimators[row.way], names[row.truth])
            for row in itertools.starmap(_Row, itertools.product(who, estimators, lengths, truths))
        }
        this = run_name(game, settings, seed)
        known = memory.recall(this)
        missing = {row.way for row, key in keys.items() if key not in known}
        if missing:
            undone = [way for way in estimators if way in missing]
            found = yield from scored(game, seed, truths, undone)
            known |= {keys[row]: scores for row, scores in found.items()}
            memory.keep(this, known)
        else:
            yield steps
        return {row: known[key] for row, key in keys.items()}

    def work(name: str, game: MarkovGame, seed: int) -> Job[list[tuple[Any, ...]]]:
        truths = {name: game} if against is None else against
        if kept is None:
            scores = yield from scored(game, seed, truths, estimators)
        else:
            scores = yield from remembered(kept, game, seed, truths)
        return [
            (name, seed, row.agent + 1, row.way, row.length, row.truth, *values)
            for row, values in scores.items()
        ]

    jobs = [work(name, game, seed) for name, game in games.items() for seed in seeds]
    rows = run(jobs, len(jobs) * steps, threads)
    columns = ["game", "seed", "agent", "estimator", "improvements", "truth"]
    return pd.DataFrame(
        [row for part in rows for row in part],
        columns=[*columns, *METRICS, "calibration", "states", "converged"],
    )


class _Row(NamedTuple):
    """What a score is of."""

    agent: int
    way: str
    length: int
    truth: str

    def key(self, estimator: Estimator, truth: str) -> str:
        """Under which a memory keeps the score, whatever the names; the truth's by `game_name`."""
        way = estimator._asdict() | {"options": dict(estimator.options)}
        return json.dumps([self.agent, way, self.length, truth], sort_keys=True)


def recover_all(
    log: LearningLog, estimators: Mapping[str, Estimator], seed: int = 0
) -> dict[tuple[int, str], RecoveredReward]:
    """Every agent's reward, by agent and estimator, from all that was seen; see `recovering`.

    Missing where there was nothing to learn from.
    """
    played = int(log.counts.sum()) * log.game.n_agents
    found = run([recovering(log, estimators, None, None, seed)], played)[0]
    return {(agent, name): reward for agent, name, _, reward in found if reward is not None}


def recovering(
    log: LearningLog,
    estimators: Mapping[str, Estimator],
    improvements: Sequence[int] | None,
    agents: Sequence[int] | None,
    seed: int,
) -> Job[list[tuple[int, str, int, RecoveredReward | None]]]:
    """Work that recovers agents' rewards as the next agent sees them.

    Parameters
    ----------
    estimators
        Under the names they are reported by.
    improvements
        How many improvements to learn from; by default all that were seen.
    agents
        Which agents' rewards, by default all.
    seed
        For estimators that fit policies by descent.

    Returns
    -------
    list of (agent, estimator, improvements, RecoveredReward)
        States that were not visited are left out where they are needed. None stands where there
        was nothing to learn from.
    """
    result = []
    lengths = [log.iterations - 1] if improvements is None else list(improvements)
    for length in lengths:
        if not 0 < length < log.iterations:
            raise ValueError(f"improvements must lie in 1..{log.iterations - 1}, got {length}")
    for agent in range(log.game.n_agents) if agents is None else agents:
        seen = log.observed_by((agent + 1) % log.game.n_agents)
        fitted = {
            descent: estimate_policies(seen, "descent", seed=seed)
            if descent
            else estimate_policies(seen)
            for descent in {one.descent for one in estimators.values()}
        }
        for name, one in estimators.items():
            policies, options = fitted[one.descent], dict(one.options)
            if options["method"] == "replay":
                # Made once; every length takes its part of it.
                replayed = yield from replayed_logits(
                    seen.dynamics, (seen.trajectories or ())[: max(lengths)],
                    policies.policies[agent], seen.own_counts(agent), agent, alpha=seen.alpha,
                    beta=options["beta"],
                    executed=options.get("executed", False),
                )  # fmt: skip
            for length in lengths:
                if options["method"] == "replay":
                    options["logits"] = replayed.first(length)
                part, known = seen.first(length + 1), policies.first(length + 1)
                if one.rules:
                    part = replace(part, dynamics=estimate_dynamics(part))
                found = None
                with suppress(NothingToLearnError):
                    if one.alone:
                        found = recover(alone(part, agent), of=0, unvisited="omit", **options)
                    else:
                        found = recover(part, of=agent, policies=known, unvisited="omit", **options)
                result.append((agent, name, length, found))
                yield 0
    return result


def misread_alpha(
    log: LearningLog, estimators: Mapping[str, Estimator], factors: Sequence[float], agent: int = 0
) -> pd.DataFrame:
    """What becomes of a reward if the observer takes alpha to be so many times what it is.

    Parameters
    ----------
    agent
        Whose reward, as the next agent sees it.

    Returns
    -------
    DataFrame
        Columns ``estimator``, ``factor``, ``PCC`` and ``scale``: the standard deviation of the
        recovered over that of the true reward.
    """
    seen = log.observed_by((agent + 1) % log.game.n_agents)
    true = log.game.rewards[agent]
    rows = []
    for name, one in estimators.items():
        for factor in factors:
            misled = replace(seen, alpha=factor * log.alpha)
            found = recover(misled, of=agent, unvisited="omit", **one.options).over_states()
            known = np.isfinite(found)
            scale = float(found[known].std() / true[known].std())
            rows.append((name, factor, pearson_of(found, log.game, agent), scale))
    return pd.DataFrame(rows, columns=["estimator", "factor", "PCC", "scale"])


NO_CHANGE = "no change expected"


def watch_semi_online(
    games: Mapping[str, MarkovGame],
    ways: Mapping[str, Mapping[str, Any]],
    *,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    threads: int | None = None,
) -> pd.DataFrame:
    """Let everyone follow everyone else's rewards while they learn, and foretell improvements.

    Parameters
    ----------
    ways
        Options of `malfl.recovery.semi_online.foretell` under the names they are reported by.
    games, seeds, settings, threads
        As for `watch`.

    Returns
    -------
    DataFrame
        A row for each ``game``, ``seed``, ``observer``, ``agent`` (both from 1), ``way`` and
        ``iteration`` after which was foretold, ``"no change expected"`` among the ways. ``error``:
        mean over states of the divergence of the foretold from the actual policy; ``error by
        visits``: weighted by the next iteration's visits; ``error seen``: so weighted, of the
        shares seen then (both NaN after the last iteration, nobody having played on); ``PCC`` of
        the reward estimated so far.
    """
    threads = cores() if threads is None else checks.count(threads, "threads")

    def work(name: str, game: MarkovGame, seed: int) -> Job[list[tuple[Any, ...]]]:
        log = yield from learning(game, seed=seed, record=True, **settings)
        rows = []
        for observer in range(game.n_agents):
            seen = log.observed_by(observer)
            shares = estimate_policies(seen).policies
            for of in (agent for agent in range(game.n_agents) if agent != observer):
                told: dict[str, tuple[FloatArray | None, FloatArray]]
                told = {NO_CHANGE: (None, shares[of][1:])}
                for way, options in ways.items():
                    found = yield from foretelling(seen, of=of, **options)
                    told[way] = found.rewards, found.policies
                for way, (rewards, policies) in told.items():
                    errors = _prediction_errors(log, of, policies, shares[of])
                    for h, error in enumerate(errors):
                        pcc = np.nan if rewards is None else pearson_of(rewards[h], game, of)
                        rows.append((name, seed, observer + 1, of + 1, way, h + 1, *error, pcc))
        return rows

    jobs = [work(name, game, seed) for name, game in games.items() for seed in seeds]
    played = settings["iterations"] * settings["episodes"] * settings["steps"]
    replays = sum(options["method"] == "replay" for options in ways.values())
    pairs = max(game.n_agents * (game.n_agents - 1) for game in games.values())
    parts = run(jobs, len(jobs) * played * (1 + pairs * replays), threads)
    columns = ["game", "seed", "observer", "agent", "way", "iteration"]
    columns += ["error", "error by visits", "error seen", "PCC"]
    return pd.DataFrame([row for part in parts for row in part], columns=columns)


def _prediction_errors(
    log: LearningLog, of: int, told: FloatArray, shares: FloatArray
) -> list[tuple[float, float, float]]:
    """Errors of what was foretold for the iterations 2, 3, ..., as `watch_semi_online` has them."""
    result = []
    visits = log.counts.sum(axis=2)
    for h, policy in enumerate(told, start=2):
        true = np.nan_to_num(prediction_error(log.policies[of][h], policy))
        if h == log.iterations:
            result.append((float(true.mean()), np.nan, np.nan))
            continue
        weights = visits[h] / visits[h].sum()
        seen = np.nan_to_num(prediction_error(shares[h], policy))
        result.append((float(true.mean()), float(weights @ true), float(weights @ seen)))
    return result
