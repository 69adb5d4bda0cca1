"""A recovered reward as a picture, whatever its game looks like."""

from collections.abc import Sequence
from math import prod

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from malfl import checks
from malfl.checks import FloatArray
from malfl.recovery.reward import RecoveredReward

MOST_NAMED = 40  # states that are shown by name, each in a line
SPREAD = 2.0  # posterior deviations to either side
MAP = "cividis"
COLOURS = {"sound": "#2d7d46", "doubtful": "#b3541e", "undetermined": "#a61c1c"}  # of verdicts


def plot_reward(
    reward: RecoveredReward,
    *,
    layout: tuple[int, int] | None = None,
    states: Sequence[str] | None = None,
    actions: Sequence[str] | None = None,
) -> Figure:
    """Draw a reward with what is known of its errors, and its verdict above.

    On a grid, each state is a cell with its reward and the deviation. Otherwise the reward of up to
    40 states is a line each, with two deviations to either side, or a row of cells by action; that
    of more states is a curve from the lowest to the highest.

    Parameters
    ----------
    layout
        Rows and columns of a grid whose cells are the states, row by row.
    states, actions
        Names, in the order of their numbers; by default the numbers.

    Returns
    -------
    Figure
        Of Matplotlib; close it when it is saved.

    Raises
    ------
    TypeError, ValueError
        If ``layout`` has other cells than there are states, or there are not as many names.
    """
    checks.instance(reward, RecoveredReward, "reward", "see malfl.recover")
    shape = reward.values.shape
    number = shape[0]
    names = _numbers(number) if states is None else checks.names(states, "states", number)
    own = checks.action_names(actions, shape)
    if layout is not None:
        checks.sequence(layout, "layout", "rows and columns")
        if len(layout) != 2 or prod(checks.count(k, "layout") for k in layout) != number:
            raise ValueError(
                f"layout must be rows and columns of {number} cells, got {checks.shown(layout)}"
            )
        figure = _grid(reward, layout, names)
    elif len(shape) == 2:
        if number > MOST_NAMED:
            figure = _curve(reward.values.ravel(), _flat(reward), "state and action, in order")
        else:
            figure = _table(reward, names, own or _numbers(shape[1]))
    elif number <= MOST_NAMED:
        figure = _lines(reward, names)
    else:
        figure = _curve(reward.values, _flat(reward), "state, in order")
    judged = reward.judgement
    said = f"Verdict: {judged.verdict}"
    if judged.reasons:
        said += f" ({len(judged.reasons)} reason{'s' * (len(judged.reasons) > 1)}, see summary())"
    figure.suptitle(said, color=COLOURS[judged.verdict], fontsize=11)
    return figure


def _numbers(size: int) -> tuple[str, ...]:
    return tuple(map(str, range(size)))


def _flat(reward: RecoveredReward) -> FloatArray:
    """Deviations in the order of the values; NaN where there are none."""
    if reward.deviation is None:
        return np.full(reward.values.size, np.nan)
    return reward.deviation.ravel()


def _unit(reward: RecoveredReward) -> str:
    return "reward" if reward.scale_known else "reward, in units of alpha"


def _grid(reward: RecoveredReward, layout: tuple[int, int], names: tuple[str, ...]) -> Figure:
    rows, columns = layout
    values, spread = reward.over_states(), None
    if reward.values.ndim == 1 and reward.deviation is not None:
        spread = reward.deviation
    figure, axes = plt.subplots(
        figsize=(1.1 * columns + 1.6, 1.0 * rows + 0.8), layout="constrained"
    )
    image = axes.imshow(values.reshape(layout), cmap=MAP)
    figure.colorbar(image, ax=axes, label=_unit(reward))
    middle = np.nanmean([np.nanmin(values), np.nanmax(values)])
    for state, (row, column) in enumerate(np.ndindex(rows, columns)):
        text = f"{names[state]}\n{values[state]:.2g}"
        if spread is not None:
            text += f"\n±{spread[state]:.1g}"
        colour = "white" if values[state] < middle else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set(xticks=[], yticks=[])
    return figure


def _lines(reward: RecoveredReward, names: tuple[str, ...]) -> Figure:
    values, spread = reward.values, _flat(reward)
    order = np.argsort(values)
    figure, axes = plt.subplots(figsize=(6.5, 0.24 * len(values) + 1.2), layout="constrained")
    place = np.arange(len(values))
    axes.errorbar(
        values[order], place, xerr=SPREAD * np.nan_to_num(spread[order]), fmt="o", capsize=2,
        markersize=4,
    )  # fmt: skip
    axes.set_yticks(place, [names[k] for k in order], fontsize=8)
    axes.set(xlabel=f"{_unit(reward)}, with two posterior deviations", ylabel="state")
    axes.grid(axis="x", alpha=0.3)
    return figure


def _table(reward: RecoveredReward, names: tuple[str, ...], actions: tuple[str, ...]) -> Figure:
    states, columns = reward.values.shape
    figure, axes = plt.subplots(
        figsize=(0.75 * columns + 2.4, 0.28 * states + 1.4), layout="constrained"
    )
    image = axes.imshow(reward.values, cmap=MAP, aspect="auto")
    figure.colorbar(image, ax=axes, label=_unit(reward))
    axes.set_xticks(range(columns), actions, rotation=90 if columns > 9 else 0, fontsize=8)
    axes.set_yticks(range(states), names, fontsize=8)
    axes.set(xlabel="action", ylabel="state")
    return figure


def _curve(values: FloatArray, spread: FloatArray, label: str) -> Figure:
    order = np.argsort(values)
    order = order[np.isfinite(values[order])]
    figure, axes = plt.subplots(figsize=(6.5, 4.0), layout="constrained")
    place = np.arange(len(order))
    axes.plot(place, values[order])
    wide = SPREAD * np.nan_to_num(spread[order])
    axes.fill_between(place, values[order] - wide, values[order] + wide, alpha=0.25, linewidth=0)
    _label(axes, label)
    return figure


def _label(axes: Axes, label: str) -> None:
    axes.set(xlabel=label, ylabel="reward, with two posterior deviations")
    axes.grid(alpha=0.3)
