"""Rewards of the last policy: its logarithm, and what makes it the best one."""

from dataclasses import dataclass, replace

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.special import softmax

import malfl
from malfl import (
    CausalEntropy,
    LastPolicy,
    MarkovGame,
    SoftPolicyIteration,
    Structural,
    View,
    correlation,
    estimate_policies,
    learn,
    recover,
)
from malfl.recovery import MaximumLikelihood, NothingToLearnError, Smoothing, learner_models
from malfl.recovery.last_policy import log_policy
from malfl.recovery.policies import additive_smoothing

ALPHA = 0.7
PLAYERS = [(3,), (2, 3), (3, 2), (2, 2, 2)]


@dataclass(frozen=True)
class Known:
    """Policies that only a test knows, one array an agent, of different numbers of actions."""

    policies: tuple

    def fit(self, counts, rng):
        (found,) = (one for one in self.policies if one.shape == counts.shape)
        return found


either = pytest.mark.parametrize("estimator", [LastPolicy(), CausalEntropy()])


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
    return View(observer, game.without_rewards(), ALPHA, counts[None], own)


@pytest.fixture(scope="module")
def log():
    return learn(
        a_game((2, 3)), SoftPolicyIteration(evaluation="exact"), alpha=ALPHA, iterations=4,
        episodes=50, steps=40, seed=0,
    )  # fmt: skip


def test_the_logarithm_is_of_the_last_policy_as_estimated(log):
    for observer, agent in ((0, 1), (1, 0), (None, 0), (None, 1)):
        view = replace(log.seen_by(observer), alpha=1.3)
        found = recover(view, of=agent, by=LastPolicy())
        shares = view.own_counts(agent)[-1] + 0.5
        shares /= shares.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.values, 1.3 * np.log(shares), rtol=1e-12)
        assert found.reward_class == "state-action"
        assert found.converged
        assert found.deviation is None
    weaker = estimate_policies(view, Smoothing(20.0))
    found = recover(view, of=1, by=LastPolicy(Smoothing(20.0)))
    np.testing.assert_allclose(found.values, 1.3 * np.log(weaker[1][-1]), rtol=1e-12)


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
    view = log.seen_by(None)
    plain = estimate_policies(view, MaximumLikelihood())
    plain[0][-1, 2] = [0.0, 1.0]
    with pytest.raises(ValueError, match=r"policy\[2, 0\] is 0, and its logarithm is needed"):
        recover(view, of=0, by=LastPolicy(Known(plain)))
    plain[0][-1, 2] = [0.5, 0.5]
    plain[0][0, 2] = [0.0, 1.0]  # those before do not matter
    recover(view, of=0, by=LastPolicy(Known(plain)))


def test_no_equations_determine_a_logarithm(log):
    found = recover(log.seen_by(None), of=0, by=LastPolicy())
    with pytest.raises(ValueError, match="solves no equations that could determine it"):
        _ = found.determination


@either
def test_one_iteration_is_enough_and_the_last_is_all_that_counts(log, estimator):
    view = log.seen_by(0)
    only = replace(view, counts=view.counts[-1:], own_policies=view.own_policies[-1:])
    whole, one = (recover(part, of=1, by=estimator) for part in (view, only))
    np.testing.assert_array_equal(whole.values, one.values)
    first = recover(view.first(1), of=1, by=estimator)
    assert np.abs(first.values - whole.values).max() > 1e-2


