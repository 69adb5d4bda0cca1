"""Values that travel: to other processes by pickle, and to other days by a file."""

import copy
import importlib
import json
import pickle
import subprocess
import sys
import zipfile
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from inspect import isabstract
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drawn import random_game
from scipy.sparse import csr_array

import malfl
from malfl import checks, control, values
from malfl.recovery import (
    Descended,
    Determination,
    EntropyRegularised,
    MaximumLikelihood,
    NoFit,
    RecoveredReward,
    Smoothing,
    UniformWhereUnseen,
)
from malfl.recovery.reward import AsSaid
from malfl.values import Value


def classes():
    """All kinds of values that malfl has, without those that other tests make up."""
    folder = Path(malfl.__file__).parent
    for file in folder.rglob("*.py"):
        if "from malfl.values import" in file.read_text():
            parts = file.relative_to(folder).with_suffix("").parts
            importlib.import_module(".".join(("malfl", *parts)))
    found = [Value]
    for one in found:
        found += [kind for kind in one.__subclasses__() if is_there(kind)]
    return found[1:]


def is_there(kind):
    module = sys.modules.get(kind.__module__)
    ours = kind.__module__.startswith("malfl.")
    return ours and getattr(module, kind.__name__, None) is kind


@cache
def made():
    """A value of each kind, by the name of its class, and some of special interest."""
    from malfl.companion.lfl import Adaptive
    from malfl.companion.regimes import Annealed

    exact = malfl.SoftPolicyIteration(evaluation="exact")
    game = random_game(np.random.default_rng(0), state_rewards=True)
    log = malfl.learn(
        game, [exact, malfl.RandomImprovements()], alpha=0.5, iterations=3, episodes=50, steps=20,
        record=True, seed=0,
    )  # fmt: skip
    view, bystander = log.seen_by(1), log.seen_by(None)
    structural = malfl.recover(view, of=0, by=malfl.Structural())
    squares = malfl.recover(view, of=0, by=malfl.LeastSquares())
    evident = malfl.recover(view, of=0, by=malfl.EvidenceRidge("state-action"))
    path = malfl.recover(view, of=0, by=malfl.PathLikelihood())
    likeliest = malfl.recover(view, of=0)
    features = malfl.Features(np.eye(game.n_states)[:, :2])
    featured = malfl.recover(view, of=0, by=malfl.Structural(reward_class=features))
    run = control.learn("Reacher", 1, simulations=2, steps=64)
    scale = (np.zeros(13), np.ones(13))
    network = run.policies[0].layers
    several = [
        run, run.seen(), run.rollouts[0], run.policies[0], control.LogDensity(run.policies[0]),
        control.NetworkReward((network,), *scale), control.QuadraticReward(np.zeros(104), *scale),
        game, game.without_rewards(), log, log.training, view, log.episodes[0],
        malfl.SoftPolicyIteration(0.25, "sarsa"), malfl.SoftValueIteration(), malfl.QLearning(0.5),
        malfl.RandomImprovements(7), malfl.forecast(view, of=0, by=malfl.Structural(0.1)),
        evident, evident.diagnostics.evidence, evident.determination, structural.diagnostics,
        squares.diagnostics, squares.diagnostics.system, path.diagnostics, NoFit(),
        malfl.Structural(0.3, None, "state-action", MaximumLikelihood()), malfl.Replay(0.5, True),
        malfl.PathLikelihood(), malfl.Auto(0.2), likeliest.judgement,
        likeliest.diagnostics.promise, malfl.Features([[1, 0], [0.5, 2]]),
        malfl.LeastSquares("joint-action", "released"), malfl.EvidenceRidge(weighting="overlap"),
        malfl.Adam(steps=9, rate=0.1), malfl.MiniBatchAdam(9, 0.1), malfl.LastPolicy(Descended()),
        malfl.CausalEntropy(3.0, UniformWhereUnseen(Smoothing(0.1))), malfl.AsIfAlone(malfl.Adam()),
        malfl.WithEstimatedRules(malfl.Replay(), 3), Descended(0.0, 7, 0.5), Smoothing(1.0),
        MaximumLikelihood(), EntropyRegularised(0.2), UniformWhereUnseen(EntropyRegularised()),
        Adaptive(malfl.PathLikelihood(), malfl.Structural()), Annealed(0.2),
        malfl.sensitivity(view, of=0, by=malfl.Structural(0.1)),
        malfl.PlayLog(game.without_rewards(), log.episodes, 0.5, True, notes=("One note.",)),
    ]  # fmt: skip
    return {type(one).__name__: one for one in several} | {
        "a bystander": bystander,
        "a log without episodes": malfl.learn(game, iterations=1, episodes=1, steps=9, seed=0),
        "a game of a table": random_game(np.random.default_rng(1), (3, 2), stochastic=False),
        "training of several": log.training.but(learners=[malfl.QLearning(), exact], seed=2**70),
        "a reward of a path": path,
        "a reward of features": featured,
        "a reward of several": malfl.recover(view, of=0, sensitivity=True),
        "a reward with logits": structural,
        "a reward without a fit": malfl.recover(view, of=0, by=malfl.LastPolicy()),
        "AsSaid": AsSaid(True, ("Loss 3",)),
        "no episodes": malfl.Episodes.from_lists([], [], n_states=2, n_joint_actions=3),
    }


