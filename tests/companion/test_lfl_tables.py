"""LfL's Tables 1 and 2, from values to verdicts."""

import naive
import numpy as np
import pandas as pd
import pytest
from drawn import random_game

import malfl
from malfl.companion import lfl_tables
from malfl.companion.lfl_tables import (
    matches,
    one_improvement,
    prints_as,
    scorecard_1,
    scorecard_2,
    scorecard_figure_3,
    table_1,
    table_2,
)
from malfl.companion.published import LFL_TABLE_1, LFL_TABLE_2
from malfl.companion.tables import SCORECARD

ROWS = (
    "optimal", "learner, pi_1", "learner, pi_2", "observer, state-action", "observer, state-only",
)  # fmt: skip


@pytest.fixture(scope="module")
def grid():
    return malfl.gridworlds.lfl()


@pytest.fixture(scope="module")
def first(grid):
    return table_1(grid, 0.3)


def best(game, reward, alpha):
    """The soft optimum of an agent alone, by a reward of states or of actions."""
    odds = naive.faced(game, game.uniform_policies(), 0)
    paid = reward if reward.ndim == 2 else np.repeat(reward[:, None], game.actions[0], axis=1)
    return naive.soft_optimum(odds, paid, game.gamma, alpha)


def test_the_numbers_that_lfl_prints(first):
    assert tuple(first["agent"]) == ROWS
    score = first.set_index("agent")["score"]
    assert score["optimal"] == pytest.approx(5.683784, abs=5e-7)
    assert score["learner, pi_1"] == pytest.approx(-19.795125, abs=5e-7)
    assert score["learner, pi_2"] == pytest.approx(0.726591, abs=5e-7)
    assert (first["regret"][3:] < 1e-9).all()
    assert list(first["paper score"]) == [5.68, -19.7, 0.72, 5.68, 5.68]
    assert list(first["paper regret"]) == [0.0, 25.4, 4.95, 1e-13, 1e-10]


@pytest.mark.parametrize("alpha", [0.3, 1.1])
def test_table_1_is_the_oracles(grid, alpha):
    uniform = grid.uniform_policies()
    q = naive.soft_q(grid, uniform, 0, alpha)
    optimal = naive.soft_return(grid, [best(grid, grid.rewards[0], alpha)], 0, alpha)
    scores = [
        optimal,
        naive.soft_return(grid, uniform, 0, alpha),
        naive.soft_return(grid, [naive.improve(q, alpha)], 0, alpha),
        optimal,
        optimal,
    ]
    table = table_1(grid, alpha)
    np.testing.assert_allclose(table["score"], scores, rtol=0, atol=1e-9)
    np.testing.assert_allclose(table["regret"], optimal - np.array(scores), rtol=0, atol=1e-9)
    assert (table["regret"] >= 0).all()


def test_a_reward_of_actions_is_missed_by_one_of_states():
    game = random_game(np.random.default_rng(1), (3,), 5)
    (uniform,) = game.uniform_policies()
    policies = np.array([uniform, naive.improve(naive.soft_q(game, [uniform], 0, 0.4), 0.4)])
    guess = naive.least_squares(game, [policies], 0, 0.4, np.ones((1, 5, 3)), (5,))
    score = naive.soft_return(game, [best(game, guess, 0.4)], 0, 0.4)
    table = table_1(game, 0.4).set_index("agent")
    assert table["score"]["observer, state-only"] == pytest.approx(score, abs=1e-7)
    assert table["regret"]["observer, state-only"] > 0.01
    assert table["regret"]["observer, state-action"] < 1e-9


@pytest.mark.parametrize("alpha", [0.3, 1.1])
def test_one_improvement_determines_the_reward(grid, alpha):
    """Of the state up to a constant; of actions by Theorem 2."""
    seen = one_improvement(grid, alpha)
    after = naive.improve(naive.soft_q(grid, grid.uniform_policies(), 0, alpha), alpha)
    np.testing.assert_array_equal(seen.policies[0], 0.25)
    np.testing.assert_allclose(seen.policies[1], after, rtol=1e-9)
    (target,) = naive.targets(grid, [seen.policies], 0, alpha)
    np.testing.assert_allclose(seen.state_action, target, rtol=0, atol=1e-9)
    off = seen.state_only.values - grid.rewards[0]
    assert np.ptp(off) < 1e-9
    assert seen.state_only.reward_class == "state"


def test_what_theorem_2_gives_has_the_same_best_policy():
    """A reward of actions, and moves at random."""
    game = random_game(np.random.default_rng(1), (3,), 5)
    seen = one_improvement(game, 0.4)
    ours = best(game, seen.state_action, 0.4)
    np.testing.assert_allclose(ours, best(game, game.rewards[0], 0.4), rtol=0, atol=1e-9)
    assert np.abs(seen.state_action - game.rewards[0]).max() > 0.1


