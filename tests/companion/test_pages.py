"""What the build adds to a chapter's page."""

import re

import pandas as pd

from malfl.companion.pages import changed_note, command, readme_summary, rerun
from malfl.companion.parameters import declared

CELL = """\
kind: str = "hom"  # the game: "hom" or "het"
alpha: float = 3.0  # entropy coefficient
results: str = "results"  # folder for tables and figures"""
DECLARED = list(declared(CELL).values())
MADE = {
    "profile": "quick",
    "parameters": {"kind": "hom", "alpha": 1.0, "results": "results"},
    "versions": {"python": "3.11.7", "malfl": "0.1.0"},
    "processor": "a processor, 2 cores",
    "seconds": 12.34,
    "results": {"b.csv": "12", "a.csv": "34", "a.png": "56"},
}


def test_a_command_changes_what_differs_and_quotes_it():
    line = command("03-x", {"alpha": 0.5, "kind": "two words", "fast": True})
    assert (
        line == "papermill book/03-x.ipynb out.ipynb -p alpha 0.5 -p kind 'two words' -p fast True"
    )


def test_the_block_has_parameters_command_downloads_and_provenance():
    lines = rerun("03-x", DECLARED, MADE).splitlines()
    assert lines[0] == "## Rerun this chapter"
    assert "| `alpha` | float | `3.0` | `1.0` | entropy coefficient |" in lines
    assert "| `kind` | str | `'hom'` | `'hom'` | the game: \"hom\" or \"het\" |" in lines
    assert "papermill book/03-x.ipynb out.ipynb -p alpha 1.0" in lines
    (downloads,) = [line for line in lines if "Downloads" in line]
    places = "notebooks/03-x.ipynb", "notebooks/03-x-executed.ipynb", "results/a.csv"
    assert all(f"<../{place}>`" in downloads for place in places)
    assert downloads.index("a.csv") < downloads.index("b.csv")
    assert "a.png" not in downloads
    assert {
        "- Profile: quick",
        "- Versions: python 3.11.7, malfl 0.1.0",
        "- Processor: a processor, 2 cores",
        "- Wall-clock: 12.3 s",
    } <= set(lines)


def test_a_chapter_without_tables_offers_none():
    assert "results:" not in rerun("03-x", DECLARED, MADE | {"results": {}})


def test_other_parameters_are_named_at_the_head():
    note = changed_note({"alpha": 1.0}, "paper")
    assert "`alpha = 1.0`" in note
    assert "*paper*" in note
    assert note.startswith("```{warning}")


def test_the_readme_has_counts_without_zeros_and_correlations():
    table = pd.DataFrame(
        {"verdict": ["holds", "differs"], "statements": [3, 0], "figures": [0, 12]}
    )
    names = (
        "printed", "released", "theorem", "structural", "replay", "random_games",
        "benign_episodes", "benign_counts", "sound_right",
    )  # fmt: skip
    found = {name: f"<{k}>" for k, name in enumerate(names)}
    lines = readme_summary(table.assign(meaning="so"), found).splitlines()
    assert lines[:4] == [
        "| verdict | statements | figures |",
        "| --- | ---: | ---: |",
        "| holds | 3 |  |",
        "| differs |  | 12 |",
    ]
    assert re.findall(r"<(\d)>", " ".join(lines[4:])) == [str(k) for k in range(9)]
