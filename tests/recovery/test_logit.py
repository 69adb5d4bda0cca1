from functools import cache
from itertools import product

import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from malfl.recovery import logit
from malfl.recovery.logit import AffineLogits, recover_from_logits
from malfl.recovery.structural import structural_logits

ALPHA = 0.7


def without_errors(slopes, constants, known):
    """Logits of which no error is known to be there."""
    return AffineLogits(slopes, constants, known, np.zeros(np.shape(constants)))


def drawn(logits, number, rng):
    """Counts of so many actions in each state, under each improved policy."""
    policies = softmax(logits, axis=-1)
    return np.array([[rng.multinomial(number, row) for row in rows] for rows in policies]) * 1.0


@cache
def of_a_game(states=8, improvements=6, actions=(3, 4)):
    """Logits as a game has them: the constant of the reward is free."""
    rng = np.random.default_rng(5)
    game = random_game(rng, actions, states, state_rewards=True)
    each = [random_policies(actions, states, rng) for _ in range(improvements)]
    policies = tuple(np.array(agent) for agent in zip(*each, strict=True))
    return structural_logits(game, policies, 1, ALPHA)


def climbed(search, prior, error):
    """Whether the likeliest reward for these is found."""
    search.error = error
    return search.climb(prior)


def planted(seed, error, prior, number, logits=None):
    """A reward of variance ``prior``, errors of variance ``error``, and the counts they lead to."""
    logits, rng = of_a_game() if logits is None else logits, np.random.default_rng(seed)
    reward = np.sqrt(prior) * rng.normal(size=logits.slopes.shape[-1])
    errors = np.sqrt(error) * rng.normal(size=logits.constants.shape)
    counts = drawn(logits.slopes @ reward + logits.constants + errors, number, rng)
    return logits, reward, counts


def test_policies_are_the_softmax_of_the_logits():
    logits = without_errors(
        slopes=np.array([[[[1.0, 0.0], [0.0, 2.0]]]]),
        constants=np.array([[[0.5, 0.0]]]),
        known=np.ones((1, 1, 2), dtype=bool),
    )
    odds = np.exp(1.5 - 4.0)
    np.testing.assert_allclose(
        logits.policies(np.array([1.0, 2.0])), [[[odds / (1 + odds), 1 / (1 + odds)]]]
    )


@pytest.mark.parametrize("number", [10**6, 10**8])
def test_without_errors_the_reward_comes_back_as_exactly_as_counts_allow(number):
    logits, reward, counts = planted(0, 0.0, 1.0, number)
    found = recover_from_logits(logits, counts, ALPHA)
    centred = reward - reward.mean()
    np.testing.assert_allclose(found.values, centred, atol=60 / np.sqrt(number))
    assert found.converged
    assert found.diagnostics.evidence.error < 100 / number
    assert found.reward_class == "state"
    assert np.abs(found.values.mean()) < 1e-6


@pytest.mark.parametrize("error", [0.0, 0.0025, 0.04])
@pytest.mark.parametrize("alpha", [0.7, 7.0])
def test_what_was_planted_is_found_in_the_mean(error, alpha):
    """Variances, and how far the reward is off in standard deviations, over many draws."""
    errors, priors, off, spread = [], [], [], []
    for seed in range(60):
        logits, reward, counts = planted(seed, error, 2.0, 3000)
        found = recover_from_logits(logits, counts, alpha)
        assert found.converged
        errors.append(found.diagnostics.evidence.error)
        priors.append(found.diagnostics.evidence.prior)
        off.append((found.values - reward + reward.mean()) / found.deviation)
        spread.append(found.deviation)
    assert np.mean(errors) == pytest.approx(error, rel=0.06, abs=1e-4)
    # The posterior of a variance is skewed, and seven numbers say little of it.
    assert np.median(priors) == pytest.approx(2.0, rel=0.5)
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(1, abs=0.12)
    assert np.abs(np.mean(off)) < 0.2
    assert np.max(spread) < 1.5


def test_errors_are_not_taken_for_reward_where_data_say_little():
    """The ridge pays: nearer than without it, in directions that errors would drown."""
    near, far = [], []
    for seed in range(6, 26):
        logits, reward, counts = planted(seed, 1.0, 1.0, 3000)
        found = recover_from_logits(logits, counts, ALPHA)
        centred = reward - reward.mean()
        response = np.log(counts + 0.5) - logits.constants
        plain = [part - part.mean(axis=2, keepdims=True) for part in (logits.slopes, response)]
        fitted = np.linalg.lstsq(plain[0].reshape(-1, 8), plain[1].ravel(), rcond=1e-9)[0]
        near.append(((found.values - centred) ** 2).mean())
        far.append(((fitted - centred) ** 2).mean())
    assert np.mean(near) < 0.8 * np.mean(far)


