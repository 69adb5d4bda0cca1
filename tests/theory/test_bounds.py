import dataclasses
import functools
import math

import naive
import numpy as np
import pandas as pd
import pytest

from malfl.theory import bounds
from malfl.theory.bounds import INEQUALITIES, Bound
from malfl.theory.certificates import certified_prediction_error, certified_reward_error
from malfl.theory.random_games import random_predictions
from malfl.theory.statements import counterexamples
from malfl.theory.statements.counterexamples import COUNTEREXAMPLES, attained, one_agent

FALSE = [
    "Theorem 6.3, the proof's shaping",
    "Theorem 6.3, the proof's shaping and average",
    "Theorem 6.5",
    "Theorem A.2, the proof's shaping",
    "Theorem A.3",
]
VACUOUS = ["Theorem 6.3", "Theorem A.2"]
EVEN, FIRST, SECOND = (0.5, 0.5), (1.0, 0.0), (0.0, 1.0)


def exp(x):
    return math.exp(x) if x < 600 else math.inf


def mean_error(n, average):
    return max(abs((average * n.shaped_error).sum(axis=1)))


def papers_right(n, factor):
    gap = np.ptp(n.reward) / (n.alpha * (1 - n.gamma))
    return n.kl * (1 + factor * n.new.shape[1] * exp(gap))


def eq_17(n, c, g):
    ahead = n.odds @ (n.policy * n.change).sum(axis=1)
    left = abs((n.new * n.shaped_error).sum(axis=1))
    right = n.divergence + g * abs((n.new * ahead).sum(axis=1))
    worst = np.argmax(left - right)
    return left[worst], c * right[worst]


def rho(n, c, g):
    size, gap = math.log(n.new.shape[1]), np.ptp(n.reward)
    if n.state_only:
        gap = g * gap
    right = size + (gap + g * n.alpha * size) / (n.alpha * (1 - g))
    return -math.log(n.inverse_rho), c * right


def t3(n, c, g):
    fall, rise = naive.coin_changes(min(n.inverse_rho, 1.0), n.kl)
    return mean_error(n, n.new), c * n.alpha * max(n.kl + g * rise, g * fall)


def t3_before(n, c, g):
    fall, rise = naive.coin_changes(min(n.inverse_rho, 1.0), n.kl)
    return mean_error(n, n.policy), c * n.alpha * (fall + g * rise)


def t3_closed(n, c, g):
    far = (n.kl + math.sqrt(n.kl / 2)) / min(n.inverse_rho, 1.0)
    return mean_error(n, n.new), c * n.alpha * (n.kl + g * far)


def t4(n, c, g):
    fall, rise = naive.coin_changes(n.new.min(), n.kl)
    return n.canonical, c * n.alpha * (fall + g * rise)


def t4_closed(n, c, g):
    share = math.sqrt(n.kl / 2) / n.new.min()
    change = -math.log(1 - share) if share < 1 else math.inf
    return n.canonical, c * n.alpha * (1 + g) * change


# Both sides as the book has them, the right one multiplied by c, with g in gamma's place.
PROVED = {
    bounds.theorem_6_1: lambda n, c, g: (n.canonical, c * n.alpha * (1 + g) * abs(n.change).max()),
    bounds.t1_above: lambda n, c, g: (n.least, c * n.alpha * (1 + g) * n.omega / 2),
    bounds.t1_below: lambda n, c, g: (n.alpha * (1 - g) * n.omega / 2, c * n.least),
    bounds.t2: lambda n, c, g: (
        n.kl,
        c * naive.largest_divergence(n.least / (n.alpha * (1 - g))),
    ),
    bounds.t2_ratios: lambda n, c, g: (
        abs(n.change).max(),
        c * 2 * n.least / (n.alpha * (1 - g)),
    ),
    bounds.t3: t3,
    bounds.t3_before: t3_before,
    bounds.t3_closed: t3_closed,
    bounds.rho_bound: rho,
    bounds.t4: t4,
    bounds.t4_closed: t4_closed,
}
PAPERS = {
    bounds.equation_17: eq_17,
    bounds.theorem_6_3: lambda n, c, g: (mean_error(n, n.policy), papers_right(n, g)),
    bounds.theorem_6_3_after: lambda n, c, g: (mean_error(n, n.new), papers_right(n, g)),
    bounds.theorem_a_2: lambda n, c, g: (mean_error(n, n.new), papers_right(n, 1)),
    bounds.theorem_6_5: lambda n, c, g: (
        n.kl,
        n.least * (1 / (n.alpha * (1 - g)) + n.new.shape[1] * exp(-n.inf / n.alpha)),
    ),
    bounds.theorem_a_3: lambda n, c, g: (
        n.kl,
        n.least * (1 / (n.alpha * (1 - g)) + n.new.shape[1] * exp(-n.inf)),
    ),
}
NEEDS_STATES = (bounds.theorem_6_3, bounds.theorem_6_3_after)


