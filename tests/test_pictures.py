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
        f"{name}\n{value:.1f}\n±0.2" for name, value in zip("abcdef", one.values, strict=True)
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
    assert texts(malfl.plot_reward(cells, layout=(2, 2)))[0] == "0\n?"


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


def ring(states=5):
    """States in a circle, the last of which ends an episode; action 1 stays."""
    table = [[(s + 1) % states, s] for s in range(states)]
    return malfl.MarkovGame(
        actions=(2,), transitions=table, rewards=[np.zeros(states)], start=0, gamma=0.9,
        ends=[states - 1],
    )  # fmt: skip


def test_a_graph_has_an_arrow_for_each_move():
    one, game = reward(5), ring()
    axes = malfl.plot_reward(one, game=game, states=list("abcde")).axes[0]
    assert [text.get_text() for text in axes.texts] == [
        f"{name}\n{value:.1f}\n±0.2" for name, value in zip("abcde", one.values, strict=True)
    ]
    nodes = axes.collections[0]
    np.testing.assert_array_equal(nodes.get_array(), one.values)
    assert np.argmax(nodes.get_linewidths()) == 4  # where episodes end
    assert len(axes.patches) == 4  # nothing leads on from there, and staying is no move


def test_a_graph_of_what_is_not_known():
    values = np.array([np.nan, 1, 2, 3, 4])
    axes = malfl.plot_reward(malfl.RecoveredReward(values, "state", NoFit()), game=ring()).axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_array(), values[1:])
    assert len(axes.collections[1].get_offsets()) == 1


@pytest.mark.parametrize(
    ("states", "said"), [(4, "game must have 4 states as the reward, got 5"), (70, "at most 60")]
)
def test_a_game_that_does_not_fit_is_refused(states, said):
    game = ring(max(5, states))
    with pytest.raises(ValueError, match=said):
        malfl.plot_reward(reward(states), game=game)


def test_rare_moves_have_no_arrow():
    """Of many joint actions each is rare, and yet there are arrows."""
    transitions = np.zeros((3, 25, 3))
    transitions[:, :, 0] = 1
    transitions[0, :24, 0], transitions[0, :24, 1] = 0.0, 1.0
    transitions[0, 24, 0], transitions[0, 24, 2] = 0.0, 1.0
    game = malfl.Dynamics(actions=(5, 5), transitions=transitions, start=0, gamma=0.9)
    assert len(malfl.plot_reward(reward(3), game=game).axes[0].patches) == 3


def test_a_grid_is_no_graph():
    with pytest.raises(ValueError, match="layout and game cannot both be given"):
        malfl.plot_reward(reward(5), game=ring(), layout=(1, 5))


@pytest.mark.parametrize("values", [np.full(5, np.nan), np.full((5, 2), np.nan)])
def test_nothing_known_is_drawn_without_a_warning(values):
    kind = "state" if values.ndim == 1 else "state-action"
    one = malfl.RecoveredReward(values, kind, NoFit())
    malfl.plot_reward(one, game=ring())
    malfl.plot_reward(one, layout=(1, 5))
    malfl.plot_reward(one)


@pytest.mark.parametrize(
    ("value", "spread", "said"),
    [
        (-0.00041, 0.0231, "0.00 ±0.02"), (12.34, 2.6, "12 ±3"), (0.5, 0.0, "0.5"),
        (0.123, np.nan, "0.12"), (np.nan, np.nan, "?"), (1234.0, 17.0, "1234 ±17"),
    ],
)  # fmt: skip
def test_digits_are_those_that_are_known(value, spread, said):
    one = malfl.RecoveredReward(
        np.array([[value, 1.0]]), "state-action", NoFit(), deviation=np.array([[spread, 1.0]])
    )
    assert texts(malfl.plot_reward(one))[0] == said


def test_a_table_shows_deviations():
    one = reward(2, 2)
    assert texts(malfl.plot_reward(one))[0] == f"{one.values[0, 0]:.1f} ±0.2"
    assert not texts(malfl.plot_reward(reward(40, 6)))
