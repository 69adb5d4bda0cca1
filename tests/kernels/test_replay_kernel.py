import itertools

import naive
import numpy as np
import pytest
from drawn import random_policies

from malfl import Episodes, sample_episodes
from malfl.kernels.replay import Update, replay, replay_errors
from malfl.kernels.steps import Learner

ALPHA, BETA = 0.7, 0.3
AGENT = -1  # the last one, who has a choice in all games
RAGGED = 1, 30, 7, 1, 2, 19, 60
CUTS = [
    (1, 120),
    (119, 120),
    (30, 31, 32, 38, 120),  # at ends of episodes, and a step before and after them
    (9, 9, 20, 120),  # one pass of nothing
    range(1, 121),
]


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


@pytest.fixture(params=[(30,) * 4, RAGGED], ids=["equal", "ragged"])
def lengths(request):
    return request.param


@pytest.fixture
def played(game, policies, lengths):
    return shortened(game, policies, lengths)


def learner_of(game):
    """The state of each code, and the agent's (s, a^i) in it."""
    states, actions = np.divmod(
        np.arange(game.n_states * game.n_joint_actions), game.n_joint_actions
    )
    return Learner(states, states * game.actions[AGENT] + game.own_actions[AGENT][actions])


def update_of(game, policy, executed, falling=0.0):
    bonus = -ALPHA * np.log(np.where(policy > 0, policy, 1.0))
    entropy = (policy * bonus).sum(axis=1)
    visits = np.zeros(policy.size)
    given = policy.ravel(), bonus.ravel(), entropy, game.gamma, BETA, executed, falling, visits
    return Update(*given)


def entries_of(game, reward_class):
    """Which number of the reward each code earns, and how many there are."""
    learner = learner_of(game)
    by_class = {
        "state": learner.states,
        "state-action": learner.pairs,
        "joint-action": np.arange(learner.states.size),
    }
    return by_class[reward_class], int(by_class[reward_class].max()) + 1


def run(
    game, policy, played, executed, column, width, cuts=(120,), reward_class="state", falling=0.0
):
    """Columns ``column..column+width-1`` of the rows, as the kernel makes them."""
    states, own = policy.shape
    rows, value = np.zeros((states * own, width)), np.zeros((states, width))
    learner, update = learner_of(game), update_of(game, policy, executed, falling)
    entries = entries_of(game, reward_class)
    for begin, end in itertools.pairwise((0, *cuts)):
        replay(played.packed, learner, *entries, begin, end, update, column, rows, value)
    return rows, value


def by_episode(played):
    """States and actions as lists for the oracles."""
    return [one.states.tolist() for one in played], [one.actions.tolist() for one in played]


def oracle(game, policy, played, executed, reward_class="state", falling=0.0):
    entries, _ = entries_of(game, reward_class)
    slopes, constants = naive.replayed(
        game, policy.tolist(), AGENT, ALPHA, BETA, *by_episode(played), executed,
        entries.reshape(game.n_states, -1).tolist(), falling,
    )  # fmt: skip
    return np.concatenate([slopes, constants[..., None]], axis=-1).reshape(policy.size, -1)


def test_episodes_have_the_lengths_asked_for(played, lengths):
    assert played.lengths.tolist() == list(lengths)
    assert played.steps == 120


@pytest.mark.parametrize("executed", [False, True])
def test_rows_are_the_oracles_in_whichever_columns(game, policies, played, executed):
    theirs = oracle(game, policies[AGENT], played, executed)
    columns = game.n_states + 1
    assert (np.abs(theirs) > 0.01).all(axis=1).any()  # every column has something to get wrong
    for column in range(columns):
        for width in range(1, columns - column + 1):
            rows, _ = run(game, policies[AGENT], played, executed, column, width)
            expected = theirs[:, column : column + width]
            np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("falling", [0.6, 1.0])
