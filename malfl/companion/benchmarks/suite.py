"""Measurements of the core: contests, costs against size, and the machine's limit."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
from numba import njit

import malfl
from malfl.checks import WordArray
from malfl.companion.benchmarks.rivals import NaiveLoop, numpy_loop, quantecon_chain
from malfl.games import soft
from malfl.games.markov import MarkovGame, Policies
from malfl.kernels.walk import fill_words
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.play.sampling import Method
from malfl.recovery import recover_from_policies

ALPHA, BETA = 3.0, 0.1
Oracle = Callable[[MarkovGame, Policies, int, int], object]

MARGIN = 0.2  #: how far a number may be missed on a noisy machine

RATIOS = (
    ("TD and counts", "numba loop with TD", 15.0),
    ("TD and counts", "plain Python", 4000.0),
    ("counts", "numba loop", 15.0),
    ("counts", "QuantEcon", 5.0),
    ("counts", "NumPy", 5.0),
)
"""Ours, the other, and how many times as fast ours is meant to be."""


def timed(work: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Median seconds of each piece of work, all measured in turn after a run that is not counted.

    What slows the machine down for a while then slows all of them.
    """
    for one in work.values():
        one()
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repetitions):
        for name, one in work.items():
            began = time.perf_counter()
            one()
            seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def slow_oracle() -> Oracle | None:
    """Algorithm 1 in plain Python, if this is a checkout of the repository with its tests."""
    file = Path(malfl.__file__).parents[1] / "tests" / "naive.py"
    if not file.exists():
        return None
    spec = spec_from_file_location("naive", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault("naive", module_from_spec(spec))  # a store looks up its file
    spec.loader.exec_module(module)
    oracle: Oracle = module.algorithm_1
    return oracle


def contest(
    oracle: Oracle | None, *, episodes: int = 10_000, steps: int = 1000, repetitions: int = 7
) -> pd.DataFrame:
    """Nanoseconds a joint step on the 3x3 game, ours and others, in one run on one core.

    All play policies from the middle of learning. Ours are whole public calls, tables and counts
    included; the others are given their tables, and NumPy and QuantEcon need not count.

    Parameters
    ----------
    oracle
        The slow oracle of Algorithm 1, called with a game, policies, episodes and steps.

    Returns
    -------
    DataFrame
        Columns ``name``, ``nanoseconds``.
    """
    game = malfl.gridworlds.ma_lfl("hom")
    policies = tuple(history[-1] for history in iterate_exactly(game, alpha=ALPHA, iterations=5))
    naive = NaiveLoop(game, policies, ALPHA, BETA)
    chain = quantecon_chain(game, policies)
    rng = np.random.default_rng(0)
    work: dict[str, Callable[[], object]] = {
        "TD and counts": lambda: _learn_once(game, policies, episodes, steps),
        "counts": lambda: _count(game, policies, episodes, steps),
        "numba loop with TD": lambda: naive(episodes, steps, rng, True),
        "numba loop": lambda: naive(episodes, steps, rng, False),
        "QuantEcon": lambda: chain.simulate_indices(
            steps, init=0, num_reps=episodes, random_state=rng
        ),
        "NumPy": lambda: numpy_loop(game, policies, episodes, steps, rng),
    }
    joint_steps = dict.fromkeys(work, episodes * steps)
    if oracle is not None:
        work["plain Python"] = lambda: oracle(game, policies, 10, 300)
        joint_steps["plain Python"] = 3000
    seconds = timed(work, repetitions)
    rows = [(name, 1e9 * value / joint_steps[name]) for name, value in seconds.items()]
    return pd.DataFrame(rows, columns=["name", "nanoseconds"])


def _learn_once(game: MarkovGame, policies: Policies, episodes: int, steps: int) -> None:
    malfl.learn(
        game, malfl.SoftPolicyIteration(BETA), alpha=ALPHA, iterations=1, initial=policies,
        episodes=episodes, steps=steps, seed=0,
    )  # fmt: skip


def _count(
    game: MarkovGame, policies: Policies, episodes: int, steps: int, method: Method = "walk"
) -> None:
    malfl.sample_counts(game, policies, episodes=episodes, steps=steps, seed=0, method=method)


def ratios(times: pd.DataFrame) -> pd.DataFrame:
    """How many times as fast ours are: columns ``ours``, ``other``, ``ratio``, ``at_least``."""
    cost = times.set_index("name")["nanoseconds"].to_dict()
    rows = [
        (ours, other, cost[other] / cost[ours], least)
        for ours, other, least in RATIOS
        if other in cost
    ]
    return pd.DataFrame(rows, columns=["ours", "other", "ratio", "at_least"])


def cost_of_episodes(
    numbers: Sequence[int], *, steps: int = 1000, longest: int = 30_000, repetitions: int = 5
) -> pd.DataFrame:
    """Seconds to count so many episodes on the 3x3 game, walking and by occupancy.

    Parameters
    ----------
    longest
        Episodes that are walked at most.

    Returns
    -------
    DataFrame
        Columns ``method``, ``episodes``, ``seconds``.
    """
    game = malfl.gridworlds.ma_lfl("hom")
    policies = tuple(history[-1] for history in iterate_exactly(game, alpha=ALPHA, iterations=5))

    wanted: list[tuple[Method, int]] = [("occupancy", n) for n in numbers]
    wanted += [("walk", n) for n in numbers if n <= longest]
    work = {f"{m} {n}": partial(_count, game, policies, n, steps, m) for m, n in wanted}
    seconds = timed(work, repetitions)
    rows = [(m, n, seconds[f"{m} {n}"]) for m, n in wanted]
    return pd.DataFrame(rows, columns=["method", "episodes", "seconds"])


def cost_of_size(
    games: Sequence[tuple[int, int]],
    *,
    episodes: int = 3000,
    steps: int = 1000,
    repetitions: int = 3,
) -> pd.DataFrame:
    """Cost of learning and counting on grids of growing size.

    Every state's policy is random. The time of a step is that of a long run less that of a run of
    a single step, which is what tables and results cost.

    Parameters
    ----------
    games
        Cells along a side, and agents.

    Returns
    -------
    DataFrame
        Columns ``size, agents, states, joint_actions, work, nanoseconds`` (a joint step),
        ``preparation`` (seconds).
    """
    rows = []
    for size, agents in games:
        game = malfl.gridworlds.ma_lfl("hom", size=size, agents=agents)
        rng = np.random.default_rng(0)
        policies = tuple(rng.dirichlet(np.ones(n), size=game.n_states) for n in game.actions)
        for name, work in (("TD and counts", _learn_once), ("counts", _count)):
            seconds = timed(
                {
                    "preparation": partial(work, game, policies, 1, 1),
                    "all": partial(work, game, policies, episodes, steps),
                },
                repetitions,
            )
            before = seconds["preparation"]
            step = 1e9 * (seconds["all"] - before) / (episodes * steps)
            rows.append((size, agents, game.n_states, game.n_joint_actions, name, step, before))
    columns = ["size", "agents", "states", "joint_actions", "work", "nanoseconds", "preparation"]
    return pd.DataFrame(rows, columns=columns)


def cost_of_exactness(sizes: Sequence[int], *, improvements: int = 2) -> pd.DataFrame:
    """Seconds of exact soft evaluation and of state-only recovery for two agents on a grid.

    Returns
    -------
    DataFrame
        Columns ``size, states, work, seconds, correlation`` (of the recovered reward).
    """
    rows = []
    for size in sizes:
        game = malfl.gridworlds.ma_lfl("hom", size=size)
        began = time.perf_counter()
        soft.soft_value(game, game.uniform_policies(), 0, ALPHA)
        rows.append((size, game.n_states, "evaluation", time.perf_counter() - began, np.nan))
        policies = iterate_exactly(game, alpha=ALPHA, iterations=improvements)
        began = time.perf_counter()
        found = recover_from_policies(game, policies, of=0, alpha=ALPHA)
        seconds = time.perf_counter() - began
        right = malfl.correlation(found, game.rewards[0]).pearson
        rows.append((size, game.n_states, "recovery", seconds, right))
    return pd.DataFrame(rows, columns=["size", "states", "work", "seconds", "correlation"])


def cost_of_threads(numbers: Sequence[int], *, runs: int = 8, repetitions: int = 3) -> pd.DataFrame:
    """Seconds to learn with several seeds at once: columns ``threads``, ``seconds``."""
    game, training = malfl.gridworlds.ma_lfl("hom"), malfl.Training(iterations=3)

    def learn(threads: int) -> None:
        with ThreadPoolExecutor(threads) as executor:
            malfl.learn_all([game], training, seeds=range(runs), executor=executor)

    seconds = timed({str(n): partial(learn, n) for n in numbers}, repetitions)
    return pd.DataFrame([(n, seconds[str(n)]) for n in numbers], columns=["threads", "seconds"])


def machine_limit(repetitions: int = 5) -> dict[str, float]:
    """Nanoseconds of a random word and of a look-up in a table that fits the first-level cache."""
    lanes = np.arange(3 * 64, dtype=np.uint64).reshape(3, 64)
    words = np.empty((2**10, 64), dtype=np.uint64)
    table = np.arange(2**11, dtype=np.uint64)
    where = np.random.default_rng(0).integers(2**11, size=2**10, dtype=np.uint64)
    seconds = timed(
        {
            "word": lambda: fill_words(lanes, 0, words),
            "look-up": lambda: _look_up(table, where, 2**10),
        },
        repetitions,
    )
    return {"word": 1e9 * seconds["word"] / 2**16, "look-up": 1e9 * seconds["look-up"] / 2**20}


@njit(cache=True)
def _look_up(table: WordArray, where: WordArray, rounds: int) -> np.uint64:
    total = np.uint64(0)
    for r in range(rounds):
        turn = np.uint64(r)
        for k in range(where.size):
            total += table[where[k] ^ turn]
    return total


def missed(ratios: pd.DataFrame, limits: pd.DataFrame) -> list[str]:
    """What fell short by more than `MARGIN`, a line each.

    Parameters
    ----------
    ratios
        As from `ratios`.
    limits
        Columns ``name``, ``value``, ``at_most``.
    """
    slow = [
        f"{row['ours']} against {row['other']}: {row['ratio']:.3g}, not {row['at_least']:g}"
        for row in ratios.to_dict("records")
        if row["ratio"] < (1 - MARGIN) * row["at_least"]
    ]
    return slow + [
        f"{row['name']}: {row['value']:.3g}, not {row['at_most']:g}"
        for row in limits.to_dict("records")
        if row["value"] > (1 + MARGIN) * row["at_most"]
    ]


START_UP = {"import malfl": 1.0, "first run, compiling": 25.0, "second run, from the cache": 2.0}
"""What is measured in processes of their own, and how many seconds it may take."""


def start_up(repetitions: int = 5) -> dict[str, float]:
    """Seconds of `START_UP`: importing, and whole processes that import and learn a little."""
    measure = (
        "import time; t = time.perf_counter(); import malfl; {}; print(time.perf_counter() - t)"
    )
    learn = "malfl.learn(malfl.gridworlds.ma_lfl(), iterations=1, episodes=2, steps=10, seed=0)"

    def seconds(what: str, cache: str) -> float:
        run = subprocess.run(
            [sys.executable, "-c", measure.format(what)],
            env=os.environ | {"NUMBA_CACHE_DIR": cache},
            check=True,
            capture_output=True,
            text=True,
        )
        return float(run.stdout)

    with tempfile.TemporaryDirectory() as cache:
        first = seconds(learn, cache)
        second = np.median([seconds(learn, cache) for _ in range(repetitions)])
        imported = np.median([seconds("None", cache) for _ in range(repetitions)])
    return dict(zip(START_UP, (float(imported), first, float(second)), strict=True))


def exponents(sizes: pd.DataFrame, solved: pd.DataFrame) -> dict[str, float]:
    """`growth` with the number of states, of a step for two agents and of exact work.

    Of the latter only above a thousand states; a single size has no growth.
    """
    steps = sizes[sizes["agents"] == 2].rename(columns={"nanoseconds": "cost"})
    large = solved[solved["states"] > 1000].rename(columns={"seconds": "cost"})
    together = pd.concat([steps, large])[["work", "states", "cost"]]
    return {
        str(name): growth(group["states"], group["cost"])
        for name, group in together.groupby("work", sort=False)
        if len(group) > 1
    }


def growth(sizes: pd.Series, costs: pd.Series) -> float:
    """The exponent x with which cost grows as size to the x: slope of a line through logarithms.

    NaN unless all costs are positive: differences of times too short to be told apart are not.
    """
    if (costs <= 0).any():
        return np.nan
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