NAMES = [
    "Adam", "Adaptive", "Annealed", "AsIfAlone", "AsSaid", "Auto", "CausalEntropy",
    "ConsistencyFit", "ConsistencySystem",
    "Descended", "Determination", "Dynamics", "EntropyRegularised", "Episodes", "Evidence",
    "EvidenceRidge", "Forecast", "Judgement", "LastPolicy", "LearningLog", "LeastSquares",
    "Features", "LogDensity", "LogitFit",
    "MarkovGame", "MaximumLikelihood", "MiniBatchAdam", "NetworkReward", "NoFit",
    "PathFit", "PathLikelihood",
    "PlayLog", "Policy", "QuadraticReward", "Rollout", "RolloutView", "Run",
    "Promise", "QLearning", "RandomImprovements", "RecoveredReward", "Replay", "Sensitivity",
    "Smoothing",
    "SoftPolicyIteration", "SoftValueIteration", "Structural", "Training", "UniformWhereUnseen",
    "View", "WithEstimatedRules", "a bystander", "a game of a table", "a log without episodes",
    "a reward of a path", "a reward of features", "a reward of several", "a reward with logits",
    "a reward without a fit", "no episodes", "training of several",
]  # fmt: skip


@pytest.fixture(params=NAMES)
def value(request):
    return made()[request.param]


def arrays_of(value):
    """All arrays in a value, with where they are."""
    if isinstance(value, np.ndarray):
        yield "", value
    elif isinstance(value, csr_array):
        for name in ("data", "indices", "indptr"):
            yield f".{name}", getattr(value, name)
    elif isinstance(value, tuple | list):
        for k, one in enumerate(value):
            yield from ((f"[{k}]{where}", array) for where, array in arrays_of(one))
    elif is_dataclass(value):
        for part in fields(value):
            found = arrays_of(getattr(value, part.name))
            yield from ((f".{part.name}{where}", array) for where, array in found)


