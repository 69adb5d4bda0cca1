import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrow, FancyArrowPatch, Rectangle

from malfl.companion import figures
from malfl.games.gridworlds import lfl


def images(figure):
    return [axes.images[0] for axes in figure.axes if axes.images]


def of(axes, kind):
    return [patch for patch in axes.patches if type(patch) is kind]


def arrows(axes):
    """For each arrow the cell it leaves, and by how much the tip is off it."""
    found = []
    for arrow in of(axes, FancyArrow):
        corners = arrow.get_xy()
        inside = corners.round().mean(axis=0).round()
        far = corners[np.abs(corners - inside).max(axis=1).argmax()]
        found.append((tuple(inside.astype(int)), tuple((far - inside).round(6))))
    return found


def test_reward_maps_show_the_values_on_one_scale():
    first, second = np.arange(81.0), -np.arange(81.0)
    second[3] = np.nan
    shown = images(figures.reward_maps({"a": first, "b": second}))
    np.testing.assert_array_equal(shown[0].get_array(), first.reshape(9, 9))
    assert {image.get_clim() for image in shown} == {(-80.0, 80.0)}


def test_an_episode_strip_puts_the_agents_where_they_are():
    figure = figures.episode_strip(np.array([0, 14, 80]), steps=3)
    boards = figure.axes[:3]
    spots = [
        [(round(float(line.get_xdata()[0])), float(line.get_ydata()[0])) for line in axes.lines
         if line.get_marker() in "os"]
        for axes in boards
    ]  # fmt: skip
    assert spots == [[(0, 0), (0, 0)], [(1, 0), (2, 1)], [(2, 2), (2, 2)]]


def test_a_policy_strip_shows_the_state_asked_for():
    history = np.full((3, 2, 2), 0.5)
    history[:, 1] = [0.25, 0.75]
    axes = figures.policy_strip([history], 1, ["left", "right"]).axes[0]
    first = axes.collections[0].get_paths()[0].vertices
    assert first[:, 1].max() == 0.25


def test_agents_are_counted_from_0():
    histories = [np.full((3, 2, 2), 0.5)] * 2
    strip = figures.policy_strip(histories, 1, ["left", "right"])
    assert [axes.get_title() for axes in strip.axes] == ["agent 0", "agent 1"]
    (board, _) = figures.reward_maps({"a": np.arange(81.0)}, columns=1).axes
    assert (board.get_ylabel(), board.get_xlabel()) == ("cell of agent 0", "cell of agent 1")


def test_the_game_board_names_agents_where_they_stand():
    for axes, cells in zip(figures.game_board().axes, ((0, 0), (1, 5)), strict=True):
        tokens = sorted(
            (text.get_text(), round(text.get_position()[0]), round(text.get_position()[1]))
            for text in axes.texts
            if text.get_text().isdigit()
        )
        assert tokens == [(str(agent), cell % 3, cell // 3) for agent, cell in enumerate(cells)]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["between the agents", "agent 1 to the goal"]
    paths = {line.get_label(): np.round(line.get_xydata()) for line in axes.lines}
    assert [tuple(paths[name][0]) for name in legend] == [(1, 0), (2, 1)]


def test_boards_and_policies_draw_something():
    for figure in (
        figures.game_board(),
        figures.policy_strip([np.full((3, 2, 2), 0.5)] * 2, 1, ["left", "right"]),
    ):
        assert any(axes.lines or axes.collections or axes.patches for axes in figure.axes)


def test_the_grid_shows_each_cells_reward_in_its_place():
    reward = np.arange(25.0) + 30
    reward[[4, 20, 24]] = -12, 0, 10
    figure = figures.lfl_board(reward, np.full((25, 4), 0.25))
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    cells = of(axes, Rectangle)
    assert [(p.get_x() + 0.5, p.get_y() + 0.5) for p in cells] == [
        (cell % 5, cell // 5) for cell in range(25)
    ]
    written = {
        (round(t.get_position()[0]), round(t.get_position()[1])): t.get_text()
        for t in axes.texts
        if t.get_text().lstrip("-").isdigit()
    }
    assert written == {(cell % 5, cell // 5): f"{reward[cell]:g}" for cell in range(25)}
    white = [cell for cell, p in enumerate(cells) if p.get_facecolor() == (1, 1, 1, 1)]
    assert white == [cell for cell in range(25) if cell not in (4, 12, 20, 24)]
    assert len({cells[cell].get_facecolor() for cell in (4, 12, 20, 24)}) == 4
    low, high = axes.get_ylim()
    assert low > high  # row 0 at the top
    names = {
        t.get_text(): t.get_position()
        for t in axes.texts
        if t.get_text().isalpha() or "," in t.get_text()
    }
    assert {name: (x, round(y)) for name, (x, y) in names.items()} == {
        "start": (0, 0), "reset": (2, 2), "goal, reset": (4, 4),
    }  # fmt: skip


def test_arrows_are_as_long_as_actions_are_likely_and_point_where_they_lead():
    policy = np.zeros((25, 4))
    policy[:, 0] = 1.0
    policy[7] = [0.5, 0.04, 0.3, 0.16]  # row 1, column 2
    game = lfl()
    (axes,) = figures.lfl_board(game.rewards[0], policy).axes
    drawn = arrows(axes)
    assert len(drawn) == 22 + 3  # none where every action leads to the start, none if unlikely
    assert {cell for cell, _ in drawn} == {
        (cell % 5, cell // 5) for cell in range(25) if cell not in (12, 24)
    }
    table = game.transitions.indices.reshape(25, 4)
    lengths = {}
    for (column, row), (right, down) in drawn:
        share = policy[5 * row + column]
        toward = 5 * (row + np.sign(down)) + column + np.sign(right)
        if 0 <= row + np.sign(down) < 5 and 0 <= column + np.sign(right) < 5:
            (action,) = np.flatnonzero(table[5 * row + column] == toward)
            lengths[share[action]] = max(abs(right), abs(down))
    assert set(lengths) == {0.16, 0.3, 0.5, 1.0}
    assert np.diff([lengths[share] for share in sorted(lengths)]) == pytest.approx(
        0.34 * np.array([0.14, 0.2, 0.5]), abs=1e-6
    )


def test_the_grid_shows_where_one_is_put_back_from():
    (axes,) = figures.lfl_board(lfl().rewards[0], np.full((25, 4), 0.25)).axes
    ends = [patch.get_path().vertices for patch in of(axes, FancyArrowPatch)]
    begins = sorted(tuple(np.round(path[0])) for path in ends)
    assert len(ends) == 2
    assert begins == [(2, 2), (4, 4)]


def test_strips_show_actions_as_rows_on_a_scale_of_their_own():
    states, both = np.arange(25.0), np.arange(100.0).reshape(25, 4) * -3
    figure = figures.reward_strips({"truth": states, "found": both})
    strips = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in strips] == ["truth", "found"]
    assert len(figure.axes) == 4  # a colour bar for each
    first, second = (axes.images[0] for axes in strips)
    np.testing.assert_array_equal(first.get_array(), states[None])
    np.testing.assert_array_equal(second.get_array(), both.T)
    assert (first.get_clim(), second.get_clim()) == ((0, 24), (-297, 0))
    assert [axes.get_xlabel() for axes in strips] == ["state"] * 2
    assert [axes.get_ylabel() for axes in strips] == ["", "action"]
    assert [len(axes.get_yticks()) for axes in strips] == [0, 4]
