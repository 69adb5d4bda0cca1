"""MA-LfL's tables and figures from scores, beside what the paper printed."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from malfl.checks import FloatArray
from malfl.companion.published import TABLE_1, TABLE_2, TABLE_3, Published
from malfl.evaluation.metrics import interval, pearson, prediction_half_width

#: Columns of `table_1`.
COLUMNS = (
    "game", "agent", "metric", "estimator", "mean", "sd", "low", "high", "seeds",
    "paper_mean", "paper_sd",
)  # fmt: skip
#: Pearson, Spearman, and two distances that shapings do not change.
METRICS = ("PCC", "SCC", "EPIC", "STARC")

ROUNDED = 0.005  # how far a number printed with two digits may be off

SCORECARD_TYPES = {
    "item": "text", "paper": "number", "ours": "number", "low": "number", "high": "number",
    "seeds": "count", "verdict": "text", "chapter": "text",
}  # fmt: skip
#: Columns of a scorecard.
SCORECARD = tuple(SCORECARD_TYPES)


def intervals(scores: pd.DataFrame, by: Sequence[str], value: str = "PCC") -> pd.DataFrame:
    """Means over seeds with 95 % intervals: columns ``by``, then mean, sd, low, high, seeds.

    What else a seed has several scores of (agents, games) is averaged first: those of one run are
    not independent. Scores that are not known (NaN) are left out.
    """
    runs = scores.dropna(subset=value).groupby([*by, "seed"], sort=False)[value].mean()
    groups = runs.groupby(list(by), sort=False)
    rows = [(*key, *interval(group)) for key, group in groups]
    return pd.DataFrame(rows, columns=[*by, "mean", "sd", "low", "high", "seeds"])


LOGARITHM = "a + b ln h"
SHAPES: dict[str, Callable[[FloatArray], FloatArray]] = {
    LOGARITHM: np.log,
    "a + b h": lambda h: h,
    "a - b / h": lambda h: -1 / h,
}


def growth(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """How well curves of two parameters follow the mean score over the number h of improvements.

    Parameters
    ----------
    table
        Of `intervals`, with a column ``improvements``.
    by
        What tells the curves apart.

    Returns
    -------
    DataFrame
        Columns ``by`` and, for each shape, the share of the variance that its best fit explains.
    """
    rows = []
    for key, group in table.groupby(list(by), sort=False):
        h, mean = group["improvements"].to_numpy(np.float64), group["mean"].to_numpy()
        rows.append((*key, *(pearson(shape(h), mean) ** 2 for shape in SHAPES.values())))
    return pd.DataFrame(rows, columns=[*by, *SHAPES])


def table_1(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds beside MA-LfL's Table 1; "mean" averages the agents seed by seed.

    Parameters
    ----------
    scores
        Rows of `malfl.Study.scores` for games "hom" and "het", with one number of
        improvements.

    Returns
    -------
    DataFrame
        With `COLUMNS`; ``low`` and ``high`` bound a 95 % interval over seeds. The paper has no
        numbers for EPIC and STARC.
    """
    keys = ["game", "estimator", "seed"]
    agents = scores.assign(agent=scores["agent"].astype(str))
    both = agents.groupby(keys, sort=False)[list(METRICS)].mean().reset_index()
    long = pd.concat([agents, both.assign(agent="mean")]).melt(
        [*keys, "agent"], list(METRICS), "metric", "score"
    )
    rows = []
    cells = [(g, m, a) for m in METRICS for a in ("0", "1", "mean") for g in ("hom", "het")]
    for game, metric, agent in cells:
        paper = TABLE_1.get((game, metric, agent))
        printed = (paper.value, paper.spread) if paper else (np.nan, np.nan)
        cell = long[(long["game"] == game) & (long["metric"] == metric) & (long["agent"] == agent)]
        for estimator, group in cell.groupby("estimator", sort=False):
            known = group["score"].dropna()
            if len(known):
                rows.append((game, agent, metric, estimator, *interval(known), *printed))
    return pd.DataFrame(rows, columns=COLUMNS)