def plain(value):
    """All that a value holds but its arrays."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape
    if isinstance(value, csr_array):
        return "sparse", str(value.dtype), value.shape
    if isinstance(value, tuple | list):
        return type(value), [plain(one) for one in value]
    if is_dataclass(value):
        return type(value), {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    return value.item() if isinstance(value, np.generic) else value


def assert_same(ours, theirs):
    assert plain(ours) == plain(theirs)
    pairs = list(zip(arrays_of(ours), arrays_of(theirs), strict=True))
    for (where, array), (_, other) in pairs:
        np.testing.assert_array_equal(array, other, err_msg=where)


def assert_read_only(value):
    for where, array in arrays_of(value):
        assert not array.flags.writeable, where


def test_every_kind_of_value_is_tried():
    kinds = {kind for kind in classes() if not isabstract(kind)}
    assert {type(one) for one in made().values()} == kinds
    assert sorted(made()) == sorted(NAMES)


def test_no_two_kinds_have_one_name():
    for kind in classes():
        assert Value.known[kind.__name__] is kind


def test_values_are_read_only_from_the_beginning(value):
    """Before one is copied: a shallow copy makes read-only what it shares."""
    assert_read_only(value)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_values_are_the_same_and_read_only(value, protocol):
    again = pickle.loads(pickle.dumps(value, protocol))
    assert_same(again, value)
    assert_read_only(again)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copied_values_are_the_same_and_read_only(value, copied):
    again = copied(value)
    assert_same(again, value)
    assert_read_only(again)


def test_loaded_values_are_read_only(value, tmp_path):
    value.save(tmp_path / "value.npz")
    assert_read_only(Value.load(tmp_path / "value.npz"))


@pytest.mark.parametrize("name", ["value.npz", "value", "with a space.data"])
def test_saved_values_are_the_same_in_one_file_of_that_name(value, tmp_path, name):
    value.save(tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert_same(type(value).load(str(tmp_path / name)), value)
    value.save(str(tmp_path / name))  # in place of the other
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert_same(type(value).load(tmp_path / name), value)


def test_saved_values_have_the_number_of_what_they_were(value, tmp_path):
    value.save(tmp_path / "file")
    number = values.digest(Value.load(tmp_path / "file"), loose=True)[0]
    assert number == values.digest(value, loose=True)[0]


def test_a_saved_value_does_what_it_did(tmp_path):
    """What is cached or derived is there too."""
    for name in ("LearningLog", "Structural", "RecoveredReward"):
        made()[name].save(tmp_path / name)
    log = malfl.LearningLog.load(tmp_path / "LearningLog")
    estimator = malfl.Structural.load(tmp_path / "Structural")
    ours, theirs = (
        malfl.recover(one.seen_by(1), of=0, by=by)
        for one, by in ((log, estimator), (made()["LearningLog"], made()["Structural"]))
    )
    assert_same(ours, theirs)
    found = malfl.RecoveredReward.load(tmp_path / "RecoveredReward")
    assert found.summary() == made()["RecoveredReward"].summary()
    assert_same(found.determination, made()["RecoveredReward"].determination)


@dataclass(frozen=True, eq=False)
class Nested(Value):
    """Of a class that is not malfl's."""

    deep: tuple[Any, ...]
    matrix: csr_array


def test_nested_tuples_and_sparse_matrices_come_back_read_only():
    matrix = csr_array(np.eye(3))
    ones = np.ones(2)
    nested = Nested(deep=(ones, (ones, ((ones, matrix),), "text"), None), matrix=matrix)
    again = pickle.loads(pickle.dumps(nested))
    assert len(list(arrays_of(again))) == 3 + 3 + 3
    assert_same(again, nested)
    assert_read_only(again)
    with pytest.raises(ValueError, match="read-only"):
        again.deep[1][1][0][1].data[0] = 2
    assert ones.flags.writeable


def test_values_of_classes_from_elsewhere_are_not_saved(tmp_path):
    with pytest.raises(TypeError, match="Nested"):
        Nested((), csr_array(np.eye(2))).save(tmp_path / "nested")
    assert list(tmp_path.iterdir()) == []


class Mine:
    """A learner of no kind that malfl has."""

    name, needs = "mine", "rules"

    def start(self, game, agent, alpha, rng):
        raise NotImplementedError

    def __repr__(self):
        return "Mine(3)"


def test_learners_from_elsewhere_come_back_as_their_text(tmp_path):
    malfl.Training((Mine(), malfl.QLearning())).save(tmp_path / "training")
    assert malfl.Training.load(tmp_path / "training").learners == ("Mine(3)", malfl.QLearning())


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "value.npz"
    made()["RecoveredReward"].save(path)
    return path


def refused(path, message="must be a file that malfl saved", kind=Value):
    """Whether loading says what is wrong, and with which file."""
    with pytest.raises(ValueError, match=message) as error:
        kind.load(path)
    return str(path) in str(error.value)


@dataclass(frozen=True)
class OwnFit:
    """Of an estimator from elsewhere."""

    converged: bool = False
    determination: None = None

    def lines(self):
        return ["Loss 3"]


def test_what_fits_from_elsewhere_say_is_saved(tmp_path):
    found = RecoveredReward(np.arange(3.0), "state", OwnFit())
    found.save(tmp_path / "file")
    again = RecoveredReward.load(tmp_path / "file")
    assert again.summary() == found.summary()
    assert "Loss 3" in again.summary()
    assert again.converged is False
    with pytest.raises(ValueError, match="only what it says is saved"):
        _ = again.determination


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999])
def test_a_file_that_is_not_whole_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    assert refused(saved)
    saved.write_bytes(content[:-1])
    assert refused(saved)


