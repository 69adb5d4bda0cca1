import itertools
import math
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import GAMES, random_game, random_policies

from malfl import MarkovGame
from malfl.recovery.reward import REWARD_CLASSES
from malfl.theory import prediction
from malfl.theory.bounds import report
from malfl.theory.prediction import Prediction
from malfl.theory.random_games import random_predictions


def joint_guess(game, agent, guess):
    """A guess of any shape that is taken, as guess[s][a] over joint actions."""
    guess = np.asarray(guess)
    joints = naive.joint_actions(game.actions)
    if guess.ndim == 1:
        return [[r for _ in joints] for r in guess]
    if guess.shape[1] == game.n_joint_actions:
        return guess.tolist()
    return [[row[joint[agent]] for joint in joints] for row in guess]


def check(found, expected):
    """Everything a prediction tells, against the oracle."""
    size = float(np.abs(expected.q).max() + np.abs(expected.q_hat).max() + found.alpha)

    def same(a, b, unit):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11 * unit)

    same(found.error, expected.error, size)
    same(found.q, expected.q, size)
    same(found.q_error, expected.q_hat - expected.q, size)
    same(found.canonical, expected.g, size)
    same(found.shaped_error(found.canonical), expected.shaped_error, size)
    same(found.logs, expected.logs, size / found.alpha)
    same(found.change, expected.change, size / found.alpha)
    same(found.divergence, expected.divergence, size / found.alpha)
    same(found.after[found.agent], expected.new, size / found.alpha)
    least = naive.least_error(expected.odds, expected.gamma, expected.error)
    assert found.least_error == pytest.approx(least, abs=1e-9 * size)
    assert np.abs(found.shaped_error(found.best)).max() == found.least_error


def one_state(reward, guess, alpha=1.0, gamma=0.0):
    game = MarkovGame(
        actions=(len(reward),), transitions=[[0] * len(reward)], rewards=[[reward]], start=0,
        gamma=gamma,
    )  # fmt: skip
    return Prediction(game, game.uniform_policies(), 0, alpha, [guess])


def certain(game):
    """Policies that are certain in every other state."""
    policies = random_policies(game.actions, game.n_states, np.random.default_rng(1))
    for policy in policies:
        policy[::2] = np.eye(policy.shape[1])[-1]
    return policies


@pytest.mark.parametrize("zeros", [False, True], ids=["", "certain"])
def test_a_prediction_is_two_improvements_compared(game, policies, zeros):
    rng = np.random.default_rng(2)
    policies = certain(game) if zeros else policies
    states = game.n_states
    for agent, own in enumerate(game.actions):
        for shape in ((states,), (states, own), (states, game.n_joint_actions)):
            guess = rng.normal(size=shape)
            found = Prediction(game, policies, agent, 0.7, guess)
            joint = joint_guess(game, agent, guess)
            check(found, naive.predict(game, policies, agent, 0.7, joint))
            assert found.state_only == (game.rewards[agent].ndim == 1 and len(shape) == 1)
            np.testing.assert_allclose(found.policy, policies[agent], rtol=1e-15)
            for i in set(range(game.n_agents)) - {agent}:
                np.testing.assert_allclose(found.after[i], policies[i], rtol=1e-15)


@pytest.mark.parametrize("reward_class", REWARD_CLASSES)
def test_so_it_is_in_games_of_every_kind(reward_class):
    kinds = set()
    for p in random_predictions(
        25, seed=3, agents=(1, 3), states=(1, 3), actions=(1, 3), gammas=(0.0, 0.5, 0.9),
        reward_classes=[reward_class],
    ):  # fmt: skip
        expected = naive.predict(
            p.game, p.policies, p.agent, p.alpha, joint_guess(p.game, p.agent, p.guess)
        )
        check(p, expected)
        kinds |= {f"{p.game.n_agents} agents", f"{p.game.n_states} states"}
        kinds |= {f"{p.policy.shape[1]} actions", f"gamma {p.game.gamma}"}
        kinds |= {"zeros"} if (p.policy == 0).any() else set()
    assert {"1 agents", "3 agents", "1 states", "1 actions", "gamma 0.0", "zeros"} <= kinds


def test_other_policies_an_agent_may_come_to(game, policies):
    q = [naive.soft_q(game, policies, i, 0.7) for i in range(game.n_agents)]
    for agent in range(game.n_agents):
        found = Prediction(game, policies, agent, 0.7, np.zeros(game.n_states))
        np.testing.assert_allclose(found.joint_q, q[agent], atol=1e-11)
        for i, after in enumerate(found.everyone_after):
            own = naive.over_opponents(game, policies, i, q[i])
            np.testing.assert_allclose(after, naive.improve(own, 0.7), atol=1e-11)
        odds = naive.faced(game, policies, agent)
        reward = naive.over_opponents(game, policies, agent, naive.plain(game)[1][agent])
        best = naive.soft_optimum(odds, reward, game.gamma, 0.7)
        np.testing.assert_allclose(found.optimum, best, atol=1e-9)


