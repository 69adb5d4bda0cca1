"""Studies: agents learn, others watch, and what they recover is compared, for many seeds."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.evaluation.compare import Comparison, compare, pearson_of
from malfl.games.markov import MarkovGame
from malfl.learners.learn import check_training, train
from malfl.learners.log import LearningLog, Training
from malfl.play.view import View
from malfl.recovery.estimator import Estimator, check_estimator
from malfl.recovery.forecast import forecast, prediction_error
from malfl.recovery.policies import estimate_policies
from malfl.recovery.recovery import Recovery
from malfl.recovery.reward import NothingToLearnError, RecoveredReward
from malfl.studies.store import Store, key_of
from malfl.values import set_fields

NO_CHANGE = "no change expected"


class Recovered(NamedTuple):
    """A reward that an estimator recovered; None where there was nothing to learn from."""

    agent: int
    estimator: str
    improvements: int
    reward: RecoveredReward | None


def view_of(log: LearningLog, agent: int) -> View:
    """What the next agent sees of an agent; alone in its game, a bystander."""
    agents = log.game.n_agents
    return log.seen_by((agent + 1) % agents if agents > 1 else None)


def recovered(
    log: LearningLog,
    estimators: Mapping[str, Estimator],
    *,
    agents: Sequence[int] | None = None,
    improvements: Sequence[int] | None = None,
    alpha: float | None = None,
    seed: int = 0,
) -> list[Recovered]:
    """Recover agents' rewards as `view_of` has them; states never visited are left out.

    Parameters
    ----------
    estimators
        Under the names they are reported by.
    agents
        Whose rewards, by default all.
    improvements
        How many improvements to learn from; by default all that were seen.
    alpha
        What the observers assume the agents' entropy coefficient to be, by default what it is.
    seed
        Of estimators that draw something; each begins anew with it.
    """
    checks.instance(log, LearningLog, "log", "see malfl.learn")
    _check_estimators(estimators)
    _check_choices(agents, improvements, log.game, log.iterations)
    checks.count(seed, "seed", 0)
    lengths = [log.iterations - 1] if improvements is None else list(improvements)
    found = []
    for agent in range(log.game.n_agents) if agents is None else agents:
        view = view_of(log, agent)
        if alpha is not None:
            view = replace(view, alpha=alpha)
        for name, one in estimators.items():
            recovery = Recovery(view, of=agent, by=one, unvisited="omit", seed=seed)
            for length in lengths:
                reward = None
                with suppress(NothingToLearnError):
                    reward = recovery.reward(length)
                found.append(Recovered(agent, name, length, reward))
                progress.advance()
    return found


def trained_and_recovered(
    game: MarkovGame,
    training: Training,
    seed: int,
    estimators: Mapping[str, Estimator],
    agents: Sequence[int] | None = None,
    improvements: Sequence[int] | None = None,
    alpha: float | None = None,
) -> tuple[LearningLog, list[Recovered]]:
    """A run: agents learn, and rewards are recovered; see `recovered`."""
    check_training(game, training)
    _check_estimators(estimators)
    _check_choices(agents, improvements, game, training.iterations)
    alpha = None if alpha is None else checks.positive(alpha, "alpha")
    record = any(one.needs_steps for one in estimators.values())
    log = train(game, training, checks.count(seed, "seed", 0), record=record)
    given = {"agents": agents, "improvements": improvements, "alpha": alpha, "seed": seed}
    return log, recovered(log, estimators, **given)  # type: ignore[arg-type]


def rewards(
    game: MarkovGame,
    training: Training,
    seed: int,
    estimators: Mapping[str, Estimator],
    agents: Sequence[int] | None = None,
) -> dict[tuple[int, str], RecoveredReward]:
    """A run's rewards by agent and estimator, from all improvements; see `recovered`.

    Missing where there was nothing to learn from.
    """
    _, found = trained_and_recovered(game, training, seed, estimators, agents)
    return {(agent, name): reward for agent, name, _, reward in found if reward is not None}


def errors_of_forecast(
    game: MarkovGame, training: Training, seed: int, by: Estimator, of: int = 0
) -> FloatArray:
    """Divergences, state by state, of an agent's policies from those that the next agent predicted.

    Returns
    -------
    ndarray
        Shape (H - 1, S), of the policies pi_2..pi_H.
    """
    check_estimator(by)
    check_training(game, training)
    of = game.check_agent(of, "of")
    log = train(game, training, checks.count(seed, "seed", 0), record=by.needs_steps)
    predicted = forecast(view_of(log, of), of=of, by=by, seed=seed)
    return prediction_error(log.policies[of][2:], predicted.policies)


def misread_alpha(
    game: MarkovGame,
    training: Training,
    seed: int,
    estimators: Mapping[str, Estimator],
    factors: Sequence[float],
    agent: int = 0,
) -> pd.DataFrame:
    """What becomes of a reward if the observer assumes alpha to be so many times what it is.

    Parameters
    ----------
    agent
        Whose reward, as the next agent sees it.

    Returns
    -------
    DataFrame
        Columns ``estimator``, ``factor``, ``PCC`` and ``scale``: the standard deviation of the
        recovered over that of the true reward; NaN where the true reward is the same everywhere.
    """
    _check_estimators(estimators)
    check_training(game, training)
    agent = game.check_agent(agent)
    checks.sequence(factors, "factors", "numbers greater than 0")
    for k, factor in enumerate(factors):
        checks.squarable(
            checks.positive(factor, f"factors[{k}]") * training.alpha, f"alpha times factors[{k}]"
        )
    record = any(one.needs_steps for one in estimators.values())
    log = train(game, training, checks.count(seed, "seed", 0), record=record)
    view, true = view_of(log, agent), game.rewards[agent]
    rows = []
    for name, one in estimators.items():
        for factor in factors:
            misled = replace(view, alpha=factor * log.alpha)
            recovery = Recovery(misled, of=agent, by=one, unvisited="omit", seed=seed)
            found = recovery.reward().over_states()
            known = np.isfinite(found)
            spread = true[known].std()
            scale = float(found[known].std() / spread) if spread > 0 else np.nan
            rows.append((name, factor, pearson_of(found, game, agent), scale))
    return pd.DataFrame(rows, columns=["estimator", "factor", "PCC", "scale"])


@dataclass(frozen=True)
class Study:
    """Agents that learn in some games with some seeds, and estimators of their rewards.

    Parameters
    ----------
    games, estimators
        Under the names they are reported by.
    training
        How agents learn.
    seeds
        One run of each game for each.
    agents
        Whose rewards are recovered, by default all.
    improvements
        From how many improvements, by default from all.

    Raises
    ------
    TypeError, ValueError
        If something is not what it should be; before anything runs.
    """

    games: Mapping[str, MarkovGame]
    training: Training
    estimators: Mapping[str, Estimator]
    seeds: Sequence[int]
    agents: Sequence[int] | None = None
    improvements: Sequence[int] | None = None

    def __post_init__(self) -> None:
        checks.instance(self.training, Training, "training", "how agents learn")
        checks.instance(self.games, Mapping, "games", "by name")
        _check_estimators(self.estimators)
        for name, game in self.games.items():
            check_training(game, self.training, name=f"games[{name!r}]")
            _check_choices(self.agents, self.improvements, game, self.training.iterations)
        checks.sequence(self.seeds, "seeds", "a whole number for each run of a game")
        seeds = [checks.count(seed, f"seeds[{k}]", 0) for k, seed in enumerate(self.seeds)]
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds must differ, to be of independent runs, got {seeds}")
        set_fields(
            self,
            games=dict(self.games),
            estimators=dict(self.estimators),
            seeds=tuple(seeds),
            agents=None if self.agents is None else tuple(self.agents),
            improvements=None if self.improvements is None else tuple(self.improvements),
        )

    def scores(
        self,
        *,
        against: Mapping[str, MarkovGame] | None = None,
        executor: Executor | None = None,
        store: str | PathLike[str] | None = None,
    ) -> pd.DataFrame:
        """Let agents learn, recover their rewards as the next agent sees them, and compare.

        Parameters
        ----------
        against
            Games whose rewards count as the true ones; by default each game's own.
        executor
            As for `malfl.progress.run`; the results do not depend on it.
        store
            A folder that keeps the comparisons of every run that ends. What is found there is not
            done again: a study that was stopped goes on where it was, and several can share runs.

        Returns
        -------
        DataFrame
            Columns ``game``, ``seed``, ``agent``, ``estimator``, ``improvements``, ``truth``, and
            those of `malfl.Comparison`.

        Raises
        ------
        TypeError, ValueError
            If a game of ``against`` is none or has other states or actions.
        """
        self._check_truths(against or {})
        folder = None if store is None else Store(store)
        runs = [
            _Run(self, name, seed, against or {name: game}, folder)
            for name, game in self.games.items()
            for seed in self.seeds
        ]
        left = [run for run in runs if run.missing]
        calls = [run.call() for run in left]
        progress.run(_compared, calls, executor, lambda k, rows: left[k].add(rows))
        columns = ["game", "seed", "agent", "estimator", "improvements", "truth"]
        rows = [row for run in runs for row in run.rows()]
        return pd.DataFrame(rows, columns=[*columns, *Comparison._fields])

    def _check_truths(self, against: Mapping[str, MarkovGame]) -> None:
        for name, truth in against.items():
            checks.instance(truth, MarkovGame, f"against[{name!r}]", "with rewards to compare with")
            for game in self.games.values():
                if (truth.n_states, truth.actions) != (game.n_states, game.actions):
                    raise ValueError(
                        f"against[{name!r}] must have {game.n_states} states and actions "
                        f"{game.actions}, got {truth.n_states} and {truth.actions}"
                    )

    def forecasts(
        self, *, executor: Executor | None = None, store: str | PathLike[str] | None = None
    ) -> pd.DataFrame:
        """Let everyone follow everyone else's rewards while they learn, and predict improvements.

        Parameters
        ----------
        executor, store
            As for `malfl.Study.scores`.

        Returns
        -------
        DataFrame
            A row for each ``game``, ``seed``, ``observer``, ``agent``, ``estimator`` and
            ``iteration`` after which a policy was predicted, "no change expected" among the
            estimators. ``error``: mean over states of the divergence of the predicted from the
            actual policy; ``error by visits``: weighted by the next iteration's visits; ``error
            seen``: so weighted, of the shares seen then (both NaN after the last iteration, nobody
            having played on); ``PCC`` of the reward estimated so far.
        """
        estimators = dict(self.estimators)
        calls = [
            (game, self.training, seed, estimators)
            for game in self.games.values()
            for seed in self.seeds
        ]
        names = [(name, seed) for name in self.games for seed in self.seeds]
        parts = run_all(_forecasts, calls, executor, store)
        columns = ["game", "seed", "observer", "agent", "estimator", "iteration"]
        columns += ["error", "error by visits", "error seen", "PCC"]
        rows = [(*name, *row) for name, part in zip(names, parts, strict=True) for row in part]
        return pd.DataFrame(rows, columns=columns)


def _check_estimators(estimators: Mapping[str, Estimator]) -> None:
    checks.instance(estimators, Mapping, "estimators", "by name")
    for name, one in estimators.items():
        check_estimator(one, f"estimators[{name!r}]")


def _check_choices(
    agents: Sequence[int] | None,
    improvements: Sequence[int] | None,
    game: MarkovGame,
    iterations: int,
) -> None:
    """Raise unless these are agents of the game, and improvements that so many iterations show."""
    for name, chosen in (("agents", agents), ("improvements", improvements)):
        if chosen is not None:
            checks.sequence(chosen, name, "one or more whole numbers")
            if len(chosen) == 0:
                raise ValueError(f"{name} must name at least one, got none")
    for agent in () if agents is None else agents:
        game.check_agent(agent, "agents")
    for length in () if improvements is None else improvements:
        if not 0 < checks.count(length, "improvements", 0) < iterations:
            raise ValueError(f"improvements must lie in 1..{iterations - 1}, got {length}")


def run_all(
    function: Any,  # noqa: ANN401
    calls: Sequence[tuple[Any, ...]],
    executor: Executor | None = None,
    store: str | PathLike[str] | None = None,
) -> list[Any]:
    """What a function returns for each tuple of arguments, those that are stored not made again.

    Parameters
    ----------
    function, calls, executor
        As for `malfl.progress.run`.
    store
        A folder, as for `malfl.studies.store.Store`; what ends is written at once.
    """
    if store is None:
        return progress.run(function, calls, executor)
    folder = Store(store)
    keys = [key_of(function, *call) for call in calls]
    stored = {key: folder.get(key) for key in keys}
    made = {key: known[0] for key, known in stored.items() if known is not None}
    left = [k for k, key in enumerate(keys) if key not in made]

    def ended(number: int, result: object) -> None:
        key = keys[left[number]]
        folder.put(key, (result,))
        made[key] = result

    progress.run(function, [calls[k] for k in left], executor, ended)
    return [made[key] for key in keys]


class _Run:
    """A game and a seed of a study, with the comparisons that are known: stored, or added."""

    def __init__(
        self,
        study: Study,
        name: str,
        seed: int,
        truths: Mapping[str, MarkovGame],
        store: Store | None,
    ) -> None:
        self.study, self.name, self.game, self.seed = study, name, study.games[name], seed
        self.agents = study.agents or range(self.game.n_agents)
        self.lengths = study.improvements or [study.training.iterations - 1]
        self.truths, self.store = truths, store
        # A store knows a truth by what it is, not by its name, which is the caller's.
        self.known_as = {name: key_of(one) if store else name for name, one in truths.items()}
        self.keys: dict[str, str] = {}
        #: By estimator: by agent, improvements and truth, a comparison.
        self.found: dict[str, dict[tuple[int, int, str], tuple[Any, ...]]] = {}
        for estimator, one in study.estimators.items():
            key = key_of(_compared, self.game, study.training, seed, one) if store else ""
            self.keys[estimator] = key
            self.found[estimator] = dict(store.get(key) or ()) if store else {}
        wanted = set(product(self.agents, self.lengths, self.known_as.values()))
        self.missing = {
            estimator: one
            for estimator, one in study.estimators.items()
            if not wanted <= self.found[estimator].keys()
        }

    def call(self) -> tuple[Any, ...]:
        """Arguments of `_compared` for what is missing."""
        truths = tuple(self.truths.values())
        training, agents = self.study.training, self.study.agents
        return self.game, training, self.seed, self.missing, agents, self.lengths, truths

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Take the rows of `_compared`, and store them."""
        truths = list(self.known_as.values())
        for agent, estimator, length, truth, *scores in rows:
            self.found[estimator][agent, length, truths[truth]] = tuple(scores)
        for estimator in self.missing:
            if self.store is not None:
                self.store.put(self.keys[estimator], tuple(self.found[estimator].items()))

    def rows(self) -> list[tuple[Any, ...]]:
        """Of `Study.scores`, in the order in which they are reported."""
        order = product(self.agents, self.study.estimators, self.lengths, self.known_as.items())
        return [
            (self.name, self.seed, agent, estimator, length, truth)
            + self.found[estimator][agent, length, known_as]
            for agent, estimator, length, (truth, known_as) in order
        ]


