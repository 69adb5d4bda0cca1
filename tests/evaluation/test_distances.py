import itertools
import tracemalloc

import naive
import numpy as np
import pytest
from drawn import GAMES, random_game, random_policies

from malfl import Dynamics
from malfl.evaluation.distances import epic, starc

DISTANCES = pytest.mark.parametrize("distance", [epic, starc])


def rewards(game, agent, rng):
    """A reward of each shape that is taken."""
    states, own = game.n_states, game.actions[agent]
    shapes = [(states,), (states, own), (states, game.n_joint_actions), (states, own, states)]
    return [rng.normal(size=shape) for shape in shapes]


def on_transitions(game, policies, agent, reward):
    """A reward of any of these shapes as r[s][a][t], a an own action and t the next state."""
    states, own = range(game.n_states), range(game.actions[agent])
    if reward.ndim == 3:
        return reward.tolist()
    if reward.ndim == 1:
        return [[[reward[s] for _ in states] for _ in own] for s in states]
    if reward.shape[1] == game.n_joint_actions:
        reward = naive.over_opponents(game, policies, agent, reward)
    return [[[reward[s, a] for _ in states] for a in own] for s in states]


def faced(game, policies, agent):
    """Transitions of the process the agent faces: P[s][a][t], a an own action."""
    next_states, _ = naive.plain(game)
    result = np.zeros((game.n_states, game.actions[agent], game.n_states))
    for s in range(game.n_states):
        for a, joint in enumerate(naive.joint_actions(game.actions)):
            for p, t in next_states[s][a]:
                result[s, joint[agent], t] += naive.probability(policies, s, joint, agent) * p
    return result


def naive_epic(a, b, game, policies, agent):
    states, own = range(game.n_states), range(game.actions[agent])
    triples = list(itertools.product(states, own, states))

    def canonical(r):
        def expected(s):
            return np.mean([r[s][a][t] for a in own for t in states])

        overall = np.mean([expected(s) for s in states])
        return [
            r[s][a][t] + game.gamma * expected(t) - expected(s) - game.gamma * overall
            for s, a, t in triples
        ]

    x, y = (canonical(on_transitions(game, policies, agent, r)) for r in (a, b))
    return np.sqrt((1 - np.corrcoef(x, y)[0, 1]) / 2)


def naive_starc(a, b, game, policies, agent):
    states, own = range(game.n_states), range(game.actions[agent])
    odds = faced(game, policies, agent)

    def standardised(r):
        def gain(s, a, value):
            return sum(odds[s, a, t] * (r[s][a][t] + game.gamma * value[t]) for t in states)

        value = [0.0 for _ in states]
        for _ in range(200):
            value = [np.mean([gain(s, a, value) for a in own]) for s in states]
        levelled = np.array([gain(s, a, value) - value[s] for s in states for a in own])
        return levelled / np.sqrt(sum(x**2 for x in levelled))

    x, y = (standardised(on_transitions(game, policies, agent, r)) for r in (a, b))
    return np.sqrt(sum((x - y) ** 2)) / 2


@pytest.mark.parametrize(
    ("distance", "oracle"), [(epic, naive_epic), (starc, naive_starc)], ids=["epic", "starc"]
)
def test_distances_are_their_definitions(game, policies, distance, oracle):
    rng = np.random.default_rng(0)
    for agent, own in enumerate(game.actions):
        if distance is starc and own == 1:
            continue
        first, second = rewards(game, agent, rng), rewards(game, agent, rng)
        for a, b in itertools.product(first, second):
            expected = oracle(a, b, game, policies, agent)
            assert 0.01 < expected < 0.999
            assert distance(a, b, game, policies, agent) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("scale", [3.7, 1e-3, 1e180, 1e-180])
@DISTANCES
def test_scale_and_shaping_do_not_count(game, policies, distance, scale):
    rng = np.random.default_rng(1)
    states, gamma = game.n_states, game.gamma
    r = rng.normal(size=(states, game.actions[0], states))
    g = rng.normal(size=states) + 5
    shaped = scale * (r + g[:, None, None] - gamma * g)
    assert distance(r, shaped, game, policies, 0) < 1e-7
    assert distance(-r, shaped, game, policies, 0) == pytest.approx(1, abs=1e-12)
    wrong = scale * (r + g[:, None, None] - 0.5 * gamma * g)
    assert distance(r, wrong, game, policies, 0) > 1e-2


def test_starc_knows_shapings_in_expectation(game, policies):
    rng = np.random.default_rng(2)
    odds = faced(game, policies, 0)
    r, g = rng.normal(size=odds.shape), rng.normal(size=game.n_states)
    own = (odds * r).sum(axis=2)
    assert starc(r, own, game, policies, 0) < 1e-7
    shaped = 2 * own + g[:, None] - game.gamma * odds @ g
    assert starc(own, shaped, game, policies, 0) < 1e-7
    assert starc(r, shaped, game, policies, 0) < 1e-7
    assert epic(own, shaped, game, policies, 0) > 1e-2  # for EPIC s' is any state
    joint = rng.normal(size=(game.n_states, game.n_joint_actions))
    future = (game.transitions @ g).reshape(joint.shape)
    shaped = 2 * joint + g[:, None] - game.gamma * future
    assert starc(joint, shaped, game, policies, 0) < 1e-7


@DISTANCES
def test_a_constant_does_not_count(game, policies, distance):
    for reward in rewards(game, 0, np.random.default_rng(3)):
        assert distance(reward, reward + 1e4, game, policies, 0) < 1e-7


