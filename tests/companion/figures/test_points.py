from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from malfl.companion import figures
from malfl.companion.tables import COLUMNS


def images(figure):
    return [axes.images[0] for axes in figure.axes if axes.images]


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


def test_learned_values_stand_above_the_exact_ones():
    exact, learned = np.array([1.0, 2, 3]), np.array([1.5, 2, 2.5])
    axes = figures.learned_against_exact({"x": (exact, learned)}).axes[0]
    points = np.array(axes.collections[0].get_offsets())
    np.testing.assert_array_equal(points, np.column_stack([exact, learned]))


def test_deviations_are_drawn_twice_to_either_side():
    table = pd.DataFrame(
        {"estimator": ["A", "B"], "true": 1.0, "recovered": [1.5, 2.0], "deviation": [0.1, 0.2]}
    )
    figure = figures.with_deviations(table)
    for axes, (low, high) in zip(figure.axes, ((1.3, 1.7), (1.6, 2.4)), strict=True):
        (bars,) = axes.containers[0][2]
        np.testing.assert_allclose(bars.get_segments()[0][:, 1], [low, high])


def test_changes_are_points_above_those_that_came():
    came, predicted = [-0.1, 0.0, 0.3], [0.2, 0.1, 0.25]
    panels = {
        "one": pd.DataFrame({"came": came, "predicted": predicted}),
        "two": pd.DataFrame({"came": predicted, "predicted": came}),
    }
    first, second = figures.changes(panels).axes
    assert (first.get_title(), second.get_title()) == ("one", "two")
    np.testing.assert_array_equal(
        first.collections[0].get_offsets(), np.column_stack([came, predicted])
    )
    np.testing.assert_array_equal(
        second.collections[0].get_offsets(), np.column_stack([predicted, came])
    )
    assert first.get_xlabel() == "change that came"
    assert first.get_ylabel() == "change predicted"
    assert first.lines[0].get_slope() == 1


def test_intervals_are_drawn_where_the_table_has_them():
    rows = [
        ("hom", "0", "PCC", e, m, 0.1, m - 0.1, m + 0.1, 3, 0.48, 0.06)
        for e, m in (("A", 0.7), ("B", 0.9))
    ]
    figure = figures.table_intervals(pd.DataFrame(rows, columns=COLUMNS), "title")
    drawn = {c.get_label(): c for c in figure.axes[0].containers}
    assert set(drawn) == {"A", "B", "the paper, as printed"}
    (bars,) = drawn["A"][2]
    assert bars.get_segments()[0][:, 1] == pytest.approx([0.6, 0.8])


def test_tightness_shows_in_red_only_what_is_violated():
    trials = pd.DataFrame(
        {
            "statement": ["A", "A", "A", "B", "B"],
            "ratio": [0.51, 1 + 1e-9, 1.23, 7.0, -2.0],
            "holds": [True, True, False, False, True],
        }
    )
    figure = figures.tightness(trials)
    bars = [
        {round(b.get_x(), 2): (b.get_height(), b.get_facecolor()[0] > 0.5) for b in axes.patches}
        for axes in figure.axes[:2]
    ]
    seen = [{x: h for x, (h, _) in panel.items() if h > 0} for panel in bars]
    assert seen[0] == pytest.approx({0.5: 1 / 3, 0.95: 1 / 3, 1.2: 1 / 3})
    assert seen[1] == pytest.approx({0.0: 0.5, 1.45: 0.5})
    assert all(red == (x >= 1) for panel in bars for x, (_, red) in panel.items())


def test_speed_bars_put_the_fastest_on_top():
    times = pd.DataFrame({"name": ["ours", "slow", "middle"], "nanoseconds": [1.0, 100.0, 10.0]})
    (axes,) = figures.speed_bars(times, ours=["ours"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["slow", "middle", "ours"]
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert colours[0] == colours[1] != colours[2]
    assert [bar.get_width() for bar in axes.patches] == [100.0, 10.0, 1.0]


def test_a_frontier_puts_means_where_they_belong():
    cases = product(("hom", "het"), "AB", (10, 30), (1, 9), (0, 2))
    table = pd.DataFrame(
        [(g, e, n, h, n / 100 + h / 1000 + (e == "B") * 0.5 + seed / 1e4 + (g == "het") * 0.2)
         for g, e, n, h, seed in cases],
        columns=["game", "estimator", "episodes", "improvements", "PCC"],
    )  # fmt: skip
    given = ("game", "estimator", "improvements", "episodes", "PCC")
    shown = images(figures.frontier(table, *given))
    expected = np.array([[0.101, 0.109], [0.301, 0.309]]) + 1e-4
    for image, shift in zip(shown, (0, 0.5, 0.2, 0.7), strict=True):
        np.testing.assert_allclose(image.get_array(), expected + shift)
        assert image.get_clim() == (0, 1)


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
    (axes,) = figures.lfl_scores(table, floor=-4.0).axes
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
    (axes,) = figures.lfl_scores(table, floor=-4.0).axes
    fallen = [line for line in axes.lines if line.get_marker() == "v"]
    assert [list(line.get_ydata()) for line in fallen] == [[], [], [-4.0]]
    assert round(fallen[2].get_xdata()[0]) == 1
    assert axes.get_ylim()[0] < -4.0
    (deeper,) = figures.lfl_scores(table, floor=-25.0).axes
    np.testing.assert_allclose(points(deeper)["B"][1], [3, -19])


def test_a_single_run_is_drawn_without_an_interval(table):
    (axes,) = figures.lfl_scores(table.assign(low=np.nan, high=np.nan), floor=-4.0).axes
    np.testing.assert_array_equal(points(axes)["A"][2], [0, 0])


def test_readings_are_written_into_their_cells():
    matrix = pd.DataFrame([[0.1, 0.253], [np.nan, 1.0]], index=["x", "y"], columns=["as x", "as y"])
    figure = figures.readings(matrix, "correlation")
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.texts] == ["0.10", "0.25", "1.00"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["as x", "as y"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["x", "y"]
    (mesh,) = axes.collections
    np.testing.assert_array_equal(mesh.get_array().filled(np.nan), matrix)
    assert mesh.get_clim() == (0, 1)
    assert figure.axes[1].get_ylabel() == "correlation"