def test_noisy_choices_count_by_what_they_say():
    """An improvement seen a thousand times as often fixes the reward as if it were the only one."""
    logits, reward, counts = planted(1, 0.0, 1.0, 10**7)
    rng = np.random.default_rng(1)
    counts[2:] = drawn(logits.slopes[2:] @ reward + logits.constants[2:], 20, rng)
    found = recover_from_logits(logits, counts, ALPHA)
    np.testing.assert_allclose(found.values, reward - reward.mean(), atol=0.05)


def test_choices_without_counts_are_left_out():
    logits, _, counts = planted(2, 0.01, 1.0, 500)
    counts[1, 3] = counts[4] = 0
    found = recover_from_logits(logits, counts, ALPHA)
    rest = without_errors(
        logits.slopes[[0, 1, 2, 3, 5]], logits.constants[[0, 1, 2, 3, 5]], logits.known[:5].copy()
    )
    rest.known[1, 3] = False
    expected = recover_from_logits(rest, counts[[0, 1, 2, 3, 5]], ALPHA)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-10)
    assert found.diagnostics.evidence.log_likelihood == pytest.approx(
        expected.diagnostics.evidence.log_likelihood
    )


def test_actions_never_taken_are_no_obstacle():
    logits, reward, counts = planted(3, 0.0, 1.0, 10)
    assert (counts == 0).sum() > 5
    found = recover_from_logits(logits, counts, ALPHA)
    assert np.corrcoef(found.values, reward)[0, 1] > 0.9


def test_unknown_actions_say_nothing():
    """Not their counts, slopes or constants; among the others the shares are what they were."""
    logits, _, counts = planted(4, 0.01, 1.0, 2000)
    known = np.random.default_rng(0).random(counts.shape) < 0.8
    found = recover_from_logits(
        without_errors(logits.slopes, logits.constants, known), counts, ALPHA
    )
    slopes, constants, others = logits.slopes.copy(), logits.constants.copy(), counts.copy()
    slopes[~known], constants[~known], others[~known] = 7.0, -3.0, 123
    again = recover_from_logits(without_errors(slopes, constants, known), others, ALPHA)
    np.testing.assert_allclose(found.values, again.values, rtol=1e-9)
    np.testing.assert_allclose(found.deviation, again.deviation, rtol=1e-9)
    assert found.diagnostics.evidence.error == pytest.approx(again.diagnostics.evidence.error)
    assert found.diagnostics.evidence.log_likelihood == pytest.approx(
        again.diagnostics.evidence.log_likelihood
    )


def test_an_unknown_action_everywhere_is_as_if_it_did_not_exist():
    logits, _, counts = planted(5, 0.01, 1.0, 2000)
    known = logits.known.copy()
    known[..., 2] = False
    found = recover_from_logits(
        without_errors(logits.slopes, logits.constants, known), counts, ALPHA
    )
    kept = [0, 1, 3]
    fewer = without_errors(
        logits.slopes[:, :, kept], logits.constants[:, :, kept], logits.known[:, :, kept]
    )
    expected = recover_from_logits(fewer, counts[:, :, kept], ALPHA)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9)
    np.testing.assert_allclose(found.deviation, expected.deviation, rtol=1e-9)
    assert found.diagnostics.evidence.error == pytest.approx(expected.diagnostics.evidence.error)
    assert found.diagnostics.evidence.log_likelihood == pytest.approx(
        expected.diagnostics.evidence.log_likelihood
    )


def test_what_is_the_same_for_all_actions_of_a_state_has_no_part():
    logits, _, counts = planted(6, 0.01, 1.0, 2000)
    rng = np.random.default_rng(0)
    shifted = without_errors(
        logits.slopes + rng.normal(size=(6, 8, 1, 8)),
        logits.constants + rng.normal(size=(6, 8, 1)),
        logits.known,
    )
    found, same = (recover_from_logits(x, counts, ALPHA) for x in (logits, shifted))
    np.testing.assert_allclose(same.values, found.values, atol=1e-6)
    np.testing.assert_allclose(same.deviation, found.deviation, atol=1e-6)
    assert same.diagnostics.evidence.log_likelihood == pytest.approx(
        found.diagnostics.evidence.log_likelihood, rel=1e-9
    )


