import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba

from malfl.companion import figures


def test_curves_draw_a_panel_for_each_agent():
    table = pd.DataFrame({"iteration": [0, 1] * 4, "v": range(8), "who": ["a", "a", "b", "b"] * 2,
                          "agent": ["0"] * 4 + ["1"] * 4})  # fmt: skip
    figure = figures.curves(table, "v", "who", "agent")
    assert [axes.get_title() for axes in figure.axes] == ["0", "1"]
    assert all(axes.lines for axes in figure.axes)


def test_curves_are_means_over_rows_that_share_all_else():
    table = pd.DataFrame({"h": [1, 2, 1, 2], "v": [0.0, 2, 1, 3], "who": "a", "agent": "0"})
    figure = figures.curves(table, "v", "who", "agent", x="h", log=True, labels=("how many", "how"))
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.5, 2.5])
    assert (axes.get_yscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "how many", "how")


def test_a_line_has_a_mark_where_it_is_asked_for():
    table = pd.DataFrame({"b": [0.1, 1.0], "v": [1.0, 2.0]})
    (axes,) = figures.line(table, "b", "v", ("step", "cost"), log_y=True, mark=0.2).axes
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "step")
    assert [list(line.get_xdata()) for line in axes.lines] == [[0.1, 1.0], [0.2, 0.2]]


def test_both_sides_are_lines_over_x():
    table = pd.DataFrame({"x": [1.0, 2.0], "left": [1.0, 3.0], "right": [2.0, 2.5]})
    (axes,) = figures.both_sides(table, "x", ["left", "right"], ("size", "nats"), log=True).axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.0, 3.0], [2.0, 2.5]]
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_ylabel()) == ("log", "log", "nats")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["left", "right"]


def test_cost_curves_are_drawn_on_logarithmic_axes():
    table = pd.DataFrame({"n": [1, 10, 1, 10], "s": [1.0, 2.0, 3.0, 4.0], "how": list("aabb")})
    (axes,) = figures.cost_curves(table, "n", "s", "how", ("number", "seconds")).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [list(line.get_ydata()) for line in axes.lines[:2]] == [[1.0, 2.0], [3.0, 4.0]]


def test_costs_below_zero_are_left_out_of_a_logarithmic_axis():
    table = pd.DataFrame({"n": [1, 2, 4], "t": [-1.0, 2.0, 4.0], "who": "a"})
    (axes,) = figures.cost_curves(table, "n", "t", "who", ("n", "t")).axes
    np.testing.assert_allclose(axes.get_ylim(), [2 / 1.5, 6.0])


def test_learning_curves_have_a_panel_for_each_learner_and_a_line_for_each_run():
    rows = [
        (learner, h, seed, 10 * k + seed + h / 10)
        for k, learner in enumerate(("one", "two", "three"))
        for seed in (0, 4)
        for h in range(3 + k)
    ]
    table = pd.DataFrame(rows, columns=["learner", "iteration", "seed", "score"])
    figure = figures.learning_curves(table)
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
    (axes,) = figures.over_alpha(table, "PCC", "correlation").axes
    assert (axes.get_xscale(), axes.get_ylabel()) == ("log", "correlation")
    for k, line in enumerate(axes.lines[:2]):
        np.testing.assert_allclose(line.get_xdata(), [0.1, 1, 10])
        np.testing.assert_allclose(line.get_ydata(), k + np.array([0.11, 1.01, 10.01]))
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["A", "B"]
    assert to_rgba(axes.lines[0].get_color()) != to_rgba(axes.lines[1].get_color())
