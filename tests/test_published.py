"""The printed numbers, typed a second time from the paper's pages."""

from malfl.published import TABLE_1, TABLE_2, TABLE_3

PRINTED_TABLE_1 = """
PCC 1     0.48 0.06  0.45 0.04
PCC 2     0.59 0.02  0.42 0.02
PCC mean  0.54 0.03  0.44 0.01
SCC 1     0.44 0.14  0.51 0.02
SCC 2     0.60 0.04  0.43 0.03
SCC mean  0.52 0.06  0.47 0.01
"""


def test_table_1():
    rows = [line.split() for line in PRINTED_TABLE_1.strip().splitlines()]
    assert len(TABLE_1) == 2 * len(rows)
    for metric, agent, *numbers in rows:
        hom, hom_spread, het, het_spread = map(float, numbers)
        for game, value, spread in (("hom", hom, hom_spread), ("het", het, het_spread)):
            cell = TABLE_1[game, metric, agent]
            assert (cell.value, cell.spread) == (value, spread)
            assert cell.place.startswith("MA-LfL, Table 1, ")
            assert cell.place.endswith(f"M_{game}")


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