def test_a_file_that_was_damaged_is_refused_or_harmless(tmp_path):
    """Some bits, such as those of dates, do not matter."""
    path, rng = tmp_path / "episodes", np.random.default_rng(0)
    value = malfl.Episodes.from_lists([[0, 1]], [[0]], n_states=2, n_joint_actions=2)
    value.save(path)
    content, outcomes = path.read_bytes(), []
    for at in rng.choice(len(content), 250, replace=False):
        damaged = bytearray(content)
        damaged[at] ^= 1 << rng.integers(1, 8)
        path.write_bytes(damaged)
        try:
            found = malfl.Episodes.load(path)
        except ValueError as error:
            outcomes.append(str(error))
        else:
            assert_same(found, value)
    assert len(outcomes) > 150
    assert all(str(path) in message for message in outcomes)


def test_a_file_that_claims_to_be_encrypted_is_refused(saved):
    content = bytearray(saved.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    saved.write_bytes(content)
    assert refused(saved)


def write_text(path):
    path.write_text("what one finds in a folder")


def write_nothing(path):
    path.touch()


def write_npz(path):
    with path.open("wb") as file:
        np.savez(file, counts=np.arange(3))


def write_npz_that_looks_right(path):
    with path.open("wb") as file:
        np.savez(file, value=np.arange(3))


def write_npy(path):
    with path.open("wb") as file:
        np.save(file, np.arange(3))


def write_pickle(path):
    path.write_bytes(pickle.dumps(made()["Smoothing"]))


def write_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("letter.xml", "text")


def write_zip_that_looks_right(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("value.npy", "text")


def make_folder(path):
    path.mkdir()


FOREIGN = [
    write_text, write_nothing, write_npz, write_npz_that_looks_right, write_npy, write_pickle,
    write_zip, make_folder,
    pytest.param(
        write_zip_that_looks_right,
    ),
]  # fmt: skip


@pytest.mark.parametrize("write", FOREIGN)
def test_a_foreign_file_is_refused(tmp_path, write):
    write(tmp_path / "file.npz")
    assert refused(tmp_path / "file.npz")


def test_what_a_file_says_wrong_is_said(tmp_path, saved):
    (tmp_path / "text").write_text("text")
    message = "text must be a file that malfl saved: it is no npz archive, or not whole$"
    with pytest.raises(ValueError, match=message):
        values.read(tmp_path / "text")


def test_a_file_that_claims_more_than_the_memory_is_refused(saved, monkeypatch):
    monkeypatch.setattr(checks.psutil, "virtual_memory", lambda: SimpleNamespace(available=0))
    with pytest.raises(MemoryError) as refused:
        values.read(saved)
    said = str(refused.value)
    assert f"{saved} must be a file that malfl saved: what it says it holds would need" in said
    assert said.endswith("; it may be damaged")


@pytest.mark.parametrize("shape", [(2, 2), (2, 5)])
def test_sparse_matrices_keep_their_shape_and_are_frozen(tmp_path, shape):
    matrix = csr_array(np.eye(*shape))
    array, again = np.arange(3), (np.arange(2.0), matrix, {"a": [matrix]})
    values.write((array, *again), tmp_path / "file")
    found = values.read(tmp_path / "file")
    assert found[2].shape == found[3]["a"][0].shape == shape
    assert_read_only(found[:3])
    assert not found[0].flags.writeable


def test_a_sparse_matrix_that_is_wrong_is_called_one(tmp_path):
    tree = {"sparse": [{"array": 0}, {"array": 1}, {"array": 2}, {"tuple": [2, 2]}]}
    write_tree(tmp_path / "file", of(tree), np.ones(2), np.array([0, 7]), np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="malfl saved: a matrix "):
        values.read(tmp_path / "file")


def test_a_file_that_is_missing_is_called_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        Value.load(tmp_path / "nowhere.npz")


def write_tree(path, text, *arrays):
    """A file as malfl writes it, of any content."""
    content = text if isinstance(text, str) else json.dumps(text)
    named = {str(k): array for k, array in enumerate(arrays)}
    with path.open("wb") as file:
        np.savez(file, value=np.frombuffer(content.encode(), np.uint8), **named)


def of(value):
    return {"malfl": values.FORMAT, "value": value}


def smoothing(**parts):
    return {"value": "Smoothing", "parts": parts}


def test_a_tree_is_what_is_read(tmp_path):
    write_tree(tmp_path / "file", of(smoothing(strength=0.25)))
    assert Value.load(tmp_path / "file") == Smoothing(0.25)


@pytest.mark.parametrize("version", [0, values.FORMAT + 1, 99, None, "1", "new"])
def test_another_version_is_refused_by_its_number(tmp_path, version):
    write_tree(tmp_path / "file", of(smoothing()) | {"malfl": version})
    message = f"is of version {version!r}; this malfl reads version {values.FORMAT}"
    assert refused(tmp_path / "file", message)


def test_another_version_may_name_its_arrays_otherwise(tmp_path):
    text = json.dumps({"malfl": values.FORMAT + 1, "value": {"matrix": "a"}})
    with (tmp_path / "file").open("wb") as file:
        np.savez(file, value=np.frombuffer(text.encode(), np.uint8), a=np.eye(2))
    assert refused(tmp_path / "file", "is of version")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("LearningLog", "View"),
        ("View", "LearningLog"),
        ("Dynamics", "MarkovGame"),
        ("Structural", "LeastSquares"),
        ("RecoveredReward", "Training"),
    ],
)
def test_another_kind_of_value_is_refused(tmp_path, name, kind):
    made()[name].save(tmp_path / "file")
    assert refused(tmp_path / "file", f"must hold a {kind}, got a {name}", getattr(malfl, kind))


