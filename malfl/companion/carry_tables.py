"""How far recovery carries, in tables: of rows as `malfl.companion.recorded.recorded` has them."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from malfl.checks import FloatArray
from malfl.companion.carry import NOTHING
from malfl.companion.coverage import LEVELS
from malfl.companion.regimes import BENIGN
from malfl.recovery.trust import CONFIDENCE
from malfl.recovery.verdict import SOUND

USED = ("episodes", "counts")  #: what a user gets without naming an estimator
LOW, LOWEST = 0.8, 0.6  # correlations
WELL_SEEN = 0.97  # the correlation that a bound must allow for a game to count as well seen
MANY = 10  # directions of a game from which on a share of them says something
BANDS = {
    f"below {LOWEST}": (-np.inf, LOWEST),
    f"{LOWEST} to {LOW}": (LOWEST, LOW),
    f"{LOW} to {SOUND}": (LOW, SOUND),
    f"{SOUND} or more": (SOUND, np.inf),
}
Groups = Mapping[Hashable, pd.DataFrame]
VERDICTS = ("sound", "doubtful", "undetermined", NOTHING)


def how_made(provenance: Mapping[str, Any]) -> pd.DataFrame:
    """What `malfl.companion.recorded.provenance` says, a row each: ``what`` and ``value``."""
    said = {name: value for name, value in provenance.items() if name not in ("versions", "seeds")}
    seeds, versions = provenance["seeds"], provenance["versions"]
    said["seeds"] = f"{len(seeds)}, from {min(seeds)} to {max(seeds)}"
    said["versions"] = ", ".join(f"{name} {number}" for name, number in versions.items())
    return pd.DataFrame(
        [(name, str(value)) for name, value in said.items()], columns=["what", "value"]
    )


def correlations(rows: pd.DataFrame) -> "pd.Series[float]":
    """Of the identified part with the truth; 0 where nothing was found."""
    return rows["identified"].mask(rows["verdict"] == NOTHING, 0.0)


def by_regime(rows: pd.DataFrame) -> pd.DataFrame:
    """Distributions over games, for each regime or game and what was used.

    Returns
    -------
    DataFrame
        Columns ``regime``, ``used``, ``games``, then of correlations ``median`` and
        ``10th percentile``, the share ``sound``, and the number of sound ones below .9,
        ``sound below 0.9``.
    """
    table = []
    for (regime, used), group in rows.groupby(["regime", "used"], sort=False):
        found, sound = correlations(group), group["verdict"] == "sound"
        middle, low = found.quantile([0.5, 0.1])
        wrongly = int((sound & (found < SOUND)).sum())
        table.append((regime, used, len(group), middle, low, sound.mean(), wrongly))
    names = ["regime", "used", "games", "median", "10th percentile", "sound", "sound below 0.9"]
    return pd.DataFrame(table, columns=names)


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """`by_regime` to be read: a regime a row, episodes beside counts."""
    shown = ["median", "10th percentile", "sound"]
    wide = table[table["used"].isin(USED)].pivot_table(
        index=["regime", "games"], columns="used", values=shown, sort=False
    )
    order = [(name, used) for used in USED for name in shown]
    wide = wide[order].swaplevel(axis=1).round(3)
    wide.columns = wide.columns.set_names([None, None])
    return wide


def verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """How many results have which verdict (down) and which correlation with the truth (across)."""
    found = correlations(rows)
    bands = {
        name: [
            int(((rows["verdict"] == verdict) & (found >= low) & (found < high)).sum())
            for verdict in VERDICTS
        ]
        for name, (low, high) in BANDS.items()
    }
    return pd.DataFrame({"verdict": VERDICTS, **bands})


def promises(rows: pd.DataFrame) -> pd.DataFrame:
    """How often the correlation with the truth is at least the one promised.

    Returns
    -------
    DataFrame
        For right and wrong ``models`` and each ``used``: ``results`` with a promise, the share of
        these that have ``kept`` it, and the share that ``should`` have.
    """
    table = []
    made = rows.dropna(subset=["at_least"])
    for (right, used), group in made.groupby(["right", "used"], sort=False):
        kept = float((group["identified"] >= group["at_least"]).mean())
        table.append(("right" if right else "wrong", used, len(group), kept, CONFIDENCE))
    return pd.DataFrame(table, columns=["models", "used", "results", "kept", "should"])


def calibration(rows: pd.DataFrame) -> pd.DataFrame:
    """How often the truth is outside of intervals, along directions that the data determine.

    Returns
    -------
    DataFrame
        For each ``used`` and level: ``directions``, and the shares of them with the truth
        ``below`` and ``above`` the interval, beside what each ``should be``.
    """
    table = []
    for used, group in rows.dropna(subset="z").groupby("used", sort=False):
        weights = group["determined"]
        for level in LEVELS:
            shares = [
                float(np.average(group[f"{side}_{level}"], weights=weights))
                for side in ("below", "above")
            ]
            table.append((used, level, int(weights.sum()), *shares, 0.5 - level / 200))
    names = ["used", "interval, %", "directions", "below", "above", "each should be"]
    return pd.DataFrame(table, columns=names)


def covered(rows: pd.DataFrame) -> "pd.Series[float]":
    """The share of determined directions whose 95 % interval holds the truth; NaN if none."""
    return 1 - rows["below_95"] - rows["above_95"]


def coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """How well intervals hold in each regime.

    Returns
    -------
    DataFrame
        For each ``regime`` and ``used``: ``games`` with a direction that the data determine, the
        number of such ``directions``, the share of them that the 95 % interval ``covered``, and the
        90th percentile over games of the root mean square of errors in deviations, ``z``.
    """
    table = []
    for (regime, used), group in rows.dropna(subset="z").groupby(["regime", "used"], sort=False):
        inside = float(np.average(covered(group), weights=group["determined"]))
        many, high = int(group["determined"].sum()), group["z"].quantile(0.9)
        table.append((regime, used, len(group), many, inside, high))
    return pd.DataFrame(table, columns=["regime", "used", "games", "directions", "covered", "z"])


def distances(rows: pd.DataFrame) -> pd.DataFrame:
    """Errors relative to the bound, where learner and step size were known.

    Returns
    -------
    DataFrame
        For each ``regime`` and ``used``: ``games``, the root mean square ``ratio`` of error and
        bound, and the ``median`` ratio.
    """
    known, table = rows.dropna(subset=["bound", "error"]), []
    for (regime, used), group in known.groupby(["regime", "used"], sort=False):
        ratio = (group["error"] / group["bound"]).to_numpy()
        table.append((regime, used, len(group), root_mean_square(ratio), float(np.median(ratio))))
    return pd.DataFrame(table, columns=["regime", "used", "games", "ratio", "median"])


def root_mean_square(values: FloatArray) -> float:
    """NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else np.nan