def recomputed(p):
    """What the bounds are made of, without malfl."""
    guess = np.broadcast_to(
        p.guess.reshape(p.game.n_states, -1), (p.game.n_states, p.game.n_joint_actions)
    )
    n = naive.predict(p.game, p.policies, p.agent, p.alpha, guess.tolist())
    n.least = max(naive.least_error(n.odds, n.gamma, n.error), 0.0)
    n.canonical, n.kl = abs(n.shaped_error).max(), max(n.divergence.max(), 0.0)
    n.omega = max(max(row) - min(row) for row in n.change)
    n.inverse_rho = min(n.new[n.policy > 0] / n.policy[n.policy > 0])
    n.inf = p.game.rewards[p.agent].min()
    n.state_only = p.game.rewards[p.agent].ndim == p.guess.ndim == 1
    return n


@functools.cache
def many():
    return list(random_predictions(300, seed=0, agents=(1, 3)))


@functools.cache
def small():
    """Games in which differences of soft Q functions are exact enough, and what they come to."""
    games = random_predictions(
        150, seed=1, agents=(1, 2), states=(1, 3), actions=(1, 3), gammas=(0.0, 0.3, 0.6, 0.9),
        scales=(0.1, 2.0), errors=(0.1, 5.0),
    )  # fmt: skip
    return [(p, recomputed(p)) for p in games]


def improving(policy, new, predicted, next_states, gamma):
    """A game in which a policy becomes ``new`` and is expected to become ``predicted``."""
    rewards = [naive.reward_for(next_states, policy, after, gamma) for after in (new, predicted)]
    return one_agent(next_states, *rewards, policy, gamma=gamma)


@functools.cache
def tight():
    """For each bound that is proved, games in which there is hardly any room."""
    p, delta = 0.3, 0.2
    fall, rise = naive.coin_changes(p, delta)
    fallen, risen = ((q, 1 - q) for q in (p * math.exp(-fall), p * math.exp(rise)))
    new, swapped = (p, 1 - p), (1 - p, p)
    share = math.exp(-naive.coin_changes(0.5, 1e-7)[0]) / 2
    less, more = (share, 1 - share), (1 - share, share)
    on, apart, across = [[1, 1]] * 2, [[0, 1]] * 2, [[1, 0], [1, 1]]
    flat = [[0.0] * 4, [0.0] * 4, [20.0] * 4]
    sure = [[1, 0, 0, 0]] * 2 + [[0.25] * 4]
    sinks = [[1, 2, 2, 2], [1] * 4, [2] * 4]
    acted = [[0.0, *[20.0] * 3], *flat[1:]]
    games = [
        (bounds.theorem_6_1, improving([SECOND, FIRST], [new] * 2, [swapped] * 2, apart, 0.9)),
        (bounds.t3, improving([EVEN, FIRST], [new] * 2, [fallen, risen], on, 0.3)),
        (bounds.t3_closed, improving([EVEN, FIRST], [EVEN] * 2, [EVEN, less], on, 0.9)),
        (bounds.t4_closed, improving([FIRST] * 2, [EVEN] * 2, [less, more], across, 0.9)),
        (bounds.rho_bound, one_agent(sinks, [0.0, 0.0, 20.0], [0.0] * 3, sure, gamma=0.9)),
        (bounds.rho_bound, one_agent(sinks, acted, flat, sure, gamma=0.9)),
    ]
    games += [(example.check, example.prediction) for example in attained().values()]
    return [(check, prediction, recomputed(prediction)) for check, prediction in games]


def instances(check):
    """Games, and what they come to; among them those in which this bound is tight."""
    return small() + [(p, n) for about, p, n in tight() if about is check]


def violated(left, right):
    return left > right * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("check", [*PROVED, *PAPERS], ids=lambda check: check.__name__)
def test_both_sides_are_what_they_say(check):
    formula = {**PROVED, **PAPERS}[check]
    compared = 0
    for p, n in instances(check):
        if check in NEEDS_STATES and not n.state_only:
            continue
        found, (left, right) = check(p), formula(n, 1, n.gamma)
        # A bound by the root of a divergence knows it to half the digits.
        assert found.left == pytest.approx(left, rel=1e-6, abs=1e-9 * n.alpha)
        assert found.right == pytest.approx(right, rel=1e-6, abs=1e-7 * n.alpha)
        compared += left > 0.01 and right < math.inf
    assert compared >= 10


@pytest.mark.parametrize("statement", [name for name in INEQUALITIES if name not in FALSE])
def test_what_is_proved_holds(statement):
    check = INEQUALITIES[statement]
    predictions = many() + [p for p, _ in small()] + [p for _, p, _ in tight()]
    if statement in bounds.STATE_ONLY:
        predictions = [p for p in predictions if p.state_only]
    sides = [check(p) for p in predictions]
    assert all(side.holds for side in sides)
    assert sum(side.ratio < 1.001 for side in sides) > 80  # neither side is 0


@pytest.mark.parametrize("check", [bounds.identity, bounds.equation_15])
def test_identities_hold_and_would_not_if_anything_was_off(check):
    for p in many():
        found = check(p)
        size = np.abs(p.q).max() + np.abs(p.q_error).max() + p.alpha
        assert found.holds
        assert 0 < found.right < 1e-8 * size
    p = next(p for p in random_predictions(20, seed=2) if np.abs(p.change).max() > 0.1)
    changed = {bounds.identity: "change", bounds.equation_15: "logs"}[check]
    vars(p)[changed] = getattr(p, changed) * (1 + 1e-6)
    assert not check(p).holds


@pytest.mark.parametrize("check", PROVED, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    ("factor", "discount"),
    [(0.5, 1), (0.99, 1), (1, 0), (1, -1)],
    ids=["halved", "a hundredth less", "without gamma", "gamma of the other sign"],
)
def test_nothing_smaller_would_do(check, factor, discount):
    """With the constant or gamma spoiled, some game violates the inequality."""
    numbers = [n for _, n in instances(check)]
    assert not any(violated(*PROVED[check](n, 1, n.gamma)) for n in numbers)
    assert any(violated(*PROVED[check](n, factor, discount * n.gamma)) for n in numbers)


def test_corrected_bounds_are_attained():
    names = {"T1, above", "T1, below", "T2", "T2, log ratios", "T3", "T3, under pi", "T4"}
    assert set(attained()) == names
    for name, example in attained().items():
        assert example.check is INEQUALITIES[name]
    for check, p, _ in tight():
        assert 0.998 < check(p).ratio <= 1 + 1e-9
        if check is not bounds.rho_bound:
            assert check(p).ratio > 0.999


@pytest.mark.parametrize("statement", [*FALSE, "Eq. 17"])
def test_what_the_papers_say_is_violated(statement):
    example = COUNTEREXAMPLES[statement]()
    left, right = PAPERS[example.check](n := recomputed(example.prediction), 1, n.gamma)
    assert left > 1.1 * right
    assert example.check is INEQUALITIES.get(statement, bounds.equation_17)
    assert example.sides.ratio == pytest.approx(left / right)
    assert not example.sides.holds


@pytest.mark.parametrize("check", [INEQUALITIES[name] for name in VACUOUS])
def test_as_written_the_bound_of_the_mean_is_empty(check):
    """Some shaping takes the mean error of any guess to 0, however wrong its prediction."""
    wrong = [p for p in many() if p.divergence.max() > 1]
    assert len(wrong) > 50
    for p in wrong:
        found = check(p)
        assert 0 <= found.left <= found.right < 1e-7 * (np.abs(p.q_error).max() + p.alpha)
        average = {bounds.theorem_6_3_as_written: p.policy}.get(check, np.exp(p.logs))
        mean = np.abs((average * p.error).sum(axis=1)).max()
        assert mean == 0 or found.left < 1e-8 * mean / (1 - p.game.gamma)


