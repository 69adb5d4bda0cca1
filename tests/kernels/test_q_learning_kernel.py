import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl.kernels.q_learning import q_learning, q_learning_with_slopes
from malfl.sampling import Trajectories, sample_trajectories

BETA = 0.3


def layout(game, agent):
    """The state of each code, and the agent's (s, a^i) in it."""
    states, actions = np.divmod(
        np.arange(game.n_states * game.n_joint_actions), game.n_joint_actions
    )
    return states, states * game.actions[agent] + game.own_actions[agent][actions]


def learned(game, agent, played, q=0.0, beta=BETA):
    """Values along the episodes, from ``q``."""
    values = np.zeros((game.n_states, game.actions[agent])) + q
    states, pairs = layout(game, agent)
    rewards = game.joint_reward(agent).ravel()
    q_learning(played.steps, played.last, states, pairs, rewards, game.gamma, beta, values)
    return values


def learned_with_slopes(game, agent, played, reward, q=0.0, slopes=0.0, beta=BETA):
    values = np.zeros((game.n_states, game.actions[agent])) + q
    by_reward = np.zeros((values.size, game.n_states)) + slopes
    states, pairs = layout(game, agent)
    q_learning_with_slopes(
        played.steps, played.last, states, pairs, reward, game.gamma, beta, values, by_reward
    )
    return values, by_reward


@pytest.fixture
def played(game, policies):
    return sample_trajectories(game, policies, episodes=4, steps=30, seed=3)


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_values_are_the_oracles(game, played, beta):
    for agent in range(game.n_agents):
        before = np.random.default_rng(agent).normal(size=(game.n_states, game.actions[agent]))
        for q in (np.zeros_like(before), before):
            theirs = naive.watkins(game, agent, beta, q, played.states, played.actions)
            ours = learned(game, agent, played, q, beta)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def with_state_rewards(actions, stochastic=True):
    game = random_game(np.random.default_rng(7), actions, 4, stochastic, state_rewards=True)
    policies = random_policies(actions, 4, np.random.default_rng(8))
    return game, sample_trajectories(game, policies, episodes=4, steps=25, seed=3)


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("actions", [(3,), (2, 3)])
def test_with_slopes_the_values_are_the_same(actions, stochastic):
    game, played = with_state_rewards(actions, stochastic)
    agent = len(actions) - 1
    values, _ = learned_with_slopes(game, agent, played, game.rewards[agent])
    np.testing.assert_allclose(values, learned(game, agent, played), rtol=0, atol=1e-13)


@pytest.mark.parametrize("actions", [(3,), (2, 3)])
def test_slopes_are_what_values_change_by(actions):
    """Linear between ties, so that differences are exact but for rounding."""
    game, played = with_state_rewards(actions)
    agent, rng = len(actions) - 1, np.random.default_rng(0)
    size, states = game.n_states * game.actions[agent], game.n_states
    start = rng.normal(size=(states, game.actions[agent]))
    before = rng.normal(size=(size, states))

    def values(reward, change):
        q = start + (before @ change).reshape(start.shape)
        return learned_with_slopes(game, agent, played, reward + change, q)[0].ravel()

    for reward in rng.normal(size=(3, states)):
        _, slopes = learned_with_slopes(game, agent, played, reward, start, before)
        for z, unit in enumerate(1e-5 * np.eye(states)):
            change = (values(reward, unit) - values(reward, -unit)) / 2e-5
            np.testing.assert_allclose(slopes[:, z], change, rtol=0, atol=1e-9)


def test_of_two_best_actions_the_first_one_has_the_slope():
    """State 1 leads to state 0, whose two actions are worth the same, one by each reward."""
    steps = np.array([[2]], dtype=np.uint8)  # action 0 in state 1
    played = Trajectories(steps, np.array([0], dtype=np.uint8), 2)
    q, slopes = np.array([[5.0, 5.0], [0.0, 0.0]]), np.zeros((4, 2))
    slopes[0], slopes[1] = [1.0, 0.0], [0.0, 1.0]
    codes = np.arange(4)
    q_learning_with_slopes(
        played.steps, played.last, codes // 2, codes, np.array([0.0, 2.0]), 0.5, 0.2, q, slopes
    )
    np.testing.assert_allclose(q, [[5, 5], [0.2 * (2 + 0.5 * 5), 0]])
    np.testing.assert_allclose(slopes, [[1, 0], [0, 1], [0.2 * 0.5, 0.2], [0, 0]])


def test_a_step_to_the_same_pair_changes_its_slope_by_what_it_was():
    """The target rests on the slope before the update, in every state's part."""
    played = Trajectories(np.array([[0, 0]], dtype=np.uint8), np.array([0], dtype=np.uint8), 1)
    q, slopes = np.zeros((1, 1)), np.zeros((1, 1))
    where = np.array([0])
    q_learning_with_slopes(
        played.steps, played.last, where, where, np.array([1.0]), 0.5, 0.2, q, slopes
    )
    np.testing.assert_allclose(slopes, [[0.2 + 0.8 * 0.2 + 0.2 * 0.5 * 0.2]])
    np.testing.assert_allclose(q, slopes)
