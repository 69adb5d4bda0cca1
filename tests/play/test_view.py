from dataclasses import replace

import numpy as np
import pytest
from drawn import random_game

from malfl import (
    EvidenceRidge,
    LeastSquares,
    PathLikelihood,
    Replay,
    SoftPolicyIteration,
    correlation,
    estimate_policies,
    learn,
    recover,
)
from malfl.play import Episodes, View
from malfl.recovery.policies import additive_smoothing


@pytest.fixture(scope="module")
def log():
    game = random_game(np.random.default_rng(0), state_rewards=True)
    return learn(game, iterations=4, episodes=3, steps=7, record=True, seed=0)


@pytest.fixture
def seen(log):
    return log.seen_by(1)


@pytest.mark.parametrize("iterations", [1, 3, 4])
def test_the_first_iterations_are_all_that_was_seen_by_then(log, seen, iterations):
    first = seen.first(iterations)
    assert first.iterations == iterations
    np.testing.assert_array_equal(first.counts, log.counts[:iterations])
    np.testing.assert_array_equal(first.own_policies, log.policies[1][:iterations])
    assert first.episodes == log.episodes[:iterations]
    assert (first.observer, first.alpha, first.dynamics) == (1, log.alpha, seen.dynamics)
    assert seen.iterations == 4


def test_the_first_estimates_are_those_of_what_was_seen_first(seen):
    all_four, first = estimate_policies(seen), estimate_policies(seen.first(2))
    for ours, theirs in zip(all_four, first, strict=True):
        np.testing.assert_array_equal(ours[:2], theirs)
        assert theirs.shape[0] == 2


def test_without_episodes_there_are_none_at_first(seen):
    assert replace(seen, episodes=None).first(2).episodes is None


def test_no_more_can_come_first_than_there_is(seen):
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        seen.first(0)
    with pytest.raises(ValueError, match=r"iterations - 1 must lie in 0..3, got 4"):
        seen.first(5)
    with pytest.raises(TypeError, match="iterations must be a whole number"):
        seen.first(1.5)


def changed(episodes, **what):
    """The same, but for the third iteration."""
    return (*episodes[:2], Episodes(**episodes[2].parts() | what), episodes[3])


def test_episodes_must_be_of_the_iterations_counted(seen):
    for part, number in ((seen.episodes[:3], 3), (seen.episodes * 2, 8), ((), 0)):
        with pytest.raises(ValueError, match=f"of the 4 iterations counted, got {number}"):
            replace(seen, episodes=part)


def test_episodes_must_be_of_the_same_game(seen):
    sizes = r"episodes\[2\] must be of 4 states and 6 joint actions, got"
    with pytest.raises(ValueError, match=f"{sizes} 4 and 7"):
        replace(seen, episodes=changed(seen.episodes, n_joint_actions=7))
    with pytest.raises(ValueError, match=f"{sizes} 5 and 6"):
        replace(seen, episodes=changed(seen.episodes, n_states=5))
    states, actions = (seen.episodes[2].parts()[name].copy() for name in ("states", "actions"))
    states[2], actions[3], states[15] = 3, 5, 3  # the last of all states and joint actions will do
    replace(seen, episodes=changed(seen.episodes, states=states, actions=actions))
    states[15] = 4
    with pytest.raises(ValueError, match=r"states\[15\] is 4; .* at most 3"):
        changed(seen.episodes, states=states)


@pytest.mark.parametrize("wrong", [None, "episodes", [[0, 1], [0]]])
def test_only_episodes_are_episodes(seen, wrong):
    part = (*seen.episodes[:2], wrong, seen.episodes[3])
    message = rf"episodes\[2\] must be of type Episodes .*, got {type(wrong).__name__}"
    with pytest.raises(TypeError, match=message):
        replace(seen, episodes=part)


def test_episodes_must_be_of_the_steps_counted(seen):
    lists = (
        [one.states[:-1] for one in seen.episodes[2]],
        [one.actions[:-1] for one in seen.episodes[2]],
    )
    shorter = Episodes.from_lists(*lists, n_states=4, n_joint_actions=6)
    with pytest.raises(ValueError, match=r"episodes\[2\] have 18 steps, and 21 were counted"):
        replace(seen, episodes=(*seen.episodes[:2], shorter, seen.episodes[3]))
    counts = seen.counts.copy()
    counts[1, 0, 0] += 2
    with pytest.raises(ValueError, match=r"episodes\[1\] have 21 steps, and 23 were counted"):
        replace(seen, counts=counts)
    counts[1] = 0
    with pytest.raises(ValueError, match=r"episodes\[1\] have 21 steps, and 0 were counted"):
        replace(seen, counts=counts)


