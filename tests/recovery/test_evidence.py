from dataclasses import replace

import numpy as np
import pytest
from drawn import random_game
from scipy.linalg import null_space
from scipy.stats import multivariate_normal

from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery.consistency import consistency_system
from malfl.recovery.evidence import weigh_evidence

ALPHA = 0.7
CLASSES = ("state", "state-action", "joint-action")


def noisy_system(reward_class="state", noise=0.05, seed=1, weights=None, **options):
    """Of exact improvements seen with errors."""
    rng = np.random.default_rng(seed)
    game = random_game(rng, state_rewards=True, **options)
    history = []
    for policies in iterate_exactly(game, alpha=ALPHA, iterations=4):
        rough = policies * np.exp(noise * rng.normal(size=policies.shape))
        history.append(rough / rough.sum(axis=-1, keepdims=True))
    return consistency_system(game, history, 0, ALPHA, reward_class, weights)


def weights_for(states=4, own=2, nothing_of=None):
    weights = np.random.default_rng(5).integers(0, 6, size=(4, states, own)).astype(float)
    if nothing_of is not None:
        weights[:, nothing_of] = 0
    return weights


class Dense:
    """Targets as one normal vector, once what shapings can explain is projected out."""

    def __init__(self, system):
        root = np.sqrt(system.weights)[:, None]
        self.shaping = system.shaping.toarray() * root
        self.rows, self.aim = system.reward.toarray() * root, system.targets * root[:, 0]
        basis = null_space(self.shaping.T, rcond=1e-10)
        self.z, self.x = basis.T @ self.aim, basis.T @ self.rows

    def log_likelihood(self, error, prior):
        covariance = error * np.eye(len(self.z)) + prior * self.x @ self.x.T
        _, volume = np.linalg.slogdet(2 * np.pi * covariance)
        return -0.5 * (volume + self.z @ np.linalg.solve(covariance, self.z))

    def posterior(self, error, prior):
        unknowns = self.x.shape[1]
        information = self.x.T @ self.x / error + np.eye(unknowns) / prior
        covariance = np.linalg.inv(information)
        return covariance @ self.x.T @ self.z / error, covariance


SETTINGS = [
    {},
    {"reward_class": "state-action"},
    {"reward_class": "joint-action"},
    {"weights": weights_for()},
    {"weights": weights_for(), "reward_class": "joint-action", "noise": 0.2},
    {"stochastic": False, "actions": (3, 2), "states": 5},
    {"actions": (2, 1, 3), "states": 3, "seed": 2},
]


@pytest.mark.parametrize("options", SETTINGS)
def test_the_variances_are_the_likeliest(options):
    system = noisy_system(**options)
    _, _, evidence = weigh_evidence(system)
    dense = Dense(system)
    best = dense.log_likelihood(evidence.error, evidence.prior)
    covariance = evidence.error * np.eye(len(dense.z)) + evidence.prior * dense.x @ dense.x.T
    expected = multivariate_normal.logpdf(dense.z, cov=covariance)
    assert evidence.log_likelihood == pytest.approx(expected, abs=1e-6)
    # Nowhere on a wide grid is there a likelier pair, and near the maximum none at all.
    for span in (np.logspace(-6, 6, 41), np.logspace(-0.1, 0.1, 11)):
        grid = [
            dense.log_likelihood(evidence.error * a, evidence.prior * b) for a in span for b in span
        ]
        assert max(grid) <= best + 1e-8
    assert dense.log_likelihood(evidence.error * 1.05, evidence.prior) < best - 1e-4
    assert dense.log_likelihood(evidence.error, evidence.prior * 1.3) < best - 1e-4


@pytest.mark.parametrize("options", SETTINGS)
def test_reward_and_deviations_are_the_posteriors(options):
    system = noisy_system(**options)
    fit, deviation, evidence = weigh_evidence(system)
    mean, covariance = Dense(system).posterior(evidence.error, evidence.prior)
    np.testing.assert_allclose(fit.reward, mean, atol=1e-8 * np.abs(mean).max())
    # Rewards are compared up to a constant, so its variance is none of theirs.
    centring = np.eye(len(mean)) - 1 / len(mean)
    expected = np.sqrt(np.diag(centring @ covariance @ centring))
    np.testing.assert_allclose(deviation, expected, rtol=1e-6)


