import json

import numpy as np
import pandas as pd
import pytest
from logs import small
from typer.testing import CliRunner

import malfl
from malfl import gridworlds
from malfl.cli import GAMES, app


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*given, status=0):
    run = CliRunner().invoke(app, [str(one) for one in given])
    assert run.exit_code == status, run.output
    return run


LEARNED = ("--out", "log.npz", "--episodes", 200, "--steps", 100, "--iterations", 3)


def test_learn_recover_compare():
    call("learn", "ma-lfl-hom", *LEARNED, "--record", "--seed", 4, "--beta", 0.2)
    log = malfl.LearningLog.load("log.npz")
    assert log.episodes is not None
    assert (log.training.seed, log.training.learners) == (4, malfl.SoftPolicyIteration(0.2))
    expected = malfl.learn(
        gridworlds.ma_lfl("hom"), malfl.SoftPolicyIteration(0.2), episodes=200, steps=100,
        iterations=3, seed=4, record=True,
    )  # fmt: skip
    np.testing.assert_array_equal(log.counts, expected.counts)

    status = {"sound": 0, "doubtful": 3, "undetermined": 4}
    reward = malfl.recover(log.seen_by(None), of=1, by="structural", unvisited="omit")
    given = ("recover", "log.npz", "--of", 1, "--by", "structural", "--out", "found")
    said = call(*given, status=status[reward.verdict])
    assert reward.summary() in said.output
    found = malfl.RecoveredReward.load("found/reward.npz")
    np.testing.assert_array_equal(found.values, reward.values)
    pd.testing.assert_frame_equal(pd.read_csv("found/reward.csv"), malfl.reward_table(reward))

    compared = call("compare", "found/reward.npz", "ma-lfl-hom", "--agent", 1, "--json")
    numbers = json.loads(compared.stdout)
    assert numbers["PCC"] == pytest.approx(malfl.compare(reward, log.game, 1).PCC)
    by_file = call("compare", "found/reward.npz", "log.npz", "--agent", 1)
    assert f"PCC          {numbers['PCC']:.4g}" in by_file.output


def test_a_reward_that_is_doubtful_or_undetermined_says_so_by_its_status():
    call("learn", "ma-lfl-hom", *LEARNED)
    run = call("recover", "log.npz", "--by", "last policy", status=3)
    assert "Verdict: doubtful" in run.stdout
    few = ("--out", "few.npz", "--episodes", 2, "--steps", 30, "--iterations", 2)
    call("learn", "ma-lfl-hom", *few)
    call("recover", "few.npz", "--by", "structural", status=4)


def test_json_is_all_that_is_printed():
    call("example")
    run = call("recover", "mouse.csv", "--gamma", 0.9, "--json")
    told = json.loads(run.stdout)
    log = malfl.read_log("mouse.csv", gamma=0.9)
    reward = malfl.recover(log.seen_by(None), of=0, unvisited="omit")
    assert told["verdict"] == reward.verdict == "sound"
    assert told["notes"] == list(log.notes)
    assert told["correlation_at_least"] == reward.diagnostics.promise.at_least
    assert [row["state"] for row in told["entries"]] == list(log.states)
    assert [row["reward"] for row in told["entries"]] == reward.values.tolist()


def test_columns_have_names():
    frame = pd.DataFrame(small()).rename(columns={"state": "cell", "action": "did", "step": "t"})
    frame.to_parquet("log.parquet")
    given = ("recover", "log.parquet", "--gamma", 0.9, "--by", "last policy")
    run = call(*given, status=1)
    assert "state must be a column of 'log.parquet', got 'state'; there are iteration" in run.stderr
    call(*given, "--state", "cell", "--action", "did", "--step", "t", status=3)


def test_states_have_an_order():
    call("example")
    order = [row + column for column in "4321" for row in "abcd"]
    call("recover", "mouse.csv", "--gamma", 0.9, "--states", ", ".join(order), "--out", "o")
    assert pd.read_csv("o/reward.csv").state.tolist() == order
    grid = ("plot", "o/reward.npz", "--out", "a.png", "--rows", 4, "--columns", 4)
    call(*grid, "--states", ",".join(order))
    assert "states must be 16 names, got 2" in call(*grid, "--states", "a,b", status=1).stderr


