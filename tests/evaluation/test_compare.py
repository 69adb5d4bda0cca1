import math
from types import SimpleNamespace

import numpy as np
import pytest
from drawn import random_game
from scipy import stats

import malfl
from malfl.evaluation.compare import Comparison, compare, pearson_of
from malfl.evaluation.distances import epic, starc
from malfl.recovery import NoFit, RecoveredReward

FIELDS = ("identified", "STARC", "EPIC", "PCC", "SCC", "calibration", "states", "converged")


@pytest.fixture(scope="module")
def game():
    return random_game(np.random.default_rng(3), (2, 3), states=6, state_rewards=True)


def found(values, deviation=None, converged=True, reward_class="state"):
    said = NoFit() if converged else SimpleNamespace(converged=False, lines=list)
    return RecoveredReward(np.array(values, dtype=float), reward_class, said, deviation)


def guesses(game, agent, seed=0):
    """Rewards of each class that resemble an agent's."""
    rng = np.random.default_rng(seed)
    shapes = {
        "state": (),
        "state-action": (game.actions[agent],),
        "joint-action": (game.n_joint_actions,),
    }
    for reward_class, shape in shapes.items():
        true = game.rewards[agent].reshape(-1, *[1] * len(shape))
        yield found(true + rng.normal(size=(6, *shape)), reward_class=reward_class)


@pytest.mark.parametrize("agent", [0, 1])
def test_a_comparison_is_of_correlations_over_states_and_distances_among_uniform_others(
    game, agent
):
    true, uniform = game.rewards[agent], [np.full((6, n), 1 / n) for n in game.actions]
    for guess in guesses(game, agent):
        _, starc_far, far, pcc, scc, _, states, converged = compare(guess, game, agent)
        over_states = guess.values.reshape(6, -1).mean(axis=1)
        assert pcc == pytest.approx(stats.pearsonr(over_states, true).statistic)
        assert scc == pytest.approx(stats.spearmanr(over_states, true).statistic)
        assert far == epic(guess.values, true, game, uniform, agent)
        assert starc_far == starc(guess.values, true, game, uniform, agent)
        assert far > 0.01
        assert starc_far > 0.01
        assert (states, converged) == (6, True)


def test_a_comparison_is_with_the_reward_of_the_agent_named(game):
    for guess in guesses(game, 0):
        if guess.reward_class != "state-action":  # which is of its own actions
            first, second = (compare(guess, game, agent)[:5] for agent in (0, 1))
            assert (np.abs(np.subtract(first, second)) > 0.01).all()


def test_a_comparison_has_these_fields():
    assert Comparison._fields == FIELDS


def test_states_without_a_known_reward_are_left_out_and_not_counted(game):
    true = game.rewards[0]
    values = true + np.random.default_rng(1).normal(size=6)
    values[[1, 4]] = np.nan
    known = np.isfinite(values)
    *distances, pcc, scc, _, states, _ = compare(found(values), game, 0)
    assert pcc == pytest.approx(np.corrcoef(values[known], true[known])[0, 1])
    assert scc == pytest.approx(stats.spearmanr(values[known], true[known]).statistic)
    assert states == 4
    assert np.isnan(distances).all()


def test_one_unknown_entry_makes_distances_and_its_state_unknown(game):
    values = game.joint_reward(0) + np.random.default_rng(2).normal(size=(6, 6))
    values[3, 2] = np.nan
    seen = compare(found(values, reward_class="joint-action"), game, 0)
    assert seen.states == 5
    assert math.isnan(seen.EPIC)
    assert math.isnan(seen.STARC)


@pytest.mark.parametrize(
    ("reward", "states", "converged"),
    [
        (None, 0, False),
        (found([np.nan] * 6), 0, True),
        (found([np.nan] * 6, converged=False), 0, False),
        (found([np.nan] * 5 + [3.0]), 1, True),
        (found([2.0] * 6), 6, True),
        (found([2.0] * 4 + [np.nan] * 2, converged=False), 4, False),
    ],
    ids=["nothing", "all unknown", "not converged", "one state", "flat", "flat where known"],
)
def test_what_says_nothing_has_no_correlation_and_no_distance(game, reward, states, converged):
    seen = compare(reward, game, 0)
    assert (seen.PCC, seen.SCC) == (0, 0)
    assert np.isnan([seen.EPIC, seen.STARC, seen.calibration]).all()
    assert seen.identified == 0
    assert (seen.states, seen.converged) == (states, converged)


def test_a_reward_of_actions_whose_mean_is_the_same_everywhere_is_compared(game):
    rng = np.random.default_rng(0)
    true = rng.normal(size=(6, 6))
    true -= true.mean(axis=1, keepdims=True)
    game = game.with_rewards([true, true])
    compared = compare(found(true, reward_class="joint-action"), game, 0)
    assert compared.identified == pytest.approx(1)
    assert compared.STARC < 1e-6
    near = compare(found(true + rng.normal(size=(6, 6)), reward_class="joint-action"), game, 0)
    assert (near.PCC, near.SCC, near.states) == (0, 0, 6)
    assert 0.1 < near.identified < 0.99


def test_rewards_of_actions_in_a_single_state_are_compared():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(1, 6))
    single = malfl.MarkovGame(
        actions=(2, 3), transitions=np.zeros((1, 6), dtype=int), rewards=[true, true], start=0,
        gamma=0.5,
    )  # fmt: skip
    compared = compare(found(2 * true + 1, reward_class="joint-action"), single, 0)
    assert compared.identified == pytest.approx(1)
    assert compared.STARC < 1e-6
    assert (compared.PCC, compared.SCC, compared.states) == (0, 0, 1)
    other = rng.normal(size=(1, 6))
    assert compare(found(other, reward_class="joint-action"), single, 0).identified < 0.9


