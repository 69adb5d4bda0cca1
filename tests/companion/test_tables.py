from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from drawn import random_game

import malfl
from malfl import Adam, LeastSquares, Replay, SoftPolicyIteration, Structural, Study, Training
from malfl.companion.papers import papers_estimators
from malfl.companion.published import TABLE_3
from malfl.companion.tables import (
    SCORECARD,
    SHAPES,
    beyond_table_1,
    growth,
    intervals,
    scorecard_1,
    scorecard_2,
    scorecard_3,
    scorecard_figure_3,
    table_1,
    table_1_for_print,
    table_2,
)
from malfl.evaluation.distances import epic, starc
from malfl.evaluation.metrics import interval
from malfl.studies import recovered

COLUMNS = (
    "game", "agent", "metric", "estimator", "mean", "sd", "low", "high", "seeds",
    "paper_mean", "paper_sd",
)  # fmt: skip
SETTINGS = {"alpha": 3.0, "iterations": 3, "episodes": 300, "steps": 100}
TRAINING = Training(SoftPolicyIteration(0.1), **SETTINGS)
ESTIMATORS = {"A": Adam(), "LS": LeastSquares()}


@pytest.fixture(scope="module")
def games():
    return {kind: malfl.gridworlds.ma_lfl(kind) for kind in ("hom", "het")}


@pytest.fixture(scope="module")
def runs(games):
    return Study(games, TRAINING, ESTIMATORS, seeds=[3, 1]).scores()


def test_every_agent_is_scored_as_the_other_sees_it(games, runs):
    assert list(runs["agent"][:4]) == [0, 0, 1, 1]
    assert (runs["truth"] == runs["game"]).all()
    log = malfl.learn(games["het"], SoftPolicyIteration(0.1), **SETTINGS, seed=1)
    for agent in (0, 1):
        view = log.seen_by(1 - agent)
        found = malfl.recover(view, of=agent, by=LeastSquares(), unvisited="omit")
        row = runs.query(f"game == 'het' and seed == 1 and agent == {agent}").iloc[1]
        score = malfl.correlation(found, games["het"].rewards[agent])
        assert (row["PCC"], row["SCC"], row["states"]) == score
        given = (found.values, log.game.rewards[agent], log.game)
        uniform = log.game.uniform_policies()
        if np.isfinite(found.values).all():
            assert row["EPIC"] == epic(*given, uniform, agent)
            assert row["STARC"] == starc(*given, uniform, agent)


def test_scores_do_not_depend_on_threads(games, runs):
    with ThreadPoolExecutor(1) as executor:
        again = Study(games, TRAINING, ESTIMATORS, seeds=[3, 1]).scores(executor=executor)
    pd.testing.assert_frame_equal(again, runs)


def test_other_games_rewards_may_be_the_truth(games):
    least_squares = {"LS": LeastSquares()}
    study = Study({"hom": games["hom"]}, TRAINING, least_squares, seeds=[3], agents=[0])
    crossed = study.scores(against=games)
    assert list(crossed["truth"]) == ["hom", "het"]
    log = malfl.learn(games["hom"], SoftPolicyIteration(0.1), **SETTINGS, seed=3)
    found = recovered(log, least_squares, agents=[0])[0].reward
    for row, truth in zip(crossed.itertuples(), games.values(), strict=True):
        assert malfl.correlation(found, truth.rewards[0]).pearson == row.PCC


def test_of_three_agents_the_next_one_watches():
    game = random_game(np.random.default_rng(2), (2, 3, 2), states=3, state_rewards=True)
    log = malfl.learn(game, iterations=4, episodes=500, steps=200, seed=0)
    found = recovered(log, {"LS": LeastSquares()})
    assert [one.agent for one in found] == [0, 1, 2]
    for one, observer in zip(found, (1, 2, 0), strict=True):
        alone = malfl.recover(log.seen_by(observer), of=one.agent, by=LeastSquares())
        np.testing.assert_array_equal(one.reward.values, alone.values)


def test_parts_of_a_replay_are_replays_of_parts(hom):
    log = malfl.learn(hom, iterations=4, episodes=300, steps=100, seed=0, record=True)
    parts = recovered(log, {"replay": Replay(0.1)}, agents=[1], improvements=[1, 3])
    assert [(one.agent, one.improvements) for one in parts] == [(1, 1), (1, 3)]
    for _, _, length, found in parts:
        view = log.seen_by(0).first(length + 1)
        alone = malfl.recover(view, of=1, by=Replay(0.1), unvisited="omit")
        np.testing.assert_array_equal(found.values, alone.values)
        assert found.diagnostics.beta == 0.1


