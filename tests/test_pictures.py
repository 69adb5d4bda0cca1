import matplotlib.pyplot as plt
import numpy as np
import pytest

import malfl
from malfl.recovery.reward import NoFit


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def reward(*shape, deviation=True):
    values = np.random.default_rng(0).normal(size=shape)
    spread = np.full(shape, 0.25) if deviation else None
    kind = "state" if len(shape) == 1 else "state-action"
    return malfl.RecoveredReward(values, kind, NoFit(), deviation=spread)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_grid_shows_every_cell_with_its_deviation():
    one = reward(6)
    figure = malfl.plot_reward(one, layout=(2, 3), states=list("abcdef"))
    image = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(image, one.values.reshape(2, 3))
    assert texts(figure) == [
        f"{name}\n{value:.2g}\n±0.2" for name, value in zip("abcdef", one.values, strict=True)
    ]


def test_states_are_lines_from_the_lowest_to_the_highest():
    one = reward(5)
    axes = malfl.plot_reward(one, states=list("abcde")).axes[0]
    order = np.argsort(one.values)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["abcde"[k] for k in order]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), one.values[order])
    (bars,) = axes.containers[0][2]
    widths = [segment[1, 0] - segment[0, 0] for segment in bars.get_segments()]
    np.testing.assert_allclose(widths, 1.0)  # two deviations to either side


def test_actions_are_columns():
    one = reward(4, 3)
    axes = malfl.plot_reward(one, actions=["left", "stay", "right"]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), one.values)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["left", "stay", "right"]


@pytest.mark.parametrize("shape", [(100,), (100, 3)])
def test_many_states_are_a_curve(shape):
    one = reward(*shape, deviation=False)
    axes = malfl.plot_reward(one).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), np.sort(one.values.ravel()))


def test_what_is_not_known_is_left_out():
    values = np.r_[np.nan, np.arange(99.0)]
    one = malfl.RecoveredReward(values, "state", NoFit())
    assert len(malfl.plot_reward(one).axes[0].lines[0].get_ydata()) == 99
    cells = malfl.RecoveredReward(values[:4], "state", NoFit())
    assert texts(malfl.plot_reward(cells, layout=(2, 2)))[0] == "0\nnan"


def test_the_verdict_is_above():
    title = malfl.plot_reward(reward(5)).get_suptitle()
    assert title == "Verdict: doubtful (1 reason, see summary())"


@pytest.mark.parametrize("layout", [(2, 2), (6,), (-2, -3), "ab", (2.0, 3)])
def test_a_layout_that_does_not_fit_is_refused(layout):
    with pytest.raises((TypeError, ValueError), match="layout"):
        malfl.plot_reward(reward(6), layout=layout)


def test_names_are_as_many_as_states():
    with pytest.raises(ValueError, match="states must be 6 names, got 2"):
        malfl.plot_reward(reward(6), states=("a", "b"))
