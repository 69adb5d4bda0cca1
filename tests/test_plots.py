from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from malfl import plots, scores


@pytest.fixture(autouse=True)
def _clean():
    plots.set_style()
    yield
    plt.close("all")


def images(figure):
    return [axes.images[0] for axes in figure.axes if axes.images]


def test_reward_maps_show_the_values_on_one_scale():
    first, second = np.arange(81.0), -np.arange(81.0)
    second[3] = np.nan
    shown = images(plots.reward_maps({"a": first, "b": second}))
    np.testing.assert_array_equal(shown[0].get_array(), first.reshape(9, 9))
    assert {image.get_clim() for image in shown} == {(-80.0, 80.0)}


def test_an_episode_strip_puts_the_agents_where_they_are():
    figure = plots.episode_strip(np.array([0, 14, 80]), steps=3)
    boards = figure.axes[:3]
    spots = [
        [(round(float(line.get_xdata()[0])), float(line.get_ydata()[0])) for line in axes.lines
         if line.get_marker() in "os"]
        for axes in boards
    ]  # fmt: skip
    assert spots == [[(0, 0), (0, 0)], [(1, 0), (2, 1)], [(2, 2), (2, 2)]]


def test_intervals_are_drawn_where_the_table_has_them():
    rows = [
        ("hom", "1", "PCC", e, m, 0.1, m - 0.1, m + 0.1, 3, 0.48, 0.06)
        for e, m in (("A", 0.7), ("B", 0.9))
    ]
    figure = plots.table_intervals(pd.DataFrame(rows, columns=scores.COLUMNS), "title")
    drawn = {c.get_label(): c for c in figure.axes[0].containers}
    assert set(drawn) == {"A", "B", "the paper, as printed"}
    (bars,) = drawn["A"][2]
    assert bars.get_segments()[0][:, 1] == pytest.approx([0.6, 0.8])


def test_learned_values_stand_above_the_exact_ones():
    exact, learned = np.array([1.0, 2, 3]), np.array([1.5, 2, 2.5])
    axes = plots.learned_against_exact({"x": (exact, learned)}).axes[0]
    points = np.array(axes.collections[0].get_offsets())
    np.testing.assert_array_equal(points, np.column_stack([exact, learned]))


def test_a_policy_strip_shows_the_state_asked_for():
    history = np.full((3, 2, 2), 0.5)
    history[:, 1] = [0.25, 0.75]
    axes = plots.policy_strip([history], 1, ["left", "right"]).axes[0]
    first = axes.collections[0].get_paths()[0].vertices
    assert first[:, 1].max() == 0.25


def test_the_other_figures_draw_something():
    table = pd.DataFrame({"iteration": [0, 1] * 4, "v": range(8), "who": ["a", "a", "b", "b"] * 2,
                          "agent": ["1"] * 4 + ["2"] * 4})  # fmt: skip
    for figure in (
        plots.game_board(),
        plots.learned_against_exact({"x": (np.arange(3.0), np.arange(3.0))}),
        plots.curves(table, "v", "who", "agent"),
        plots.policy_strip([np.full((3, 2, 2), 0.5)] * 2, 1, ["left", "right"]),
    ):
        assert any(axes.lines or axes.collections or axes.patches for axes in figure.axes)


def test_speed_bars_put_the_fastest_on_top():
    times = pd.DataFrame({"name": ["ours", "slow", "middle"], "nanoseconds": [1.0, 100.0, 10.0]})
    (axes,) = plots.speed_bars(times, ours=["ours"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["slow", "middle", "ours"]
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert colours[0] == colours[1] != colours[2]
    assert [bar.get_width() for bar in axes.patches] == [100.0, 10.0, 1.0]


def test_cost_curves_are_drawn_on_logarithmic_axes():
    table = pd.DataFrame({"n": [1, 10, 1, 10], "s": [1.0, 2.0, 3.0, 4.0], "how": list("aabb")})
    (axes,) = plots.cost_curves(table, "n", "s", "how", ("number", "seconds")).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [list(line.get_ydata()) for line in axes.lines[:2]] == [[1.0, 2.0], [3.0, 4.0]]


def test_curves_are_means_over_rows_that_share_all_else():
    table = pd.DataFrame({"h": [1, 2, 1, 2], "v": [0.0, 2, 1, 3], "who": "a", "agent": "1"})
    figure = plots.curves(table, "v", "who", "agent", x="h", log=True, labels=("how many", "how"))
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.5, 2.5])
    assert (axes.get_yscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "how many", "how")


