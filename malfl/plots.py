"""The book's figures. Every function returns a Matplotlib figure and saves nothing."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import pairwise, product

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, StrMethodFormatter

from malfl.checks import FloatArray, IntArray

AGENT_COLOURS = sns.color_palette("colorblind")
MAP = "cividis"  #: reads the same with and without colour vision


def set_style() -> None:
    """Set one look for all figures; notebooks then show them as vector graphics."""
    sns.set_theme(style="whitegrid", context="notebook", palette="colorblind")
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 150,
            "figure.constrained_layout.use": True,
            "svg.hashsalt": "malfl",  # the same file every time
        }
    )
    if "ipykernel" in sys.modules:
        inline = import_module("matplotlib_inline.backend_inline")
        inline.set_matplotlib_formats("svg", metadata={"Date": None})


def game_board(size: int = 3) -> Figure:
    """The grid game and its distances: MA-LfL's Figure 2, redrawn."""
    figure, (rules, distances) = plt.subplots(1, 2, figsize=(9, 4.4))
    goal = size * size - 1
    cells = (1, 2 * size - 1)  # where the agents stand in the right panel
    for axes in (rules, distances):
        _board(axes, size)
        _write(axes, goal, size, "goal")
    rules.add_patch(Rectangle((-0.5, -0.5), 1, 1, color="#e3e3ee", zorder=0))
    _write(rules, 0, size, "start")
    rules.add_patch(
        FancyArrowPatch(
            (size - 1, size - 1.35), (0.35, -0.1), arrowstyle="-|>", mutation_scale=18,
            connectionstyle="arc3,rad=.35", linestyle="--", color="0.35", linewidth=1.5,
        )
    )  # fmt: skip
    rules.text(size - 1.35, 0.1, "put back", color="0.3", fontsize=11, ha="center")
    for agent in (0, 1):
        _token(rules, 0, size, agent, shift=-0.22 + 0.44 * agent)
        _token(distances, cells[agent], size, agent)
    _manhattan_path(distances, cells[0], cells[1], size, "#8a4fbf", -0.06, "between the agents")
    _manhattan_path(distances, cells[1], goal, size, "#2d7d46", 0.06, "agent 2 to the goal")
    rules.set_title("Both start top left; the goal sends back")
    distances.set_title("Distances that make up the rewards")
    distances.legend(loc="lower left", fontsize=10)
    return figure


