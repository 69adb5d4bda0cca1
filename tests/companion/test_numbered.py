"""Every numbered item has a row, and a verdict that its check leads to."""

import re
from pathlib import Path

import pandas as pd
import pytest

from malfl.companion.numbered import (
    COLUMNS,
    ITEMS,
    at_a_glance,
    counts_of_verdicts,
    statements,
)
from malfl.theory.statements.counterexamples import COUNTEREXAMPLES

BOOK = Path(__file__).parents[2] / "book"
# What the papers number, counted in them: kinds share one count in each section of MA-LfL.
SECTIONS = {"3": 8, "4": 9, "5": 5, "6": 5, "7": 1, "A": 3}


def summaries(**violations):
    """A check of every item that can be checked, without violations but for those given."""
    keys = [item.key for item in ITEMS if item.kind != "no claim"]
    rows = [(key, 5000, violations.get(key, 0), 0.1, 0.5, 0.9) for key in keys]
    names = ["statement", "instances", "violations", "min_ratio", "median_ratio", "max_ratio"]
    return pd.DataFrame(rows, columns=names)


def verdicts(table):
    return dict(zip(table["paper"] + " " + table["statement"], table["verdict"], strict=True))


def test_every_number_of_ma_lfl_is_there_once():
    names = [
        item.statement for item in ITEMS if item.paper == "MA-LfL" and "," not in item.statement
    ]
    kinds = "Definition|Remark|Assumption|Theorem|Lemma|Corollary"
    numbers = sorted(
        re.match(f"({kinds}) (.+)", name)[2] for name in names if re.match(kinds, name)
    )
    assert numbers == sorted(f"{s}.{n}" for s, many in SECTIONS.items() for n in range(1, many + 1))
    assert {f"Eq. {n}" for n in range(1, 18)} | {"Algorithm 1", "Algorithm 2"} <= set(names)


def test_every_number_of_lfl_is_there_once():
    names = [item.statement for item in ITEMS if item.paper == "LfL"]
    equations = [f"Eq. {n}" for n in range(1, 6)]
    numbered = ["Lemma 1", "Theorem 1", "Theorem 2", "Algorithm 1", "Section 4.3", *equations]
    assert sorted(names) == sorted(numbered)


def test_keys_are_unique_and_counterexamples_belong_to_an_item():
    keys = [item.key for item in ITEMS]
    assert len(set(keys)) == len(keys)
    assert set(COUNTEREXAMPLES) <= set(keys)


def test_places_exist_in_the_chapters():
    for item in ITEMS:
        page = (BOOK / f"{item.chapter}.ipynb").read_text()
        assert not item.label or f"(st-{item.label})=" in page, item


def test_what_nothing_violates_holds_unless_its_counterexample_does():
    table = statements([summaries()])
    assert tuple(table.columns) == COLUMNS
    found = verdicts(table)
    assert found["MA-LfL Theorem 4.1"] == "holds"
    assert found["MA-LfL Theorem 6.5"] == "fails"  # by its counterexample
    assert found["MA-LfL Theorem 6.3"] == "vacuous"
    assert found["MA-LfL Eq. 12"] == "misprint"
    assert found["MA-LfL, a reading Eq. 5, next action from pi_new"] == "misprint"
    assert found["MA-LfL Eq. 1"] == "checked"
    assert found["this book T2"] == "corrected"
    assert found["LfL Algorithm 1"] == "not a claim"
    texts = dict(zip(table["statement"], table["counterexample"], strict=True))
    assert "(10, 8)" in texts["Theorem 6.5"]
    assert texts["Theorem 4.1"] == ""


@pytest.mark.parametrize(
    ("key", "row", "verdict"),
    [
        ("Theorem 4.1", "MA-LfL Theorem 4.1", "fails"),
        ("Eq. 1", "MA-LfL Eq. 1", "misprint"),
        ("T2", "this book T2", "fails"),
        ("Theorem 6.3", "MA-LfL Theorem 6.3", "fails"),
        ("LfL Lemma 1", "LfL Lemma 1", "fails"),
    ],
)
def test_one_violation_turns_a_verdict(key, row, verdict):
    before, after = (verdicts(statements([s])) for s in (summaries(), summaries(**{key: 1})))
    assert after[row] == verdict
    assert {name for name in before if before[name] != after[name]} == {row}


def test_lacking_unknown_and_repeated_checks_are_refused():
    whole = summaries()
    with pytest.raises(ValueError, match=r"must have a row for each of \['T4'\]"):
        statements([whole[whole["statement"] != "T4"]])
    with pytest.raises(ValueError, match=r"\['T5'\], which are no items"):
        statements([whole, whole[:1].assign(statement="T5")])
    with pytest.raises(ValueError, match=r"more than one row for \['Definition 3.2'\]"):
        statements([whole, whole[:1]])


def test_the_glance_links_every_item_and_counts_add_up():
    table = statements([summaries()])
    glance = at_a_glance(table)
    assert len(glance) == len(ITEMS)
    assert glance["check"].str.fullmatch(r"\{(ref|doc)\}`see <[\w-]+>`").all()
    assert (glance["in a line"].str.len() > 5).all()
    counts = counts_of_verdicts(table).set_index("verdict")
    assert counts.to_numpy().sum() == len(ITEMS)
    assert counts.loc["corrected", "this book"] == (table["paper"] == "this book").sum()
