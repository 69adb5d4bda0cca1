"""Runs that are shared, and work that goes on where it was stopped."""

import functools
import json
import math
import os
import pickle
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn import random_game

import malfl
from malfl import (
    Adam,
    LeastSquares,
    QLearning,
    Replay,
    SoftPolicyIteration,
    Structural,
    Study,
    Training,
    values,
)
from malfl.recovery import Descended
from malfl.studies import Store, rewards, trained_and_recovered
from malfl.studies import store as stores
from malfl.studies import study as studies
from malfl.studies.store import key_of

TRAINING = Training(SoftPolicyIteration(0.2), alpha=0.7, iterations=5, episodes=100, steps=40)
ESTIMATORS = {
    "descent": Adam("joint-action", policies=Descended(steps=3), steps=5),
    "structural": Structural(),
    "replay": Replay(0.2),
}


def game_of(seed, **options):
    return random_game(np.random.default_rng(seed), (2, 3), 4, state_rewards=True, **options)


@pytest.fixture(scope="module")
def games():
    return {"one": game_of(0), "two": game_of(1)}


@pytest.fixture
def runs_made(monkeypatch):
    """Seeds of the runs in which agents learned."""
    made, train, lock = [], studies.train, threading.Lock()

    def counted(game, training, seed, **options):
        with lock:
            made.append(seed)
        return train(game, training, seed, **options)

    monkeypatch.setattr(studies, "train", counted)
    return made


def scores(games, estimators=ESTIMATORS, seeds=(0, 1), improvements=(1, 4), training=TRAINING,
           agents=None, **options):  # fmt: skip
    study = Study(games, training, estimators, seeds, agents, improvements)
    return study.scores(**options)


def same(found, expected):
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


# A study's runs.


def test_what_is_stored_is_what_was_found(games, tmp_path, runs_made):
    fresh = scores(games)
    runs_made.clear()
    for _ in range(2):  # nothing is done the second time
        same(scores(games, store=tmp_path / "new" / "folder"), fresh)
        assert len(runs_made) == 4


def test_only_what_is_new_is_done(games, tmp_path, runs_made):
    fresh = scores(games)
    runs_made.clear()
    replay = ESTIMATORS["replay"]
    scores(games, {"by another name": replay}, (1,), (4, 1), store=tmp_path)
    assert runs_made == [1, 1]
    same(scores(games, store=tmp_path), fresh)
    assert sorted(runs_made) == [0, 0, 1, 1, 1, 1]  # again for the other estimators
    part = scores(games, {"replay": replay}, (0,), (4,), store=tmp_path)
    expected = fresh.query("estimator == 'replay' and seed == 0 and improvements == 4")
    same(part, expected.reset_index(drop=True))
    assert len(runs_made) == 6


def test_what_was_stored_before_stays_there(games, tmp_path, runs_made):
    one, by = {"one": games["one"]}, {"structural": Structural()}
    parts = [((0,), [0], (1,)), ((0,), [1], (4,)), ((0,), [0, 1], (1, 4)), ((0,), [0], (4, 1))]
    for seeds, agents, lengths in parts:
        scores(one, by, seeds, lengths, agents=agents, store=tmp_path)
    assert len(runs_made) == 3


def test_a_game_is_known_by_what_it_is_and_not_by_its_name(games, tmp_path, runs_made):
    first = scores({"one": games["one"]}, store=tmp_path)
    again = pickle.loads(pickle.dumps(games["one"]))
    second = scores({"renamed": again}, store=tmp_path)
    assert len(runs_made) == 2
    assert set(second["game"]) == set(second["truth"]) == {"renamed"}
    same(second.assign(game="one", truth="one"), first)


