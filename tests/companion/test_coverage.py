"""Intervals are looked at along the right directions, and on the right side."""

from types import SimpleNamespace

import numpy as np
import pytest
from drawn import random_game

import malfl
from malfl.companion.coverage import LEVELS, calibration, covariance_of, in_class
from malfl.recovery import NoFit, RecoveredReward, Structural
from malfl.recovery.recovery import Recovery
from malfl.recovery.shown import identified_part, shown_directions


@pytest.fixture(scope="module")
def game():
    return random_game(np.random.default_rng(2), (2, 3), 6, state_rewards=True)


def reward(values, reward_class="state"):
    return RecoveredReward(np.array(values), reward_class, NoFit())


def test_of_a_reward_in_its_own_class_the_identified_part_is_seen(game):
    expected = identified_part(game.rewards[0], game.without_rewards(), 0, "state")
    np.testing.assert_allclose(in_class(game, 0, "state"), expected, atol=1e-9)


@pytest.mark.parametrize("reward_class", ["state-action", "joint-action"])
def test_a_wider_class_holds_the_same(game, reward_class):
    width = {"state-action": 2, "joint-action": 6}[reward_class]
    wide = np.repeat(game.rewards[0][:, None], width, axis=1)
    expected = identified_part(wide, game.without_rewards(), 0, reward_class)
    np.testing.assert_allclose(in_class(game, 0, reward_class), expected, atol=1e-7)


def test_a_narrower_class_may_hold_the_same_up_to_a_shaping(game):
    """A reward of actions that is a reward of states with a shaping added."""
    potential = np.random.default_rng(1).normal(size=6)
    after = (game.transitions @ potential).reshape(6, 6)
    shaped = game.rewards[0][:, None] + game.gamma * after - potential[:, None]
    other = game.with_rewards([shaped, game.rewards[1]])
    expected = in_class(game, 0, "state")
    np.testing.assert_allclose(in_class(other, 0, "state"), expected, atol=1e-6)


@pytest.mark.parametrize("spread", [0.05, 0.2])
def test_truths_drawn_from_the_posterior_are_covered_as_often_as_is_said(game, spread):
    rng = np.random.default_rng(3)
    shown = shown_directions(game, 0, "state")
    root = spread * rng.normal(size=(6, 6))
    covariance, found = root @ root.T, reward(rng.normal(size=6))
    rows = [
        calibration(found, found.values + root @ rng.normal(size=6), covariance, 10.0, game, 0)
        for _ in range(1500)
    ]
    assert {row["determined"] for row in rows} == {shown.shape[1]}
    assert np.mean([row["z"] ** 2 for row in rows]) == pytest.approx(1, abs=0.05)
    for level in LEVELS:
        for side in ("below", "above"):
            share = np.mean([row[f"{side}_{level}"] for row in rows])
            assert share == pytest.approx(0.5 - level / 200, abs=0.02)


def test_a_reward_found_too_large_has_its_truth_below(game):
    truth = in_class(game, 0, "state")
    covariance = 1e-6 * np.eye(6)
    large = calibration(reward(2 * truth), truth, covariance, 1.0, game, 0)
    small = calibration(reward(truth / 2), truth, covariance, 1.0, game, 0)
    assert large["below_95"] > 0.7
    assert large["above_95"] == 0
    assert small["above_95"] > 0.7
    assert small["below_95"] == 0


def test_only_directions_that_the_data_determine_count(game):
    shown = shown_directions(game, 0, "state")
    spread = np.full(shown.shape[1], 0.5)
    spread[:2] = 0.01
    covariance = (shown * spread) @ shown.T
    truth = np.zeros(6)
    row = calibration(reward(shown[:, 0] * 0.3), truth, covariance, 1.0, game, 0)
    assert (row["shown"], row["determined"]) == (shown.shape[1], 2)
    assert row["z"] == pytest.approx(3 / np.sqrt(2))
    assert row["below_95"] == 0.5
    nothing = calibration(reward(np.ones(6)), truth, np.eye(6), 1.0, game, 0)
    assert nothing == {"shown": shown.shape[1], "determined": 0}


def test_the_posterior_is_that_of_the_fit(game):
    log = malfl.learn(game, alpha=1.0, iterations=4, episodes=200, steps=20, seed=0)
    found = Recovery(log.seen_by(1), of=0, by=Structural(0.1, "td")).reward()
    covariance, prior = covariance_of(found)
    centring = np.eye(6) - 1 / 6
    deviation = np.sqrt(np.diag(centring @ covariance @ centring))
    np.testing.assert_allclose(deviation, found.deviation, rtol=0.2)
    assert prior == found.diagnostics.evidence.prior
    assert covariance_of(reward(np.zeros(6))) is None
    assert covariance_of(SimpleNamespace(diagnostics=NoFit())) is None
