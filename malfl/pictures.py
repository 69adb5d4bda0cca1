"""A recovered reward as a picture, whatever its game looks like."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.sparse import eye_array, kron

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics
from malfl.recovery.reward import RecoveredReward

MOST_NAMED = 40  # states that are shown by name, each in a line
MOST_NODES = 60  # states that are shown as a graph
MOST_CELLS = 200  # of a table with numbers in it
LEAST_SHARE = 0.1  # of the most frequent move from a state: arrows show no rarer ones
NODE = 900.0  # size of a state in a graph, in points squared
SPREAD = 2.0  # posterior deviations to either side
MAP = "cividis"
COLOURS = {"sound": "#2d7d46", "doubtful": "#b3541e", "undetermined": "#a61c1c"}  # of verdicts


def plot_reward(
    reward: RecoveredReward,
    *,
    layout: tuple[int, int] | None = None,
    game: Dynamics | None = None,
    states: Sequence[str] | None = None,
    actions: Sequence[str] | None = None,
) -> Figure:
    """Draw a reward with what is known of its errors, and its verdict above.

    On a grid, each state is a cell with its reward and the deviation; on a graph it is a node.
    Without either, the reward of up to 40 states is a line each, with two deviations to either
    side, or a row of cells by action; that of more states is a curve from the lowest to the
    highest. Grids and graphs show the mean over actions.

    Parameters
    ----------
    layout
        Rows and columns of a grid whose cells are the states, row by row.
    game
        For a graph of up to 60 states, with an arrow for each move that is not rare if everything
        is as likely to be done. States where episodes end have a thick edge.
    states, actions
        Names, in the order of their numbers; by default the numbers.

    Returns
    -------
    Figure
        Of Matplotlib; close it when it is saved.

    Raises
    ------
    TypeError, ValueError
        If ``layout`` has other cells than there are states, there are not as many names, the game
        has other states or too many, or both are given.
    """
    checks.instance(reward, RecoveredReward, "reward", "see malfl.recover")
    shape = reward.values.shape
    number = shape[0]
    names = _numbers(number) if states is None else checks.names(states, "states", number)
    own = checks.action_names(actions, shape)
    if layout is not None and game is not None:
        raise ValueError("layout and game cannot both be given: a picture is a grid or a graph")
    if layout is not None:
        checks.sequence(layout, "layout", "rows and columns")
        if len(layout) != 2 or math.prod(checks.count(k, "layout") for k in layout) != number:
            raise ValueError(
                f"layout must be rows and columns of {number} cells, got {checks.shown(layout)}"
            )
        figure = _grid(reward, layout, names)
    elif game is not None:
        _check_nodes(game, number)
        figure = _graph(reward, game, names)
    elif len(shape) == 2:
        if number > MOST_NAMED:
            figure = _curve(reward, "state and action, in order")
        else:
            figure = _table(reward, names, own or _numbers(shape[1]))
    elif number <= MOST_NAMED:
        figure = _lines(reward, names)
    else:
        figure = _curve(reward, "state, in order")
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
    values = reward.over_states()
    figure, axes = plt.subplots(
        figsize=(1.1 * columns + 1.6, 1.0 * rows + 0.8), layout="constrained"
    )
    image = axes.imshow(values.reshape(layout), cmap=MAP)
    figure.colorbar(image, ax=axes, label=_unit(reward))
    middle = _middle(values)
    for state, (row, column) in enumerate(np.ndindex(rows, columns)):
        text = _text(reward, names, state)
        _write(axes, (column, row), text, dark=bool(values[state] < middle), size=8)
    axes.set(xticks=[], yticks=[])
    return figure


def _middle(values: FloatArray) -> float:
    """Between the lowest and the highest, where the colour of a text changes."""
    known = values[np.isfinite(values)]
    return float(known.min() + known.max()) / 2 if known.size else 0.0


def _write(axes: Axes, place: Sequence[float], text: str, *, dark: bool, size: int) -> None:
    """Write a text upon a place that is dark or light."""
    x, y = place
    colour = "white" if dark else "black"
    axes.text(x, y, text, ha="center", va="center", color=colour, fontsize=size)


def _text(reward: RecoveredReward, names: tuple[str, ...], state: int) -> str:
    """A state's name, reward and deviation; the latter only of a reward of the state."""
    spread = math.nan if reward.values.ndim > 1 else float(_flat(reward)[state])
    return "\n".join([names[state], *_digits(reward.over_states()[state], spread)])


