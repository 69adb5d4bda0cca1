"""The printed numbers, typed a second time from the papers' pages."""

from malfl.companion.published import (
    LFL_TABLE_1,
    LFL_TABLE_2,
    LFL_TABLE_3,
    TABLE_1,
    TABLE_2,
    TABLE_3,
)

PRINTED_TABLE_1 = """
PCC #1  0.48 0.06  0.45 0.04
PCC #2  0.59 0.02  0.42 0.02
P-hat   0.54 0.03  0.44 0.01
SCC #1  0.44 0.14  0.51 0.02
SCC #2  0.60 0.04  0.43 0.03
S-hat   0.52 0.06  0.47 0.01
"""


def test_table_1_with_agents_counted_from_0():
    rows = [line.rsplit(maxsplit=4) for line in PRINTED_TABLE_1.strip().splitlines()]
    assert len(TABLE_1) == 2 * len(rows)
    for row, *numbers in rows:
        metric, _, agent = row.partition(" #")
        key = (metric, str(int(agent) - 1)) if agent else (f"{row[0]}CC", "mean")
        hom, hom_spread, het, het_spread = map(float, numbers)
        for game, value, spread in (("hom", hom, hom_spread), ("het", het, het_spread)):
            cell = TABLE_1[game, *key]
            assert (cell.value, cell.spread) == (value, spread)
            assert cell.place == f"MA-LfL, Table 1, {row}, M_{game}"


def test_table_2():
    rewards = ("disjoint", "joint")
    keys = [(e, t, m) for e in rewards for m in ("PCC", "SCC") for t in rewards]
    printed = [0.55, 0.4, 0.57, 0.37, 0.32, 0.47, 0.33, 0.51]
    assert [TABLE_2[key].value for key in keys] == printed
    assert len(TABLE_2) == 8


def test_table_3():
    assert [cell.value for cell in TABLE_3.values()] == [
        3, 0.1, 0.9, 1000, 10, 3000, 0.3, 0.1, 10, 1000, 0.01
    ]  # fmt: skip


PRINTED_LFL_TABLE_1 = """
optimal                 5.68   0
learner, pi_1           -19.7  25.4
learner, pi_2           0.72   4.95
observer, state-action  5.68   1e-13
observer, state-only    5.68   1e-10
"""


def test_lfl_table_1():
    rows = [line.rsplit(maxsplit=2) for line in PRINTED_LFL_TABLE_1.strip().splitlines()]
    assert len(LFL_TABLE_1) == 2 * len(rows)
    for row, *numbers in rows:
        for column, number in zip(("score", "regret"), numbers, strict=True):
            cell = LFL_TABLE_1[row, column]
            assert (cell.value, cell.spread) == (float(number), None)
            assert cell.place == f"LfL, Table 1, {row}, {column}"


# The text has no signs and no plus-minus signs: "rand. impro. 10 1.76 2.64 3.95 0.49".
PRINTED_LFL_TABLE_2 = """
soft policy iteration  4.18  none  4.68 0.24
soft value iteration   3.59  none  4.73 0.61
Q-learning             3.99  0.88  3.65 0.78
random improvements    -1.76 2.64  3.95 0.49
"""


def test_lfl_table_2():
    rows = [line.rsplit(maxsplit=4) for line in PRINTED_LFL_TABLE_2.strip().splitlines()]
    assert len(LFL_TABLE_2) == 2 * len(rows)
    for learner, *numbers in rows:
        value, spread, *observer = [None if n == "none" else float(n) for n in numbers]
        for who, cell in (("learner", (value, spread)), ("observer", tuple(observer))):
            printed = LFL_TABLE_2[learner, who]
            assert (printed.value, printed.spread) == cell
            assert printed.place == f"LfL, Table 2, {learner}, {who}"


# "/" where the paper has no number; signs of plus and minus are lost in the text.
PRINTED_LFL_TABLE_3 = """
Reacher      /    0.99  1.54 0.11
Hopper       /    0.99 -0.99 0.78
Half Cheetah 1.01 1.15  1.40 0.25
Ant          0.80 1.12  1.53 0.60
"""


def test_lfl_table_3():
    seen = {}
    for line in PRINTED_LFL_TABLE_3.strip().splitlines():
        name, airl, dac, lfl, spread = line.rsplit(maxsplit=4)
        cells = {"AIRL": (airl, "/"), "DAC": (dac, "/"), "LfL": (lfl, spread)}
        for method, (value, plus) in cells.items():
            if value != "/":
                seen[name, method] = (float(value), None if plus == "/" else float(plus))
    assert {key: (cell.value, cell.spread) for key, cell in LFL_TABLE_3.items()} == seen
    for (name, method), cell in LFL_TABLE_3.items():
        assert cell.place == f"LfL, Table 3, {name}, {method}"
