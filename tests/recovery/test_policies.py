import naive
import numpy as np
import pytest
from drawn import random_game
from scipy.optimize import minimize

from malfl import estimate_policies, learn
from malfl.recovery.policies import (
    Descended,
    EntropyRegularised,
    MaximumLikelihood,
    Smoothing,
    UniformWhereUnseen,
    additive_smoothing,
    descended,
    entropy_regularised,
    maximum_likelihood,
)

COUNTS = np.array([[70, 10, 10, 5, 5], [0, 3, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]])


def test_maximum_likelihood_is_the_share_seen():
    estimate = maximum_likelihood(COUNTS)
    np.testing.assert_allclose(estimate[0], [0.7, 0.1, 0.1, 0.05, 0.05])
    assert np.isnan(estimate[3]).all()


def test_smoothing_adds_to_every_action():
    estimate = additive_smoothing(COUNTS, 0.5)
    np.testing.assert_allclose(estimate[1], np.array([0.5, 3.5, 0.5, 1.5, 0.5]) / 6.5)
    assert np.isnan(estimate[3]).all()


@pytest.mark.parametrize("lambda_", [1e-4, 0.01, 0.3, 1.0, 50.0])
def test_equation_10_is_at_its_optimum(lambda_):
    estimate = entropy_regularised(COUNTS, lambda_)
    assert np.isnan(estimate[3]).all()
    for counts, ours in zip(COUNTS[:3], estimate[:3], strict=True):
        assert ours.sum() == pytest.approx(1, abs=1e-14)
        shares = counts / counts.sum()
        # Where an action was seen, f / p - lambda ln p is the same; where not, -lambda ln p is.
        positive = ours > 1e-300
        slope = shares[positive] / ours[positive] - lambda_ * np.log(ours[positive])
        np.testing.assert_allclose(slope, slope[0], rtol=1e-11)
        assert (ours[shares > 0] > 1e-300).all()


def test_equation_10_agrees_with_a_general_optimiser():
    for counts in COUNTS[:3]:

        def loss(x, counts=counts):
            p = np.exp(x - x.max())
            return -naive.entropy_objective(counts, p / p.sum(), 0.3)

        best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-9}).fun
        ours = -naive.entropy_objective(counts, entropy_regularised(counts, 0.3), 0.3)
        assert ours == pytest.approx(best, abs=1e-8)
        assert ours <= best + 1e-12


def test_equation_10_published_example_and_inverse():
    p = entropy_regularised(COUNTS[:1], 0.3)[0]
    np.testing.assert_allclose(p, [0.5777, 0.1306, 0.1306, 0.0806, 0.0806], atol=5e-5)
    entropy = -(p * np.log(p)).sum()
    np.testing.assert_allclose(p * (1 + 0.3 * (np.log(p) + entropy)), COUNTS[0] / 100, atol=1e-15)


def test_the_bias_of_equation_10_does_not_fade_with_data():
    few, many = entropy_regularised(COUNTS[:1], 0.3), entropy_regularised(1000 * COUNTS[:1], 0.3)
    np.testing.assert_allclose(few, many, atol=1e-15)


@pytest.mark.parametrize("lambda_", [0.0, 0.3, 2.0])
@pytest.mark.parametrize(("steps", "rate"), [(10, 0.1), (1, 0.3), (60, 0.05)])
def test_descent_is_adam_on_equation_10(lambda_, steps, rate):
    """Its gradient by differences, times the visits; the sign is the one that has a maximum."""
    estimate = descended(COUNTS, lambda_, steps=steps, rate=rate, seed=3)
    start = np.random.default_rng(3).random(COUNTS.shape)
    for counts, logits, ours in zip(COUNTS[:3], start[:3], estimate[:3], strict=True):

        def loss(x, counts=counts):
            p = np.exp(x)
            return -counts.sum() * naive.entropy_objective(counts, p / p.sum(), lambda_)

        def slope(x, loss=loss):
            return np.array([(loss(x + e) - loss(x - e)) / 2e-5 for e in 1e-5 * np.eye(5)])

        best = np.exp(naive.adam(slope, logits, steps, rate))
        np.testing.assert_allclose(ours, best / best.sum(), rtol=2e-5)
    assert np.isnan(estimate[3]).all()


