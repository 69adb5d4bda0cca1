import numpy as np
import pandas as pd
import pytest
from conftest import random_game

import malfl
from malfl.metrics import interval
from malfl.scores import (
    SCORECARD,
    score_log,
    scorecard,
    table_1,
    table_1_estimators,
    table_1_for_print,
)

COLUMNS = (
    "game", "agent", "metric", "estimator", "mean", "sd", "low", "high", "seeds",
    "paper_mean", "paper_sd",
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(hom_log):
    estimators = {"A": {"method": "adam"}, "LS": {}}
    one = score_log(hom_log, estimators)
    two = one.assign(PCC=one["PCC"] - 0.1 * one["agent"], SCC=one["SCC"] - 0.02)
    return pd.concat(
        scores.assign(game=game, seed=seed)
        for game in ("hom", "het")
        for seed, scores in enumerate((one, two))
    )


def test_every_agent_is_scored_as_the_other_sees_it(hom, hom_log, runs):
    assert list(runs["agent"][:4]) == [1, 1, 2, 2]
    for agent in (0, 1):
        found = malfl.recover(hom_log.observed_by(1 - agent), of=agent)
        expected = malfl.correlation(found, hom.rewards[agent])
        row = runs[(runs["agent"] == agent + 1) & (runs["estimator"] == "LS")].iloc[0]
        assert (row["PCC"], row["SCC"], row["states"]) == expected


def test_of_three_agents_the_next_one_watches():
    game = random_game(np.random.default_rng(2), (2, 3, 2), states=3, state_rewards=True)
    log = malfl.learn(game, iterations=4, episodes=500, steps=200, seed=0)
    scores = score_log(log, {"LS": {}})
    for agent, observer in ((0, 1), (1, 2), (2, 0)):
        found = malfl.recover(log.observed_by(observer), of=agent)
        assert scores["PCC"][agent] == malfl.correlation(found, game.rewards[agent]).pearson


def test_table_1_holds_means_intervals_and_the_papers_numbers(runs):
    table = table_1(runs)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * 2 * 3 * 2
    row = table.set_index(list(COLUMNS[:4])).loc[("hom", "2", "PCC", "LS")]
    values = runs.query("game == 'hom' and agent == 2 and estimator == 'LS'")["PCC"]
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
    printed = table_1_for_print(table, "hom")
    assert list(printed.index) == ["the paper", "A", "LS"]
    assert list(printed.columns) == [f"{m} {a}" for m in ("PCC", "SCC") for a in ("1", "2", "mean")]
    assert printed.loc["the paper", "PCC 2"] == "0.59 ± 0.02"
    row = table.set_index(list(COLUMNS[:4])).loc[("hom", "2", "PCC", "A")]
    assert printed.loc["A", "PCC 2"] == f"{row['mean']:.3f} ± {row['high'] - row['mean']:.3f}"


def test_the_scorecard_gives_each_cell_a_verdict(runs):
    table = table_1(runs)
    near = (table["metric"] == "PCC") & (table["agent"] == "2") & (table["game"] == "hom")
    table.loc[near, ["mean", "low", "high"]] = 0.63, 0.61, 0.65
    edge = (table["metric"] == "PCC") & (table["agent"] == "2") & (table["game"] == "het")
    table.loc[edge, ["mean", "low", "high"]] = 0.42, float("nan"), float("nan")
    far = (table["metric"] == "SCC") & (table["agent"] == "2")
    table.loc[far, ["mean", "low", "high"]] = 0.9, 0.8, 1.0
    card = scorecard(table, "A", "04-x")
    assert tuple(card.columns) == SCORECARD
    assert len(card) == 12
    verdicts = card.set_index("item")["verdict"]
    assert verdicts["MA-LfL, Table 1, PCC #2, M_hom"] == "reproduced"
    assert verdicts["MA-LfL, Table 1, PCC #2, M_het"] == "reproduced"
    assert verdicts["MA-LfL, Table 1, SCC #2, M_hom"] == "differs"
    row = card.set_index("item").loc["MA-LfL, Table 1, PCC #2, M_hom"]
    assert list(row) == [0.59, 0.63, 0.61, 0.65, 2, "reproduced", "04-x"]


def test_the_papers_setting_comes_first():
    estimators = table_1_estimators(7, 0.2)
    assert next(iter(estimators.values())) == {
        "method": "adam", "steps": 7, "rate": 0.2, "reward_class": "joint-action"
    }  # fmt: skip
