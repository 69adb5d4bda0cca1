"""Learners with bodies: what they begin with, how they see, and what they refuse."""

import numpy as np
import pytest

from malfl.control import ppo
from malfl.control.learn import Run, Scale, _Learner, learn
from malfl.control.simulations import Simulations
from malfl.control.tasks import task_of

SMALL = {"simulations": 4, "steps": 64}


@pytest.fixture(scope="module")
def run():
    return learn("Reacher", 2, seed=3, **SMALL)


def test_a_scale_is_that_of_all_that_was_seen():
    rng = np.random.default_rng(0)
    parts = [rng.normal(k, 1 + k, size=(50 * (k + 1), 3)) for k in range(3)]
    scale = Scale(0.0, np.zeros(3), np.zeros(3))
    for part in parts:
        scale = scale.after(part)
    whole = np.concatenate(parts)
    np.testing.assert_allclose(scale.mean, whole.mean(axis=0))
    np.testing.assert_allclose(scale.variance, whole.var(axis=0))


def test_rewards_are_scaled_by_the_deviation_of_discounted_sums():
    rng = np.random.default_rng(0)
    bodies = Simulations(task_of("Reacher"), 3, rng)
    learner = _Learner(bodies, None, None, rng)
    sums, flows = np.zeros(3), []
    for _ in range(2):
        rewards, over = rng.normal(size=(20, 3)), rng.random((20, 3)) < 0.1
        found = learner.scaled(rewards, over)
        for now, ends in zip(rewards, over, strict=True):
            sums = ppo.GAMMA * sums + now
            flows.append(sums.copy())
            sums[ends] = 0
        # Before anything was seen, 1e-4 of a number counts as 0 with variance 1.
        np.testing.assert_allclose(found, rewards / np.std(flows), rtol=1e-4)


def test_the_same_seed_learns_the_same(run):
    again, other = learn("Reacher", 2, seed=3, **SMALL), learn("Reacher", 2, seed=4, **SMALL)
    for k in range(3):
        np.testing.assert_array_equal(run.policies[k].log_std, again.policies[k].log_std)
        np.testing.assert_array_equal(run.rollouts[k].actions, again.rollouts[k].actions)
    np.testing.assert_array_equal(run.returns, again.returns)
    assert (run.rewards != other.rewards).any()


def test_policies_are_fixed_while_they_play_and_change_then(run):
    """Each rollout is drawn from its own policy: what is left over is normal."""
    for policy, rollout in zip(run.policies, run.rollouts, strict=True):
        off = (rollout.actions - policy.mean(rollout.before)) / np.exp(policy.log_std)
        assert abs(off.mean()) < 4 / np.sqrt(off.size)
        assert off.std() == pytest.approx(1, abs=0.25)
    first, second = run.policies[:2]
    assert (first.log_std != second.log_std).any()
    assert (first.center != second.center).any()


def test_who_begins_with_a_policy_goes_on_to_see_in_its_scale(run):
    start = run.policies[-1]
    own = learn(
        "Reacher", 1, start=start, reward=lambda s, a, then: -np.abs(a).sum(axis=1), **SMALL
    )
    np.testing.assert_array_equal(own.policies[0].log_std, start.log_std)
    np.testing.assert_array_equal(own.policies[1].center, start.center)
    np.testing.assert_array_equal(own.policies[1].spread, start.spread)


def test_what_is_learned_from_is_the_given_reward():
    """Small actions are rewarded, so deviations fall faster than by the task's own."""
    own = learn("Reacher", 5, seed=0, simulations=8, steps=128)
    given = learn(
        "Reacher", 5, seed=0, reward=lambda s, a, then: -10 * (a**2).sum(axis=1),
        simulations=8, steps=128,
    )  # fmt: skip
    assert given.policies[-1].log_std.mean() < own.policies[-1].log_std.mean() - 0.01


def test_observers_see_no_rewards(run):
    view = run.seen([0, 2])
    assert view.updates == (0, 2)
    assert view.rollouts == (run.rollouts[0], run.rollouts[2])
    assert set(view.parts()) == {"task", "updates", "rollouts"}
    assert set(view.rollouts[0].parts()) == {"observations", "actions", "lengths", "ended"}
    with pytest.raises(ValueError, match=r"updates must lie in 0\.\.2, got 3"):
        run.seen([0, 3])


def test_a_run_is_saved_and_loaded(run, tmp_path):
    run.save(tmp_path / "run.npz")
    again = Run.load(tmp_path / "run.npz")
    np.testing.assert_array_equal(again.returns, run.returns)
    np.testing.assert_array_equal(again.policies[1].mean(run.rollouts[1].before),
                                  run.policies[1].mean(run.rollouts[1].before))  # fmt: skip
    (tmp_path / "cut.npz").write_bytes((tmp_path / "run.npz").read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"cut\.npz"):
        Run.load(tmp_path / "cut.npz")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"task": "Walker"}, ValueError, "task must be one of Reacher"),
        ({"updates": 0}, ValueError, "updates must be at least 1"),
        ({"simulations": 0}, ValueError, "simulations must be at least 1"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"simulations": 3, "steps": 5}, ValueError, r"multiple of 32, got 3 \* 5"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"start": 3}, TypeError, "start must be of type Policy"),
        ({"reward": 3}, TypeError, "reward must be a function, got 3"),
        ({"reward": lambda s, a, then: a}, ValueError, r"number for each of 256 steps.*\(256, 2\)"),
        (
            {"reward": lambda s, a, then: a[:, 0] * np.nan},
            ValueError,
            r"reward\(\.\.\.\)\[0\] is nan",
        ),
    ],
)
def test_what_is_wrong_is_named(given, error, message):
    with pytest.raises(error, match=message):
        learn(**{"task": "Reacher", "updates": 1} | SMALL | given)
