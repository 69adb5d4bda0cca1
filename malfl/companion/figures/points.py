"""Scores, errors and distributions: points, bars and maps of numbers."""

from collections.abc import Mapping, Sequence
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from malfl.checks import FloatArray
from malfl.companion.figures.style import AGENT_COLOURS, MAP


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


def changes(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Changes of probabilities as predicted (vertical) against those that came, a panel each.

    Parameters
    ----------
    panels
        Title and table with columns ``came`` and ``predicted``.
    """
    figure, grid = plt.subplots(
        1, len(panels), figsize=(3.1 * len(panels), 3.4), squeeze=False, sharex=True, sharey=True
    )
    for axes, (title, table) in zip(grid.flat, panels.items(), strict=True):
        axes.scatter(table["came"], table["predicted"], s=9, alpha=0.6, linewidths=0)
        axes.axline((0, 0), slope=1, color="0.3", linewidth=1, linestyle="--")
        axes.set_aspect("equal")
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("change that came")
    grid[0, 0].set_ylabel("change predicted")
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


def lfl_scores(table: pd.DataFrame, floor: float) -> Figure:
    """Scores of learners and observers with 95 % intervals, the paper's as diamonds.

    Parameters
    ----------
    table
        Rows of `malfl.companion.lfl_tables.table_2`, one for each ``learner`` and ``who``.
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


def _bars(error: FloatArray) -> FloatArray | None:
    """Lengths of error bars, or none where one seed gives no interval."""
    return error if np.isfinite(error).all() else None


def _diagonal(axes: Axes, values: npt.ArrayLike) -> None:
    """Where what was found equals what is so."""
    ends = [np.min(values), np.max(values)]
    axes.plot(ends, ends, color="0.3", linewidth=1, linestyle="--")


def ends_by_outcome(rows: pd.DataFrame) -> Figure:
    """What was found that ends of a game are worth, by how they end; a panel for each player.

    Parameters
    ----------
    rows
        Columns ``player``, ``outcome`` ("lost", "drawn" or "won") and ``found``.
    """
    players, outcomes = list(rows["player"].unique()), ["lost", "drawn", "won"]
    figure, panels = plt.subplots(
        1, len(players), figsize=(4.2 * len(players), 3.4), sharey=True, squeeze=False
    )
    place = rows["outcome"].map(outcomes.index) + np.random.default_rng(0).uniform(
        -0.3, 0.3, len(rows)
    )
    for axes, player in zip(panels.flat, players, strict=True):
        own = (rows["player"] == player).to_numpy()
        colours = rows.loc[own, "outcome"].map(
            dict(zip(outcomes, [AGENT_COLOURS[k] for k in (1, 3, 0)], strict=True))
        )
        axes.scatter(
            place[own], rows.loc[own, "found"], c=colours.to_list(), s=10, alpha=0.6, linewidths=0
        )
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set(title=f"{player} player", xlabel="how the game ends")
        axes.set_xticks(range(len(outcomes)), outcomes)
    panels[0, 0].set_ylabel("worth that was found")
    return figure
