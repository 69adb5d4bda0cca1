import itertools

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl import Episodes, sample_episodes
from malfl.kernels.q_learning import q_learning, q_learning_with_slopes
from malfl.kernels.steps import Learner

BETA = 0.3
LENGTHS = [(30,) * 4, (1, 30, 7, 1, 2, 19)]


def shortened(game, policies, lengths):
    """Episodes of these lengths."""
    played = sample_episodes(game, policies, episodes=len(lengths), steps=max(lengths), seed=3)
    pairs = list(zip(played, lengths, strict=True))
    return Episodes.from_lists(
        [one.states[: n + 1] for one, n in pairs],
        [one.actions[:n] for one, n in pairs],
        n_states=game.n_states,
        n_joint_actions=game.n_joint_actions,
    )


def learner_of(game, agent):
    """The state of each code, and the agent's (s, a^i) in it."""
    states, actions = np.divmod(
        np.arange(game.n_states * game.n_joint_actions), game.n_joint_actions
    )
    return Learner(states, states * game.actions[agent] + game.own_actions[agent][actions])


def learned(game, agent, played, q=0.0, beta=BETA, cuts=()):
    """Values along the episodes, from ``q``, in passes cut between episodes."""
    values = np.zeros((game.n_states, game.actions[agent])) + q
    given = game.joint_reward(agent).ravel(), game.gamma, beta, values
    for begin, end in itertools.pairwise((0, *cuts, len(played))):
        q_learning(played.packed, learner_of(game, agent), begin, end, *given)
    return values


def entries_of(game, agent, size):
    """Which of so many entries of a reward each code earns."""
    states, pairs = learner_of(game, agent)
    for entries in (states, pairs, np.arange(states.size)):
        if entries.max() + 1 == size:
            return entries
    raise ValueError(size)


def learned_with_slopes(game, agent, played, reward, q=0.0, slopes=0.0, beta=BETA, cuts=()):
    values = np.zeros((game.n_states, game.actions[agent])) + q
    by_reward = np.zeros((values.size, len(reward))) + slopes
    given = reward, game.gamma, beta, values, by_reward
    learner, entries = learner_of(game, agent), entries_of(game, agent, len(reward))
    for begin, end in itertools.pairwise((0, *cuts, len(played))):
        q_learning_with_slopes(played.packed, learner, entries, begin, end, *given)
    return values, by_reward


@pytest.fixture(params=LENGTHS, ids=["equal", "ragged"])
def played(request, game, policies):
    return shortened(game, policies, request.param)


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_values_are_the_oracles(game, played, beta):
    for agent in range(game.n_agents):
        before = np.random.default_rng(agent).normal(size=(game.n_states, game.actions[agent]))
        for q in (np.zeros_like(before), before):
            states = [one.states.tolist() for one in played]
            actions = [one.actions.tolist() for one in played]
            theirs = naive.watkins(game, agent, beta, q, states, actions)
            ours = learned(game, agent, played, q, beta)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def with_state_rewards(actions, stochastic=True, lengths=(25,) * 4):
    game = random_game(np.random.default_rng(7), actions, 4, stochastic, state_rewards=True)
    policies = random_policies(actions, 4, np.random.default_rng(8))
    return game, shortened(game, policies, lengths)