def test_that_shaping_is_the_mean_error_summed_up():
    p = counterexamples.reversed_preference((3.0, 1.0), (0.0, 2.0))
    averages, _ = [], p.change  # which is worked out once
    vars(p)["discounted"] = lambda *given: averages.append(given) or np.array([0.1])
    for name, average in zip(VACUOUS, (p.policy, np.exp(p.logs)), strict=True):
        assert not INEQUALITIES[name](p).holds  # with another one
        ((policy, gain),) = averages
        averages.clear()
        np.testing.assert_array_equal(policy, average)
        np.testing.assert_array_equal(gain, [(average * [[-3.0, 1.0]]).sum()])


@pytest.mark.parametrize("check", [bounds.corollary_6_2, *NEEDS_STATES])
def test_statements_on_rewards_of_the_state_refuse_others(check):
    by_action = counterexamples.reversed_preference((3.0, 1.0), (0.0, 2.0))
    policies = [(0.9, 0.1), EVEN]
    by_state = one_agent([[0, 1]] * 2, [1.0, 0.0], [0.0, 1.0], policies, gamma=0.5)
    guessed = one_agent([[0, 1]] * 2, [1.0, 0.0], [[0.0, 1.0]] * 2, policies, gamma=0.5)
    assert check(by_state).left > 0.001
    for p in (by_action, guessed):
        with pytest.raises(ValueError, match=r"reward and guess must be of shape \(S,\)"):
            check(p)


def test_a_report_has_a_row_for_all_that_applies():
    names = list(INEQUALITIES)
    assert len(names) == 20
    others = [n for n in names if not n.startswith(("Corollary", "Theorem 6.3"))]
    assert len(others) == 16
    assert INEQUALITIES["Theorem 6.1"] is INEQUALITIES["Theorem A.1"] is bounds.theorem_6_1
    for p in (p for p, _ in small()[:20]):
        found = bounds.report(p)
        assert found["statement"].tolist() == (names if p.state_only else others)
        for name, *rest in found.itertuples(index=False):
            b = INEQUALITIES[name](p)
            expected = [b.left, b.right, b.ratio, b.holds]
            pd.testing.assert_series_equal(pd.Series(rest), pd.Series(expected))
    assert {p.state_only for p, _ in small()[:20]} == {True, False}
    assert list(found) == ["statement", "left", "right", "ratio", "holds"]


@pytest.mark.parametrize("gamma", [0.0, 0.9])
@pytest.mark.parametrize("gap", [300.0, 400.0, 800.0, 1e4])
@pytest.mark.parametrize("wrong", [0.1, 900.0])
def test_improvements_that_are_nearly_certain_have_bounds(gap, wrong, gamma):
    """Probabilities down to e^-10000, which no float holds."""
    p = one_agent(
        [[0, 1, 1]] * 2, [[0.0, gap, gap]] * 2, [[0.0, gap + wrong, gap]] * 2,
        [[1, 0, 0], [0, 0.5, 0.5]], gamma=gamma,
    )  # fmt: skip
    found = bounds.report(p).set_index("statement").drop(FALSE, errors="ignore")
    assert not found[["left", "right"]].isna().any(axis=None)
    assert found["holds"].all()
    kl = found.loc["T2", "left"]
    assert kl > 1e-3
    if gamma == 0:  # nobody cares how a policy comes to change elsewhere
        assert found.loc[["T3", "T3, closed form"], "right"].tolist() == pytest.approx([kl, kl])


def test_divergences_below_all_floats_excuse_nothing():
    """A probability of e^-712 that grows by a part in 1e8 makes a divergence of some e^-750."""
    p = one_agent([[0, 0]], [[0.0, 712.0]], [[1e-8, 712.0]], [EVEN], gamma=0)
    assert p.divergence == 0
    found = bounds.report(p).set_index("statement")
    assert found.loc["T4", "left"] == pytest.approx(1e-8)
    assert found["holds"].drop(FALSE, errors="ignore").all()


def test_rounding_is_a_part_of_what_was_subtracted():
    for p in many():
        largest = max(np.abs(p.error).max(), np.abs(p.q_error).max(), p.alpha)
        assert largest <= bounds.theorem_6_1(p).size <= 3 * largest