def test_a_game_is_dynamics_too(tmp_path):
    made()["MarkovGame"].save(tmp_path / "game")
    assert isinstance(malfl.Dynamics.load(tmp_path / "game"), malfl.MarkovGame)


@pytest.mark.parametrize("content", [3, "text", None, {"list": [smoothing()]}, {"dict": []}])
def test_what_is_no_value_is_refused(tmp_path, content):
    write_tree(tmp_path / "file", of(content))
    assert refused(tmp_path / "file", "must hold a Value, got a ")
    assert refused(tmp_path / "file", "must hold a View, got a ", malfl.View)


@pytest.mark.parametrize(
    "text",
    [
        "no JSON", "[]", "3", "{}", '{"malfl": 1}', "\x00",
        of({}), of({"array": 0}), of({"array": -1}), of({"sparse": [1, 2, 3]}), of({"list": 3}),
        of({"tables": []}), of({"function": "os.getcwd"}), of({"value": "Smoothing"}),
        of({"value": "Unknown", "parts": {}}), of({"value": "malfl.nowhere.View", "parts": {}}),
        of({"value": "os.getcwd", "parts": {}}), of({"value": "ByConsistency", "parts": {}}),
        of(smoothing(strength=-1.0)), of(smoothing(strength="much")), of(smoothing(other=1)),
        of({"value": "Training", "parts": {"learners": smoothing()}}),
        of({"value": "View", "parts": {"dynamics": None}}),
        of({"value": "LearningLog", "parts": {"game": smoothing()}}),
        of({"value": "Dynamics", "parts": {"actions": {"tuple": [1]}, "transitions": 0,
                                           "start": 0, "gamma": 0.5}}),
        of({"value": "Episodes", "parts": {"states": 0, "actions": 0, "lengths": 0,
                                           "n_states": 1, "n_joint_actions": 1}}),
    ],
)  # fmt: skip
def test_a_tree_of_something_else_is_refused(tmp_path, text):
    write_tree(tmp_path / "file", text)
    assert refused(tmp_path / "file")


@pytest.mark.parametrize("text", [of({"value": "Smoothing", "parts": [1]}), "[" * 10**5])
def test_a_tree_of_something_odd_is_refused(tmp_path, text):
    write_tree(tmp_path / "file", text)
    assert refused(tmp_path / "file")


def test_arrays_that_constructors_refuse_are_refused_with_the_file(tmp_path):
    episodes = {"states": {"array": 0}, "actions": {"array": 1}, "lengths": {"array": 2}}
    tree = of({"value": "Episodes", "parts": episodes | {"n_states": 2, "n_joint_actions": 1}})
    right = np.array([0, 1]), np.array([0]), np.array([1])
    write_tree(tmp_path / "file", tree, *right)
    assert malfl.Episodes.load(tmp_path / "file").steps == 1
    for k, wrong in enumerate((np.array([0, 2]), np.array([1]), np.array([2]))):
        write_tree(tmp_path / "file", tree, *right[:k], wrong, *right[k + 1 :])
        assert refused(
            tmp_path / "file", "must be a file that malfl saved: (states|actions|lengths)"
        )


