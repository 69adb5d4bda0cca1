import numpy as np
import pytest

from malfl.recovery.prior import Posterior
from malfl.recovery.trust import deviations, informed, promise


def posterior(reward, covariance, prior=1.0):
    return Posterior(np.asarray(reward, dtype=float), np.asarray(covariance), prior, 0.0, True)


def test_deviations_are_without_a_constant():
    covariance = np.ones((3, 3)) + np.diag([0.1, 0.2, 0.3])
    found = deviations(covariance, np.array([True, True, True]))
    centre = np.eye(3) - 1 / 3
    expected = np.sqrt(np.diag(centre @ np.diag([0.1, 0.2, 0.3]) @ centre))
    np.testing.assert_allclose(found, expected)
    part = deviations(covariance, np.array([True, False, True]))
    assert np.isnan(part[1])
    np.testing.assert_allclose(part[[0, 2]], np.sqrt((0.1 + 0.3) / 4))


def test_directions_that_the_data_say_nothing_of_are_left_out():
    basis = informed(np.diag([4.0, 1e-12, 1.0, 0.0]))
    assert basis.shape == (4, 2)
    np.testing.assert_allclose(np.abs(basis).sum(axis=1), [1, 0, 1, 0])
    assert informed(np.zeros((2, 2))).shape == (2, 0)


@pytest.mark.parametrize("spread", [0.02, 0.3, 1.0])
def test_correlations_are_as_often_as_low_as_promised(spread):
    """Over true rewards drawn from the posterior, by a run of its own."""
    rng = np.random.default_rng(5)
    reward = rng.normal(size=8)
    root = spread * rng.normal(size=(8, 8))
    found = promise(posterior(reward, root @ root.T, 10.0), np.eye(8), np.ones(8, dtype=bool))
    truths = reward + rng.normal(size=(20000, 8)) @ root.T
    cosines = truths @ reward / np.linalg.norm(truths, axis=1) / np.linalg.norm(reward)
    assert found.correlation == pytest.approx(np.median(cosines), abs=0.05)
    assert (cosines >= found.at_least).mean() == pytest.approx(0.95, abs=0.02)


def test_only_what_is_shown_counts():
    covariance = np.diag([1e-4, 1e-4, 100.0])
    shown = np.eye(3)[:, :2]
    found = promise(posterior([1, -1, 50], covariance), shown, np.ones(3, dtype=bool))
    assert found.at_least > 0.999
    assert (found.directions, found.determined) == (2, 2)
    whole = promise(posterior([1, -1, 50], covariance), np.eye(3), np.ones(3, dtype=bool))
    assert (whole.directions, whole.determined) == (3, 2)
    assert whole.weak.tolist() == [2]


def test_what_is_hardly_known_is_named():
    covariance = np.diag([0.01, 0.24, 0.26, 0.9])
    touched = np.array([True, True, True, False])
    found = promise(posterior([1, 2, 3, 0], covariance), np.eye(4), touched)
    assert found.weak.tolist() == [2, 3]
    assert found.determined == 1


def test_where_nothing_is_shown_nothing_is_promised():
    found = promise(posterior([1, 2], np.eye(2)), np.zeros((2, 0)), np.ones(2, dtype=bool))
    assert (found.correlation, found.at_least, found.directions) == (0, 0, 0)
    assert found.weak.tolist() == [0, 1]


def test_what_it_says():
    found = promise(posterior([1, -1], 1e-6 * np.eye(2)), np.eye(2), np.ones(2, dtype=bool))
    first, second = found.lines()
    assert first.startswith("Correlation with the true reward, if the model is right: 1.000 to be")
    assert first.endswith("1.000 or more with a probability of 95%")
    assert second == "Directions determined: 2 of 2"