def test_intervals_are_over_seeds(runs):
    table = intervals(runs, ["game", "agent", "estimator"], "SCC").set_index(
        ["game", "agent", "estimator"]
    )
    cell = runs.query("game == 'hom' and agent == 1 and estimator == 'A'")["SCC"]
    assert tuple(table.loc[("hom", 1, "A")]) == pytest.approx(interval(cell))
    unknown = runs.assign(SCC=runs["SCC"].where(runs["seed"] == 3))
    assert set(intervals(unknown, ["game"], "SCC")["seeds"]) == {1}
    both = intervals(runs, ["estimator"], "SCC").set_index("estimator").loc["A"]
    by_seed = runs.query("estimator == 'A'").groupby("seed")["SCC"].mean()
    assert tuple(both) == pytest.approx(interval(by_seed))


def test_growth_knows_the_shape_that_was_drawn():
    h = np.arange(1, 10)
    curves = {"a + b ln h": 0.3 + 0.1 * np.log(h), "a + b h": 0.1 * h, "a - b / h": 1 - 0.4 / h}
    table = pd.concat(
        pd.DataFrame({"name": name, "improvements": h, "mean": mean})
        for name, mean in curves.items()
    )
    shares = growth(table, ["name"]).set_index("name")
    for name in curves:
        assert shares.loc[name].idxmax() == name
        assert shares.loc[name, name] == pytest.approx(1)
        assert (shares.loc[name].drop(name) < 0.99).all()


def test_table_1_holds_means_intervals_and_the_papers_numbers(runs):
    table = table_1(runs)
    assert tuple(table.columns) == COLUMNS
    row = table.set_index(list(COLUMNS[:4])).loc[("hom", "1", "PCC", "LS")]
    values = runs.query("game == 'hom' and agent == 1 and estimator == 'LS'")["PCC"]
    assert tuple(row[["mean", "sd", "low", "high", "seeds"]]) == pytest.approx(interval(values))
    assert (row["paper_mean"], row["paper_sd"]) == (0.59, 0.02)


def test_the_mean_over_agents_is_taken_seed_by_seed(runs):
    row = table_1(runs).set_index(list(COLUMNS[:4])).loc[("hom", "mean", "PCC", "A")]
    hom = runs.query("game == 'hom' and estimator == 'A'")
    by_seed = [group["PCC"].mean() for _, group in hom.groupby("seed")]
    assert row["mean"] == pytest.approx(np.mean(by_seed))
    assert row["sd"] == pytest.approx(np.std(by_seed, ddof=1))


def test_the_printed_form_shows_every_cell_once(runs):
    table = table_1(runs)
    table = table[table["metric"].isin(["PCC", "STARC"])]
    assert "hom PCC 0" in table_1_for_print(table)
    table = table[table["game"] == "hom"]
    printed = table_1_for_print(table)
    assert list(printed.index) == ["the paper", "A", "LS"]
    assert list(printed.columns) == [f"PCC {a}" for a in ("0", "1", "mean")] + [
        f"STARC {a}" for a in ("0", "1", "mean")
    ]
    assert printed.loc["the paper", "PCC 1"] == "0.59 ± 0.02"
    assert pd.isna(printed.loc["the paper", "STARC 0"])
    row = table.set_index(list(COLUMNS[:4])).loc[("hom", "1", "PCC", "A")]
    assert printed.loc["A", "PCC 1"] == f"{row['mean']:.3f} ± {row['high'] - row['mean']:.3f}"


def test_the_scorecard_gives_each_cell_a_verdict(runs):
    table = table_1(runs)
    near = (table["metric"] == "PCC") & (table["agent"] == "1") & (table["game"] == "hom")
    table.loc[near, ["mean", "low", "high"]] = 0.63, 0.61, 0.65
    edge = (table["metric"] == "PCC") & (table["agent"] == "1") & (table["game"] == "het")
    table.loc[edge, ["mean", "low", "high"]] = 0.42, float("nan"), float("nan")
    far = (table["metric"] == "SCC") & (table["agent"] == "1")
    table.loc[far, ["mean", "low", "high"]] = 0.9, 0.8, 1.0
    card = scorecard_1(table, "A", "04-x")
    assert tuple(card.columns) == SCORECARD
    assert len(card) == 12
    verdicts = card.set_index("item")["verdict"]
    assert verdicts["MA-LfL, Table 1, PCC #2, M_hom"] == "reproduced"
    assert verdicts["MA-LfL, Table 1, PCC #2, M_het"] == "reproduced"
    assert verdicts["MA-LfL, Table 1, SCC #2, M_hom"] == "differs"
    row = card.set_index("item").loc["MA-LfL, Table 1, PCC #2, M_hom"]
    assert list(row) == [0.59, 0.63, 0.61, 0.65, 2, "reproduced", "04-x"]