@pytest.mark.parametrize(
    "other",
    [
        {"training": TRAINING.but(alpha=1.0)},
        {"training": TRAINING.but(episodes=101)},
        {"training": TRAINING.but(learners=SoftPolicyIteration(0.1))},
        {"training": TRAINING.but(learners=SoftPolicyIteration(0.2, "sarsa"))},
        {"training": TRAINING.but(learners=QLearning(0.2))},
        {"games": {"one": game_of(2)}},
        {"games": {"one": game_of(0, gamma=0.7)}},
        {"games": {"one": game_of(0).with_rewards([2 * r for r in game_of(0).rewards])}},
        {"seeds": (2,)},
        {"estimators": {"replay": Replay(0.3)}},
        {"estimators": {"replay": Replay(0.2, policies=Descended(steps=3))}},
        {"estimators": {"replay": Structural()}},
        {"improvements": (3,)},
        {"against": {"mine": game_of(3)}},
        {"agents": [1]},
    ],
)
def test_nothing_is_taken_for_something_else(tmp_path, runs_made, other):
    usual = {
        "games": {"one": game_of(0)}, "estimators": {"replay": Replay(0.2)}, "seeds": (0,),
        "improvements": (4,), "agents": [0],
    }  # fmt: skip
    scores(**usual, store=tmp_path)
    found = scores(**usual | other, store=tmp_path)
    assert len(runs_made) == 2
    same(found, scores(**usual | other))
    scores(**usual, store=tmp_path)
    scores(**usual | other, store=tmp_path)
    assert len(runs_made) == 3


def test_true_rewards_are_known_by_what_they_are(games, tmp_path, runs_made):
    one, by = {"one": games["one"]}, {"structural": Structural()}
    first = scores(one, by, against=games, store=tmp_path)
    swapped = {"two": games["one"], "one": games["two"]}
    second = scores(one, by, against=swapped, store=tmp_path)
    assert len(runs_made) == 2
    same(second.assign(truth=second["truth"].map({"one": "two", "two": "one"})), first)


def test_other_code_makes_another_run(games, tmp_path, runs_made, monkeypatch):
    given = {"games": {"one": games["one"]}, "estimators": {"structural": Structural()}}
    monkeypatch.setattr(malfl.progress, "cores", lambda: 1)  # so that runs are made in order
    fresh = scores(**given, store=tmp_path)
    asked = []
    monkeypatch.setattr(stores, "code_of", lambda modules: asked.append(set(modules)) or "changed")
    same(scores(**given, store=tmp_path), fresh)
    assert runs_made == [0, 1] * 2
    needed = {studies, *(sys.modules[kind.__module__] for kind in (Structural, Training))}
    needed |= {sys.modules[kind.__module__] for kind in (SoftPolicyIteration, malfl.MarkovGame)}
    assert any({module.__name__ for module in needed} <= modules for modules in asked)


def test_a_stopped_study_leaves_the_runs_that_ended(games, tmp_path, runs_made, monkeypatch):
    compare, calls = studies.compare, []

    def stops(*given):
        calls.append(given)
        if len(calls) > 8:  # 2 agents, 2 estimators, 2 lengths
            raise KeyboardInterrupt
        return compare(*given)

    one, two = {"one": games["one"]}, {name: ESTIMATORS[name] for name in ("structural", "replay")}
    monkeypatch.setattr(malfl.progress, "cores", lambda: 1)
    monkeypatch.setattr(studies, "compare", stops)
    with pytest.raises(KeyboardInterrupt):
        scores(one, two, store=tmp_path)
    monkeypatch.setattr(studies, "compare", compare)
    assert len(list(tmp_path.iterdir())) == 2  # one for each estimator
    runs_made.clear()
    same(scores(one, two, store=tmp_path), scores(one, two))
    assert runs_made == [1, 0, 1]


