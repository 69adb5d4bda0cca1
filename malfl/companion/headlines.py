"""The few numbers on the book's first pages, from the chapters' results."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pandas as pd

from malfl.companion.artefacts import read_table
from malfl.companion.published import TABLE_1

PRINTED = "05-where-the-printed-numbers-come-from"
FRONTIER, KINDS = "07-how-much-must-be-seen", "15-learners-of-other-kinds"
CARRY = "21-how-far-it-carries"
LEFT_OUT = "(left out)"
ENOUGH = 0.95  # a correlation that is called enough


def headlines(folder: Path, card: pd.DataFrame, left_out: Collection[str] = ()) -> dict[str, str]:
    """Numbers by the names under which prose pages show them.

    Parameters
    ----------
    folder
        Of the results.
    card
        As `malfl.companion.scorecard.scorecard` returns it.
    left_out
        Chapters whose results are not to be shown.

    Raises
    ------
    ValueError
        If a results file is missing or has not the columns that are needed.
    """
    printed = [cell.value for (_, metric, agent), cell in TABLE_1.items() if _is_pcc(metric, agent)]
    found = {"printed": f"{min(printed):.2f} to {max(printed):.2f}"}
    for name, (chapter, read) in READERS.items():
        found[name] = LEFT_OUT if chapter in left_out else read(folder)
    cells = card["kind"].eq("table") & ~card["item"].str.contains("Table 3")  # settings, or not run
    tables = card[cells & card["verdict"].isin(["reproduced", "differs"])]
    for paper in ("MA-LfL", "LfL"):
        own = tables[tables["item"].str.startswith(f"{paper}, ")]
        key = paper.lower().replace("-", "_")
        found[f"{key}_cells"] = str(len(own))
        found[f"{key}_reproduced"] = str(int(own["verdict"].eq("reproduced").sum()))
    claims = card[
        card["kind"].eq("statement") & card["item"].str.match(r"(MA-)?LfL, (?!a reading)")
    ]
    counts = claims["verdict"].value_counts()
    for verdict in ("holds", "fails", "vacuous", "misprint", "checked"):
        found[verdict] = str(counts.get(verdict, 0))
    found["games"] = f"{int(claims['games'].fillna(0).max()):,}"
    found["items"] = str(int(card["verdict"].ne("beyond").sum()))
    return found


def _is_pcc(metric: str, agent: str) -> bool:
    return metric == "PCC" and agent != "mean"


def _pcc(estimator: str) -> Callable[[Path], str]:
    """Of both agents in both games, from the least to the greatest mean over seeds."""

    def read(folder: Path) -> str:
        types = {"metric": "text", "agent": "text", "estimator": "text", "mean": "number"}
        table = read_table(folder / "table1.csv", types)
        rows = table[table["metric"].eq("PCC") & table["agent"].ne("mean")]
        means = rows.loc[rows["estimator"] == estimator, "mean"]
        # Cut off, so that nothing below 1 reads as 1.
        low, high = np.floor(means.agg(["min", "max"]) * 1000 + 1e-9) / 1000
        return f"{low:.3f} to {high:.3f}"

    return read


def _episodes(estimator: str) -> Callable[[Path], str]:
    """The fewest episodes an iteration for a mean correlation that is `ENOUGH`."""

    def read(folder: Path) -> str:
        types = {"estimator": "text"} | dict.fromkeys(("episodes", "improvements"), "count")
        table = read_table(folder / "data_frontier.csv", types | {"mean": "number"})
        whole = table["improvements"].eq(table["improvements"].max())
        means = table[whole & table["estimator"].eq(estimator)].groupby("episodes")["mean"].mean()
        enough = means.index[means >= ENOUGH]
        return f"{enough[0]:,}" if len(enough) else f"more than {means.index[-1]:,}"

    return read


def _recognised(folder: Path) -> str:
    """Runs of the learners with a model whose kind was found rightly, of all of theirs."""
    types = {"learner": "text", "runs": "count", "rightly": "count"}
    table = read_table(folder / "lfl_kinds.csv", types)
    known = table[table["learner"] != "random improvements"]
    return f"{known['rightly'].sum()} of {known['runs'].sum()}"


def _claimed(claim: str, digits: int = 2) -> Callable[[Path], str]:
    """What was found where a number was hoped for; cut off, not rounded."""

    def read(folder: Path) -> str:
        table = read_table(folder / "carry_claims.csv", {"claim": "text", "found": "number"})
        found = table.loc[table["claim"] == claim, "found"]
        if len(found) != 1:
            raise ValueError(f"carry_claims.csv must have one row of {claim!r}, has {len(found)}")
        size = 10**digits
        return f"{np.floor(float(found.iloc[0]) * size + 1e-9) / size:.{digits}f}"

    return read


def _games(folder: Path) -> str:
    """How many random games recovery was tried on."""
    types = {"kind": "text", "regime": "text", "seed": "count"}
    table = read_table(folder / "carry.csv", types)
    random = table[table["kind"] == "random"]
    return str(len(random.drop_duplicates(["regime", "seed"])))


READERS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "released": (PRINTED, _pcc("as released")),
    "theorem": (PRINTED, _pcc("Theorem 5.1, same Adam")),
    "structural": (PRINTED, _pcc("structural")),
    "replay": (PRINTED, _pcc("replay")),
    "replay_episodes": (FRONTIER, _episodes("replay")),
    "structural_episodes": (FRONTIER, _episodes("structural")),
    "recognised": (KINDS, _recognised),
    "random_games": (CARRY, _games),
    "benign_episodes": (CARRY, _claimed("correlation, benign, episodes: median")),
    "benign_counts": (CARRY, _claimed("correlation, benign, counts only: median")),
    "sound_right": (CARRY, _claimed("sound results: share of .9 or more", 3)),
}
"""By name: the chapter whose results are shown, and how to read them."""
