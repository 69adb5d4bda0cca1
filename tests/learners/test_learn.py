from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from importlib import import_module
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl import MarkovGame, SoftPolicyIteration, Training, iterate_exactly, learn, learn_all
from malfl.games import soft
from malfl.kernels.alias import fill_slots
from malfl.play.player import bits_for

SMALL = {"alpha": 0.8, "iterations": 3, "episodes": 6, "steps": 30}
EVALUATIONS = ["td", "sarsa", "exact"]
EXACT = SoftPolicyIteration(evaluation="exact")


def table(row):
    """An alias table and its bits."""
    bits = bits_for(len(row))
    slots = np.empty(1 << bits, dtype=np.uint64)
    fill_slots(np.array([row], dtype=float), bits, slots)
    return slots, bits


@pytest.mark.parametrize("evaluation", ["td", "sarsa"])
def test_algorithm_1_from_end_to_end(game, evaluation):
    learner = SoftPolicyIteration(beta=0.2, evaluation=evaluation)
    log = learn(game, learner, **SMALL, seed=4)
    rng = np.random.default_rng(4)
    policies = [np.full((game.n_states, n), 1 / n) for n in game.actions]
    for h in range(3):
        played = naive.play(game, policies, 6, 30, rng, table, jointly=True)
        np.testing.assert_array_equal(log.counts[h], naive.joint_counts(game, *played[:2]))
        q = [
            naive.soft_td(game, policies, i, 0.8, 0.2, *played, evaluation == "sarsa")
            for i in range(game.n_agents)
        ]
        policies = [naive.improve(values, 0.8) for values in q]
        for i in range(game.n_agents):
            np.testing.assert_allclose(log.q[i][h], q[i], atol=1e-11)
            np.testing.assert_allclose(log.policies[i][h + 1], policies[i], atol=1e-11)


def test_exact_learners_follow_exact_iteration(game):
    log = learn(game, EXACT, **SMALL, seed=0)
    exact = iterate_exactly(game, alpha=0.8, iterations=3)
    policies = [np.full((game.n_states, n), 1 / n) for n in game.actions]
    for h in range(4):
        for i in range(game.n_agents):
            np.testing.assert_allclose(log.policies[i][h], exact[i][h], rtol=1e-12)
            np.testing.assert_allclose(exact[i][h], policies[i], atol=1e-9)
        policies = [
            naive.improve(
                naive.over_opponents(game, policies, i, naive.soft_q(game, policies, i, 0.8)), 0.8
            )
            for i in range(game.n_agents)
        ]


def test_long_evaluation_approaches_the_exact_values():
    game = random_game(np.random.default_rng(1))
    learner = SoftPolicyIteration(beta=0.002)
    log = learn(game, learner, alpha=0.5, iterations=1, episodes=400, steps=500, seed=0)
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
    assert hom_log.episodes is None


@pytest.mark.parametrize("block_steps", [2**22, 60, 7])
@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_recorded_episodes_are_those_counted(hom, monkeypatch, evaluation, block_steps):
    learner = SoftPolicyIteration(evaluation=evaluation)
    plain = learn(hom, learner, iterations=2, episodes=5, steps=30, seed=0)
    monkeypatch.setattr("malfl.play.player.BLOCK_STEPS", block_steps)
    log = learn(hom, learner, iterations=2, episodes=5, steps=30, record=True, seed=0)
    for h in (0, 1):
        played = log.episodes[h]
        assert [one.states.shape for one in played] == [(31,)] * 5
        counts = naive.joint_counts(hom, *zip(*played, strict=True))
        np.testing.assert_array_equal(log.counts[h], counts)
    assert log.seen_by(0).episodes is log.episodes
    np.testing.assert_array_equal(plain.counts, log.counts)
    for agent in (0, 1):
        np.testing.assert_array_equal(plain.policies[agent], log.policies[agent])
        np.testing.assert_array_equal(plain.q[agent], log.q[agent])


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_random_games_can_be_learned(evaluation):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        actions = tuple(int(n) for n in rng.integers(1, 5, size=rng.integers(1, 4)))
        states = int(rng.integers(1, 7))
        joint = int(np.prod(actions))
        table = np.eye(states)[rng.integers(states, size=(states, joint))]
        slip = rng.choice([0, 0.3, 1])
        moves = (1 - slip) * table + slip * rng.dirichlet(np.full(states, 0.4), (states, joint))
        moves[-1] = np.eye(states)[-1]  # a sink
        rewards = [rng.normal(size=(states,) if rng.random() < 0.5 else (states, joint))
                   for _ in actions]  # fmt: skip
        game = MarkovGame(
            actions=actions, transitions=moves, rewards=rewards, start=0, gamma=rng.uniform(0, 0.95)
        )
        learner = SoftPolicyIteration(evaluation=evaluation)
        log = learn(game, learner, iterations=2, episodes=9, steps=11, record=True, alpha=0.5,
                    seed=seed)  # fmt: skip
        assert (log.counts.sum(axis=(1, 2)) == 99).all()
        for policy, q in zip(log.policies, log.q, strict=True):
            np.testing.assert_allclose(policy.sum(axis=-1), 1, atol=1e-12)
            assert np.isfinite(q).all()
        for h, played in enumerate(log.episodes):
            before, taken, after = played.moves()
            assert (moves[before, taken, after] > 0).all()
            assert all(one.states[0] == 0 for one in played)
            counts = naive.joint_counts(game, *zip(*played, strict=True))
            np.testing.assert_array_equal(log.counts[h], counts)