@pytest.mark.parametrize("stop", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
def test_a_run_that_cannot_be_written_leaves_nothing(games, tmp_path, monkeypatch, stop):
    def stops(file, **arrays):
        file.write(b"PK and not much more")
        raise stop

    monkeypatch.setattr(np, "savez", stops)
    with pytest.raises(type(stop)):
        scores({"one": games["one"]}, store=tmp_path)
    assert list(tmp_path.iterdir()) == []


def spoil(file, how):
    content = file.read_bytes()
    if how == "a foreign archive":
        np.savez(file, x=np.arange(3))
    elif how == "an archive without arrays":
        np.savez(file)
    else:
        middle = len(content) // 2
        changed = {
            "empty": b"",
            "text": b"[1, 2]",
            "half": content[:middle],
            "all but the last byte": content[:-1],
            "one byte": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        }
        file.write_bytes(changed[how])


SPOILED = ["a foreign archive", "an archive without arrays", "empty", "text", "half",
           "all but the last byte", "one byte"]  # fmt: skip


@pytest.mark.parametrize("how", SPOILED)
def test_a_file_that_is_none_of_these_is_named_before_anything_runs(
    games, tmp_path, runs_made, how
):
    given = {"games": {"one": games["one"]}, "estimators": {"structural": Structural()}}
    scores(**given, seeds=(0,), store=tmp_path)
    (file,) = tmp_path.iterdir()
    spoil(file, how)
    runs_made.clear()
    with pytest.raises(ValueError, match=f"no result, remove it: .*{file.name}"):
        scores(**given, seeds=(1, 0), store=tmp_path)
    assert runs_made == []
    file.unlink()
    scores(**given, seeds=(1, 0), store=tmp_path)
    assert len(runs_made) == 2


@pytest.mark.parametrize("how", SPOILED)
def test_so_it_is_for_forecasts(games, tmp_path, runs_made, how):
    study = Study({"one": games["one"]}, TRAINING, {"structural": Structural()}, [0])
    study.forecasts(store=tmp_path)
    (file,) = tmp_path.iterdir()
    spoil(file, how)
    runs_made.clear()
    with pytest.raises(ValueError, match=f"no result, remove it: .*{file.name}"):
        study.forecasts(store=tmp_path)
    assert runs_made == []


def test_forecasts_are_stored_run_by_run(games, tmp_path, runs_made):
    study = Study(games, TRAINING, ESTIMATORS, [0, 1])
    fresh = study.forecasts()
    runs_made.clear()
    replace(study, seeds=[1]).forecasts(store=tmp_path)
    assert runs_made == [1, 1]
    for _ in range(2):
        same(study.forecasts(store=tmp_path), fresh)
        assert sorted(runs_made) == [0, 0, 1, 1]


class NoDataclass:
    """An estimator that nobody can tell from another one."""

    needs_steps = False
    needs_improvements = True

    def prepare(self, view, agent, rng):
        return LeastSquares().prepare(view, agent, rng)


def test_estimators_that_cannot_be_known_again_are_refused_before_anything_runs(
    games, tmp_path, runs_made
):
    by = {"structural": Structural(), "mine": NoDataclass()}
    with pytest.raises(TypeError, match=r"NoDataclass .* must be a frozen dataclass"):
        scores(games, by, store=tmp_path)
    assert runs_made == []
    scores({"one": games["one"]}, by, seeds=(0,))
    assert runs_made == [0]


# The folder.


def bad_folders(tmp_path):
    (tmp_path / "file").touch()
    yield tmp_path / "file"
    yield tmp_path / "file" / "below"
    if Path("/proc/self").exists():
        yield Path("/proc")
        yield Path("/proc/below")


@pytest.mark.parametrize("use", ["scores", "forecasts"])
def test_a_folder_that_cannot_be_written_is_named_before_anything_runs(
    games, tmp_path, runs_made, use
):
    study = Study(games, TRAINING, {"structural": Structural()}, [0])
    for folder in bad_folders(tmp_path):
        with pytest.raises(ValueError, match=f"a folder that can be written, '{folder}' is not: "):
            Store(folder)
        with pytest.raises(ValueError, match=f"'{folder}' is not: "):
            getattr(study, use)(store=folder)
    assert runs_made == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_so_is_a_folder_without_leave_to_write(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="is not: Permission denied"):
        Store(tmp_path)


def test_a_folder_is_made_and_may_be_there(tmp_path):
    for _ in range(2):
        Store(tmp_path / "a" / "b").put("it", (3,))
        assert Store(str(tmp_path / "a" / "b")).get("it") == (3,)
    assert [file.name for file in (tmp_path / "a" / "b").iterdir()] == ["it.npz"]


def test_what_is_not_there_is_none(tmp_path):
    assert Store(tmp_path).get("it") is None


def test_a_result_takes_the_place_of_another_whole_or_not_at_all(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.put("it", (1,))
    store.put("it", (2,))
    assert store.get("it") == (2,)

    def stops(file, **arrays):
        file.write(b"PK")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stops)
    with pytest.raises(KeyboardInterrupt):
        store.put("it", (3,))
    assert store.get("it") == (2,)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("how", SPOILED)
def test_a_result_that_nobody_wrote_is_refused(tmp_path, how):
    store = Store(tmp_path)
    store.put("it", ({"PCC": [0.1, math.nan], "of": np.arange(100.0)},))
    spoil(tmp_path / "it.npz", how)
    with pytest.raises(ValueError, match=r"no result, remove it: .*it\.npz"):
        store.get("it")


def edit(file, number, content):
    """Change one array of a result, as somebody who knows NumPy but not malfl could."""
    with np.load(file) as opened:
        parts = dict(opened)
    parts[number] = content(parts[number])
    np.savez(file, **parts)


def text_changed(before, after):
    return lambda text: np.frombuffer(text.tobytes().replace(before, after), np.uint8)


@pytest.mark.parametrize(
    ("number", "content"),
    [
        ("0", lambda array: array + 1e-12),
        ("0", lambda array: np.full_like(array, np.nan)),
        ("0", lambda array: array.astype(np.float32)),
        ("0", lambda array: array.reshape(2, 5)),
        ("value", text_changed(b"0.125", b"0.126")),
        ("value", text_changed(b"0.125", b"NaN")),
        ("value", text_changed(b"PCC", b"SCC")),
        ("value", text_changed(b"int64", b"int32")),
    ],
)
def test_a_result_that_was_edited_is_refused(tmp_path, number, content):
    store, result = Store(tmp_path), ({"PCC": 0.125, "of": np.arange(10.0)}, table())
    store.put("it", result)
    edit(tmp_path / "it.npz", number, lambda array: array)  # written anew, but the same
    assert store.get("it")[0]["PCC"] == 0.125
    edit(tmp_path / "it.npz", number, content)
    with pytest.raises(ValueError, match=r"remove it: .*it\.npz does not hold what was stored"):
        store.get("it")


def test_a_result_of_another_key_is_refused(tmp_path):
    store = Store(tmp_path)
    store.put("it", (1,))
    shutil.copy(tmp_path / "it.npz", tmp_path / "that.npz")
    with pytest.raises(ValueError, match=r"that\.npz does not hold what was stored there"):
        store.get("that")


def test_results_of_a_later_version_are_refused(tmp_path, monkeypatch):
    store = Store(tmp_path)
    monkeypatch.setattr(values, "FORMAT", values.FORMAT + 1)
    store.put("it", 3)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"remove it: .*it\.npz is of version"):
        store.get("it")


