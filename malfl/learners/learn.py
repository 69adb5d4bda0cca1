"""Agents that learn together (MA-LfL, Algorithm 1, and other learners in its place)."""

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import get_args

import numpy as np
import numpy.typing as npt

from malfl import checks, progress
from malfl.checks import IntArray
from malfl.games.markov import MarkovGame, Policies
from malfl.learners.learner import Improvement, Iteration, Learner, Learning, Needs
from malfl.learners.log import LearningLog, Training, by_agent
from malfl.learners.soft_policy_iteration import SoftPolicyIteration, SoftPolicyLearning
from malfl.learners.temporal_differences import TemporalDifferences
from malfl.play.episodes import Episodes
from malfl.play.player import Player
from malfl.play.sampling import Recorder, add_counts


def learn(
    game: MarkovGame,
    learners: Learner | Sequence[Learner] = SoftPolicyIteration(),
    *,
    alpha: float = 3.0,
    iterations: int = 10,
    episodes: int = 3000,
    steps: int = 1000,
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
        How the agents learn: one `malfl.learners.learner.Learner` for all, or one for each. Every
        agent begins anew with it.
    alpha
        Entropy coefficient, greater than 0.
    iterations
        Number of improvements H, at least 1.
    initial
        Joint policy to start from, uniform by default.
    record
        Record all episodes: 1 to 4 bytes a step (``iterations * episodes * steps`` in all).
    seed
        The source of all randomness. A Generator moves on, so that its next use differs.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, a policy is not one, a learner is none, or the game is too
        large to pack a state and a joint action into 32 bits.
    MemoryError
        If there is no room for the counts, tables or episodes.
    """
    training = Training(learners, alpha, iterations, episodes, steps)  # type: ignore[arg-type]
    return train(game, training, seed, initial=initial, record=record)


def learn_all(
    games: Sequence[MarkovGame],
    training: Training = Training(),
    *,
    seeds: Sequence[int],
    record: bool = False,
    executor: Executor | None = None,
) -> list[list[LearningLog]]:
    """Let agents learn in every game with every seed, several runs at a time.

    Parameters
    ----------
    executor
        As for `malfl.progress.run`. The results do not depend on it.

    Returns
    -------
    list of list of LearningLog
        For each game a log a seed.

    Raises
    ------
    TypeError, ValueError
        As `malfl.learn` does; before any run begins.
    """
    checks.sequence(games, "games", "one or more of them")
    checks.sequence(seeds, "seeds", "a whole number for each run of a game")
    checks.instance(training, Training, "training", "with what learn takes beside it")
    for k, game in enumerate(games):
        check_training(game, training, record, f"games[{k}]")
    numbers = [checks.count(seed, f"seeds[{k}]", 0) for k, seed in enumerate(seeds)]
    calls = [(game, training, seed, None, record) for game in games for seed in numbers]
    logs = progress.run(train, calls, executor)
    return [logs[k * len(numbers) : (k + 1) * len(numbers)] for k in range(len(games))]


def check_training(
    game: MarkovGame, training: Training, record: bool = False, name: str = "game"
) -> None:
    """Raise unless agents can be trained so in a game, called ``name``; see `malfl.learn`."""
    checks.instance(game, MarkovGame, name, "with rewards to learn from")
    checks.instance(training, Training, "training", "with what learn takes beside it")
    checks.boolean(record, "record")
    for i, one in enumerate(training.learner_of(game.n_agents)):
        checks.instance(one, Learner, f"learners[{i}]", "such as SoftPolicyIteration()")
        checks.choice(one.needs, f"needs of learners[{i}]", get_args(Needs))
    shape = (training.iterations, game.n_states, game.n_joint_actions)
    checks.memory(8 * math.prod(shape), f"counts of shape {shape}", "learn for fewer iterations")


def train(
    game: MarkovGame,
    training: Training,
    seed: int | np.random.Generator,
    initial: Sequence[npt.ArrayLike] | None = None,
    record: bool = False,
) -> LearningLog:
    """`malfl.learn`, its settings given as one value."""
    check_training(game, training, record)
    start = game.uniform_policies() if initial is None else game.check_policies(initial, "initial")
    rng = checks.generator(seed)
    learners = training.learner_of(game.n_agents)
    # A stream of their own, so that what learners draw does not depend on how steps are drawn.
    draws = rng.spawn(1)[0] if any(one.needs != "draws" for one in learners) else rng
    states = [one.start(game, i, training.alpha, draws) for i, one in enumerate(learners)]
    playing = _Playing(game, training, learners, states, rng, record)
    history, values, counts, recorded = [start], [], [], []
    with progress.bar(training.iterations * training.episodes * training.steps):
        for number in range(training.iterations):
            taken, now = playing.play(number, history[-1])
            improved = [_checked(state.improve(now), game, i) for i, state in enumerate(states)]
            history.append(tuple(one.policy for one in improved))
            values.append(
                [
                    np.full_like(one.policy, np.nan) if one.values is None else one.values
                    for one in improved
                ]
            )
            counts.append(taken)
            if record and now.played:
                recorded.append(now.played)
            del now  # steps that nobody keeps are gone before others are played
    return LearningLog(
        game=game,
        training=replace(
            training, seed=None if isinstance(seed, np.random.Generator) else int(seed)
        ),
        policies=by_agent(history),
        q=by_agent(values),
        counts=np.array(counts),
        episodes=tuple(recorded) if record else None,
    )


class _Playing:
    """Plays iterations, and records or learns on the way what learners need.

    Soft policy iteration by temporal differences is done by one kernel while the steps are made,
    for all agents with the same parameters together.
    """

    def __init__(
        self,
        game: MarkovGame,
        training: Training,
        learners: Sequence[Learner],
        states: Sequence[Learning],
        rng: np.random.Generator,
        record: bool,
    ) -> None:
        self.game, self.training, self.rng = game, training, rng
        self.fused: dict[SoftPolicyIteration, list[int]] = {}
        self.states = states
        rest = []
        for i, (learner, state) in enumerate(zip(learners, states, strict=True)):
            if (
                learner.needs == "draws"
                and isinstance(state, SoftPolicyLearning)
                and state.learns_from_steps(game, i, training.alpha)
            ):
                self.fused.setdefault(state.learner, []).append(i)
            else:
                rest.append(learner.needs)
        self.ahead = "draws" in rest
        self.recorded = record or self.ahead or "steps" in rest
        if self.recorded:
            times = (training.iterations if record else 1) + self.ahead
            Recorder.check_memory(game, training.episodes, training.steps, times)
        self.player = Player(game) if self.fused or self.recorded else None

    def play(self, number: int, policies: Policies) -> tuple[IntArray, Iteration]:
        """Play one iteration: its counts (S, A), and what learners may see of it."""
        game, training = self.game, self.training
        if self.player is None:
            counts: IntArray = np.zeros((game.n_states, game.n_joint_actions), dtype=np.int64)
            add_counts(game, policies, training.episodes, training.steps, self.rng, counts)
            return counts, Iteration(number, policies)
        learned = [
            TemporalDifferences(
                game, policies, agents, self.player.own_pairs, self.player.by_code,
                alpha=training.alpha, beta=one.beta, executed=one.evaluation == "sarsa",
            )
            for one, agents in self.fused.items()
        ]  # fmt: skip
        recorder = None
        if self.recorded:
            recorder = Recorder(game, training.episodes, training.steps, self.ahead)
        for block in self.player.play(policies, training.episodes, training.steps, self.rng):
            for one in learned:
                one.update(block.codes, block.steps)
            if recorder:
                recorder.add(block)
            progress.advance(block.steps * len(block.codes))
        for one, agents in zip(learned, self.fused.values(), strict=True):
            for i, q in zip(agents, one.q, strict=True):
                state = self.states[i]
                assert isinstance(state, SoftPolicyLearning)
                state.evaluated = q
        played: Episodes | None = recorder.episodes() if recorder else None
        counts = played.counts() if played else learned[0].counts
        return counts, Iteration(number, policies, played, recorder.ahead if recorder else None)


def _checked(improved: Improvement, game: MarkovGame, agent: int) -> Improvement:
    """What a learner says, refused unless it is a policy."""
    name = f"what learners[{agent}] learned"
    checks.instance(improved, Improvement, name, "a policy and its values")
    shape = (game.n_states, game.actions[agent])
    name = f"policy of learners[{agent}]"
    policy = game.check_legal(checks.distributions(improved.policy, name, shape), agent, name)
    values = improved.values
    if values is not None:
        values = checks.finite(values, f"values of learners[{agent}]")
        if values.shape != shape:
            raise ValueError(
                f"values of learners[{agent}] must have shape {shape}, got {values.shape}"
            )
    return Improvement(policy, values)
