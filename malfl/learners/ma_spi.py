"""Multi-agent soft policy iteration (MA-LfL, Algorithm 1)."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from malfl import checks
from malfl.games import MarkovGame, Policies
from malfl.learners.evaluation import TemporalDifferences
from malfl.logs import LearningLog
from malfl.parallel import Job, cores, run
from malfl.play import Player
from malfl.sampling import Recorder, counting
from malfl.soft import improve, improve_all

Evaluation = Literal["td", "sarsa", "exact"]


def learn(
    game: MarkovGame,
    *,
    alpha: float = 3.0,
    iterations: int = 10,
    episodes: int = 3000,
    steps: int = 1000,
    beta: float = 0.1,
    evaluation: Evaluation = "td",
    initial: Sequence[npt.ArrayLike] | None = None,
    record: bool = False,
    seed: int | np.random.Generator,
) -> LearningLog:
    """Let every agent learn by soft policy iteration while the others do the same.

    Algorithm 1 of MA-LfL; the defaults are those of its Table 3. In each iteration all agents
    play ``episodes`` episodes of ``steps`` steps, evaluate their policies from them, and improve
    simultaneously (Assumption 4.5). A progress bar appears in a terminal after two seconds.

    Parameters
    ----------
    alpha
        Entropy coefficient, greater than 0.
    iterations
        Number of improvements H, at least 1.
    beta
        Step size of temporal differences, in (0, 1].
    evaluation
        ``"td"``: Eq. 5 with a next action drawn for the update and not executed, as in
        Algorithm 1. ``"sarsa"``: with the action executed next. ``"exact"``: exact soft Q; the
        episodes only serve those who watch.
    initial
        Joint policy to start from, uniform by default.
    record
        Keep all trajectories: 1 to 4 bytes a step (``iterations * episodes * steps`` in all).
    seed
        The source of all randomness. A Generator moves on, so that its next use differs.

    Raises
    ------
    ValueError
        If a number is out of range, a policy is not one, ``evaluation`` is unknown, or the game is
        too large to pack a state and a joint action into 32 bits.
    MemoryError
        If there is no room for the counts, tables or trajectories.
    """
    job = learning(
        game, alpha=alpha, beta=beta, iterations=iterations, episodes=episodes, steps=steps,
        evaluation=evaluation, initial=initial, record=record, seed=seed,
    )  # fmt: skip
    return run([job], iterations * episodes * steps)[0]


def learn_all(
    games: Sequence[MarkovGame],
    *,
    seeds: Sequence[int],
    threads: int | None = None,
    alpha: float = 3.0,
    iterations: int = 10,
    episodes: int = 3000,
    steps: int = 1000,
    beta: float = 0.1,
    evaluation: Evaluation = "td",
    record: bool = False,
) -> list[list[LearningLog]]:
    """`learn` every game with every seed, several at a time.

    Parameters
    ----------
    threads
        Runs at the same time, by default as many as there are processors. The results do not
        depend on it.
    alpha, iterations, episodes, steps, beta, evaluation, record
        As for `learn`.

    Returns
    -------
    list of list of LearningLog
        For each game a log a seed: what ``learn(game, seed=seed, ...)`` returns.

    Raises
    ------
    ValueError
        As `learn` does, and if ``threads`` is less than 1.
    """
    threads = cores() if threads is None else checks.count(threads, "threads")
    settings: dict[str, Any] = {
        "alpha": alpha, "beta": beta, "iterations": iterations, "episodes": episodes,
        "steps": steps, "evaluation": evaluation, "record": record,
    }  # fmt: skip
    jobs = [learning(game, seed=seed, **settings) for game in games for seed in seeds]
    logs = run(jobs, len(jobs) * iterations * episodes * steps, threads)
    return [logs[k * len(seeds) : (k + 1) * len(seeds)] for k in range(len(games))]


def learning(
    game: MarkovGame,
    *,
    alpha: float,
    beta: float,
    iterations: int,
    episodes: int,
    steps: int,
    evaluation: Evaluation = "td",
    initial: Sequence[npt.ArrayLike] | None = None,
    record: bool = False,
    seed: int | np.random.Generator,
) -> Job[LearningLog]:
    """Check what `learn` was given, and return the work to do; see `malfl.parallel`."""
    checks.instance(game, MarkovGame, "game", "with rewards to learn from")
    alpha, beta = checks.positive(alpha, "alpha"), checks.step_size(beta)
    shape = (checks.count(iterations, "iterations"), game.n_states, game.n_joint_actions)
    episodes, steps = checks.steps_played(episodes, steps)
    checks.choice(evaluation, "evaluation", ("td", "sarsa", "exact"))
    start, rng = _start(game, initial), checks.generator(seed)
    checks.memory(8 * math.prod(shape), f"counts of shape {shape}", "learn for fewer iterations")
    if record:
        Recorder.check_memory(game, episodes, steps, times=shape[0])

    def work() -> Job[LearningLog]:
        history, evaluated, kept = [start], [], []
        counts = np.zeros(shape, dtype=np.int64)
        player = None if evaluation == "exact" and not record else Player(game)
        for taken in counts:
            policies = history[-1]
            recorder = Recorder(game, episodes, steps) if record else None
            if player is None:
                yield from counting(game, policies, episodes, steps, rng, taken)
            else:
                learned = TemporalDifferences(
                    game, policies, player, alpha=alpha, beta=beta,
                    executed=evaluation == "sarsa",
                )  # fmt: skip
                for block in player.play(policies, episodes, steps, rng):
                    learned.update(block)
                    if recorder:
                        recorder.add(block)
                    yield block.steps * len(block.codes)
                taken += learned.counts
                q = learned.q
            if evaluation == "exact":
                q, policies = improve_all(game, policies, alpha)
            else:
                policies = tuple(improve(values, alpha) for values in q)
            history.append(policies)
            evaluated.append(q)
            if recorder:
                kept.append(recorder.trajectories)
        return LearningLog(
            game=game,
            alpha=alpha,
            policies=_by_agent(history),
            q=_by_agent(evaluated),
            counts=counts,
            trajectories=tuple(kept) if record else None,
        )

    return work()


def iterate_exactly(
    game: MarkovGame,
    *,
    alpha: float = 3.0,
    iterations: int = 10,
    initial: Sequence[npt.ArrayLike] | None = None,
) -> Policies:
    """Policies pi_0..pi_H of exact soft policy iteration (Eq. 5 and 6), nothing sampled.

    Returns
    -------
    Policies
        One (H + 1, S, A_i) array an agent.
    """
    iterations = checks.count(iterations, "iterations")
    history = [_start(game, initial)]
    for _ in range(iterations):
        history.append(improve_all(game, history[-1], alpha)[1])
    return _by_agent(history)


def _start(game: MarkovGame, initial: Sequence[npt.ArrayLike] | None) -> Policies:
    return game.uniform_policies() if initial is None else game.check_policies(initial, "initial")


def _by_agent(history: Sequence[Policies]) -> Policies:
    return tuple(np.array(agent) for agent in zip(*history, strict=True))
