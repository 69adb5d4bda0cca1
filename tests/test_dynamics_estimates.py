from dataclasses import replace

import naive
import numpy as np
import pytest
from drawn import random_game

from malfl import Dynamics, Observation, gridworlds, learn, recover
from malfl.estimation import estimate_dynamics
from malfl.sampling import Trajectories


def episodes(seen):
    """Of all iterations, as pairs of s_0..s_T and a_0..a_{T-1}."""
    return [
        pair
        for part in seen.trajectories
        for pair in zip(part.states.tolist(), part.actions.tolist(), strict=True)
    ]


def dense(dynamics):
    return dynamics.transitions.toarray().reshape(
        dynamics.n_states, dynamics.n_joint_actions, dynamics.n_states
    )


@pytest.mark.parametrize("options", [{}, {"actions": (2, 1, 3), "states": 3}])
@pytest.mark.parametrize(("number", "steps"), [(300, 20), (2, 4), (40, 1)])
def test_shares_of_the_moves_seen(options, number, steps):
    game = random_game(np.random.default_rng(0), **options)
    log = learn(game, iterations=2, episodes=number, steps=steps, record=True, seed=1)
    seen = log.observed_by(0)
    found = estimate_dynamics(seen)
    theirs = naive.shares_of_moves(game.n_states, game.n_joint_actions, episodes(seen))
    np.testing.assert_allclose(dense(found), theirs, atol=1e-14)
    never = log.counts.sum(axis=0) == 0
    np.testing.assert_allclose(dense(found)[never], 1 / game.n_states)
    assert never.any() == (number < 300)
    assert type(found) is Dynamics
    assert (found.actions, found.gamma) == (game.actions, game.gamma)
    np.testing.assert_array_equal(found.start, game.start)
    if number == 300:
        assert np.abs(dense(found) - dense(game)).max() < 0.15


def test_a_deterministic_game_is_found_exactly():
    game = random_game(np.random.default_rng(1), stochastic=False, state_rewards=True)
    log = learn(game, alpha=0.9, iterations=3, episodes=100, steps=50, record=True, seed=0)
    seen = log.observed_by(0)
    assert (log.counts.sum(axis=0) > 0).all()
    found = estimate_dynamics(seen)
    np.testing.assert_allclose(dense(found), dense(game), atol=1e-15)
    assert found.transitions.nnz == game.transitions.nnz
    without = replace(seen, dynamics=found)
    np.testing.assert_allclose(
        recover(without, of=1, method="least_squares").values,
        recover(seen, of=1, method="least_squares").values,
        rtol=1e-6,
    )


def test_many_states_are_packed_in_larger_integers():
    game = gridworlds.ma_lfl()
    seen = learn(game, iterations=2, episodes=20, steps=100, record=True, seed=0).observed_by(0)
    assert seen.trajectories[0].steps.dtype == np.uint16
    theirs = naive.shares_of_moves(81, 25, episodes(seen))
    np.testing.assert_allclose(dense(estimate_dynamics(seen)), theirs, atol=1e-14)


def test_a_move_by_hand():
    """Two states and actions; the last states and all iterations count."""
    dynamics = Dynamics(actions=(2,), transitions=[[0, 1], [1, 0]], start=0, gamma=0.5)
    first = Trajectories(np.array([[0, 2], [0, 0]], dtype=np.uint8), np.array([1, 1], np.uint8), 2)
    second = Trajectories(np.array([[2, 0]], dtype=np.uint8), np.array([0], np.uint8), 2)
    counts = np.array([[[3, 0], [1, 0]], [[1, 0], [1, 0]]])
    seen = Observation(0, dynamics, 1.0, counts, np.full((2, 2, 2), 0.5), (first, second))
    expected = [[[1 / 2, 1 / 2], [1 / 2, 1 / 2]], [[1 / 2, 1 / 2], [1 / 2, 1 / 2]]]
    np.testing.assert_allclose(dense(estimate_dynamics(seen)), expected)
    expected = [[[1 / 3, 2 / 3], [1 / 2, 1 / 2]], [[0, 1], [1 / 2, 1 / 2]]]
    np.testing.assert_allclose(dense(estimate_dynamics(seen.first(1))), expected)


def test_moves_must_have_been_recorded():
    log = learn(random_game(np.random.default_rng(0)), iterations=2, episodes=2, steps=2, seed=0)
    with pytest.raises(ValueError, match="seen has no trajectories; learn with record=True"):
        estimate_dynamics(log.observed_by(0))
    with pytest.raises(TypeError, match="seen must be of type Observation"):
        estimate_dynamics(log)