def test_rules_from_a_file():
    frame = pd.DataFrame(small())
    frame.to_csv("log.csv", index=False)
    malfl.Dynamics(
        actions=(2,), transitions=[[0, 1], [0, 1], [0, 0]], start=0, gamma=0.9, ends=[2]
    ).save("rules.npz")
    run = call("recover", "log.csv", "--game", "rules.npz", status=1)
    assert "joint action 1 led from state 0 to state 2 in row 2" in run.stderr
    assert "must hold a game with rewards" in call(
        "learn", "rules.npz", *LEARNED, status=1
    ).stderr  # fmt: skip


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_pictures(kind, folder):
    reward = malfl.RecoveredReward(np.arange(6.0), "state", malfl.recovery.reward.NoFit())
    reward.save("r.npz")
    call("plot", "r.npz", "--out", f"a.{kind}", "--rows", 2, "--columns", 3)
    assert (folder / f"a.{kind}").stat().st_size > 1000
    table = [[(s + 1) % 6] for s in range(6)]
    malfl.Dynamics(actions=(1,), transitions=table, start=0, gamma=0.9).save("ring.npz")
    call("plot", "r.npz", "--out", f"b.{kind}", "--game", "ring.npz")
    assert (folder / f"b.{kind}").stat().st_size > 1000


WRONG = {
    "no file": (("recover", "no.csv", "--gamma", 0.9), "source must be a file, 'no.csv' is none"),
    "no npz": (("recover", "no.npz"), "No such file"),
    "not a log": (("recover", "r.npz"), "'r.npz' must hold a log or a view, got a RecoveredReward"),
    "no estimator": (("recover", "mouse.csv", "--gamma", 0.9, "--by", "no"), "by must be one of"),
    "no agent": (("recover", "mouse.csv", "--gamma", 0.9, "--of", 1), "of must lie in 0..0, got 1"),
    "no game": (("learn", "chess", *LEARNED), "game must be a file, or one of ma-lfl-hom"),
    "not a game": (("compare", "r.npz", "r.npz"), "'r.npz' must hold a game, got a Recovered"),
    "not a reward": (("compare", "g.npz", "lfl"), "must hold a RecoveredReward, got a MarkovGame"),
    "there already": (("example", "mouse.csv"), "'mouse.csv' exists already"),
    "no picture": (("plot", "r.npz", "--out", "r.gif"), "out must end in .png, .svg or .pdf"),
    "rows alone": (("plot", "r.npz", "--out", "r.png", "--rows", 2), "must be given together"),
    "other cells": (("plot", "r.npz", "--out", "r.png", "--rows", 2, "--columns", 2),
                    "layout must be rows and columns of 6 cells, got (2, 2)"),
    "a table": (("summary", "mouse.csv"), "mouse.csv must be a file that malfl saved"),
    "nowhere": (("learn", "lfl", "--out", "no/log.npz", *LEARNED[2:]), "No such file"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_a_line(case, folder):
    given, says = WRONG[case]
    call("example")
    malfl.RecoveredReward(np.arange(6.0), "state", malfl.recovery.reward.NoFit()).save("r.npz")
    gridworlds.lfl().save("g.npz")
    before = sorted(folder.iterdir())
    run = call(*given, status=1)
    assert run.stderr.startswith("Error: ")
    assert says in run.stderr
    assert run.stderr.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_a_wrong_command_is_another_status():
    call("nonsense", status=2)
    call("recover", status=2)


def test_what_is_in_a_file():
    malfl.read_log(small(), gamma=0.9).save("log.npz")
    assert "2 episodes of 5 steps in 2 iterations" in call("summary", "log.npz").output
    gridworlds.lfl().save("g.npz")
    assert "MarkovGame" in call("summary", "g.npz").output


@pytest.mark.parametrize("name", GAMES)
def test_every_game_is_there(name):
    assert GAMES[name]().n_states > 0


def test_a_label_that_comes_once_is_warned_of():
    rooms = np.array(["attic", "bath", "cellar"])
    frame = pd.DataFrame(small(state=rooms[[0, 1, 0, 0, 0]], next_state=rooms[[1, 0, 2, 0, 1]]))
    frame.to_csv("log.csv", index=False)
    run = call("recover", "log.csv", "--gamma", 0.9, "--by", "last policy", status=3)
    assert "Warning: labels may be misspelt: 'cellar' comes only once" in run.stderr