def reward_maps(
    rewards: Mapping[str, npt.ArrayLike], size: int = 3, columns: int = 2, label: str = "reward"
) -> Figure:
    """State rewards of two agents as heat maps, agent 1's cell down, agent 2's across.

    All maps share one colour scale.

    Parameters
    ----------
    rewards
        Title and reward, shape (S,) with ``S = size ** 4``; NaN entries are left blank.
    """
    cells = size * size
    maps = {
        title: np.asarray(r, dtype=np.float64).reshape(cells, cells) for title, r in rewards.items()
    }
    low = min(float(np.nanmin(m)) for m in maps.values())
    high = max(float(np.nanmax(m)) for m in maps.values())
    rows = -(-len(maps) // columns)
    side = 4.3 if columns < 4 else 3.0  # inches; many maps are read on the same page
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(side * columns + 0.8, 0.9 * side * rows),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for axes in grid.flat[len(maps) :]:
        axes.set_visible(False)
    for axes, (title, values) in zip(grid.flat, maps.items(), strict=False):
        image = axes.imshow(values, cmap=MAP, vmin=low, vmax=high)
        axes.set_title(title, fontsize=12 if columns < 4 else 10)
        axes.set_xlabel("cell of agent 2")
        axes.set_ylabel("cell of agent 1")
        axes.set_xticks(range(cells))
        axes.set_yticks(range(cells))
        axes.grid(visible=False)
        for border in np.arange(size, cells, size) - 0.5:
            axes.axhline(border, color="white", linewidth=0.8)
            axes.axvline(border, color="white", linewidth=0.8)
        axes.label_outer()
    figure.colorbar(image, ax=grid, label=label, shrink=0.8)
    return figure


def episode_strip(states: IntArray, size: int = 3, steps: int = 12, columns: int = 6) -> Figure:
    """The first steps of an episode of two agents, one small board a step.

    Parameters
    ----------
    states
        Joint states visited, shape (T,).
    """
    shown = [int(s) for s in states[:steps]]
    rows = -(-len(shown) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(1.6 * columns, 1.8 * rows), squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for t, (axes, state) in enumerate(zip(grid.flat, shown, strict=False)):
        _board(axes, size)
        for agent, cell in enumerate(divmod(state, size * size)):
            _token(axes, cell, size, agent, shift=-0.2 + 0.4 * agent, small=True)
        axes.set_title(f"t = {t}", fontsize=10)
    return figure


def learned_against_exact(panels: Mapping[str, tuple[FloatArray, FloatArray]]) -> Figure:
    """Soft Q values as learned (vertical) against the exact ones (horizontal), a panel each."""
    figure, grid = plt.subplots(
        1, len(panels), figsize=(4.4 * len(panels), 4.2), squeeze=False, sharex=True, sharey=True
    )
    for axes, (title, (exact, learned)) in zip(grid.flat, panels.items(), strict=True):
        axes.scatter(exact.ravel(), learned.ravel(), s=9, alpha=0.6, linewidths=0)
        _diagonal(axes, exact)
        axes.set_title(title)
        axes.set_xlabel("exact soft Q")
    grid[0, 0].set_ylabel("learned soft Q")
    return figure


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


def frontier(table: pd.DataFrame, rows: str, columns: str, x: str, y: str, value: str) -> Figure:
    """A map of mean values over ``x`` and ``y`` for each of ``rows`` and ``columns``, one scale.

    Parameters
    ----------
    table
        With these columns; rows that share all else are averaged.
    """
    down, across = table[rows].unique(), table[columns].unique()
    figure, grid = plt.subplots(
        len(down), len(across), figsize=(2.6 * len(across) + 1, 2.7 * len(down)), squeeze=False,
        sharex=True, sharey=True,
    )  # fmt: skip
    means = table.groupby([rows, columns, y, x])[value].mean()
    for (row_name, column_name), axes in zip(product(down, across), grid.flat, strict=True):
        cells = means[row_name, column_name].unstack()
        image = axes.imshow(cells, cmap=MAP, vmin=0, vmax=1, aspect="auto", origin="lower")
        for (row, column), mean in np.ndenumerate(cells.to_numpy()):
            shown = f"{mean:.2f}".lstrip("0") if mean < 0.995 else f"{mean:.3f}".lstrip("0")
            colour = "black" if mean > 0.6 else "white"
            axes.text(column, row, shown, ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(range(len(cells.columns)), cells.columns)
        axes.set_yticks(range(len(cells.index)), [f"{n:,}" for n in cells.index])
        axes.grid(visible=False)
        axes.set_title(f"{row_name}: {column_name}", fontsize=10)
        axes.set(xlabel=x, ylabel=y)
        axes.label_outer()
    figure.colorbar(image, ax=grid, label=value, shrink=0.8)
    return figure


def policy_strip(policies: Sequence[FloatArray], state: int, actions: Sequence[str]) -> Figure:
    """Each agent's probabilities of its actions in one state, stacked over the iterations.

    Parameters
    ----------
    policies
        One (H + 1, S, A_i) array an agent.
    """
    figure, grid = plt.subplots(
        1, len(policies), figsize=(4.6 * len(policies), 3.6), squeeze=False, sharey=True
    )
    for agent, (axes, history) in enumerate(zip(grid.flat, policies, strict=True)):
        axes.stackplot(
            np.arange(len(history)), history[:, state].T, labels=actions, colors=AGENT_COLOURS
        )
        axes.set_title(f"agent {agent + 1}")
        axes.set_xlabel("iteration")
        axes.set_xlim(0, len(history) - 1)
        axes.set_ylim(0, 1)
    grid[0, 0].set_ylabel("probability")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def table_intervals(table: pd.DataFrame, title: str) -> Figure:
    """Means with 95 % intervals, the published value as a diamond with its printed spread.

    Parameters
    ----------
    table
        Columns as in table1.csv: ``metric, agent, estimator, mean, low, high, paper_mean,
        paper_sd``; one game.
    """
    labels = list(dict.fromkeys(zip(table["metric"], table["agent"], strict=True)))
    estimators = list(dict.fromkeys(table["estimator"]))
    figure, axes = plt.subplots(figsize=(9, 4.6))
    for k, estimator in enumerate(estimators):
        rows = table[table["estimator"] == estimator]
        place = np.array(
            [labels.index(key) for key in zip(rows["metric"], rows["agent"], strict=True)]
        )
        x = place + (k + 1) / (len(estimators) + 1) * 0.8 - 0.3
        error = np.abs(rows[["low", "high"]].to_numpy() - rows[["mean"]].to_numpy()).T
        axes.errorbar(x, rows["mean"], _bars(error), fmt="o", capsize=3, label=estimator)
    paper = table.drop_duplicates(["metric", "agent"])
    axes.errorbar(
        np.arange(len(paper)) - 0.3, paper["paper_mean"], paper["paper_sd"], fmt="D",
        color="0.25", capsize=3, label="the paper, as printed",
    )  # fmt: skip
    axes.set_xticks(range(len(labels)), [f"{metric} {agent}" for metric, agent in labels])
    axes.set_ylabel("correlation with the true reward")
    axes.set_title(title)
    axes.set_ylim(top=1.03)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def with_deviations(table: pd.DataFrame) -> Figure:
    """Recovered against true rewards, two posterior standard deviations to either side.

    Parameters
    ----------
    table
        Columns ``estimator`` (a panel each), ``true``, ``recovered``, ``deviation``.
    """
    names = table["estimator"].unique()
    figure, grid = plt.subplots(
        1, len(names), figsize=(4.4 * len(names), 4.2), squeeze=False, sharex=True, sharey=True
    )
    for axes, name in zip(grid.flat, names, strict=True):
        rows = table[table["estimator"] == name]
        axes.errorbar(
            rows["true"], rows["recovered"], 2 * rows["deviation"], fmt="o", markersize=3,
            elinewidth=0.8, alpha=0.7,
        )  # fmt: skip
        _diagonal(axes, rows["true"])
        axes.set_title(name)
        axes.set_xlabel("true reward")
    grid[0, 0].set_ylabel("recovered reward")
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


def tightness(trials: pd.DataFrame, columns: int = 3) -> Figure:
    """How near each statement comes to failing: shares of games by left side over right side.

    What lies beyond 1 violates the statement; beyond 1.5 it is put into the last bar.

    Parameters
    ----------
    trials
        Columns ``statement`` (a panel each), ``ratio`` and ``holds``.
    """
    names = trials["statement"].unique()
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(3.4 * columns, 2.1 * rows + 0.4), squeeze=False, sharex=True
    )
    edges = np.linspace(0, 1.5, 31)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid.flat, names, strict=False):
        games = trials[trials["statement"] == name]
        ratio = games["ratio"].clip(0, edges[-1])
        ratio = ratio.mask(games["holds"], ratio.clip(upper=1 - 1e-9))  # attained up to rounding
        shares, _ = np.histogram(ratio, edges, weights=np.full(len(ratio), 1 / len(ratio)))
        colours = [AGENT_COLOURS[3 if edge >= 1 else 0] for edge in edges[:-1].round(9)]
        axes.bar(edges[:-1], shares, width=edges[1], align="edge", color=colours)
        axes.set_title(name, fontsize=10)
        axes.axvline(1, color="0.3", linewidth=1, linestyle="--")
    figure.supxlabel("left side / right side")
    figure.supylabel("share of games")
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


def speed_bars(times: pd.DataFrame, ours: Sequence[str]) -> Figure:
    """Nanoseconds a joint step on a log axis, the fastest on top, ours in another colour.

    Parameters
    ----------
    times
        Columns ``name``, ``nanoseconds``.
    ours
        Names that are ours.
    """
    ordered = times.sort_values("nanoseconds", ascending=False)
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(ordered) + 1))
    colours = [AGENT_COLOURS[2] if name in ours else "0.7" for name in ordered["name"]]
    bars = axes.barh(ordered["name"], ordered["nanoseconds"], color=colours)
    labels = [f"{t:,.0f}" if t >= 100 else f"{t:.3g}" for t in ordered["nanoseconds"]]
    axes.bar_label(bars, labels, padding=4)
    axes.set(xscale="log", xlabel="nanoseconds a joint step")
    axes.set_xlim(right=6 * ordered["nanoseconds"].max())
    axes.grid(visible=False, axis="y")
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


