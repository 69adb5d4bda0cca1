"""Rewards by rank and by motion, where the right ones are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from synthetic import gradient_is_right, one_step_view

from malfl.control import trex
from malfl.control.clones import pooled_clones
from malfl.control.motion import Motion, advantages_of, motion_and_advantages
from malfl.control.networks import random_layers
from malfl.control.policy import Policy
from malfl.control.ppo import GAMMA, LAMBDA
from malfl.control.rewards import LogDensity, QuadraticReward, inputs_of, lifted, quadratic
from malfl.control.rollout import Rollout, RolloutView
from malfl.control.trex import TRex, _unlike


def earned(reward, rollout):
    return reward(rollout.before, rollout.actions, rollout.after)


def longer_view(drift, lengths, ended, rng, steps=600):
    """Observations that grow from rollout to rollout, in episodes of these lengths."""
    rollouts = []
    for k, length in enumerate(lengths):
        number = steps // length
        seen = rng.normal(size=(steps + number, 2)) + drift * k * np.array([1.0, 0.0])
        actions = rng.normal(size=(steps, 1))
        rollouts.append(Rollout(seen, actions, np.full(number, length), np.full(number, ended)))
    return RolloutView("Hopper", tuple(range(len(rollouts))), tuple(rollouts))


def test_ranks_say_what_grew():
    view = longer_view(0.5, [100] * 4, False, np.random.default_rng(0))
    reward = TRex(steps=300, networks=2).reward(view)
    for rollout in view.rollouts:
        found = earned(reward, rollout)
        assert np.corrcoef(found, rollout.before[:, 0])[0, 1] > 0.8
        assert abs(np.corrcoef(found, rollout.before[:, 1])[0, 1]) < 0.3


def test_ranks_say_that_not_falling_earns():
    """Where only episodes grow longer, nearly every step earns something."""
    rng = np.random.default_rng(1)
    view = longer_view(0.0, [5, 10, 20, 25], True, rng)
    found = earned(TRex(steps=300, networks=1).reward(view), view.rollouts[-1])
    assert found.mean() > 0.15
    assert (found > 0).mean() > 0.75
    cut = longer_view(0.0, [30, 30, 30, 30], False, rng)
    assert abs(earned(TRex(steps=300, networks=1).reward(cut), cut.rollouts[-1]).mean()) < 0.1


def test_stretches_are_whole_or_end_in_a_fall():
    rng = np.random.default_rng(2)
    lengths, ended = np.array([30, 10, 50]), np.array([False, True, False])
    rollout = Rollout(rng.normal(size=(93, 2)), rng.normal(size=(90, 1)), lengths, ended)
    begins = set(TRex(length=25)._begins(0, rollout, rng).tolist())
    assert begins == {*range(6), *range(30, 40), *range(40, 66)}
    with pytest.raises(ValueError, match=r"at most 30, .*rollout 1, got 31"):
        TRex(length=31).reward(longer_view(0.0, [50, 30], False, rng))


def test_the_gradient_of_ranks():
    rng = np.random.default_rng(3)
    view = longer_view(0.5, [5, 100, 20], True, rng)
    with jax.enable_x64(True):
        data = trex.Ranked(
            jnp.asarray(
                np.stack([inputs_of(r.before, r.actions) for r in view.rollouts]), jnp.float64
            ),
            jnp.asarray([TRex()._begins(0, r, rng) for r in view.rollouts]),
            jnp.asarray([np.repeat(np.cumsum(r.lengths) - 1, r.lengths) for r in view.rollouts]),
            jnp.arange(25),
        )
        layers = random_layers(rng, (3, 6, 1), 1.0)
        start = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), layers)
        gradient_is_right(_unlike, start, data, rng)


def test_advantages_are_discounted_sums_of_surprises():
    """Values are those that LSTD says; nothing follows a fall, and a cut does not go on."""
    rng = np.random.default_rng(4)
    terms, seen, then = rng.normal(size=(40, 2)), rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    fell, broke_off = rng.random(40) < 0.1, rng.random(40) < 0.2
    broke_off |= fell
    found = advantages_of(terms, seen, then, fell, broke_off)
    onward = np.where(fell[:, None], 0, GAMMA * then)
    values = np.linalg.solve(seen.T @ (seen - onward) + 1e-6 * 40 * np.eye(3), seen.T @ terms)
    for t in range(40):
        total, weight, now = np.zeros(2), 1.0, t
        while now < 40:
            total = total + weight * (terms[now] + onward[now] @ values - seen[now] @ values)
            if broke_off[now]:
                break
            weight, now = weight * GAMMA * LAMBDA, now + 1
        np.testing.assert_allclose(found[t], total, atol=1e-8)


def test_motion_finds_the_reward_of_soft_improvements():
    """In episodes of one step, pi' = pi exp(r / alpha): for r = -(a - s)^2 all stay Gaussian."""
    rng, precisions = np.random.default_rng(5), np.array([4.0, 4.7, 5.4, 6.1, 6.8])
    means = [lambda s, p=p: (1 - 4.0 / p) * 0.5 * s for p in precisions]
    view = one_step_view(means, precisions**-0.5, rng, steps=6000)
    found = np.concatenate([earned(Motion().reward(view), r) for r in view.rollouts])
    seen = np.concatenate([r.before for r in view.rollouts])[:, 0]
    actions = np.concatenate([r.actions for r in view.rollouts]).astype(float)[:, 0]
    kept = np.abs(actions) < 1  # where they are not clipped
    true = -((actions - 0.5 * seen) ** 2)
    basis = np.column_stack([np.ones_like(seen), seen, seen**2])[kept]  # what states say is open

    def beside(values):
        return values - basis @ np.linalg.lstsq(basis, values, rcond=None)[0]

    assert np.corrcoef(beside(found[kept]), beside(true[kept]))[0, 1] > 0.9


def test_motion_and_advantages_have_nothing_left_of_states():
    view = one_step_view([lambda s: 0 * s, lambda s: s], [1.0, 0.8], np.random.default_rng(6), 500)
    one, other = pooled_clones(view)
    rollout = view.rollouts[0]
    terms = np.column_stack([rollout.before, rollout.actions]).astype(float)
    moved, advantages = motion_and_advantages(one, other, rollout, terms)
    seen = one.scaled(rollout.before)[:, 0].astype(float)
    for power in range(3):
        assert abs(moved @ seen**power) < 1e-6 * len(seen)
        assert (np.abs(advantages.T @ seen**power) < 1e-6 * len(seen)).all()
    assert (advantages[:, 0] < 1e-6).all()


def test_rewards_by_their_formulas():
    rng = np.random.default_rng(7)
    seen, actions = rng.normal(size=(30, 2)), 2 * rng.normal(size=(30, 1))
    policy = Policy.beginner(np.zeros(2), np.ones(2), 1, rng)
    np.testing.assert_allclose(
        LogDensity(policy, 1.5)(seen, actions, seen), policy.log_density(seen, actions) + 1.5
    )
    weights, center, spread = rng.normal(size=9), rng.normal(size=3), np.array([1.0, 2.0, 3.0])
    x = (np.column_stack([seen, np.clip(actions, -1, 1)]) - center) / spread
    products = [x[:, i] * x[:, j] for i in range(3) for j in range(i, 3)]
    expected = np.column_stack([x, *products]) @ weights + 0.5
    found = QuadraticReward(weights, center, spread, 0.5)(seen, actions, seen)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert quadratic(x).shape == (30, 9)


def test_lifted_rewards_are_mostly_positive():
    view = one_step_view([lambda s: s, lambda s: 2 * s], [1.0, 0.5], np.random.default_rng(8), 500)
    reward = LogDensity(pooled_clones(view)[-1], -3.0)
    found = np.concatenate([earned(lifted(reward, view), r) for r in view.rollouts])
    assert np.percentile(found, 5) == pytest.approx(0, abs=1e-4)
    raw = np.concatenate([earned(reward, r) for r in view.rollouts])
    assert np.ptp(found - raw) < 1e-4


@pytest.mark.parametrize("name", ["length", "steps", "networks"])
def test_what_is_wrong_is_named(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        TRex(**{name: 0})
    for estimator in (TRex(), Motion()):
        with pytest.raises(TypeError, match="view must be of type RolloutView"):
            estimator.reward(3)
