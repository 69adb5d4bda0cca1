"""Every numbered item of both papers, and what became of it.

Which items there are is written here; what the check of each found comes from the chapters.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from malfl.companion.artefacts import read_table
from malfl.theory.statements.counterexamples import COUNTEREXAMPLES
from malfl.theory.statements.trial import SUMMARY_TYPES

Paper = Literal["MA-LfL", "LfL", "MA-LfL, a reading", "this book"]
Kind = Literal["claim", "formula", "vacuous", "ours", "no claim"]

IMPROVEMENT = "10-improvement-and-its-limits"
INVERSION = "11-inverting-an-improvement"
ERRORS = "12-errors-bounded"
GAME = "02-the-game"
LEARNING = "03-agents-that-learn-together"
READING = "04-reading-rewards-off-improvements"
PRINTED = "05-where-the-printed-numbers-come-from"
SEMI_ONLINE = "08-while-they-learn"

VERDICTS = {
    "claim": ("holds", "fails"),
    "formula": ("checked", "misprint"),
    "vacuous": ("vacuous", "fails"),
    "ours": ("corrected", "fails"),
}
"""By kind of item, the verdicts without violations and with some."""

#: Columns of `statements`.
COLUMNS = (
    "paper", "statement", "verdict", "instances", "violations", "min_ratio", "median_ratio",
    "max_ratio", "counterexample", "chapter",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """A numbered item of a paper, or ours in place of one."""

    paper: Paper
    statement: str
    kind: Kind
    chapter: str
    label: str  #: of the place in the chapter, after "st-"; "" for the chapter itself
    says: str  #: one line

    @property
    def key(self) -> str:
        """Under which the chapters report its check."""
        return self.statement if self.paper != "LfL" else f"LfL {self.statement}"


def _items(paper: Paper, *rows: tuple[str, Kind, str, str, str]) -> tuple[Item, ...]:
    return tuple(Item(paper, *row) for row in rows)


ITEMS: tuple[Item, ...] = (
    *_items(
        "MA-LfL",
        ("Definition 3.1", "no claim", GAME, "", "Markov games."),
        ("Definition 3.2", "formula", IMPROVEMENT, "values", "A product of policies is a policy."),
        ("Remark 3.3", "no claim", GAME, "", "Nobody chooses for all."),
        ("Assumption 3.4", "no claim", GAME, "", "States and actions are seen, rewards are not."),
        ("Remark 3.5", "no claim", GAME, "", "What is worth doing depends on the others."),
        ("Assumption 3.6", "no claim", GAME, "", "Agents maximise rewards and entropy."),
        ("Eq. 1", "formula", IMPROVEMENT, "values", "The soft objective, summed step by step."),
        ("Definition 3.7", "no claim", GAME, "", "Soft Q values."),
        ("Eq. 2", "formula", IMPROVEMENT, "values", "Soft Q, summed step by step."),
        ("Remark 3.8", "claim", IMPROVEMENT, "values", "Soft Q satisfies Eq. 3."),
        ("Eq. 3", "claim", IMPROVEMENT, "values", "The Bellman equation of soft Q."),
        ("Theorem 4.1", "claim", IMPROVEMENT, "alone", "One agent's improvement lowers no soft Q."),
        ("Eq. 4", "no claim", IMPROVEMENT, "alone", "The improvement is the softmax of Q / alpha."),
        ("Theorem 4.2", "claim", INVERSION, "inversion", "LfL's Theorem 2, quoted."),
        ("Definition 4.3", "formula", IMPROVEMENT, "induced",
         "The sum over the others' actions and their dependence on s are missing."),
        ("Eq. 5", "formula", INVERSION, "eq-5",
         "Right if a_new is a fresh action of pi, as in Algorithm 1."),
        ("Definition 4.4", "no claim", LEARNING, "", "An agent's improvement among others."),
        ("Eq. 6", "no claim", IMPROVEMENT, "alone", "The softmax of the expected Q / alpha."),
        ("Assumption 4.5", "no claim", LEARNING, "", "All agents improve at the same time."),
        ("Lemma 4.6", "claim", IMPROVEMENT, "induced", "The agent's process has the expected Q."),
        ("Theorem 4.7", "claim", IMPROVEMENT, "others-stay",
         "Holds for one agent while the others stay; the proof cites the opposite assumption."),
        ("Remark 4.8", "formula", IMPROVEMENT, "greedy", "The maximum lacks the entropy."),
        ("Lemma 4.9", "claim", IMPROVEMENT, "shaping", "Shapings change no improvement."),
        ("Algorithm 1", "no claim", LEARNING, "", "Multi-agent soft policy iteration."),
        ("Theorem 5.1", "claim", INVERSION, "inversion",
         "One improvement gives the expected reward up to shaping."),
        ("Eq. 7", "claim", INVERSION, "inversion", "The formula of Theorem 5.1."),
        ("Eq. 8", "formula", INVERSION, "inversion",
         "Its left side must be the shaped reward, as in Theorem 5.1."),
        ("Eq. 9", "no claim", INVERSION, "inversion", "Names the shaping that Eq. 8 leaves out."),
        ("Remark 5.2", "formula", INVERSION, "inversion",
         "Theorem 5.1 does not need improvements to improve anything."),
        ("Eq. 10", "formula", INVERSION, "eq-10", "It is to be minimised, not maximised."),
        ("Eq. 11", "formula", INVERSION, "eq-11",
         "Right if the opponents' policies are those before the improvement."),
        ("Section 5.2, shaping", "formula", INVERSION, "shaping-gamma", "A gamma is missing."),
        ("Definition 5.3", "no claim", PRINTED, "", "The loss of Eq. 12."),
        ("Eq. 12", "formula", INVERSION, "eq-12",
         "Expectations belong inside the square; the true reward leaves a loss otherwise."),
        ("Remark 5.4", "no claim", READING, "", "Rewards are as good as the policies inferred."),
        ("Remark 5.5", "no claim", SEMI_ONLINE, "", "Predict to test: T1 says what it shows."),
        ("Algorithm 2", "no claim", READING, "", "Multi-agent learning from a learner."),
        ("Theorem 6.1", "claim", ERRORS, "6-1", "Holds, and its constant is sharp."),
        ("Corollary 6.2", "claim", ERRORS, "6-1", "Theorem 6.1 for rewards of the state."),
        ("Theorem 6.3", "vacuous", ERRORS, "6-3",
         "Some shaping makes the left side 0, whatever was predicted."),
        ("Remark 6.4", "no claim", ERRORS, "6-3", "On the assumptions of Theorem 6.3."),
        ("Theorem 6.5", "claim", ERRORS, "6-5", "False: exponentials are bounded as if linear."),
        ("Definition 7.1", "no claim", GAME, "", "The grid's rewards."),
        ("Eq. 13", "no claim", GAME, "", "The first of them."),
        ("Eq. 14", "no claim", GAME, "", "The second."),
        ("Theorem A.1", "claim", ERRORS, "6-1", "Theorem 6.1 for one agent."),
        ("Theorem A.2", "vacuous", ERRORS, "6-3", "As 6.3, for any reward, averaged under pi_new."),
        ("Theorem A.3", "claim", ERRORS, "6-5", "False; its exponent lacks alpha as well."),
        ("Eq. 15", "formula", ERRORS, "6-1", "Log ratios are differences of shaped Q values."),
        ("Eq. 16", "claim", ERRORS, "6-1", "The identity behind Theorem 6.1."),
        ("Eq. 17", "formula", ERRORS, "6-3", "A factor alpha is missing."),
    ),
    *_items(
        "LfL",
        ("Eq. 1", "no claim", IMPROVEMENT, "greedy", "Greedy; for soft Q entropy is to be added."),
        ("Eq. 2", "no claim", GAME, "", "The soft objective."),
        ("Eq. 3", "no claim", IMPROVEMENT, "alone", "Soft policy improvement."),
        ("Lemma 1", "claim", INVERSION, "lfl-lemma-1", "Shaping a reward shifts its soft Q."),
        ("Theorem 1", "claim", INVERSION, "lfl-lemma-1",
         "Shapings change neither improvements nor the optimum."),
        ("Theorem 2", "claim", INVERSION, "inversion",
         "One improvement gives the reward up to shaping, and so the optimum."),
        ("Eq. 4", "no claim", INVERSION, "lfl-4-3", "A reward of the state and a shaping."),
        ("Section 4.3", "claim", INVERSION, "lfl-4-3",
         "That transitions are certain is not enough for knowing a reward up to a constant."),
        ("Eq. 5", "no claim", INVERSION, "eq-12", "LfL's loss; exact if transitions are certain."),
        ("Algorithm 1", "no claim", READING, "", "Learning from a learner."),
    ),
    *_items(
        "MA-LfL, a reading",
        ("Theorem 4.7, everyone moving", "claim", IMPROVEMENT, "everyone",
         "Remark 4.8 doubts it; it is false: the Prisoner's Dilemma."),
        ("Eq. 5, next action from pi_new", "formula", INVERSION, "eq-5",
         "With a_new from the improvement the theorem breaks."),
        ("Eq. 11, opponents after", "formula", INVERSION, "eq-11",
         "With the opponents' policies after the improvement it is wrong."),
        ("Theorem 6.3, the proof's shaping", "claim", ERRORS, "6-3",
         "With the shaping that the proof uses it is false."),
        ("Theorem 6.3, the proof's shaping and average", "claim", ERRORS, "6-3",
         "With the proof's average as well, too."),
        ("Theorem A.2, the proof's shaping", "claim", ERRORS, "6-3", "False likewise."),
    ),
    *_items(
        "this book",
        ("Remark 4.8, with entropy", "ours", IMPROVEMENT, "greedy", "Remark 4.8 put right."),
        ("Eq. 10, minimised", "ours", INVERSION, "eq-10", "Its optimum in closed form."),
        ("Identity", "ours", ERRORS, "identity", "Errors of rewards and of predictions."),
        ("T1, above", "ours", ERRORS, "t1", "For 6.1: the least error is at most this."),
        ("T1, below", "ours", ERRORS, "t1", "For 6.1: and at least this."),
        ("T2", "ours", ERRORS, "t2", "For 6.5: divergences are at most K(x)."),
        ("T2, log ratios", "ours", ERRORS, "t2", "For 6.5: log ratios are at most 2x."),
        ("T3", "ours", ERRORS, "t3", "For A.2: the error averaged under pi_new."),
        ("T3, under pi", "ours", ERRORS, "t3", "For 6.3: the error averaged under pi."),
        ("T3, closed form", "ours", ERRORS, "t3", "For 6.3: the same by Pinsker's inequality."),
        ("T3, bound on rho", "ours", ERRORS, "t3", "For 6.3: how far pi can be from pi_new."),
        ("T4", "ours", ERRORS, "t4", "For 6.3: every entry of the error."),
        ("T4, closed form", "ours", ERRORS, "t4", "For 6.3: the same by Pinsker's inequality."),
    ),
)  # fmt: skip


def read_summary(file: Path) -> pd.DataFrame:
    """A chapter's summary of statements; ValueError names a file that is none."""
    return read_table(file, SUMMARY_TYPES)