@either
def test_policies_that_never_change_are_no_obstacle(estimator):
    game = a_game()
    best = optimum(game, game.uniform_policies(), 0)
    twice = sees(game, [best])
    twice = replace(twice, counts=np.repeat(twice.counts, 2, axis=0))
    assert np.isfinite(recover(twice, of=0, by=estimator).values).all()
    with pytest.raises(NothingToLearnError, match="do not change"):
        recover(twice, of=0, by=Structural())


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: CausalEntropy(prior=0), ValueError, "prior must be greater than 0, got 0"),
        (lambda: CausalEntropy(prior="wide"), TypeError, "prior must be a number, got 'wide'"),
        (lambda: CausalEntropy(policies="all"), TypeError, "policies must be of type PolicyFit"),
        (lambda: LastPolicy("all"), TypeError, "policies must be of type PolicyFit"),
    ],
)
def test_bad_parameters_are_named(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()


@pytest.mark.parametrize("actions", PLAYERS)
@pytest.mark.parametrize("stochastic", [True, False])
def test_a_best_response_is_the_soft_optimum_among_the_others(actions, stochastic):
    rng = np.random.default_rng(1)
    game = random_game(rng, actions, 5, stochastic, state_rewards=True)
    policies = random_policies(actions, 5, rng)
    for agent, own in enumerate(actions):
        faced = learner_models.face(game, [policy[None] for policy in policies], agent)
        model = learner_models.best_response(faced, game.ends, ALPHA, game.gamma)
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
    view = sees(game, policies, episodes=20)
    known = Known(tuple(p[None] for p in policies))
    found = recover(view, of=agent, by=CausalEntropy(prior, known))
    odds = naive.faced(game, policies, agent)
    paid = over_actions(found.values, game.actions[agent])
    best = naive.soft_optimum(odds, paid, game.gamma, ALPHA)
    by_action, by_policy = naive.discounted_visits(odds, best, game.gamma)
    counts = view.own_counts(agent)[0]
    visited = sum(counts[s, a] * by_action[s, a] for s, a in np.ndindex(*counts.shape))
    expected = sum(counts[s].sum() * by_policy[s] for s in range(5))
    pull = found.values / (ALPHA * prior**2)
    size = np.sqrt(counts.sum())  # by chance alone
    np.testing.assert_allclose(visited, expected + pull, rtol=0, atol=1e-4 * size)
    assert np.abs(visited - by_policy.sum(axis=0) * counts.sum() / 5).max() > 0.1 * size
    if prior < 1:
        assert np.abs(pull).max() > 1e-2 * size
    assert found.converged
    assert found.reward_class == "state"
    logits = naive.soft_optimal_q(odds, paid, game.gamma, ALPHA) / ALPHA
    likelihood = naive.log_likelihood([counts], [logits])
    assert found.diagnostics.log_likelihood == pytest.approx(likelihood, rel=1e-9)


@pytest.mark.parametrize("actions", [(3,), (2, 3), (3, 2)])
def test_the_reward_of_an_agent_at_its_best_is_found(actions):
    """From many steps, among others who keep to their policies."""
    game, agent = a_game(actions), len(actions) - 1
    policies = list(random_policies(actions, 5, np.random.default_rng(2)))
    policies[agent] = optimum(game, policies, agent)
    view = sees(game, policies, episodes=10**6)
    found = recover(view, of=agent, by=CausalEntropy(prior=1e3))
    true = game.rewards[agent]
    np.testing.assert_allclose(
        found.values - found.values.mean(), true - true.mean(), rtol=0, atol=0.03
    )
    assert correlation(found, true).pearson > 0.9999
    assert (found.determination.rank, found.determination.free) == (4, 1)
    misfit = found.diagnostics.misfit
    # Of two actions as good as one number is left to tell it by, and rounding decides.
    assert misfit < 3 or (game.actions[agent] == 2 and np.isnan(misfit))
    error = found.values - found.values.mean() - true + true.mean()
    assert (np.abs(error) < 4 * found.deviation).all()


def test_what_the_moves_leave_open_stays_open():
    """States 1 and 2 lead to one another only: who is in one will be in both as often."""
    table = np.array([[0, 1], [2, 2], [0, 0]])
    game = MarkovGame(
        actions=(2,), transitions=table, rewards=[[0.0, 1.0, -0.4]], start=0, gamma=0.8
    )
    best = optimum(game, game.uniform_policies(), 0)
    found = recover(sees(game, [best], episodes=10**6), of=0, by=CausalEntropy())
    assert found.determination.free == 2
    again = MarkovGame(actions=(2,), transitions=table, rewards=[found.values], start=0, gamma=0.8)
    np.testing.assert_allclose(optimum(again, game.uniform_policies(), 0), best, rtol=0, atol=2e-3)
    # A visit to 1 is worth a visit to 2 one step later, each beside one to 0.
    worth = [np.array(r) @ [-1.8, 1, 0.8] for r in (found.values, game.rewards[0])]
    assert worth[0] == pytest.approx(worth[1], abs=0.01)


def test_the_others_count_as_they_play_last(log):
    """What the agent's own estimate says does not matter beyond its counts."""
    view = log.seen_by(None)
    expected = recover(view, of=1, by=CausalEntropy()).values
    changed = estimate_policies(view)
    changed[0][:-1] = 0.5
    changed[1][:] = 1 / 3
    same = recover(view, of=1, by=CausalEntropy(policies=Known(changed))).values
    np.testing.assert_array_equal(same, expected)
    changed[0][-1] = [0.9, 0.1]
    other = recover(view, of=1, by=CausalEntropy(policies=Known(changed))).values
    assert np.abs(other - expected).max() > 1e-2


@pytest.mark.parametrize("times", [0.25, 8.0])
def test_alpha_is_the_scale_of_what_comes_back(log, times):
    view = log.seen_by(None)
    more = replace(view, alpha=times * ALPHA)
    for estimator, tolerance in ((LastPolicy(), 1e-12), (CausalEntropy(), 1e-4)):
        once, scaled = (recover(one, of=0, by=estimator).values for one in (view, more))
        np.testing.assert_allclose(scaled, times * once, rtol=0, atol=times * tolerance)


def test_the_wider_the_prior_the_larger_the_reward(log):
    view = log.seen_by(None)
    sizes = [
        np.abs(recover(view, of=0, by=CausalEntropy(prior)).values).max()
        for prior in (0.01, 0.1, 1.0)
    ]
    assert sizes[0] < 0.01 * ALPHA * 2
    assert sizes[0] < sizes[1] < sizes[2]
    assert CausalEntropy() == CausalEntropy(prior=10.0)


def test_moves_that_nobody_controls_say_nothing():
    flip = MarkovGame(
        actions=(2,), transitions=[[1, 1], [0, 0]], rewards=[[0.0, 1.0]], start=0, gamma=0.9
    )
    with pytest.raises(NothingToLearnError, match="do not depend on a reward of the state"):
        recover(sees(flip, flip.uniform_policies()), of=0, by=CausalEntropy())


def test_smoothing_is_what_estimates_are_made_by_unless_others_are_given(log):
    view = log.seen_by(None)
    smoothed = additive_smoothing(view.own_counts(0), 0.5)
    found = recover(view, of=0, by=LastPolicy()).values
    np.testing.assert_array_equal(found, ALPHA * np.log(smoothed[-1]))


def own_next_policy(view, policies, agent, reward):
    """Softmax of exact soft Q, for a reward of the state or of own actions."""
    rules = view.dynamics
    if np.ndim(reward) == 2:
        reward = reward[:, rules.own_actions[agent]]
    game = MarkovGame(
        actions=rules.actions, transitions=rules.transitions, rewards=[reward] * rules.n_agents,
        start=rules.start, gamma=rules.gamma,
    )  # fmt: skip
    q = naive.over_opponents(game, policies, agent, naive.soft_q(game, policies, agent, view.alpha))
    return naive.improve(q, view.alpha)


@either
@pytest.mark.parametrize(("observer", "agent"), [(None, 0), (None, 1), (0, 1), (1, 0)])
def test_the_next_policy_is_the_softmax_of_exact_values(log, estimator, observer, agent):
    view = replace(log.seen_by(observer), alpha=1.3)
    prepared = estimator.prepare(view, agent, np.random.default_rng(0))
    policies = estimate_policies(view)
    for h in (0, 3):
        found = prepared.reward(h)
        expected = own_next_policy(view, [p[h] for p in policies], agent, found.values)
        predicted = prepared.next_policy(found, h)
        np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-10)


