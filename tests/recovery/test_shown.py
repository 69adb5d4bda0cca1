import numpy as np
import pytest
from drawn import random_game

from malfl.evaluation import identifiability
from malfl.recovery import shown
from malfl.recovery.reward import REWARD_CLASSES
from malfl.recovery.shown import identified_part, likeness, shown_directions


@pytest.fixture(scope="module", params=[(2, 3), (3,), (2, 2, 2)], ids=str)
def game(request):
    return random_game(np.random.default_rng(3), request.param, states=5, state_rewards=True)


@pytest.mark.parametrize("reward_class", REWARD_CLASSES)
def test_what_is_not_shown_is_what_the_theorem_leaves_open(game, reward_class):
    """By exact values here, by the equations of Theorem 5.1 there."""
    rng = np.random.default_rng(0)
    policies = [rng.dirichlet(np.ones(own), size=(9, 5)) for own in game.actions]
    hidden = identifiability.open_directions(game, policies, 0, reward_class)
    basis = shown_directions(game, 0, reward_class)
    assert basis.shape[1] + hidden.shape[1] == len(hidden)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-9)
    np.testing.assert_allclose(basis.T @ hidden, 0, atol=1e-6)


def test_the_part_has_the_shape_of_the_reward(game):
    values = np.random.default_rng(1).normal(size=(5, game.actions[0]))
    part = identified_part(values, game, 0, "state-action")
    assert part.shape == values.shape
    np.testing.assert_allclose(identified_part(part, game, 0, "state-action"), part, atol=1e-9)
    shifted = identified_part(values + 3, game, 0, "state-action")
    np.testing.assert_allclose(shifted, part, atol=1e-9)


def test_wider_classes_hold_narrower_ones(game):
    rng = np.random.default_rng(2)
    by_state, by_action = rng.normal(size=5), rng.normal(size=(5, game.actions[0]))
    state = by_state, "state"
    widened = np.repeat(by_state[:, None], game.actions[0], axis=1), "state-action"
    joint = by_action[:, game.own_actions[0]], "joint-action"
    assert likeness(state, widened, game, 0) == pytest.approx(1)
    assert likeness((by_action, "state-action"), joint, game, 0) == pytest.approx(1)
    assert likeness(state, (-by_state, "state"), game, 0) == pytest.approx(-1)
    assert abs(likeness(state, (by_action, "state-action"), game, 0)) < 0.99
    assert likeness(state, (np.ones(5), "state"), game, 0) == 0


def test_large_rewards_are_refused(game, monkeypatch):
    monkeypatch.setattr(shown, "MOST_ENTRIES", 4)
    with pytest.raises(ValueError, match=r"a reward of 5 entries is too large .* up to 4"):
        identified_part(np.zeros(5), game, 0, "state")
