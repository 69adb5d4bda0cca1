import numpy as np
import pytest
from drawn import random_game, random_policies

import malfl
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery import LeastSquares, recover_from_policies


def both(monkeypatch, *given, **options):
    """The same reward recovered by a decomposition and by iteration."""
    direct = recover_from_policies(*given, **options)
    monkeypatch.setattr("malfl.recovery.projection.DENSE_STATES", 0)
    return direct, recover_from_policies(*given, **options)


@pytest.mark.parametrize("seed", range(5))
def test_iteration_finds_what_the_decomposition_finds(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    game = random_game(rng, actions=(2, 3), states=6, state_rewards=True, stochastic=seed % 2 == 0)
    policies = [np.array(p) for p in zip(
        *(random_policies(game.actions, 6, rng) for _ in range(4)), strict=True
    )]  # fmt: skip
    weights = rng.integers(0, 9, size=(3, 6, 2))
    direct, iterated = both(
        monkeypatch, game.without_rewards(), policies, of=0, alpha=0.7, weights=weights
    )
    np.testing.assert_allclose(iterated.values, direct.values, atol=1e-8)
    assert iterated.converged
    assert iterated.diagnostics.loss == pytest.approx(direct.diagnostics.loss)


def test_iteration_leaves_out_what_was_not_seen(monkeypatch, hom):
    policies = [history.copy() for history in iterate_exactly(hom, iterations=3)]
    policies[0][2, 40] = np.nan  # and with it two improvements there
    policies[0][1:, 80] = np.nan
    direct, iterated = both(monkeypatch, hom.without_rewards(), policies, of=0, alpha=3.0)
    for found in (direct, iterated):
        assert np.flatnonzero(np.isnan(found.values)).tolist() == [80]
        assert malfl.correlation(found, hom.rewards[0]).pearson > 0.99
    assert iterated.diagnostics.loss == pytest.approx(direct.diagnostics.loss, abs=1e-12)


@pytest.mark.parametrize("improvements", [2, 5])
def test_a_larger_grid_gives_its_reward_back(improvements):
    game = malfl.gridworlds.ma_lfl("het", size=5)
    policies = iterate_exactly(game, iterations=improvements)
    found = recover_from_policies(game.without_rewards(), policies, of=0, alpha=3.0)
    assert malfl.correlation(found, game.rewards[0]).pearson > 0.999999
    assert found.converged
    with pytest.raises(ValueError, match="10000000 numbers; this system has 625"):
        _ = found.determination


def test_an_iteration_that_was_cut_short_has_not_converged(monkeypatch):
    game = malfl.gridworlds.ma_lfl("het", size=5)
    policies = iterate_exactly(game, iterations=2)
    monkeypatch.setattr("malfl.recovery.least_squares.MOST_STEPS", 700)
    found = recover_from_policies(game.without_rewards(), policies, of=0, alpha=3.0)
    assert found.diagnostics.gradient < 1e-6  # which alone proves little
    assert not found.converged


def test_rewards_of_many_entries_are_found_by_iteration(monkeypatch, hom):
    policies = iterate_exactly(hom, iterations=1)
    monkeypatch.setattr("malfl.recovery.projection.DENSE_SIZE", 100)
    found = recover_from_policies(
        hom.without_rewards(), policies, of=0, alpha=3.0, by=LeastSquares("state-action")
    )
    assert found.converged
    assert found.diagnostics.steps > 1
    assert found.diagnostics.loss < 1e-9
