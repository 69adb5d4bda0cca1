import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl.recovery.consistency import consistency_system
from malfl.recovery.released import released_system

ALPHA = 0.9


def setting(actions, cells, seed=0):
    rng = np.random.default_rng(seed)
    game = random_game(rng, actions=actions, states=cells**2)
    draws = [random_policies(game.actions, game.n_states, rng) for _ in range(4)]
    history = tuple(np.array(agent) for agent in zip(*draws, strict=True))
    return game, history, rng


@pytest.mark.parametrize("agent", [0, 1])
@pytest.mark.parametrize(("actions", "cells"), [(2, 3), (4, 3), (3, 2), (5, 4)])
def test_the_equations_are_those_of_the_released_program(agent, actions, cells):
    game, history, rng = setting((actions, actions), cells)
    system = released_system(game, history, agent, ALPHA)
    assert system.shape == (cells**2, actions**2)
    assert system.states == cells**2
    np.testing.assert_array_equal(system.weights, 1)
    y = naive.targets(game, history, agent, ALPHA)
    reward, g = rng.normal(size=system.shape), rng.normal(size=(3, cells**2))
    ours = system.reward @ reward.ravel() + system.shaping @ g.ravel() - system.targets
    theirs = naive.released_residuals(cells, actions, game.gamma, agent, history, y, reward, g)
    np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, atol=1e-12)
    np.testing.assert_array_equal(system.improvement.reshape(theirs.shape)[:, 0, 0], [0, 1, 2])


@pytest.mark.parametrize("agent", [0, 1])
def test_unknown_policies_take_their_equations_away(agent):
    game, history, rng = setting((3, 3), 2)
    history[agent][0, 1] = np.nan
    history[1 - agent][2, 3] = np.nan
    system = released_system(game, history, agent, ALPHA)
    y = naive.targets(game, history, agent, ALPHA)
    known = ~np.isnan(y)
    assert 0 < len(system.targets) == known.sum() < y.size
    reward, g = rng.normal(size=system.shape), rng.normal(size=(3, 4))
    ours = system.reward @ reward.ravel() + system.shaping @ g.ravel() - system.targets
    theirs = naive.released_residuals(2, 3, game.gamma, agent, history, y, reward, g)
    np.testing.assert_allclose(ours, theirs[known], atol=1e-12)
    np.testing.assert_array_equal(system.improvement, np.argwhere(known)[:, 0])


def test_the_first_agents_reward_is_averaged_as_it_should_be_and_nothing_else_is():
    game, history, _ = setting((3, 3), 2)
    for agent, same in ((0, True), (1, False)):
        released = released_system(game, history, agent, ALPHA)
        right = consistency_system(game, history, agent, ALPHA, "joint-action")
        np.testing.assert_array_equal(released.targets, right.targets)
        alike = np.allclose(released.reward.toarray(), right.reward.toarray(), atol=1e-12)
        assert alike == same
        assert not np.allclose(released.shaping.toarray(), right.shaping.toarray(), atol=0.01)


@pytest.mark.parametrize(
    ("actions", "states", "got"),
    [
        ((2, 3), 4, r"got actions \(2, 3\) and 4 states"),
        ((2, 2, 2), 4, r"got actions \(2, 2, 2\) and 4 states"),
        ((2,), 4, r"got actions \(2,\) and 4 states"),
        ((2, 2), 5, r"got actions \(2, 2\) and 5 states"),
    ],
)
def test_other_games_are_refused(actions, states, got):
    rng = np.random.default_rng(0)
    game = random_game(rng, actions=actions, states=states)
    history = [np.array([p, p]) for p in random_policies(actions, states, rng)]
    with pytest.raises(ValueError, match=f"two agents with as many actions and cells each, {got}"):
        released_system(game, history, 0, ALPHA)
