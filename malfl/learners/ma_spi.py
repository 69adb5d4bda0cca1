"""Multi-agent soft policy iteration (MA-LfL, Algorithm 1)."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from malfl import checks
from malfl.checks import FloatArray
from malfl.games import MarkovGame, Policies
from malfl.kernels.counts import add_joint_counts
from malfl.kernels.temporal_difference import soft_td
from malfl.logs import LearningLog
from malfl.sampling import Trajectories, cumulative, joined, trajectory_batches
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
        Keep all trajectories: ``4 * iterations * episodes * (2 * steps + 1)`` bytes.
    seed
        The source of all randomness. A Generator moves on, so that its next use differs.

    Raises
    ------
    ValueError
        If a number is out of range, a policy is not one, or ``evaluation`` is unknown.
    """
    checks.instance(game, MarkovGame, "game", "with rewards to learn from")
    alpha, beta = checks.positive(alpha, "alpha"), checks.step_size(beta)
    iterations = checks.count(iterations, "iterations")
    episodes, steps = checks.count(episodes, "episodes"), checks.count(steps, "steps")
    checks.choice(evaluation, "evaluation", ("td", "sarsa", "exact"))
    policies = _start(game, initial)
    world, *minds = checks.generator(seed).spawn(1 + game.n_agents)
    history, evaluated, kept = [policies], [], []
    counts = np.zeros((iterations, game.n_states, game.n_joint_actions), dtype=np.int64)
    # `disable=None` keeps the bar off anything but a terminal.
    bar = tqdm(total=iterations * episodes, unit="episode", delay=2, disable=None, leave=False)
    with bar:
        for h in range(iterations):
            q: Policies = tuple(np.zeros_like(policy) for policy in policies)
            batches: list[Trajectories] = []
            for batch in trajectory_batches(game, policies, episodes, steps, world):
                add_joint_counts(counts[h], batch.states, batch.actions)
                if evaluation != "exact":
                    for i, rng in enumerate(minds):
                        _evaluate(q[i], batch, game, i, policies[i], alpha, beta, evaluation, rng)
                if record:
                    batches.append(batch)
                bar.update(len(batch))
            if evaluation == "exact":
                q, policies = improve_all(game, policies, alpha)
            else:
                policies = tuple(improve(values, alpha) for values in q)
            history.append(policies)
            evaluated.append(q)
            kept.append(batches)
    return LearningLog(
        game=game,
        alpha=alpha,
        policies=_by_agent(history),
        q=_by_agent(evaluated),
        counts=counts,
        trajectories=tuple(joined(batches) for batches in kept) if record else None,
    )


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


def _evaluate(
    q: FloatArray,
    batch: Trajectories,
    game: MarkovGame,
    agent: int,
    policy: FloatArray,
    alpha: float,
    beta: float,
    evaluation: Evaluation,
    rng: np.random.Generator,
) -> None:
    reward = game.rewards[agent]
    # An action of probability zero is never drawn, so its bonus is never used.
    bonus = -alpha * np.log(policy, where=policy > 0, out=np.zeros_like(policy))
    soft_td(
        rng,
        q,
        batch.states,
        batch.actions,
        game.own_actions[agent],
        reward.reshape(game.n_states, -1),
        cumulative(policy),
        bonus,
        game.gamma,
        beta,
        evaluation == "sarsa",
    )


def _by_agent(history: Sequence[Policies]) -> Policies:
    return tuple(np.array(agent) for agent in zip(*history, strict=True))
