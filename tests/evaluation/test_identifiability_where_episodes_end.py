"""What improvements leave open where episodes end and not everything is legal."""

import numpy as np
import pytest
from drawn import random_ending_game

from malfl.evaluation.identifiability import exact_recovery, open_directions
from malfl.evaluation.identified import identified_correlation
from malfl.games.legal import only_legal
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery.from_policies import recover_from_policies
from malfl.recovery.shown import shown_directions

ACTIONS, STATES, ALPHA = (3, 2), 6, 0.7


@pytest.fixture
def game():
    rng = np.random.default_rng(0)
    return random_ending_game(rng, ACTIONS, STATES, gamma=0.9, state_rewards=True)


@pytest.mark.parametrize("reward_class", ["state", "state-action", "joint-action"])
def test_what_is_open_is_what_is_not_shown(game, reward_class):
    """By the equations of Theorem 5.1 on one side, by exact values on the other."""
    rng = np.random.default_rng(1)
    policies = [
        only_legal(rng.dirichlet(np.ones(own), size=(8, STATES)), legal)
        for own, legal in zip(ACTIONS, game.legal, strict=True)
    ]
    left_open = open_directions(game, policies, 0, reward_class)
    shown = shown_directions(game.without_rewards(), 0, reward_class)
    np.testing.assert_allclose(left_open.T @ shown, 0, atol=1e-9)
    assert left_open.shape[1] + shown.shape[1] == len(shown)


def test_what_is_shown_is_found(game):
    found = exact_recovery(game, ALPHA, iterations=4)
    assert list(found.columns) == ["agent", "improvements", "PCC", "SCC"]
    policies = iterate_exactly(game, alpha=ALPHA, iterations=4)
    reward = recover_from_policies(game, policies, of=0, alpha=ALPHA)
    assert identified_correlation(reward, game, 0) > 0.9999
