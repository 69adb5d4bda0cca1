"""Slopes in blocks against the same numbers in one array."""

import numpy as np
import pytest

from malfl.recovery import parts
from malfl.recovery.slopes import Block, Slopes

GROUPS = [([0, 2], 3), ([1, 2, 4], 2), ([3], 4)]  # numbers that choices depend on, and how many
NUMBERS, ACTIONS = 5, 3


@pytest.fixture(params=["one part", "several"])
def both(request, monkeypatch):
    """Blocks, and all of it in one array (G, A_i, K)."""
    if request.param == "several":
        monkeypatch.setattr(parts, "MANY", 1)
        monkeypatch.setattr(parts, "LEAST", 1)
    rng, blocks, whole, begin = np.random.default_rng(0), [], [], 0
    for columns, size in GROUPS:
        values = rng.normal(size=(size, ACTIONS, len(columns)))
        blocks.append(Block(slice(begin, begin + size), np.array(columns), values))
        full = np.zeros((size, ACTIONS, NUMBERS))
        full[:, :, columns] = values
        whole.append(full)
        begin += size
    array = np.concatenate(whole)
    return Slopes(blocks, array.shape), array


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_logits_of_a_reward(both, rng):
    slopes, array = both
    reward = rng.normal(size=NUMBERS)
    np.testing.assert_allclose(slopes.at(reward), array @ reward)
    np.testing.assert_array_equal(Slopes.of(array).at(reward), array @ reward)


def test_sums_along_what_is_given(both, rng):
    slopes, array = both
    rest = rng.normal(size=array.shape[:2])
    expected = np.einsum("gak,ga->k", array, rest)
    np.testing.assert_allclose(slopes.along(rest), expected)
    np.testing.assert_allclose(Slopes.of(array).along(rest), expected)


def test_mixtures_and_squares(both, rng):
    slopes, array = both
    assert len(slopes.parts) in (1, 2)
    matrices = rng.normal(size=(len(array), 2, ACTIONS))
    mixed = matrices @ array
    expected = np.einsum("gbk,gbl->kl", mixed, mixed)
    np.testing.assert_allclose(slopes.mixed(matrices).square().whole(), expected)
    np.testing.assert_allclose(Slopes.of(array).mixed(matrices).square().whole(), expected)
    assert slopes.mixed(matrices).shape == mixed.shape


def test_how_far_they_are_apart(both, rng):
    slopes, array = both
    known = rng.random(array.shape[:2]) < 0.8
    known[:, 0] = True
    expected = np.zeros(NUMBERS)
    for row, mask in zip(array, known, strict=True):
        far = np.abs(row[mask] - row[mask].mean(axis=0)).max(axis=0)
        expected = np.maximum(expected, far)
    np.testing.assert_allclose(slopes.apart(known), expected)
    np.testing.assert_allclose(Slopes.of(array).apart(known), expected)


def test_a_factor_and_the_largest(both, rng):
    slopes, array = both
    known = rng.random(array.shape[:2]) < 0.5
    expected = 2.5 * np.where(known[..., None], array, 0)
    reward = rng.normal(size=NUMBERS)
    np.testing.assert_allclose(slopes.times(2.5, known).at(reward), expected @ reward)
    assert slopes.largest() == np.abs(array).max()
    assert Slopes([], (0, ACTIONS, NUMBERS)).largest() == 0


def test_nothing_to_choose_is_one_part(monkeypatch):
    monkeypatch.setattr(parts, "MANY", 1)
    assert Slopes([], (0, ACTIONS, NUMBERS)).parts == (slice(None),)