def test_in_one_state_the_least_error_is_half_the_range():
    found = one_state([1.0, 5.0, 2.0], [3.0, 4.0, 2.5], gamma=0.9)
    assert found.least_error == pytest.approx(1.5)  # errors from -1 to 2


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_reward_up_to_shaping_is_right(game, policies, scale):
    g = np.random.default_rng(4).normal(size=game.n_states)
    shaping = g[:, None] - game.gamma * (game.transitions @ g).reshape(game.n_states, -1)
    scaled = MarkovGame(
        actions=game.actions, transitions=game.transitions, start=0, gamma=game.gamma,
        rewards=[scale * reward for reward in game.rewards],
    )  # fmt: skip
    for agent in range(game.n_agents):
        guess = scale * (game.joint_reward(agent) + shaping)
        found = Prediction(scaled, policies, agent, 0.5 * scale, guess)
        assert found.least_error < 1e-9 * scale
        assert np.abs(found.change).max() < 1e-12
        np.testing.assert_allclose(found.canonical, scale * g, atol=1e-12 * scale)
        np.testing.assert_allclose(found.q_error, scale * np.repeat(
            g[:, None], game.actions[agent], axis=1), atol=1e-12 * scale)  # fmt: skip


def test_what_is_right_predicts_what_happens(game, policies):
    for agent, reward in enumerate(game.rewards):
        found = Prediction(game, policies, agent, 0.5, reward)
        assert not found.q_error.any()
        assert np.abs(found.change).max() < 1e-15
        assert np.abs(found.divergence).max() < 1e-30
        assert found.least_error < 1e-15


def test_small_errors_of_large_rewards_are_not_lost(game, policies):
    """Differences of two soft Q functions would be off by far more than the errors."""
    shape = (game.n_states, game.n_joint_actions)
    large, error = np.random.default_rng(5).integers(-1000, 1000, size=(2, *shape))

    def q_error(reward):
        paid = MarkovGame(
            actions=game.actions, transitions=game.transitions, start=0, gamma=game.gamma,
            rewards=[reward] * game.n_agents,
        )  # fmt: skip
        return Prediction(paid, policies, 0, 1.0, reward + error * 2.0**-10).q_error

    np.testing.assert_allclose(q_error(large * 2.0**30), q_error(0.0 * large), rtol=1e-13)


@pytest.mark.parametrize("reward", [1.0, 30.0, 1e3])
def test_huge_rewards_leave_logarithms_finite(reward):
    found = one_state([0.0, reward], [reward, 0.0], alpha=0.05)
    gap = reward / 0.05
    np.testing.assert_allclose(found.logs[0], [-gap, 0], atol=1e-8)
    np.testing.assert_allclose(found.change[0], [gap, -gap], atol=1e-6)
    assert found.divergence[0] == pytest.approx(gap * math.tanh(gap / 2), rel=1e-12)
    assert found.least_error == pytest.approx(reward)
    assert found.after[0][0, 1] == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("error", [1e-2, 1e-4, 1e-6])
def test_small_divergences_are_not_lost(error):
    found = one_state([0.0, 0.0], [error, 0.0])
    exact = error**2 / 8 - error**4 / 192  # ln cosh(error / 2)
    assert found.divergence[0] == pytest.approx(exact, rel=1e-9)


def test_many_states_make_a_small_program():
    states = 200
    rng = np.random.default_rng(6)
    game = MarkovGame(
        actions=(2, 2), transitions=rng.integers(states, size=(states, 4)),
        rewards=[rng.normal(size=states)] * 2, start=0, gamma=0.9,
    )  # fmt: skip
    found = Prediction(game, game.uniform_policies(), 1, 0.5, rng.normal(size=states))
    odds = naive.faced(game, game.uniform_policies(), 1)
    error = np.repeat(found.guess - game.rewards[1], 2)
    assert found.least_error == pytest.approx(naive.least_error(odds, 0.9, error), rel=1e-8)