def table_1_for_print(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of `table_1`, an estimator a row: mean and half-width of the interval."""
    column = table["metric"] + " " + table["agent"]
    if table["game"].nunique() > 1:
        column = table["game"] + " " + column
    table = table.assign(column=column, cell=with_half_width(table))
    printed = table.dropna(subset="paper_mean").drop_duplicates("column")
    spread = printed["paper_mean"].map("{:.2f}".format)
    spread += printed["paper_sd"].map(" ± {:.2f}".format)
    paper = printed.assign(estimator="the paper", cell=spread)
    wide = pd.concat([paper, table]).pivot_table(
        "cell", "estimator", "column", aggfunc="first", sort=False
    )
    return wide.rename_axis(columns=None)


def with_half_width(table: pd.DataFrame, digits: int = 3) -> "pd.Series[str]":
    """Mean and half-width of the 95 % interval of each row of `intervals`, to be read."""
    form = f"{{:.{digits}f}}".format
    half = (table["high"] - table["low"]) / 2
    return table["mean"].map(form) + half.map(lambda width: f" ± {form(width)}")


def table_2(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds beside MA-LfL's Table 2.

    Parameters
    ----------
    scores
        Rows of `malfl.Study.scores` for games "disjoint" and "joint" against both, of one
        agent, with another column ``setting``.

    Returns
    -------
    DataFrame
        Columns ``setting``, ``estimated``, ``truth``, ``metric``, ``estimator``, ``mean``, ``sd``,
        ``low``, ``high`` (a 95 % interval over seeds), ``seeds``, ``paper``.
    """
    by = ["setting", "game", "truth", "estimator"]
    parts = [intervals(scores, by, metric).assign(metric=metric) for metric in ("PCC", "SCC")]
    table = pd.concat(parts, ignore_index=True).rename(columns={"game": "estimated"})
    keys = zip(table["estimated"], table["truth"], table["metric"], strict=True)
    table["paper"] = [TABLE_2[key].value for key in keys]
    first = ["setting", "estimated", "truth", "metric", "estimator"]
    return table[[*first, "mean", "sd", "low", "high", "seeds", "paper"]]


def as_card(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """Rows of a scorecard as a table with `SCORECARD`."""
    return pd.DataFrame(rows, columns=SCORECARD).astype({"seeds": "Int64"})


def reproduced(meets: bool) -> str:
    """The verdict on a comparison."""
    return "reproduced" if meets else "differs"


def meets_print(ours: Mapping[Hashable, Any], cell: Published) -> bool:
    """Whether the printed value, with its spread or its rounding, meets our interval.

    Parameters
    ----------
    ours
        With ``mean``, ``low`` and ``high``; where there is no interval, the mean stands for it.
    """
    low, high = _ends(ours)
    spread = cell.spread or ROUNDED
    return low <= cell.value + spread and high >= cell.value - spread


def exceeds_print(ours: Mapping[Hashable, Any], cell: Published) -> bool:
    """Whether our interval, as in `meets_print`, lies above the printed value and its spread."""
    return _ends(ours)[0] > cell.value + (cell.spread or 0.0)


def _ends(ours: Mapping[Hashable, Any]) -> tuple[float, float]:
    low, high = (ours["mean"] if pd.isna(ours["low"]) else ours[end] for end in ("low", "high"))
    return low, high


def scorecard_1(table: pd.DataFrame, estimator: str, chapter: str) -> pd.DataFrame:
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
        numbers = cell["mean"], cell["low"], cell["high"], cell["seeds"]
        verdict = reproduced(meets_print(cell, paper))
        rows.append((paper.place, paper.value, *numbers, verdict, chapter))
    return as_card(rows)


def beyond_table_1(table: pd.DataFrame, estimator: str, chapter: str) -> pd.DataFrame:
    """Cells of MA-LfL's Table 1 that an estimator surpasses: its interval, the printed spread.

    Parameters
    ----------
    table, estimator, chapter
        As for `scorecard_1`.

    Returns
    -------
    DataFrame
        With `SCORECARD`, all of its rows "beyond".
    """
    card = scorecard_1(table, estimator, chapter)
    rows = card.rename(columns={"ours": "mean"}).to_dict("records")
    better = card[list(map(exceeds_print, rows, TABLE_1.values()))]
    return better.assign(item=better["item"] + f", by {estimator}", verdict="beyond")


def scorecard_2(table: pd.DataFrame, estimator: str, setting: str, chapter: str) -> pd.DataFrame:
    """Every cell of MA-LfL's Table 2 beside ours, with a verdict.

    The paper's is a single run. "reproduced" if it lies no further from our mean than another run
    of ours would in 19 cases of 20, the rounding of the print allowed for; "differs" if not.

    Parameters
    ----------
    table
        As `table_2` returns it.
    estimator, setting
        Which of its rows are compared.
    chapter
        Where the comparison is made.

    Returns
    -------
    DataFrame
        With `SCORECARD`.
    """
    rows = []
    ours = table[(table["estimator"] == estimator) & (table["setting"] == setting)]
    by_cell = ours.set_index(["estimated", "truth", "metric"])
    for key, paper in TABLE_2.items():
        cell = by_cell.loc[[key]].iloc[0]
        room = prediction_half_width(cell["sd"], cell["seeds"]) + ROUNDED
        verdict = reproduced(abs(cell["mean"] - paper.value) <= room)
        numbers = cell["mean"], cell["low"], cell["high"], cell["seeds"]
        rows.append((paper.place, paper.value, *numbers, verdict, chapter))
    return as_card(rows)


def scorecard_3(used: Mapping[str, float], chapter: str) -> pd.DataFrame:
    """MA-LfL's Table 3 beside the settings used: "as printed", or it "differs".

    Parameters
    ----------
    used
        By the names of `malfl.companion.published.TABLE_3`.

    Returns
    -------
    DataFrame
        With `SCORECARD`.
    """
    rows = []
    for name, cell in TABLE_3.items():
        verdict = "as printed" if used[name] == cell.value else "differs"
        rows.append((cell.place, cell.value, used[name], None, None, None, verdict, chapter))
    return as_card(rows)


def scorecard_figure_3(growth: pd.DataFrame, chapter: str) -> pd.DataFrame:
    """MA-LfL's Figure 3, by the share of curves that a logarithm fits best; all, by the caption.

    Parameters
    ----------
    growth
        As `growth` returns it, of the curves that rise.

    Returns
    -------
    DataFrame
        With `SCORECARD`, one row: "reproduced" if a logarithm fits most curves best, "differs" if
        not, or if none rises.
    """
    fits = growth[list(SHAPES)]
    share = (fits.idxmax(axis=1) == LOGARITHM).mean() if len(fits) else np.nan
    row = ("MA-LfL, Figure 3", 1.0, share, None, None, None, reproduced(share > 0.5), chapter)
    return as_card([row])
