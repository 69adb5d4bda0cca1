import numpy as np
import pytest
from drawn import random_game

from malfl.evaluation.compare import compare
from malfl.evaluation.identified import identified_correlation
from malfl.recovery import NoFit, RecoveredReward


@pytest.fixture(scope="module")
def game():
    return random_game(np.random.default_rng(3), (2, 3), states=6, state_rewards=True)


def found(values, reward_class="state"):
    return RecoveredReward(np.asarray(values, dtype=float), reward_class, NoFit())


@pytest.mark.parametrize("agent", [0, 1])
def test_scale_and_constants_change_nothing(game, agent):
    true = game.rewards[agent]
    for values in (true, 3 * true, 0.1 * true - 7):
        assert identified_correlation(found(values), game, agent) == pytest.approx(1)
    assert identified_correlation(found(-true), game, agent) == pytest.approx(-1)
    assert identified_correlation(found(np.ones(6)), game, agent) == 0


@pytest.mark.parametrize("agent", [0, 1])
def test_shapings_change_nothing(game, agent):
    """They have no place among rewards of the state, and one among those of joint actions."""
    potential = np.random.default_rng(0).normal(size=6)
    ahead = (game.transitions @ potential).reshape(6, -1)
    shaping = potential[:, None] - game.gamma * ahead
    shaped = found(game.joint_reward(agent) + 5 * shaping, "joint-action")
    assert identified_correlation(shaped, game, agent) == pytest.approx(1)
    seen = compare(shaped, game, agent)
    assert seen.identified == pytest.approx(1)
    assert seen.PCC < 0.9
    assert "differ by a shaping" in seen.remark
    assert compare(found(game.rewards[agent]), game, agent).remark == ""


@pytest.mark.parametrize("agent", [0, 1])
def test_a_wider_class_holds_what_a_narrower_one_does(game, agent):
    rng = np.random.default_rng(1)
    own = rng.normal(size=(6, game.actions[agent]))
    joint = own[:, game.own_actions[agent]]
    other = game.with_rewards([joint if i == agent else game.rewards[i] for i in range(2)])
    assert identified_correlation(found(own, "state-action"), other, agent) == pytest.approx(1)
    assert identified_correlation(found(joint, "joint-action"), other, agent) == pytest.approx(1)
    by_state = found(own.mean(axis=1))
    assert abs(identified_correlation(by_state, other, agent)) < 0.9


def test_what_is_not_known_has_no_identified_part(game):
    values = game.rewards[0].copy()
    values[2] = np.nan
    with pytest.raises(ValueError, match="reward must be known throughout"):
        identified_correlation(found(values), game, 0)
    assert np.isnan(compare(found(values), game, 0).identified)