@pytest.mark.parametrize(
    ("value", "printed", "prints"),
    [
        (5.683784, 5.68, True),
        (5.6751, 5.68, True),
        (5.6749, 5.68, False),
        (5.6899, 5.68, True),  # cut off
        (5.6901, 5.68, False),
        (-19.795125, -19.7, True),  # cut off
        (-19.795125, -19.8, True),  # rounded
        (-19.795125, -19.6, False),
        (-19.7, -19.7, True),
        (-19.64, -19.7, False),
        (-19.66, -19.7, True),
        (-19.795125, -19.79, True),
        (-19.795125, -19.795, True),
        (-19.795125, -19.78, False),
        (25.478909, 25.4, True),
        (25.478909, 25.5, True),
        (25.378909, 25.5, False),
        (0.726591, 0.72, True),
        (0.726591, 0.73, True),
        (0.726591, -0.72, False),
        (4.957193, 4.95, True),
        (4.957193, 4.96, True),
        (4.9499, 4.96, False),
        (4.0, 4.0, True),
        (3.96, 4.0, True),
        (3.94, 4.0, False),
        (-0.049, 0.0, True),
    ],
)
def test_a_value_prints_as_it_is_rounded_or_cut_off(value, printed, prints):
    assert prints_as(value, printed) == prints


def scorecard(first, second, chapter):
    return pd.concat([scorecard_1(first, chapter), scorecard_2(second, chapter)], ignore_index=True)


def test_table_1_is_reproduced_to_its_last_digit(first):
    card = scorecard(first, some_scores_table(), "15-x")
    assert tuple(card.columns) == SCORECARD
    head = card[:10]
    assert (head["verdict"] == "reproduced").all()
    assert list(head["item"]) == [
        f"LfL, Table 1, {row}, {column}" for row in ROWS for column in ("score", "regret")
    ]
    np.testing.assert_array_equal(head["ours"], np.ravel(first[["score", "regret"]]))
    np.testing.assert_array_equal(head["paper"], np.ravel(first[["paper score", "paper regret"]]))
    for bound in ("low", "high"):
        np.testing.assert_array_equal(head[bound], head["ours"])
    assert head["seeds"].isna().all()
    assert (card["chapter"] == "15-x").all()
    assert card["seeds"].dtype == "Int64"


@pytest.mark.parametrize("row", range(5))
@pytest.mark.parametrize("column", ["score", "regret"])
def test_a_spoiled_value_differs(first, row, column):
    spoiled = first.copy()
    spoiled.loc[row, column] += 0.2 if row == 1 else 0.02
    verdicts = scorecard(spoiled, some_scores_table(), "x")["verdict"][:10]
    expected = np.full(10, "reproduced")
    expected[2 * row + (column == "regret")] = "differs"
    assert list(verdicts) == list(expected)


@pytest.mark.parametrize(("regret", "verdict"), [(9e-10, "reproduced"), (1.1e-9, "differs")])
def test_a_rounding_error_need_not_be_the_same_one(first, regret, verdict):
    close = first.assign(regret=[regret, *first["regret"][1:3], regret, regret])
    card = scorecard(close, some_scores_table(), "x")
    assert [card["verdict"][k] for k in (1, 7, 9)] == [verdict] * 3


LEARNERS = ("soft policy iteration", "Q-learning")
LINES = [  # who and by which alpha, for each learner
    ("learner", ""),
    ("learner, last", ""),
    ("as released", "the learner's"),
    ("as released", "the model's"),
    ("adaptive", "the learner's"),
    ("adaptive", "the model's"),
    ("adaptive", "as trusted"),
]
RUNS = {  # learner score, last score, score, own scale, trusted, of three seeds
    ("soft policy iteration", "as released"): [
        (4.1, 4.0, 4.7, 4.9, 4.7), (4.2, 4.1, 4.5, 5.0, 4.5), (4.3, 3.9, 4.9, 5.1, 4.9)
    ],
    ("soft policy iteration", "adaptive"): [
        (4.1, 4.0, 5.0, 5.4, 5.4), (4.2, 4.1, 5.1, 5.5, 5.5), (4.3, 3.9, 5.3, 5.2, 5.3)
    ],
    ("Q-learning", "as released"): [
        (3.0, 2.9, 3.1, 1.0, 3.1), (4.0, 3.9, 2.2, 1.0, 2.2), (5.0, 4.6, 4.4, 3.0, 4.4)
    ],
    ("Q-learning", "adaptive"): [
        (3.0, 2.9, 3.6, 3.9, 3.6), (4.0, 3.9, 5.1, 4.7, 4.7), (5.0, 4.6, 5.6, 5.9, 5.9)
    ],
}  # fmt: skip
SCORES = ("learner score", "last score", "score", "own scale", "trusted")


