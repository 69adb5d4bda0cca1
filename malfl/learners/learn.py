"""Agents that learn together (MA-LfL, Algorithm 1, and other learners in its place)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from malfl import checks
from malfl.checks import FloatArray, IntArray
from malfl.games import MarkovGame, Policies
from malfl.learners.evaluation import TemporalDifferences
from malfl.learners.learner import Learner, Round
from malfl.learners.named import Evaluation, Learners, one_for_each
from malfl.logs import LearningLog
from malfl.parallel import Job, cores, run
from malfl.play import Player
from malfl.sampling import Recorder, Trajectories, counting
from malfl.soft import improve


def learn(
    game: MarkovGame,
    learners: Learners = "soft policy iteration",
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
    """Let every agent learn while the others do the same, by soft policy iteration or otherwise.

    Algorithm 1 of MA-LfL; the defaults are those of its Table 3. In each iteration all agents
    play ``episodes`` episodes of ``steps`` steps, evaluate their policies from them, and improve
    simultaneously (Assumption 4.5). A progress bar appears in a terminal after two seconds.

    Parameters
    ----------
    learners
        How the agents learn: ``"soft policy iteration"``, ``"soft value iteration"``,
        ``"Q-learning"``, ``"random improvements"``, or a `malfl.learners.learner.Learner`; one for
        all agents, or one for each.
    alpha
        Entropy coefficient, greater than 0.
    iterations
        Number of improvements H, at least 1.
    beta
        Step size of temporal differences and of Q-learning, in (0, 1].
    evaluation
        How soft policy iteration evaluates. ``"td"``: Eq. 5 with a next action drawn for the update
        and not executed, as in Algorithm 1. ``"sarsa"``: with the action executed next.
        ``"exact"``: exact soft Q; the episodes only serve those who watch.
    initial
        Joint policy to start from, uniform by default.
    record
        Keep all trajectories: 1 to 4 bytes a step (``iterations * episodes * steps`` in all).
    seed
        The source of all randomness. A Generator moves on, so that its next use differs.

    Raises
    ------
    ValueError
        If a number is out of range, a policy is not one, a learner or ``evaluation`` is unknown, or
        the game is too large to pack a state and a joint action into 32 bits.
    MemoryError
        If there is no room for the counts, tables or trajectories.
    """
    job = learning(
        game, learners, alpha=alpha, beta=beta, iterations=iterations, episodes=episodes,
        steps=steps, evaluation=evaluation, initial=initial, record=record, seed=seed,
    )  # fmt: skip
    return run([job], iterations * episodes * steps)[0]


def learn_all(
    games: Sequence[MarkovGame],
    learners: Learners = "soft policy iteration",
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
    learners, alpha, iterations, episodes, steps, beta, evaluation, record
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
    jobs = [learning(game, learners, seed=seed, **settings) for game in games for seed in seeds]
    logs = run(jobs, len(jobs) * iterations * episodes * steps, threads)
    return [logs[k * len(seeds) : (k + 1) * len(seeds)] for k in range(len(games))]


def learning(
    game: MarkovGame,
    learners: Learners = "soft policy iteration",
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
    how = one_for_each(learners, game.n_agents, beta, evaluation)
    start = game.uniform_policies() if initial is None else game.check_policies(initial, "initial")
    rng = checks.generator(seed)
    checks.memory(8 * math.prod(shape), f"counts of shape {shape}", "learn for fewer iterations")
    on_the_way = [i for i, one in enumerate(how) if one is None]
    # A stream of their own, so that what learners draw does not depend on how steps are drawn.
    draws = rng.spawn(1)[0] if len(on_the_way) < len(how) else rng
    needed = record or any(one is not None and one.needs_steps for one in how)
    if needed:
        Recorder.check_memory(game, episodes, steps, times=shape[0] if record else 1)

    def work() -> Job[LearningLog]:
        history, evaluated, kept = [start], [tuple(np.zeros_like(policy) for policy in start)], []
        counts = np.zeros(shape, dtype=np.int64)
        player = Player(game) if on_the_way or needed else None
        for number, taken in enumerate(counts):
            policies = history[-1]
            learned = recorder = played = None
            if player is None:
                yield from counting(game, policies, episodes, steps, rng, taken)
            else:
                if on_the_way:
                    learned = TemporalDifferences(
                        game, policies, player, alpha=alpha, beta=beta,
                        executed=evaluation == "sarsa", agents=on_the_way,
                    )  # fmt: skip
                if needed:
                    recorder = Recorder(game, episodes, steps)
                for block in player.play(policies, episodes, steps, rng):
                    if learned:
                        learned.update(block)
                    if recorder:
                        recorder.add(block)
                    yield block.steps * len(block.codes)
            if recorder:
                played = recorder.trajectories
                taken += _counts(played, taken.shape)
            elif learned:
                taken += learned.counts
            by_differences = iter(learned.q if learned else ())
            q = tuple(
                next(by_differences) if one is None
                else _values(one, Round(game, i, alpha, number, policies, before, played, draws))
                for i, (one, before) in enumerate(zip(how, evaluated[-1], strict=True))
            )  # fmt: skip
            history.append(tuple(improve(values, alpha) for values in q))
            evaluated.append(q)
            if record and played:
                kept.append(played)
        return LearningLog(
            game=game,
            alpha=alpha,
            policies=_by_agent(history),
            q=_by_agent(evaluated[1:]),
            counts=counts,
            trajectories=tuple(kept) if record else None,
        )

    return work()


def _values(learner: Learner, now: Round) -> FloatArray:
    values = checks.finite(learner.values(now), f"values of learners[{now.agent}]")
    if values.shape != now.q.shape:
        raise ValueError(
            f"values of learners[{now.agent}] must have shape {now.q.shape}, got {values.shape}"
        )
    return values


def _counts(played: Trajectories, shape: tuple[int, int]) -> IntArray:
    return np.bincount(played.steps.ravel(), minlength=math.prod(shape)).reshape(shape)


def _by_agent(history: Sequence[Policies]) -> Policies:
    return tuple(np.array(agent) for agent in zip(*history, strict=True))
