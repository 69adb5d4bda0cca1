import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrow, FancyArrowPatch, Rectangle

from malfl import lfl_plots, plots
from malfl.gridworlds import lfl


@pytest.fixture(autouse=True)
def _clean():
    plots.set_style()
    yield
    plt.close("all")


def of(axes, kind):
    return [patch for patch in axes.patches if type(patch) is kind]


def points(axes):
    """By their label: horizontal and vertical places, and half-widths, of points with bars."""
    result = {}
    for bars in axes.containers:
        line, _, (segments,) = bars
        spans = np.array([s[:, 1] for s in segments.get_segments()]).reshape(-1, 2)
        half = np.diff(spans, axis=1).ravel() / 2
        x, y = (np.asarray(part, float) for part in line.get_data())
        result[bars.get_label()] = x, y, half, line.get_marker()
    return result


def arrows(axes):
    """For each arrow the cell it leaves, and by how much the tip is off it."""
    found = []
    for arrow in of(axes, FancyArrow):
        corners = arrow.get_xy()
        inside = corners.round().mean(axis=0).round()
        far = corners[np.abs(corners - inside).max(axis=1).argmax()]
        found.append((tuple(inside.astype(int)), tuple((far - inside).round(6))))
    return found


def test_the_grid_shows_each_cells_reward_in_its_place():
    reward = np.arange(25.0) + 30
    reward[[4, 20, 24]] = -12, 0, 10
    figure = lfl_plots.grid(reward, np.full((25, 4), 0.25))
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
    (axes,) = lfl_plots.grid(game.rewards[0], policy).axes
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
    (axes,) = lfl_plots.grid(lfl().rewards[0], np.full((25, 4), 0.25)).axes
    ends = [patch.get_path().vertices for patch in of(axes, FancyArrowPatch)]
    begins = sorted(tuple(np.round(path[0])) for path in ends)
    assert len(ends) == 2
    assert begins == [(2, 2), (4, 4)]


def test_strips_show_actions_as_rows_on_a_scale_of_their_own():
    states, both = np.arange(25.0), np.arange(100.0).reshape(25, 4) * -3
    figure = lfl_plots.reward_strips({"truth": states, "found": both})
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


@pytest.fixture
def table():
    """Means are 1, 2, ... and half-widths a tenth of them; B's second is far below."""
    rows = [
        (learner, who, k + 1.0, (k + 1) * 0.9, (k + 1) * 1.1, np.nan, np.nan)
        for k, (learner, who) in enumerate(
            (learner, who) for learner in ("one", "two") for who in ("learner", "A", "B")
        )
    ]
    columns = ["learner", "who", "mean", "low", "high", "paper_mean", "paper_sd"]
    table = pd.DataFrame(rows, columns=columns)
    table.loc[5, ["mean", "low", "high"]] = -19.0, -20.0, -18.0
    table.loc[0, "paper_mean"] = 1.5
    table.loc[4, ["paper_mean", "paper_sd"]] = 3.5, 0.4
    return table


def test_scores_stand_with_their_intervals_by_their_learners(table):
    (axes,) = lfl_plots.scores(table, floor=-4.0).axes
    assert [t.get_text() for t in axes.get_xticklabels()] == ["one", "two"]
    drawn = points(axes)
    assert list(drawn) == ["learner", "A", "B", "the paper, as printed"]
    expected = {
        "learner": ([1, 4], [0.1, 0.4], "s"),
        "A": ([2, 5], [0.2, 0.5], "o"),
        "B": ([3], [0.3], "o"),
        "the paper, as printed": ([1.5, 3.5], [0, 0.4], "D"),
    }
    for label, (x, mean, half, marker) in drawn.items():
        means, halves, shape = expected[label]
        np.testing.assert_allclose(mean, means)
        np.testing.assert_allclose(half, halves, atol=1e-12)
        assert marker == shape
        np.testing.assert_array_equal(np.round(x), range(len(x)))
    colours = {bars.get_label(): to_rgba(bars.lines[0].get_color()) for bars in axes.containers}
    assert len(set(colours.values())) == 4
    # Side by side, and the paper's next to what it is about.
    order = [drawn[label][0][0] for label in ("learner", "the paper, as printed", "A", "B")]
    assert (np.diff(order) > 0.05).all()
    assert drawn["A"][0][1] < drawn["the paper, as printed"][0][1] < drawn["A"][0][1] + 0.2