def some_scores(seeds=3):
    rows = [
        (learner, seed, observer, *numbers)
        for (learner, observer), runs in RUNS.items()
        for seed, numbers in enumerate(runs[:seeds])
    ]
    return pd.DataFrame(rows, columns=["learner", "seed", "observer", *SCORES])


def some_scores_table(seeds=3):
    return table_2(some_scores(seeds))


def column(learner, observer, name):
    return [numbers[SCORES.index(name)] for numbers in RUNS[learner, observer]]


def test_table_2_has_the_learner_once_and_every_observer_by_each_alpha():
    table = some_scores_table()
    keys = list(zip(table["learner"], table["who"], table["alpha"], strict=True))
    assert keys == [(learner, *row) for learner in LEARNERS for row in LINES]


NAMED = {"the learner's": "score", "the model's": "own scale", "as trusted": "trusted"}


def test_means_and_gains_are_those_of_the_seeds():
    for row in some_scores_table().to_dict("records"):
        name = {"learner": "learner score", "learner, last": "last score"}.get(row["who"])
        observer = "as released" if name else row["who"]
        values = column(row["learner"], observer, name or NAMED[row["alpha"]])
        given = [row[key] for key in ("mean", "sd", "low", "high")]
        assert given == pytest.approx(naive.ninety_five(values), rel=1e-8)
        assert row["seeds"] == 3
        gains = [row[key] for key in ("gain", "gain_low", "gain_high")]
        if name:
            assert np.isnan(gains).all()
        else:
            before = column(row["learner"], observer, "learner score")
            change = [after - score for after, score in zip(values, before, strict=True)]
            mean, _, low, high = naive.ninety_five(change)
            assert gains == pytest.approx([mean, low, high], rel=1e-8)


def test_the_papers_numbers_stand_by_its_learner_and_by_its_observer_only():
    table = some_scores_table().dropna(subset="paper_mean")
    assert table[["learner", "who", "alpha"]].to_numpy().tolist() == [
        ["soft policy iteration", "learner", ""],
        ["soft policy iteration", "as released", "the learner's"],
        ["Q-learning", "learner", ""],
        ["Q-learning", "as released", "the learner's"],
    ]
    assert list(table["paper_mean"]) == [4.18, 4.68, 3.99, 3.65]
    np.testing.assert_array_equal(table["paper_sd"], [np.nan, 0.24, 0.88, 0.78])


def test_a_single_seed_has_no_interval():
    table = some_scores_table(seeds=1)
    assert table[["sd", "low", "high", "gain_low", "gain_high"]].isna().all(axis=None)
    assert list(table["mean"][:4]) == [4.1, 4.0, 4.7, 4.9]
    assert list(table["gain"][2:4]) == pytest.approx([0.6, 0.8])


def verdicts(second, first):
    found = scorecard(first, second, "x").set_index("item")["verdict"][10:]
    return found[found != "beyond"]


def test_table_2_is_reproduced_where_spreads_meet(first):
    """Learner of SPI: 4.18 as printed. Observers: 4.68 +- .24 and 3.65 +- .78."""
    second = some_scores_table()
    card = scorecard(first, second, "15-x")[10:]
    card = card[card["verdict"] != "beyond"]
    assert list(card["item"]) == [
        f"LfL, Table 2, {learner}, {who}" for learner in LEARNERS for who in ("learner", "observer")
    ]
    printed = second.dropna(subset="paper_mean")
    for ours, theirs in (("paper", "paper_mean"), ("ours", "mean"), ("low", "low"),
                         ("high", "high"), ("seeds", "seeds")):  # fmt: skip
        np.testing.assert_array_equal(card[ours].astype(float), printed[theirs].astype(float))
    assert (card["verdict"] == "reproduced").all()
    for who, spread in (("learner", 0.005), ("observer", 0.24)):
        place = f"LfL, Table 2, soft policy iteration, {who}"
        value = {"learner": 4.18, "observer": 4.68}[who]
        alpha = {"learner": "", "observer": "the learner's"}[who]
        row = {"learner": "learner", "observer": "as released"}[who]
        where = (second["who"] == row) & (second["alpha"] == alpha)
        where &= second["learner"] == "soft policy iteration"
        for low, high, meets in (
            (value + spread - 1e-6, value + 1, True),
            (value + spread + 1e-6, value + 1, False),
            (value - 1, value - spread + 1e-6, True),
            (value - 1, value - spread - 1e-6, False),
            (value - 1, value + 1, True),
        ):
            moved = second.copy()
            moved.loc[where, ["mean", "low", "high"]] = (low + high) / 2, low, high
            found = verdicts(moved, first)
            assert found[place] == ("reproduced" if meets else "differs")
            assert (found.drop(place) == "reproduced").all()


