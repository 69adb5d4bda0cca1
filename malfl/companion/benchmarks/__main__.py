"""``python -m malfl.companion.benchmarks``: every comparison in one run, and a verdict."""

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import platform
import resource
import sys
from importlib import metadata
from pathlib import Path

import pandas as pd
import psutil

from malfl.companion.artefacts import Results, processor
from malfl.companion.benchmarks import suite
from malfl.progress import cores

GRIDS = ((3, 2), (5, 2), (9, 2), (15, 2), (27, 2), (3, 3), (5, 3), (3, 4))
SOLVED = (3, 4, 5, 6, 8, 10)


Tables = dict[str, pd.DataFrame]
Limits = list[tuple[str, float, float]]


def main() -> int:
    """Measure, write ``summary.json`` and the tables behind it, and say what was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m malfl.companion.benchmarks", description=__doc__
    )
    parser.add_argument("--folder", type=Path, required=True, help="where summary.json goes")
    out = Results(parser.parse_args().folder)
    all_cores = cores()
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        allowed = process.cpu_affinity()
        process.cpu_affinity(allowed[:1])
    tables, limits = on_one_core()
    if hasattr(process, "cpu_affinity"):
        process.cpu_affinity(allowed)
    print("measuring threads", flush=True)
    tables["threads"] = suite.cost_of_threads(range(1, all_cores + 1))
    for name, table in tables.items():
        out.save_table(name, table)
    return report(out, tables, pd.DataFrame(limits, columns=["name", "value", "at_most"]))


def on_one_core() -> tuple[Tables, Limits]:
    """All that is measured on one core, and what was to be reached."""
    say = "measuring {}, on one core".format

    print(say("start-up"), flush=True)
    limits = [
        (f"{name}: s", value, suite.START_UP[name]) for name, value in suite.start_up().items()
    ]
    print(say("the contest"), flush=True)
    times = suite.contest(suite.slow_oracle())
    print(say("cost against episodes"), flush=True)
    episodes = suite.cost_of_episodes([30 * 10**k for k in range(6)])
    counting = episodes[episodes["method"] == "occupancy"].set_index("episodes")["seconds"]
    times_dearer = counting[3_000_000] / counting[3000]
    limits.append(("cost of 3 000 000 episodes over that of 3000", times_dearer, 5.0))
    print(say("cost against states and agents"), flush=True)
    sizes = suite.cost_of_size(GRIDS)
    print(say("exact evaluation and recovery"), flush=True)
    solved = suite.cost_of_exactness(SOLVED)
    for row in solved[solved["size"] == SOLVED[-1]].to_dict("records"):
        limits.append((f"{row['work']}, {row['states']} states: s", row["seconds"], 60.0))
    limits.append(("memory: GiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 4.0))
    tables = {
        "contest": times, "ratios": suite.ratios(times), "episodes": episodes, "sizes": sizes,
        "solved": solved,
    }  # fmt: skip
    return tables, limits


def report(out: Results, tables: Tables, checked: pd.DataFrame) -> int:
    """Write and print the summary; 1 if something was missed."""
    ratios = tables["ratios"]
    missed = suite.missed(ratios, checked)
    measured = ("malfl", "numpy", "numba", "scipy", "quantecon")
    named = {"nanoseconds" if name == "contest" else name: t for name, t in tables.items()}
    growth = suite.exponents(tables["sizes"], tables["solved"])
    summary = {
        "processor": processor(),
        "versions": {name: metadata.version(name) for name in measured}
        | {"python": platform.python_version()},
        **{
            name: json.loads(table.to_json(orient="records"))
            for name, table in {"limits": checked, **named}.items()
        },
        "growth": growth,
        "machine_limit": suite.machine_limit(),
        "missed": missed,
    }
    out.save_json("summary", summary)
    print(ratios.to_string(index=False, float_format="{:.4g}".format))
    print(checked.to_string(index=False, float_format="{:.3g}".format))
    print("growth exponents:", ", ".join(f"{name} {x:.2f}" for name, x in growth.items()))
    print("\n".join(f"MISSED {line}" for line in missed) or "nothing missed")
    return len(missed) > 0


if __name__ == "__main__":
    sys.exit(main())
