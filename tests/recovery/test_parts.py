"""What is done part by part, against the same with whole matrices."""

import numpy as np
import pytest

from malfl.recovery import parts
from malfl.recovery.parts import (
    Symmetric,
    eigh_by_parts,
    eigvalsh_by_parts,
    mixture,
    parts_of,
    square,
    together,
)

SIZES = [40, 7, 1, 25, 2, 60]  # of groups that nothing connects


@pytest.fixture
def matrix(monkeypatch):
    """Positive definite; the groups' rows are mixed up."""
    monkeypatch.setattr(parts, "MANY", 10)
    monkeypatch.setattr(parts, "LEAST", 20)
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    within = labels[:, None] == labels
    root = np.where(within, rng.normal(size=within.shape), 0.0)
    return root @ root.T + np.eye(len(labels))


def by_parts(matrix):
    parts = parts_of(matrix)
    return Symmetric(parts, [matrix[square(part)] for part in parts])


def test_rows_that_nothing_connects(matrix):
    found = parts_of(matrix)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(matrix)))
    assert len(found) > 2
    for one in found:
        others = np.setdiff1d(np.arange(len(matrix)), one)
        assert not matrix[np.ix_(one, others)].any()


def test_small_groups_are_put_together(monkeypatch):
    monkeypatch.setattr(parts, "LEAST", 20)
    labels = np.repeat(np.arange(6), [5, 5, 30, 5, 25, 5])
    assert [len(group) for group in together(labels)] == [10, 35, 25, 5]
    assert [len(group) for group in together(np.arange(200))] == [19, *[20] * 9, 1]


def test_a_small_matrix_is_one_part(matrix, monkeypatch):
    monkeypatch.setattr(parts, "MANY", len(matrix) + 1)
    assert parts_of(matrix) == (slice(None),)
    monkeypatch.setattr(parts, "MANY", 10)
    (everything,) = parts_of(matrix + 1.0)
    np.testing.assert_array_equal(everything, np.arange(len(matrix)))


def test_matrices_part_by_part(matrix):
    rng, made = np.random.default_rng(1), by_parts(matrix)
    np.testing.assert_array_equal(made.whole(), matrix)
    ridged, factor = matrix + 0.5 * np.eye(len(matrix)), made.factor(0.5)
    vector = rng.normal(size=len(matrix))
    np.testing.assert_allclose(factor.solve(vector), np.linalg.solve(ridged, vector), atol=1e-9)
    np.testing.assert_allclose(factor.inverse().whole(), np.linalg.inv(ridged), atol=1e-9)
    size = np.linalg.slogdet(ridged)[1]
    assert 2 * np.log(factor.diagonal()).sum() == pytest.approx(size)
    assert factor.trace(made) == pytest.approx(np.trace(np.linalg.solve(ridged, matrix)))
    twice = mixture([made, factor.inverse()], np.array([2.0, 3.0]))
    np.testing.assert_allclose(twice.whole(), 2 * matrix + 3 * np.linalg.inv(ridged), atol=1e-9)


def test_a_matrix_that_is_not_definite_has_no_factor(matrix):
    with pytest.raises(np.linalg.LinAlgError):
        by_parts(-matrix).factor(0.5)


def test_eigenvalues_part_by_part(matrix):
    sizes, axes = eigh_by_parts(matrix)
    np.testing.assert_allclose(sizes, np.linalg.eigvalsh(matrix))
    np.testing.assert_allclose(eigvalsh_by_parts(matrix), sizes)
    np.testing.assert_allclose(axes.T @ axes, np.eye(len(matrix)), atol=1e-12)
    np.testing.assert_allclose(axes * sizes @ axes.T, matrix, atol=1e-9)