@pytest.mark.parametrize("reward_class", CLASSES)
def test_entries_in_no_equation_do_not_count(reward_class):
    system = noisy_system(reward_class, weights=weights_for(nothing_of=2))
    touched = system.touched
    assert not touched.all()
    fit, deviation, evidence = weigh_evidence(system)
    mean, covariance = Dense(system).posterior(evidence.error, evidence.prior)
    centring = np.eye(touched.sum()) - 1 / touched.sum()
    expected = centring @ covariance[np.ix_(touched, touched)] @ centring
    np.testing.assert_allclose(deviation[touched], np.sqrt(np.diag(expected)), rtol=1e-6)
    np.testing.assert_allclose(fit.reward, mean, atol=1e-8)
    np.testing.assert_array_equal(fit.reward[~touched], 0)


@pytest.mark.parametrize("weights", [None, weights_for(nothing_of=1)])
def test_shapings_explain_what_the_reward_leaves(weights):
    system = noisy_system(weights=weights)
    fit, _, _ = weigh_evidence(system)
    dense = Dense(system)
    rest = dense.aim - dense.rows @ fit.reward
    expected = np.linalg.lstsq(dense.shaping, rest, rcond=1e-10)[0]
    np.testing.assert_allclose(fit.shapings, expected, atol=1e-8)
    loss = ((rest - dense.shaping @ expected) ** 2).sum()
    assert fit.loss == pytest.approx(loss)


def test_noise_and_rewards_are_separated():
    quiet, loud = (weigh_evidence(noisy_system(noise=noise, states=9)) for noise in (0.01, 0.3))
    assert 100 * quiet[2].error < loud[2].error
    # Errors of alpha ln pi have about this variance.
    assert (0.01 * ALPHA) ** 2 / 2 < quiet[2].error < 2 * (0.01 * ALPHA) ** 2
    assert np.linalg.norm(quiet[1]) < np.linalg.norm(loud[1])
    _, _, none = weigh_evidence(noisy_system(noise=0.0))
    assert none.error < 1e-14


def test_converged_means_that_the_ridge_is_no_bound_of_the_search():
    fit, _, _ = weigh_evidence(noisy_system())
    assert fit.converged
    assert 5 < fit.steps < 100
    # Targets that no reward explains better than chance: the larger the ridge, the better.
    system = noisy_system()
    dense = Dense(system)
    basis = null_space(dense.shaping.T, rcond=1e-10)
    unexplained = basis @ null_space(dense.x.T, rcond=1e-10)[:, 0]
    nothing, _, _ = weigh_evidence(replace(system, targets=unexplained))
    assert not nothing.converged
    assert np.abs(nothing.reward).max() < 1e-6


@pytest.mark.parametrize("gamma", [0.0, 0.8])
def test_where_nothing_is_fixed_there_is_no_evidence(gamma):
    rng = np.random.default_rng(0)
    if gamma == 0:
        game = random_game(rng, state_rewards=True, gamma=0.0)
    else:
        game = random_game(rng, state_rewards=True, states=2)
        game = type(game)(
            actions=(2, 3), transitions=[[1] * 6, [0] * 6], rewards=game.rewards, start=0, gamma=0.8
        )
    history = iterate_exactly(game, alpha=ALPHA, iterations=2)
    system = consistency_system(game, history, 0, ALPHA, "state")
    with pytest.raises(ValueError, match="the equations fix nothing of the reward"):
        weigh_evidence(system)


def test_targets_of_zero_are_no_evidence():
    system = noisy_system()
    with pytest.raises(ValueError, match="there is no evidence to weigh"):
        weigh_evidence(replace(system, targets=np.zeros_like(system.targets)))


def test_large_games_are_refused(monkeypatch):
    monkeypatch.setattr("malfl.recovery.projection.DENSE_STATES", 3)
    with pytest.raises(ValueError, match="the evidence for a ridge takes a singular value decomp"):
        weigh_evidence(noisy_system())
