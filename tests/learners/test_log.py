from dataclasses import fields, replace

import numpy as np
import pytest
from drawn import random_game

from malfl import (
    LearningLog,
    QLearning,
    RandomImprovements,
    SoftPolicyIteration,
    Training,
    View,
    learn,
)


def test_a_view_holds_only_what_assumption_3_4_allows(hom, hom_log):
    seen = hom_log.seen_by(1)
    assert {f.name for f in fields(View)} == {
        "observer", "dynamics", "alpha", "counts", "own_policies", "episodes",
        "estimated_rules",
    }  # fmt: skip
    assert not hasattr(seen.dynamics, "rewards")
    np.testing.assert_array_equal(seen.own_policies, hom_log.policies[1][:-1])
    np.testing.assert_array_equal(seen.counts, hom_log.counts)
    assert seen.iterations == 4


def test_own_counts_are_the_agents_part_of_the_joint_counts(hom_log):
    seen = hom_log.seen_by(0)
    joint = hom_log.counts.reshape(4, 81, 5, 5)
    np.testing.assert_array_equal(seen.own_counts(0), joint.sum(axis=3))
    np.testing.assert_array_equal(seen.own_counts(1), joint.sum(axis=2))


def test_rewards_cannot_be_smuggled_in(hom, hom_log):
    with pytest.raises(TypeError, match="dynamics must not carry rewards"):
        replace(hom_log.seen_by(1), dynamics=hom)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": np.full((4, 81, 25), -1)}, r"counts\[0, 0, 0\] is -1; counts must be whole"),
        ({"counts": np.full((4, 81, 25), 0.5)}, r"counts\[0, 0, 0\] is 0.5; counts must be whole"),
        ({"counts": np.ones((4, 81, 5))}, r"counts must have shape \(n, 81, 25\)"),
        ({"counts": np.ones((3, 81, 25))}, r"own_policies must have shape \(3, 81, 5\)"),
        ({"observer": 2}, "observer must lie in 0..1, got 2"),
        ({"alpha": 0.0}, "alpha must be greater than 0"),
    ],
)
def test_bad_views_are_named(hom_log, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(hom_log.seen_by(1), **changes)


def test_a_log_holds_together_and_stays_as_it_is(hom_log):
    with pytest.raises(ValueError, match="read-only"):
        hom_log.policies[0][0] = 0
    with pytest.raises(ValueError, match=r"counts must have shape \(H, 81, 25\)"):
        replace(hom_log, counts=hom_log.counts[:, :5])
    with pytest.raises(ValueError, match="policies must have shapes"):
        replace(hom_log, policies=[policies[:-1] for policies in hom_log.policies])
    with pytest.raises(ValueError, match=r"policies\[0\]\[0, 0\] sums to"):
        replace(hom_log, policies=hom_log.q)
    with pytest.raises(ValueError, match="q must have shapes"):
        replace(hom_log, q=hom_log.policies)


def test_bad_questions_to_a_log_are_named(hom_log):
    with pytest.raises(ValueError, match=r"agent must lie in 0..1, got 5"):
        hom_log.seen_by(5)
    with pytest.raises(ValueError, match=r"h must lie in 0..4, got 5"):
        hom_log.policies_at(5)


@pytest.fixture(scope="module")
def log():
    """Of agents of which one has no values, and with episodes."""
    game = random_game(np.random.default_rng(0))
    learners = [SoftPolicyIteration(), RandomImprovements()]
    return learn(game, learners, iterations=2, episodes=3, steps=7, record=True, seed=0)


def given(log, kind=np.array):
    """All that a log is made of, in arrays that can be changed."""
    return {
        "game": log.game,
        "training": log.training,
        "policies": [kind(one) for one in log.policies],
        "q": [kind(one) for one in log.q],
        "counts": kind(log.counts),
        "episodes": log.episodes,
    }


def arrays_of(log):
    return [*log.policies, *log.q, log.counts, *(a for one in log.episodes for a in one.packed)]


def test_a_log_does_not_change_with_its_ingredients(log):
    parts = given(log)
    one = LearningLog(**parts)
    for array in (*parts["policies"], *parts["q"], parts["counts"]):
        array[:] = 0
    parts["policies"].clear()
    for ours, theirs in zip(arrays_of(one), arrays_of(log), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_log_does_not_change_with_a_list_of_episodes(log):
    parts = given(log) | {"episodes": list(log.episodes)}
    one = LearningLog(**parts)
    parts["episodes"].clear()
    assert one.episodes == log.episodes


def test_all_of_a_log_is_read_only(log):
    for one in (log, LearningLog(**given(log)), replace(log, training=Training())):
        arrays = arrays_of(one)
        assert len(arrays) == 2 + 2 + 1 + 2 * 3
        for array in (*arrays, *one.policies_at(1)):
            assert not array.flags.writeable
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
        assert isinstance(one.policies, tuple)
        assert isinstance(one.q, tuple)


def test_what_a_log_is_asked_for(log):
    assert (log.alpha, log.iterations) == (3.0, 2)
    for agent, policy in enumerate(log.policies_at(2)):
        np.testing.assert_array_equal(policy, log.policies[agent][2])
    assert np.isfinite(log.q[0]).all()
    assert np.isnan(log.q[1]).all()
    assert log.counts.dtype == np.int64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"game": "grid"}, "game must be of type MarkovGame .*, got str"),
        ({"training": 3.0}, "training must be of type Training .*, got float"),
        ({"counts": np.full((2, 4, 6), -1)}, r"counts\[0, 0, 0\] is -1"),
        ({"counts": np.full((2, 4, 6), 1.5)}, r"counts\[0, 0, 0\] is 1.5"),
        ({"counts": np.ones((2, 4, 6))}, r"episodes\[0\] have 21 steps, and 24 were counted"),
        ({"counts": np.ones((3, 4, 6))}, r"policies must have shapes \[\(4, 4, 2\)"),
        (
            {"policies": [np.full((3, 4, 2), 0.5)]},
            "policies must hold one array .* 2 agents, got 1",
        ),
        (
            {"policies": [np.full((3, 4, n), 1.0) for n in (2, 3)]},
            r"policies\[0\]\[0, 0\] sums to 2",
        ),
        ({"policies": [np.full((3, 4, 2), 0.5)] * 2}, r"policies\[1\] must have shape \(n, 4, 3\)"),
        ({"q": [np.zeros((2, 4, 2))]}, "q must hold one array for each of 2 agents, got 1"),
        ({"q": [np.full((2, 4, n), "a") for n in (2, 3)]}, r"q\[0\] must be an array of real"),
        ({"episodes": ()}, "episodes must be of the 2 iterations counted, got 0"),
        ({"episodes": (1, 2)}, r"episodes\[0\] must be of type Episodes"),
    ],
)
def test_bad_logs_are_named(log, changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        LearningLog(**given(log) | changes)


def test_episodes_of_another_game_are_refused(log):
    other = random_game(np.random.default_rng(0), (2, 3), 5)
    theirs = learn(other, iterations=2, episodes=3, steps=7, record=True, seed=0).episodes
    with pytest.raises(ValueError, match=r"episodes\[0\] must be of 4 states and 6 joint actions"):
        replace(log, episodes=theirs)


def test_agents_are_trained_as_in_table_3_unless_one_says_otherwise():
    training = Training()
    assert training.learners == SoftPolicyIteration(beta=0.1, evaluation="td")
    assert (training.alpha, training.iterations) == (3.0, 10)
    assert (training.episodes, training.steps, training.seed) == (3000, 1000, None)
    other = training.but(alpha=1, steps=5)
    assert (other.alpha, other.steps, other.iterations) == (1.0, 5, 10)
    assert isinstance(other.alpha, float)
    assert training == Training()


def test_each_agent_has_a_learner():
    one, two = SoftPolicyIteration(), QLearning(0.3)
    assert Training(one).learner_of(3) == (one, one, one)
    listed = [one, two]
    training = Training(listed)
    listed.reverse()
    assert training.learners == training.learner_of(2) == (one, two)
    with pytest.raises(ValueError, match=r"learners must hold one .* for each of 3 agents, got 2"):
        training.learner_of(3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 0}, "alpha must be greater than 0"),
        ({"alpha": np.inf}, "alpha must be finite"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"iterations": 2.5}, "iterations must be a whole number, got 2.5"),
        ({"episodes": 0}, "episodes must be at least 1, got 0"),
        ({"steps": -1}, "steps must be at least 1, got -1"),
        ({"episodes": 2**40, "steps": 2**23}, r"episodes \* steps must be below 2 \*\* 63"),
        ({"learners": 5}, "learners must be of type Learner .*, got int"),
        (
            {"learners": QLearning},
            r"learners must be a Learner, not a class of them: QLearning\(\)",
        ),
        ({"learners": (QLearning(), 5)}, r"learners\[1\] must be of type Learner .*, got int"),
    ],
)
def test_bad_training_is_named(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Training(**changes)
    with pytest.raises((TypeError, ValueError), match=message):
        Training().but(**changes)
