from fractions import Fraction

import naive
import numpy as np
import pytest

from malfl.kernels.alias import fill_slots
from malfl.play.player import bits_for


def tables(rows):
    """A table a row, decoded."""
    rows = np.asarray(rows, dtype=float)
    bits = bits_for(rows.shape[1])
    slots = np.full(len(rows) << bits, 2**64 - 1, dtype=np.uint64)
    fill_slots(rows, bits, slots)
    return [naive.alias_odds(table, bits) for table in slots.reshape(len(rows), -1)]


@pytest.mark.parametrize("outcomes", [1, 2, 3, 5, 8, 25, 64, 1000])
def test_tables_hold_the_probabilities(outcomes):
    rng = np.random.default_rng(outcomes)
    rows = np.concatenate(
        [
            rng.dirichlet(np.ones(outcomes), size=3),
            rng.dirichlet(np.full(outcomes, 0.01), size=3),
            np.full((1, outcomes), 1 / outcomes),
            np.eye(outcomes)[[0, outcomes // 2, -1]],
        ]
    )
    for row, odds in zip(rows, tables(rows), strict=True):
        assert sum(odds) == 1
        assert not any(odds[outcomes:])
        np.testing.assert_allclose([float(p) for p in odds[:outcomes]], row, rtol=0, atol=1e-13)


def test_tables_hold_random_rows_with_zeros():
    rng = np.random.default_rng(0)
    for _ in range(200):
        outcomes = int(rng.integers(1, 40))
        weights = rng.random(outcomes) ** rng.integers(1, 30) * (rng.random(outcomes) < 0.5)
        weights[rng.integers(outcomes)] += 0.1
        row = weights / weights.sum()
        (odds,) = tables([row])
        for p, held in zip(row, odds[:outcomes], strict=True):
            assert (held == 0) == (p == 0) or p < 1e-17
            assert abs(float(held) - p) <= 1e-15
        assert not any(odds[outcomes:])


def test_halves_and_quarters_are_as_exact_as_slots_can_be():
    rows = [[0.25, 0.75, 0, 0, 0], [0.5, 0, 0, 0.125, 0.375], [0, 0, 1, 0, 0]]
    for row, odds in zip(rows, tables(rows), strict=True):
        for p, held in zip([*row, 0, 0, 0], odds, strict=True):
            assert abs(held - Fraction(p)) < Fraction(8 * 8, 2**64)  # 8 slots, each off by up to 8
        assert [held == 1 for held in odds[:5]] == [p == 1 for p in row]


def test_tables_hold_the_smallest_probabilities():
    rows = [[1 - 1e-12, 1e-12, 0], [1e-12, 0.5, 0.5 - 1e-12], [1 - 2e-12, 1e-12, 1e-12]]
    for row, odds in zip(rows, tables(rows), strict=True):
        for p, held in zip(row, odds, strict=False):
            assert float(held) == pytest.approx(p, rel=1e-6, abs=0)


@pytest.mark.parametrize("total", [1 - 1e-9, 1 + 1e-9])
def test_rows_need_not_sum_to_exactly_one(total):
    ((one, none, *rest),) = tables([[total, 0, 0]])
    assert [one, none, *rest] == [1, 0, 0, 0]
    ((few, many, *rest),) = tables([[0.1 * total, 0.9 * total]])
    assert float(few) == pytest.approx(0.1, rel=1e-14)
    assert [few + many, *rest] == [1, 0, 0]


def test_rows_stand_side_by_side():
    rng = np.random.default_rng(1)
    rows = rng.dirichlet(np.ones(3), size=6)
    assert tables(rows) == [tables([row])[0] for row in rows]
