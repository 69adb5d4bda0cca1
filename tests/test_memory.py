"""Runs that are shared, and work that goes on where it was stopped."""

import json

import pandas as pd
import pytest

import malfl
from malfl import experiments, memory
from malfl.experiments import Estimator, watch

SETTINGS = {"alpha": 3.0, "beta": 0.1, "iterations": 4, "episodes": 50, "steps": 50}
WAYS = {
    "released": experiments.papers_estimators(steps=10)["as released"],
    "structural": Estimator({"method": "structural"}),
    "replay": Estimator({"method": "replay", "beta": 0.1}),
}


@pytest.fixture(scope="module")
def games():
    return {kind: malfl.gridworlds.ma_lfl(kind) for kind in ("hom", "het")}


@pytest.fixture
def runs_made(monkeypatch):
    """How often agents learned, by seed."""
    made = []
    learning = experiments.learning

    def counted(*given, seed, **options):
        made.append(seed)
        return (yield from learning(*given, seed=seed, **options))

    monkeypatch.setattr(experiments, "learning", counted)
    return made


def watched(games, ways=WAYS, seeds=(0, 1), lengths=(1, 3), settings=SETTINGS, **options):
    return watch(games, ways, seeds=seeds, settings=settings, improvements=lengths, **options)


def test_what_is_recalled_is_what_was_found(games, tmp_path, runs_made):
    fresh = watched(games)
    runs_made.clear()
    for made in (4, 4):  # nothing the second time
        pd.testing.assert_frame_equal(
            watched(games, memory=tmp_path / "m"), fresh, check_exact=True
        )
        assert len(runs_made) == made


def test_only_what_is_new_is_done(games, tmp_path, runs_made):
    fresh = watched(games)
    runs_made.clear()
    known = {"memory": tmp_path}
    watched(games, {"by another name": WAYS["replay"]}, seeds=(1,), lengths=(3, 1), **known)
    assert runs_made == [1, 1]
    pd.testing.assert_frame_equal(watched(games, seeds=(0, 1), **known), fresh, check_exact=True)
    assert sorted(runs_made) == [0, 0, 1, 1, 1, 1]  # again for the other estimators
    part = watched(games, {"replay": WAYS["replay"]}, seeds=(0,), lengths=(3,), **known)
    expected = fresh.query("estimator == 'replay' and seed == 0 and improvements == 3")
    pd.testing.assert_frame_equal(part, expected.reset_index(drop=True), check_exact=True)
    assert len(runs_made) == 6


@pytest.mark.parametrize(
    "other",
    [
        {"settings": SETTINGS | {"alpha": 1.0}},
        {"settings": SETTINGS | {"episodes": 51}},
        {"seeds": (2,)},
        {"ways": {"replay": Estimator({"method": "replay", "beta": 0.2})}},
        {"ways": {"replay": WAYS["replay"]._replace(descent=True)}},
        {"lengths": (2,)},
        {"against": {"mine": malfl.gridworlds.ma_lfl("het")}},
        {"agents": [1]},
    ],
)
def test_nothing_is_taken_for_something_else(games, tmp_path, runs_made, other):
    one = {"hom": games["hom"]}
    usual = {"ways": {"replay": WAYS["replay"]}, "seeds": (0,), "lengths": (3,), "agents": [0]}
    watched(one, **usual, memory=tmp_path)
    found = watched(one, **usual | other, memory=tmp_path)
    assert len(runs_made) == 2
    pd.testing.assert_frame_equal(found, watched(one, **usual | other), check_exact=True)


def test_other_rules_rewards_or_code_make_another_run(games, monkeypatch):
    hom = games["hom"]
    slippery = malfl.gridworlds.ma_lfl("hom", slip=0.1)
    near = malfl.gridworlds.ma_lfl("hom", gamma=0.8)
    others = [games["het"], slippery, near, hom.with_rewards([2 * r for r in hom.rewards])]
    names = [memory.run_name(game, SETTINGS, 0) for game in (hom, *others)]
    monkeypatch.setattr(memory, "code", lambda: "changed")
    names.append(memory.run_name(hom, SETTINGS, 0))
    assert len(set(names)) == len(names)


def test_a_stopped_run_leaves_those_that_ended(games, tmp_path, runs_made, monkeypatch):
    score, calls = experiments.score, []

    def stops(*given):
        calls.append(given)
        if len(calls) > 8:  # 2 agents, 2 estimators, 2 lengths
            raise KeyboardInterrupt
        return score(*given)

    ways = {name: WAYS[name] for name in ("structural", "replay")}
    one = {"hom": games["hom"]}
    monkeypatch.setattr(experiments, "score", stops)
    with pytest.raises(KeyboardInterrupt):
        watched(one, ways, memory=tmp_path, threads=1)
    monkeypatch.setattr(experiments, "score", score)
    assert len(list(tmp_path.iterdir())) == 1
    runs_made.clear()
    watched(one, ways, memory=tmp_path, threads=1)
    assert runs_made == [1]


@pytest.mark.parametrize("content", ["[1, 2]", "{", "\x00"])
def test_a_file_that_is_none_of_these_is_named(games, tmp_path, content):
    given = {"games": {"hom": games["hom"]}, "ways": {"structural": WAYS["structural"]}}
    watched(**given, seeds=(0,), memory=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    with pytest.raises(ValueError, match=f"{file.name} must hold the scores of a run, remove it"):
        watched(**given, seeds=(0,), memory=tmp_path)


def test_a_folder_that_cannot_be_is_named(games, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="memory must be a folder that can be written"):
        watched(games, memory=tmp_path / "file")


def test_settings_that_cannot_be_written_down_are_refused(games, tmp_path):
    with pytest.raises(TypeError, match="JSON"):
        watched(games, settings=SETTINGS | {"learners": [object()]}, memory=tmp_path)


def test_scores_are_kept_as_json(tmp_path):
    kept = memory.Memory(tmp_path)
    assert kept.recall("this") == {}
    kept.keep("this", {"PCC": [0.1, float("nan"), 3, True]})
    assert json.loads((tmp_path / "this.json").read_text())["PCC"][0] == 0.1
    pcc, nothing, states, converged = kept.recall("this")["PCC"]
    assert (pcc, states, converged) == (0.1, 3, True)
    assert nothing != nothing