def test_without_an_interval_the_mean_stands_for_it(first):
    second = some_scores_table(seeds=1)
    where = (second["learner"] == "soft policy iteration") & (second["who"] == "as released")
    for mean, verdict in ((4.68 + 0.23, "reproduced"), (4.68 - 0.25, "differs")):
        second.loc[where, "mean"] = mean
        found = verdicts(second, first)
        assert found["LfL, Table 2, soft policy iteration, observer"] == verdict
    assert scorecard(first, second, "x")["low"][10:].isna().all()


def test_every_learner_of_the_paper_has_its_cells(first):
    parts = [
        some_scores().query("learner == 'Q-learning'").assign(learner=learner)
        for learner in ("soft policy iteration", "soft value iteration", "random improvements")
    ]
    card = scorecard(first, table_2(pd.concat([*parts, some_scores()[6:]])), "x")
    places = [cell.place for cell in (*LFL_TABLE_1.values(), *LFL_TABLE_2.values())]
    assert sorted(card["item"][card["verdict"] != "beyond"]) == sorted(places)


@pytest.mark.parametrize(
    ("low", "beyond"), [(4.43 + 1e-6, True), (4.43 - 1e-6, False), (np.nan, True)]
)
def test_who_earns_more_than_print_and_spread_is_beyond(low, beyond):
    """Q-learning's observer: 3.65 +- .78; without an interval the mean stands for it."""
    second = some_scores_table()
    trusted = second["alpha"] == "as trusted"
    second.loc[trusted, ["mean", "low", "high"]] = 4.0, 3.0, 5.0
    where = trusted & (second["learner"] == "Q-learning")
    second.loc[where, ["mean", "low"]] = 4.5, low
    card = scorecard_2(second, "x").query("verdict == 'beyond'")
    assert list(card["item"]) == ["LfL, Table 2, Q-learning, observer, adaptive"] * beyond
    assert list(card["ours"]) == [4.5] * beyond


@pytest.mark.parametrize(("tilt", "verdict"), [(9e-10, "reproduced"), (1.1e-9, "differs")])
def test_figure_3_is_reproduced_but_for_a_constant(tilt, verdict):
    true = np.array([0.0, 1.0, -1.0])
    card = scorecard_figure_3(true + 0.5 + np.array([0, 0, tilt]), true, "14-x")
    assert tuple(card.columns) == SCORECARD
    (row,) = card.itertuples(index=False)
    assert row[:2] == ("LfL, Figure 3", 0.0)
    assert row.ours == pytest.approx(tilt, rel=1e-6)
    assert (row.verdict, row.chapter) == (verdict, "14-x")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.5, "more"),
        (-0.5, -0.01, "less"),
        (-0.5, 0.01, "as much"),
        (-0.01, 0.5, "as much"),
        (0.0, 0.5, "as much"),
        (-0.5, 0.0, "as much"),
        (np.nan, np.nan, "as much"),
    ],
)
def test_an_observer_matches_a_learner_if_its_gain_may_be_none(low, high, expected):
    table = some_scores_table().assign(gain_low=low, gain_high=high)
    found = matches(table)
    assert (found["matches"] == expected).all()
    assert len(found) == 10
    assert not found["who"].str.startswith("learner").any()


def test_every_gain_is_judged_by_itself():
    found = matches(some_scores_table()).set_index(["learner", "who", "alpha"])["matches"]
    assert found["soft policy iteration", "adaptive", "as trusted"] == "more"
    assert found["Q-learning", "as released", "the model's"] == "less"
    assert found["Q-learning", "as released", "the learner's"] == "as much"


def test_the_printed_form_has_a_line_for_each_observer_and_alpha_and_the_paper_first():
    table = some_scores_table()
    printed = lfl_tables.table_2_for_print(table)
    assert list(printed.columns) == list(LEARNERS)
    assert list(printed.index) == [
        ("paper: learner", ""),
        ("paper: observer", ""),
        *LINES,
    ]
    assert list(printed.loc[("paper: learner", "")]) == ["4.18", "3.99 ± 0.88"]
    assert list(printed.loc[("paper: observer", "")]) == ["4.68 ± 0.24", "3.65 ± 0.78"]
    mean, _, low, high = naive.ninety_five([3.1, 2.2, 4.4])
    cell = printed.loc[("as released", "the learner's"), "Q-learning"]
    assert cell == f"{mean:.2f} ± {(high - low) / 2:.2f}"
    alone = lfl_tables.table_2_for_print(some_scores_table(seeds=1))
    assert alone.loc[("adaptive", "as trusted"), "soft policy iteration"] == "5.40"
    assert alone.loc[("paper: learner", ""), "Q-learning"] == "3.99 ± 0.88"
