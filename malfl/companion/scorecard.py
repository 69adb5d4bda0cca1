"""Every numbered item, table cell and figure of both papers, and what became of it here.

Which items there are is written here, in `malfl.companion.published` and in
`malfl.companion.numbered`; values and verdicts come from the chapters' results.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from malfl.companion import published
from malfl.companion.numbered import ITEMS as STATEMENTS
from malfl.companion.published import Published

COLUMNS = (
    "item", "kind", "says", "paper", "spread", "ours", "low", "high", "seeds", "games",
    "violations", "verdict", "chapter", "label",
)  # fmt: skip
KINDS = ("statement", "table", "figure")
VERDICTS = {
    "reproduced": "the printed value, with its spread, meets our interval",
    "differs": "it does not",
    "holds": "a claim that no random game violates",
    "fails": "a claim that some game violates",
    "vacuous": "a claim that is true whatever is predicted",
    "checked": "a definition or formula that is right as printed",
    "misprint": "one that is not, though what is meant is clear",
    "corrected": "ours in place of a claim or formula that is not right, or can be sharpened",
    "beyond": "what another estimator gets from the same data, more than the printed value",
    "as printed": "a setting that we use as well",
    "redrawn": "a picture with nothing to measure",
    "not a claim": "a definition, assumption, remark or setting that nothing could refute",
    "not rerun": "outside of what this book runs",
    "left out": "run with other parameters than the papers' for this build",
}
"""What a verdict says of an item."""


class Place(NamedTuple):
    """Where in the book something is compared: a page, and a label on it or ""."""

    chapter: str
    label: str


class Fixed(NamedTuple):
    """An item whose verdict does not hang on any result."""

    verdict: str
    place: Place
    says: str


GRID, PRINTED = "02-the-game", "05-where-the-printed-numbers-come-from"
ALONE, KINDS_OF_LEARNERS = "14-a-learner-alone", "15-learners-of-other-kinds"
NOT_RERUN = Place("reproducibility-report", "not-rerun")

TABLES: dict[str, tuple[Place, str, tuple[Published, ...]]] = {
    "MA-LfL, Table 1": (
        Place(PRINTED, "ma-table-1"),
        "Correlation of recovered and true reward.",
        tuple(published.TABLE_1.values()),
    ),
    "MA-LfL, Table 2": (
        Place(PRINTED, "ma-table-2"),
        "Correlation of a recovered with both true rewards.",
        tuple(published.TABLE_2.values()),
    ),
    "MA-LfL, Table 3": (
        Place(PRINTED, "ma-table-3"),
        "A setting.",
        tuple(published.TABLE_3.values()),
    ),
    "LfL, Table 1": (
        Place(ALONE, "lfl-table-1"),
        "Score or regret of a policy on the grid.",
        tuple(published.LFL_TABLE_1.values()),
    ),
    "LfL, Table 2": (
        Place(KINDS_OF_LEARNERS, "lfl-table-2"),
        "Score of a learner, or of an observer that took its reward.",
        tuple(published.LFL_TABLE_2.values()),
    ),
}
"""By name: where it is compared, what its cells are, and the cells."""

FIGURES = {
    "MA-LfL, Figure 3": (
        Place(PRINTED, "ma-figure-3"),
        "Quality grows like a logarithm: share of the rising curves that one fits best.",
    ),
    "LfL, Figure 3": (
        Place(ALONE, "lfl-figure-3"),
        "A constant apart, the recovered reward is the true one: largest difference.",
    ),
}
"""Figures that make a claim: by name, where it is put to the test and what it is."""

COMPARED_BY = sorted(
    {table[0].chapter for table in TABLES.values()} | {one[0].chapter for one in FIGURES.values()}
)
STATED_BY = sorted({item.chapter for item in STATEMENTS if item.kind != "no claim"})
"""Chapters that compare tables and figures, and that check statements."""

FIXED = {
    "MA-LfL, Figure 1": Fixed(
        "redrawn", Place("01-learning-from-learners", "fig-cars"), "The idea, as a picture."
    ),
    "MA-LfL, Figure 2": Fixed("redrawn", Place(GRID, "fig-board"), "The grid and its distances."),
    "MA-LfL, Figure 4": Fixed(
        "redrawn", Place(PRINTED, "fig-4"), "Recovered rewards, heterogeneous; of our runs."
    ),
    "MA-LfL, Figure 5": Fixed(
        "redrawn", Place(PRINTED, "fig-5"), "Recovered rewards, homogeneous; of our runs."
    ),
    "LfL, Figure 1": Fixed(
        "redrawn", Place("01-learning-from-learners", "fig-cars"), "The idea; one picture for both."
    ),
    "LfL, Figure 2": Fixed("redrawn", Place(ALONE, "fig-lfl-grid"), "The grid."),
    "LfL, Figure 4": Fixed("not rerun", NOT_RERUN, "Scores in continuous control."),
} | {
    cell.place: Fixed("not rerun", NOT_RERUN, "Score in continuous control.")
    for cell in published.LFL_TABLE_3.values()
}  # fmt: skip
"""Items that no chapter measures."""


def scorecard(
    cards: Iterable[pd.DataFrame], statements: pd.DataFrame, left_out: Collection[str] = ()
) -> pd.DataFrame:
    """One row for each item of the papers, and for what goes beyond them.

    Parameters
    ----------
    cards
        Of the chapters, with `malfl.companion.tables.SCORECARD`. Items that the papers do not
        have must have the verdict "beyond".
    statements
        As `malfl.companion.numbered.statements` returns it.
    left_out
        Chapters that were executed with other parameters than the build's; what they compare is
        left out.

    Returns
    -------
    DataFrame
        With `COLUMNS`. ``ours`` of a statement is the largest ratio of its sides.

    Raises
    ------
    ValueError
        If an item is missing, unknown, or there twice, or a verdict is unknown.
    """
    rows = [*_of_statements(statements), *_of_comparisons(cards, left_out), *_of_fixed()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    if unknown := set(table["verdict"]) - set(VERDICTS):
        raise ValueError(f"verdict must be one of {', '.join(VERDICTS)}, got {sorted(unknown)}")
    order = {"MA-LfL": 0, "LfL": 1, "MA-LfL, a reading": 2, "this book": 3}
    paper = table["item"].map(lambda item: order[_paper_of(item)])
    beyond = table["verdict"] == "beyond"
    table = table.iloc[paper.where(~beyond, 3).argsort(kind="stable")]
    whole = dict.fromkeys(("seeds", "games", "violations"), "Int64")
    return table.reset_index(drop=True).astype(whole)


class _Cell(NamedTuple):
    item: str
    kind: str
    says: str
    paper: float | None
    spread: float | None
    place: Place


def _compared() -> list[_Cell]:
    """What chapters must compare."""
    cells = [
        _Cell(cell.place, "table", says, cell.value, cell.spread, place)
        for place, says, part in TABLES.values()
        for cell in part
    ]
    for name, (place, says) in FIGURES.items():
        cells.append(_Cell(name, "figure", says, None, None, place))
    return cells


def _of_statements(table: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    for item, row in zip(STATEMENTS, table.to_dict("records"), strict=True):
        name = f"{item.paper}, {item.statement}"
        numbers = None, None, row["max_ratio"], None, None, None
        found = row["instances"], row["violations"], row["verdict"]
        label = f"st-{item.label}" if item.label else ""
        yield (name, "statement", item.says, *numbers, *found, item.chapter, label)


def _of_comparisons(
    cards: Iterable[pd.DataFrame], left_out: Collection[str]
) -> Iterator[tuple[object, ...]]:
    found: dict[str, dict[Hashable, Any]] = {}
    for row in (row for card in cards for row in card.to_dict("records")):
        if row["item"] in found:
            raise ValueError(f"cards must not have an item twice, as {row['item']!r}")
        found[row["item"]] = row
    for cell in (cells := _compared()):
        row = found.pop(cell.item, {})
        if row:
            numbers = row["ours"], row["low"], row["high"], row["seeds"]
            cell = cell._replace(paper=row["paper"])
            yield (*cell[:-1], *numbers, None, None, row["verdict"], *cell.place)
        elif cell.place.chapter in left_out:
            yield (*cell[:-1], *[None] * 6, "left out", *cell.place)
        else:
            raise ValueError(f"cards must have {cell.item!r}, from {cell.place.chapter}")
    for item, row in found.items():
        about = [cell for cell in cells if item.startswith(f"{cell.item}, ")]
        if row["verdict"] != "beyond" or not about:
            raise ValueError(f"cards have {item!r}, which is no item of the papers")
        cell = about[0]._replace(item=item, says="What another estimator gets from the same data.")
        numbers = row["ours"], row["low"], row["high"], row["seeds"]
        yield (*cell[:-1], *numbers, None, None, "beyond", *cell.place)


def _of_fixed() -> Iterator[tuple[object, ...]]:
    quoted = {cell.place: (cell.value, cell.spread) for cell in published.LFL_TABLE_3.values()}
    for name, (verdict, place, says) in FIXED.items():
        kind = "table" if name in quoted else "figure"
        yield (name, kind, says, *quoted.get(name, (None, None)), *[None] * 6, verdict, *place)


def _paper_of(item: str) -> str:
    """Of an item's name, the paper: "MA-LfL", "LfL", "MA-LfL, a reading" or "this book"."""
    reading = "MA-LfL, a reading"
    return reading if item.startswith(reading) else item.partition(",")[0]


