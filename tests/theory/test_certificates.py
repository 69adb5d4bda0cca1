import dataclasses
import itertools
import math

import naive
import numpy as np
import pytest

from malfl.theory.certificates import (
    certified_prediction_error,
    certified_reward_error,
    log_changes,
)


def test_the_state_with_the_largest_spread_counts():
    observed = [[0.5, 0.5], [0.2, 0.8]]
    predicted = [[0.5, 0.5], [0.6, 0.4]]
    spread = math.log(0.6 / 0.2) - math.log(0.4 / 0.8)
    found = certified_reward_error(observed, predicted, alpha=2, gamma=0.5)
    assert dataclasses.astuple(found) == pytest.approx((spread / 2, 1.5 * spread))
    assert certified_reward_error(predicted, observed, alpha=2, gamma=0.5) == found
    assert dataclasses.astuple(
        certified_reward_error(observed, observed, alpha=2, gamma=0.5)
    ) == (0, 0)  # fmt: skip


@pytest.mark.parametrize("x", [1e-8, 1e-4, 9.99e-4, 1.001e-3, 0.03, 0.5, 1, 2, 7, 40, 300])
def test_the_largest_divergence_is_what_errors_of_that_size_can_do(x):
    found = certified_prediction_error(3 * x, alpha=6, gamma=0.5)
    assert found.log_ratio == pytest.approx(2 * x, rel=1e-15)
    assert found.divergence == pytest.approx(naive.largest_divergence(x), rel=1e-10, abs=2e-15)
    assert found.divergence <= min(2 * x, x**2 / 2) * (1 + 1e-14)


@pytest.mark.parametrize("x", [0, 399, 401, 1e6, 1e200, 1.7e308])
def test_so_are_divergences_of_extreme_errors(x):
    found = certified_prediction_error(x, alpha=1, gamma=0)
    expected = 2 * x - 1 - math.log(2) - math.log(x) if x else 0.0
    assert found.divergence == pytest.approx(expected, rel=1e-15)


POLICY = [[0.5, 0.5], [0.1, 0.9]]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"observed": [[0.5, 0.5], [0, 1]]}, r"observed\[1, 0\] is 0, .* greater than 0"),
        ({"predicted": [[1, 0], [0.5, 0.5]]}, r"predicted\[0, 1\] is 0, .* greater than 0"),
        ({"observed": [0.5, 0.5]}, r"observed must have shape \(S, A_i\), got \(2,\)"),
        ({"predicted": [POLICY]}, r"predicted must have shape \(S, A_i\), got \(1, 2, 2\)"),
        ({"predicted": [[0.5, 0.5], [0.5, 0.6]]}, r"predicted\[1\] sums to 1\.1"),
        ({"observed": [[-0.5, 1.5], [0.5, 0.5]]}, r"observed\[0, 0\] is -0\.5"),
        ({"observed": [[np.nan, 1], [0.5, 0.5]]}, r"observed\[0, 0\] is nan"),
        ({"alpha": 0}, "alpha must be greater than 0, got 0"),
        ({"gamma": 1}, r"gamma must lie in \[0, 1\), got 1"),
        ({"gamma": -0.1}, r"gamma must lie in \[0, 1\), got -0\.1"),
        ({"predicted": [[0.2, 0.3, 0.5]] * 2}, r"predicted .*\(2, 3\)"),
        ({"predicted": POLICY[:1]}, r"predicted .*\(1, 2\)"),
    ],
)
def test_what_certifies_no_reward_is_named(changed, message):
    good = {"observed": POLICY, "predicted": POLICY, "alpha": 1, "gamma": 0.9}
    certified_reward_error(**good)
    with pytest.raises(ValueError, match=message):
        certified_reward_error(**{**good, **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"error": -0.1}, r"error must be 0 or more, got -0\.1"),
        ({"error": math.inf}, "error must be finite, got inf"),
        ({"alpha": 0}, "alpha must be greater than 0, got 0"),
        ({"gamma": 1}, r"gamma must lie in \[0, 1\), got 1"),
    ],
)
def test_what_certifies_no_prediction_is_named(changed, message):
    with pytest.raises(ValueError, match=message):
        certified_prediction_error(**{"error": 0, "alpha": 1, "gamma": 0.9, **changed})


