"""An interrupt is heard within a second by every public function that can take longer."""

import gc
import inspect
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from test_gates import OneStep, public
from test_pettingzoo import Nim

import malfl
from malfl import Dynamics, MarkovGame, control, learners, progress, recovery, studies, theory
from malfl.evaluation import distances, identifiability
from malfl.games import from_pettingzoo, gridworlds, soft
from malfl.theory import bounds

HEARD = 1.0  # second
BEGUN = 0.3  # seconds until the interrupt

#: What only goes over its arguments some few times, whatever they are.
SHORT = {
    "from_gymnasium", "reward_table", "plot_reward", "example_log",
    "correlation", "interval", "normalised", "pearson", "prediction_half_width", "spearman",
    "epic", "lfl", "ma_lfl", "positions", "improve", "improve_all", "induced_mdp",
    "marginal_backup", "marginal_soft_q", "soft_q", "soft_return", "soft_value",
    "soft_value_error", "soft_improvement", "as_if_alone", "consistency_system",
    "prediction_error", "estimate_rules", "improvement_targets", "certified_prediction_error",
    "certified_reward_error", "identified_error", "iterated_dilemma", "stag_hunt", "lanes",
    "lifted", "hand_over", "coin", "soccer", "predator_prey", "frozen_lake",
}  # fmt: skip


@cache
def large() -> MarkovGame:
    """So large that a decomposition takes long; nobody can play all of it."""
    rng = np.random.default_rng(0)
    states = 1500
    return MarkovGame(
        actions=(2, 2), transitions=rng.integers(0, states, size=(states, 4)), start=0, gamma=0.9,
        rewards=rng.normal(size=(2, states)),
    )  # fmt: skip


class Endless(Nim):
    """So many stones that nobody gets to the end of them."""

    stones = 10**6


@cache
def body() -> control.Run:
    """What an ant did; an observer of it needs minutes."""
    return control.learn("Ant", 3, simulations=4, steps=4096)


@cache
def rows() -> dict[str, np.ndarray]:
    """A table of many."""
    number = np.random.default_rng(0).integers(0, 4, size=3 * 10**7).astype(np.int8)
    return {"state": number, "action": number, "next_state": np.roll(number, -1)}


@cache
def medium() -> MarkovGame:
    """At the limit up to which the dense estimators go."""
    rng = np.random.default_rng(1)
    states = 400
    return MarkovGame(
        actions=(3, 3), transitions=rng.integers(0, states, size=(states, 9)), start=0, gamma=0.9,
        rewards=rng.normal(size=(2, states)),
    )  # fmt: skip


@cache
def watched(large_one: bool) -> malfl.View:
    game = large() if large_one else medium()
    training = learners.Training(iterations=8, episodes=1000, steps=100)
    return learners.train(game, training, 0, record=True).seen_by(1)


@cache
def blurred() -> malfl.View:
    """With moves that may lead anywhere; what is called is compiled."""
    malfl.most_likely_states(watched(False).first(1), 0.01)
    game = medium()
    blur = np.full((game.transitions.shape[0], game.n_states), 1e-3 / game.n_states)
    dynamics = Dynamics(
        actions=game.actions, start=0, gamma=0.9,
        transitions=(blur + (1 - 1e-3) * game.transitions).reshape(game.n_states, 9, -1),
    )  # fmt: skip
    return replace(watched(False), dynamics=dynamics)


@cache
def histories() -> tuple[np.ndarray, ...]:
    return tuple(soft_policies(medium(), 20))


def soft_policies(game: Dynamics, number: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.dirichlet(np.ones(own), size=(number, game.n_states)) for own in game.actions]


def sparse_policies() -> list[np.ndarray]:
    return [policies[0] for policies in soft_policies(sparse(), 1)]


@cache
def sparse() -> MarkovGame:
    """So many states that even a sparse decomposition takes long."""
    rng = np.random.default_rng(3)
    states = 4000
    return MarkovGame(
        actions=(4, 2), transitions=rng.integers(0, states, size=(states, 8)), start=0, gamma=0.9,
        rewards=rng.normal(size=(2, states)),
    )  # fmt: skip


