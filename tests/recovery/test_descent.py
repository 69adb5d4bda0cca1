import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl.recovery.consistency import consistency_system
from malfl.recovery.descent import descend

ALPHA = 0.9
WEIGHTS = np.random.default_rng(0).integers(1, 9, size=(3, 2, 3)).astype(float)


@pytest.fixture
def system():
    rng = np.random.default_rng(0)
    game = random_game(rng, states=2)
    draws = [random_policies(game.actions, game.n_states, rng) for _ in range(4)]
    history = tuple(np.array(agent) for agent in zip(*draws, strict=True))
    return consistency_system(game, history, 1, ALPHA, "joint-action", WEIGHTS)


@pytest.fixture
def both(system):
    return np.hstack([system.reward.toarray(), system.shaping.toarray()])


@pytest.fixture
def gradient(system, both):
    """Of the plain weighted sum of squares."""
    return lambda x: 2 * both.T @ (WEIGHTS.ravel() * (both @ x - system.targets))


def test_adam_takes_the_oracles_steps(system, both, gradient):
    theirs = naive.adam(gradient, np.zeros(both.shape[1]), 40, 0.05)
    fit = descend(system, 40, 0.05)
    np.testing.assert_allclose(np.concatenate([fit.reward, fit.shapings]), theirs, atol=1e-12)
    assert fit.steps == 40
    assert fit.loss == pytest.approx(WEIGHTS.ravel() @ (both @ theirs - system.targets) ** 2)
    assert not fit.converged
    left = np.linalg.norm(gradient(theirs)) / np.linalg.norm(gradient(0 * theirs))
    assert fit.gradient == pytest.approx(left)


def test_it_goes_on_from_a_reward_with_new_shapings(system, both, gradient):
    start = np.random.default_rng(1).normal(size=system.reward.shape[1])
    given = start.copy()
    fit = descend(system, 25, 0.02, start=start)
    begin = np.concatenate([start, np.zeros(both.shape[1] - len(start))])
    theirs = naive.adam(gradient, begin, 25, 0.02)
    np.testing.assert_allclose(np.concatenate([fit.reward, fit.shapings]), theirs, atol=1e-12)
    np.testing.assert_array_equal(start, given)


def test_table_3_is_the_default(system):
    by_default, stated = descend(system), descend(system, 1000, 0.01)
    np.testing.assert_array_equal(by_default.reward, stated.reward)
    assert by_default.steps == 1000


def test_bad_steps_and_rates_are_named(system):
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        descend(system, 0)
    with pytest.raises(ValueError, match="rate must be greater than 0"):
        descend(system, 1, -0.1)
