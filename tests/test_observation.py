from dataclasses import replace

import numpy as np
import pytest
from drawn import random_game

from malfl import correlation, estimate_policies, learn, recover
from malfl.estimation import additive_smoothing
from malfl.sampling import Trajectories


@pytest.fixture(scope="module")
def log():
    game = random_game(np.random.default_rng(0), state_rewards=True)
    return learn(game, iterations=4, episodes=3, steps=7, record=True, seed=0)


@pytest.fixture
def seen(log):
    return log.observed_by(1)


@pytest.mark.parametrize("iterations", [1, 3, 4])
def test_the_first_iterations_are_all_that_was_seen_by_then(log, seen, iterations):
    first = seen.first(iterations)
    assert first.iterations == iterations
    np.testing.assert_array_equal(first.counts, log.counts[:iterations])
    np.testing.assert_array_equal(first.own_policies, log.policies[1][:iterations])
    assert first.trajectories == log.trajectories[:iterations]
    assert (first.observer, first.alpha, first.dynamics) == (1, log.alpha, seen.dynamics)
    assert seen.iterations == 4


def test_the_first_estimates_are_those_of_what_was_seen_first(seen):
    all_four, first = estimate_policies(seen), estimate_policies(seen.first(2))
    cut = all_four.first(2)
    for ours, theirs in zip(cut.policies, first.policies, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.shape[0] == 2
    np.testing.assert_array_equal(cut.visits, first.visits)
    np.testing.assert_array_equal(cut.unvisited, first.unvisited)


def test_without_trajectories_there_are_none_at_first(seen):
    assert replace(seen, trajectories=None).first(2).trajectories is None


def test_no_more_can_come_first_than_there_is(seen):
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        seen.first(0)
    with pytest.raises(ValueError, match=r"iterations - 1 must lie in 0..3, got 4"):
        seen.first(5)
    with pytest.raises(TypeError, match="iterations must be a whole number"):
        seen.first(1.5)


def changed(trajectories, **what):
    """The same, but for the third iteration."""
    return (*trajectories[:2], replace(trajectories[2], **what), trajectories[3])


def test_trajectories_must_be_of_the_iterations_counted(seen):
    for part, number in ((seen.trajectories[:3], 3), (seen.trajectories * 2, 8), ((), 0)):
        with pytest.raises(ValueError, match=f"of the 4 iterations counted, got {number}"):
            replace(seen, trajectories=part)


def test_trajectories_must_be_of_the_same_game(seen):
    with pytest.raises(ValueError, match=r"trajectories\[2\] must have 6 joint actions, got 5"):
        replace(seen, trajectories=changed(seen.trajectories, n_joint_actions=5))
    steps = seen.trajectories[2].steps.copy()
    steps[1, 3] = 4 * 6 + 2
    with pytest.raises(ValueError, match=r"trajectories\[2\] visit state 4; states must lie in 0"):
        replace(seen, trajectories=changed(seen.trajectories, steps=steps))
    last = seen.trajectories[2].last.copy()
    last[2] = 9
    with pytest.raises(ValueError, match=r"trajectories\[2\] visit state 9; .* lie in 0..3"):
        replace(seen, trajectories=changed(seen.trajectories, last=last))
    steps[1, 3], last[2] = 3 * 6 + 5, 3  # the last of all steps and states will do
    replace(seen, trajectories=changed(seen.trajectories, steps=steps, last=last))


def test_trajectories_must_be_of_the_steps_counted(seen):
    shorter = changed(seen.trajectories, steps=seen.trajectories[2].steps[:, :-1])
    with pytest.raises(ValueError, match=r"trajectories\[2\] have 18 steps, and 21 were counted"):
        replace(seen, trajectories=shorter)
    counts = seen.counts.copy()
    counts[1, 0, 0] += 2
    with pytest.raises(ValueError, match=r"trajectories\[1\] have 21 steps, and 23 were counted"):
        replace(seen, counts=counts)
    counts[1] = 0
    with pytest.raises(ValueError, match=r"trajectories\[1\] have 21 steps, and 0 were counted"):
        replace(seen, counts=counts)


def test_an_iteration_without_episodes_fits_no_counts(seen):
    nothing = Trajectories(np.zeros((0, 7), dtype=np.uint8), np.zeros(0, dtype=np.uint8), 6)
    counts = seen.counts.copy()
    counts[2] = 0
    part = (*seen.trajectories[:2], nothing, seen.trajectories[3])
    assert replace(seen, counts=counts, trajectories=part).iterations == 4
    with pytest.raises(ValueError, match=r"trajectories\[2\] have 0 steps, and 21 were counted"):
        replace(seen, trajectories=part)


def test_iterations_must_be_of_the_same_states(hom_log):
    seen = hom_log.observed_by(1)
    parts = [seen.counts[0], seen.counts[1][:80], *seen.counts[2:]]
    with pytest.raises(ValueError, match=r"counts\[1\] has shape \(80, 25\), and counts\[0\] \(81"):
        replace(seen, counts=parts)


@pytest.fixture
def bystander(log):
    return log.observed_by(None)


def test_a_bystander_sees_what_everyone_did_and_has_no_policies(log, seen, bystander):
    assert bystander.observer is None
    assert bystander.own_policies is None
    assert bystander.alpha == log.alpha
    assert bystander.trajectories is log.trajectories
    assert bystander.iterations == 4
    assert not hasattr(bystander.dynamics, "rewards")
    np.testing.assert_array_equal(bystander.counts, log.counts)
    for agent in (0, 1):
        np.testing.assert_array_equal(bystander.own_counts(agent), seen.own_counts(agent))


@pytest.mark.parametrize("iterations", [1, 3, 4])
def test_what_a_bystander_saw_first(log, bystander, iterations):
    first = bystander.first(iterations)
    assert (first.observer, first.own_policies, first.alpha) == (None, None, log.alpha)
    assert first.iterations == iterations
    np.testing.assert_array_equal(first.counts, log.counts[:iterations])
    assert first.trajectories == log.trajectories[:iterations]


def test_bystanders_look_at_anyone(seen, bystander):
    for agent in (0, 1):
        assert bystander.check_observed(agent) == agent
    with pytest.raises(ValueError, match=r"of must lie in 0..1, got 2"):
        bystander.check_observed(2)
    with pytest.raises(ValueError, match="of must be another agent than the observer, both are 1"):
        seen.check_observed(1)


def test_own_policies_are_those_of_an_observer_that_is_an_agent(seen, bystander):
    for one, change, who in (
        (seen, {"own_policies": None}, 1),
        (seen, {"observer": None}, None),
        (bystander, {"observer": 0}, 0),
        (bystander, {"own_policies": seen.own_policies}, None),
    ):
        with pytest.raises(ValueError, match=f"own_policies must be given .* observer is {who}"):
            replace(one, **change)
    replace(bystander, observer=1, own_policies=seen.own_policies)


@pytest.mark.parametrize("alpha", [0, -1.0, np.nan])
def test_alpha_must_be_positive_for_bystanders_too(bystander, alpha):
    with pytest.raises(ValueError, match=r"alpha must be (greater than 0|finite)"):
        replace(bystander, alpha=alpha)


def test_a_bystander_estimates_everyones_policies(log, seen, bystander):
    estimates = estimate_policies(bystander)
    for agent, policies in enumerate(estimates.policies):
        counts = bystander.own_counts(agent)
        np.testing.assert_array_equal(policies, additive_smoothing(counts, 0.5))
    assert np.nanmax(np.abs(estimates.policies[1] - log.policies[1][:-1])) > 0.01
    np.testing.assert_array_equal(estimates.visits, log.counts.sum(axis=2))
    # An agent knows its own.
    np.testing.assert_array_equal(estimate_policies(seen).policies[0], estimates.policies[0])
    np.testing.assert_array_equal(estimate_policies(seen).policies[1], log.policies[1][:-1])


def test_a_bystander_recovers_anyones_reward():
    game = random_game(np.random.default_rng(0), (2, 3), 4, state_rewards=True)
    log = learn(game, alpha=0.8, iterations=5, evaluation="exact", record=True, steps=50, seed=0)
    bystander = log.observed_by(None)
    for agent in (0, 1):
        found = recover(bystander, of=agent)
        assert correlation(found, game.rewards[agent]).pearson > 0.99
        by_agent = recover(log.observed_by(1 - agent), of=agent)
        assert correlation(by_agent, found.values).pearson > 0.99
    for method in ("replay", "course", "least_squares", "evidence"):
        found = recover(bystander, of=1, method=method)
        assert np.isfinite(found.values).all()
    with pytest.raises(ValueError, match=r"of must lie in 0..1, got 2"):
        recover(bystander, of=2)
