"""Rewards of the last policy: its logarithm, and what makes it the best one."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.special import softmax

import malfl
from malfl import MarkovGame, Observation, correlation, estimate_policies, learn, recover
from malfl.estimation import PolicyEstimates, additive_smoothing
from malfl.recovery import learner_models
from malfl.recovery.diagnostics import NothingToLearnError
from malfl.recovery.last_policy import causal_entropy, log_policy

ALPHA = 0.7
PLAYERS = [(3,), (2, 3), (3, 2), (2, 2, 2)]


def a_game(actions=(3,), states=5, seed=3, gamma=0.8):
    rng = np.random.default_rng(seed)
    return random_game(rng, actions, states, state_rewards=True, gamma=gamma)


def over_actions(reward, actions):
    return np.repeat(np.array(reward)[:, None], actions, axis=1)


def optimum(game, policies, agent):
    """The soft optimum among others who play as they do."""
    paid = over_actions(game.rewards[agent], game.actions[agent])
    return naive.soft_optimum(naive.faced(game, policies, agent), paid, game.gamma, ALPHA)


def sees(game, policies, steps=60, episodes=400, seed=0, observer=None, own=None):
    counts = malfl.sample_counts(game, policies, episodes=episodes, steps=steps, seed=seed)
    return Observation(observer, game.without_rewards(), ALPHA, counts[None], own)


@pytest.fixture(scope="module")
def log():
    return learn(
        a_game((2, 3)), alpha=ALPHA, iterations=4, evaluation="exact", episodes=50, steps=40, seed=0
    )


def test_the_logarithm_is_of_the_last_policy_as_estimated(log):
    for observer, agent in ((0, 1), (1, 0), (None, 0), (None, 1)):
        seen = replace(log.observed_by(observer), alpha=1.3)
        found = recover(seen, of=agent, method="last_policy")
        shares = seen.own_counts(agent)[-1] + 0.5
        shares /= shares.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.values, 1.3 * np.log(shares), rtol=1e-12)
        assert found.reward_class == "state-action"
        assert found.convergence.converged
        assert found.deviation is None
    weaker = estimate_policies(seen, strength=20.0)
    found = recover(seen, of=1, method="last_policy", policies=weaker)
    np.testing.assert_allclose(found.values, 1.3 * np.log(weaker.policies[1][-1]), rtol=1e-12)


def test_a_policy_that_no_longer_changes_is_rewarded_by_its_logarithm():
    """Shaped: by it the policy is the best one (LfL, Theorem 2)."""
    game = random_game(np.random.default_rng(3), (3,), 5)
    best = naive.best_response(game, game.uniform_policies(), 0, ALPHA)
    found = log_policy(best, ALPHA)
    odds = naive.faced(game, game.uniform_policies(), 0)
    again = naive.soft_optimum(odds, found.values, game.gamma, ALPHA)
    np.testing.assert_allclose(again, best, rtol=0, atol=1e-9)


def test_nobody_knows_the_logarithm_of_what_was_not_seen():
    values = log_policy(np.array([[0.5, 0.5], [np.nan, np.nan]]), 2.0).values
    np.testing.assert_allclose(values, [[-2 * np.log(2)] * 2, [np.nan] * 2])


def test_zeros_have_no_logarithm(log):
    with pytest.raises(ValueError, match=r"policy\[1, 0\] is 0, and its logarithm is needed; smoo"):
        log_policy(np.array([[0.5, 0.5], [0.0, 1.0]]), 1.0)
    seen = log.observed_by(None)
    plain = estimate_policies(seen.first(4), "maximum_likelihood")
    plain.policies[0][-1, 2] = [0.0, 1.0]
    with pytest.raises(ValueError, match=r"policy\[2, 0\] is 0, and its logarithm is needed"):
        recover(seen, of=0, method="last_policy", policies=plain)
    plain.policies[0][-1, 2] = [0.5, 0.5]
    plain.policies[0][0, 2] = [0.0, 1.0]  # those before do not matter
    recover(seen, of=0, method="last_policy", policies=plain)


def test_no_equations_determine_a_logarithm(log):
    found = recover(log.observed_by(None), of=0, method="last_policy")
    with pytest.raises(ValueError, match="solves no equations that could determine it"):
        _ = found.determination


@pytest.mark.parametrize("method", ["last_policy", "causal_entropy"])
def test_one_iteration_is_enough_and_the_last_is_all_that_counts(log, method):
    seen = log.observed_by(0)
    only = replace(seen, counts=seen.counts[-1:], own_policies=seen.own_policies[-1:])
    whole, one = (recover(part, of=1, method=method) for part in (seen, only))
    np.testing.assert_array_equal(whole.values, one.values)
    first = recover(seen.first(1), of=1, method=method)
    assert np.abs(first.values - whole.values).max() > 1e-2


@pytest.mark.parametrize("method", ["last_policy", "causal_entropy"])
def test_policies_that_never_change_are_no_obstacle(method):
    game = a_game()
    best = optimum(game, game.uniform_policies(), 0)
    twice = sees(game, [best])
    twice = replace(twice, counts=np.repeat(twice.counts, 2, axis=0))
    assert np.isfinite(recover(twice, of=0, method=method).values).all()
    with pytest.raises(NothingToLearnError, match="do not change"):
        recover(twice, of=0, method="structural")


def test_options_are_those_of_each():
    seen = sees(a_game(), a_game().uniform_policies())
    with pytest.raises(TypeError, match="method 'causal_entropy' takes prior; got beta"):
        recover(seen, of=0, method="causal_entropy", beta=0.1)
    with pytest.raises(TypeError, match="method 'last_policy' takes no options; got prior"):
        recover(seen, of=0, method="last_policy", prior=1.0)
    with pytest.raises(ValueError, match="prior must be greater than 0, got 0"):
        recover(seen, of=0, method="causal_entropy", prior=0)


@pytest.mark.parametrize("actions", PLAYERS)
@pytest.mark.parametrize("stochastic", [True, False])
def test_a_best_response_is_the_soft_optimum_among_the_others(actions, stochastic):
    rng = np.random.default_rng(1)
    game = random_game(rng, actions, 5, stochastic, state_rewards=True)
    policies = random_policies(actions, 5, rng)
    for agent, own in enumerate(actions):
        moves = learner_models.reach(game, [policy[None] for policy in policies], agent)
        model = learner_models.best_response(moves, ALPHA, game.gamma)
        odds = naive.faced(game, policies, agent)
        for reward in (game.rewards[agent], np.zeros(5), 3 * rng.normal(size=5)):
            logits, slopes = model(reward)
            assert (logits.shape, slopes.shape) == ((1, 5, own), (1, 5, own, 5))
            q = naive.soft_optimal_q(odds, over_actions(reward, own), game.gamma, ALPHA)
            np.testing.assert_allclose(logits[0], q / ALPHA, rtol=0, atol=1e-8)
            best = naive.soft_optimum(odds, over_actions(reward, own), game.gamma, ALPHA)
            np.testing.assert_allclose(softmax(logits[0], axis=1), best, rtol=0, atol=1e-8)
            visits, _ = naive.discounted_visits(odds, best, game.gamma)
            np.testing.assert_allclose(slopes[0], visits / ALPHA, rtol=0, atol=1e-7)
            for z, step in enumerate(1e-4 * np.eye(5)):
                change = (model(reward + step)[0] - model(reward - step)[0]) / 2e-4
                np.testing.assert_allclose(slopes[..., z], change, rtol=0, atol=1e-5)


@pytest.mark.parametrize("prior", [10.0, 0.4])
@pytest.mark.parametrize("actions", [(3,), (2, 3)])
def test_who_is_best_by_the_reward_found_visits_what_was_visited(actions, prior):
    """From where the agent was: by what it did first, and by the best policy, up to the prior."""
    game, agent = a_game(actions), len(actions) - 1
    policies = random_policies(actions, 5, np.random.default_rng(2))
    seen = sees(game, policies, episodes=20)
    estimates = PolicyEstimates(tuple(p[None] for p in policies), seen.counts.sum(axis=2))
    found = causal_entropy(seen, agent, estimates, prior)
    odds = naive.faced(game, policies, agent)
    paid = over_actions(found.values, game.actions[agent])
    best = naive.soft_optimum(odds, paid, game.gamma, ALPHA)
    by_action, by_policy = naive.discounted_visits(odds, best, game.gamma)
    counts = seen.own_counts(agent)[0]
    visited = sum(counts[s, a] * by_action[s, a] for s, a in np.ndindex(*counts.shape))
    expected = sum(counts[s].sum() * by_policy[s] for s in range(5))
    pull = found.values / (ALPHA * prior**2)
    size = np.sqrt(counts.sum())  # by chance alone
    np.testing.assert_allclose(visited, expected + pull, rtol=0, atol=1e-4 * size)
    assert np.abs(visited - by_policy.sum(axis=0) * counts.sum() / 5).max() > 0.1 * size
    if prior < 1:
        assert np.abs(pull).max() > 1e-2 * size
    assert found.convergence.converged
    assert found.reward_class == "state"
    logits = naive.soft_optimal_q(odds, paid, game.gamma, ALPHA) / ALPHA
    likelihood = naive.log_likelihood([counts], [logits])
    assert found.convergence.loss == pytest.approx(-likelihood, rel=1e-9)


@pytest.mark.parametrize("actions", [(3,), (2, 3), (3, 2)])
def test_the_reward_of_an_agent_at_its_best_is_found(actions):
    """From many steps, among others who keep to their policies."""
    game, agent = a_game(actions), len(actions) - 1
    policies = list(random_policies(actions, 5, np.random.default_rng(2)))
    policies[agent] = optimum(game, policies, agent)
    seen = sees(game, policies, episodes=10**6)
    found = recover(seen, of=agent, method="causal_entropy", prior=1e3)
    true = game.rewards[agent]
    np.testing.assert_allclose(
        found.values - found.values.mean(), true - true.mean(), rtol=0, atol=0.03
    )
    assert correlation(found, true).pearson > 0.9999
    assert (found.determination.rank, found.determination.free) == (4, 1)
    assert np.isnan(found.misfit) if game.actions[agent] == 2 else found.misfit < 3
    error = found.values - found.values.mean() - true + true.mean()
    assert (np.abs(error) < 4 * found.deviation).all()


def test_what_the_moves_leave_open_stays_open():
    """States 1 and 2 lead to one another only: who is in one will be in both as often."""
    table = np.array([[0, 1], [2, 2], [0, 0]])
    game = MarkovGame(
        actions=(2,), transitions=table, rewards=[[0.0, 1.0, -0.4]], start=0, gamma=0.8
    )
    best = optimum(game, game.uniform_policies(), 0)
    found = recover(sees(game, [best], episodes=10**6), of=0, method="causal_entropy")
    assert found.determination.free == 2
    again = MarkovGame(actions=(2,), transitions=table, rewards=[found.values], start=0, gamma=0.8)
    np.testing.assert_allclose(optimum(again, game.uniform_policies(), 0), best, rtol=0, atol=2e-3)
    # A visit to 1 is worth a visit to 2 one step later, each beside one to 0.
    worth = [np.array(r) @ [-1.8, 1, 0.8] for r in (found.values, game.rewards[0])]
    assert worth[0] == pytest.approx(worth[1], abs=0.01)


def test_the_others_are_taken_as_they_play_last(log):
    """What the agent's own estimate says does not matter beyond its counts."""
    seen = log.observed_by(None)
    estimates = estimate_policies(seen)
    expected = recover(seen, of=1, method="causal_entropy").values
    changed = PolicyEstimates(tuple(p.copy() for p in estimates.policies), estimates.visits)
    changed.policies[0][:-1] = 0.5
    changed.policies[1][:] = 1 / 3
    same = recover(seen, of=1, method="causal_entropy", policies=changed).values
    np.testing.assert_array_equal(same, expected)
    changed.policies[0][-1] = [0.9, 0.1]
    other = recover(seen, of=1, method="causal_entropy", policies=changed).values
    assert np.abs(other - expected).max() > 1e-2


