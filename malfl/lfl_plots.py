"""Figures of LfL's experiments. Every function returns a Matplotlib figure and saves nothing."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import MaxNLocator

from malfl.checks import FloatArray
from malfl.plots import AGENT_COLOURS, MAP

SIZE = 5
STEPS = ((1, 0), (-1, 0), (0, -1), (0, 1))  # rows and columns, in the order of the actions
RESETS = ((4, 4), (2, 2))


def grid(reward: FloatArray, policy: FloatArray) -> Figure:
    """LfL's Figure 2, redrawn: rewards of the cells, and a policy as arrows.

    Parameters
    ----------
    reward
        Of the 25 cells.
    policy
        (25, 4); an arrow is as long as its action is likely.
    """
    figure, axes = plt.subplots(figsize=(5.4, 5.4))
    axes.set_aspect("equal")
    axes.set(xlim=(-0.5, SIZE - 0.5), ylim=(SIZE - 0.5, -0.5), xticks=[], yticks=[])
    axes.grid(visible=False)
    colours = {-12: "#f3c9bd", 0: "#e3e3ee", 10: "#dcecc9"}
    for cell, value in enumerate(reward):
        row, column = divmod(cell, SIZE)
        colour = "#d5d5d5" if (row, column) == (2, 2) else colours.get(int(value), "white")
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="0.75")
        )
        axes.text(column - 0.45, row - 0.34, f"{value:g}", fontsize=9, color="0.25")
        if (row, column) in RESETS:
            continue
        for (down, right), share in zip(STEPS, policy[cell], strict=True):
            if share > 0.05:
                axes.arrow(
                    column, row, 0.34 * share * right, 0.34 * share * down, width=0.03,
                    head_width=0.11, head_length=0.08, color=AGENT_COLOURS[0], zorder=3,
                )  # fmt: skip
    for row, column in RESETS:
        axes.add_patch(
            FancyArrowPatch(
                (column - 0.1, row - 0.1), (0.2, 0.2), arrowstyle="-|>", mutation_scale=14,
                connectionstyle="arc3,rad=.25", linestyle="--", color="0.45", zorder=2,
            )
        )  # fmt: skip
    for (row, column), name in (((0, 0), "start"), ((2, 2), "reset"), ((4, 4), "goal, reset")):
        axes.text(column, row + 0.38, name, ha="center", va="center", fontsize=9, color="0.25")
    return figure


def reward_strips(rewards: Mapping[str, FloatArray]) -> Figure:
    """LfL's Figure 3: rewards of states, or of states and actions, as strips, a colour scale each.

    Parameters
    ----------
    rewards
        Of shape (25,) or (25, 4), under their titles.
    """
    figure, strips = plt.subplots(len(rewards), 1, figsize=(9, 1.9 * len(rewards)), squeeze=False)
    for axes, (title, values) in zip(strips.flat, rewards.items(), strict=True):
        rows = values[None, :] if values.ndim == 1 else values.T
        image = axes.imshow(rows, aspect="auto", cmap=MAP)
        axes.set(title=title, xlabel="state", yticks=range(len(rows)) if len(rows) > 1 else [])
        if len(rows) > 1:
            axes.set_ylabel("action")
        axes.grid(visible=False)
        figure.colorbar(image, ax=axes)
    return figure


def scores(table: pd.DataFrame, floor: float) -> Figure:
    """Scores of learners and observers with 95 % intervals, the paper's as diamonds.

    Parameters
    ----------
    table
        Rows of `malfl.lfl_tables.table_2`, one for each ``learner`` and ``who``.
    floor
        Means below it are drawn there, pointing down.
    """
    learners, names = list(dict.fromkeys(table["learner"])), list(dict.fromkeys(table["who"]))
    figure, axes = plt.subplots(figsize=(9, 4.6))
    width = 0.8 / (len(names) + 1)
    for k, name in enumerate(names):
        rows = table[table["who"] == name]
        place = np.array([learners.index(one) for one in rows["learner"]]) - 0.35 + width * k
        colour = "0.3" if name == "learner" else AGENT_COLOURS[k - 1]
        inside = (rows["mean"] >= floor).to_numpy()
        half = ((rows["high"] - rows["low"]) / 2).fillna(0.0)
        axes.errorbar(
            place[inside], rows["mean"][inside], half[inside], fmt="s" if k == 0 else "o",
            color=colour, capsize=3, label=name,
        )  # fmt: skip
        axes.plot(place[~inside], np.full((~inside).sum(), floor), "v", color=colour)
    printed = table.dropna(subset="paper_mean")
    place = np.array(
        [
            learners.index(learner) - 0.35 + width * (names.index(who) + 0.4)
            for learner, who in zip(printed["learner"], printed["who"], strict=True)
        ]
    )
    axes.errorbar(
        place, printed["paper_mean"], printed["paper_sd"].fillna(0.0), fmt="D", color="0.55",
        capsize=3, label="the paper, as printed", zorder=1,
    )  # fmt: skip
    axes.set_xticks(range(len(learners)), learners)
    axes.set(ylabel="score", ylim=(floor - 0.7, 6.2))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def readings(table: pd.DataFrame, label: str) -> Figure:
    """How well each learner's reward is read by each estimator, as a map of numbers.

    Parameters
    ----------
    table
        Learners as rows, estimators as columns; NaN where one was not tried.
    label
        What the numbers are.
    """
    figure, axes = plt.subplots(figsize=(1.5 * table.shape[1] + 2.2, 0.62 * len(table) + 1.9))
    sns.heatmap(
        table, annot=True, fmt=".2f", cmap=MAP, vmin=0, vmax=1, ax=axes, linewidths=0.5,
        cbar_kws={"label": label},
    )  # fmt: skip
    axes.set(xlabel="", ylabel="")
    axes.tick_params(axis="x", rotation=25)
    axes.tick_params(axis="y", rotation=0)
    return figure


def courses(table: pd.DataFrame) -> Figure:
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
