"""Every public function refuses, by the argument's name, what cannot be right."""

import inspect
import typing
from collections.abc import Callable
from functools import cache
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from test_pettingzoo import Nim

import malfl
from malfl import control, data, evaluation, games, learners, play, recovery, studies, theory
from malfl.evaluation import distances, identifiability, metrics
from malfl.games import classics, gridworlds, soft

ROOMS: tuple[ModuleType, ...] = (
    games, play, learners, recovery, evaluation, theory, studies, data, control,
)  # fmt: skip
FILES: tuple[ModuleType, ...] = (
    classics, gridworlds, soft, distances, identifiability, metrics,
)  # fmt: skip
#: Steps of what is public beside them, called in loops on what was checked.
UNCHECKED = {
    "is_flat",
    "entropy", "entropy_bonus", "or_uniform", "joint_probabilities", "state_transitions",
    "dense_state_transitions", "expectation_over_opponents", "over_opponents", "own_transitions",
    "dense_own_transitions", "soft_maximum",
}  # fmt: skip


#: What users make themselves. Other classes are made by the library, or say what one must do.
CONSTRUCTED = (
    malfl.Dynamics, malfl.MarkovGame, malfl.View, malfl.Study, malfl.LearningLog,
    learners.Training, learners.SoftPolicyIteration, learners.QLearning,
    recovery.Smoothing, recovery.EntropyRegularised, recovery.Descended,
    recovery.UniformWhereUnseen, recovery.Structural, recovery.Replay, recovery.PathLikelihood,
    recovery.LeastSquares, recovery.EvidenceRidge, recovery.Adam, recovery.MiniBatchAdam,
    recovery.LastPolicy, recovery.CausalEntropy, recovery.AsIfAlone, recovery.WithEstimatedRules,
    malfl.RecoveredReward, theory.Prediction, malfl.PlayLog, control.LfL, control.TRex,

)  # fmt: skip


class OneStep:
    """An environment of Gymnasium whose episodes have one step."""

    action_space = observation_space = SimpleNamespace(n=2, start=0)

    def reset(self, seed=None):
        return 0, {}

    def step(self, action):
        return 1, 0.0, True, False, {}


def public() -> dict[str, Callable]:
    found = {}
    for room in ROOMS:
        for name in room.__all__:
            one = getattr(room, name)
            if inspect.isfunction(one) or one in CONSTRUCTED:
                found[f"{one.__module__}.{name}"] = one
    for file in FILES:
        for name, one in vars(file).items():
            own = inspect.isfunction(one) and one.__module__ == file.__name__
            if own and not name.startswith("_") and name not in UNCHECKED:
                found[f"{file.__name__}.{name}"] = one
    for name in dir(malfl):
        one = getattr(malfl, name)
        if inspect.isfunction(one):
            found[f"{one.__module__}.{name}"] = one
    return found


@cache
def right() -> dict[str, object]:
    """Right arguments, by name."""
    game = gridworlds.ma_lfl(size=2)
    training = learners.Training(iterations=3, episodes=99, steps=99)
    log = learners.train(game, training, 0, record=True)
    return {
        "game": game, "dynamics": game, "games": [game], "mdp": gridworlds.lfl(), "agent": 0,
        "of": 0, "kind": "hom", "size": 2, "agents": 2, "slip": 0.0, "gamma": 0.5, "alpha": 1.0,
        "policies": game.uniform_policies(), "training": training, "log": log, "seed": 0,
        "seeds": [0], "view": log.seen_by(1), "iterations": 2, "episodes": 2, "steps": 2,
        "estimators": {"a": recovery.LeastSquares()}, "by": recovery.LeastSquares(),
        "improvements": 1, "true": game.rewards[0], "a": np.arange(16.0), "b": np.ones(16) * 16,
        "value": np.zeros(16), "q": np.zeros((16, 5)), "values": np.zeros((16, 5)), "sd": 1.0,
        "n": 3, "factors": [1.0], "predicted": log.policies[0][0], "actual": log.policies[0][0],
        "observed": log.policies[0][0], "error": 1.0, "number": 1, "reward_class": "state",
        "rate": 0.01, "task": "Reacher", "updates": 1,
        "env": SimpleNamespace(P=[[[(1.0, 0, 1.0, False)]]], reset=lambda seed: (0, {})),
    }  # fmt: skip


@cache
def run() -> control.Run:
    return control.learn("Reacher", 1, simulations=2, steps=64)