# Calls of functions.

CALLS = []


def identity(*given, **options):
    CALLS.append((given, options))
    return given[0] if len(given) == 1 else given


def other_identity(*given):
    CALLS.append((given, {}))
    return given


def applied(function, *given):
    CALLS.append((function, *given))
    return function(*given)


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


@dataclass(frozen=True)
class Pair:
    """Of arguments."""

    left: object
    right: object = None


def table():
    return pd.DataFrame({"name": ["a", "b"], "value": [0.5, 1.5], "count": [1, 2]})


ARGUMENTS = [
    (), (None,), (0,), (1,), (True,), (1.0,), ("1",), ("",), (1, 2), ((1, 2),), ((1,), (2,)),
    ([1, [2, 3]],), ([[1, 2], 3],), ({"a": 1},), ({"b": 1},), ({"a": 2},), ({1: "a"},),
    (math.nan,), (math.inf,), (1e-300,), (2**70,),
    (np.arange(6),), (np.arange(6.0),), (np.arange(6).reshape(2, 3),),
    (np.arange(6).reshape(3, 2),), (np.arange(6, dtype=np.int32),), (np.zeros(6, dtype=bool),),
    (np.arange(6)[::-1],), (np.zeros(2),), (np.zeros(2, dtype=int),),
    (np.array(["a", "b"]),), (np.array([1]), np.array([2])), (np.array([2]), np.array([1])),
    (Pair(1),), (Pair(1, 2),), (Pair(2, 1),), (Pair((1, 2)),), (Pair(np.arange(3)),),
    (Pair(np.arange(1, 4)),), (Pair(table),), (Pair(identity),),
    (SoftPolicyIteration(0.1),), (SoftPolicyIteration(0.2),), (SoftPolicyIteration(0.1, "sarsa"),),
    (TRAINING,), (TRAINING.but(seed=3),), (Structural(),), (LeastSquares(),), (Replay(),),
    (table(),), (table().assign(value=[0.5, 1.25]),), (table().astype({"value": np.float32}),),
    (table().rename(columns={"value": "other"}),), (table()[["value", "name"]],),
    (identity,), (other_identity,), (rewards,),
    (game_of(0),), (game_of(1),), (game_of(0, gamma=0.7),), (game_of(0).without_rewards(),),
]  # fmt: skip