@pytest.mark.parametrize(
    ("low", "beyond"), [(0.61 + 1e-6, True), (0.61 - 1e-6, False), (np.nan, True)]
)
def test_who_surpasses_print_and_spread_is_beyond(runs, low, beyond):
    """PCC #2 of M_hom is printed as .59 +- .02; without an interval the mean stands for it."""
    table = table_1(runs)
    table[["mean", "low", "high"]] = 0.3, 0.2, 0.4
    cell = (table["metric"] == "PCC") & (table["agent"] == "1") & (table["game"] == "hom")
    table.loc[cell, ["mean", "low"]] = 0.7, low
    card = beyond_table_1(table, "A", "05-x")
    assert tuple(card.columns) == SCORECARD
    assert list(card["item"]) == ["MA-LfL, Table 1, PCC #2, M_hom, by A"] * beyond
    assert list(card["verdict"]) == ["beyond"] * beyond


def test_settings_are_held_against_table_3():
    used = {name: cell.value for name, cell in TABLE_3.items()}
    card = scorecard_3(used | {"Beta": 0.2}, "05-x").set_index("item")
    assert len(card) == 11
    assert list(card.index[card["verdict"] == "differs"]) == ["MA-LfL, Table 3, Beta"]
    assert set(card["verdict"]) == {"differs", "as printed"}
    assert list(card.loc["MA-LfL, Table 3, Beta", ["paper", "ours"]]) == [0.1, 0.2]


@pytest.mark.parametrize(
    ("best", "share", "verdict"),
    [("lll", 1.0, "reproduced"), ("llo", 2 / 3, "reproduced"), ("lo", 0.5, "differs")],
)
def test_figure_3_is_reproduced_if_a_logarithm_fits_most_curves(best, share, verdict):
    fits = [(0.9, 0.5, 0.8) if one == "l" else (0.8, 0.5, 0.9) for one in best]
    card = scorecard_figure_3(pd.DataFrame(fits, columns=list(SHAPES)), "05-x")
    assert list(card.loc[0, ["item", "ours", "verdict"]]) == ["MA-LfL, Figure 3", share, verdict]


def test_figure_3_differs_if_nothing_rises():
    card = scorecard_figure_3(pd.DataFrame(columns=list(SHAPES)), "05-x")
    assert card["verdict"][0] == "differs"
    assert np.isnan(card["ours"][0])


def test_who_finds_nothing_scores_nothing():
    dull = {"hom": malfl.gridworlds.ma_lfl(slip=1.0)}
    estimators = {"LS": LeastSquares(), "structural": Structural(reward_class="state")}
    table = Study(dull, TRAINING, estimators, seeds=[0]).scores()
    assert len(table) == 4
    assert (table["PCC"] == 0).all()
    assert (table["SCC"] == 0).all()
    assert table["EPIC"].isna().all()
    assert list(table["converged"]) == [True, False] * 2


def test_a_reward_of_too_few_states_scores_nothing(games):
    little = TRAINING.but(iterations=2, episodes=5, steps=10)
    study = Study({"hom": games["hom"]}, little, papers_estimators(steps=2), seeds=[0])
    table = study.scores()
    assert (table["states"] < 2).all()
    assert (table[["PCC", "SCC"]] == 0).all(axis=None)


@pytest.fixture(scope="module")
def crossed():
    rng = np.random.default_rng(0)
    rows = [
        (setting, game, truth, "A", seed, *(0.5 + 0.02 * rng.normal(size=2)))
        for setting in ("Table 3", "as printed")
        for game in ("disjoint", "joint")
        for truth in ("disjoint", "joint")
        for seed in range(4)
    ]
    return pd.DataFrame(
        rows, columns=["setting", "game", "truth", "estimator", "seed", "PCC", "SCC"]
    )


def test_table_2_holds_means_intervals_and_the_papers_numbers(crossed):
    table = table_2(crossed)
    assert len(table) == 2 * 2 * 2 * 2
    keys = ["setting", "estimated", "truth", "metric"]
    row = table.set_index(keys).loc[("as printed", "joint", "disjoint", "SCC")]
    cell = crossed.query("setting == 'as printed' and game == 'joint' and truth == 'disjoint'")
    values = tuple(row[["mean", "sd", "low", "high", "seeds"]])
    assert values == pytest.approx(interval(cell["SCC"]))
    assert row["paper"] == 0.33


def test_a_printed_run_is_reproduced_where_one_of_ours_could_lie(crossed):
    table = table_2(crossed)
    table["sd"], table["seeds"] = 0.02, 4
    room = 3.182446 * 0.02 * np.sqrt(1.25) + 0.005
    table["mean"] = table["paper"] + room - 1e-4
    table.loc[table["metric"] == "SCC", "mean"] += 2e-4
    card = scorecard_2(table, "A", "as printed", "05-x")
    assert tuple(card.columns) == SCORECARD
    assert len(card) == 8
    assert list(card["verdict"]) == ["reproduced", "differs"] * 4
    assert card["item"][0] == "MA-LfL, Table 2, estimated disjoint, true disjoint, PCC"
    assert list(card["paper"][:2]) == [0.55, 0.57]
