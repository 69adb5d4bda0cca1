"""What the chapters found of the papers, put together."""

import json

import pandas as pd
import yaml

from malfl.companion import pages, scorecard
from malfl.companion.artefacts import Results, read_table
from malfl.companion.headlines import READERS, headlines
from malfl.companion.numbered import at_a_glance, counts_of_verdicts, read_summary, statements
from malfl.companion.tables import SCORECARD_TYPES
from rules.chapters import PROFILE, RESULTS, ROOT, SECONDS, chapters

HEADLINES = RESULTS / "headlines.json"
GATHERED = (
    HEADLINES.name,
    "scorecard.csv", "scorecard-page.csv", "scorecard-summary.csv",
    "statements.csv", "erratum.csv", "erratum-counts.csv",
)  # fmt: skip


def gather() -> bool:
    """Write the scorecard and the erratum; stop at results that are missing or malformed."""
    shown = {chapter for chapter, _ in READERS.values()}
    needed = {*scorecard.STATED_BY, *scorecard.COMPARED_BY, *shown}
    left_out = needed - {chapter.name for chapter in chapters()}
    left_out |= {chapter.name for chapter in chapters() if chapter.provenance.get("changed")}
    found = [name for name in scorecard.STATED_BY if name not in left_out]
    compared = [name for name in scorecard.COMPARED_BY if name not in left_out]
    try:
        refuse_shared_names()
        stated = [read_summary(RESULTS / f"statements-{n}.csv") for n in found]
        cards = [read_table(RESULTS / f"scorecard-{n}.csv", SCORECARD_TYPES) for n in compared]
        table = statements(stated, left_out)
        card = scorecard.scorecard(cards, table, left_out)
        numbers = headlines(RESULTS, card, left_out) | {"profile": PROFILE}
    except ValueError as error:
        print(f"scorecard: FAILED, {error}", flush=True)
        return False
    results = Results(RESULTS)
    results.save_table("statements", table)
    results.save_table("erratum", at_a_glance(table))
    results.save_table("erratum-counts", counts_of_verdicts(table))
    results.save_table("scorecard", card)
    results.save_table("scorecard-page", scorecard.for_page(card))
    results.save_table("scorecard-summary", scorecard.summary(card))
    results.save_json(HEADLINES.stem, numbers)
    return True


def refuse_shared_names() -> None:
    """Raise if two chapters write one file of results."""
    owners: dict[str, str] = {}
    for chapter in chapters():
        for name in chapter.provenance.get("results", {}):
            if name in owners:
                raise ValueError(
                    f"results file {name} is written by {owners[name]} and by {chapter.name}; "
                    "rename it in one of them"
                )
            owners[name] = chapter.name


def update_repository() -> None:
    """Put the numbers of a build into the README, and the seconds of its chapters beside these."""
    file = ROOT / "README.md"
    summary = pd.read_csv(RESULTS / "scorecard-summary.csv")
    text = pages.readme_summary(summary, json.loads(HEADLINES.read_text()))
    before, begin, rest = file.read_text().partition("<!-- scorecard -->\n")
    _, end, after = rest.partition("<!-- end of scorecard -->\n")
    draft = file.with_suffix(".new")
    draft.write_text("".join([before, begin, "\n", text, "\n\n", end, after]))
    draft.replace(file)
    seconds = {chapter.name: chapter.provenance["seconds"] for chapter in chapters()}
    SECONDS.write_text(
        "# How long chapters took in a first build, which begins with the longest.\n"
        + yaml.safe_dump(seconds)
    )
