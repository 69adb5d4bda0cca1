import naive
import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov

from malfl.kernels.learned_noise import Reach, relax
from malfl.recovery.learned_values import process_of

GAMMA = 0.9


@pytest.fixture
def given(game, policies):
    """Rates, how far entries are on their way, noise and what is carried on, for the last agent."""
    rng = np.random.default_rng(0)
    process = process_of(game, policies, game.n_agents - 1, 0.7)
    rates = np.where(
        rng.random(process.policy.size) < 0.2, 0.0, 10 * rng.random(process.policy.size)
    )
    both = rates[:, None] + rates[None, :]
    relaxed = np.where(both > 0, -np.expm1(-both) / np.where(both > 0, both, 1.0), 0.0)
    noise, carried = rng.random((2, rates.size))
    return process, rates, relaxed, noise, carried


def reach_of(process):
    return Reach(process.reach.indptr, process.reach.indices, process.reach.data)


def test_rounds_are_the_oracles(given):
    process, *numbers = given
    pairs = process.policy.size
    covariance, theirs = np.zeros((pairs, pairs)), np.zeros((pairs, pairs))
    for _ in range(4):
        change = relax(reach_of(process), process.policy, *numbers, GAMMA, covariance)
        before, theirs = (
            theirs,
            naive.noise_round(process.reach.toarray(), process.policy, *numbers, GAMMA, theirs),
        )
        np.testing.assert_allclose(covariance, theirs, rtol=1e-12, atol=1e-14)
        assert change == pytest.approx(np.abs(theirs - before).max())
    assert np.abs(theirs).max() > 0


def test_it_comes_to_rest_where_the_equation_says(given):
    """All entries at rest, noise given: a continuous Lyapunov equation."""
    process, rates, _, noise, carried = given
    rates = rates + 1.0
    relaxed = 1 / (rates[:, None] + rates[None, :])
    covariance = np.zeros((rates.size, rates.size))
    for _ in range(400):
        change = relax(
            reach_of(process), process.policy, rates, relaxed, noise, 0 * carried, GAMMA, covariance
        )
    assert change < 1e-10
    follow = process.reach.toarray()[:, :, None] * process.policy
    drift = rates[:, None] * (np.eye(rates.size) - GAMMA * follow.reshape(rates.size, -1))
    theirs = solve_continuous_lyapunov(drift, np.diag(noise))
    np.testing.assert_allclose(covariance, theirs, atol=1e-8)