def test_a_reward_found_whose_mean_is_the_same_everywhere_is_compared(game):
    values = np.random.default_rng(1).normal(size=(6, 6))
    values -= values.mean(axis=1, keepdims=True)
    near = compare(found(values, reward_class="joint-action"), game, 0)
    assert (near.PCC, near.SCC, near.states) == (0, 0, 6)
    assert 0 < abs(near.identified) < 0.99
    assert near.STARC > 0.1


@pytest.mark.parametrize("converged", [True, False])
def test_a_comparison_says_whether_the_fit_came_to_rest(game, converged):
    (guess, *_) = guesses(game, 0)
    assert compare(found(guess.values, converged=converged), game, 0).converged is converged


def test_calibration_is_the_error_in_posterior_deviations(game):
    error = np.array([0.3, -0.1, 0.5, -0.7, 0.0, 0.6])
    deviation = np.array([0.2, 0.4, 0.1, 0.5, 0.3, 0.6])
    mean = error.sum() / 6
    terms = [((e - mean) / d) ** 2 for e, d in zip(error, deviation, strict=True)]
    expected = math.sqrt(sum(terms) / 6)
    for constant in (0.0, -20.0):
        guess = found(game.rewards[1] + error + constant, deviation)
        assert compare(guess, game, 1).calibration == pytest.approx(expected)
    halved = found(game.rewards[1] + error, deviation / 2)
    assert compare(halved, game, 1).calibration == pytest.approx(2 * expected)


def test_calibration_is_of_what_is_known(game):
    error, deviation = np.array([0.3, -0.1, 0.5]), np.array([0.2, 0.4, 0.1])
    values = np.append(game.rewards[0][:3] + error, [np.nan] * 3)
    seen = compare(found(values, np.append(deviation, [np.nan] * 3)), game, 0)
    expected = np.sqrt(np.mean(((error - error.mean()) / deviation) ** 2))
    assert seen.calibration == pytest.approx(expected)


def test_errors_as_large_as_they_are_said_to_be_have_a_calibration_of_one():
    rng = np.random.default_rng(0)
    game = random_game(rng, (2, 2), states=1000, state_rewards=True, stochastic=False)
    deviation = rng.uniform(0.5, 2.0, size=1000)
    guess = found(game.rewards[0] + deviation * rng.normal(size=1000), deviation)
    assert compare(guess, game, 0).calibration == pytest.approx(1, abs=0.06)


def test_without_deviations_or_with_a_reward_of_another_shape_there_is_no_calibration(game):
    for guess in guesses(game, 0):
        assert math.isnan(compare(guess, game, 0).calibration)
    by_action = found(
        game.joint_reward(0) + np.eye(6), np.ones((6, 6)), reward_class="joint-action"
    )
    assert math.isnan(compare(by_action, game, 0).calibration)


def test_what_the_structural_estimator_finds_is_calibrated(hom, hom_log):
    view = hom_log.seen_by(1)
    seen = compare(malfl.recover(view, of=0), hom, 0)
    assert 0.5 < seen.calibration < 2
    assert seen.PCC > 0.9
    assert seen.states == 81


def test_what_cannot_be_compared_is_named(game):
    (guess, *_) = guesses(game, 0)
    with pytest.raises(TypeError, match=r"reward must be of type RecoveredReward .*, got ndarray"):
        compare(guess.values, game, 0)
    with pytest.raises(TypeError, match=r"game must be of type MarkovGame .*, got Dynamics"):
        compare(guess, game.without_rewards(), 0)
    with pytest.raises(ValueError, match=r"agent must lie in 0\.\.1, got 2"):
        compare(guess, game, 2)
    larger = random_game(np.random.default_rng(3), (2, 3), states=7, state_rewards=True)
    with pytest.raises(ValueError, match="true must have 6 states"):
        compare(guess, larger, 0)


def test_a_correlation_is_over_states_whose_reward_is_known(game):
    rng = np.random.default_rng(5)
    for agent in (0, 1):
        true = game.rewards[agent]
        values = true + rng.normal(size=6)
        assert pearson_of(values, game, agent) == pytest.approx(np.corrcoef(values, true)[0, 1])
        values[2] = np.nan
        known = np.isfinite(values)
        expected = np.corrcoef(values[known], true[known])[0, 1]
        assert pearson_of(values, game, agent) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[np.nan] * 6, [1.0, *[np.nan] * 5], [1.0] * 6])
def test_a_reward_that_says_nothing_correlates_with_nothing(game, values):
    assert pearson_of(np.array(values), game, 0) == 0


def test_a_reward_that_is_constant_up_to_shaping_has_no_distances():
    """Nobody's actions make a difference, so no reward of the state prefers a policy."""
    rng = np.random.default_rng(0)
    moves = np.repeat(rng.dirichlet(np.ones(3), size=3)[:, None], 4, axis=1)
    game = malfl.MarkovGame(
        actions=(2, 2), transitions=moves, rewards=rng.normal(size=(2, 3)), start=0, gamma=0.9
    )
    seen = compare(found(rng.normal(size=3)), game, 0)
    assert np.isnan([seen.STARC, seen.EPIC]).all()
    assert abs(seen.PCC) <= 1