def test_states_that_nothing_depends_on_are_unknown():
    logits, reward, counts = planted(7, 0.0, 1.0, 10**6)
    slopes = logits.slopes.copy()
    slopes[..., [2, 5]] = 0.0
    rng = np.random.default_rng(0)
    counts = drawn(slopes @ reward + logits.constants, 10**6, rng)
    found = recover_from_logits(
        without_errors(slopes, logits.constants, logits.known), counts, ALPHA
    )
    gone = np.isin(np.arange(8), [2, 5])
    np.testing.assert_array_equal(np.isnan(found.values), gone)
    np.testing.assert_array_equal(np.isnan(found.deviation), gone)
    # Without them the constant is fixed.
    np.testing.assert_allclose(found.values[~gone], reward[~gone], atol=0.05)
    assert (found.determination.unknowns, found.determination.rank) == (6, 6)
    assert found.determination.free == 0


def test_the_constant_of_the_reward_is_free():
    logits, _, counts = planted(8, 0.01, 1.0, 2000)
    determined = recover_from_logits(logits, counts, ALPHA).determination
    assert (determined.unknowns, determined.rank, determined.free) == (8, 7, 1)
    one = recover_from_logits(logits.first(1), counts[:1], ALPHA).determination
    assert one.rank <= 7
    assert one.largest_singular_value < determined.largest_singular_value
    assert 0 < determined.smallest_singular_value < determined.largest_singular_value


def test_singular_values_are_those_of_the_weighed_regression():
    logits, _, counts = planted(8, 0.01, 1.0, 2000)
    found = recover_from_logits(logits, counts, ALPHA)
    centred = found.values
    # Of one choice: (errors + inverse of the multinomial's information), of differences only.
    information = np.zeros((8, 8))
    eta = logits.slopes @ centred + logits.constants
    for h, s in product(range(6), range(8)):
        expected = counts[h, s].sum() * softmax(eta[h, s])
        differences = np.eye(4)[1:] - np.eye(4)[0]
        variance = (
            differences @ np.diag(found.diagnostics.evidence.error + 1 / expected) @ differences.T
        )
        rows = differences @ logits.slopes[h, s]
        information += rows.T @ np.linalg.solve(variance, rows)
    values = np.sqrt(np.linalg.eigvalsh(information)[1:])
    assert found.determination.largest_singular_value == pytest.approx(values.max(), rel=0.05)
    assert found.determination.smallest_singular_value == pytest.approx(values.min(), rel=0.05)
    centring = np.eye(8) - 1 / 8
    covariance = np.linalg.inv(information + np.eye(8) / found.diagnostics.evidence.prior)
    deviation = np.sqrt(np.diag(centring @ covariance @ centring))
    np.testing.assert_allclose(found.deviation, deviation, rtol=0.05)


def log_joint(logits, counts, reward, errors, error, prior):
    """Of counts (in the order drawn), reward and errors."""
    eta = logits.slopes @ reward + logits.constants + errors
    return (
        (counts * log_softmax(eta, axis=-1)).sum()
        - 0.5 * (errors**2).sum() / error
        - 0.5 * errors.size * np.log(2 * np.pi * error)
        - 0.5 * (reward**2).sum() / prior
        - 0.5 * reward.size * np.log(2 * np.pi * prior)
    )


@pytest.mark.parametrize("seed", range(3))
def test_likelihood_is_laplaces(seed):
    """Over rewards and errors alike, at the found variances, derivatives taken numerically."""
    rng = np.random.default_rng(seed)
    slopes, constants = rng.normal(size=(2, 2, 3, 2)), rng.normal(size=(2, 2, 3))
    logits = without_errors(slopes, constants, np.ones((2, 2, 3), dtype=bool))
    truth = 2 * rng.normal(size=2)
    counts = drawn(slopes @ truth + constants + 0.5 * rng.normal(size=(2, 2, 3)), 300, rng)
    error, prior = 0.2, 3.0
    search = logit._Search(logit._informative(logits, counts, 1.0))
    assert climbed(search, np.sqrt(prior), error)
    scale = np.sqrt([prior] * 2 + [error] * 12)

    def loss(z):
        x = z * scale
        return -log_joint(logits, counts, x[:2], x[2:].reshape(2, 2, 3), error, prior)

    mode = minimize(loss, np.zeros(14), options={"gtol": 1e-7, "maxiter": 2000})
    step, units = 1e-3, np.eye(14)
    hessian = np.array(
        [
            [
                sum(
                    a * b * loss(mode.x + step * (a * units[i] + b * units[j]))
                    for a, b in product((1, -1), repeat=2)
                )
                / (4 * step**2)
                for j in range(14)
            ]
            for i in range(14)
        ]
    )
    # The volume of z is that of x over the scales.
    laplace = (
        -mode.fun + np.log(scale).sum() + 7 * np.log(2 * np.pi)
        - 0.5 * np.linalg.slogdet(hessian)[1]
    )  # fmt: skip
    assert search.evidence(np.sqrt(prior)) == pytest.approx(laplace, abs=0.02)
    np.testing.assert_allclose(search.reward, (mode.x * scale)[:2], atol=0.02)
    covariance = (np.linalg.inv(hessian) * np.outer(scale, scale))[:2, :2]
    np.testing.assert_allclose(search.covariance(np.sqrt(prior)).whole(), covariance, atol=0.01)


