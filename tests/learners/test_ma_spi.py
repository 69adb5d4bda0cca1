import naive
import numpy as np
import pytest
from conftest import random_game, random_policies

from malfl import learn, soft
from malfl.learners.ma_spi import iterate_exactly

SMALL = {"alpha": 0.8, "iterations": 3, "episodes": 6, "steps": 30}


@pytest.mark.parametrize("evaluation", ["td", "sarsa"])
def test_algorithm_1_from_end_to_end(game, evaluation):
    log = learn(game, **SMALL, beta=0.2, evaluation=evaluation, seed=4)
    world, *minds = np.random.default_rng(4).spawn(1 + game.n_agents)
    policies = [np.full((game.n_states, n), 1 / n) for n in game.actions]
    for h in range(3):
        states, actions = naive.sample_trajectories(game, policies, 6, 30, world)
        np.testing.assert_array_equal(log.counts[h], naive.joint_counts(game, states, actions))
        q = [
            naive.soft_td(
                game, policies, i, 0.8, 0.2, states, actions, minds[i], evaluation == "sarsa"
            )
            for i in range(game.n_agents)
        ]
        policies = [naive.improve(values, 0.8) for values in q]
        for i in range(game.n_agents):
            np.testing.assert_allclose(log.q[i][h], q[i], atol=1e-11)
            np.testing.assert_allclose(log.policies[i][h + 1], policies[i], atol=1e-11)


def test_exact_learners_follow_exact_iteration(game):
    log = learn(game, **SMALL, evaluation="exact", seed=0)
    exact = iterate_exactly(game, alpha=0.8, iterations=3)
    policies = [np.full((game.n_states, n), 1 / n) for n in game.actions]
    for h in range(4):
        for i in range(game.n_agents):
            np.testing.assert_array_equal(log.policies[i][h], exact[i][h])
            np.testing.assert_allclose(exact[i][h], policies[i], atol=1e-9)
        policies = [
            naive.improve(
                naive.over_opponents(game, policies, i, naive.soft_q(game, policies, i, 0.8)), 0.8
            )
            for i in range(game.n_agents)
        ]


def test_long_evaluation_approaches_the_exact_values():
    game = random_game(np.random.default_rng(1))
    log = learn(game, alpha=0.5, iterations=1, episodes=400, steps=500, beta=0.002, seed=0)
    for agent in (0, 1):
        exact = soft.marginal_soft_q(game, game.uniform_policies(), agent, 0.5)
        np.testing.assert_allclose(log.q[agent][0], exact, atol=0.08)


def test_shapes_and_policies_along_the_way(hom_log):
    assert hom_log.iterations == 4
    assert hom_log.counts.shape == (4, 81, 25)
    assert (hom_log.counts.sum(axis=(1, 2)) == 3000 * 200).all()
    assert [p.shape for p in hom_log.policies] == [(5, 81, 5)] * 2
    assert [q.shape for q in hom_log.q] == [(4, 81, 5)] * 2
    for agent in (0, 1):
        np.testing.assert_allclose(hom_log.policies[agent].sum(axis=-1), 1, atol=1e-12)
        expected = soft.improve(hom_log.q[agent][2], 3.0)
        np.testing.assert_array_equal(hom_log.policies_at(3)[agent], expected)
    assert hom_log.trajectories is None


def test_recorded_trajectories_are_those_counted(hom, monkeypatch):
    monkeypatch.setattr("malfl.sampling.BATCH_STEPS", 60)  # several batches an iteration
    log = learn(hom, iterations=2, episodes=5, steps=30, record=True, seed=0)
    for h in (0, 1):
        played = log.trajectories[h]
        assert played.states.shape == (5, 31)
        counts = naive.joint_counts(hom, played.states, played.actions)
        np.testing.assert_array_equal(log.counts[h], counts)
    assert log.observed_by(0).trajectories is log.trajectories
    plain = learn(hom, iterations=2, episodes=5, steps=30, seed=0)
    np.testing.assert_array_equal(plain.policies[0], log.policies[0])


def test_an_initial_policy_is_where_learning_starts():
    game = random_game(np.random.default_rng(0))
    initial = random_policies(game.actions, 4, np.random.default_rng(1))
    log = learn(game, **SMALL, initial=initial, seed=0)
    np.testing.assert_array_equal(log.policies[1][0], initial[1])
    np.testing.assert_array_equal(
        iterate_exactly(game, iterations=1, initial=initial)[1][0], initial[1]
    )


def test_policies_with_zeros_can_be_played():
    game = random_game(np.random.default_rng(0))
    certain = (np.tile([1.0, 0.0], (4, 1)), np.tile([0.0, 0.5, 0.5], (4, 1)))
    log = learn(game, **SMALL, initial=certain, seed=0)
    assert np.isfinite(log.q[0]).all()
    assert log.counts[0][:, [0, 3, 4, 5]].sum() == 0


def test_there_must_be_rewards_to_learn_from(hom):
    with pytest.raises(TypeError, match=r"game must be of type MarkovGame .*, got Dynamics"):
        learn(hom.without_rewards(), seed=0)


def test_same_seed_same_run(game):
    one, two, other = (learn(game, **SMALL, seed=seed) for seed in (1, 1, 2))
    for agent in range(game.n_agents):
        np.testing.assert_array_equal(one.policies[agent], two.policies[agent])
    np.testing.assert_array_equal(one.counts, two.counts)
    assert (one.counts != other.counts).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha must be greater than 0, got 0"),
        ({"beta": 0}, r"beta must lie in \(0, 1\], got 0"),
        ({"beta": 1.5}, r"beta must lie in \(0, 1\], got 1.5"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"episodes": 0}, "episodes must be at least 1, got 0"),
        ({"steps": -1}, "steps must be at least 1, got -1"),
        ({"episodes": "many"}, "episodes must be a whole number, got 'many'"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"seed": None}, "seed must be a whole number, got None"),
        ({"evaluation": "dp"}, "evaluation must be one of td, sarsa, exact, got 'dp'"),
        ({"initial": [np.ones((81, 5))] * 2}, r"initial\[0\]\[0\] sums to 5"),
        ({"initial": 5}, "initial must be a sequence with one entry for each agent, got 5"),
        ({"steps": True}, "steps must be a whole number, got True"),
    ],
)
def test_bad_options_are_named(hom, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        learn(hom, **({"episodes": 1, "steps": 1, "seed": 0} | options))