def statements(summaries: Iterable[pd.DataFrame], left_out: Collection[str] = ()) -> pd.DataFrame:
    """A row for every item: what its check found, and the verdict that follows from it.

    A claim fails if a random game or its counterexample violates it.

    Parameters
    ----------
    summaries
        As `malfl.theory.statements.trial.summary` returns them, one or more, together with a row
        for each item that is a claim or a formula.
    left_out
        Chapters without summaries, whose items get the verdict "left out".

    Returns
    -------
    DataFrame
        With `COLUMNS`.

    Raises
    ------
    ValueError
        If an item that can be checked was not, or something was checked that is no item.
    """
    found = pd.concat([pd.DataFrame({"statement": []}), *summaries]).set_index("statement")
    checkable = {
        item.key for item in ITEMS if item.kind != "no claim" and item.chapter not in left_out
    }
    if missing := checkable - set(found.index):
        raise ValueError(f"summaries must have a row for each of {sorted(missing)}")
    if unknown := set(found.index) - checkable:
        raise ValueError(f"summaries have rows {sorted(unknown)}, which are no items to be checked")
    if twice := found.index[found.index.duplicated()].tolist():
        raise ValueError(f"summaries have more than one row for {twice}")
    rows = []
    for item in ITEMS:
        if item.kind == "no claim" or item.chapter in left_out:
            verdict = "not a claim" if item.kind == "no claim" else "left out"
            result: tuple[object, ...] = (verdict, 0, 0, None, None, None, "")
        else:
            row = found.loc[item.key]
            counter = COUNTEREXAMPLES[item.key]() if item.key in COUNTEREXAMPLES else None
            violated = row["violations"] > 0 or (counter is not None and not counter.sides.holds)
            result = (
                VERDICTS[item.kind][int(violated)],
                *row[["instances", "violations", "min_ratio", "median_ratio", "max_ratio"]],
                counter.text if counter else "",
            )
        rows.append((item.paper, item.statement, *result, item.chapter))
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"instances": "Int64", "violations": "Int64"})