def for_page(card: pd.DataFrame) -> pd.DataFrame:
    """A scorecard to be read, with links in MyST's syntax.

    Parameters
    ----------
    card
        Of `scorecard`.

    Returns
    -------
    DataFrame
        Columns ``item``, ``what it says``, ``published``, ``ours``, ``verdict``, ``place``.
    """
    links = [
        f"{{ref}}`see <{label}>`" if label else f"{{doc}}`see <{chapter}>`"
        for chapter, label in zip(card["chapter"], card["label"].fillna(""), strict=True)
    ]
    rows = card.to_dict("records")
    return pd.DataFrame(
        {
            "item": card["item"],
            "what it says": card["says"],
            "published": [_plus_minus(row) for row in rows],
            "ours": [_ours(row) for row in rows],
            "verdict": card["verdict"],
            "place": links,
        }
    )


def _plus_minus(row: Mapping[Hashable, Any]) -> str:
    if pd.isna(row["paper"]):
        return ""
    return f"{row['paper']:g}" + ("" if pd.isna(row["spread"]) else f" ± {row['spread']:g}")


def _ours(row: Mapping[Hashable, Any]) -> str:
    if not pd.isna(row["games"]):
        return f"{row['violations']:,} of {row['games']:,} games violate it" if row["games"] else ""
    if pd.isna(row["ours"]):
        return ""
    mean, low, high = (f"{row[name]:.3g}" for name in ("ours", "low", "high"))
    return mean if pd.isna(row["low"]) or low == high else f"{mean} [{low}, {high}]"


def summary(card: pd.DataFrame) -> pd.DataFrame:
    """How often each verdict was given.

    Parameters
    ----------
    card
        Of `scorecard`.

    Returns
    -------
    DataFrame
        A row a verdict, in the order of `VERDICTS`: ``verdict``, ``statements``, ``table cells``,
        ``figures``, ``meaning``. What goes beyond the papers is counted with the cells it is about.
    """
    counts = pd.crosstab(card["verdict"], card["kind"])
    counts = counts.reindex(index=list(VERDICTS), columns=list(KINDS), fill_value=0)
    counts = counts[counts.any(axis=1)]
    counts.columns = pd.Index(["statements", "table cells", "figures"])
    meaning = counts.index.map(VERDICTS)
    return counts.assign(meaning=meaning).rename_axis("verdict").reset_index()
