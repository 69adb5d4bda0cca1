import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

import malfl
from malfl import SoftPolicyIteration
from malfl.recovery import learned_values as module
from malfl.recovery.learned_values import (
    exact_values,
    learned_values,
    learned_variances,
    process_of,
)

ALPHA = 0.7


def visited(game, agent, rng, most=2000):
    """Some visits, many, few and none."""
    visits = rng.integers(0, most, size=(game.n_states, game.actions[agent])).astype(float)
    visits[0] = [0, 1, *[7] * (game.actions[agent] - 2)][: game.actions[agent]]
    return visits


@pytest.mark.parametrize("beta", [0.005, 0.1, 0.9])
@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.99])
@pytest.mark.parametrize("actions", [(3,), (2, 3), (2, 1, 3)])
def test_means_are_the_oracles(actions, gamma, beta):
    rng = np.random.default_rng(0)
    game = random_game(rng, actions, 5, state_rewards=True, gamma=gamma)
    policies = random_policies(actions, 5, rng)
    agent = len(actions) - 1
    process = process_of(game, policies, agent, ALPHA)
    for most in (20, 20_000):
        visits = visited(game, agent, rng, most)
        slopes, constants = learned_values(process, visits, beta)
        for reward in (np.zeros(5), game.rewards[agent]):
            theirs = naive.learned_mean(game, policies, agent, ALPHA, beta, visits, reward)
            ours = slopes @ reward + constants
            np.testing.assert_allclose(ours, theirs.ravel(), atol=1e-6 * (1 + np.abs(theirs).max()))


def test_what_was_tried_without_end_is_exact_and_what_was_not_is_zero(game):
    rng = np.random.default_rng(0)
    policies = random_policies(game.actions, game.n_states, rng)
    process = process_of(game, policies, 0, ALPHA)
    visits = np.full((game.n_states, game.actions[0]), 1e9)
    for learned, exact in zip(
        learned_values(process, visits, 0.1), exact_values(process), strict=True
    ):
        np.testing.assert_allclose(learned, exact, atol=1e-5)
    for learned in learned_values(process, 0 * visits, 0.1):
        np.testing.assert_array_equal(learned, np.zeros_like(learned))
    reward = np.ones(game.n_states)
    np.testing.assert_array_equal(learned_variances(process, 0 * visits, 0.1, reward), 0.0)


@pytest.mark.parametrize("reward_class", ["state-action", "joint-action"])
def test_a_reward_of_the_state_is_one_of_actions_too(game, reward_class):
    rng = np.random.default_rng(1)
    policies = random_policies(game.actions, game.n_states, rng)
    agent, reward = game.n_agents - 1, rng.normal(size=game.n_states)
    visits = visited(game, agent, rng)
    own, wide = (process_of(game, policies, agent, ALPHA, c) for c in ("state", reward_class))
    spread = np.repeat(reward, wide.own.shape[1] // game.n_states)
    for one, other in (
        (exact_values(own), exact_values(wide)),
        (learned_values(own, visits, 0.1), learned_values(wide, visits, 0.1)),
    ):
        np.testing.assert_allclose(
            one[0] @ reward + one[1], other[0] @ spread + other[1], atol=1e-9
        )
    np.testing.assert_allclose(
        learned_variances(own, visits, 0.1, reward),
        learned_variances(wide, visits, 0.1, spread),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("beta", "episodes", "reward_class"),
    [(0.3, 20, "state"), (0.05, 20, "state"), (0.05, 2, "state"), (0.1, 20, "joint-action")],
)
def test_variances_are_those_of_learners(beta, episodes, reward_class):
    """Of many learners who play the same policies."""
    rng = np.random.default_rng(2)
    game = random_game(rng, (3, 2), 5, state_rewards=reward_class == "state", gamma=0.8)
    policies = random_policies(game.actions, 5, rng)
    process = process_of(game, policies, 0, ALPHA, reward_class)
    reward = game.rewards[0].ravel()
    by, off, expected = SoftPolicyIteration(beta=beta), [], []
    for seed in range(300):
        log = malfl.learn(
            game, by, alpha=ALPHA, iterations=1, episodes=episodes, steps=50, seed=seed,
            initial=policies,
        )  # fmt: skip
        visits = log.seen_by(1).own_counts(0)[0]
        slopes, constants = learned_values(process, visits, beta)
        off.append(log.q[0][0].ravel() - slopes @ reward - constants)
        expected.append(learned_variances(process, visits, beta, reward))
    off, expected = np.array(off), np.mean(expected, axis=0)
    ratio = (off**2).mean(axis=0) / expected
    assert 0.8 < np.median(ratio) < 1.25
    assert (ratio > 0.5).all()
    assert (ratio < 2).all()
    assert np.abs(off.mean(axis=0) / np.sqrt(expected)).max() < 0.5


def test_without_correlations_variances_are_those_of_targets_alone(monkeypatch):
    """As in large games; never more, since values ahead would add to them."""
    rng = np.random.default_rng(0)
    game = random_game(rng, (3, 2), 5, state_rewards=True, gamma=0.9)
    process = process_of(game, random_policies(game.actions, 5, rng), 0, ALPHA)
    visits = visited(game, 0, rng)
    given = process, visits, 0.1, game.rewards[0]
    whole = learned_variances(*given)
    monkeypatch.setattr(module, "MOST_PAIRS", 14)
    alone = learned_variances(*given)
    np.testing.assert_allclose(alone, learned_variances(*given, rounds=1), rtol=1e-12)
    assert (alone <= whole).all()
    assert (alone[visits.ravel() > 0] > 0.3 * whole[visits.ravel() > 0]).all()