def at_a_glance(table: pd.DataFrame) -> pd.DataFrame:
    """The erratum: what is to be read of each item, with a link to its check in MyST's syntax.

    Parameters
    ----------
    table
        Of `statements`.

    Returns
    -------
    DataFrame
        Columns ``paper``, ``item``, ``verdict``, ``in a line``, ``games``, ``check``.
    """
    links = [
        f"{{ref}}`see <st-{item.label}>`" if item.label else f"{{doc}}`see <{item.chapter}>`"
        for item in ITEMS
    ]
    return pd.DataFrame(
        {
            "paper": table["paper"],
            "item": table["statement"],
            "verdict": table["verdict"],
            "in a line": [item.says for item in ITEMS],
            "games": [f"{n:,}" if n else "" for n in table["instances"]],
            "check": links,
        }
    )


def counts_of_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """How often each verdict was given, a column a paper.

    Parameters
    ----------
    table
        Of `statements`.
    """
    counts = pd.crosstab(table["verdict"], table["paper"])
    order = [verdict for pair in VERDICTS.values() for verdict in pair]
    order += ["not a claim", "left out"]
    rows = [verdict for verdict in dict.fromkeys(order) if verdict in counts.index]
    return counts.loc[rows, list(dict.fromkeys(table["paper"]))].reset_index()
