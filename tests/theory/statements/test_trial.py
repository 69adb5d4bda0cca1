import math

import by_hand
import naive
import numpy as np
import pandas as pd
import pytest
from drawn import random_game

from malfl.theory.bounds import Bound
from malfl.theory.statements.trial import (
    SUMMARY,
    for_print,
    put_to_the_test,
    summary,
    while_they_learn,
)

GAMES = (0, 1, 2, 3)  # a check gets whatever is put to the test


@pytest.fixture(scope="module")
def trials():
    checks = {
        "half the time": lambda game: Bound(1.0 + game, 2.5),
        "where it applies": lambda game: None if game < 2 else Bound(1.0, 4.0),
        "rounding": lambda game: Bound(1e-13, 1e-13) if game else Bound(3.0, 6.0),
        "never": lambda game: None,
        "impossible": lambda game: Bound(1.0, 0.0),
    }
    return put_to_the_test(checks, iter(GAMES))


def test_every_statement_is_tried_in_every_game_that_can_tell(trials):
    assert list(trials.columns) == ["statement", "game", "left", "right", "ratio", "holds"]
    games = {name: list(group["game"]) for name, group in trials.groupby("statement")}
    assert games == {
        "half the time": [0, 1, 2, 3],
        "where it applies": [2, 3],
        "rounding": [0],
        "impossible": [0, 1, 2, 3],
    }


def test_both_sides_their_ratio_and_whether_it_holds_are_told(trials):
    rows = trials[trials["statement"] == "half the time"]
    assert rows["left"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert rows["right"].tolist() == [2.5] * 4
    assert rows["ratio"].tolist() == pytest.approx([0.4, 0.8, 1.2, 1.6])
    assert rows["holds"].tolist() == [True, True, False, False]


def test_a_summary_counts_games_and_violations_and_tells_three_ratios(trials):
    found = summary(trials)
    assert tuple(found.columns) == SUMMARY
    assert found.to_numpy().tolist() == [
        ["half the time", 4, 2, pytest.approx(0.4), pytest.approx(1.0), pytest.approx(1.6)],
        ["rounding", 1, 0, 0.5, 0.5, 0.5],
        ["impossible", 4, 4, math.inf, math.inf, math.inf],
        ["where it applies", 2, 0, 0.25, 0.25, 0.25],
    ]


def test_in_print_ratios_have_three_digits_and_counts_all_of_theirs():
    rows = [("some statement", 123456, 7890, 1.0, 0.98765, 12345678.0)]
    found = for_print(pd.DataFrame(rows, columns=SUMMARY))
    assert list(found.index) == ["some statement"]
    assert found.to_numpy().tolist() == [[123456, 7890, "1", "0.988", "1.23e+07"]]


def test_a_median_is_no_mean():
    checks = {"uneven": lambda game: Bound((0.1, 0.2, 0.9)[game], 1.0)}
    assert summary(put_to_the_test(checks, range(3)))["median_ratio"].tolist() == [0.2]


def test_without_games_there_are_no_rows():
    nothing = put_to_the_test({"a": lambda game: Bound(1.0, 2.0)}, [])
    assert list(nothing.columns) == ["statement", "game", "left", "right", "ratio", "holds"]
    assert len(nothing) == 0
    assert tuple(summary(nothing).columns) == SUMMARY


def test_all_improvements_of_a_run_are_looked_at_with_the_next_agents_reward_as_a_guess():
    game = random_game(np.random.default_rng(3), actions=(2, 3, 2), states=3)
    run = while_they_learn(game, 0.7, 2)
    assert [p.agent for p in run] == [0, 1, 2] * 2
    for p in run:
        assert p.alpha == 0.7
        np.testing.assert_array_equal(p.guess, game.joint_reward((p.agent + 1) % 3))
    for policy in run[0].policies:
        np.testing.assert_allclose(policy, 1 / policy.shape[1])
    for first, then in zip(run[:3], run[3:], strict=True):
        np.testing.assert_allclose(then.policy, np.exp(first.logs), atol=1e-12)
        np.testing.assert_allclose(then.policy, naive.improve(by_hand.q(first), 0.7), atol=1e-10)