def test_what_is_below_the_floor_lies_on_it(table):
    (axes,) = lfl_plots.scores(table, floor=-4.0).axes
    fallen = [line for line in axes.lines if line.get_marker() == "v"]
    assert [list(line.get_ydata()) for line in fallen] == [[], [], [-4.0]]
    assert round(fallen[2].get_xdata()[0]) == 1
    assert axes.get_ylim()[0] < -4.0
    (deeper,) = lfl_plots.scores(table, floor=-25.0).axes
    np.testing.assert_allclose(points(deeper)["B"][1], [3, -19])


def test_a_single_run_is_drawn_without_an_interval(table):
    (axes,) = lfl_plots.scores(table.assign(low=np.nan, high=np.nan), floor=-4.0).axes
    np.testing.assert_array_equal(points(axes)["A"][2], [0, 0])


def test_readings_are_written_into_their_cells():
    matrix = pd.DataFrame([[0.1, 0.253], [np.nan, 1.0]], index=["x", "y"], columns=["as x", "as y"])
    figure = lfl_plots.readings(matrix, "correlation")
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.texts] == ["0.10", "0.25", "1.00"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["as x", "as y"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["x", "y"]
    (mesh,) = axes.collections
    np.testing.assert_array_equal(mesh.get_array().filled(np.nan), matrix)
    assert mesh.get_clim() == (0, 1)
    assert figure.axes[1].get_ylabel() == "correlation"


def test_courses_have_a_panel_for_each_learner_and_a_line_for_each_run():
    rows = [
        (learner, h, seed, 10 * k + seed + h / 10)
        for k, learner in enumerate(("one", "two", "three"))
        for seed in (0, 4)
        for h in range(3 + k)
    ]
    table = pd.DataFrame(rows, columns=["learner", "iteration", "seed", "score"])
    figure = lfl_plots.courses(table)
    assert [axes.get_title() for axes in figure.axes] == ["one", "two", "three"]
    for k, axes in enumerate(figure.axes):
        assert len(axes.lines) == 2
        for line, seed in zip(axes.lines, (0, 4), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), range(3 + k))
            np.testing.assert_allclose(line.get_ydata(), 10 * k + seed + np.arange(3 + k) / 10)
    assert figure.axes[0].get_ylabel() == "score"
    assert figure.axes[0].get_ylim() == figure.axes[2].get_ylim()


def test_lines_over_alpha_are_means_over_seeds_on_a_logarithmic_axis():
    rows = [
        (estimator, factor, seed, k + factor + seed / 100, -1.0)
        for k, estimator in enumerate(("A", "B"))
        for factor in (0.1, 1, 10)
        for seed in (0, 1, 2)
    ]
    table = pd.DataFrame(rows, columns=["estimator", "factor", "seed", "PCC", "scale"])
    (axes,) = lfl_plots.over_alpha(table, "PCC", "correlation").axes
    assert (axes.get_xscale(), axes.get_ylabel()) == ("log", "correlation")
    for k, line in enumerate(axes.lines[:2]):
        np.testing.assert_allclose(line.get_xdata(), [0.1, 1, 10])
        np.testing.assert_allclose(line.get_ydata(), k + np.array([0.11, 1.01, 10.01]))
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["A", "B"]
    assert to_rgba(axes.lines[0].get_color()) != to_rgba(axes.lines[1].get_color())
