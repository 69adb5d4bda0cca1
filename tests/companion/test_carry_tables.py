"""Tables of how far recovery carries, from rows made up."""

import numpy as np
import pandas as pd
import pytest

from malfl.companion import carry_tables
from malfl.companion.carry_tables import (
    by_regime,
    calibration,
    claims,
    correlations,
    coverage,
    covered,
    distances,
    root_mean_square,
    side_by_side,
    verdicts,
)

LEVELS = {f"{side}_{level}": 0.0 for level in (50, 80, 95) for side in ("below", "above")}
ONE = {
    "kind": "random", "regime": "benign", "used": "episodes", "right": True, "possible": 0.99,
    "verdict": "sound", "identified": 0.99, "z": 1.0, "determined": 10, "error": 1.0,
    "bound": np.nan, **LEVELS,
}  # fmt: skip


def rows(*changes):
    return pd.DataFrame([ONE | change for change in changes])


def test_how_the_record_was_made():
    made = {"command": "x", "seeds": [3, 9, 4], "versions": {"a": "1", "b": "2"}, "seconds": 7}
    table = carry_tables.how_made(made).set_index("what")["value"]
    assert table.to_dict() == {
        "command": "x", "seconds": "7", "seeds": "3, from 3 to 9", "versions": "a 1, b 2",
    }  # fmt: skip


def test_nothing_found_has_a_correlation_of_zero():
    table = rows({}, {"verdict": "nothing", "identified": np.nan})
    assert correlations(table).tolist() == [0.99, 0.0]


def test_distributions_by_regime():
    found = [0.1, 0.5, 0.95, 0.97, 0.99, 0.85]
    said = ["doubtful", "undetermined", "sound", "sound", "doubtful", "sound"]
    games = [{"identified": x, "verdict": v} for x, v in zip(found, said, strict=True)]
    table = by_regime(rows(*games, {"used": "counts", "identified": 0.3}))
    assert table["used"].tolist() == ["episodes", "counts"]
    first = table.iloc[0]
    assert first["games"] == 6
    assert first["median"] == pytest.approx(np.median(found))
    assert first["10th percentile"] == pytest.approx(np.quantile(found, 0.1))
    assert first["sound"] == 0.5
    assert first["sound below 0.9"] == 1
    wide = side_by_side(table)
    assert wide.loc[("benign", 6), ("episodes", "sound")] == 0.5


def test_side_by_side_leaves_named_estimators_out():
    table = by_regime(rows({}, {"used": "counts", "identified": 0.7}, {"used": "replay"}))
    wide = side_by_side(table)
    assert {used for used, _ in wide.columns} == {"episodes", "counts"}
    assert wide.loc[("benign", 1), ("counts", "median")] == 0.7
    assert list(wide["episodes"].columns) == ["median", "10th percentile", "sound"]


def test_every_result_is_in_one_cell():
    found = [0.59, 0.6, 0.8, 0.9, 1.0, -0.5]
    table = rows(
        *({"identified": x} for x in found),
        *({"identified": x, "verdict": "doubtful"} for x in found[:2]),
        {"identified": np.nan, "verdict": "nothing"},
    )
    counted = verdicts(table).set_index("verdict")
    assert counted.to_numpy().sum() == 9
    assert counted.loc["sound"].tolist() == [2, 1, 1, 2]
    assert counted.loc["doubtful"].tolist() == [1, 1, 0, 0]
    assert counted.loc["nothing"].tolist() == [1, 0, 0, 0]


def test_promises_are_counted_where_there_are_some():
    table = carry_tables.promises(rows(
        {"at_least": 0.95, "identified": 0.96}, {"at_least": 0.95, "identified": 0.94},
        {"at_least": np.nan}, {"at_least": 0.5, "identified": 0.5, "right": False},
    ))  # fmt: skip
    assert table["models"].tolist() == ["right", "wrong"]
    assert table["results"].tolist() == [2, 1]
    assert table["kept"].tolist() == [0.5, 1.0]
    assert (table["should"] == 0.95).all()


def test_directions_count_and_not_runs():
    table = calibration(
        rows(
            {"determined": 30, "below_95": 0.1, "above_50": 0.4},
            {"determined": 10, "below_95": 0.5},
            {"determined": 0, "z": np.nan, "below_95": np.nan},
        )
    )
    assert table["directions"].unique().tolist() == [40]
    level = table.set_index("interval, %")
    assert level.loc[95, "below"] == pytest.approx((0.1 * 30 + 0.5 * 10) / 40)
    assert level.loc[50, "above"] == pytest.approx(0.3)
    assert level["each should be"].tolist() == pytest.approx([0.25, 0.1, 0.025])