@pytest.mark.parametrize("lengths", [(25,) * 4, *LENGTHS])
@pytest.mark.parametrize("cuts", [(1,), (1, 2, 3), (2, 2)])
def test_passes_over_some_episodes_add_up(lengths, cuts):
    game, played = with_state_rewards((2, 3), lengths=lengths)
    whole = learned(game, 1, played)
    np.testing.assert_array_equal(learned(game, 1, played, cuts=cuts), whole)
    with_slopes = learned_with_slopes(game, 1, played, game.rewards[1])
    in_passes = learned_with_slopes(game, 1, played, game.rewards[1], cuts=cuts)
    for ours, theirs in zip(in_passes, with_slopes, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("lengths", [(25,) * 4, *LENGTHS])
@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("actions", [(3,), (2, 3)])
def test_with_slopes_the_values_are_the_same(actions, stochastic, lengths):
    game, played = with_state_rewards(actions, stochastic, lengths)
    agent = len(actions) - 1
    values, _ = learned_with_slopes(game, agent, played, game.rewards[agent])
    np.testing.assert_allclose(values, learned(game, agent, played), rtol=0, atol=1e-13)
    of_actions = np.random.default_rng(1).normal(size=(game.n_states, game.n_joint_actions))
    game = game.with_rewards([of_actions] * game.n_agents)
    values, _ = learned_with_slopes(game, agent, played, of_actions.ravel())
    np.testing.assert_allclose(values, learned(game, agent, played), rtol=0, atol=1e-13)


@pytest.mark.parametrize("lengths", [(25,) * 4, *LENGTHS])
@pytest.mark.parametrize("actions", [(3,), (2, 3)])
@pytest.mark.parametrize("rewards", ["state", "state-action", "joint-action"])
def test_slopes_are_what_values_change_by(actions, lengths, rewards):
    """Linear between ties, so that differences are exact but for rounding."""
    game, played = with_state_rewards(actions, lengths=lengths)
    agent, rng = len(actions) - 1, np.random.default_rng(0)
    size = game.n_states * game.actions[agent]
    joint = game.n_states * game.n_joint_actions
    numbers = {"state": game.n_states, "state-action": size, "joint-action": joint}[rewards]
    start = rng.normal(size=(game.n_states, game.actions[agent]))
    before = rng.normal(size=(size, numbers))

    def values(reward, change):
        q = start + (before @ change).reshape(start.shape)
        return learned_with_slopes(game, agent, played, reward + change, q)[0].ravel()

    for reward in rng.normal(size=(3, numbers)):
        _, slopes = learned_with_slopes(game, agent, played, reward, start, before)
        for z, unit in enumerate(1e-5 * np.eye(numbers)):
            change = (values(reward, unit) - values(reward, -unit)) / 2e-5
            np.testing.assert_allclose(slopes[:, z], change, rtol=0, atol=1e-9)


def test_of_two_best_actions_the_first_one_has_the_slope():
    """State 1 leads to state 0, whose two actions are worth the same, one by each reward."""
    played = Episodes.from_lists([[1, 0]], [[0]], n_states=2, n_joint_actions=2)
    q, slopes = np.array([[5.0, 5.0], [0.0, 0.0]]), np.zeros((4, 2))
    slopes[0], slopes[1] = [1.0, 0.0], [0.0, 1.0]
    codes = np.arange(4)
    learner, reward = Learner(codes // 2, codes), np.array([0.0, 2.0])
    q_learning_with_slopes(played.packed, learner, codes // 2, 0, 1, reward, 0.5, 0.2, q, slopes)
    np.testing.assert_allclose(q, [[5, 5], [0.2 * (2 + 0.5 * 5), 0]])
    np.testing.assert_allclose(slopes, [[1, 0], [0, 1], [0.2 * 0.5, 0.2], [0, 0]])


def test_a_step_to_the_same_pair_changes_its_slope_by_what_it_was():
    """The target rests on the slope before the update, in every state's part."""
    played = Episodes.from_lists([[0, 0, 0]], [[0, 0]], n_states=1, n_joint_actions=1)
    q, slopes = np.zeros((1, 1)), np.zeros((1, 1))
    learner = Learner(np.array([0]), np.array([0]))
    given = np.array([0]), 0, 1, np.array([1.0]), 0.5, 0.2, q, slopes
    q_learning_with_slopes(played.packed, learner, *given)
    np.testing.assert_allclose(slopes, [[0.2 + 0.8 * 0.2 + 0.2 * 0.5 * 0.2]])
    np.testing.assert_allclose(q, slopes)
