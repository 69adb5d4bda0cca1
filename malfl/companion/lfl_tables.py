"""LfL's Tables 1 and 2, ours beside the paper's."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from malfl.checks import FloatArray
from malfl.companion.published import LFL_TABLE_1, LFL_TABLE_2, Published
from malfl.companion.tables import as_card, exceeds_print, meets_print, reproduced
from malfl.evaluation.metrics import interval
from malfl.games.markov import MarkovGame
from malfl.games.soft import improve_all, soft_optimum, soft_return
from malfl.recovery import RecoveredReward, improvement_targets, recover_from_policies

NO_REGRET = 1e-9  # below, a regret is a rounding error
LEARNERS_ALPHA = "the learner's"
#: By which alpha an observer acts, and the column of its score.
ACTED_BY = {LEARNERS_ALPHA: "score", "the model's": "own scale"}
TRUSTED = "as trusted"  #: the model's where a kind of learner explains what was seen


class OneImprovement(NamedTuple):
    """The exact improvement of a uniform policy, and what it tells (LfL, Section 6.1)."""

    policies: FloatArray  #: (2, S, A)
    state_action: FloatArray  #: (S, A), the reward of Theorem 2
    state_only: RecoveredReward  #: by the regression of Section 4.3


def one_improvement(game: MarkovGame, alpha: float) -> OneImprovement:
    """Improve the uniform policy of a game of one agent once, and recover its reward."""
    before = game.uniform_policies()
    policies = np.array([before[0], improve_all(game, before, alpha)[1][0]])
    return OneImprovement(
        policies,
        improvement_targets(game, (policies,), 0, alpha)[0],
        recover_from_policies(game.without_rewards(), (policies,), of=0, alpha=alpha),
    )


def table_1(game: MarkovGame, alpha: float) -> pd.DataFrame:
    """Scores and regrets of the learner and of observers who know its two policies exactly.

    Returns
    -------
    DataFrame
        Columns ``agent``, ``score``, ``regret``, ``paper score``, ``paper regret``.
    """
    seen = one_improvement(game, alpha)

    def best(reward: FloatArray) -> FloatArray:
        return soft_optimum(game.with_rewards([reward]), alpha, tolerance=1e-13).policy

    policies = {
        "optimal": soft_optimum(game, alpha, tolerance=1e-13).policy,
        "learner, pi_1": seen.policies[0],
        "learner, pi_2": seen.policies[1],
        "observer, state-action": best(seen.state_action),
        "observer, state-only": best(seen.state_only.values),
    }
    earned = {who: soft_return(game, (policy,), 0, alpha) for who, policy in policies.items()}
    rows = [
        (who, score, abs(earned["optimal"] - score),
         *(LFL_TABLE_1[who, column].value for column in ("score", "regret")))
        for who, score in earned.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["agent", "score", "regret", "paper score", "paper regret"])


def table_2(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds with 95 % intervals, beside LfL's Table 2.

    Parameters
    ----------
    scores
        Rows of `malfl.companion.lfl.scores`, of one set of seeds.

    Returns
    -------
    DataFrame
        Columns ``learner``, ``who`` ("learner", its best policy seen; "learner, last"; or the
        observer), ``alpha`` by which the observer is best (`ACTED_BY`, and `TRUSTED` for the
        adaptive one), ``mean``, ``sd``, ``low``, ``high``, ``seeds``, ``gain`` over the learner's
        best policy with ``gain_low`` and ``gain_high``, and ``paper_mean``, ``paper_sd`` where the
        paper has them: for the observer as released.
    """
    rows: list[tuple[object, ...]] = []
    for key, group in scores.groupby(["learner", "observer"], sort=False):
        learner, observer = map(str, key)
        if observer == scores["observer"].iloc[0]:
            for who, column in (("learner", "learner score"), ("learner, last", "last score")):
                printed = _printed(learner, "learner" if who == "learner" else None)
                rows.append((learner, who, "", *interval(group[column]), *NO_GAIN, *printed))
        columns = ACTED_BY | ({TRUSTED: "trusted"} if observer == "adaptive" else {})
        for alpha, column in columns.items():
            gain = interval(group[column] - group["learner score"])
            of_paper = observer == "as released" and alpha == LEARNERS_ALPHA
            printed = _printed(learner, "observer" if of_paper else None)
            values = interval(group[column])
            gains = gain.mean, gain.low, gain.high
            rows.append((learner, observer, alpha, *values, *gains, *printed))
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = (
    "learner", "who", "alpha", "mean", "sd", "low", "high", "seeds", "gain", "gain_low",
    "gain_high", "paper_mean", "paper_sd",
)  # fmt: skip
NO_GAIN = (np.nan, np.nan, np.nan)


