import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.special import logsumexp

from malfl import MarkovGame
from malfl.games import soft
from malfl.games.legal import or_uniform

ALPHA = 0.6


def test_soft_q_solves_equation_3(game, policies):
    for agent in range(game.n_agents):
        ours = soft.soft_q(game, policies, agent, ALPHA)
        np.testing.assert_allclose(ours, naive.soft_q(game, policies, agent, ALPHA), atol=1e-10)


def test_marginal_q_is_the_expectation_over_opponents(game, policies):
    for agent in range(game.n_agents):
        q = naive.soft_q(game, policies, agent, ALPHA)
        expected = naive.over_opponents(game, policies, agent, q)
        ours = soft.marginal_soft_q(game, policies, agent, ALPHA)
        np.testing.assert_allclose(ours, expected, atol=1e-10)


def test_lemma_4_6_the_induced_process_has_the_marginal_q(game, policies):
    for agent in range(game.n_agents):
        mdp = soft.induced_mdp(game, policies, agent)
        assert (mdp.actions, mdp.gamma) == ((game.actions[agent],), game.gamma)
        np.testing.assert_array_equal(mdp.start, game.start)
        theirs = soft.soft_q(mdp, [policies[agent]], 0, ALPHA)
        ours = soft.marginal_soft_q(game, policies, agent, ALPHA)
        np.testing.assert_allclose(ours, theirs, atol=1e-11)


def test_value_and_return_are_those_of_equation_1(game, policies):
    horizon = 300
    transition = np.zeros((game.n_states, game.n_states))
    gain = np.zeros(game.n_states)
    dense = game.transitions.toarray().reshape(game.n_states, game.n_joint_actions, -1)
    for s in range(game.n_states):
        for a, joint in enumerate(naive.joint_actions(game.actions)):
            p = naive.probability(policies, s, joint)
            transition[s] += p * dense[s, a]
            gain[s] += p * game.joint_reward(0)[s, a]
        gain[s] += ALPHA * naive.entropy(policies[0][s])
    total, at = 0.0, game.start
    for t in range(horizon):
        total += game.gamma**t * at @ gain
        at = at @ transition
    assert soft.soft_return(game, policies, 0, ALPHA) == pytest.approx(total, abs=1e-10)


def test_large_games_are_solved_sparsely_with_the_same_result(monkeypatch, game, policies):
    dense = soft.soft_value(game, policies, 0, ALPHA)
    monkeypatch.setattr(soft, "DENSE_STATES", 0)
    np.testing.assert_allclose(soft.soft_value(game, policies, 0, ALPHA), dense, atol=1e-11)


def test_the_chain_is_the_same_dense_and_sparse(game, policies):
    probabilities = soft.joint_probabilities(game, policies)
    dense = soft.dense_state_transitions(game, probabilities)
    np.testing.assert_allclose(dense.sum(axis=1), 1)
    sparse = soft.state_transitions(game, probabilities).toarray()
    np.testing.assert_allclose(dense, sparse, atol=1e-15)


def test_own_transitions_are_the_same_dense_and_sparse(game, policies):
    for agent in range(game.n_agents):
        dense = soft.dense_own_transitions(game, policies, agent)
        np.testing.assert_allclose(dense.sum(axis=1), 1)
        sparse = soft.own_transitions(game, policies, agent).toarray()
        np.testing.assert_allclose(dense, sparse, atol=1e-15)


def test_where_an_opponent_is_unknown_so_is_the_expectation(game, policies):
    q = np.arange(game.n_states * game.n_joint_actions).reshape(game.n_states, -1)
    known = soft.over_opponents(game, policies, 0, q)
    forgotten = [policy.copy() for policy in policies]
    forgotten[0][:] = np.nan  # the agent's own, which is not used
    np.testing.assert_array_equal(soft.over_opponents(game, forgotten, 0, q), known)
    if game.n_agents > 1:
        forgotten[1][1] = np.nan
        missing = np.isnan(soft.over_opponents(game, forgotten, 0, q))
        assert missing[1].all()
        assert not np.delete(missing, 1, axis=0).any()


def test_improvement_is_the_softmax():
    q = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(soft.improve(q, 0.4), naive.improve(q, 0.4), atol=1e-15)


def test_improvement_survives_huge_values():
    policy = soft.improve(np.array([[1e6, 0.0], [-1e6, -1e6]]), 0.05)
    np.testing.assert_array_equal(policy, [[1, 0], [0.5, 0.5]])


