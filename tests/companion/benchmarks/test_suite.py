import numpy as np
import pandas as pd
import pytest
from drawn import random_policies

from malfl import SoftPolicyIteration, learn, sample_counts
from malfl.companion.benchmarks import suite
from malfl.companion.benchmarks.rivals import NaiveLoop, numpy_loop, quantecon_chain
from malfl.games.soft import marginal_soft_q


@pytest.fixture
def policies(hom):
    return random_policies(hom.actions, hom.n_states, np.random.default_rng(8))


def test_the_naive_loop_plays_the_same_game(hom, policies):
    naive = NaiveLoop(hom, policies, suite.ALPHA, suite.BETA)
    theirs, _ = naive(20_000, 50, np.random.default_rng(1), False)
    ours = sample_counts(hom, policies, episodes=20_000, steps=50, seed=0, method="walk")
    assert theirs.sum() == ours.sum() == 1_000_000
    gap = np.sqrt(theirs / 1e6) - np.sqrt(ours / 1e6)  # 1/1000 would be one standard deviation
    assert np.abs(gap).max() < 0.01


def test_the_naive_loop_learns_what_ours_learns(hom, policies):
    naive = NaiveLoop(hom, policies, suite.ALPHA, suite.BETA)
    _, theirs = naive(3000, 100, np.random.default_rng(1), True)
    learner = SoftPolicyIteration(suite.BETA)
    ours = learn(
        hom, learner, alpha=suite.ALPHA, iterations=1, initial=policies, episodes=3000, steps=100,
        seed=0,
    )  # fmt: skip
    for agent in (0, 1):
        exact = marginal_soft_q(hom, policies, agent, suite.ALPHA)
        visited = ours.seen_by(1 - agent).own_counts(agent)[0] > 300
        errors = [np.abs(q - exact)[visited].mean() for q in (theirs[agent], ours.q[agent][0])]
        assert errors[0] == pytest.approx(errors[1], rel=0.2)


def test_the_other_rivals_reach_the_same_states(hom, policies):
    last = numpy_loop(hom, policies, 20_000, 30, np.random.default_rng(0))
    paths = quantecon_chain(hom, policies).simulate_indices(
        31, init=0, num_reps=20_000, random_state=1
    )
    seen = np.bincount(last, minlength=81) - np.bincount(paths[:, -1], minlength=81)
    assert np.abs(seen).max() < 5 * np.sqrt(2 * 20_000 * 0.05)


def test_a_contest_times_everyone_and_compares_ours_with_the_others():
    slow = []
    times = suite.contest(lambda *given: slow.append(given), episodes=20, steps=10, repetitions=1)
    assert (times["nanoseconds"] > 0).all()
    assert len(slow) == 2  # once to warm up
    cost = times.set_index("name")["nanoseconds"]
    for row in suite.ratios(times).to_dict("records"):
        assert row["ratio"] == cost[row["other"]] / cost[row["ours"]]
    assert len(suite.ratios(times)) == len(suite.RATIOS)
    assert suite.slow_oracle() is not None


def test_the_oracle_plays_what_it_is_asked(hom):
    counts, values = suite.slow_oracle()(hom, hom.uniform_policies(), 2, 15)
    assert counts.sum() == 30
    assert all(np.abs(q).max() > 0 for q in values)


def test_what_falls_short_by_more_than_the_margin_is_missed():
    ratios = pd.DataFrame(
        [("a", "x", 12.1, 15.0), ("a", "y", 11.9, 15.0)],
        columns=["ours", "other", "ratio", "at_least"],
    )
    limits = pd.DataFrame(
        [("fine", 1.19, 1.0), ("slow", 1.21, 1.0)], columns=["name", "value", "at_most"]
    )
    assert suite.missed(ratios, limits) == ["a against y: 11.9, not 15", "slow: 1.21, not 1"]


def test_the_exponent_of_a_power_is_found():
    sizes = pd.Series([10.0, 100.0, 1000.0])
    assert suite.growth(sizes, 3 * sizes**1.5) == pytest.approx(1.5)
    assert np.isnan(suite.growth(sizes, pd.Series([1.0, -1.0, 2.0])))


def test_growth_is_that_of_two_agents_and_of_large_games():
    rows = [(2, 10, "play", 1.0), (2, 100, "play", 10.0), (3, 1000, "play", 1.0)]
    sizes = pd.DataFrame(rows, columns=["agents", "states", "work", "nanoseconds"])
    rows = [(81, "solve", 9.0), (2000, "solve", 1.0), (4000, "solve", 4.0), (2000, "once", 1.0)]
    solved = pd.DataFrame(rows, columns=["states", "work", "seconds"])
    assert suite.exponents(sizes, solved) == pytest.approx({"play": 1.0, "solve": 2.0})


def test_costs_are_measured_for_every_size_and_method():
    episodes = suite.cost_of_episodes([10, 100], steps=5, longest=10, repetitions=1)
    assert list(episodes["method"]) == ["occupancy", "occupancy", "walk"]
    sizes = suite.cost_of_size([(2, 2), (2, 3)], episodes=200, steps=50, repetitions=1)
    assert list(sizes["states"]) == [16, 16, 64, 64]
    solved = suite.cost_of_exactness([2, 3])
    assert solved["correlation"].dropna().min() > 0.9999
    threads = suite.cost_of_threads([1, 2], runs=1, repetitions=1)
    assert (threads["seconds"] > 0).all()
    assert min(suite.machine_limit(1).values()) > 0


def test_start_up_is_measured_in_processes_of_their_own():
    seconds = suite.start_up(repetitions=1)
    assert seconds.keys() == suite.START_UP.keys()
    assert seconds["first run, compiling"] > seconds["second run, from the cache"] > 0
