import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.stats import kstest

from malfl import MarkovGame, RandomImprovements, SoftPolicyIteration, learn
from malfl.learners import Iteration

ALPHA = 0.8
EXACT = SoftPolicyIteration(evaluation="exact")


def shares(policies, start, end):
    """How far along the segment each policy is, and how far off it at most."""
    whole = (end - start).ravel()
    moved = (policies - start).reshape(len(policies), -1)
    along = moved @ whole / (whole @ whole)
    return along, np.abs(moved - along[:, None] * whole).max()


@pytest.mark.parametrize("points", [1, 4, 15])
@pytest.mark.parametrize("uniform", [True, False])
def test_alone_it_goes_in_order_from_its_first_policy_to_the_best(points, uniform):
    game = random_game(np.random.default_rng(2), (3,), 5)
    first = random_policies((3,), 5, np.random.default_rng(3))
    initial = game.uniform_policies() if uniform else first
    best = naive.best_response(game, initial, 0, ALPHA)
    log = learn(
        game, RandomImprovements(points), alpha=ALPHA, iterations=points + 3, episodes=2, steps=3,
        initial=None if uniform else first, seed=0,
    )  # fmt: skip
    along, off = shares(log.policies[0], initial[0], best)
    assert off < 1e-9
    assert along[0] == 0
    assert (np.diff(along[: points + 1]) > 1e-4).all()
    assert along[points] < 1
    # Then there is nowhere left to go.
    np.testing.assert_allclose(along[points:], along[points], rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        log.policies[0][points:] - log.policies[0][points], 0, rtol=0, atol=1e-12
    )


def test_shares_of_the_distance_are_order_statistics():
    """Of as many uniform numbers as there are points: each one's law, and how two go together.

    Laws by Kolmogorov and Smirnov's test: a wrong number of points would give a p-value below
    1e-6. Covariances to within four standard errors.
    """
    points, runs = 4, 500
    # Without a future, the best policy is known: no time is spent on it.
    game = MarkovGame(
        actions=(2,), transitions=np.zeros((1, 2), dtype=int), rewards=[np.array([[1.0, 0.0]])],
        start=0, gamma=0.0,
    )  # fmt: skip
    best = 1 / (1 + np.exp(-1 / ALPHA))
    learner, rng, found = RandomImprovements(points), np.random.default_rng(0), []
    for _ in range(runs):
        policy, run = np.full((1, 2), 0.5), []
        state = learner.start(game, 0, ALPHA, rng)
        for number in range(points):
            policy = state.improve(Iteration(number, (policy,))).policy
            run.append((policy[0, 0] - 0.5) / (best - 0.5))
        found.append(run)
    found = np.array(found)
    for k in range(points):
        law = "beta", (k + 1, points - k)
        assert kstest(found[:, k], *law).pvalue > 0.01
    i, j = np.meshgrid(np.arange(1, points + 1), np.arange(1, points + 1))
    least, most = np.minimum(i, j), np.maximum(i, j)
    expected = least * (points + 1 - most) / ((points + 1) ** 2 * (points + 2))
    variance = np.diag(expected)
    errors = np.sqrt((np.outer(variance, variance) + expected**2) / runs)
    assert (np.abs(np.cov(found.T) - expected) < 4 * errors).all()


def test_among_others_it_goes_a_share_of_the_distance_that_is_left():
    """To what is best among the others as they play now."""
    game = random_game(np.random.default_rng(2), (2, 3), 4)
    log = learn(
        game, [RandomImprovements(), EXACT], alpha=ALPHA, iterations=6, episodes=2, steps=3,
        seed=0,
    )  # fmt: skip
    optima = []
    for h in range(6):
        now, after = log.policies_at(h)[0], log.policies_at(h + 1)[0]
        optima.append(naive.best_response(game, log.policies_at(h), 0, ALPHA))
        (share,), off = shares(after[None], now, optima[-1])
        assert off < 1e-9
        assert 0 < share < 1
    assert np.abs(optima[0] - optima[-1]).max() > 1e-3


def test_among_others_it_also_stays_after_the_last_point():
    game = random_game(np.random.default_rng(2), (2, 3), 4)
    learners = [RandomImprovements(2), SoftPolicyIteration()]
    log = learn(game, learners, alpha=ALPHA, iterations=5, episodes=20, steps=20, seed=0)
    own, other = log.policies
    np.testing.assert_allclose(own[2:], own[2:3] + np.zeros((4, 1, 1)), rtol=0, atol=1e-12)
    assert np.abs(own[1] - own[2]).max() > 1e-3
    assert np.abs(np.diff(other, axis=0)).max(axis=(1, 2)).min() > 1e-3


def test_from_the_best_policy_nothing_moves():
    game = random_game(np.random.default_rng(2), (3,), 5)
    best = naive.best_response(game, game.uniform_policies(), 0, ALPHA)
    log = learn(
        game, RandomImprovements(), alpha=ALPHA, iterations=3, episodes=1, steps=1, seed=0,
        initial=[best],
    )  # fmt: skip
    np.testing.assert_allclose(log.policies[0], best[None] + np.zeros((4, 1, 1)), atol=1e-9)


def test_policies_with_zeros_become_possible_everywhere():
    game = random_game(np.random.default_rng(2), (3,), 5)
    certain = np.tile([1.0, 0.0, 0.0], (5, 1))
    state = RandomImprovements(1).start(game, 0, ALPHA, np.random.default_rng(0))
    policy = state.improve(Iteration(1, (certain,))).policy
    assert (policy > 0).all()
    np.testing.assert_allclose(policy, certain, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(policy > 0.5, certain > 0.5)


def test_its_policies_come_from_no_values():
    game = random_game(np.random.default_rng(2), (3,), 5)
    state = RandomImprovements().start(game, 0, ALPHA, np.random.default_rng(0))
    assert state.improve(Iteration(0, game.uniform_policies())).values is None
    log = learn(game, RandomImprovements(), alpha=ALPHA, iterations=2, episodes=1, steps=1, seed=0)
    assert log.q[0].shape == (2, 5, 3)
    assert np.isnan(log.q[0]).all()


def test_runs_differ_and_agents_do_not_go_in_step():
    game = random_game(np.random.default_rng(2), (3, 3), 4)
    options = {"alpha": ALPHA, "iterations": 1, "episodes": 1, "steps": 1}
    uniform, went = game.uniform_policies(), []
    for seed in range(3):
        log = learn(game, RandomImprovements(), seed=seed, **options)
        for agent in (0, 1):
            best = naive.best_response(game, uniform, agent, ALPHA)
            went.append(shares(log.policies[agent][1:], uniform[agent], best)[0][0])
    assert np.diff(np.sort(went)).min() > 1e-4