def test_improve_all_uses_everyones_old_policy(game, policies):
    _, improved = soft.improve_all(game, policies, ALPHA)
    for agent in range(game.n_agents):
        q = naive.soft_q(game, policies, agent, ALPHA)
        expected = naive.improve(naive.over_opponents(game, policies, agent, q), ALPHA)
        np.testing.assert_allclose(improved[agent], expected, atol=1e-10)


def test_theorem_4_1_improvement_raises_every_value():
    for seed in range(20):
        mdp = random_game(np.random.default_rng(seed), actions=(3,))
        policy = random_policies((3,), 4, np.random.default_rng(seed))
        better = (soft.improve(soft.soft_q(mdp, policy, 0, ALPHA), ALPHA),)
        rise = soft.soft_q(mdp, better, 0, ALPHA) - soft.soft_q(mdp, policy, 0, ALPHA)
        assert rise.min() >= -1e-12
        assert rise.max() > 1e-6


def test_the_optimum_is_a_fixed_point_and_beats_others():
    mdp = random_game(np.random.default_rng(3), actions=(4,), gamma=0.95)
    best = soft.soft_optimum(mdp, ALPHA)
    np.testing.assert_allclose(best.value, ALPHA * logsumexp(best.q / ALPHA, axis=1), atol=1e-9)
    np.testing.assert_allclose(best.policy, soft.improve(best.q, ALPHA), atol=1e-9)
    for seed in range(20):
        other = random_policies((4,), 4, np.random.default_rng(seed))
        assert (soft.soft_value(mdp, other, 0, ALPHA) <= best.value + 1e-9).all()


def test_extreme_scales_stay_finite():
    mdp = MarkovGame(
        actions=(2,), transitions=[[0, 1], [1, 0]], rewards=[[1e3, -1e3]], start=0, gamma=0.9
    )
    best = soft.soft_optimum(mdp, 0.05)
    assert best.value[0] == pytest.approx(1e4)
    assert np.isfinite(best.q).all()


def test_one_state_one_action_no_discount():
    mdp = MarkovGame(actions=(1,), transitions=[[0]], rewards=[[2.0]], start=0, gamma=0.0)
    assert soft.soft_optimum(mdp, 1.0).value.tolist() == [2.0]


@pytest.mark.parametrize("alpha", [0, -1, np.nan])
def test_alpha_must_be_positive(hom, alpha):
    with pytest.raises(ValueError, match="alpha must be"):
        soft.soft_value(hom, hom.uniform_policies(), 0, alpha)


def test_bad_arguments_are_named(hom):
    uniform = hom.uniform_policies()
    with pytest.raises(ValueError, match=r"agent must lie in 0..1, got 2"):
        soft.induced_mdp(hom, uniform, 2)
    with pytest.raises(ValueError, match="mdp must have one agent, got 2"):
        soft.soft_optimum(hom, 1.0)
    with pytest.raises(ValueError, match=r"q\[0, 1\] is nan"):
        soft.improve([[0, np.nan]], 1.0)


@pytest.mark.parametrize("gamma", [0.0, 0.8, 0.999])
@pytest.mark.parametrize("breakdown", [False, True])
def test_large_games_are_solved_by_iteration_to_a_known_error(monkeypatch, gamma, breakdown):
    game = random_game(np.random.default_rng(1), actions=(2, 2), states=30, gamma=gamma)
    policies = random_policies(game.actions, 30, np.random.default_rng(2))
    direct = soft.soft_value(game, policies, 1, 0.5)
    monkeypatch.setattr(soft, "DENSE_STATES", 0)
    if breakdown:
        monkeypatch.setattr(soft, "bicgstab", lambda _, right, **__: (np.full_like(right, 1e9), -1))
    value = soft.soft_value(game, policies, 1, 0.5)
    error = soft.soft_value_error(game, policies, 1, 0.5, value)
    assert error <= soft.TOLERANCE * np.abs(value).max()
    slack = 1e-12 * np.abs(value).max() / (1 - gamma)  # of the direct solution
    assert np.abs(value - direct).max() <= error + slack


def test_the_error_of_a_value_is_never_understated(game, policies):
    value = soft.soft_value(game, policies, 0, 1.0)
    for seed in range(20):
        off = np.random.default_rng(seed).normal(size=value.shape)
        bound = soft.soft_value_error(game, policies, 0, 1.0, value + off)
        assert np.abs(off).max() <= bound + 1e-9