def test_a_frontier_puts_means_where_they_belong():
    cases = product(("hom", "het"), "AB", (10, 30), (1, 9), (0, 2))
    table = pd.DataFrame(
        [(g, e, n, h, n / 100 + h / 1000 + (e == "B") * 0.5 + seed / 1e4 + (g == "het") * 0.2)
         for g, e, n, h, seed in cases],
        columns=["game", "estimator", "episodes", "improvements", "PCC"],
    )  # fmt: skip
    given = ("game", "estimator", "improvements", "episodes", "PCC")
    shown = images(plots.frontier(table, *given))
    expected = np.array([[0.101, 0.109], [0.301, 0.309]]) + 1e-4
    for image, shift in zip(shown, (0, 0.5, 0.2, 0.7), strict=True):
        np.testing.assert_allclose(image.get_array(), expected + shift)
        assert image.get_clim() == (0, 1)


def test_a_line_marks_what_it_is_told_to():
    table = pd.DataFrame({"b": [0.1, 1.0], "v": [1.0, 2.0]})
    (axes,) = plots.line(table, "b", "v", ("step", "cost"), log_y=True, mark=0.2).axes
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "step")
    assert [list(line.get_xdata()) for line in axes.lines] == [[0.1, 1.0], [0.2, 0.2]]


def test_deviations_are_drawn_twice_to_either_side():
    table = pd.DataFrame(
        {"estimator": ["A", "B"], "true": 1.0, "recovered": [1.5, 2.0], "deviation": [0.1, 0.2]}
    )
    figure = plots.with_deviations(table)
    for axes, (low, high) in zip(figure.axes, ((1.3, 1.7), (1.6, 2.4)), strict=True):
        (bars,) = axes.containers[0][2]
        np.testing.assert_allclose(bars.get_segments()[0][:, 1], [low, high])


def test_tightness_shows_in_red_only_what_is_violated():
    trials = pd.DataFrame(
        {
            "statement": ["A", "A", "A", "B", "B"],
            "ratio": [0.51, 1 + 1e-9, 1.23, 7.0, -2.0],
            "holds": [True, True, False, False, True],
        }
    )
    figure = plots.tightness(trials)
    bars = [
        {round(b.get_x(), 2): (b.get_height(), b.get_facecolor()[0] > 0.5) for b in axes.patches}
        for axes in figure.axes[:2]
    ]
    seen = [{x: h for x, (h, _) in panel.items() if h > 0} for panel in bars]
    assert seen[0] == pytest.approx({0.5: 1 / 3, 0.95: 1 / 3, 1.2: 1 / 3})
    assert seen[1] == pytest.approx({0.0: 0.5, 1.45: 0.5})
    assert all(red == (x >= 1) for panel in bars for x, (_, red) in panel.items())


def test_both_sides_are_lines_over_x():
    table = pd.DataFrame({"x": [1.0, 2.0], "left": [1.0, 3.0], "right": [2.0, 2.5]})
    (axes,) = plots.both_sides(table, "x", ["left", "right"], ("size", "nats"), log=True).axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.0, 3.0], [2.0, 2.5]]
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_ylabel()) == ("log", "log", "nats")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["left", "right"]


def test_costs_below_zero_are_left_out_of_a_logarithmic_axis():
    table = pd.DataFrame({"n": [1, 2, 4], "t": [-1.0, 2.0, 4.0], "who": "a"})
    (axes,) = plots.cost_curves(table, "n", "t", "who", ("n", "t")).axes
    np.testing.assert_allclose(axes.get_ylim(), [2 / 1.5, 6.0])
