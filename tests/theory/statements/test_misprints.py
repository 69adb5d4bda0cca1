"""What the readings are, and that only the right one is exact."""

import numpy as np
import pytest

from malfl.games import gridworlds
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.theory.prediction import Prediction
from malfl.theory.statements.inversion import new_action_q
from malfl.theory.statements.misprints import (
    READINGS,
    as_meant,
    effects,
    iterate_with_new_actions,
    opponents_after,
    opponents_after_throughout,
    squared_samples,
    unconditional_opponents,
    undiscounted_shaping,
)

ALPHA = 3.0


@pytest.fixture(scope="module")
def game():
    return gridworlds.ma_lfl("het", size=2)


@pytest.fixture(scope="module")
def policies(game):
    return iterate_exactly(game, alpha=ALPHA, iterations=3)


@pytest.mark.parametrize("kind", ["hom", "het"])
def test_only_the_reading_that_is_meant_is_exact_on_the_papers_grid(kind):
    table = effects(gridworlds.ma_lfl(kind), ALPHA, 3)
    assert len(table) == 2 * len(READINGS)
    assert set(table["agent"]) == {0, 1}
    for reading, rows in table.groupby("reading"):
        if reading == "as meant":
            np.testing.assert_allclose(rows["PCC"], 1, atol=1e-9)
        else:
            assert (rows["PCC"] < 0.99).all(), reading


def test_a_shaping_without_gamma_is_g_now_minus_g_next(game, policies):
    system = undiscounted_shaping(game, policies, 0, ALPHA)
    # Any constant is no shaping at all then.
    np.testing.assert_allclose(system.shaping @ np.ones(system.shaping.shape[1]), 0, atol=1e-12)
    right = as_meant(game, policies, 0, ALPHA)
    np.testing.assert_array_equal(system.targets, right.targets)
    apart = system.shaping - right.shaping
    np.testing.assert_allclose((apart @ np.ones(apart.shape[1])), -(1 - game.gamma), atol=1e-12)


def test_opponents_after_change_the_targets_or_all(game, policies):
    right, targets, throughout = (
        reading(game, policies, 0, ALPHA)
        for reading in (as_meant, opponents_after, opponents_after_throughout)
    )
    np.testing.assert_array_equal(targets.targets, throughout.targets)
    assert abs(targets.targets - right.targets).max() > 1e-3
    assert abs(targets.shaping - right.shaping).max() == 0
    assert abs(throughout.shaping - right.shaping).max() > 1e-3
    # Opponents who stay as they are make no difference.
    still = (policies[0], np.repeat(policies[1][:1], len(policies[1]), axis=0))
    same, later = (r(game, still, 0, ALPHA) for r in (as_meant, opponents_after_throughout))
    np.testing.assert_array_equal(same.targets, later.targets)
    assert abs(same.shaping - later.shaping).max() == 0


def test_unconditional_opponents_play_their_average(game, policies):
    average = np.broadcast_to(policies[1].mean(axis=1, keepdims=True), policies[1].shape)
    found = unconditional_opponents(game, policies, 0, ALPHA)
    expected = as_meant(game, (policies[0], average), 0, ALPHA)
    np.testing.assert_array_equal(found.targets, expected.targets)
    assert abs(found.shaping - expected.shaping).max() == 0


def test_squared_samples_have_an_equation_for_each_joint_action(game, policies):
    found = squared_samples(game, policies, 0, ALPHA)
    assert len(found.targets) == 3 * game.n_states * game.n_joint_actions
    weights = found.weights.reshape(3, game.n_states, -1)
    np.testing.assert_allclose(weights.sum(axis=2), 1e6, rtol=1e-4)
    share = policies[0][1, 2, 3] * policies[1][1, 2, 4]
    assert weights[0, 2, 3 * game.actions[1] + 4] == pytest.approx(1e6 * share, abs=0.5)


def test_misreading_learners_improve_by_their_own_values(game):
    first, second = (agent[:2] for agent in iterate_with_new_actions(game, ALPHA, 2))
    start = Prediction(game, (first[0], second[0]), 0, ALPHA, game.rewards[0])
    q = new_action_q(start)
    expected = np.exp(q / ALPHA)
    np.testing.assert_allclose(first[1], expected / expected.sum(axis=1, keepdims=True))
    right = iterate_exactly(game, alpha=ALPHA, iterations=1)
    assert abs(first[1] - right[0][1]).max() > 1e-3