LONG = {"episodes": 100_000, "steps": 20_000}
ENDLESS = learners.Training(iterations=1000, **LONG)
ADAM = recovery.Adam(steps=10**9)


def known() -> dict[str, object]:
    return {"of": 0, "reward": medium().rewards[0], "beta": 0.1}


def recovered(by: object, large_one: bool) -> Callable[[], object]:
    view = watched(large_one)
    return lambda: malfl.recover(view, of=0, by=by, unvisited="omit")


def a_prediction() -> theory.Prediction:
    game = medium()
    now = [policies[0] for policies in histories()]
    guess = np.random.default_rng(4).normal(size=game.n_states)
    return theory.Prediction(game, now, agent=0, alpha=1.0, guess=guess)


def endless_study() -> studies.Study:
    games = {"hom": gridworlds.ma_lfl("hom")}
    return studies.Study(games, ENDLESS, {"adam": ADAM}, range(3))


def grid() -> MarkovGame:
    return gridworlds.ma_lfl("hom")


#: By public function, what takes long; made first, then called.
CASES: dict[str, Callable[[], Callable[[], object]]] = {
    "learn": lambda: lambda: malfl.learn(grid(), **LONG, seed=0),
    "learn, one step an iteration": lambda: (
        lambda: malfl.learn(grid(), iterations=10**5, episodes=1, steps=1, seed=0)
    ),
    "learn, by Q-learning": lambda: lambda: malfl.learn(grid(), malfl.QLearning(), **LONG, seed=0),
    "learn, by value iteration": lambda: (
        lambda: malfl.learn(grid(), malfl.SoftValueIteration(), **LONG, seed=0)
    ),
    "train": lambda: lambda: learners.train(grid(), ENDLESS, 0),
    "learn, with a body": lambda: lambda: control.learn("Ant", 99),
    "learn, with a body, while it updates": lambda: (
        lambda: control.learn("Reacher", 10**6, simulations=512, steps=1)
    ),
    "score": lambda: lambda: control.score(body().policies[0], "Ant", episodes=500),
    "separate_clones": lambda: partial(control.separate_clones, body().seen()),
    "pooled_clones": lambda: partial(control.pooled_clones, body().seen()),
    "recover, Algorithm 1": lambda: partial(control.LfL().reward, body().seen()),
    "recover, T-REX": lambda: partial(control.TRex().reward, body().seen()),
    "recover, motion": lambda: partial(control.Motion().reward, body().seen()),
    "learn_all": lambda: lambda: malfl.learn_all([grid()], ENDLESS, seeds=[0, 1]),
    "learn_all, once": lambda: lambda: malfl.learn_all([grid()], ENDLESS, seeds=[0]),
    "iterate_exactly": lambda: lambda: malfl.iterate_exactly(large(), alpha=1.0, iterations=5000),
    "soft_optimum": lambda: (
        lambda: soft.soft_optimum(
            soft.induced_mdp(large(), large().uniform_policies(), 0), 1e-3, 1e-15
        )
    ),
    "sample_counts": lambda: (
        lambda: malfl.sample_counts(
            large(), large().uniform_policies(), episodes=10**6, steps=10**5, seed=0, method="walk"
        )
    ),
    "sample_episodes": lambda: (
        lambda: malfl.sample_episodes(
            grid(), grid().uniform_policies(), episodes=20_000, steps=100_000, seed=0
        )
    ),
    "most_likely_states": lambda: partial(malfl.most_likely_states, blurred(), 0.01),
    "recover, structural": lambda: recovered("structural", True),
    "recover, replay": lambda: recovered("replay", True),
    "recover, path likelihood": lambda: recovered("path likelihood", True),
    "recover, path of Q-learning": lambda: recovered(
        malfl.PathLikelihood((malfl.QLearning(),)), False
    ),
    "recover, causal entropy": lambda: recovered("causal entropy", True),
    "recover, evidence ridge": lambda: recovered(malfl.EvidenceRidge("state-action"), False),
    "recover, least squares": lambda: recovered(malfl.LeastSquares("state-action"), False),
    "recover, Adam": lambda: recovered(ADAM, False),
    "sensitivity": lambda: lambda: malfl.sensitivity(watched(False), of=0, by=ADAM),
    "limit_with_episodes": lambda: lambda: recovery.limit_with_episodes(watched(False), **known()),
    "limit_from_counts": lambda: lambda: recovery.limit_from_counts(watched(False), **known()),
    "forecast": lambda: lambda: malfl.forecast(watched(True), of=0, by=malfl.Structural()),
    "forecast, mini-batches": lambda: (
        lambda: malfl.forecast(watched(False), of=0, by=malfl.MiniBatchAdam(steps=10**9))
    ),
    "estimate_policies": lambda: (
        lambda: malfl.estimate_policies(watched(True), recovery.Descended(steps=10**9))
    ),
    "recover_from_policies": lambda: (
        lambda: malfl.recover_from_policies(medium(), histories(), of=0, alpha=1.0)
    ),
    "open_directions": lambda: lambda: identifiability.open_directions(medium(), histories(), 0),
    "identifiability": lambda: (
        lambda: identifiability.identifiability(medium(), histories(), 0, "state", [20])
    ),
    "exact_recovery": lambda: lambda: identifiability.exact_recovery(medium(), 1.0, 50),
    "starc": lambda: (
        lambda: distances.starc(
            np.arange(4000.0), np.arange(4000.0) ** 2, sparse(), sparse_policies(), 0
        )
    ),
    "compare": lambda: (
        lambda: malfl.compare(
            recovery.RecoveredReward(np.arange(4000.0), "state", recovery.NoFit()), sparse(), 0
        )
    ),
    "random_predictions": lambda: lambda: list(theory.random_predictions(10**9, seed=0)),
    "report": lambda: lambda: [bounds.report(a_prediction()) for _ in range(20)],
    "Study.scores": lambda: lambda: endless_study().scores(),
    "trained_and_recovered": lambda: (
        lambda: studies.trained_and_recovered(grid(), ENDLESS, 0, {"adam": ADAM})
    ),
    "recovered": lambda: lambda: studies.recovered(a_log(), {"adam": ADAM}),
    "rewards": lambda: lambda: studies.rewards(grid(), ENDLESS, 0, {"adam": ADAM}),
    "misread_alpha": lambda: (
        lambda: studies.misread_alpha(grid(), ENDLESS, 0, {"adam": ADAM}, [1.0])
    ),
    "errors_of_forecast": lambda: (
        lambda: studies.errors_of_forecast(grid(), ENDLESS, 0, malfl.MiniBatchAdam(), 0)
    ),
    "read_log": lambda: partial(malfl.read_log, rows(), gamma=0.9, window=10**6),
    "record": lambda: partial(
        malfl.record, OneStep(), [lambda observation: 0], episodes=10**8, seed=0
    ),
    "from_pettingzoo": lambda: partial(from_pettingzoo, Endless(), gamma=0.9, most_states=10**9),
}