def test_no_two_calls_have_the_same_key():
    calls = [(identity, *given) for given in ARGUMENTS] + [(other_identity,), (other_identity, 1)]
    keys = [key_of(*call) for call in calls]
    twice = {key: call for key, call in zip(keys, calls, strict=True) if keys.count(key) > 1}
    assert not twice


@pytest.mark.parametrize("given", ARGUMENTS)
def test_equal_calls_have_the_same_key(given):
    assert key_of(identity, *pickle.loads(pickle.dumps(given))) == key_of(identity, *given)


def test_numbers_of_numpy_and_arrays_in_another_order_are_the_same():
    assert key_of(np.float64(0.1), np.int64(3)) == key_of(0.1, 3)
    array = np.arange(6.0).reshape(2, 3)
    assert key_of(np.asfortranarray(array)) == key_of(array)
    assert key_of(np.arange(12)[::2]) == key_of(np.arange(12)[::2].copy())


def test_a_call_is_made_once(tmp_path):
    for _ in range(3):
        assert Store(tmp_path).call(identity, 1, 2) == (1, 2)
    assert CALLS == [((1, 2), {})]
    assert Store(tmp_path / "elsewhere").call(identity, 1, 2) == (1, 2)
    assert len(CALLS) == 2


def test_options_and_what_else_matters_count(tmp_path):
    store = Store(tmp_path)
    calls = [
        ((1,), {}), ((1,), {"of": 2}), ((1,), {"of": 3}), ((1,), {"by": 2}), ((1,), {"also": 2}),
        ((1,), {"also": "this machine"}), ((1, 2), {}), ((1, {"of": 2}), {}), ((1, None), {}),
    ]  # fmt: skip
    for _ in range(2):
        for given, options in calls:
            store.call(identity, *given, **options)
        assert len(CALLS) == len(calls)
    assert {"also": 2} not in [options for _, options in CALLS]  # which is for the key only


def test_functions_may_be_called_with_functions(tmp_path):
    store = Store(tmp_path)
    for _ in range(2):
        assert store.call(applied, other_identity, 3) == (3,)
        assert store.call(applied, identity, 3) == 3
    assert [call[0] for call in CALLS if callable(call[0])] == [other_identity, identity]