def test_steps_may_fall(game, policies, played, executed, falling):
    theirs = oracle(game, policies[AGENT], played, executed, falling=falling)
    given = game, policies[AGENT], played, executed, 0, game.n_states + 1
    rows, _ = run(*given, falling=falling)
    np.testing.assert_allclose(rows, theirs, rtol=0, atol=1e-13)
    cut, value = run(*given, CUTS[0], falling=falling)
    np.testing.assert_array_equal(cut, rows)
    if not executed:
        policy = policies[AGENT]
        expected = np.einsum("sa,sak->sk", policy, rows.reshape(*policy.shape, -1))
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("reward_class", ["state-action", "joint-action"])
def test_rewards_of_actions_have_columns_of_their_own(
    game, policies, played, executed, reward_class
):
    theirs = oracle(game, policies[AGENT], played, executed, reward_class)
    _, numbers = entries_of(game, reward_class)
    assert theirs.shape[1] == numbers + 1
    for column, width in ((0, numbers + 1), (1, numbers // 2), (numbers // 2, 2)):
        given = game, policies[AGENT], played, executed, column, width
        rows, _ = run(*given, reward_class=reward_class)
        expected = theirs[:, column : column + width]
        np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("cuts", [(120,), *CUTS])
def test_values_are_up_to_date_with_what_is_not_seen(game, policies, played, cuts):
    policy = policies[AGENT]
    rows, value = run(game, policy, played, False, 0, game.n_states + 1, cuts)
    expected = np.einsum("sa,sak->sk", policy, rows.reshape(*policy.shape, -1))
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("cuts", CUTS)
def test_passes_cut_anywhere_give_the_same(game, policies, played, executed, cuts):
    columns = game.n_states + 1
    rows, _ = run(game, policies[AGENT], played, executed, 0, columns)
    cut, _ = run(game, policies[AGENT], played, executed, 0, columns, cuts)
    np.testing.assert_array_equal(cut, rows)


@pytest.mark.parametrize("executed", [False, True])
def test_actions_of_probability_zero_have_no_part(game, lengths, executed):
    policies = [
        policy.copy()
        for policy in random_policies(game.actions, game.n_states, np.random.default_rng(2))
    ]
    policies[AGENT][:, 1] = 0
    policies[AGENT] /= policies[AGENT].sum(axis=1, keepdims=True)
    played = shortened(game, policies, lengths)
    rows, _ = run(game, policies[AGENT], played, executed, 0, game.n_states + 1)
    theirs = oracle(game, policies[AGENT], played, executed)
    np.testing.assert_allclose(rows, theirs, rtol=0, atol=1e-13)
    assert not rows.reshape(game.n_states, -1, game.n_states + 1)[:, 1].any()


def test_the_variants_differ(game, policies, played):
    drawn, executed = (
        run(game, policies[AGENT], played, flag, 0, game.n_states + 1)[0] for flag in (False, True)
    )
    assert np.abs(drawn - executed).max() > 1e-2


@pytest.mark.parametrize("cuts", [(120,), *CUTS])
@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("reward_class", ["state", "state-action", "joint-action"])
@pytest.mark.parametrize("falling", [0.0, 0.7])
def test_errors_are_the_oracles(game, policies, played, executed, cuts, reward_class, falling):
    entries, numbers = entries_of(game, reward_class)
    policy, reward = policies[AGENT], np.random.default_rng(1).normal(size=numbers)
    q, variance = np.zeros((2, policy.size))
    learner, update = learner_of(game), update_of(game, policy, executed, falling)
    for begin, end in itertools.pairwise((0, *cuts)):
        replay_errors(played.packed, learner, entries, begin, end, update, reward, q, variance)
    their_q, their_variance = naive.replay_errors(
        game, policy.tolist(), AGENT, ALPHA, BETA, reward.tolist(), *by_episode(played), executed,
        entries.reshape(game.n_states, -1).tolist(), falling,
    )  # fmt: skip
    np.testing.assert_allclose(q, their_q.ravel(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(variance, their_variance.ravel(), rtol=0, atol=1e-12)
    assert variance.max() > 1e-4