def test_a_value_of_the_wrong_shape_has_no_error(game, policies):
    with pytest.raises(ValueError, match=r"value must have shape \(\d,\), got \(2, 2\)"):
        soft.soft_value_error(game, policies, 0, 1.0, np.zeros((2, 2)))


def test_an_iteration_that_does_not_arrive_says_so(monkeypatch):
    game = random_game(np.random.default_rng(1), actions=(2,), states=5, gamma=0.9)
    monkeypatch.setattr(soft, "DENSE_STATES", 0)
    monkeypatch.setattr(soft, "ROUNDS", 0)
    with pytest.raises(ValueError, match=r"got 0.9: soft values are still up to .* off"):
        soft.soft_value(game, game.uniform_policies(), 0, 1.0)


def test_all_agents_improve_as_each_does_alone(game, policies):
    q, improved = soft.improve_all(game, policies, 0.7)
    for agent in range(game.n_agents):
        alone = soft.marginal_soft_q(game, policies, agent, 0.7)
        np.testing.assert_allclose(q[agent], alone, atol=1e-12)
        np.testing.assert_allclose(improved[agent], soft.improve(alone, 0.7), atol=1e-12)


def test_rows_that_are_not_known_become_uniform():
    policies = np.array([[[0.2, 0.8], [np.nan, np.nan]], [[np.nan, np.nan], [1.0, 0.0]]])
    expected = [[[0.2, 0.8], [0.5, 0.5]], [[0.5, 0.5], [1.0, 0.0]]]
    np.testing.assert_array_equal(or_uniform(policies), expected)
    assert np.isnan(policies[0, 1]).all()


@pytest.mark.parametrize("alpha", [1e-300, 1e-320, 1e-12, 1.0, 1e300])
@pytest.mark.parametrize("size", [1e-300, 1.0, 1e300])
def test_improvements_of_any_size_are_right(alpha, size):
    q = size * np.array([[3.0, 1.0, 3.0], [0.0, 0.0, 0.0], [-1.0, 1.0, -1.0]])
    # By fractions, since size / alpha may be too large for a float.
    with np.errstate(over="ignore", under="ignore"):
        lead = (q - q.max(axis=1, keepdims=True)) / alpha
        expected = np.exp(lead) / np.exp(lead).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(soft.improve(q, alpha), expected, rtol=1e-12)
    maximum = soft.soft_maximum(q, alpha)
    np.testing.assert_allclose(maximum, q.max(axis=1) + alpha * np.log(np.exp(lead).sum(axis=1)))


def tiny(gamma=0.5, reward=1.0):
    return MarkovGame(
        actions=(2,), transitions=[[0, 1], [1, 0]], rewards=[[0.0, reward]], start=0, gamma=gamma
    )


@pytest.mark.parametrize(("alpha", "reward"), [(1e-300, 1.0), (1.0, 1e-300), (1e300, 1e300)])
def test_values_of_any_size_are_right(alpha, reward):
    game = tiny(reward=reward)
    ours = soft.soft_value(game, game.uniform_policies(), 0, alpha)
    bonus = alpha * np.log(2)
    other = (reward / 2 + bonus) / 0.5  # mean of both states; they differ by the reward
    np.testing.assert_allclose(ours, [other - reward / 2, other + reward / 2], rtol=1e-12)
    best = soft.soft_optimum(tiny(reward=reward), alpha)
    np.testing.assert_allclose(best.policy.sum(axis=1), 1.0)


@pytest.mark.parametrize(("alpha", "reward"), [(1e308, 1.0), (1.0, 1.7e308)])
def test_values_that_no_float_holds_are_refused(alpha, reward):
    game = tiny(gamma=0.9, reward=reward)
    with pytest.raises(ValueError, match="alpha and rewards must leave values that can be repr"):
        soft.soft_value(game, game.uniform_policies(), 0, alpha)


@pytest.mark.parametrize("short", [1e-3, 1e-6, 1e-9, 1e-12])
def test_values_next_to_gamma_1_are_as_right_as_is_certified(short):
    game = tiny(gamma=1 - short)
    ours = soft.soft_value(game, game.uniform_policies(), 0, 1.0)
    mean = (0.5 + np.log(2)) / (1 - game.gamma)
    error = soft.soft_value_error(game, game.uniform_policies(), 0, 1.0, ours)
    assert np.abs(ours - [mean - 0.5, mean + 0.5]).max() <= error
    assert 0 < error <= 1e-2 * mean
