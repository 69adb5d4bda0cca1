"""Recoveries scored against the truth and set beside what the paper printed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from malfl.estimation import estimate_policies
from malfl.logs import LearningLog
from malfl.metrics import correlation, interval
from malfl.published import TABLE_1
from malfl.recovery import recover

COLUMNS = (
    "game", "agent", "metric", "estimator", "mean", "sd", "low", "high", "seeds",
    "paper_mean", "paper_sd",
)  # fmt: skip

SCORECARD = ("item", "paper", "ours", "low", "high", "seeds", "verdict", "chapter")


def table_1_estimators(steps: int = 1000, rate: float = 0.01) -> dict[str, dict[str, Any]]:
    """Ways to solve Eq. 12 with the operator of Theorem 5.1, as options of `malfl.recover`.

    The first is the paper's setting.

    Parameters
    ----------
    steps, rate
        Of Adam; Table 3 by default.
    """
    adam = {"method": "adam", "steps": steps, "rate": rate}
    exact = {"method": "least_squares", "reward_class": "state"}
    return {
        "Adam, R(s, a)": adam | {"reward_class": "joint-action"},
        "Adam, R(s, a_i)": adam | {"reward_class": "state-action"},
        "Adam, R(s)": adam | {"reward_class": "state"},
        "LS, R(s)": exact,
        "weighted LS, R(s)": exact | {"weighting": "visits"},
    }


def score_log(log: LearningLog, estimators: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Recover every agent's reward as the next agent sees it, and correlate it with the truth.

    Parameters
    ----------
    estimators
        Options of `malfl.recover` under the name they are reported by.

    Returns
    -------
    DataFrame
        Columns ``agent`` (from 1), ``estimator``, ``PCC``, ``SCC``, ``states``.
    """
    rows = []
    for agent, true in enumerate(log.game.rewards):
        seen = log.observed_by((agent + 1) % log.game.n_agents)
        policies = estimate_policies(seen)
        for name, options in estimators.items():
            found = correlation(recover(seen, of=agent, policies=policies, **options), true)
            rows.append((agent + 1, name, *found))
    return pd.DataFrame(rows, columns=["agent", "estimator", "PCC", "SCC", "states"])


def table_1(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds beside MA-LfL's Table 1; "mean" averages the agents seed by seed.

    Parameters
    ----------
    scores
        Rows of `score_log` with two more columns, ``game`` ("hom" or "het") and ``seed``.

    Returns
    -------
    DataFrame
        With `COLUMNS`; ``low`` and ``high`` bound a 95 % interval over seeds.
    """
    keys = ["game", "estimator", "seed"]
    agents = scores.assign(agent=scores["agent"].astype(str))
    both = agents.groupby(keys, sort=False)[["PCC", "SCC"]].mean().reset_index()
    long = pd.concat([agents, both.assign(agent="mean")]).melt(
        [*keys, "agent"], ["PCC", "SCC"], "metric", "score"
    )
    rows = []
    for (game, metric, agent), paper in TABLE_1.items():
        cell = long[(long["game"] == game) & (long["metric"] == metric) & (long["agent"] == agent)]
        for estimator, group in cell.groupby("estimator", sort=False):
            ours = interval(group["score"])
            rows.append((game, agent, metric, estimator, *ours, paper.value, paper.spread))
    return pd.DataFrame(rows, columns=COLUMNS)


def table_1_for_print(table: pd.DataFrame, game: str) -> pd.DataFrame:
    """One game of `table_1`, an estimator a row: mean and half-width of the interval."""
    rows = table[table["game"] == game]
    columns = rows["metric"] + " " + rows["agent"]
    half = (rows["high"] - rows["low"]) / 2
    ours = rows["mean"].map("{:.3f}".format) + half.map(" ± {:.3f}".format)
    printed = rows["paper_mean"].map("{:.2f}".format) + rows["paper_sd"].map(" ± {:.2f}".format)
    cells = pd.DataFrame({"estimator": rows["estimator"], "column": columns, "cell": ours})
    paper = cells.assign(estimator="the paper", cell=printed).drop_duplicates()
    wide = pd.concat([paper, cells]).pivot_table(
        "cell", "estimator", "column", aggfunc="first", sort=False
    )
    return wide.rename_axis(columns=None)


def scorecard(table: pd.DataFrame, estimator: str, chapter: str) -> pd.DataFrame:
    """Every cell of MA-LfL's Table 1 beside ours, with a verdict.

    "reproduced" if the printed value with its printed spread meets our 95 % interval, "differs" if
    not. With a single seed there is no interval, and our value stands for it.

    Parameters
    ----------
    table
        As `table_1` returns it.
    estimator
        Which of its estimators is compared.
    chapter
        Where the comparison is made.

    Returns
    -------
    DataFrame
        With `SCORECARD`.
    """
    rows = []
    ours = table[table["estimator"] == estimator].to_dict("records")
    by_cell = {(cell["game"], cell["metric"], cell["agent"]): cell for cell in ours}
    for key, paper in TABLE_1.items():
        cell = by_cell[key]
        mean, low, high = cell["mean"], cell["low"], cell["high"]
        spread = paper.spread or 0.0
        bottom, top = (mean, mean) if pd.isna(low) else (low, high)
        meets = bottom <= paper.value + spread and top >= paper.value - spread
        verdict = "reproduced" if meets else "differs"
        rows.append((paper.place, paper.value, mean, low, high, cell["seeds"], verdict, chapter))
    return pd.DataFrame(rows, columns=SCORECARD).astype({"seeds": "Int64"})