def test_the_evidence_falls_and_rises_with_errors_as_its_slope_says():
    logits, _, counts = planted(9, 0.04, 1.0, 3000)
    search = logit._Search(logit._informative(logits, counts, ALPHA))
    for error in (1e-3, 0.01, 0.04, 0.2, 1.0):
        near = []
        for e in (0.99 * error, 1.01 * error):
            climbed(search, 2.0, e)
            near.append(search.evidence(2.0))
        climbed(search, 2.0, error)
        slope = (near[1] - near[0]) / (0.02 * error)
        # Numerically taken, what the mode's move adds is in it.
        assert search.slope_by_error(2.0) == pytest.approx(slope, rel=0.15, abs=30)


@pytest.mark.parametrize("seed", range(3))
def test_the_posterior_is_that_of_all_priors(seed):
    """The mixture over the prior's deviation, by Laplace's method for each on a finer grid."""
    logits, _, counts = planted(seed, 0.01, 1.0, 300)
    found = recover_from_logits(logits, counts, ALPHA)
    error = found.diagnostics.evidence.error
    search = logit._Search(logit._informative(logits, counts, ALPHA))
    logs = np.linspace(np.log(0.03), np.log(300), 150)
    weights, means, squares = [], [], []
    for deviation in np.exp(logs):
        climbed(search, deviation, error)
        density = 2 / np.pi / 10 / (1 + (deviation / 10) ** 2)
        weights.append(search.evidence(deviation) + np.log(density * deviation))
        means.append(ALPHA * search.reward)
        spread = np.diag(search.covariance(deviation).whole()) * ALPHA**2
        squares.append(spread + means[-1] ** 2)
    shares = softmax(weights)
    mean = shares @ means
    np.testing.assert_allclose(found.values, mean, atol=0.05 * np.ptp(mean))
    total = np.max(weights) + np.log(np.exp(weights - np.max(weights)).sum() * (logs[1] - logs[0]))
    assert found.diagnostics.evidence.log_likelihood == pytest.approx(total, abs=0.15)


def test_likelihood_is_nearly_that_of_the_counts():
    """Two states of two actions, so that all can be integrated numerically."""
    slopes = (
        np.array([[[[1.0], [-0.5]], [[0.3], [2.0]]]] * 2) * np.array([1, 1.7])[:, None, None, None]
    )
    constants = np.array([[[0.2, 0.0], [-0.4, 0.1]]] * 2)
    logits = without_errors(slopes, constants, np.ones((2, 2, 2), dtype=bool))
    counts = np.array([[[900.0, 100], [200, 800]], [[960, 40], [30, 970]]])
    error, prior = 0.05, 2.0
    search = logit._Search(logit._informative(logits, counts, 1.0))
    climbed(search, np.sqrt(prior), error)

    def choice(r, h, s):
        """The likelihood of one choice, relative to its best, the difference of errors gone."""
        n = counts[h, s]
        best = (n * np.log(n / n.sum())).sum()

        def integrand(e):
            x = (slopes[h, s] @ [r] + constants[h, s]) @ [1, -1] + e
            log = n[0] * -np.logaddexp(0, -x) + n[1] * -np.logaddexp(0, x) - best
            return np.exp(log - e**2 / (4 * error)) / np.sqrt(4 * np.pi * error)

        width = 8 * np.sqrt(2 * error)
        return quad(integrand, -width, width, limit=200, epsabs=0, epsrel=1e-7)[0]

    def density(r):
        likelihood = np.prod([choice(r, h, s) for h, s in product(range(2), repeat=2)])
        return likelihood * np.exp(-(r**2) / (2 * prior)) / np.sqrt(2 * np.pi * prior)

    grid = search.reward[0] + np.linspace(-6, 6, 61) * 0.3
    integral = sum(density(r) for r in grid) * (grid[1] - grid[0])
    best = (counts * np.log(counts / counts.sum(axis=-1, keepdims=True))).sum()
    assert search.evidence(np.sqrt(prior)) == pytest.approx(best + np.log(integral), abs=0.05)


