"""Predictions in games in which episodes end and not everything is legal."""

import numpy as np
import pytest
from drawn import random_ending_game

import malfl
from malfl.games.legal import only_legal
from malfl.games.soft import improve_all
from malfl.theory import Prediction, bounds

ALPHA, ACTIONS, STATES = 0.7, (3, 2), 6
#: What the papers claim and what does not hold, as the book shows.
FAIL = {name for name in bounds.INEQUALITIES if name.startswith("Theorem")}


def predicted(seed, gamma=0.9, state_rewards=False):
    rng = np.random.default_rng(seed)
    game = random_ending_game(rng, ACTIONS, STATES, gamma=gamma, state_rewards=state_rewards)
    policies = [
        only_legal(rng.dirichlet(np.ones(own), size=STATES), legal)
        for own, legal in zip(ACTIONS, game.legal, strict=True)
    ]
    guess = rng.normal(size=game.rewards[0].shape)
    return Prediction(game, policies, 0, ALPHA, guess), guess


@pytest.mark.parametrize("seed", range(5))
def test_both_improvements_are_those_of_a_learner(seed):
    """Solved anew with each reward, by what learners use."""
    prediction, guess = predicted(seed)
    game, legal = prediction.game, prediction.legal
    guessed = game.with_rewards([guess, game.rewards[1]])
    new, expected = (improve_all(one, prediction.policies, ALPHA)[1][0] for one in (game, guessed))
    np.testing.assert_allclose(np.exp(prediction.logs), new)
    assert not np.exp(prediction.logs)[~legal].any()
    change = np.log(expected[legal]) - np.log(new[legal])
    np.testing.assert_allclose(prediction.change[legal], change, atol=1e-9)
    divergence = [
        (one[mask] * np.log(one[mask] / other[mask])).sum()
        for one, other, mask in zip(new, expected, legal, strict=True)
    ]
    np.testing.assert_allclose(prediction.divergence, divergence, atol=1e-9)


@pytest.mark.parametrize("state_rewards", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_proved_holds(seed, state_rewards):
    prediction, _ = predicted(seed, state_rewards=state_rewards)
    found = bounds.report(prediction)
    proved = found[~found.statement.isin(FAIL)]
    assert len(proved) == (11 if state_rewards else 10)
    assert proved.holds.all(), proved[~proved.holds]
    for exact in (bounds.identity, bounds.equation_15):
        assert exact(prediction).holds


@pytest.mark.parametrize("seed", range(3))
def test_no_other_shaping_is_nearer(seed):
    prediction, _ = predicted(seed)
    rng, best = np.random.default_rng(seed), prediction.best
    for size in (1e-3, 1e-1, 1.0):
        other = prediction.shaped_error(best + size * rng.normal(size=STATES))
        assert np.abs(other).max() >= prediction.least_error - 1e-9


def test_an_action_that_is_not_legal_changes_nothing():
    """Whatever its reward is said to be."""
    prediction, guess = predicted(0)
    game = prediction.game
    wild = np.where(game.possible, guess, 1e6)
    wild[game.ends, 0] = guess[game.ends, 0]
    again = Prediction(game, prediction.policies, 0, ALPHA, wild)
    np.testing.assert_array_equal(again.change, prediction.change)
    assert again.least_error == pytest.approx(prediction.least_error)


def test_without_a_discount_there_are_no_bounds():
    game = malfl.MarkovGame(
        actions=(2,), transitions=[[1, 1], [0, 0]], rewards=[[0.0, 1.0]], start=0, gamma=1,
        ends=[1],
    )  # fmt: skip
    with pytest.raises(ValueError, match="game must have a gamma below 1"):
        Prediction(game, game.uniform_policies(), 0, ALPHA, [0.0, 0.0])
