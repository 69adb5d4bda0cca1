"""Lines over iterations, sizes and settings."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullLocator,
    StrMethodFormatter,
)

from malfl.companion.figures.style import AGENT_COLOURS


def curves(
    table: pd.DataFrame,
    y: str,
    hue: str,
    col: str,
    x: str = "iteration",
    log: bool = False,
    labels: tuple[str, str] | None = None,
    columns: int | None = None,
) -> Figure:
    """Lines over a column of whole numbers, a panel for each ``col``.

    Each line is the mean over the rows that share all else (the seeds), with its 95 % interval.

    Parameters
    ----------
    labels
        Of the two axes, by default the columns' names.
    columns
        Panels side by side, by default all.
    """
    with plt.rc_context({"figure.constrained_layout.use": False}):  # seaborn lays grids out itself
        grid = sns.relplot(
            table, x=x, y=y, hue=hue, style=hue, col=col, col_wrap=columns, kind="line",
            markers=True, dashes=False, errorbar=("ci", 95), seed=0, height=3.6, aspect=1.25,
        )  # fmt: skip
        grid.set_titles("{col_name}")
        if labels is not None:
            grid.set_axis_labels(*labels)
        for axes in grid.axes.flat:
            axes.xaxis.get_major_locator().set_params(integer=True)
        if log:
            grid.set(yscale="log")
        sns.move_legend(grid, "upper center", bbox_to_anchor=(0.5, 0), ncols=2, title=None)
    figure: Figure = grid.figure
    return figure


def line(
    table: pd.DataFrame,
    x: str,
    y: str,
    labels: tuple[str, str],
    log_y: bool = False,
    mark: float | None = None,
) -> Figure:
    """One line with its points, on a logarithmic horizontal axis.

    Parameters
    ----------
    labels
        Of the two axes.
    mark
        Where to draw a dashed upright line.
    """
    figure, axes = plt.subplots(figsize=(6, 3.8))
    axes.plot(table[x], table[y], marker="o")
    axes.set(xscale="log", yscale="log" if log_y else "linear", xlabel=labels[0], ylabel=labels[1])
    if table[x].max() < 100 * table[x].min():  # few powers of ten to be labelled
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    if mark is not None:
        axes.axvline(mark, color="0.3", linewidth=1, linestyle="--")
    return figure


def both_sides(
    table: pd.DataFrame, x: str, sides: Sequence[str], labels: tuple[str, str], log: bool = False
) -> Figure:
    """What a statement compares, as lines over ``x``.

    Parameters
    ----------
    sides
        Columns, the first of which is the left side.
    labels
        Of the two axes.
    """
    figure, axes = plt.subplots(figsize=(6.4, 4))
    for k, side in enumerate(sides):
        axes.plot(
            table[x], table[side], label=side, color=AGENT_COLOURS[k],
            linestyle=("-", "--", ":", "-.")[k], linewidth=2.5 if k == 0 else 1.8,
        )  # fmt: skip
    scale = "log" if log else "linear"
    axes.set(xscale=scale, yscale=scale, xlabel=labels[0], ylabel=labels[1])
    axes.legend()
    return figure


def cost_curves(table: pd.DataFrame, x: str, y: str, hue: str, labels: tuple[str, str]) -> Figure:
    """Cost against size on log axes, a line for each ``hue``.

    Parameters
    ----------
    labels
        Of the two axes, units included.
    """
    figure, axes = plt.subplots(figsize=(7, 4.2))
    sns.lineplot(table, x=x, y=y, hue=hue, style=hue, markers=True, dashes=False, ax=axes)
    axes.set(xscale="log", yscale="log", xlabel=labels[0], ylabel=labels[1])
    # On a busy machine a difference of two short times can come out below zero.
    if (costs := table.loc[table[y] > 0, y]).size:
        axes.set_ylim(costs.min() / 1.5, costs.max() * 1.5)
    axes.xaxis.set_major_locator(FixedLocator(sorted(set(table[x]))))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis, form in ((axes.xaxis, "{x:,.0f}"), (axes.yaxis, "{x:g}")):
        axis.set_major_formatter(StrMethodFormatter(form))
        axis.set_minor_locator(NullLocator())
    axes.legend(title=None)
    return figure


def learning_curves(table: pd.DataFrame) -> Figure:
    """Scores of learners over iterations, a panel for each, a line for each run.

    Parameters
    ----------
    table
        Columns ``learner``, ``iteration``, ``seed``, ``score``.
    """
    names = table["learner"].unique()
    figure, grid = plt.subplots(
        1, len(names), figsize=(2.8 * len(names), 3.2), squeeze=False, sharey=True
    )
    for axes, name in zip(grid.flat, names, strict=True):
        for _, run in table[table["learner"] == name].groupby("seed"):
            axes.plot(run["iteration"], run["score"], color=AGENT_COLOURS[0], alpha=0.6)
        axes.set(title=name, xlabel="improvements")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.title.set_fontsize(11)
    grid[0, 0].set_ylabel("score")
    return figure


def over_alpha(table: pd.DataFrame, value: str, label: str) -> Figure:
    """Lines over the factor by which an observer's alpha is off, with 95 % intervals over seeds.

    Parameters
    ----------
    table
        Columns ``estimator``, ``factor``, ``seed`` and ``value``.
    """
    figure, axes = plt.subplots(figsize=(7, 3.8))
    sns.lineplot(
        table, x="factor", y=value, hue="estimator", style="estimator", markers=True,
        dashes=False, errorbar=("ci", 95), seed=0, ax=axes,
    )  # fmt: skip
    axes.set(xscale="log", xlabel="the observer's alpha over the learner's", ylabel=label)
    axes.legend(title=None, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure
