"""Policies that are estimated, against those that acted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from synthetic import gradient_is_right, one_step_view

from malfl.control.clones import (
    Family,
    _spread_out,
    _unlikely,
    beginner,
    pooled_clones,
    separate_clones,
)
from malfl.control.networks import log_density, random_layers
from malfl.control.observed import Observed, observed
from malfl.control.policy import Policy

TIMES = np.linspace(0, 1, 4)
MEANS = [lambda s, t=t: np.tanh(s) - 0.5 + t * (0.4 + 0.3 * s) for t in TIMES]
STDS = [0.6, 0.5, 0.4, 0.3]
GRID = np.linspace(-1.5, 1.5, 31)[:, None]


@pytest.fixture(scope="module")
def view():
    return one_step_view(MEANS, STDS, np.random.default_rng(0))


def off(policies):
    return [
        np.sqrt(np.mean((policy.mean(GRID) - mean(GRID)) ** 2))
        for policy, mean in zip(policies, MEANS, strict=True)
    ]


def test_pooled_clones_are_near_the_policies(view):
    clones = pooled_clones(view)
    assert max(off(clones)) < 0.05
    found = [float(np.exp(policy.log_std[0])) for policy in clones]
    np.testing.assert_allclose(found, STDS, rtol=0.06)


def test_separate_clones_have_deviations_too_large(view):
    """A thousand steps of 1e-3 bring ln of a deviation no further than to -1."""
    clones = separate_clones(view)
    assert max(off(clones)) < 0.12
    found = [float(np.exp(policy.log_std[0])) for policy in clones]
    np.testing.assert_allclose(found[:2], STDS[:2], rtol=0.06)
    assert found[3] > 1.2 * STDS[3]
    assert min(found) > np.exp(-1)


def test_gradients(view):
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        double = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), tree)  # noqa: E731
        data = double(Observed(*observed(view)[0]))
        each = [beginner(rng, 1, 1) for _ in STDS]
        gradient_is_right(
            _unlikely, double(jax.tree.map(lambda *p: jnp.stack(p), *each)), data, rng
        )
        *shared, last = random_layers(rng, (1, 5, 4, 1), 1.0)
        other = random_layers(rng, (1, 5, 4, 1), 1.0)[-1]
        gradient_is_right(_spread_out, double(Family(tuple(shared), (last, other))), data, rng)


def test_policies_in_numpy_are_those_in_jax():
    rng = np.random.default_rng(2)
    policy = Policy.beginner(np.array([1.0, -2.0]), np.array([0.5, 2.0]), 3, rng)
    seen, actions = rng.normal(size=(20, 2)), rng.normal(size=(20, 3))
    expected = stats.norm.logpdf(actions, policy.mean(seen), np.exp(policy.log_std)).sum(axis=1)
    np.testing.assert_allclose(policy.log_density(seen, actions), expected, rtol=1e-5)
    np.testing.assert_allclose(
        log_density(policy.gaussian(), policy.scaled(seen), actions), expected, rtol=1e-4
    )
    assert (np.abs(policy.scaled(np.full((1, 2), 1e6))) == 10).all()
    drawn = policy.draw(np.repeat(seen[:1], 50_000, axis=0), rng)
    np.testing.assert_allclose(drawn.mean(axis=0), policy.mean(seen[:1])[0], atol=0.03)
    np.testing.assert_allclose(drawn.std(axis=0), np.exp(policy.log_std), rtol=0.02)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"spread": np.array([1.0, 0.0])}, "spread must be above zero"),
        ({"center": np.array([1.0, np.nan])}, r"center\[1\] is nan"),
        ({"center": np.zeros(3)}, "layers must lead from one to the next"),
        ({"log_std": np.zeros(2)}, "log_std must have an entry for each action"),
    ],
)
def test_policies_that_are_wrong(parts, message):
    right = Policy.beginner(np.zeros(2), np.ones(2), 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        Policy(**right.parts() | parts)
