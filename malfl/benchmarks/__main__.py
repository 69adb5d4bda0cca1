"""``python -m malfl.benchmarks``: every comparison in one run, and a verdict."""

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

from malfl.artefacts import Results, processor
from malfl.benchmarks import suite
from malfl.parallel import cores

GRIDS = ((3, 2), (5, 2), (9, 2), (15, 2), (27, 2), (3, 3), (5, 3), (3, 4))
SOLVED = (3, 4, 5, 6, 8, 10)


def main() -> int:
    """Measure, write ``summary.json`` and the tables behind it, and say what was missed."""
    parser = argparse.ArgumentParser(prog="python -m malfl.benchmarks", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where summary.json goes")
    given = parser.parse_args()
    out = Results(given.folder)
    all_cores = cores()
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        allowed = process.cpu_affinity()
        process.cpu_affinity(allowed[:1])
    say = "measuring {}, on one core".format

    print(say("start-up"), flush=True)
    limits = [
        (f"{name}: s", value, suite.START_UP[name]) for name, value in suite.start_up().items()
    ]
    print(say("the contest"), flush=True)
    times = out.save_table("contest", suite.contest(suite.slow_oracle()))
    ratios = out.save_table("ratios", suite.ratios(times))
    print(say("cost against episodes"), flush=True)
    episodes = out.save_table("episodes", suite.cost_of_episodes([30 * 10**k for k in range(6)]))
    counting = episodes[episodes["method"] == "occupancy"].set_index("episodes")["seconds"]
    times_dearer = counting[3_000_000] / counting[3000]
    limits.append(("cost of 3 000 000 episodes over that of 3000", times_dearer, 5.0))
    print(say("cost against states and agents"), flush=True)
    sizes = out.save_table("sizes", suite.cost_of_size(GRIDS))
    print(say("exact evaluation and recovery"), flush=True)
    solved = out.save_table("solved", suite.cost_of_exactness(SOLVED))
    for row in solved[solved["size"] == SOLVED[-1]].to_dict("records"):
        limits.append((f"{row['work']}, {row['states']} states: s", row["seconds"], 60.0))
    limits.append(("memory: GiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 4.0))
    if hasattr(process, "cpu_affinity"):
        process.cpu_affinity(allowed)
    print("measuring threads", flush=True)
    threads = out.save_table("threads", suite.cost_of_threads(range(1, all_cores + 1)))

    checked = pd.DataFrame(limits, columns=["name", "value", "at_most"])
    missed = suite.missed(ratios, checked)
    measured = ("malfl", "numpy", "numba", "scipy", "quantecon")
    tables = {
        "ratios": ratios, "limits": checked, "nanoseconds": times, "episodes": episodes,
        "sizes": sizes, "solved": solved, "threads": threads,
    }  # fmt: skip
    growth = suite.exponents(sizes, solved)
    summary = {
        "processor": processor(),
        "versions": {name: metadata.version(name) for name in measured}
        | {"python": platform.python_version()},
        **{name: json.loads(table.to_json(orient="records")) for name, table in tables.items()},
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