@cache
def a_log() -> malfl.LearningLog:
    return malfl.learn(grid(), iterations=3, episodes=1000, steps=100, seed=0)


def test_every_public_function_is_short_or_tried():
    functions = {
        name.rpartition(".")[2] for name, one in public().items() if inspect.isfunction(one)
    }
    tried = {case.partition(",")[0] for case in CASES}
    assert functions - tried == SHORT


@pytest.mark.parametrize("case", CASES)
def test_an_interrupt_is_heard(case):
    call = CASES[case]()
    gc.collect()  # an interrupt while a compiler's leftovers are collected is lost in them
    sent = []

    def interrupt():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(BEGUN, interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
    finally:
        timer.cancel()
    assert time.monotonic() - sent[0] < HEARD
    # What a stopped thread was busy with ends by itself, at its next step.
    give_up = time.monotonic() + 60
    while (left := at_work()) and time.monotonic() < give_up:
        time.sleep(0.05)
    stacks = sys._current_frames()
    assert not left, ["".join(traceback.format_stack(stacks[thread])) for thread in left]


def at_work() -> list[int]:
    """Threads that still run; an interrupt of `start` may leave one listed that never began."""
    threads = [one for one in threading.enumerate() if one.name == progress.APART]
    return [one.ident for one in threads if one.ident is not None and one.is_alive()]
