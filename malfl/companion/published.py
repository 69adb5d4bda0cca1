"""Every number printed in the papers' tables, with its place. Ours are never kept here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A printed number; ``spread`` is what follows the plus-minus sign, if anything does."""

    place: str
    value: float
    spread: float | None = None


def _table_1(metric: str, hom: tuple[float, float], het: tuple[float, float]) -> list[Published]:
    place = f"MA-LfL, Table 1, {metric}"
    return [Published(f"{place}, M_{game}", *cell) for game, cell in (("hom", hom), ("het", het))]


_ROWS = {
    ("PCC", "0"): _table_1("PCC #1", (0.48, 0.06), (0.45, 0.04)),
    ("PCC", "1"): _table_1("PCC #2", (0.59, 0.02), (0.42, 0.02)),
    ("PCC", "mean"): _table_1("P-hat", (0.54, 0.03), (0.44, 0.01)),
    ("SCC", "0"): _table_1("SCC #1", (0.44, 0.14), (0.51, 0.02)),
    ("SCC", "1"): _table_1("SCC #2", (0.60, 0.04), (0.43, 0.03)),
    ("SCC", "mean"): _table_1("S-hat", (0.52, 0.06), (0.47, 0.01)),
}

TABLE_1: dict[tuple[str, str, str], Published] = {
    (game, metric, agent): cell
    for (metric, agent), cells in _ROWS.items()
    for game, cell in zip(("hom", "het"), cells, strict=True)
}
"""Keys are game "hom" or "het", metric "PCC" or "SCC", and agent "0", "1" or "mean".

The paper counts agents from 1: its #1 is our agent 0.
The caption calls the spreads variances over random seeds.
"""

TABLE_2: dict[tuple[str, str, str], Published] = {
    (estimated, truth, metric): Published(
        f"MA-LfL, Table 2, estimated {estimated}, true {truth}, {metric}", value
    )
    for (estimated, truth, metric), value in {
        ("disjoint", "disjoint", "PCC"): 0.55,
        ("disjoint", "disjoint", "SCC"): 0.57,
        ("disjoint", "joint", "PCC"): 0.4,
        ("disjoint", "joint", "SCC"): 0.37,
        ("joint", "disjoint", "PCC"): 0.32,
        ("joint", "disjoint", "SCC"): 0.33,
        ("joint", "joint", "PCC"): 0.47,
        ("joint", "joint", "SCC"): 0.51,
    }.items()
}
"""Keys are the estimated and the true reward, "disjoint" or "joint", and "PCC" or "SCC"."""

TABLE_3: dict[str, Published] = {
    name: Published(f"MA-LfL, Table 3, {name}", value)
    for name, value in {
        "Alpha": 3,
        "Beta": 0.1,
        "Gamma": 0.9,
        "Episode Length": 1000,
        "Iteration #": 10,
        "Episode #": 3000,
        "Entropy Coefficient": 0.3,
        "Adam Learning Rate": 0.1,
        "Adam Epoch #": 10,
        "Reward Adam Epoch #": 1000,
        "Reward Adam Learning Rate": 0.01,
    }.items()
}
"""By the name that the table prints."""

LFL_TABLE_1: dict[tuple[str, str], Published] = {
    (row, column): Published(f"LfL, Table 1, {row}, {column}", value)
    for row, values in {
        "optimal": (5.68, 0.0),
        "learner, pi_1": (-19.7, 25.4),
        "learner, pi_2": (0.72, 4.95),
        "observer, state-action": (5.68, 1e-13),
        "observer, state-only": (5.68, 1e-10),
    }.items()
    for column, value in zip(("score", "regret"), values, strict=True)
}
"""Keys are the row and "score" or "regret". Of the observers' regrets only the size is printed."""

LFL_TABLE_2: dict[tuple[str, str], Published] = {
    (learner, who): Published(f"LfL, Table 2, {learner}, {who}", *cell)
    for learner, cells in {
        "soft policy iteration": ((4.18, None), (4.68, 0.24)),
        "soft value iteration": ((3.59, None), (4.73, 0.61)),
        "Q-learning": ((3.99, 0.88), (3.65, 0.78)),
        "random improvements": ((-1.76, 2.64), (3.95, 0.49)),
    }.items()
    for who, cell in zip(("learner", "observer"), cells, strict=True)
}
"""Keys are the learner and "learner" or "observer"; means and spreads over ten runs.

The sign of the random improvements' score is lost in the text we have; it is the one that fits.
"""

LFL_TABLE_3: dict[tuple[str, str], Published] = {
    (environment, method): Published(f"LfL, Table 3, {environment}, {method}", *cell)
    for environment, cells in {
        "Reacher": {"DAC": (0.99, None), "LfL": (1.54, 0.11)},
        "Hopper": {"DAC": (0.99, None), "LfL": (-0.99, 0.78)},
        "Half Cheetah": {"AIRL": (1.01, None), "DAC": (1.15, None), "LfL": (1.40, 0.25)},
        "Ant": {"AIRL": (0.80, None), "DAC": (1.12, None), "LfL": (1.53, 0.60)},
    }.items()
    for method, cell in cells.items()
}
"""By (environment, method). AIRL's and DAC's are quoted there from those methods' own papers."""