def test_episodes_may_be_of_any_lengths(seen):
    states = [[0, 1, 0, 1, 0, 1, 2, 3], [3, 0]]
    ragged = Episodes.from_lists(states, [[0] * 7, [5]], n_states=4, n_joint_actions=6)
    counts = seen.counts.copy()
    counts[2] = ragged.counts()
    view = replace(seen, counts=counts, episodes=(*seen.episodes[:2], ragged, seen.episodes[3]))
    assert view.episodes[2].lengths.tolist() == [7, 1]
    assert view.first(3).episodes[2] is ragged


def test_an_iteration_without_episodes_fits_no_counts(seen):
    nothing = Episodes.from_lists([], [], n_states=4, n_joint_actions=6)
    counts = seen.counts.copy()
    counts[2] = 0
    part = (*seen.episodes[:2], nothing, seen.episodes[3])
    assert replace(seen, counts=counts, episodes=part).iterations == 4
    with pytest.raises(ValueError, match=r"episodes\[2\] have 0 steps, and 21 were counted"):
        replace(seen, episodes=part)


def test_iterations_must_be_of_the_same_states(hom_log):
    seen = hom_log.seen_by(1)
    parts = [seen.counts[0], seen.counts[1][:80], *seen.counts[2:]]
    with pytest.raises(ValueError, match=r"counts\[1\] has shape \(80, 25\), and counts\[0\] \(81"):
        replace(seen, counts=parts)


@pytest.fixture
def bystander(log):
    return log.seen_by(None)


def test_a_bystander_sees_what_everyone_did_and_has_no_policies(log, seen, bystander):
    assert bystander.observer is None
    assert bystander.own_policies is None
    assert bystander.alpha == log.alpha
    assert bystander.episodes is log.episodes
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
    assert first.episodes == log.episodes[:iterations]


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
    for agent, policies in enumerate(estimates):
        counts = bystander.own_counts(agent)
        np.testing.assert_array_equal(policies, additive_smoothing(counts, 0.5))
    assert np.nanmax(np.abs(estimates[1] - log.policies[1][:-1])) > 0.01
    # An agent knows its own.
    np.testing.assert_array_equal(estimate_policies(seen)[0], estimates[0])
    np.testing.assert_array_equal(estimate_policies(seen)[1], log.policies[1][:-1])


def test_a_bystander_recovers_anyones_reward():
    game = random_game(np.random.default_rng(0), (2, 3), 4, state_rewards=True)
    exact = SoftPolicyIteration(evaluation="exact")
    log = learn(game, exact, alpha=0.8, iterations=5, record=True, steps=50, seed=0)
    bystander = log.seen_by(None)
    for agent in (0, 1):
        found = recover(bystander, of=agent)
        assert correlation(found, game.rewards[agent]).pearson > 0.99
        by_agent = recover(log.seen_by(1 - agent), of=agent)
        assert correlation(by_agent, found.values).pearson > 0.99
    for estimator in (Replay(), PathLikelihood(), LeastSquares(), EvidenceRidge()):
        found = recover(bystander, of=1, by=estimator)
        assert np.isfinite(found.values).all()
    with pytest.raises(ValueError, match=r"of must lie in 0..1, got 2"):
        recover(bystander, of=2)


def given(log, **changes):
    """All that the second agent's view is made of, in arrays that can be changed."""
    return {
        "observer": 1,
        "dynamics": log.game.without_rewards(),
        "alpha": log.alpha,
        "counts": log.counts.copy(),
        "own_policies": log.policies[1][:-1].copy(),
        "episodes": list(log.episodes),
    } | changes


def test_a_view_does_not_change_with_its_ingredients(log, seen):
    floats = log.counts.astype(float)  # which need not be converted
    for parts in (
        given(log),
        given(log, counts=floats),
        given(log, counts=list(log.counts.copy())),
    ):
        view = View(**parts)
        for part in parts["counts"]:
            part += 1
        parts["own_policies"][:] = 0.5
        parts["episodes"].clear()
        np.testing.assert_array_equal(view.counts, log.counts)
        np.testing.assert_array_equal(view.own_policies, log.policies[1][:-1])
        assert view.episodes == log.episodes


@pytest.mark.parametrize("agent", [0, 1, None])
def test_a_view_is_read_only(log, agent):
    seen = log.seen_by(agent)
    for view in (seen, seen.first(2), replace(seen, alpha=2.0)):
        arrays = [view.counts] + ([] if agent is None else [view.own_policies])
        for array in arrays:
            assert not array.flags.writeable
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
        assert isinstance(view.episodes, tuple)


def test_counts_and_policies_of_a_view_are_not_those_of_the_log(log, seen):
    seen.own_counts(0)[:] = 7  # what is handed out can be changed
    assert seen.own_counts(0).sum() == log.counts.sum()
    assert not np.shares_memory(seen.counts, log.counts)