def _digits(value: float, spread: float) -> tuple[str, ...]:
    """A value and its deviation, if there is one, both to the latter's first digit."""
    if not np.isfinite(value):
        return ("?",)
    if not spread > 0:
        return (f"{value:.2g}",)
    places = max(0, -math.floor(math.log10(spread)))
    rounded = round(float(value), places) + 0.0  # not -0
    return f"{rounded:.{places}f}", f"±{spread:.{places}f}"


def _check_nodes(game: Dynamics, number: int) -> None:
    checks.instance(game, Dynamics, "game", "of which the reward is")
    if game.n_states != number:
        raise ValueError(f"game must have {number} states as the reward, got {game.n_states}")
    if number > MOST_NODES:
        raise ValueError(f"a graph shows at most {MOST_NODES} states, got {number}; omit game")


def _graph(reward: RecoveredReward, game: Dynamics, names: tuple[str, ...]) -> Figure:
    import networkx as nx  # takes a while

    values, each = reward.over_states(), np.ones((1, game.n_joint_actions))
    moves = (kron(eye_array(game.n_states), each) @ game.transitions).toarray()
    np.fill_diagonal(moves, 0.0)
    often = (moves > 0) & (moves >= LEAST_SHARE * moves.max(axis=1, keepdims=True))
    graph = nx.from_numpy_array(often, create_using=nx.DiGraph)
    places = nx.kamada_kawai_layout(graph.to_undirected())
    side = 2.0 + 1.1 * np.sqrt(game.n_states)
    figure, axes = plt.subplots(figsize=(side + 1.0, side), layout="constrained")
    nx.draw_networkx_edges(graph, places, ax=axes, node_size=NODE, edge_color="#8a8a8a", width=0.8)
    known = np.isfinite(values)
    nodes = nx.draw_networkx_nodes(
        graph, places, nodelist=np.flatnonzero(known).tolist(), ax=axes, node_size=NODE, cmap=MAP,
        node_color=values[known], edgecolors="black", linewidths=1 + 2.0 * game.ends[known],
    )  # fmt: skip
    nx.draw_networkx_nodes(
        graph, places, nodelist=np.flatnonzero(~known).tolist(), ax=axes, node_size=NODE,
        node_color="#d9d9d9", edgecolors="black", linewidths=1 + 2.0 * game.ends[~known],
    )  # fmt: skip
    middle = _middle(values)
    for state, place in places.items():
        text = _text(reward, names, state)
        _write(axes, place, text, dark=bool(values[state] < middle), size=7)
    figure.colorbar(nodes, ax=axes, label=_unit(reward))
    axes.set_axis_off()
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
        figsize=(0.9 * columns + 2.4, 0.28 * states + 1.4), layout="constrained"
    )
    image = axes.imshow(reward.values, cmap=MAP, aspect="auto")
    figure.colorbar(image, ax=axes, label=_unit(reward))
    middle = _middle(reward.values)
    if reward.values.size <= MOST_CELLS:
        spread = _flat(reward).reshape(reward.values.shape)
        for (row, column), value in np.ndenumerate(reward.values):
            text = " ".join(_digits(value, float(spread[row, column])))
            _write(axes, (column, row), text, dark=bool(value < middle), size=7)
    axes.set_xticks(range(columns), actions, rotation=90 if columns > 9 else 0, fontsize=8)
    axes.set_yticks(range(states), names, fontsize=8)
    axes.set(xlabel="action", ylabel="state")
    return figure


def _curve(reward: RecoveredReward, label: str) -> Figure:
    values, spread = reward.values.ravel(), _flat(reward)
    order = np.argsort(values)
    order = order[np.isfinite(values[order])]
    figure, axes = plt.subplots(figsize=(6.5, 4.0), layout="constrained")
    place = np.arange(len(order))
    axes.plot(place, values[order])
    wide = SPREAD * np.nan_to_num(spread[order])
    axes.fill_between(place, values[order] - wide, values[order] + wide, alpha=0.25, linewidth=0)
    axes.set(xlabel=label, ylabel=f"{_unit(reward)}, with two posterior deviations")
    axes.grid(alpha=0.3)
    return figure