def _bars(error: FloatArray) -> FloatArray | None:
    """Lengths of error bars, or none where one seed gives no interval."""
    return error if np.isfinite(error).all() else None


def _diagonal(axes: Axes, values: npt.ArrayLike) -> None:
    """Where what was found equals what is so."""
    ends = [np.min(values), np.max(values)]
    axes.plot(ends, ends, color="0.3", linewidth=1, linestyle="--")


def _board(axes: Axes, size: int) -> None:
    """An empty board, the goal shaded."""
    axes.set_aspect("equal")
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for line in np.arange(size + 1) - 0.5:
        axes.axhline(line, color="0.75", linewidth=1)
        axes.axvline(line, color="0.75", linewidth=1)
    axes.add_patch(Rectangle((size - 1.5, size - 1.5), 1, 1, color="#dcecc9", zorder=0))


def _write(axes: Axes, cell: int, size: int, text: str) -> None:
    row, column = divmod(cell, size)
    axes.text(column, row + 0.4, text, ha="center", va="center", color="0.3", fontsize=11)


def _token(
    axes: Axes, cell: int, size: int, agent: int, shift: float = 0.0, small: bool = False
) -> None:
    row, column = divmod(cell, size)
    axes.plot(
        column + shift, row, "os"[agent], markersize=8 if small else 24,
        color=AGENT_COLOURS[agent], zorder=3,
    )  # fmt: skip
    if not small:
        axes.text(
            column + shift, row, str(agent + 1), color="white", ha="center", va="center",
            fontsize=13, fontweight="bold", zorder=4,
        )  # fmt: skip


def _manhattan_path(
    axes: Axes, here: int, there: int, size: int, colour: str, shift: float, label: str
) -> None:
    (row, column), (last_row, last_column) = divmod(here, size), divmod(there, size)
    corners = [(column, row), (last_column, row), (last_column, last_row)]
    for k, (a, b) in enumerate(pairwise(corners)):
        axes.plot(
            [a[0] + shift, b[0] + shift], [a[1] + shift, b[1] + shift], color=colour,
            linewidth=3, solid_capstyle="round", zorder=2, label=label if k == 0 else None,
        )  # fmt: skip