@pytest.mark.parametrize("evaluation", EVALUATIONS)
@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_many_runs_are_the_single_ones_whatever_the_threads(evaluation, threads):
    games = [random_game(np.random.default_rng(k), actions=(2, 1 + k)) for k in (1, 2)]
    learner = SoftPolicyIteration(evaluation=evaluation)
    training = Training(learner, **SMALL)
    with ThreadPoolExecutor(threads) if threads else nullcontext() as executor:
        logs = learn_all(games, training, seeds=(3, 5, 3), record=True, executor=executor)
    for game, row in zip(games, logs, strict=True):
        for seed, log in zip((3, 5, 3), row, strict=True):
            one = learn(game, learner, **SMALL, record=True, seed=seed)
            assert log.game is game
            assert log.training == one.training == training.but(seed=seed)
            np.testing.assert_array_equal(log.counts, one.counts)
            for agent in (0, 1):
                np.testing.assert_array_equal(log.policies[agent], one.policies[agent])
                np.testing.assert_array_equal(log.q[agent], one.q[agent])
            for ours, theirs in zip(log.episodes, one.episodes, strict=True):
                np.testing.assert_array_equal(ours.packed.codes, theirs.packed.codes)


def test_no_runs_are_no_logs(hom):
    assert learn_all([], seeds=[1]) == []
    assert learn_all([hom], seeds=[]) == [[]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": [0, -1]}, r"seeds\[1\] must be at least 0, got -1"),
        ({"seeds": [0, None]}, r"seeds\[1\] must be a whole number, got None"),
        ({"games": [5]}, r"games\[0\] must be of type MarkovGame"),
        ({"record": 1}, "record must be True or False, got 1"),
        pytest.param(
            {"training": SoftPolicyIteration()},
            "training must be of type Training",
        ),
        (
            {"training": Training([SoftPolicyIteration()] * 3)},
            "learners must .* of 2 agents, got 3",
        ),
    ],
)
def test_bad_runs_are_refused_before_any_begins(hom, monkeypatch, options, message):
    monkeypatch.setattr(import_module("malfl.learners.learn"), "Player", None)
    with pytest.raises((ValueError, TypeError), match=message):
        learn_all(**({"games": [hom], "seeds": [0]} | options))


def test_results_do_not_depend_on_blocks(game, monkeypatch):
    def run():
        return learn(game, alpha=0.8, iterations=2, episodes=50, steps=20, record=True, seed=1)

    one = run()
    for name, value in {"LANES": (3, 7), "CALL_STEPS": 90, "BLOCK_STEPS": 40, "WORDS": 17}.items():
        monkeypatch.setattr(f"malfl.play.player.{name}", value)
        other = run()
        np.testing.assert_array_equal(one.counts, other.counts)
        for agent in range(game.n_agents):
            np.testing.assert_array_equal(one.q[agent], other.q[agent])
        np.testing.assert_array_equal(one.episodes[1].packed.codes, other.episodes[1].packed.codes)


def test_what_does_not_fit_in_memory_is_refused_at_once(hom, monkeypatch):
    with pytest.raises(MemoryError, match=r"counts of shape \(1000000000, 81, 25\) would need"):
        learn(hom, iterations=10**9, seed=0)
    with pytest.raises(MemoryError, match=r"10 x 1000000000 episodes of 1000 steps would need"):
        learn(hom, episodes=10**9, record=True, seed=0)
    with pytest.raises(MemoryError, match=r"10 x 1000000000 episodes of 1000 steps would need"):
        learn_all([hom], Training(episodes=10**9), seeds=[0], record=True)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=20000))
    with pytest.raises(MemoryError, match=r"tables of 81 states and 25 joint actions would need"):
        learn(hom, iterations=1, seed=0)


def test_games_too_large_to_pack_are_refused(hom, monkeypatch):
    monkeypatch.setattr("malfl.play.player.CODES", 2048)
    with pytest.raises(ValueError, match=r"81 states and 25 joint actions do not fit in one code"):
        learn(hom, iterations=1, episodes=1, steps=1, seed=0)


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
    ("seed", "number"),
    [
        (3, 3),
        (np.random.default_rng(3), None),
        pytest.param(np.int64(3), 3),
    ],
)
def test_a_log_says_how_it_was_made(hom, seed, number):
    learners = (EXACT, SoftPolicyIteration())
    log = learn(hom, list(learners), **SMALL, seed=seed)
    assert log.training == Training(learners, **SMALL, seed=number)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha must be greater than 0, got 0"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"episodes": 0}, "episodes must be at least 1, got 0"),
        ({"steps": -1}, "steps must be at least 1, got -1"),
        ({"episodes": "many"}, "episodes must be a whole number, got 'many'"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"seed": None}, "seed must be a whole number, got None"),
        ({"record": None}, "record must be True or False, got None"),
        ({"initial": [np.ones((81, 5))] * 2}, r"initial\[0\]\[0\] sums to 5"),
        ({"initial": 5}, "initial must be a sequence with one entry for each agent, got 5"),
        ({"steps": True}, "steps must be a whole number, got True"),
    ],
)
def test_bad_options_are_named(hom, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        learn(hom, **({"episodes": 1, "steps": 1, "seed": 0} | options))