@cache
def own(name: str) -> dict[str, object]:
    """Arguments that are called alike and mean something else in this function."""
    log = right()["log"]
    assert isinstance(log, malfl.LearningLog)
    reward = malfl.recover(log.seen_by(1), of=0, by=recovery.LeastSquares(), unvisited="omit")
    histories = {"policies": log.policies}
    solver = recovery.LeastSquares()
    squares = {"b": np.arange(16.0) ** 2}
    limited = {"reward": right()["true"], "beta": 0.1}
    rows = {
        "iteration": [0, 0, 1],
        "state": [0, 1, 0],
        "action": [0, 1, 1],
        "next_state": [1, 0, 1],
    }
    chosen = {"agents": [0], "improvements": [1]}
    body = {"view": run().seen(), "policy": run().policies[0]}
    return {
        "separate_clones": body, "pooled_clones": body, "score": body,
        "lifted": body | {"reward": control.LogDensity(run().policies[0])},
        "reward_table": {"reward": reward}, "plot_reward": {"reward": reward},
        "compare": {"reward": reward}, "correlation": {"recovered": reward},
        "normalised": {"reward": np.arange(3.0)}, "interval": {"values": [1.0, 2.0]},
        "pearson": squares, "spearman": squares, "epic": squares, "starc": squares,
        "identifiability": histories | {"improvements": [1]}, "open_directions": histories,
        "recovered": chosen, "rewards": chosen, "trained_and_recovered": chosen,
        "consistency_system": histories, "improvement_targets": histories,
        "recover_from_policies": histories, "estimate_policies": {"by": recovery.Smoothing()},
        "Dynamics": vars(right()["game"]), "MarkovGame": vars(right()["game"]),
        "RecoveredReward": vars(reward), "View": vars(log.seen_by(1)), "LearningLog": vars(log),
        "identified_error": {"found": reward, "truth": np.zeros(16)},
        "limit_with_episodes": limited, "limit_from_counts": limited,
        "from_pettingzoo": {"env": Nim(), "key": None, "most_states": 10},
        "record": {"env": OneStep(), "policies": [lambda observation: 0]},
        "read_log": {"source": rows, "game": None, "state": "state"},
        "PlayLog": vars(malfl.read_log(rows, gamma=0.5)) | {"estimated_rules": True},
        "Prediction": {"guess": np.zeros(16)},
        "Study": {"games": {"a": right()["game"]}}, "AsIfAlone": {"estimator": solver},
        "WithEstimatedRules": {"estimator": solver},
        "UniformWhereUnseen": {"fitted": recovery.Smoothing()},
        "random_predictions": {
            n: p.default for n, p in inspect.signature(theory.random_predictions).parameters.items()
        } | {"number": 1, "seed": 0},
    }.get(name, {})  # fmt: skip


MASKED = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
NOT_NUMBERS = (None, "1", b"1", True, 1j, object())


def wrong(annotation: object) -> tuple[object, ...]:
    """What a parameter that is annotated so must not take."""
    if annotation is float:
        return (*NOT_NUMBERS, np.nan, np.inf, 10**400, MASKED)
    if annotation in (int, int | np.random.Generator):
        return (*NOT_NUMBERS, 1.5, np.nan, -1, -(10**5000), MASKED)
    if annotation is bool:
        return (None, "False", 1, object())
    options = typing.get_args(annotation)
    if type(None) in options:
        return (object(), "nonsense", 1j)
    return (None, object(), "nonsense", 1j, MASKED)


#: A log from a file can name a learner that is not known here; `learn` and `train` refuse it.
A_TEXT = learners.Training, "learners"


def cases() -> list[object]:
    found = []
    for name, function in sorted(public().items()):
        for parameter in inspect.signature(function).parameters.values():
            for k, value in enumerate(wrong(parameter.annotation)):
                if (function, parameter.name) == A_TEXT and isinstance(value, str):
                    continue
                found.append(
                    pytest.param(function, parameter.name, value, id=f"{name}-{parameter.name}-{k}")
                )
    return found


def call(function: Callable, **changed: object) -> object:
    known = own(function.__name__)
    if not inspect.isclass(function):  # whose defaults are right, and others' take long
        known = right() | known
    given = {}
    for name, parameter in inspect.signature(function).parameters.items():
        required = parameter.default is inspect.Parameter.empty
        given[name] = known.get(name, right().get(name) if required else parameter.default)
    result = function(**given | changed)
    return list(result) if inspect.isgenerator(result) else result


@pytest.mark.parametrize("function", public().values(), ids=public())
def test_what_is_right_passes(function):
    call(function)


@pytest.mark.parametrize(("function", "name", "value"), cases())
def test_what_is_wrong_is_refused_by_name(function, name, value):
    with pytest.raises((TypeError, ValueError, MemoryError), match=rf"\b{name}\b") as refused:
        call(function, **{name: value})
    assert len(str(refused.value)) < 500
