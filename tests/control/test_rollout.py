"""What is seen of a body, against the steps that were played."""

import numpy as np
import pytest

from malfl.control.play import play, score
from malfl.control.policy import Policy
from malfl.control.rollout import Rollout, RolloutView
from malfl.control.simulations import Simulations
from malfl.control.tasks import task_of


def beginner(task, rng):
    bodies = Simulations(task_of(task), 2, rng)
    size = bodies.seen().shape[1]
    return bodies, Policy.beginner(np.zeros(size), np.ones(size), len(bodies.bounds), rng)


@pytest.mark.parametrize("task", ["Hopper", "Reacher"])
def test_rollouts_are_the_steps_of_one_simulation(task):
    """Before and after each step, and where the body fell; also where it falls at the last one."""
    rng = np.random.default_rng(0)
    played = play(*beginner(task, rng), 220, rng)
    falls = np.flatnonzero(played.ended[:, 1])
    for end in [220, *falls[:1] + 1]:
        cut = type(played)(*(part[:end] for part in played[:6]), *played[6:])
        rollout = cut.rollout(1)
        assert rollout.steps == end
        np.testing.assert_allclose(rollout.before, cut.seen[:, 1], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(rollout.after, cut.after[:, 1], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(rollout.actions, cut.actions[:, 1], rtol=1e-3, atol=1e-6)
        np.testing.assert_array_equal(rollout.fell, cut.ended[:, 1])
        broke_off = cut.ended[:, 1] | cut.cut[:, 1]
        broke_off[-1] = True
        np.testing.assert_array_equal(rollout.broke_off, broke_off)
    assert (falls.size > 0) == (task == "Hopper")


def test_returns_are_sums_of_rewards():
    """Of each episode that was over, in the order in which they were."""
    rng = np.random.default_rng(1)
    played = play(*beginner("Hopper", rng), 150, rng)
    returns, lengths, sums, steps = [], [], np.zeros(2), np.zeros(2)
    for rewards, over in zip(played.rewards, played.ended | played.cut, strict=True):
        sums, steps = sums + rewards, steps + 1
        returns += sums[over].tolist()
        lengths += steps[over].tolist()
        sums[over], steps[over] = 0, 0
    np.testing.assert_allclose(played.returns, returns)
    np.testing.assert_array_equal(played.lengths, lengths)


def test_scores_are_those_of_whole_episodes():
    """Of an episode each; by the mean action there is no noise."""
    _, policy = beginner("Hopper", np.random.default_rng(2))
    found = score(policy, "Hopper", mean_action=True, episodes=3, seed=5)
    for k in range(3):
        bodies = Simulations(task_of("Hopper"), 3, np.random.default_rng(5))
        rewards, fell = [], False
        while not fell:
            step = bodies.step(policy.mean(bodies.seen()))
            rewards.append(step.rewards[k])
            fell = step.ended[k]
        assert found.lengths[k] == len(rewards)
        assert found.returns[k] == pytest.approx(sum(rewards))
    noisy = score(policy, "Hopper", episodes=3, seed=5)
    assert (noisy.returns != found.returns).all()


def rollout(steps=4, size=2, **parts):
    given = {
        "observations": np.zeros((steps + 1, size)), "actions": np.zeros((steps, 1)),
        "lengths": [steps], "ended": [False],
    }  # fmt: skip
    return Rollout(**given | parts)


def with_nan():
    seen = np.zeros((5, 2))
    seen[3, 1] = np.nan
    return seen


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"observations": with_nan()}, r"observations\[3, 1\] is nan"),
        ({"observations": np.zeros((4, 2))}, r"observations must have 5 rows.*got shape \(4, 2\)"),
        ({"actions": np.full((4, 1), 1e6)}, r"actions must lie within 65504 of zero"),
        ({"actions": np.zeros(4)}, "actions must have 4 rows"),
        ({"lengths": [0, 4], "ended": [True, False]}, "lengths must hold"),
        ({"ended": [True, False]}, "ended must"),
    ],
)
def test_rollouts_that_are_wrong(parts, message):
    with pytest.raises(ValueError, match=message):
        rollout(**parts)


def test_views_of_some_updates():
    view = RolloutView("Reacher", (3, 5, 9), (rollout(), rollout(), rollout()))
    assert view.at([3, 9]).rollouts == (view.rollouts[0], view.rollouts[2])
    with pytest.raises(ValueError, match=r"updates must be among \(3, 5, 9\), got 4"):
        view.at([3, 4])


@pytest.mark.parametrize(
    ("updates", "rollouts", "message"),
    [
        ((3,), (rollout(),), "rollouts must be at least 2, got 1"),
        ((5, 3), (rollout(), rollout()), r"updates must ascend.*\(5, 3\)"),
        ((3,), (rollout(), rollout()), "updates must ascend, one for each"),
        ((3, 5), (rollout(), rollout(size=3)), "as many observations and actions each"),
        ((3, 5), (rollout(), rollout(steps=5)), "as many steps each"),
    ],
)
def test_views_that_are_wrong(updates, rollouts, message):
    with pytest.raises(ValueError, match=message):
        RolloutView("Reacher", updates, rollouts)
    with pytest.raises(TypeError, match=r"rollouts\[1\] must be of type Rollout"):
        RolloutView("Reacher", (0, 1), (rollout(), 3))