@either
def test_numbers_of_improvements_come_in_any_order(log, estimator):
    """One preparation says the same as one for each."""
    view = log.seen_by(0)
    shared = estimator.prepare(view, 1, np.random.default_rng(0))
    for number in (3, 0, 2):
        alone = recover(view.first(number + 1), of=1, by=estimator)
        np.testing.assert_array_equal(shared.reward(number).values, alone.values)


@either
def test_the_next_policy_is_predicted_where_little_is_known(log, estimator):
    """Policies never seen count as uniform, unknown rewards as zero."""
    view = log.seen_by(None)
    counts = view.counts.copy()
    counts[3, 2] = 0
    view = replace(view, counts=counts)
    policies = [np.where(np.isnan(p[3]), 1 / p.shape[2], p[3]) for p in estimate_policies(view)]
    prepared = estimator.prepare(view, 1, np.random.default_rng(0))
    found = prepared.reward(3)
    values = found.values.copy()
    values[4] = np.nan
    expected = own_next_policy(view, policies, 1, np.nan_to_num(values))
    predicted = prepared.next_policy(replace(found, values=values), 3)
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-10)


@either
def test_whoever_plays_best_is_expected_to_stay(estimator):
    """By the reward that is the logarithm of its policy."""
    game = a_game()
    best = optimum(game, game.uniform_policies(), 0)
    known = replace(estimator, policies=Known((best[None],)))
    prepared = known.prepare(sees(game, [best], episodes=10), 0, np.random.default_rng(0))
    predicted = prepared.next_policy(log_policy(best, ALPHA), 0)
    np.testing.assert_allclose(predicted, best, rtol=0, atol=1e-9)
