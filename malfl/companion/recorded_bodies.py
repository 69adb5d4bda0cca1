"""``python -m malfl.companion.recorded_bodies``: LfL's runs with bodies, on record.

They are made by this command, which goes on where it was stopped: about six hours of a processor.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from malfl import progress, values
from malfl.checks import FloatArray
from malfl.companion.artefacts import Results
from malfl.companion.bodies import (
    SETTINGS,
    Row,
    clone_rows,
    learner_rows,
    observed,
    observers,
)
from malfl.companion.recorded import DIGITS, FOLDER, how_made
from malfl.companion.timed import timed
from malfl.control.learn import Run, learn
from malfl.control.policy import Policy
from malfl.control.rollout import RolloutView
from malfl.studies.store import Store

NAME = "bodies"
COMMAND = "python -m malfl.companion.recorded_bodies"
VERSIONS = ("malfl", "gymnasium", "jax", "mujoco", "numpy", "optax")
LEARNER = "learner"


class Job(NamedTuple):
    """One run."""

    task: str
    seed: int
    who: str  #: "learner", or the name of an observer


def stages() -> list[list[Job]]:
    """All runs, task by task: its learners, then the observers that watch them."""
    found = []
    for task, setting in SETTINGS.items():
        seeds = range(setting.seeds)
        found.append([Job(task, seed, LEARNER) for seed in seeds])
        found.append([Job(task, seed, who) for who in observers(task) for seed in seeds])
    return found


def made(job: Job, folder: Path) -> tuple[list[Row], tuple[Policy, ...]]:
    """Rows of a job, and policies to show; nothing is run again that a store's folder holds."""
    store = Store(folder)
    run, seconds = run_of(job.task, job.seed, store)
    if job.who != LEARNER:
        (rows, policy), seconds = store.call(timed, observed, job.who, run)
        rows[0]["seconds"] = seconds
        return rows, (policy,)
    rows = store.call(with_clones, run)
    rows[0]["seconds"] = seconds
    window = SETTINGS[job.task].window
    return rows, (run.policies[0], run.policies[window[0]], run.policies[window[-1]])


def run_of(task: str, seed: int, store: Store) -> tuple[Run, float]:
    """What happened while an agent learned for as long as it is seen, and seconds."""
    return store.call(timed, learn, task, SETTINGS[task].window[-1], seed=seed)


def with_clones(run: Run) -> list[Row]:
    """Rows of a learner, and of clones of it that learn nothing."""
    return learner_rows(run) + clone_rows(run)


def seen(task: str, seed: int, store: Path) -> tuple[RolloutView, FloatArray]:
    """What observers see of a learner, and its true rewards along these rollouts."""
    run, _ = run_of(task, seed, Store(store))
    setting = SETTINGS[task]
    updates = sorted({*setting.window, *setting.history})
    return run.seen(updates), run.rewards[updates].astype(np.float32)


def main() -> int:
    """Make all runs that are not in the store, and write the record."""
    parser = argparse.ArgumentParser(
        prog="python -m malfl.companion.recorded_bodies", description=__doc__
    )
    parser.add_argument("store", type=Path, help="keeps runs until all are made")
    parser.add_argument("--jobs", type=int, default=progress.cores(), help="processes")
    given = parser.parse_args()
    began = time.time()
    found = dict[Job, tuple[list[Row], tuple[Policy, ...]]]()
    apart = multiprocessing.get_context("spawn")  # JAX's threads do not survive a fork
    with ProcessPoolExecutor(given.jobs, apart, threadpool_limits, (1,)) as processes:
        for some in stages():
            calls = [(job, given.store) for job in some]
            say = lambda k, _, some=some: print(*some[k], flush=True)  # noqa: E731
            found |= zip(some, progress.run(made, calls, processes, say), strict=True)
    write(found, given.store, how_made(COMMAND, VERSIONS, given.jobs, time.time() - began))
    return 0


def write(
    found: Mapping[Job, tuple[list[Row], tuple[Policy, ...]]], store: Path, how: dict[str, Any]
) -> None:
    """Put all on record."""
    table = pd.DataFrame([row for rows, _ in found.values() for row in rows])
    numbers = table.select_dtypes("float").columns
    table[numbers] = table[numbers].map(lambda x: float(f"{x:.{DIGITS}g}"))
    how["seeds"] = {task: list(range(of.seeds)) for task, of in SETTINGS.items()}
    how["seconds of all runs"] = round(float(table["seconds"].sum()))
    out = Results(FOLDER)
    out.save_table(NAME, table)
    out.save_json(NAME, how)
    folder = values.writable_folder(FOLDER / NAME, "record")
    for task, seed, who in found:
        if who == LEARNER:
            values.write(seen(task, seed, store), folder / f"{task}_{seed}.npz")
    shown = [(*job, found[job][1]) for job in found if job.seed == 0]
    values.write(shown, folder / "policies.npz")


if __name__ == "__main__":
    sys.exit(main())