def test_nothing_is_a_result_too(tmp_path):
    store = Store(tmp_path)
    for nothing in (None, (), [], {}, 0, "", False):
        CALLS.clear()
        for _ in range(2):
            assert store.call(identity, nothing) == nothing
        assert len(CALLS) == 1


def check_same(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        check_same(list(found.values()), list(expected.values()))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            check_same(one, other)
    elif isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, pd.DataFrame):
        same(found, expected)
    else:
        assert found == expected or (found != found and expected != expected)


RESULTS = [
    {"PCC": [0.1, math.nan, 3, True, None], "none": {}}, {(0, "LS"): 1.5, (1, "LS"): -math.inf},
    [(1, (2, [3.0]))], "ä ☃ \n '", 2**70, 5e-324, 0.1 + 0.2,
    np.arange(6).reshape(2, 3), np.array(["a", "bc"]), np.array([True, False]),
    np.float32([0.1, np.nan]), np.zeros((0, 3)), np.array(7.5), [np.arange(2), table()],
]  # fmt: skip


@pytest.mark.parametrize("result", RESULTS)
def test_results_come_back_as_they_were(tmp_path, result):
    store = Store(tmp_path)
    first, second = store.call(identity, result), store.call(identity, result)
    assert len(CALLS) == 1
    check_same(first, result)
    check_same(second, result)


def rich_table():
    return pd.DataFrame(
        {
            "float": [0.1, np.nan, -np.inf, 5e-324],
            "single": np.float32([0.1, 0.2, np.nan, 3]),
            "count": [1, -2, 2**62, 0],
            "small": np.array([1, 2, 255, 0], dtype=np.uint8),
            "flag": [True, False, True, True],
            "text": ["a", None, "ä", ""],
            "object": pd.Series(["a", None, 1.5, ("b", 2)], dtype=object),
            "nothing": pd.Series([None] * 4, dtype=object),
        }
    )


def test_tables_come_back_with_the_same_values_and_types(tmp_path):
    store = Store(tmp_path)
    for _ in range(2):
        found = store.call(rich_table)
        same(found, rich_table())
        assert found["object"][1] is None
        assert found["nothing"][2] is None
        assert [type(value) for value in found["object"]] == [str, type(None), float, tuple]


def test_tables_without_rows_or_columns_come_back(tmp_path):
    for number, rows in enumerate((rich_table()[:0], rich_table()[[]][:0], pd.DataFrame())):
        Store(tmp_path).put(str(number), (rows,))
        (found,) = Store(tmp_path).get(str(number))
        assert list(found.columns) == list(rows.columns)
        assert list(found.dtypes) == list(rows.dtypes)
        assert len(found) == 0


def table_of_counts():
    return pd.DataFrame({"seeds": pd.array([3, None], dtype="Int64"), "ours": [0.5, np.nan]})


def test_counts_that_may_be_missing_come_back(tmp_path):
    for _ in range(2):
        same(Store(tmp_path).call(table_of_counts), table_of_counts())


def table_by_name():
    return pd.DataFrame({"PCC": [0.5, 0.25]}, index=pd.Index(["LS", "replay"], name="estimator"))


def test_names_of_rows_come_back(tmp_path):
    for _ in range(2):
        same(Store(tmp_path).call(table_by_name), table_by_name())


def test_values_of_the_library_come_back(games, tmp_path):
    given = games["one"], TRAINING, 3, {"structural": Structural(), "replay": Replay(0.2)}
    store = Store(tmp_path)
    store.call(trained_and_recovered, *given)
    log, found = store.call(trained_and_recovered, *given)
    expected_log, expected = trained_and_recovered(*given)
    assert log.training == expected_log.training
    for policies, others in zip(log.policies, expected_log.policies, strict=True):
        np.testing.assert_array_equal(policies, others)
        assert not policies.flags.writeable
    for one, other in zip(found, expected, strict=True):
        assert tuple(one[:3]) == other[:3]
        np.testing.assert_array_equal(one[3].values, other.reward.values)
        assert one[3].diagnostics.evidence == other.reward.diagnostics.evidence


