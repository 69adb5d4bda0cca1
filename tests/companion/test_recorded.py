"""Runs on record: exactly those that are defined, and the same when they are made again."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from malfl.companion import recorded
from malfl.companion.carry import MEASURED, NOTHING
from malfl.companion.recorded import (
    COMPARED,
    FIRST_SEED,
    Job,
    cheapest,
    compared,
    jobs,
    made,
    made_again,
    provenance,
)
from malfl.companion.regimes import REGIMES
from malfl.games.classics import CLASSICS

FEW = [Job("random", "few episodes", 3), Job("random", "step size 4 times too large", 4)]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A record of two cheap jobs, made by the command."""
    monkeypatch.setattr(recorded, "FOLDER", tmp_path / "record")
    monkeypatch.setattr(recorded, "jobs", lambda: FEW)
    command = ["recorded", str(tmp_path / "store"), "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(recorded, "ProcessPoolExecutor", Here)
    assert recorded.main() == 0
    return tmp_path


class Here:
    """An executor that calls in this thread."""

    def __init__(self, processes, initializer, initargs):
        assert processes == 1

    def __enter__(self):
        from concurrent.futures import ThreadPoolExecutor

        self.threads = ThreadPoolExecutor(1)
        return self.threads

    def __exit__(self, *error):
        self.threads.shutdown()


def test_seeds_are_held_out_and_each_is_used_once():
    seeds = [job.seed for job in jobs() if job.kind == "random"]
    assert min(seeds) >= FIRST_SEED
    assert len(seeds) == len(set(seeds)) >= 300
    assert len(set(jobs())) == len(jobs())
    assert sum(job.kind == "random" for job in jobs()) >= 300
    assert {job.regime for job in jobs()} == set(REGIMES) | set(CLASSICS)


@pytest.fixture(scope="module")
def on_record():
    return recorded.recorded()


class TestTheRecord:
    """The one that the package holds."""

    def test_it_is_of_exactly_the_jobs_that_are_defined(self, on_record):
        found = list(on_record[recorded.KEYS].drop_duplicates().itertuples(index=False, name=None))
        assert found == [tuple(job) for job in jobs()]

    def test_its_numbers_are_finite_or_explained(self, on_record):
        nothing = on_record["verdict"] == NOTHING
        assert (on_record.loc[nothing, "problem"] != "").all()
        some = on_record[~nothing]
        assert (some["problem"] == "").all()
        needed = ["identified", "STARC", "promised", "at_least", "error", "shown", "determined"]
        assert np.isfinite(some[needed].to_numpy()).all()
        sharp = some[some["determined"] > 0]
        spread = [name for name in MEASURED if name.startswith(("below_", "above_"))]
        assert np.isfinite(sharp[["z", *spread]].to_numpy()).all()
        named = on_record[on_record["used"].isin(["replay", "structural"])]
        assert np.isfinite(named["bound"]).all()

    def test_it_says_how_it_was_made(self):
        made = provenance()
        assert made["command"].startswith("python -m malfl.companion.recorded")
        assert made["seeds"] == sorted({job.seed for job in jobs()})
        assert set(made["versions"]) == {"malfl", "numpy", "numba", "scipy"}
        assert len(made["commit"]) == 40
        assert made["processor"]


def test_a_record_is_made_resumed_and_read(small, monkeypatch):
    rows = recorded.recorded()
    assert rows[["regime", "seed"]].drop_duplicates().to_numpy().tolist() == [
        [job.regime, job.seed] for job in FEW
    ]
    again = pd.DataFrame([row for job in FEW for row in made(job, small / "store")])
    for name in COMPARED:
        np.testing.assert_allclose(rows[name], again[name], rtol=1e-5)
    assert (rows["problem"] == "").all()
    assert provenance()["seeds"] == [3, 4]
    text = json.loads((small / "record" / "carry.json").read_text())
    assert text["command"] == "python -m malfl.companion.recorded --jobs 1"

    def unwanted(*given):
        raise AssertionError("it was made before")

    monkeypatch.setattr(recorded.Store, "put", unwanted)
    assert recorded.main() == 0  # goes on where it was


def test_runs_are_made_again_and_compared(small):
    table = made_again(2)
    assert set(table["regime"]) == {job.regime for job in FEW}
    np.testing.assert_allclose(table["on record"], table["again"], rtol=1e-5)
    assert len(made_again(0)) == 0


def test_a_difference_is_an_error(small):
    path = small / "record" / "carry.csv"
    rows = pd.read_csv(path)
    rows["identified"] -= 0.01
    rows.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"on record of 'step size 4 .*' with seed 4 is not what"):
        made_again(1)


def test_another_verdict_or_number_of_rows_is_an_error():
    columns = {"used": ["episodes", "counts"], "verdict": "sound"} | dict.fromkeys(COMPARED, 0.5)
    before = pd.DataFrame(columns)
    assert len(compared(before, before, FEW[0])) == 2
    for now in (before.assign(verdict="doubtful"), before.iloc[:1]):
        with pytest.raises(ValueError, match="make the record again"):
            compared(before, now, FEW[0])
    assert len(compared(before.assign(z=np.nan), before.assign(z=np.nan), FEW[0])) == 2
    with pytest.raises(ValueError, match="make the record again"):
        compared(before.assign(z=np.nan), before, FEW[0])


def test_the_cheapest_are_of_different_regimes():
    rows = pd.DataFrame(
        [("random", "a", 1, 0.1, ""), ("random", "a", 1, 0.1, ""), ("random", "a", 2, 0.3, ""),
         ("random", "b", 3, 5.0, ""), ("classic", "c", 4, 2.0, ""), ("random", "b", 5, 1.0, ""),
         ("random", "b", 5, 0.0, "nothing to learn from")],
        columns=["kind", "regime", "seed", "seconds", "problem"],
    )  # fmt: skip
    assert cheapest(rows, 4) == [
        Job("random", "a", 1), Job("classic", "c", 4), Job("random", "b", 3), Job("random", "a", 2),
    ]  # fmt: skip
    assert cheapest(rows, 1) == [Job("random", "a", 1)]