@pytest.mark.parametrize(
    ("indices", "ends"),
    [([0, 2], [0, 1, 2]), ([0, 1], [0, -7, 2]), ([0, 1], [0, 1, -7]), ([0, 1], [0, 9, -7])],
)
def test_a_sparse_matrix_that_points_outside_is_refused(tmp_path, indices, ends):
    matrix = {"sparse": [{"array": 0}, {"array": 1}, {"array": 2}, {"tuple": [2, 2]}]}
    parts = {"actions": {"tuple": [1]}, "transitions": matrix, "start": 0, "gamma": 0.5}
    arrays = np.ones(2), np.array(indices), np.array(ends)
    write_tree(tmp_path / "file", of({"value": "Dynamics", "parts": parts}), *arrays)
    assert refused(tmp_path / "file")


FIRED = []


def fire():
    FIRED.append("opened")


class Trap:
    """What a pickle would do to whoever opens it."""

    def __reduce__(self):
        return fire, ()


def trapped():
    array = np.empty(1, dtype=object)
    array[0] = Trap()
    return array


@pytest.mark.parametrize("where", ["value", "array", "npy", "pickle", "pickle in a zip"])
def test_nothing_is_unpickled(tmp_path, where):
    path, tree = tmp_path / "file.npz", of(smoothing(strength={"array": 0}))
    FIRED.clear()
    with path.open("wb") as file:
        if where == "value":
            np.savez(file, value=trapped())
        elif where == "array":
            text = np.frombuffer(json.dumps(tree).encode(), np.uint8)
            np.savez(file, value=text, **{"0": trapped()})
        elif where == "npy":
            np.save(file, trapped(), allow_pickle=True)
        elif where == "pickle":
            pickle.dump(Trap(), file)
        else:  # looks like an archive to `zipfile`, and like a pickle to NumPy
            pickle.dump(Trap(), file)
            np.savez(file, value=np.arange(3))
    assert refused(path)
    assert FIRED == []
    pickle.loads(pickle.dumps(Trap()))  # it would have gone off
    assert FIRED == ["opened"]


def test_archives_are_opened_without_pickle(saved, monkeypatch):
    loading, asked = np.load, []

    def load(*given, **options):
        asked.append(options)
        return loading(*given, **options)

    monkeypatch.setattr(np, "load", load)
    Value.load(saved)
    assert asked == [{"allow_pickle": False}]


