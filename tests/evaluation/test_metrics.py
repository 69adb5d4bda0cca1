from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from malfl.evaluation.metrics import (
    correlation,
    interval,
    normalised,
    pearson,
    prediction_half_width,
    spearman,
)
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery import LeastSquares, recover_from_policies


def test_pearson_by_hand():
    a, b = np.array([1.0, 2, 4, 7]), np.array([2.0, 1, 5, 6])
    x, y = a - a.mean(), b - b.mean()
    assert pearson(a, b) == pytest.approx(x @ y / np.sqrt((x @ x) * (y @ y)))
    assert pearson(a, -3 * a + 1) == pytest.approx(-1)


def test_spearman_takes_rounding_noise_for_ties():
    true = np.repeat([-4.0, -1, 0, 2], 20)
    noisy = 5 + 1e-3 * true + 1e-15 * np.random.default_rng(0).normal(size=80)
    assert stats.spearmanr(noisy, true).statistic < 0.999
    assert spearman(noisy, true) == pytest.approx(1)
    for seed in range(50):  # noise must not split ties, wherever they lie in the range
        levels = np.repeat([0.0, 1, 3, 5, 1024], 16)
        noise = 1e-13 * np.random.default_rng(seed).normal(size=80)
        assert spearman(levels + noise, levels) == pytest.approx(1)
    assert spearman([0, 1, 1 + 1e-6], [3, 2, 1]) == pytest.approx(-1)
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)


def test_correlation_averages_over_actions_and_leaves_out_the_unknown(hom):
    policies = iterate_exactly(hom, iterations=2)
    found = recover_from_policies(hom, policies, of=0, alpha=3.0, by=LeastSquares("joint-action"))
    expected = pearson(found.values.mean(axis=1), hom.rewards[0])
    assert correlation(found, hom.rewards[0]).pearson == expected
    over_actions = np.tile(hom.rewards[0][:, None, None], (5, 5))
    assert correlation(found, over_actions).pearson == pytest.approx(expected)
    values = found.values.copy()
    values[:10] = np.nan
    score = correlation(replace(found, values=values), hom.rewards[0])
    assert score.states == 71
    assert score.spearman == spearman(found.values.mean(axis=1)[10:], hom.rewards[0][10:])


def test_interval_is_students():
    values = np.array([0.5, 0.7, 0.6, 0.9])
    found = interval(values)
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert found.mean == pytest.approx(0.675)
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert (found.low, found.high, found.n) == (pytest.approx(low), pytest.approx(high), 4)
    assert np.isnan(interval([0.5]).low)


def test_normalised_spans_the_unit_interval():
    values = normalised([3.0, np.nan, 1.0, 2.0])
    np.testing.assert_array_equal(values, [1, np.nan, 0, 0.5])
    np.testing.assert_array_equal(normalised([2.0, 2.0]), [0, 0])


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, 2, 3], [1, 2], r"a and b must have one shape with two values or more, got \(3,\)"),
        ([1], [1], "two values or more"),
        ([1, np.nan], [1, 2], r"a\[1\] is nan"),
        ([1, 2], [4, 4], "b is 4 throughout; a constant has no correlation"),
    ],
)
def test_what_cannot_be_compared_is_named(a, b, message):
    for measure in (pearson, spearman):
        with pytest.raises(ValueError, match=message):
            measure(a, b)


def test_an_array_is_no_recovered_reward():
    with pytest.raises(
        TypeError, match=r"recovered must be of type RecoveredReward .*, got ndarray"
    ):
        correlation(np.arange(3.0), np.arange(3.0))


def test_bad_truths_and_runs_are_named(hom):
    found = recover_from_policies(hom, iterate_exactly(hom, iterations=2), of=0, alpha=3.0)
    with pytest.raises(ValueError, match=r"true must have 81 states, got shape \(80,\)"):
        correlation(found, np.arange(80.0))
    with pytest.raises(ValueError, match=r"values must have shape \(n,\) with n >= 1"):
        interval([])


def test_one_more_run_falls_where_it_is_predicted():
    rng = np.random.default_rng(0)
    runs = rng.normal(size=(20_000, 6))
    half = [prediction_half_width(float(sd), 5) for sd in runs[:, :5].std(axis=1, ddof=1)]
    inside = np.abs(runs[:, 5] - runs[:, :5].mean(axis=1)) <= half
    assert inside.mean() == pytest.approx(0.95, abs=0.01)
    assert prediction_half_width(float("nan"), 1) == 0
