"""How far recovery carries: distributions over games, promises kept, intervals that hold."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from malfl.companion.figures.style import AGENT_COLOURS

COLOURS = {
    "sound": AGENT_COLOURS[2], "doubtful": AGENT_COLOURS[1], "undetermined": AGENT_COLOURS[3],
    "nothing": "0.3",
}  # fmt: skip


def by_regime(rows: pd.DataFrame, floor: float = 0.0) -> Figure:
    """The correlation of each game as a point and the median as a line, a regime a row.

    Parameters
    ----------
    rows
        Columns ``regime``, ``used`` (a panel each), ``identified`` and ``verdict``, which is the
        colour.
    floor
        Points below it, and those of games in which nothing was found, are drawn there.
    """
    names, panels = list(rows["regime"].unique()), list(rows["used"].unique())
    figure, grid = plt.subplots(
        1, len(panels), figsize=(4.6 * len(panels), 0.36 * len(names) + 1.4), squeeze=False,
        sharex=True, sharey=True,
    )  # fmt: skip
    found = rows["identified"].fillna(floor).clip(lower=floor)
    place = rows["regime"].map(names.index) + np.random.default_rng(0).uniform(
        -0.25, 0.25, len(rows)
    )
    shown = rows.assign(regime=pd.Categorical(rows["regime"], names), identified=found, place=place)
    for axes, used in zip(grid.flat, panels, strict=True):
        points = shown[shown["used"] == used]
        axes.scatter(
            points["identified"], points["place"], c=points["verdict"].map(COLOURS).to_list(), s=12,
            alpha=0.7, linewidths=0,
        )  # fmt: skip
        medians = points.groupby("regime", observed=False)["identified"].median()
        axes.vlines(medians, np.arange(len(names)) - 0.4, np.arange(len(names)) + 0.4, color="0.15")
        axes.set(title=used, xlabel="correlation with the true reward", ylabel="")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set(xlim=(floor - 0.02, 1.02), ylim=(len(names) - 0.5, -0.5))
    _verdicts(figure)
    return figure


def promised_against_true(rows: pd.DataFrame, floor: float = -0.2) -> Figure:
    """The correlation with the true reward (vertical) against the least one that was promised.

    Parameters
    ----------
    rows
        Columns ``at_least``, ``identified``, ``verdict``, which is the colour, and ``right``,
        whether the learner was modelled right (a panel each).
    floor
        Points below it are drawn there.
    """
    figure, grid = plt.subplots(1, 2, figsize=(9.2, 4.4), sharex=True, sharey=True)
    known = rows.dropna(subset=["at_least", "identified"])
    for axes, right in zip(grid, (True, False), strict=True):
        points = known[known["right"] == right]
        x, y = (points[name].clip(lower=floor) for name in ("at_least", "identified"))
        axes.scatter(
            x, y, c=points["verdict"].map(COLOURS).to_list(), s=12, alpha=0.6, linewidths=0
        )
        axes.plot([floor, 1], [floor, 1], color="0.3", linewidth=1, linestyle="--")
        axes.set_title("the model is right" if right else "the model is wrong")
        axes.set_xlabel("correlation promised with 95 %")
    grid[0].set_ylabel("correlation with the true reward")
    _verdicts(figure)
    return figure


def coverage(table: pd.DataFrame) -> Figure:
    """The shares of true values outside of intervals, below and above, against what should be.

    Parameters
    ----------
    table
        Of `malfl.companion.carry_tables.calibration`.
    """
    panels = list(table["used"].unique())
    figure, grid = plt.subplots(
        1, len(panels), figsize=(3.4 * len(panels), 3.6), squeeze=False, sharex=True, sharey=True
    )
    most = float(table[["below", "above", "each should be"]].max().max())
    for axes, used in zip(grid.flat, panels, strict=True):
        points = table[table["used"] == used]
        for colour, marker, side in ((0, "v", "below"), (3, "^", "above")):
            axes.plot(
                points["each should be"], points[side], marker=marker, linestyle="",
                color=AGENT_COLOURS[colour], label=f"{side} the interval",
            )  # fmt: skip
        axes.plot([0, most], [0, most], color="0.3", linewidth=1, linestyle="--")
        axes.set(title=used, xlabel="share that should be")
    grid[0, 0].set_ylabel("share of directions")
    grid[0, 0].legend()
    return figure


def _verdicts(figure: Figure) -> None:
    """A legend for the colours of verdicts."""
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=verdict)
        for verdict, colour in COLOURS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
