from dataclasses import fields, replace

import numpy as np
import pytest

from malfl import Observation


def test_an_observation_holds_only_what_assumption_3_4_allows(hom, hom_log):
    seen = hom_log.observed_by(1)
    assert {f.name for f in fields(Observation)} == {
        "observer", "dynamics", "alpha", "counts", "own_policies", "trajectories"
    }  # fmt: skip
    assert not hasattr(seen.dynamics, "rewards")
    np.testing.assert_array_equal(seen.own_policies, hom_log.policies[1][:-1])
    np.testing.assert_array_equal(seen.counts, hom_log.counts)
    assert seen.iterations == 4


def test_own_counts_are_the_agents_part_of_the_joint_counts(hom_log):
    seen = hom_log.observed_by(0)
    joint = hom_log.counts.reshape(4, 81, 5, 5)
    np.testing.assert_array_equal(seen.own_counts(0), joint.sum(axis=3))
    np.testing.assert_array_equal(seen.own_counts(1), joint.sum(axis=2))


def test_rewards_cannot_be_smuggled_in(hom, hom_log):
    with pytest.raises(TypeError, match="dynamics must not carry rewards"):
        replace(hom_log.observed_by(1), dynamics=hom)


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
def test_bad_observations_are_named(hom_log, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(hom_log.observed_by(1), **changes)


def test_a_log_holds_together_and_stays_as_it_is(hom_log):
    with pytest.raises(ValueError, match="read-only"):
        hom_log.policies[0][0] = 0
    with pytest.raises(ValueError, match=r"counts must have shape \(H, 81, 25\)"):
        replace(hom_log, counts=hom_log.counts[:, :5])
    with pytest.raises(ValueError, match="policies must have shapes"):
        replace(hom_log, policies=hom_log.q)
    with pytest.raises(ValueError, match="q must have shapes"):
        replace(hom_log, q=hom_log.policies)


def test_bad_questions_to_a_log_are_named(hom_log):
    with pytest.raises(ValueError, match=r"agent must lie in 0..1, got 5"):
        hom_log.observed_by(5)
    with pytest.raises(ValueError, match=r"h must lie in 0..4, got 5"):
        hom_log.policies_at(5)