def table_2_for_print(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of `table_2`, a line for each who and alpha, a column for each learner."""
    cell = table["mean"].map("{:.2f}".format)
    half = (table["high"] - table["low"]) / 2
    cell += half.map(lambda width: f" ± {width:.2f}" if width > 0 else "")
    printed = table.dropna(subset="paper_mean")
    spread = printed["paper_sd"].map(lambda sd: "" if pd.isna(sd) else f" ± {sd:.2f}")
    paper = printed.assign(
        who="paper: " + printed["who"].replace("as released", "observer"),
        alpha="", cell=printed["paper_mean"].map("{:.2f}".format) + spread,
    )  # fmt: skip
    wide = pd.concat([paper, table.assign(cell=cell)]).pivot_table(
        "cell", ["who", "alpha"], "learner", aggfunc="first", sort=False
    )
    return wide.rename_axis(columns=None)


def scorecard_1(table: pd.DataFrame, chapter: str) -> pd.DataFrame:
    """Every cell of LfL's Table 1 beside ours, with a verdict.

    It is "reproduced" if ours, rounded or cut off, has the printed digits; a regret that is printed
    as a rounding error, if ours is one. Otherwise it "differs".

    Parameters
    ----------
    table
        As `table_1` returns it.

    Returns
    -------
    DataFrame
        With `malfl.companion.tables.SCORECARD`.
    """
    rows: list[tuple[object, ...]] = []
    for row in table.to_dict("records"):
        for column in ("score", "regret"):
            cell, ours = LFL_TABLE_1[row["agent"], column], float(row[column])
            tiny = column == "regret" and cell.value < NO_REGRET
            meets = ours < NO_REGRET if tiny else prints_as(ours, cell.value)
            rows.append(
                (cell.place, cell.value, ours, ours, ours, pd.NA, reproduced(meets), chapter)
            )
    return as_card(rows)


def scorecard_2(table: pd.DataFrame, chapter: str) -> pd.DataFrame:
    """Every cell of LfL's Table 2 beside ours, with a verdict, and what goes beyond it.

    "reproduced" if the printed value with its printed spread meets our 95 % interval, "differs" if
    not. An observer that earns more than the printed one, spread and intervals allowed for, is
    "beyond".

    Parameters
    ----------
    table
        As `table_2` returns it.

    Returns
    -------
    DataFrame
        With `malfl.companion.tables.SCORECARD`.
    """
    rows: list[tuple[object, ...]] = []
    for row in table.dropna(subset="paper_mean").to_dict("records"):
        cell = LFL_TABLE_2[row["learner"], "learner" if row["who"] == "learner" else "observer"]
        numbers = row["mean"], row["low"], row["high"], row["seeds"]
        verdict = reproduced(meets_print(row, cell))
        rows.append((cell.place, cell.value, *numbers, verdict, chapter))
    for row in table[table["alpha"] == TRUSTED].to_dict("records"):
        cell = LFL_TABLE_2[row["learner"], "observer"]
        if exceeds_print(row, cell):
            numbers = row["mean"], row["low"], row["high"], row["seeds"]
            item = f"{cell.place}, {row['who']}"
            rows.append((item, cell.value, *numbers, "beyond", chapter))
    return as_card(rows)


def scorecard_figure_3(recovered: FloatArray, true: FloatArray, chapter: str) -> pd.DataFrame:
    """LfL's Figure 3: whether a recovered reward of the state is the true one but for a constant.

    Parameters
    ----------
    recovered, true
        Over states, (S,).

    Returns
    -------
    DataFrame
        With the columns of a scorecard, one row: "reproduced" if nothing but rounding is left.
    """
    left = float(np.ptp(recovered - true))
    row = ("LfL, Figure 3", 0.0, left, left, left, pd.NA, reproduced(left < NO_REGRET), chapter)
    return as_card([row])


def prints_as(value: float, printed: float) -> bool:
    """Whether a value, rounded or cut off after as many digits, is the printed one."""
    digits = len(repr(printed).partition(".")[2])
    scale = 10.0**digits
    return printed in (round(value, digits), math.trunc(value * scale) / scale)


def matches(table: pd.DataFrame) -> pd.DataFrame:
    """Which observers earn at least what the learner did, as far as 95 % intervals can tell.

    Returns
    -------
    DataFrame
        Rows of `table_2` of observers with another column ``matches``: "more", "as much" (the
        interval of the gain holds 0) or "less".
    """
    observers = table.dropna(subset="gain")
    more, less = observers["gain_low"] > 0, observers["gain_high"] < 0
    return observers.assign(matches=np.select([more, less], ["more", "less"], "as much"))


def _printed(learner: str, who: str | None) -> tuple[float, float]:
    cell: Published | None = LFL_TABLE_2.get((learner, who)) if who else None
    if cell is None:
        return np.nan, np.nan
    return cell.value, np.nan if cell.spread is None else cell.spread