# How far probabilities can move.

PROBABILITIES = [1e-6, 0.01, 0.3, 0.5, 0.9, 0.999, 1.0]
DIVERGENCES = [1e-6, 1e-3, 0.05, 0.5, 2.0, 30.0]


@pytest.mark.parametrize("p", PROBABILITIES)
def test_logs_of_probabilities_move_as_far_as_a_divergence_lets_them(p):
    found = [log_changes(p, divergence) for divergence in DIVERGENCES]
    expected = [naive.coin_changes(p, divergence) for divergence in DIVERGENCES]
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-15)


@pytest.mark.parametrize("p", PROBABILITIES)
def test_they_move_further_for_more_and_never_beyond_pinskers_inequality(p):
    found = [log_changes(p, divergence) for divergence in DIVERGENCES]
    for before, after in itertools.pairwise(found):
        assert before[0] < after[0]
        assert before[1] <= after[1]
    for (fall, rise), divergence in zip(found, DIVERGENCES, strict=True):
        assert 0 <= rise <= fall * (1 + 1e-9)
        assert rise <= -math.log(p)
        share = math.sqrt(divergence / 2) / p
        assert share >= 1 or fall <= -math.log(1 - share) * (1 + 1e-9)


@pytest.mark.parametrize("p", PROBABILITIES)
@pytest.mark.parametrize("divergence", [1e-10, 1e-13, 1e-16])
def test_small_moves_are_not_lost(p, divergence):
    """About sqrt(2 (1 - p) divergence / p), but p = 1 can only fall, by all of it."""
    small = math.sqrt(2 * (1 - p) * divergence / p)
    if p == 1:
        assert log_changes(p, divergence) == (divergence, 0)
    else:
        expected = [small, min(small, -math.log(p))]
        assert log_changes(p, divergence) == pytest.approx(expected, rel=3e-2)


def test_without_a_divergence_nothing_moves():
    for p in (1e-299, *PROBABILITIES):
        assert log_changes(p, 0) == (0, 0)


def test_beyond_all_divergences_everything_moves():
    assert log_changes(0.25, math.inf) == (math.inf, math.log(4))
    assert log_changes(1, math.inf) == (math.inf, 0)
    assert log_changes(0, math.inf) == log_changes(0, 0.1) == (math.inf, math.inf)
    for divergence in (0, 0.1):  # to such an event, what is less than a float is as good as all
        assert log_changes(1e-305, divergence) == (math.inf, -math.log(1e-305))


@pytest.mark.parametrize("p", [1e-100, 1e-200, 1e-299])
@pytest.mark.parametrize("divergence", [1e-3, 1.0, 100.0])
def test_nearly_impossible_events_have_room(p, divergence):
    """Towards 0 nothing stops them; up they reach 1 - e^-divergence."""
    fall, rise = log_changes(p, divergence)
    assert fall >= divergence / p * (1 - 1e-12)
    up = math.log(-math.expm1(-divergence)) - math.log(p)
    assert up * (1 - 1e-12) <= rise <= -math.log(p)


@pytest.mark.parametrize(
    ("p", "divergence", "message"),
    [
        (1.5, 1, r"probability must lie in \[0, 1\], got 1\.5"),
        (-0.1, 1, r"probability must lie in \[0, 1\], got -0\.1"),
        (math.nan, 1, "probability must be finite, got nan"),
        (0.5, -1e-9, "divergence must be 0 or more, got -1e-09"),
        (0.5, math.nan, "divergence must be finite, got nan"),
    ],
)
def test_what_is_no_move_is_named(p, divergence, message):
    with pytest.raises(ValueError, match=message):
        log_changes(p, divergence)
