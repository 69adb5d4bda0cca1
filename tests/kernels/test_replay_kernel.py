import naive
import numpy as np
import pytest
from drawn import random_policies

from malfl.kernels.replay import replay, replay_errors
from malfl.sampling import sample_trajectories

ALPHA, BETA = 0.7, 0.3
AGENT = -1  # the last one, who has a choice in all games


@pytest.fixture
def played(game, policies):
    return sample_trajectories(game, policies, episodes=4, steps=30, seed=3)


def run(game, policy, played, executed, column, width, pieces=((0, 30),), whole=True):
    """Columns ``column..column+width-1`` of the rows, as the kernel makes them."""
    states, own = policy.shape
    code = np.arange(states * game.n_joint_actions)
    state_of, action = np.divmod(code, game.n_joint_actions)
    bonus = -ALPHA * np.log(np.where(policy > 0, policy, 1.0))
    rows, value = np.zeros((states * own, width)), np.zeros((states, width))
    episodes = [slice(None)] if whole else [slice(e, e + 1) for e in range(len(played))]
    for some in episodes:
        for begin, end in pieces:
            replay(
                played.steps[some], played.last[some], begin, end, state_of,
                state_of * own + game.own_actions[AGENT][action], policy.ravel(), bonus.ravel(),
                (policy * bonus).sum(axis=1), game.gamma, BETA, executed, column, rows, value,
            )  # fmt: skip
    return rows, value


def oracle(game, policy, played, executed):
    slopes, constants = naive.replayed(
        game, policy.tolist(), AGENT, ALPHA, BETA,
        played.states.tolist(), played.actions.tolist(), executed,
    )  # fmt: skip
    return np.concatenate([slopes, constants[..., None]], axis=-1).reshape(policy.size, -1)


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


def test_values_are_kept_up_with_what_is_not_seen(game, policies, played):
    policy = policies[AGENT]
    rows, value = run(game, policy, played, False, 0, game.n_states + 1)
    expected = np.einsum("sa,sak->sk", policy, rows.reshape(*policy.shape, -1))
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize(
    "pieces", [((0, 1), (1, 30)), ((0, 29), (29, 30)), ((0, 9), (9, 20), (20, 30))]
)
def test_episodes_in_pieces_give_the_same(game, policies, played, executed, pieces):
    columns = game.n_states + 1
    rows, _ = run(game, policies[AGENT], played, executed, 0, columns, whole=False)
    cut, _ = run(game, policies[AGENT], played, executed, 0, columns, pieces, whole=False)
    np.testing.assert_array_equal(cut, rows)
    together, _ = run(game, policies[AGENT], played, executed, 0, columns)
    np.testing.assert_array_equal(together, rows)


@pytest.mark.parametrize("executed", [False, True])
def test_actions_of_probability_zero_have_no_part(game, executed):
    policies = [
        policy.copy()
        for policy in random_policies(game.actions, game.n_states, np.random.default_rng(2))
    ]
    policies[AGENT][:, 1] = 0
    policies[AGENT] /= policies[AGENT].sum(axis=1, keepdims=True)
    played = sample_trajectories(game, policies, episodes=4, steps=30, seed=3)
    rows, _ = run(game, policies[AGENT], played, executed, 0, game.n_states + 1)
    theirs = oracle(game, policies[AGENT], played, executed)
    np.testing.assert_allclose(rows, theirs, rtol=0, atol=1e-13)
    assert not rows.reshape(game.n_states, -1, game.n_states + 1)[:, 1].any()


def test_the_variants_differ(game, policies, played):
    drawn, executed = (
        run(game, policies[AGENT], played, flag, 0, game.n_states + 1)[0] for flag in (False, True)
    )
    assert np.abs(drawn - executed).max() > 1e-2


@pytest.mark.parametrize("pieces", [((0, 30),), ((0, 9), (9, 30))])
@pytest.mark.parametrize("executed", [False, True])
def test_errors_are_the_oracles(game, policies, played, executed, pieces):
    policy, reward = policies[AGENT], np.random.default_rng(1).normal(size=game.n_states)
    states, own = policy.shape
    state_of, action = np.divmod(np.arange(states * game.n_joint_actions), game.n_joint_actions)
    bonus = -ALPHA * np.log(policy)
    q, variance = np.zeros((2, states * own))
    for episode in range(len(played)):
        for begin, end in pieces:
            replay_errors(
                played.steps[episode : episode + 1], played.last[episode : episode + 1], begin,
                end, state_of, state_of * own + game.own_actions[AGENT][action], policy.ravel(),
                bonus.ravel(), reward, game.gamma, BETA, executed, q, variance,
            )  # fmt: skip
    their_q, their_variance = naive.replay_errors(
        game, policy.tolist(), AGENT, ALPHA, BETA, reward.tolist(), played.states.tolist(),
        played.actions.tolist(), executed,
    )  # fmt: skip
    np.testing.assert_allclose(q, their_q.ravel(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(variance, their_variance.ravel(), rtol=0, atol=1e-12)
    assert variance.max() > 1e-4