@DISTANCES
def test_opposites_are_farthest_and_order_does_not_matter(game, policies, distance):
    rng = np.random.default_rng(4)
    first, second = rewards(game, 0, rng), rewards(game, 0, rng)
    for a, b in itertools.product(first, second):
        forth = distance(a, b, game, policies, 0)
        assert forth == pytest.approx(distance(b, a, game, policies, 0), abs=1e-12)
        assert forth == pytest.approx(distance(-a, -b, game, policies, 0), abs=1e-12)
        far = distance(-a, b, game, policies, 0)
        assert forth**2 + far**2 == pytest.approx(1)
    for a in first:
        assert distance(a, a, game, policies, 0) == 0
        assert 1 - 1e-12 <= distance(a, -a, game, policies, 0) <= 1


@DISTANCES
def test_no_detour_is_shorter(game, policies, distance):
    rng = np.random.default_rng(5)
    for _ in range(30):
        a, b, between = rng.normal(size=(3, game.n_states, game.actions[0]))
        straight = distance(a, b, game, policies, 0)
        for c in (between, a + b, a + 0.1 * b):
            first = distance(a, c, game, policies, 0)
            assert straight <= first + distance(c, b, game, policies, 0) + 1e-12


@DISTANCES
def test_shapes_that_mean_the_same_are_the_same(game, policies, distance):
    rng = np.random.default_rng(6)
    states, own, joint = game.n_states, game.actions[0], game.n_joint_actions
    r, other = rng.normal(size=states), rng.normal(size=(states, joint))
    expected = distance(r, other, game, policies, 0)
    for shape in ((states, own), (states, joint), (states, own, states)):
        same = np.broadcast_to(r.reshape(-1, *[1] * (len(shape) - 1)), shape)
        assert distance(r, same, game, policies, 0) < 1e-12
        assert distance(same, other, game, policies, 0) == pytest.approx(expected, abs=1e-12)


@DISTANCES
def test_only_the_opponents_policies_count(distance):
    rng = np.random.default_rng(7)
    game = random_game(rng, **GAMES["two agents, stochastic"])
    (p0, p1), (q0, q1) = (random_policies(game.actions, game.n_states, rng) for _ in range(2))
    a, b = rng.normal(size=(2, game.n_states, game.n_joint_actions))
    found = distance(a, b, game, (p0, p1), 0)
    assert distance(a, b, game.without_rewards(), (q0, p1), 0) == found
    assert abs(distance(a, b, game, (p0, q1), 0) - found) > 1e-3


def test_a_thousand_states_take_little_memory():
    rng = np.random.default_rng(8)
    moves = rng.integers(1000, size=(1000, 5))
    dynamics = Dynamics(actions=(5,), transitions=moves, start=0, gamma=0.9)
    a, b = rng.normal(size=(2, 1000, 5))
    tracemalloc.start()
    for distance in (epic, starc):
        assert 0.6 < distance(a, b, dynamics, dynamics.uniform_policies(), 0) < 0.8
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6  # one array over (s, a, s') would take 40e6


@DISTANCES
def test_what_is_but_a_shaping_is_named(game, policies, distance):
    rng = np.random.default_rng(9)
    states, own = game.n_states, game.actions[0]
    g, good = 1e3 * rng.normal(size=states), rng.normal(size=(states, own))
    shaping = np.broadcast_to(g[:, None, None] - game.gamma * g, (states, own, states))
    for bad in (np.zeros(states), np.full((states, game.n_joint_actions), 0.1), shaping):
        with pytest.raises(ValueError, match="a is constant up to shaping; it prefers no policy"):
            distance(bad, good, game, policies, 0)
        with pytest.raises(ValueError, match="b is constant up to shaping"):
            distance(good, bad, game, policies, 0)


def test_shapings_in_expectation_are_named_by_starc(game, policies):
    g = np.random.default_rng(10).normal(size=game.n_states)
    bad = g[:, None] - game.gamma * faced(game, policies, 0) @ g
    good = np.random.default_rng(11).normal(size=bad.shape)
    with pytest.raises(ValueError, match="b is constant up to shaping"):
        starc(good, bad, game, policies, 0)
    assert epic(good, bad, game, policies, 0) > 0.1


def test_an_agent_without_a_choice_has_but_shapings():
    rng = np.random.default_rng(12)
    game = random_game(rng, **GAMES["three agents"])
    policies = random_policies(game.actions, game.n_states, rng)
    for a in rewards(game, 1, rng):
        with pytest.raises(ValueError, match="a is constant up to shaping"):
            starc(a, a, game, policies, 1)


@DISTANCES
def test_what_cannot_be_compared_is_named(distance):
    rng = np.random.default_rng(13)
    game = random_game(rng, actions=(2, 3), states=4)
    policies = random_policies(game.actions, 4, rng)
    good = rng.normal(size=4)
    shapes = r"must have shape \(4,\), \(4, 2\), \(4, 6\) or \(4, 2, 4\), got "
    for shape in ((), (5,), (4, 3), (4, 6, 4), (4, 2, 1)):
        text = shapes + str(shape).replace("(", r"\(").replace(")", r"\)")
        with pytest.raises(ValueError, match="a " + text):
            distance(np.ones(shape), good, game, policies, 0)
        with pytest.raises(ValueError, match="b " + text):
            distance(good, np.ones(shape), game, policies, 0)
    with pytest.raises(ValueError, match=r"b\[2\] is nan; every entry must be finite"):
        distance(good, [1, 2, np.nan, 3], game, policies, 0)
    with pytest.raises(ValueError, match=r"a\[0\] is inf"):
        distance([np.inf, 2, 1, 3], good, game, policies, 0)
    with pytest.raises(ValueError, match=r"agent must lie in 0\.\.1, got 2"):
        distance(good, good, game, policies, 2)
    with pytest.raises(ValueError, match="policies must hold one array for each of 2 agents"):
        distance(good, good, game, policies[:1], 0)
