import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from malfl.companion import figures
from malfl.companion.figures.carry import COLOURS


@pytest.fixture
def rows():
    return pd.DataFrame(
        [
            ("a", "episodes", 0.9, "sound", 0.95, True),
            ("a", "episodes", 0.5, "doubtful", 0.2, True),
            ("a", "episodes", 0.7, "doubtful", 0.4, False),
            ("b", "episodes", -0.5, "undetermined", -0.9, False),
            ("b", "counts", np.nan, "nothing", np.nan, True),
        ],
        columns=["regime", "used", "identified", "verdict", "at_least", "right"],
    )


def places(axes):
    points = [one for one in axes.collections if not hasattr(one, "get_segments")]
    return np.concatenate([np.array(one.get_offsets()) for one in points])


def test_each_game_is_a_point_in_the_row_of_its_regime(rows):
    first, second = figures.by_regime(rows).axes
    assert (first.get_title(), second.get_title()) == ("episodes", "counts")
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "b"]
    points = places(first)
    assert sorted(points[:, 0]) == [0.0, 0.5, 0.7, 0.9]
    row_of = dict(zip(points[:, 0], np.round(points[:, 1]), strict=True))
    assert row_of == {0.9: 0, 0.5: 0, 0.7: 0, 0.0: 1}
    assert places(second)[:, 0].tolist() == [0.0]


def test_medians_are_lines(rows):
    axes = figures.by_regime(rows).axes[0]
    (lines,) = [c for c in axes.collections if hasattr(c, "get_segments")]
    segments = [s for s in lines.get_segments() if np.isfinite(s).all()]
    assert [s[0, 0] for s in segments] == [0.7, 0.0]
    assert [s[:, 1].mean() for s in segments] == pytest.approx([0, 1])


def test_colours_are_verdicts(rows):
    figure = figures.by_regime(rows)
    axes = figure.axes[0]
    colours = {
        x: tuple(colour[:3])
        for one in axes.collections
        if not hasattr(one, "get_segments")
        for (x, _), colour in zip(one.get_offsets(), one.get_facecolors(), strict=True)
    }
    assert colours[0.9] == pytest.approx(to_rgba(COLOURS["sound"])[:3])
    assert colours[0.5] == pytest.approx(to_rgba(COLOURS["doubtful"])[:3])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(COLOURS)


def test_promises_are_across_and_truths_up(rows):
    right, wrong = figures.promised_against_true(rows).axes
    assert (right.get_title(), wrong.get_title()) == ("the model is right", "the model is wrong")
    np.testing.assert_allclose(places(right), [[0.95, 0.9], [0.2, 0.5]])
    np.testing.assert_allclose(places(wrong), [[0.4, 0.7], [-0.2, -0.2]])
    np.testing.assert_allclose(
        right.collections[0].get_facecolors()[0][:3], to_rgba(COLOURS["sound"])[:3]
    )


def test_both_tails_are_drawn_against_what_they_should_be():
    table = pd.DataFrame(
        {
            "used": ["episodes"] * 2 + ["counts"],
            "below": [0.3, 0.04, 0.2],
            "above": [0.2, 0.01, 0.1],
            "each should be": [0.25, 0.025, 0.25],
        }
    )
    first, second = figures.coverage(table).axes
    below, above, diagonal = first.lines
    np.testing.assert_allclose(below.get_data(), [[0.25, 0.025], [0.3, 0.04]])
    np.testing.assert_allclose(above.get_data(), [[0.25, 0.025], [0.2, 0.01]])
    np.testing.assert_allclose(diagonal.get_data(), [[0, 0.3], [0, 0.3]])
    assert below.get_marker() != above.get_marker()
    assert second.lines[0].get_ydata().tolist() == [0.2]
