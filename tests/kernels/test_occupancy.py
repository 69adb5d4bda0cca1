import numpy as np
import pytest

from malfl.kernels.occupancy import flow, joint_counts, split


def parts_of(number, odds, rng, first=0, last=None):
    parts = np.zeros(len(odds), dtype=np.int64)
    last = len(odds) if last is None else last
    split(rng, number, np.array(odds, dtype=float), first, last, parts)
    return parts


def test_splits_add_up_and_stay_within_bounds():
    rng = np.random.default_rng(0)
    for _ in range(100):
        odds = rng.random(6) * rng.choice([1e-9, 1, 1e9])
        number = int(rng.integers(1000))
        parts = parts_of(number, odds, rng, 1, 4)
        assert parts.sum() == number
        assert (parts >= 0).all()
        assert not parts[[0, 4, 5]].any()


def test_splits_are_added():
    parts = np.full(3, 5)
    split(np.random.default_rng(0), 7, np.array([0.2, 0.3, 0.5]), 0, 3, parts)
    assert parts.sum() == 22
    assert (parts >= 5).all()


@pytest.mark.parametrize("odds", [[0, 1, 0], [0.1, 0, 0.7, 0.2, 0], [0, 0, 3e-300], [1, 0, 0]])
def test_nothing_goes_where_the_odds_are_zero(odds):
    rng = np.random.default_rng(0)
    for number in (1, 10, 10**9):
        parts = parts_of(number, odds, rng)
        assert parts.sum() == number
        assert not parts[np.array(odds) == 0].any()


@pytest.mark.parametrize("number", [1, 7, 200])
def test_splits_are_multinomial(number):
    rng = np.random.default_rng(number)
    odds = np.array([0.45, 0.05, 0.15, 0.35])
    samples = np.array([parts_of(number, 3 * odds, rng) for _ in range(3000)])
    deviations = samples - number * odds
    products = deviations[:, :, None] * deviations[:, None, :]
    covariance = number * (np.diag(odds) - np.outer(odds, odds))
    for sample, expected in ((deviations, 0), (products, covariance)):
        z = (sample.mean(axis=0) - expected) / (sample.std(axis=0) / np.sqrt(len(sample)))
        assert np.abs(z).max() < 4


def test_a_certain_chain_is_followed_step_by_step():
    occupancy = np.array([5, 2, 0])
    flows = np.zeros(3, dtype=np.int64)
    successors = np.array([1, 2, 0])
    flow(np.random.default_rng(0), occupancy, 2, np.arange(4), successors, np.ones(3), flows)
    np.testing.assert_array_equal(occupancy, [2, 0, 5])
    np.testing.assert_array_equal(flows, [5, 7, 2])


def test_episodes_that_flow_are_neither_lost_nor_made():
    rng = np.random.default_rng(1)
    occupancy, flows = np.array([50, 0, 9, 1]), np.zeros(16, dtype=np.int64)
    odds = rng.dirichlet(np.ones(4), size=4).ravel()
    flow(rng, occupancy, 6, np.arange(0, 17, 4), np.tile(np.arange(4), 4), odds, flows)
    assert occupancy.sum() == 60
    assert flows.sum() == 360


def test_flows_come_from_the_actions_that_can_cause_them():
    flows = np.array([100, 0, 30])
    counts = np.zeros((2, 3), dtype=np.int64)
    joint_counts(
        np.random.default_rng(0),
        flows,
        np.array([0, 2, 3, 4]),
        np.array([0.2, 0.3, 0.5, 1e-12]),  # of the flows, in proportion
        np.array([0, 2, 1, 1]),
        np.array([0, 0, 1]),
        counts,
    )
    assert counts[0, [0, 2]].sum() == 100
    assert 20 < counts[0, 0] < 60
    np.testing.assert_array_equal(counts[[0, 1, 1, 1], [1, 0, 1, 2]], [0, 0, 30, 0])