def _compared(
    game: MarkovGame,
    training: Training,
    seed: int,
    estimators: Mapping[str, Estimator],
    agents: Sequence[int] | None,
    improvements: Sequence[int],
    truths: Sequence[MarkovGame],
) -> list[tuple[Any, ...]]:
    """Agent, estimator, improvements, number of the truth, and the comparison."""
    _, found = trained_and_recovered(game, training, seed, estimators, agents, improvements)
    return [
        (agent, name, length, k, *compare(reward, truth, agent))
        for agent, name, length, reward in found
        for k, truth in enumerate(truths)
    ]


def _forecasts(
    game: MarkovGame, training: Training, seed: int, estimators: Mapping[str, Estimator]
) -> list[tuple[Any, ...]]:
    """Rows of `Study.forecasts` but for the game and the seed."""
    record = any(one.needs_steps for one in estimators.values())
    log = train(game, training, seed, record=record)
    rows: list[tuple[Any, ...]] = []
    for observer in range(game.n_agents):
        view = log.seen_by(observer)
        shares = estimate_policies(view)
        for of in (agent for agent in range(game.n_agents) if agent != observer):
            predicted: dict[str, tuple[FloatArray | None, FloatArray]]
            predicted = {NO_CHANGE: (None, shares[of][1:])}
            for name, one in estimators.items():
                found = forecast(view, of=of, by=one, seed=seed)
                predicted[name] = found.rewards, found.policies
            for name, (rewards, policies) in predicted.items():
                errors = _prediction_errors(log, of, policies, shares[of])
                for h, error in enumerate(errors):
                    pcc = np.nan if rewards is None else pearson_of(rewards[h], game, of)
                    rows.append((observer, of, name, h + 1, *error, pcc))
    return rows


def _prediction_errors(
    log: LearningLog, of: int, predicted: FloatArray, shares: FloatArray
) -> list[tuple[float, float, float]]:
    """Errors of the predictions for the iterations 2, 3, ..., as `Study.forecasts` has them."""
    result = []
    visits = log.counts.sum(axis=2)
    for h, policy in enumerate(predicted, start=2):
        true = np.nan_to_num(prediction_error(log.policies[of][h], policy))
        if h == log.iterations:
            result.append((float(true.mean()), np.nan, np.nan))
            continue
        weights = visits[h] / visits[h].sum()
        seen = np.nan_to_num(prediction_error(shares[h], policy))
        result.append((float(true.mean()), float(weights @ true), float(weights @ seen)))
    return result