def test_descent_gets_to_equation_10_if_it_is_given_the_time():
    far = descended(COUNTS, 0.3, steps=4000, rate=0.02, seed=0)
    np.testing.assert_allclose(far, entropy_regularised(COUNTS, 0.3), atol=1e-4)
    near = descended(COUNTS[:1], 0.0, steps=4000, rate=0.02, seed=0)
    np.testing.assert_allclose(near, maximum_likelihood(COUNTS[:1]), atol=1e-3)


def test_ten_steps_do_not_reach_far():
    """Each logit begins between 0 and 1 and moves by about 1."""
    certain = np.tile([10**6, 0, 0, 0, 0], (200, 1))
    few = descended(certain, 0.0, seed=0)
    ratio = few[:, :1] / few[:, 1:]
    begin = np.random.default_rng(0).random((200, 5))
    moved = np.log(ratio) - (begin[:, :1] - begin[:, 1:])
    np.testing.assert_allclose(moved, 2, atol=0.1)
    assert ratio.max() < np.exp(3.05)
    again = descended(certain, 0.3, steps=10, rate=0.1, seed=0)
    np.testing.assert_array_equal(descended(certain, seed=0), again)  # Table 3's numbers


def test_descent_begins_at_random():
    ours, same, other = (descended(COUNTS, seed=seed)[:3] for seed in (1, 1, 2))
    np.testing.assert_array_equal(ours, same)
    assert np.abs(ours - other).max() > 0.01
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(descended(COUNTS, seed=rng)[:3], ours)
    assert np.abs(descended(COUNTS, seed=rng)[:3] - ours).max() > 0.01


def test_descent_of_several_agents_goes_on_with_the_seed():
    game = random_game(np.random.default_rng(0), actions=(2, 2, 3), states=3)
    view = learn(game, iterations=2, episodes=50, steps=20, seed=0).seen_by(2)
    for fit, parameters in (
        (Descended(), {"lambda_": 0.3}),
        (Descended(0.7, 5, 0.2), {"lambda_": 0.7, "steps": 5, "rate": 0.2}),
    ):
        found = estimate_policies(view, fit, seed=5)
        rng = np.random.default_rng(5)
        for agent in (0, 1):
            theirs = descended(view.own_counts(agent), seed=rng, **parameters)
            np.testing.assert_array_equal(found[agent], theirs)
        np.testing.assert_array_equal(found[2], view.own_policies)
    given = estimate_policies(view, Descended(), seed=np.random.default_rng(5))
    np.testing.assert_array_equal(given[1], estimate_policies(view, Descended(), seed=5)[1])
    np.testing.assert_array_equal(
        estimate_policies(view, Descended())[1], estimate_policies(view, Descended(), seed=0)[1]
    )


def test_the_observers_own_policy_is_known(hom_log):
    view = hom_log.seen_by(0)
    policies = estimate_policies(view)
    np.testing.assert_array_equal(policies[0], hom_log.policies[0][:-1])
    smoothed = additive_smoothing(view.own_counts(1))
    np.testing.assert_array_equal(policies[1], smoothed)
    assert np.abs(policies[1] - hom_log.policies[1][:-1]).mean() < 0.01


def test_a_bystander_estimates_everyones(hom_log):
    view = hom_log.seen_by(None)
    for agent, policies in enumerate(estimate_policies(view, Smoothing(0.1))):
        np.testing.assert_array_equal(policies, additive_smoothing(view.own_counts(agent), 0.1))


@pytest.mark.parametrize(
    ("fit", "function", "parameters"),
    [
        (MaximumLikelihood(), maximum_likelihood, {}),
        (Smoothing(), additive_smoothing, {"strength": 0.5}),
        (Smoothing(2.0), additive_smoothing, {"strength": 2.0}),
        (EntropyRegularised(), entropy_regularised, {"lambda_": 0.3}),
        (EntropyRegularised(0.1), entropy_regularised, {"lambda_": 0.1}),
    ],
)
def test_fits_and_their_parameters(hom_log, fit, function, parameters):
    view = hom_log.seen_by(0)
    expected = function(view.own_counts(1), **parameters)
    np.testing.assert_array_equal(estimate_policies(view, fit)[1], expected)
    np.testing.assert_array_equal(estimate_policies(view, fit, seed=5)[1], expected)


def test_states_never_visited_are_not_made_up(hom):
    view = learn(hom, iterations=2, episodes=1, steps=5, seed=0).seen_by(0)
    never = view.counts.sum(axis=2) == 0
    assert never.sum() > 100
    for fit in (Smoothing(), MaximumLikelihood(), EntropyRegularised(), Descended()):
        policies = estimate_policies(view, fit)[1]
        assert np.isnan(policies[never]).all()
        assert np.isfinite(policies[~never]).all()