def test_rewards_of_a_run_come_back_by_agent_and_estimator(games, tmp_path, runs_made):
    given = games["one"], TRAINING, 3, {"structural": Structural(), "LS": LeastSquares()}
    for _ in range(2):
        found = Store(tmp_path).call(rewards, *given, agents=[1])
        assert list(found) == [(1, "structural"), (1, "LS")]
    assert runs_made == [3]
    for key, reward in rewards(*given, agents=[1]).items():
        np.testing.assert_array_equal(found[key].values, reward.values)


class Instance:
    def __call__(self):
        return 1

    def method(self):
        return 1


def _local():
    def local():
        return 1

    return local


@pytest.mark.parametrize(
    "unknown",
    [
        lambda: 1, _local(), functools.partial(identity, 1), Instance(), Instance().method, len,
        object(), Pair, {1, 2}, np.random.default_rng(0), 1j,
    ],
)  # fmt: skip
def test_what_cannot_be_known_again_is_refused(tmp_path, unknown):
    store = Store(tmp_path)
    for given in ((identity, unknown), (identity, [{"a": unknown}]), (identity, Pair(0, unknown))):
        with pytest.raises(TypeError, match="to be known again"):
            store.call(*given)
    with pytest.raises(TypeError, match="to be known again"):
        store.call(identity, 1, also=unknown)
    with pytest.raises(TypeError, match="to be known again"):
        store.call(identity, of=unknown)
    if callable(unknown):
        with pytest.raises(TypeError, match="to be known again"):
            store.call(unknown)
    assert CALLS == []
    assert list(tmp_path.iterdir()) == []


def test_arrays_of_objects_are_refused(tmp_path):
    with pytest.raises(TypeError, match="an array must hold numbers or text, got object"):
        Store(tmp_path).call(identity, np.array([object()]))
    assert CALLS == []
    assert list(tmp_path.iterdir()) == []


def broken():
    CALLS.append(())
    raise ValueError("broken")


def test_an_error_is_no_result(tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            Store(tmp_path).call(broken)
    assert len(CALLS) == 2
    assert list(tmp_path.iterdir()) == []


# Code.

CHANGES = (
    "kernels/replay.py",
    "kernels/walk.py",
    "kernels/q_learning.py",
    "recovery/consistency.py",
    "companion/figures/style.py",
    "theory/bounds.py",
    "values.py",
)
PROGRAM = """
import json, multiprocessing, pathlib, sys

import malfl
from malfl.studies import rewards
from malfl.studies.store import key_of

folder = pathlib.Path(malfl.__file__).parent
game = malfl.gridworlds.ma_lfl("hom", size=2)
played = malfl.Training(), malfl.Training(malfl.QLearning())
runs = {
    "Replay": (played[0], malfl.Replay(0.1)),
    "LeastSquares": (played[0], malfl.LeastSquares()),
    "Q-learning": (played[1], malfl.LeastSquares()),
}

def show(name):  # in a process that has not read any code before
    keys = {run: key_of(rewards, game, how, 0, {"it": by}) for run, (how, by) in runs.items()}
    print(json.dumps([name, str(folder), keys]), flush=True)

for name in ["", *sys.argv[1:]]:
    file = folder / name if name else folder / "__init__.py"
    before = file.read_bytes()
    if name:
        file.write_bytes(before + b"# A comment.\\n")
    child = multiprocessing.get_context("fork").Process(target=show, args=(name,))
    child.start()
    child.join()
    file.write_bytes(before)
"""


@pytest.fixture(scope="module")
def runs_changed(tmp_path_factory):
    """By changed module of a copy of the library, the runs whose keys change."""
    copy = tmp_path_factory.mktemp("copy")
    library = Path(malfl.__file__).parent
    shutil.copytree(library, copy / "malfl", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", copy / "program.py", *CHANGES],
        env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {folder for _, folder, _ in lines} == {str(copy / "malfl")}
    (_, _, before), *after = lines
    assert len(set(before.values())) == 3
    assert len(after) == len(CHANGES)
    return {
        name: {run for run, key in keys.items() if key != before[run]} for name, _, keys in after
    }


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ("kernels/replay.py", {"Replay"}),
        ("kernels/walk.py", {"Replay", "LeastSquares", "Q-learning"}),
        ("kernels/q_learning.py", {"Q-learning"}),
        ("recovery/consistency.py", {"LeastSquares", "Q-learning"}),
        ("companion/figures/style.py", set()),
        ("theory/bounds.py", set()),
        ("values.py", {"Replay", "LeastSquares", "Q-learning"}),
    ],
)
def test_code_counts_where_it_is_used(runs_changed, changed, runs):
    assert runs_changed[changed] == runs


