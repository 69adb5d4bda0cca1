"""What a recovered reward holds, refuses and says."""

import numpy as np
import pytest

from malfl import RecoveredReward
from malfl.recovery import NoFit
from malfl.recovery.reward import Evidence, determination_of

KNOWN = np.array([1.0, np.nan, -0.5, 2.0])


def test_it_owns_its_arrays():
    given = np.arange(4.0), np.zeros(4), np.array([[0, 1]])
    found = RecoveredReward(given[0], "state", NoFit(), *given[1:])
    for array in given:
        array += 1  # the caller's stay its own
    kept = found.values, found.deviation, found.unvisited
    for array, expected in zip(kept, (np.arange(4.0), np.zeros(4), [[0, 1]]), strict=True):
        np.testing.assert_array_equal(array, expected)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"values": np.zeros((2, 3))}, r"values must have shape \(S,\) .* state, got \(2, 3\)"),
        ({"reward_class": "state-action"}, r"values must have shape \(S, actions\) for"),
        ({"values": np.array([0, np.inf])}, r"values\[1\] is inf; what is not known is NaN"),
        ({"deviation": np.ones(3)}, "deviation must be 0 or more for each of values"),
        ({"deviation": -np.ones(4)}, "deviation must be 0 or more for each of values"),
        ({"doubts": "a doubt"}, "doubts must be a tuple of texts, got 'a doubt'"),
        ({"doubts": ("a doubt", 3)}, r"doubts\[1\] must be a text, got 3"),
        ({"unvisited": np.ones((2, 3))}, r"unvisited must have shape \(k, 2\), got \(2, 3\)"),
        ({"diagnostics": NoFit}, r"diagnostics must say .*, as NoFit\(\) does"),
        ({"diagnostics": "none"}, "diagnostics must say whether the fit converged"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, message):
    given = {"values": KNOWN, "reward_class": "state", "diagnostics": NoFit()}
    with pytest.raises((TypeError, ValueError), match=message):
        RecoveredReward(**given | wrong)


def test_the_summary():
    found = RecoveredReward(KNOWN, "state", NoFit(), np.array([1.0, np.nan, 2.0, 4.0]))
    assert found.summary() == (
        "Verdict: doubtful\n"
        "- this estimator cannot tell how far its reward may be off\n"
        "- to do: recover with by='auto', which can\n"
        "Reward of the state: 3 of 4 entries known\n"
        "From -0.5 to 2, up to a shaping\n"
        "Median posterior deviation 2\n"
        "The fit converged.\n"
        "No equations were solved."
    )
    unvisited = RecoveredReward(KNOWN, "state", NoFit(), None, np.array([[0, 1], [2, 1]]))
    assert unvisited.summary().splitlines()[-1] == (
        "2 pairs of iteration and state were never visited."
    )
    none = RecoveredReward(KNOWN, "state", NoFit(), None, np.empty((0, 2)))
    assert none.summary().splitlines()[-1] == "No equations were solved."
    unknown = RecoveredReward(np.full(3, np.nan), "state", NoFit())
    assert unknown.summary().splitlines()[3:5] == [
        "Reward of the state: 0 of 3 entries known", "The fit converged."
    ]  # fmt: skip


def test_evidence_speaks_of_deviations():
    (line,) = Evidence(error=0.25, prior=9.0, log_likelihood=-12.5).lines()
    assert line == "Deviation of unexplained errors 0.5, of rewards 3; log-likelihood -12.5"


def test_directions_are_counted_relative_to_the_best_determined():
    found = determination_of(np.diag([0.0, -1e-20, 4e-14, 1e-8, 4.0]), 5)
    assert (found.unknowns, found.rank, found.free) == (5, 2, 3)
    assert found.smallest_singular_value == 1e-4
    assert found.largest_singular_value == 2.0
