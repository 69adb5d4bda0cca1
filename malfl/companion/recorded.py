"""``python -m malfl.companion.recorded``: the runs behind a chapter that take long, on record.

They are made by this command, which goes on where it was stopped, and are part of the package. Each
build makes some of them again and compares.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from malfl import progress
from malfl.companion.artefacts import Results, processor
from malfl.companion.carry import Row, in_classic, in_random_game
from malfl.companion.regimes import REGIMES
from malfl.games.classics import CLASSICS
from malfl.studies.store import Store

FOLDER = Path(__file__).with_name("recorded_runs")
NAME = "carry"
COMMAND = "python -m malfl.companion.recorded"
FIRST_SEED, APART = 20_000, 100  # nothing was ever adjusted to games of these seeds
GAMES = {True: 20, False: 15}  # of a regime in which the model is right, or wrong
CLASSIC_RUNS = 2  # of each classic game
VERSIONS = ("malfl", "numpy", "numba", "scipy")
COMPARED = ("promised", "at_least", "identified", "z", "error", "bound")
TOLERANCE = 1e-3  # of these, between machines
DIGITS = 6  # that are on record


class Job(NamedTuple):
    """One run, whose rows hold these three."""

    kind: str  #: "random" or "classic"
    regime: str  #: or the name of a classic game
    seed: int


KEYS = list(Job._fields)


def jobs() -> list[Job]:
    """All runs that are to be on record."""
    random = [
        Job("random", name, FIRST_SEED + APART * k + number)
        for k, (name, regime) in enumerate(REGIMES.items())
        for number in range(GAMES[regime.right])
    ]
    classic = [
        Job("classic", name, FIRST_SEED + k) for name in CLASSICS for k in range(CLASSIC_RUNS)
    ]
    return random + classic


def made(job: Job, folder: Path | None = None) -> list[Row]:
    """The rows of a job, which is not run again if a store's folder holds them."""
    function = in_random_game if job.kind == "random" else in_classic
    given = job.regime, job.seed
    rows = function(*given) if folder is None else Store(folder).call(function, *given)
    return [{"kind": job.kind} | row for row in rows]


def recorded() -> pd.DataFrame:
    """The rows on record, one for each recovery; see `malfl.companion.carry.in_random_game`."""
    texts = ["problem", "reward_class"]  # empty ones are no missing numbers
    table = pd.read_csv(FOLDER / f"{NAME}.csv")
    return table.assign(**{name: table[name].astype(object).fillna("") for name in texts})


def provenance() -> dict[str, Any]:
    """How the record was made: command, commit, versions, seeds, processor, seconds."""
    return dict(json.loads((FOLDER / f"{NAME}.json").read_text()))


def cheapest(rows: pd.DataFrame, number: int) -> list[Job]:
    """The jobs that take the least time and find something, of as many regimes as there are."""
    found = rows.groupby(KEYS)["problem"].transform(lambda problems: (problems == "").all())
    seconds = rows[found].groupby(KEYS, sort=False)["seconds"].sum().sort_values(kind="stable")
    order = seconds.groupby(["kind", "regime"], sort=False).cumcount().sort_values(kind="stable")
    return [Job(*key) for key in order.index[:number]]


def made_again(number: int) -> pd.DataFrame:
    """Make some of the recorded runs again, the cheapest, and compare.

    Returns
    -------
    DataFrame
        A row for each recovery: ``regime``, ``seed``, ``used``, the correlation of the identified
        part and the verdict, ``on record`` and ``again``.

    Raises
    ------
    ValueError
        If one differs by more than rounding does between machines.
    """
    record, parts = recorded(), []
    for job in cheapest(record, number):
        before = record[(record[KEYS] == list(job)).all(axis=1)]
        parts.append(compared(before, pd.DataFrame(made(job)), job))
    columns = ["regime", "seed", "used", "on record", "again", "verdict"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


def compared(before: pd.DataFrame, now: pd.DataFrame, job: Job) -> pd.DataFrame:
    """Rows of a job on record and made again, side by side; raises ValueError if they differ."""
    now = now.reindex(columns=before.columns)
    old, new = (part[list(COMPARED)].to_numpy(np.float64) for part in (before, now))
    same = (
        before[["used", "verdict"]].to_numpy().tolist()
        == now[["used", "verdict"]].to_numpy().tolist()
    )
    if not (same and np.allclose(old, new, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)):
        raise ValueError(
            f"the run on record of {job.regime!r} with seed {job.seed} is not what it is now; make "
            f"the record again, by python -m malfl.companion.recorded"
        )
    return now.assign(**{
        "on record": before["identified"].to_numpy(), "again": now["identified"].to_numpy()
    })  # fmt: skip


def main() -> int:
    """Make all runs that are not in the store, and write the record."""
    parser = argparse.ArgumentParser(prog="python -m malfl.companion.recorded", description=__doc__)
    parser.add_argument(
        "store",
        type=Path,
        nargs="?",
        default=Path("recorded-store"),
        help="keeps runs until all are made",
    )
    parser.add_argument("--jobs", type=int, default=progress.cores(), help="processes")
    given = parser.parse_args()
    began = time.time()
    with ProcessPoolExecutor(given.jobs, initializer=threadpool_limits, initargs=(1,)) as processes:
        calls = [(job, given.store) for job in jobs()]
        found = progress.run(made, calls, processes, lambda k, _: print(*calls[k][0], flush=True))
    table = pd.DataFrame([row for rows in found for row in rows])
    numbers = table.select_dtypes("float").columns
    table[numbers] = table[numbers].map(lambda x: float(f"{x:.{DIGITS}g}"))
    how = how_made(COMMAND, VERSIONS, given.jobs, time.time() - began)
    how["seeds"] = sorted({job.seed for job in jobs()})
    how["seconds of recovery"] = round(float(table["seconds"].sum()))
    out = Results(FOLDER)
    out.save_table(NAME, table)
    out.save_json(NAME, how)
    return 0


def how_made(command: str, packages: Sequence[str], processes: int, wall: float) -> dict[str, Any]:
    """Of any record: command, commit, versions, processor, seconds."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"],
        cwd=FOLDER.parent, capture_output=True, text=True,
    )  # fmt: skip
    return {
        "command": f"{command} --jobs {processes}",
        "commit": commit.stdout.strip() or "unknown",
        "versions": {name: metadata.version(name) for name in packages},
        "processor": processor(),
        "seconds of the last run of the command": round(wall),
    }


if __name__ == "__main__":
    sys.exit(main())
