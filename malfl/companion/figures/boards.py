"""Boards, maps of rewards, and policies."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from malfl.checks import FloatArray, IntArray
from malfl.companion.figures.style import AGENT_COLOURS, MAP

LFL_SIZE = 5
LFL_STEPS = ((1, 0), (-1, 0), (0, -1), (0, 1))  # rows and columns, in the order of the actions
LFL_RESETS = ((4, 4), (2, 2))


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
    _manhattan_path(distances, cells[1], goal, size, "#2d7d46", 0.06, "agent 1 to the goal")
    rules.set_title("Both start top left; the goal sends back")
    distances.set_title("Distances that make up the rewards")
    distances.legend(loc="lower left", fontsize=10)
    return figure


def reward_maps(
    rewards: Mapping[str, npt.ArrayLike], size: int = 3, columns: int = 2, label: str = "reward"
) -> Figure:
    """State rewards of two agents as heat maps, agent 0's cell down, agent 1's across.

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
        axes.set_xlabel("cell of agent 1")
        axes.set_ylabel("cell of agent 0")
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
        axes.set_title(f"agent {agent}")
        axes.set_xlabel("iteration")
        axes.set_xlim(0, len(history) - 1)
        axes.set_ylim(0, 1)
    grid[0, 0].set_ylabel("probability")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def lfl_board(reward: FloatArray, policy: FloatArray) -> Figure:
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
    axes.set(xlim=(-0.5, LFL_SIZE - 0.5), ylim=(LFL_SIZE - 0.5, -0.5), xticks=[], yticks=[])
    axes.grid(visible=False)
    colours = {-12: "#f3c9bd", 0: "#e3e3ee", 10: "#dcecc9"}
    for cell, value in enumerate(reward):
        row, column = divmod(cell, LFL_SIZE)
        colour = "#d5d5d5" if (row, column) == (2, 2) else colours.get(int(value), "white")
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="0.75")
        )
        axes.text(column - 0.45, row - 0.34, f"{value:g}", fontsize=9, color="0.25")
        if (row, column) in LFL_RESETS:
            continue
        for (down, right), share in zip(LFL_STEPS, policy[cell], strict=True):
            if share > 0.05:
                axes.arrow(
                    column, row, 0.34 * share * right, 0.34 * share * down, width=0.03,
                    head_width=0.11, head_length=0.08, color=AGENT_COLOURS[0], zorder=3,
                )  # fmt: skip
    for row, column in LFL_RESETS:
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
            column + shift, row, str(agent), color="white", ha="center", va="center",
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