class Claim(NamedTuple):
    """What is to hold, and what was found."""

    claim: str
    wanted: str
    found: float
    results: int
    holds: bool


def claims(rows: pd.DataFrame) -> pd.DataFrame:
    """What results are to be worth, beside what they are: columns of `Claim`."""
    random = rows[rows["kind"] == "random"]
    by: Groups = dict(iter(random.groupby(["regime", "used"], sort=False)))
    own, joint = "rewards of own actions", "rewards of joint actions"
    found = [
        *_correlations("benign, episodes", by.get((BENIGN, "episodes")), 0.98, 0.85),
        *_correlations("benign, counts only", by.get((BENIGN, "counts")), 0.92, 0.75),
        *_correlations(f"{own}, replay", by.get((own, "replay")), 0.98, 0.93),
        *_correlations(f"{joint}, replay", by.get((joint, "replay")), 0.95, 0.88),
        *_calibrated(random[random["right"] & random["used"].isin(USED)]),
        *_verdicts(rows[rows["used"].isin(USED)]),
        *_bounds(by),
    ]
    return pd.DataFrame(found, columns=Claim._fields)


def _at_least(claim: str, results: int, found: np.floating[Any] | float, wanted: float) -> Claim:
    return Claim(claim, f"at least {wanted:g}", float(found), results, bool(found >= wanted))


def _at_most(claim: str, results: int, found: np.floating[Any] | float, wanted: float) -> Claim:
    return Claim(claim, f"at most {wanted:g}", float(found), results, bool(found <= wanted))


def _correlations(
    name: str, rows: pd.DataFrame | None, middle: float, low: float
) -> Iterator[Claim]:
    if rows is not None:
        found, n = correlations(rows), len(rows)
        yield _at_least(f"correlation, {name}: median", n, found.median(), middle)
        yield _at_least(f"correlation, {name}: 10th percentile", n, found.quantile(0.1), low)


def _calibrated(rows: pd.DataFrame) -> Iterator[Claim]:
    for used, group in rows.dropna(subset="z").groupby("used", sort=False):
        high = group["z"].quantile(0.9)
        yield _at_most(f"z, right models, {used}: 90th percentile", len(group), high, 2.0)
        name = f"coverage of 95 % intervals, right models, {used}"
        regimes = coverage(group)["covered"]
        yield _at_least(f"{name}: median of regimes", len(regimes), regimes.median(), 0.92)
        yield _at_most(f"{name}: median of regimes", len(regimes), regimes.median(), 0.98)
        games = covered(group[group["determined"] >= MANY])
        low = games.quantile(0.1)
        yield _at_least(f"{name}: 10th percentile of games", len(games), low, 0.75)


def _verdicts(rows: pd.DataFrame) -> Iterator[Claim]:
    found, sound = correlations(rows), rows["verdict"] == "sound"
    trusted, poor = found[sound], found < LOW
    good = (trusted >= SOUND).mean()
    yield _at_least("sound results: share of .9 or more", len(trusted), good, 0.95)
    yield _at_least("sound results: the lowest", len(trusted), trusted.min(), LOWEST)
    share = (~sound[poor]).mean()
    yield _at_least("results below .8: share that is not sound", int(poor.sum()), share, 0.95)
    for used in USED:
        seen = sound[rows["right"] & (rows["possible"] > WELL_SEEN) & (rows["used"] == used)]
        name = f"right models, {WELL_SEEN} possible, {used}: share that is sound"
        yield _at_least(name, len(seen), seen.mean(), 0.8)


def _bounds(by: Groups) -> Iterator[Claim]:
    for used, wanted in (("replay", 1.1), ("structural", 1.15)):
        if (BENIGN, used) in by:
            rows = by[BENIGN, used].dropna(subset="bound")
            ratio = root_mean_square((rows["error"] / rows["bound"]).to_numpy())
            yield _at_most(f"error over its bound, benign, {used}", len(rows), ratio, wanted)