def test_coverage_of_a_regime_is_of_its_directions():
    table = coverage(
        rows(
            {"determined": 30, "below_95": 0.1, "z": 1.0},
            {"determined": 10, "above_95": 0.5, "z": 3.0},
            {"determined": 0, "z": np.nan},
            {"regime": "other", "z": 1.5},
        )
    )
    first, second = table.to_dict("records")
    assert (first["games"], first["directions"]) == (2, 40)
    assert first["covered"] == pytest.approx(1 - (3 + 5) / 40)
    assert first["z"] == pytest.approx(np.quantile([1, 3], 0.9))
    assert (second["regime"], second["covered"], second["z"]) == ("other", 1, 1.5)


def test_what_is_covered():
    assert covered(rows({"below_95": 0.1, "above_95": 0.2})).tolist() == pytest.approx([0.7])


def test_distances_to_the_bound():
    table = distances(
        rows(
            {"used": "replay", "error": 2.0, "bound": 1.0},
            {"used": "replay", "error": 2.0, "bound": 2.0},
            {"used": "replay", "error": np.nan, "bound": 2.0},
            {},
        )
    )
    (row,) = table.to_dict("records")
    assert row["games"] == 2
    assert row["ratio"] == pytest.approx(np.sqrt(2.5))
    assert row["median"] == 1.5
    assert np.isnan(root_mean_square(np.array([])))


def claim(table, name):
    return table.set_index("claim").loc[name]


def test_claims_that_hold_and_that_do_not():
    sound = [{"identified": x} for x in (0.99, 0.99, 0.99, 0.5)]
    counts = [{"used": "counts", "verdict": "doubtful", "identified": x} for x in (0.93, 0.7)]
    table = claims(
        rows(
            *sound, *counts,
            {"used": "replay", "error": 1.05, "bound": 1.0},
            {"used": "structural", "error": 1.3, "bound": 1.0},
        )
    )  # fmt: skip
    assert claim(table, "correlation, benign, episodes: median")["holds"]
    assert not claim(table, "correlation, benign, episodes: 10th percentile")["holds"]
    assert claim(table, "sound results: share of .9 or more")["found"] == 0.75
    assert not claim(table, "sound results: the lowest")["holds"]
    below = claim(table, "results below .8: share that is not sound")
    assert (below["found"], below["results"]) == (0.5, 2)
    assert claim(table, "right models, 0.97 possible, episodes: share that is sound")["found"] == 1
    assert claim(table, "right models, 0.97 possible, counts: share that is sound")["found"] == 0
    assert claim(table, "error over its bound, benign, replay")["holds"]
    assert not claim(table, "error over its bound, benign, structural")["holds"]
    assert set(table["results"]) <= {1, 2, 4}


def test_claims_about_intervals_are_of_right_models_alone():
    held = {"below_95": 0.05}
    wrong = {"right": False, "z": 9.0, "below_95": 1.0}
    few = {"determined": 3, "below_95": 1.0, "z": 1.0}
    table = claims(rows(*[held] * 90, *[wrong] * 9, few, {"used": "counts"}))
    name = "coverage of 95 % intervals, right models, episodes"
    both = claim(table, f"{name}: median of regimes")
    expected = 1 - (0.05 * 900 + 3) / 903
    assert both["found"].tolist() == pytest.approx([expected, expected])
    assert both["holds"].all()
    games = claim(table, f"{name}: 10th percentile of games")  # of those with many directions
    assert (games["found"], games["results"]) == (0.95, 90)
    high = claim(table, "z, right models, episodes: 90th percentile")
    assert (high["found"], high["results"]) == (1.0, 91)
    name = "coverage of 95 % intervals, right models, counts: median of regimes"
    assert claim(table, name)["holds"].tolist() == [True, False]  # all covered is too many


def test_bands_and_verdicts_are_all_there_are():
    assert carry_tables.BANDS["below 0.6"][1] == carry_tables.BANDS["0.6 to 0.8"][0]
    assert len(carry_tables.BANDS) == len(carry_tables.VERDICTS) == 4
