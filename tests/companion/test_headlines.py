"""The numbers of the first pages are those of the results."""

import pandas as pd
import pytest
from test_scorecard import some_cards, some_statements

from malfl.companion.headlines import headlines
from malfl.companion.scorecard import scorecard


@pytest.fixture
def folder(tmp_path):
    rows = [
        (metric, agent, estimator, mean)
        for estimator, low, high in (
            ("as released", 0.401, 0.566), ("Theorem 5.1, same Adam", 0.7, 0.74),
            ("structural", 0.97, 0.98), ("replay", 0.998, 0.9999),
        )
        for metric, agent, mean in (
            ("PCC", "0", low), ("PCC", "1", high), ("PCC", "mean", 0.0), ("SCC", "0", 2.0)
        )
    ]  # fmt: skip
    columns = ["metric", "agent", "estimator", "mean"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "table1.csv", index=False)
    rows = [
        (estimator, agent, episodes, improvements, mean)
        for estimator, means in (("replay", (0.9, 0.951)), ("structural", (0.5, 0.94)))
        for agent, shift in ((0, 0.02), (1, -0.02))
        for episodes, whole in zip((30, 1000), means, strict=True)
        for improvements, mean in ((1, 0.99), (9, whole + shift))
    ]
    columns = ["estimator", "agent", "episodes", "improvements", "mean"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "data_frontier.csv", index=False)
    rows = [
        ("Q-learning", 30, 29),
        ("soft policy iteration", 30, 30),
        ("random improvements", 30, 0),
    ]
    columns = ["learner", "runs", "rightly"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "lfl_kinds.csv", index=False)
    rows = [
        ("correlation, benign, episodes: median", 0.9987),
        ("correlation, benign, counts only: median", 0.94),
        ("sound results: share of .9 or more", 0.9789),
    ]
    pd.DataFrame(rows, columns=["claim", "found"]).to_csv(tmp_path / "carry_claims.csv")
    rows = [("random", "benign", 1), ("random", "benign", 1), ("random", "far", 1),
            ("classic", "coin", 1)]  # fmt: skip
    pd.DataFrame(rows, columns=["kind", "regime", "seed"]).to_csv(tmp_path / "carry.csv")
    return tmp_path


@pytest.fixture
def card():
    cards = some_cards()
    cards[0].loc[2, "verdict"] = "differs"
    cards[1].loc[cards[1]["item"].str.contains("MA-LfL, Table 3, Beta"), "verdict"] = "differs"
    beyond = cards[0].iloc[:1].assign(item=lambda t: t["item"] + ", by replay", verdict="beyond")
    return scorecard([*cards, beyond], some_statements(**{"Theorem 4.1": 2}))


def test_every_number_of_the_first_pages(folder, card):
    assert headlines(folder, card) == {
        "printed": "0.42 to 0.59",
        "released": "0.401 to 0.566",
        "theorem": "0.700 to 0.740",
        "structural": "0.970 to 0.980",
        "replay": "0.998 to 0.999",
        "replay_episodes": "1,000",
        "structural_episodes": "more than 1,000",
        "recognised": "59 of 60",
        "random_games": "2",
        "benign_episodes": "0.99",
        "benign_counts": "0.94",
        "sound_right": "0.978",
        "ma_lfl_cells": "20",
        "ma_lfl_reproduced": "19",
        "lfl_cells": "18",
        "lfl_reproduced": "18",
        "holds": "15",
        "fails": "4",
        "vacuous": "2",
        "misprint": "7",
        "checked": "7",
        "games": "5,000",
        "items": "148",
    }


def test_numbers_of_chapters_left_out_are_not_shown(folder, card):
    (folder / "table1.csv").unlink()
    chapter = "05-where-the-printed-numbers-come-from"
    found = headlines(folder, card, left_out=[chapter])
    assert {name for name, value in found.items() if value == "(left out)"} == {
        "released", "theorem", "structural", "replay"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["table1", "data_frontier", "lfl_kinds", "carry_claims"])
def test_a_missing_or_malformed_file_is_named(folder, card, name):
    (folder / f"{name}.csv").write_text("x\n1\n")
    with pytest.raises(ValueError, match=rf"results file {name}\.csv must have a column"):
        headlines(folder, card)
    (folder / f"{name}.csv").unlink()
    with pytest.raises(ValueError, match=rf"results file {name}\.csv is missing"):
        headlines(folder, card)


def test_a_claim_that_is_not_there_is_named(folder, card):
    pd.DataFrame({"claim": ["another"], "found": [1.0]}).to_csv(folder / "carry_claims.csv")
    with pytest.raises(ValueError, match="must have one row of 'correlation, benign, episodes: me"):
        headlines(folder, card)
