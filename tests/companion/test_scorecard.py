"""Every item of the papers is on the scorecard, with what its check found."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from malfl.companion import published
from malfl.companion.numbered import ITEMS, statements
from malfl.companion.scorecard import (
    COLUMNS,
    FIGURES,
    FIXED,
    TABLES,
    VERDICTS,
    for_page,
    scorecard,
    summary,
)
from malfl.companion.tables import SCORECARD

BOOK = Path(__file__).parents[2] / "book"
CELLS = [cell for _, _, part in TABLES.values() for cell in part]


def some_statements(**violations):
    keys = [item.key for item in ITEMS if item.kind != "no claim"]
    rows = [(key, 5000, violations.get(key, 0), 0.1, 0.5, 0.9) for key in keys]
    names = ["statement", "instances", "violations", "min_ratio", "median_ratio", "max_ratio"]
    return statements([pd.DataFrame(rows, columns=names)])


def row(item, paper=1.0, verdict="reproduced"):
    return (item, paper, 0.5, 0.4, 0.6, 10, verdict, "a-chapter")


def some_cards(rows=(), without=()):
    listed = [row(cell.place, cell.value) for cell in CELLS] + [row(name) for name in FIGURES]
    listed = [one for one in listed if one[0] not in without] + list(rows)
    table = pd.DataFrame(listed, columns=SCORECARD)
    return [table[:7], table[7:]]


def some_scorecard(rows=(), **violations):
    return scorecard(some_cards(rows), some_statements(**violations))


def test_every_numbered_item_is_there_once():
    """Counted in the papers; statements are counted where they are listed."""
    items = list(some_scorecard()["item"])
    assert len(set(items)) == len(items)
    for paper, tables, figures in (("MA-LfL", 3, 5), ("LfL", 3, 4)):
        own = [item for item in items if item.startswith(f"{paper}, ")]
        assert {int(m[1]) for i in own if (m := re.search(r"Table (\d)", i))} == set(
            range(1, tables + 1)
        )
        drawn = sorted(i for i in own if "Figure" in i)
        assert drawn == [f"{paper}, Figure {n}" for n in range(1, figures + 1)]
    everything = (
        *published.TABLE_1.values(), *published.TABLE_2.values(), *published.TABLE_3.values(),
        *published.LFL_TABLE_1.values(), *published.LFL_TABLE_2.values(),
        *published.LFL_TABLE_3.values(),
    )  # fmt: skip
    assert {cell.place for cell in everything} <= set(items)
    assert {f"{one.paper}, {one.statement}" for one in ITEMS} <= set(items)
    assert len(items) == len(everything) + len(ITEMS) + 9


def test_every_item_has_a_verdict_and_a_place():
    card = some_scorecard()
    assert tuple(card.columns) == COLUMNS
    assert set(card["verdict"]) <= set(VERDICTS)
    for chapter, label in zip(card["chapter"], card["label"], strict=True):
        (page,) = [*BOOK.glob(f"{chapter}.ipynb"), *BOOK.glob(f"{chapter}.md")]
        text = page.read_text()
        places = f"({label})=", f'"name": "{label}"', f":name: {label}"
        assert not label or any(place in text for place in places), label


def test_rows_carry_what_was_found():
    card = some_scorecard(**{"Theorem 4.1": 3}).set_index("item")
    claim = card.loc["MA-LfL, Theorem 4.1"]
    assert list(claim[["kind", "ours", "games", "violations", "verdict", "label"]]) == [
        "statement", 0.9, 5000, 3, "fails", "st-alone"
    ]  # fmt: skip
    assert claim[["paper", "low", "high", "seeds"]].isna().all()
    cell = card.loc["MA-LfL, Table 1, PCC #1, M_hom"]
    values = cell[["paper", "spread", "ours", "low", "high", "seeds"]]
    assert list(values) == [0.48, 0.06, 0.5, 0.4, 0.6, 10]
    assert list(cell[["kind", "verdict", "label"]]) == ["table", "reproduced", "ma-table-1"]
    assert card.loc["LfL, Figure 3", "paper"] == 1.0
    quoted = card.loc["LfL, Table 3, Hopper, LfL"]
    assert list(quoted[["paper", "spread", "verdict"]]) == [-0.99, 0.78, "not rerun"]
    assert np.isnan(quoted["ours"])


def test_the_papers_come_first_and_in_order_and_what_goes_beyond_last():
    beyond = row("LfL, Table 2, Q-learning, observer, adaptive", 3.65, "beyond")
    card = some_scorecard([beyond])
    papers = [re.split(", (?!a reading)", item)[0] for item in card["item"][:-1]]
    assert list(dict.fromkeys(papers)) == ["MA-LfL", "LfL", "MA-LfL, a reading", "this book"]
    assert papers == sorted(papers, key=list(dict.fromkeys(papers)).index)
    last = card.iloc[-1]
    assert list(last[["item", "verdict", "spread", "label"]]) == [
        beyond[0], "beyond", 0.78, "lfl-table-2"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        (some_cards(without=["LfL, Figure 3"]), "cards must have 'LfL, Figure 3', from 14-a"),
        (some_cards([row("MA-LfL, Table 9")]), "cards have 'MA-LfL, Table 9', which is no item"),
        (
            some_cards([row("LfL, Table 9, x", verdict="beyond")]),
            "cards have 'LfL, Table 9, x', which is no item",
        ),
        (some_cards([row("LfL, Figure 3")]), "cards must not have an item twice, as 'LfL, Fig"),
        (
            some_cards([row("LfL, Figure 3", verdict="splendid")], ["LfL, Figure 3"]),
            "verdict must be one of reproduced, .*, got \\['splendid'\\]",
        ),
    ],
)
def test_what_is_missing_unknown_or_twice_is_named(cards, message):
    with pytest.raises(ValueError, match=message):
        scorecard(cards, some_statements())


def test_a_chapter_that_is_left_out_leaves_its_rows_empty():
    chapter = "14-a-learner-alone"
    gone = [cell.place for cell in published.LFL_TABLE_1.values()] + ["LfL, Figure 3"]
    cards = some_cards(without=gone)
    with pytest.raises(ValueError, match="LfL, Table 1, optimal, score"):
        scorecard(cards, some_statements())
    card = scorecard(cards, some_statements(), left_out=[chapter])
    empty = card[card["verdict"] == "left out"]
    assert sorted(empty["item"]) == sorted(gone)
    assert empty[["ours", "low", "high", "seeds"]].isna().all(axis=None)
    assert list(empty["paper"][:2]) == [5.68, 0.0]


def test_the_page_shows_values_with_intervals_and_links():
    exact = ("LfL, Figure 3", 0.0, 1.234567e-14, 1.234567e-14, 1.234567e-14, None, "reproduced", "")
    cards = some_cards([exact], without=["LfL, Figure 3"])
    page = for_page(scorecard(cards, some_statements(**{"Theorem 4.1": 1234})))
    page = page.set_index("item")
    assert list(page.loc["MA-LfL, Table 1, PCC #1, M_hom"][1:]) == [
        "0.48 ± 0.06", "0.5 [0.4, 0.6]", "reproduced", "{ref}`see <ma-table-1>`"
    ]  # fmt: skip
    assert list(page.loc["MA-LfL, Theorem 4.1"][1:]) == [
        "", "1,234 of 5,000 games violate it", "fails", "{ref}`see <st-alone>`"
    ]  # fmt: skip
    assert page.loc["LfL, Figure 3", "ours"] == "1.23e-14"
    assert list(page.loc["MA-LfL, Definition 3.1"][1:]) == [
        "", "", "not a claim", "{doc}`see <02-the-game>`"
    ]  # fmt: skip
    assert page.loc["LfL, Table 3, Ant, AIRL", "published"] == "0.8"


def test_the_summary_counts_every_item():
    card = some_scorecard()
    table = summary(card)
    assert list(table["verdict"]) == [one for one in VERDICTS if (card["verdict"] == one).any()]
    assert table[["statements", "table cells", "figures"]].to_numpy().sum() == len(card)
    counts = table.set_index("verdict")
    assert counts.loc["redrawn", "figures"] == 6
    assert counts.loc["not rerun", "table cells"] == len(published.LFL_TABLE_3)
    assert (table["meaning"] == table["verdict"].map(VERDICTS)).all()
    assert {fixed.verdict for fixed in FIXED.values()} == {"redrawn", "not rerun"}