def members_of(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.mark.parametrize("kind", ["M8[s]", "c16", "S3", "i4,f8"])
def test_arrays_that_nobody_saved_are_not_read(tmp_path, kind):
    text = json.dumps({"malfl": values.FORMAT, "value": {"array": 0}}).encode()
    named = {"value": np.frombuffer(text, np.uint8), "0": np.zeros(2, dtype=kind)}
    with (tmp_path / "file").open("wb") as file:
        np.savez(file, **named)
    with pytest.raises(ValueError, match=r"file must be .*: an array must hold numbers or text"):
        values.read(tmp_path / "file")


@pytest.mark.parametrize("name", ["LearningLog", "RecoveredReward", "View", "PathFit"])
def test_files_hold_no_objects(tmp_path, name):
    made()[name].save(tmp_path / "file")
    with np.load(tmp_path / "file", allow_pickle=False) as file:
        assert all(file[key].dtype.kind in "biufU" for key in file.files)


@pytest.mark.parametrize("content", [Trap(), None, "text", [1, 2]])
def test_arrays_of_objects_are_not_written(tmp_path, content):
    array = np.empty(1, dtype=object)
    array[0] = content
    with pytest.raises(TypeError, match="an array must hold numbers or text, got object"):
        values.write((array,), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("array", [trapped(), np.array([1j]), np.array([1, 2], dtype="M8[s]")])
def test_arrays_that_cannot_be_saved_are_refused(tmp_path, array):
    with pytest.raises(TypeError, match="an array must hold numbers or text, got"):
        values.write((array,), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_hidden_beside_its_place(tmp_path):
    def fill(draft):
        assert draft.parent == tmp_path
        assert draft.name.startswith(".")
        assert draft.name.endswith("-file.npz")
        draft.write_text("new")

    values.write_whole(tmp_path / "file.npz", fill)
    assert (tmp_path / "file.npz").read_text() == "new"
    assert (tmp_path / "file.npz").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("written", [0, 100])
def test_a_failed_write_leaves_the_old_file(saved, monkeypatch, failure, written):
    before = saved.read_bytes()

    def savez(file, **arrays):
        file.write(before[:written])
        file.flush()
        raise failure

    monkeypatch.setattr(np, "savez", savez)
    for name in ("RecoveredReward", "Training"):
        with pytest.raises(type(failure)):
            made()[name].save(saved)
        with pytest.raises(type(failure)):
            made()[name].save(saved.with_name("another"))
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == [saved.name]


def test_a_place_that_cannot_be_written_to_is_left_as_it_was(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        Smoothing().save(tmp_path / "folder")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Smoothing().save(tmp_path / "nowhere" / "file")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_reader_sees_the_old_file_or_the_new_one(saved, monkeypatch):
    before, saving = saved.read_bytes(), np.savez

    def savez(file, **arrays):
        saving(file, **arrays)
        assert saved.read_bytes() == before  # as long as the new one is written

    monkeypatch.setattr(np, "savez", savez)
    made()["Training"].save(saved)
    assert malfl.Training.load(saved) == made()["Training"]


def test_special_numbers_are_saved(tmp_path):
    for number in (np.inf, -np.inf, 1e-320, 0.1 + 0.2, np.float64(1 / 3)):
        one = malfl.recovery.reward.Evidence(number, 1.0, -0.0)
        one.save(tmp_path / "file")
        again = type(one).load(tmp_path / "file")
        assert again == one
        assert np.signbit(again.log_likelihood)
    Determination(2**80, 1, np.nan, 1.0).save(tmp_path / "file")
    again = Determination.load(tmp_path / "file")
    assert again.unknowns == 2**80
    assert np.isnan(again.smallest_singular_value)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int8, np.uint64, np.bool_, np.str_])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_arrays_of_any_numbers_and_shapes_are_saved(tmp_path, kind, shape):
    array = np.zeros(shape, dtype=kind)
    for one in (array, np.asfortranarray(array), array[::-1] if shape else array):
        values.write((one,), tmp_path / "file")
        (again,) = values.read(tmp_path / "file")
        assert not again.flags.writeable
        assert (again.dtype, again.shape) == (one.dtype, one.shape)
        np.testing.assert_array_equal(again, one)


NEW_PROCESS = """
import sys
from malfl.learners.log import LearningLog
from malfl.recovery.reward import RecoveredReward
for kind, path in zip((LearningLog, RecoveredReward), sys.argv[1:]):
    value = kind.load(path)
    print(*([value.training.learners, value.counts.sum()] if kind is LearningLog else
            [value.diagnostics.learner, value.values.tolist()]))
"""


def in_a_new_process(program, *given):
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, given)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_values_load_where_nothing_else_was_imported(tmp_path):
    log, found = made()["LearningLog"], made()["a reward of a path"]
    log.save(tmp_path / "log")
    found.save(tmp_path / "reward")
    one, two = in_a_new_process(NEW_PROCESS, tmp_path / "log", tmp_path / "reward")
    assert one == f"{log.training.learners} {log.counts.sum()}"
    assert two == f"{found.diagnostics.learner} {found.values.tolist()}"


def test_the_kind_need_not_be_known_beforehand(tmp_path):
    made()["LearningLog"].save(tmp_path / "log")
    program = "import sys; from malfl.values import Value; print(Value.load(sys.argv[1]).alpha)"
    assert in_a_new_process(program, tmp_path / "log") == ["0.5"]


@pytest.mark.parametrize("wrong", [None, 3, b"folder", ["a"]])
def test_a_folder_is_named_by_a_path(wrong):
    with pytest.raises(TypeError, match=r"store must be the path of a folder, got "):
        values.writable_folder(wrong, "store")


def test_a_folder_is_made_or_refused(tmp_path):
    assert values.writable_folder(str(tmp_path / "a" / "b"), "store") == tmp_path / "a" / "b"
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "b"]
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file", tmp_path / "file" / "in", f"{tmp_path}/\0"):
        with pytest.raises(ValueError, match=r"store must be a folder that can be written, '"):
            values.writable_folder(wrong, "store")