def key_in_a_new_process(folder, name):
    path = [str(folder), str(Path(malfl.__file__).parents[1])]
    program = f"from malfl.studies.store import key_of; import {name} as m; print(key_of(m.work))"
    return subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True, text=True, check=True, cwd=folder,
    ).stdout  # fmt: skip


def test_code_of_ones_own_modules_counts(tmp_path):
    module = tmp_path / "ones_own_module.py"
    module.write_text("def work():\n    return 1\n")
    first = key_in_a_new_process(tmp_path, "ones_own_module")
    assert len(first.strip()) == 64
    assert key_in_a_new_process(tmp_path, "ones_own_module") == first
    module.write_text("def work():\n    return 2\n")
    assert key_in_a_new_process(tmp_path, "ones_own_module") != first


def test_libraries_that_compute_count(monkeypatch):
    key = key_of(rewards)
    version = stores.metadata.version
    for name in ("numpy", "scipy", "numba"):
        changed = lambda asked, name=name: version(asked) + ".1" * (asked == name)  # noqa: E731
        stores._digest.cache_clear()
        monkeypatch.setattr(stores.metadata, "version", changed)
        assert key_of(rewards) != key
        monkeypatch.undo()
    stores._digest.cache_clear()
    assert key_of(rewards) == key


@pytest.mark.parametrize("result", [{1, 2}, Path("here"), 1j, pd.Series([1.0])], ids=repr)
def test_results_that_would_come_back_as_something_else_are_refused(tmp_path, result):
    with pytest.raises(TypeError, match="to be known again"):
        Store(tmp_path).put("it", (result,))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({("a", "b"): [1]}),
        pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(0, 1), (0, 2)])),
    ],
    ids=["names twice", "pairs as names", "two indices"],
)
def test_tables_that_would_come_back_as_others_are_refused(tmp_path, table):
    with pytest.raises(TypeError, match="a table must have"):
        Store(tmp_path).put("it", (table,))
    assert list(tmp_path.iterdir()) == []


def test_a_value_at_the_place_of_a_result_is_refused(games, tmp_path):
    games["one"].save(tmp_path / "it.npz")
    with pytest.raises(ValueError, match=r"no result, remove it: .*it\.npz does not hold what"):
        Store(tmp_path).get("it")


def test_a_function_without_a_file_is_refused(tmp_path):
    code = f"from malfl.studies import Store\ndef f(): return 1\nStore({str(tmp_path)!r}).call(f)\n"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "__main__ has no file to know its code by; put it into a module" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_modules_import_is_all_of_theirs():
    each = [stores.closure({name}) for name in ("malfl.values", "malfl.games.soft")]
    assert stores.closure({"malfl.values", "malfl.games.soft"}) == each[0] | each[1]
    assert "malfl.checks" in each[0]
    assert "malfl.games.markov" not in each[0]


def test_the_file_of_a_module():
    folder = Path(malfl.__file__).parent
    assert stores.file_of("malfl.values") == folder / "values.py"
    assert stores.file_of("malfl.games") == folder / "games" / "__init__.py"