def test_the_variances_found_are_the_likeliest():
    """No others near them explain the counts better, by Laplace's method coded anew."""
    logits, _, counts = planted(9, 0.04, 1.0, 3000)
    found = recover_from_logits(logits, counts, ALPHA)

    def likelihood(error, prior):
        """With logits of the shares taken for normal, which they nearly are here."""
        eta = np.log(counts + 0.5) - logits.constants
        total = 0.0
        covariance, means = np.zeros((6 * 8 * 3, 6 * 8 * 3)), []
        differences = np.eye(4)[1:] - np.eye(4)[0]
        rows = np.einsum("da,hsaz->hsdz", differences, logits.slopes).reshape(-1, 8)
        for k, (h, s) in enumerate(product(range(6), range(8))):
            noise = np.diag(error + 1 / (counts[h, s] + 0.5))
            block = slice(3 * k, 3 * k + 3)
            covariance[block, block] = differences @ noise @ differences.T
            means.append(differences @ eta[h, s])
        covariance += prior * rows @ rows.T
        response = np.concatenate(means)
        total = -0.5 * response @ np.linalg.solve(covariance, response)
        return total - 0.5 * np.linalg.slogdet(covariance)[1]

    error, prior = found.diagnostics.evidence.error, found.diagnostics.evidence.prior
    here = likelihood(error, prior)
    for factor in (0.75, 1.33):
        assert likelihood(factor * error, prior) < here
    for factor in (0.4, 2.5):
        assert likelihood(error, factor * prior) < here


def test_cut_short_is_said(monkeypatch):
    logits, _, counts = planted(10, 0.01, 1.0, 2000)
    assert recover_from_logits(logits, counts, ALPHA).converged
    monkeypatch.setattr(logit, "MOST_STEPS", 1)
    assert not recover_from_logits(logits, counts, ALPHA).converged


def test_shapes_must_agree():
    logits, _, counts = planted(0, 0.0, 1.0, 100)
    with pytest.raises(ValueError, match=r"counts must have shape \(6, 8, 4\), got \(5, 8, 4\)"):
        recover_from_logits(logits, counts[1:], ALPHA)
    with pytest.raises(ValueError, match=r"counts\[0, 0, 0\] is 0.5; counts must be whole"):
        recover_from_logits(logits, counts * 0 + 0.5, ALPHA)


@pytest.mark.parametrize("why", ["no counts", "nothing known", "one action known", "no slopes"])
def test_nothing_to_learn_from_is_an_error(why):
    logits, _, counts = planted(0, 0.0, 1.0, 100)
    slopes, known = logits.slopes, logits.known.copy()
    if why == "no counts":
        counts = 0 * counts
    elif why == "nothing known":
        known[:] = False
    elif why == "one action known":
        known[..., 1:] = False
    else:
        slopes = slopes[:, :, :1, :] * np.ones((1, 1, 4, 1))
    with pytest.raises(ValueError, match="there is nothing to learn from"):
        recover_from_logits(without_errors(slopes, logits.constants, known), counts, ALPHA)


def test_where_policies_do_not_move_the_reward_is_known_to_be_small():
    slopes = np.random.default_rng(2).normal(size=(4, 6, 3, 6))
    known = np.ones((4, 6, 3), dtype=bool)
    logits = without_errors(slopes, np.zeros((4, 6, 3)), known)
    unmoved = np.random.default_rng(3).multinomial(100_000, [1 / 3] * 3, size=(4, 6))
    for counts in (unmoved, np.full((4, 6, 3), 100.0)):
        found = recover_from_logits(logits, counts, 1.0)
        assert np.abs(found.values).max() < 3 * found.deviation.max() < 0.3
        assert found.converged


def test_where_the_data_say_nothing_deviations_are_large():
    """As wide as the prior's: never zero and a small deviation."""
    slopes = 1e-6 * np.random.default_rng(2).normal(size=(4, 6, 3, 6))
    logits = without_errors(slopes, np.zeros((4, 6, 3)), np.ones((4, 6, 3), dtype=bool))
    counts = np.random.default_rng(3).multinomial(100, [1 / 3] * 3, size=(4, 6)) * 1.0
    found = recover_from_logits(logits, counts, 1.0)
    assert (found.deviation > 10).all()
    assert (np.abs(found.values) < found.deviation).all()


