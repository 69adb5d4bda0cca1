"""Losses, gradients and advantages against what they are by definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

from malfl.control import ppo
from malfl.control.networks import Gaussian, divergence, log_density, outputs_of, random_layers
from malfl.control.ppo import Networks, Transitions, advantages_of, loss, updated

NUMBER, SEEN, ACTIONS = 64, 3, 2


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def policy(rng):
    layers = random_layers(rng, (SEEN, 5, 4, ACTIONS), 1.0)
    return Gaussian(layers, jnp.asarray(rng.normal(size=ACTIONS), jnp.float32))


def transitions(rng, networks):
    seen, actions = rng.normal(size=(NUMBER, SEEN)), rng.normal(size=(NUMBER, ACTIONS))
    logs = log_density(networks.policy, seen, actions) + 0.1 * rng.normal(size=NUMBER)
    return Transitions(*map(jnp.asarray, (seen, actions, logs, *rng.normal(size=(2, NUMBER)))))


def test_densities_and_divergences(rng):
    one, other = policy(rng), policy(rng)
    seen, actions = rng.normal(size=(NUMBER, SEEN)), rng.normal(size=(NUMBER, ACTIONS))
    mean, std = np.asarray(outputs_of(one.layers, seen)), np.exp(np.asarray(one.log_std))
    expected = stats.norm.logpdf(actions, mean, std).sum(axis=1)
    np.testing.assert_allclose(log_density(one, seen, actions), expected, rtol=1e-4)
    drawn = mean[0] + std * rng.normal(size=(200_000, ACTIONS))
    logs = [np.asarray(log_density(each, seen[0], drawn)) for each in (one, other)]
    assert float(divergence(one, other, seen[:1])[0]) == pytest.approx(
        (logs[0] - logs[1]).mean(), rel=0.02
    )
    np.testing.assert_allclose(divergence(one, one, seen), 0, atol=1e-6)


def test_weights_are_orthogonal(rng):
    (wide, _), (narrow, bias) = random_layers(rng, (6, 8, 2), 0.01)
    np.testing.assert_allclose(wide @ wide.T, 2 * np.eye(6), atol=1e-5)
    np.testing.assert_allclose(narrow.T @ narrow, 1e-4 * np.eye(2), atol=1e-8)
    assert not bias.any()


def test_the_gradient_of_the_loss(rng):
    """Against differences, in double precision; ratios are clipped for some."""
    with jax.enable_x64(True):
        layers = random_layers(rng, (SEEN, 4, 1), 1.0)
        networks = jax.tree.map(
            lambda x: jnp.asarray(x, jnp.float64), Networks(policy(rng), layers)
        )
        some = transitions(rng, networks)
        flat, back = ravel_pytree(networks)
        slopes, _ = ravel_pytree(jax.grad(loss)(networks, some))
        for direction in rng.normal(size=(5, len(flat))):
            step = 1e-6 * direction
            rise = (loss(back(flat + step), some) - loss(back(flat - step), some)) / 2e-6
            assert float(rise) == pytest.approx(float(slopes @ direction), rel=1e-5, abs=1e-8)


def test_advantages_are_discounted_sums_of_surprises(rng):
    """Over what was done before an episode ended or was cut off."""
    steps, number = 9, 4
    rewards, values, after = rng.normal(size=(3, steps, number))
    ended, cut = rng.random((2, steps, number)) < 0.2
    cut &= ~ended
    found = advantages_of(*map(jnp.asarray, (rewards, values, after, ended, cut)))
    for k in range(number):
        for t in range(steps):
            total, weight, now = 0.0, 1.0, t
            while now < steps:
                future = 0.0 if ended[now, k] else ppo.GAMMA * after[now, k]
                total += weight * (rewards[now, k] + future - values[now, k])
                if ended[now, k] or cut[now, k]:
                    break
                weight, now = weight * ppo.GAMMA * ppo.LAMBDA, now + 1
            assert float(found[t, k]) == pytest.approx(total, abs=1e-5)


def test_an_update_makes_the_loss_less(rng):
    networks = Networks(policy(rng), random_layers(rng, (SEEN, 4, 1), 1.0))
    some = transitions(rng, networks)
    state, key = ppo.OPTIMISER.init(networks), jax.random.key(0)
    once, _ = updated(networks, state, some, key)
    assert float(loss(once, some)) < float(loss(networks, some))
    again, _ = updated(networks, state, some, key)
    np.testing.assert_array_equal(ravel_pytree(once)[0], ravel_pytree(again)[0])