def test_rare_actions_count_unless_they_are_never_taken():
    never, rare = ([[1e-3, 0.999 - x, x]] for x in (0.0, 1e-6))
    for policy, action in ((never, 0), (rare, 2)):
        p = one_agent([[0, 0, 0]], [[-5.0, 9.0, -30.0]], [[5.0, 9.0, 0.0]], policy, gamma=0)
        expected = math.log(policy[0][action]) - p.logs[0, action]
        assert bounds.rho_bound(p).left == pytest.approx(expected)
        assert bounds.rho(p) == pytest.approx(math.exp(expected))
    sure = one_agent([[0, 0]], [[0.0, 800.0]], [[0.0, 800.0]], [FIRST], gamma=0)
    assert bounds.rho_bound(sure).left == 800
    assert bounds.rho(sure) == math.inf


def test_policies_may_be_off_by_rounding():
    p = one_agent([[0]], [[1.0]], [[2.0]], [[1 - 1e-15]], gamma=0.5)
    assert bounds.report(p)["holds"].all()


@pytest.mark.parametrize("check", [bounds.theorem_a_2, bounds.theorem_6_5])
def test_a_right_hand_side_beyond_floats_is_infinite(check):
    reward, guess = [[-2000.0, 0.0, 0.0]], [[-2000.0, 0.5, 0.0]]
    found = check(one_agent([[0, 0, 0]], reward, guess, [[0, 0, 1]], gamma=0))
    assert found.left > 0.001
    assert found.right == math.inf
    assert found.holds
    assert found.ratio == 0
    right = check(counterexamples.reversed_preference((-2000, 0), (-2000, 0)))
    assert dataclasses.astuple(right)[:2] == (0, 0)  # nothing wrong, nothing allowed


def test_certificates_are_the_corrected_bounds():
    for p, n in small():
        if (n.new == 0).any() or (np.exp(n.logs_hat) == 0).any():
            continue
        found = certified_reward_error(n.new, np.exp(n.logs_hat), alpha=n.alpha, gamma=n.gamma)
        assert found.least == pytest.approx(bounds.t1_below(p).left, rel=1e-6, abs=1e-9 * n.alpha)
        assert found.most == pytest.approx(bounds.t1_above(p).right, rel=1e-6, abs=1e-9 * n.alpha)
        room = 1e-9 * n.alpha
        assert found.least - room <= n.least <= found.most + room
        for more in (1, 2):
            then = certified_prediction_error(more * n.least, alpha=n.alpha, gamma=n.gamma)
            assert n.kl <= then.divergence + 1e-9
            assert abs(n.change).max() <= then.log_ratio + 1e-9
            if more == 1:
                assert then.divergence == pytest.approx(bounds.t2(p).right, rel=1e-6, abs=1e-12)
                assert then.log_ratio == pytest.approx(bounds.t2_ratios(p).right, abs=1e-9)


# Two sides of an inequality.


@pytest.mark.parametrize(
    ("bound", "ratio", "holds"),
    [
        (Bound(1, 2), 0.5, True),
        (Bound(2, 1), 2, False),
        (Bound(1, 1), 1, True),
        (Bound(0, 0), math.nan, True),
        (Bound(0, 1), 0, True),
        (Bound(1, 0), math.inf, False),
        (Bound(1, -1), math.inf, False),
        (Bound(1, math.inf), 0, True),
        (Bound(math.inf, 1), math.inf, False),
        (Bound(1, math.nan), math.inf, False),
        (Bound(1 + 0.9e-8, 1), 1 + 0.9e-8, True),  # rounding, in proportion
        (Bound(1 + 1.1e-8, 1), 1 + 1.1e-8, False),
        (Bound(0.9e-12, 0), math.nan, True),  # and of what was subtracted
        (Bound(1.1e-12, 0), math.inf, False),
        (Bound(0.9e-9, 0, size=1e3), math.nan, True),
        (Bound(-0.9e-12, 0), math.nan, True),
        (Bound(-1, 0), math.inf, True),
        (Bound(0.5e-12, 2e-12), 0.25, True),
        (Bound(2e-12, 0.5e-12), 4, False),
        (Bound(1e-12, 2e-12, size=1e-3), 0.5, True),
    ],
)
def test_a_bound_is_a_ratio_and_a_verdict(bound, ratio, holds):
    assert bound.ratio == pytest.approx(ratio, nan_ok=True)
    assert bound.holds is holds
