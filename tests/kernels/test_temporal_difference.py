import naive
import numpy as np
import pytest

from malfl import sample_trajectories
from malfl.kernels.temporal_difference import soft_td
from malfl.sampling import cumulative

ALPHA, BETA = 0.7, 0.3


def evaluate(game, policies, agent, played, seed, executed):
    q = np.zeros((game.n_states, game.actions[agent]))
    soft_td(
        np.random.default_rng(seed),
        q,
        played.states,
        played.actions,
        game.own_actions[agent],
        game.rewards[agent].reshape(game.n_states, -1),
        cumulative(policies[agent]),
        -ALPHA * np.log(policies[agent]),
        game.gamma,
        BETA,
        executed,
    )
    return q


@pytest.mark.parametrize("executed", [False, True])
def test_same_draws_give_the_oracles_values(game, policies, executed):
    played = sample_trajectories(game, policies, episodes=4, steps=60, seed=1)
    for agent in range(game.n_agents):
        ours = evaluate(game, policies, agent, played, 9, executed)
        rng = np.random.default_rng(9)
        theirs = naive.soft_td(
            game, policies, agent, ALPHA, BETA, played.states, played.actions, rng, executed
        )
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_the_variants_differ(game, policies):
    played = sample_trajectories(game, policies, episodes=4, steps=60, seed=1)
    drawn, executed = (evaluate(game, policies, 0, played, 9, flag) for flag in (False, True))
    assert np.abs(drawn - executed).max() > 1e-3