@pytest.mark.parametrize("times", [0.25, 8.0])
def test_alpha_is_the_scale_of_what_comes_back(log, times):
    seen = log.observed_by(None)
    more = replace(seen, alpha=times * ALPHA)
    for method, tolerance in (("last_policy", 1e-12), ("causal_entropy", 1e-4)):
        once, scaled = (recover(one, of=0, method=method).values for one in (seen, more))
        np.testing.assert_allclose(scaled, times * once, rtol=0, atol=times * tolerance)


def test_the_wider_the_prior_the_larger_the_reward(log):
    seen = log.observed_by(None)
    sizes = [
        np.abs(recover(seen, of=0, method="causal_entropy", prior=prior).values).max()
        for prior in (0.01, 0.1, 1.0)
    ]
    assert sizes[0] < 0.01 * ALPHA * 2
    assert sizes[0] < sizes[1] < sizes[2]
    default, ten = (
        recover(seen, of=0, method="causal_entropy", **options).values
        for options in ({}, {"prior": 10.0})
    )
    np.testing.assert_array_equal(default, ten)


def test_moves_that_nobody_controls_say_nothing():
    flip = MarkovGame(
        actions=(2,), transitions=[[1, 1], [0, 0]], rewards=[[0.0, 1.0]], start=0, gamma=0.9
    )
    with pytest.raises(NothingToLearnError, match="do not depend on a reward of the state"):
        recover(sees(flip, flip.uniform_policies()), of=0, method="causal_entropy")


def test_smoothing_is_what_estimates_are_made_by_unless_others_are_given(log):
    seen = log.observed_by(None)
    smoothed = additive_smoothing(seen.own_counts(0), 0.5)
    found = recover(seen, of=0, method="last_policy").values
    np.testing.assert_array_equal(found, ALPHA * np.log(smoothed[-1]))