def test_policies_may_be_uniform_where_nothing_was_seen(hom):
    view = learn(hom, iterations=2, episodes=1, steps=5, seed=0).seen_by(0)
    never = view.counts.sum(axis=2) == 0
    for fit in (Smoothing(2.0), EntropyRegularised(), Descended()):
        plain = estimate_policies(view, fit, seed=3)
        filled = estimate_policies(view, UniformWhereUnseen(fit), seed=3)
        np.testing.assert_array_equal(filled[1][never], 0.2)
        np.testing.assert_array_equal(filled[1][~never], plain[1][~never])
        np.testing.assert_array_equal(filled[0], view.own_policies)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (maximum_likelihood, ([[1, -1]],), r"counts\[0, 1\] is -1; counts must be whole"),
        (maximum_likelihood, ([[1, 0.5]],), r"counts\[0, 1\] is 0.5"),
        (maximum_likelihood, ([[1, np.nan]],), r"counts\[0, 1\] is nan"),
        (additive_smoothing, ([[1, 1]], 0), "strength must be greater than 0, got 0"),
        (entropy_regularised, ([[1, 1]], -0.3), "lambda_ must be greater than 0, got -0.3"),
    ],
)
def test_bad_counts_and_strengths_are_named(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([[1, 0.5]], {}, r"counts\[0, 1\] is 0.5"),
        (5, {}, "counts must have an axis of actions"),
        ([[1, 1]], {"lambda_": -0.1}, "lambda_ must be 0 or more, got -0.1"),
        ([[1, 1]], {"lambda_": np.nan}, "lambda_ must be finite"),
        ([[1, 1]], {"steps": 0}, "steps must be at least 1, got 0"),
        ([[1, 1]], {"rate": 0.0}, "rate must be greater than 0"),
        ([[1, 1]], {"seed": -1}, "seed must be at least 0"),
    ],
)
def test_bad_descents_are_named(counts, options, message):
    with pytest.raises(ValueError, match=message):
        descended(counts, **({"seed": 0} | options))


def test_nothing_seen_at_all_is_unknown_throughout():
    for estimate in (maximum_likelihood, additive_smoothing, entropy_regularised):
        assert np.isnan(estimate(np.zeros((2, 3)))).all()
        with pytest.raises(ValueError, match="counts must have an axis of actions"):
            estimate(5)


def test_a_log_is_no_view(hom_log):
    with pytest.raises(TypeError, match=r"view must be of type View .*seen_by.*LearningLog"):
        estimate_policies(hom_log)


@pytest.mark.parametrize("value", ["bayes", 0.5])
def test_what_is_no_fit_is_named(hom_log, value):
    with pytest.raises(TypeError, match=r"by must be of type PolicyFit \(such as Smoothing\(\)\)"):
        estimate_policies(hom_log.seen_by(0), value)
    with pytest.raises(TypeError, match=r"fitted must be .*PolicyFit"):
        UniformWhereUnseen(value)


def test_a_class_of_fits_is_no_fit(hom_log):
    with pytest.raises(TypeError, match=r"by must be .*PolicyFit"):
        estimate_policies(hom_log.seen_by(0), Smoothing)
    with pytest.raises(TypeError, match=r"fitted must be .*PolicyFit"):
        UniformWhereUnseen(Smoothing)


@pytest.mark.parametrize(
    ("fit", "parameters", "message"),
    [
        (Smoothing, {"strength": 0}, "strength must be greater than 0, got 0"),
        (EntropyRegularised, {"lambda_": 0.0}, "lambda_ must be greater than 0, got 0"),
        (Descended, {"lambda_": -0.1}, "lambda_ must be 0 or more, got -0.1"),
        (Descended, {"lambda_": np.nan}, "lambda_ must be finite"),
        (Descended, {"steps": 0}, "steps must be at least 1, got 0"),
        (Descended, {"rate": 0.0}, "rate must be greater than 0"),
    ],
)
def test_fits_refuse_parameters_out_of_range(fit, parameters, message):
    with pytest.raises(ValueError, match=message):
        fit(**parameters)


def test_a_fit_by_descent_needs_a_seed(hom_log):
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        estimate_policies(hom_log.seen_by(0), Descended(), seed=-1)
    with pytest.raises(TypeError, match="seed must be a whole number, got None"):
        estimate_policies(hom_log.seen_by(0), Descended(), seed=None)
