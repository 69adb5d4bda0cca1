"""Algorithm 1 of LfL with networks, line by line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from synthetic import gradient_is_right, one_step_view

from malfl.control import lfl
from malfl.control.clones import beginner, pooled_clones
from malfl.control.fit import fitted
from malfl.control.lfl import Consistency, LfL, Sought, _far_off, _own, inconsistent, unlikely
from malfl.control.networks import Gaussian, log_density, outputs_of, random_layers
from malfl.control.observed import observed

K, T = 3, 400  # improvements, and steps of each


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def view():
    means = [lambda s, t=t: t * s for t in (0.0, 0.3, 0.6, 0.9)]
    return one_step_view(means, [0.9, 0.8, 0.7, 0.6], np.random.default_rng(0))


def steps(rng):
    return tuple(jnp.asarray(rng.normal(size=(K, T, size))) for size in (2, 1, 2))


def test_outputs_of_each_improvement_are_its_own(rng):
    layers, seen = random_layers(rng, (2, 5, K), 1.0), rng.normal(size=(K, T, 2))
    for k in range(K):
        np.testing.assert_allclose(_own(layers, seen)[k], outputs_of(layers, seen[k])[:, k])


def test_gradients(rng):
    with jax.enable_x64(True):
        before, actions, after = steps(rng)
        double = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), tree)  # noqa: E731
        policy = double(beginner(rng, 2, 1))
        shapings = double(random_layers(rng, (2, 6, K), 1.0))
        targets = jnp.asarray(rng.normal(size=(K, T)))
        data = Consistency(before, actions, after, targets, 0.9)
        for loss in (inconsistent, lfl._inconsistent_in_some):
            gradient_is_right(loss, Sought(policy, shapings), data, rng)
        gradient_is_right(unlikely, policy, (before[0], actions[0]), rng)
        gradient_is_right(_far_off, shapings, (before, targets), rng)


def test_the_loss_is_that_of_equation_5(rng):
    """By loops over improvements and steps."""
    before, actions, after = steps(rng)
    policy, shapings = beginner(rng, 2, 1), random_layers(rng, (2, 6, K), 1.0)
    targets = rng.normal(size=(K, T))
    data = Consistency(before, actions, after, jnp.asarray(targets), 0.9)
    says = np.asarray(log_density(policy, before, actions))
    now, then = np.asarray(_own(shapings, before)), np.asarray(_own(shapings, after))
    total = sum(
        np.mean(
            [(targets[k, t] - says[k, t] - now[k, t] + 0.9 * then[k, t]) ** 2 for t in range(T)]
        )
        for k in range(K)
    )
    assert float(inconsistent(Sought(policy, shapings), data, jax.random.key(0))) == pytest.approx(
        total, rel=1e-4
    )


def test_a_reward_is_found_beneath_shapings(rng):
    """Targets are ln pi and a shaping of each improvement; what is found is ln pi."""
    before, actions, after = (rng.normal(size=(K, 2000, size)) for size in (1, 1, 1))
    true = Gaussian(random_layers(rng, (1, 4, 1), 1.0), jnp.asarray([-0.3]))
    bends = rng.normal(size=K)[:, None]
    shaping = bends * (np.sin(before) - 0.9 * np.sin(after))[..., 0]
    targets = np.asarray(log_density(true, before, actions)) + shaping
    data = Consistency(*map(jnp.asarray, (before, actions, after, targets)), 0.9)
    start = Sought(beginner(rng, 1, 1), random_layers(rng, (1, 128, K), 0.01))
    found = fitted(inconsistent, start, data, 2000, jax.random.key(0)).reward
    grid = np.linspace(-1.5, 1.5, 20)[:, None]
    np.testing.assert_allclose(
        outputs_of(found.layers, grid), outputs_of(true.layers, grid), atol=0.1
    )
    assert float(found.log_std[0]) == pytest.approx(-0.3, abs=0.05)


def test_pooled_targets_are_those_of_theorem_2(view, rng):
    data, *_ = observed(view)
    clones = pooled_clones(view)
    found = LfL("pooled", alpha=0.5, gamma=0.8)._targets(
        data, [clone.gaussian() for clone in clones], rng, jax.random.key(0)
    )
    for k in range(3):
        one, other, rollout = clones[k], clones[k + 1], view.rollouts[k]
        mean, std = other.mean(rollout.before), np.exp(other.log_std)
        logs = stats.norm.logpdf(rollout.actions.astype(float), mean, std).sum(axis=1)
        means = one.mean(rollout.after)
        points, weights = np.polynomial.hermite_e.hermegauss(20)
        drawn = means + np.exp(one.log_std) * points
        gap = stats.norm.logpdf(drawn, means, np.exp(one.log_std)) - stats.norm.logpdf(
            drawn, other.mean(rollout.after), std
        )
        far = gap @ weights / weights.sum()
        np.testing.assert_allclose(found[k], 0.5 * logs + 0.5 * 0.8 * far, rtol=1e-3, atol=1e-3)


def test_printed_divergences_are_fitted_to_the_gaps(view, rng):
    """On one-dimensional policies that are nearly alike they are small."""
    data, *_ = observed(view)
    clones = [clone.gaussian() for clone in pooled_clones(view)]
    found = np.stack(LfL()._divergences(data, clones, rng, jax.random.key(0)))
    gaps = [
        np.asarray(log_density(one, s, a) - log_density(other, s, a)).mean()
        for one, other, s, a in zip(clones, clones[1:], data.before, data.actions, strict=False)
    ]
    np.testing.assert_allclose(found.mean(axis=1), gaps, atol=0.05)


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("policies", ["separate", "pooled"])
def test_the_same_seed_gives_the_same_reward(view, policies, released, monkeypatch):
    for name in ("FIRST_STEPS", "CONSISTENCY_STEPS"):
        monkeypatch.setattr(lfl, name, 60)
    found = [LfL(policies, released=released).reward(view, seed) for seed in (0, 0, 1)]
    one, again, other = (
        reward(*(getattr(view.rollouts[0], part) for part in ("before", "actions", "after")))
        for reward in found
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"policies": "none"}, "policies must be one of separate, pooled"),
        ({"alpha": 0.0}, "alpha must be"),
        ({"gamma": 1.0}, "gamma must"),
    ],
)
def test_what_is_wrong_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        LfL(**given)