@pytest.mark.parametrize("size", [30.0, 300.0, 3000.0])
def test_steps_do_not_run_away_where_policies_are_nearly_certain(size):
    """Logits that range over hundreds leave all but one action without a count."""
    logits, rng = of_a_game(), np.random.default_rng(0)
    reward = size * ALPHA * rng.normal(size=8)
    counts = drawn(logits.slopes @ reward + logits.constants, 200, rng)
    found = recover_from_logits(logits, counts, ALPHA)
    assert found.converged
    assert np.corrcoef(found.values, reward)[0, 1] > 0.6
    assert found.diagnostics.evidence.error < 1000
    if size < 1000:  # rewards of thousands of alphas are beyond what the prior expects
        off = (found.values - reward + reward.mean()) / found.deviation
        assert np.sqrt((off**2).mean()) < 3


def test_a_weak_reward_among_large_errors_breaks_nothing():
    """The prior's variance may fall to nothing on the way."""
    rng = np.random.default_rng(0)
    slopes = rng.normal(size=(4, 8, 3, 8))
    logits = without_errors(slopes, np.zeros((4, 8, 3)), np.ones((4, 8, 3), dtype=bool))
    for _ in range(60):
        odds = slopes @ rng.normal(size=8) * 0.2 + rng.normal(size=(4, 8, 3))
        found = recover_from_logits(logits, drawn(odds, 1000, rng), 1.0)
        assert found.converged
        assert np.isfinite(found.values).all()


def test_a_state_that_moves_all_actions_alike_is_unknown():
    rng = np.random.default_rng(4)
    slopes = rng.normal(size=(3, 4, 5, 3))
    slopes[..., 2] = rng.normal(size=(3, 4, 1))
    logits = without_errors(slopes, np.zeros((3, 4, 5)), np.ones((3, 4, 5), dtype=bool))
    found = recover_from_logits(logits, drawn(slopes @ [1.0, -1.0, 5.0], 1000, rng), 1.0)
    np.testing.assert_array_equal(np.isnan(found.values), [False, False, True])
    np.testing.assert_array_equal(np.isnan(found.deviation), [False, False, True])
    assert found.determination.unknowns == 2


def test_known_errors_are_not_paid_for_twice():
    """Errors of a known variance, large in half of the logits: none is left to be explained."""
    rng = np.random.default_rng(0)
    slopes, known = rng.normal(size=(6, 20, 4, 10)), np.ones((6, 20, 4), dtype=bool)
    variances = np.where(np.arange(20)[:, None] < 10, 1.0, 0.01) * np.ones((6, 20, 4))
    reward = rng.normal(size=10)
    worse, better, left = [], [], []
    for _ in range(10):
        odds = slopes @ reward + np.sqrt(variances) * rng.normal(size=variances.shape)
        counts = drawn(odds, 100_000, rng)
        aware = AffineLogits(slopes, np.zeros_like(variances), known, variances)
        found = recover_from_logits(aware, counts, 1.0)
        better.append(np.abs(found.values - reward).mean())
        left.append(found.diagnostics.evidence.error)
        blind = without_errors(slopes, np.zeros_like(variances), known)
        worse.append(np.abs(recover_from_logits(blind, counts, 1.0).values - reward).mean())
    assert np.mean(better) < 0.5 * np.mean(worse)
    assert np.mean(left) < 0.01


def test_nearly_certain_policies_have_a_likelihood():
    """All but a few of very many actions are the same one, and errors may be large."""
    rng = np.random.default_rng(0)
    slopes, known = rng.normal(size=(2, 4, 3, 4)), np.ones((2, 4, 3), dtype=bool)
    for number in (10**4, 10**8, 10**12, 10**15):
        for others in (0, 1, 3):
            counts = np.full((2, 4, 3), float(others))
            counts[..., 0] = number
            counts[1, :2] = [0, 20, number]
            for variance in (0.0, 1.0, 1e4):
                variances = np.full((2, 4, 3), variance)
                logits = AffineLogits(slopes, np.zeros((2, 4, 3)), known, variances)
                found = recover_from_logits(logits, counts, 1.0)
                assert np.isfinite(found.diagnostics.evidence.log_likelihood)
                assert np.isfinite(found.values).all()