def test_no_solution_is_said_to_be_none(monkeypatch):
    for x, success in itertools.product([None, np.zeros(2)], [True, False]):
        answer = SimpleNamespace(x=x, success=success, message="no luck")
        monkeypatch.setattr(prediction, "linprog", lambda *_, answer=answer, **__: answer)
        found = one_state([0.0, 1.0], [1.0, 0.0])
        if x is None or not success:
            with pytest.raises(RuntimeError, match="for the best shaping failed: no luck"):
                _ = found.best
        else:
            assert found.best.shape == (1,)


GAME = random_game(np.random.default_rng(7), **GAMES["two agents, stochastic"])
GOOD = {
    "game": GAME,
    "policies": GAME.uniform_policies(),
    "agent": 0,
    "alpha": 1.0,
    "guess": np.zeros(4),
}
NAN, INFINITE, NOT_ONE = np.zeros(4), np.zeros((4, 2)), np.full((4, 2), 0.5)
NAN[2], INFINITE[1, 1], NOT_ONE[3, 0] = np.nan, -np.inf, 0.6


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"game": GAME.without_rewards()}, TypeError, "game must be of type MarkovGame"),
        ({"agent": 2}, ValueError, r"agent must lie in 0\.\.1, got 2"),
        ({"agent": -1}, ValueError, "agent must be at least 0, got -1"),
        ({"alpha": 0}, ValueError, r"alpha must be greater than 0, got 0\.0"),
        ({"alpha": np.inf}, ValueError, "alpha must be finite, got inf"),
        ({"guess": NAN}, ValueError, r"guess\[2\] is nan; every entry must be finite"),
        ({"guess": INFINITE}, ValueError, r"guess\[1, 1\] is -inf; every entry must be finite"),
        (
            {"guess": np.zeros((4, 3))},  # the other agent's actions
            ValueError,
            r"guess must have shape \(4,\), \(4, 2\) or \(4, 6\), got \(4, 3\)",
        ),
        ({"guess": np.zeros(6)}, ValueError, r"guess must have shape .*, got \(6,\)"),
        ({"guess": 0.0}, ValueError, r"guess must have shape .*, got \(\)"),
        (
            {"policies": [NOT_ONE, GOOD["policies"][1]]},
            ValueError,
            r"policies\[0\]\[3\] sums to 1\.1; it must sum to 1",
        ),
        (
            {"policies": GOOD["policies"][:1]},
            ValueError,
            "policies must hold one array for each of 2 agents, got 1",
        ),
        (
            {"policies": GOOD["policies"][::-1]},
            ValueError,
            r"policies\[0\] must have shape \(4, 2\), got \(4, 3\)",
        ),
    ],
)
def test_what_is_no_prediction_is_named(changed, kind, message):
    Prediction(**GOOD)
    with pytest.raises(kind, match=message):
        Prediction(**{**GOOD, **changed})


def test_a_game_has_to_end_or_to_discount():
    with pytest.raises(ValueError, match=r"gamma must lie in \[0, 1\) unless every episode ends"):
        one_state([0.0], [0.0], gamma=1)


def test_policies_that_almost_add_up_are_made_to():
    game = one_state([0.0, 0.0], [1.0, 0.0]).game
    found = Prediction(game, [[[0.5, 0.5 - 1e-10]]], 0, 1.0, [[1.0, 0.0]])
    assert abs(found.policy.sum() - 1) < 1e-15
    assert report(found)["holds"].all()


@pytest.mark.parametrize("x", [1e-3, 1e-9, 1e-14])
def test_small_errors_are_exact_in_proportion(x):
    found = one_state([0.0, 0.0], [x, 0.0])
    # Of pi_new = (1/2, 1/2) and pi-hat_new = (e^x, 1) / (1 + e^x).
    np.testing.assert_allclose(found.change[0], [x / 2 - x**2 / 8, -x / 2 - x**2 / 8], rtol=1e-10)
    assert found.divergence[0] == pytest.approx(x**2 / 8, rel=1e-6, abs=1e-300)


def test_large_games_are_predicted_as_small_ones(monkeypatch):
    rng = np.random.default_rng(5)
    game = random_game(rng, (2, 3), 4)
    given = game, random_policies(game.actions, 4, rng), 1, 0.7, rng.normal(size=4)
    small = Prediction(*given)
    names = ("q_error", "change", "best", "least_error")
    expected = {name: getattr(small, name) for name in names}
    assert isinstance(small.moves, np.ndarray)
    monkeypatch.setattr(prediction, "DENSE_STATES", 3)
    large = Prediction(*given)
    assert not isinstance(large.moves, np.ndarray)
    np.testing.assert_allclose(large.shaping_matrix.toarray(), small.shaping_matrix, atol=1e-14)
    for name in names:
        np.testing.assert_allclose(getattr(large, name), expected[name], atol=1e-9)
