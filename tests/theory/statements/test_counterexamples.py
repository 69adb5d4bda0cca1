import ast
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from by_hand import log_sum_exp

from malfl import MarkovGame
from malfl.theory import bounds
from malfl.theory.prediction import Prediction
from malfl.theory.statements.counterexamples import (
    COUNTEREXAMPLES,
    Counterexample,
    _improving,
    attained,
    describe,
    faint_preference,
    far_sighted_reversal,
    hidden_entropy,
    prisoners_dilemma,
    reversed_preference,
)
from malfl.theory.statements.inversion import _state_function

NUMBERS = re.compile(
    r"(gamma|alpha|lambda|policy|next states|guess|g|R(?:\^\d)?|pi(?:\^\d)?)"
    r" (?:= )?(\(.*\)|[-\d.e]+)"
)


def parse(text):
    """Every number that is printed, by name."""
    return {
        name: ast.literal_eval(value)
        for part in text.split("; ")
        for name, value in NUMBERS.findall(part)
    }


def softmax(*numbers):
    return [math.exp(x - log_sum_exp(*numbers)) for x in numbers]


def left_over(values, rows):
    """The largest entry that the best shaping of two states leaves, by Cramer's rule."""
    aa, ab, bb = (sum(r[i] * r[j] for r in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    x, y = (sum(r[i] * v for r, v in zip(rows, values, strict=True)) for i in (0, 1))
    determinant = aa * bb - ab * ab
    if determinant == 0:  # then one row says it all
        g = (x / aa, 0.0)
    else:
        g = ((x * bb - y * ab) / determinant, (y * aa - x * ab) / determinant)
    return max(abs(v - r[0] * g[0] - r[1] * g[1]) for v, r in zip(values, rows, strict=True))


def kl(p, q):
    return sum(x * math.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)


# Each of these knows what was printed, and nothing else.


def definition_4_3(n):
    """P(s|s, a) is what the other plays with: for either of its actions 0.5, and not 1."""
    return max(abs(p - 1) for p in n["pi^1"]), 0.0


def equation_5(n):
    gamma, reward, leads, (even, first) = n["gamma"], n["R"], n["next states"], n["pi"]
    assert leads == ((1, 2), (2, 1))
    assert even == (0.5, 0.5)
    assert first == (1, 0)
    bonus = (math.log(2), 0.0)
    # Of pi: the second state is never left.
    v2 = reward[1] / (1 - gamma)
    v1 = (reward[0] + bonus[0] + gamma * v2 / 2) / (1 - gamma / 2)
    stay1, leave1 = softmax(gamma * v1, gamma * v2)
    stay2, leave2 = softmax(gamma * v2, gamma * v1)
    # With next actions from the improvement: two equations in w1 and w2.
    a, b, c, d = 1 - gamma * stay1, -gamma * leave1, -gamma * leave2, 1 - gamma * stay2
    x, y = reward[0] + bonus[0], reward[1] + bonus[1]
    w1, w2 = (x * d - b * y) / (a * d - b * c), (a * y - c * x) / (a * d - b * c)
    q = ((gamma * w1, gamma * w2), (gamma * w2, gamma * w1))
    logs = [[z - log_sum_exp(*row) for z in row] for row in q]
    apart = [
        sum(p * (math.log(p) - log) for p, log in zip(policy, row, strict=True) if p > 0)
        for policy, row in zip((even, first), logs, strict=True)
    ]
    values, rows = [], []
    for s in (0, 1):
        for action in (0, 1):
            after = leads[s][action] - 1
            values.append(logs[s][action] + gamma * apart[after] - reward[s])
            rows.append([(s == t) - gamma * (after == t) for t in (0, 1)])
    return left_over(values, rows), 0.0


def theorem_4_7(n):
    """Without a future, Q of defection is (R(D, C) + R(D, D)) / 2, and later weighted anew."""
    r0, r1 = n["R^0"], n["R^1"]
    cooperates = softmax((r1[0] + r1[2]) / 2, (r1[1] + r1[3]) / 2)[0]
    before = [(r0[0] + r0[1]) / 2, (r0[2] + r0[3]) / 2]
    after = [cooperates * r0[k] + (1 - cooperates) * r0[k + 1] for k in (0, 2)]
    drop, worst = max((b - a, k) for k, (b, a) in enumerate(zip(before, after, strict=True)))
    assert drop > 0
    return before[worst], after[worst]


def remark_4_8(n):
    """The better action for certain is worth more than the improvement."""
    return max(n["R"]), sum(p * r for p, r in zip(softmax(*n["R"]), n["R"], strict=True))


def equation_8(n):
    """Ln pi_new is not R but R - ln Z."""
    return log_sum_exp(*n["R"]), 0.0


def equation_10(n):
    """By symmetry the policy that is meant is the uniform one."""

    def printed(policy):
        likelihood = sum(p * math.log(x) for p, x in zip(n["pi"], policy, strict=True))
        return math.exp(-likelihood + n["lambda"] * sum(x * math.log(x) for x in policy))

    assert n["pi"] == (0.5, 0.5)
    return printed([x / sum(n["policy"]) for x in n["policy"]]), printed((0.5, 0.5))


def equation_11(n):
    """Where an action leads is now a matter of the action, and no shaping of before knows it.

    Under pi the first agent's actions lead to either state alike, so shapings are the same for
    both actions of a state: they leave half the difference.
    """
    assert n["pi^1"] == ((0.5, 0.5), (0.5, 0.5))
    assert n["next states"] == ((1, 2, 2, 1), (1, 2, 2, 1))
    assert n["R^1"] == ((0, 1, 0, 1), (0, 1, 0, 1))
    first, second = softmax(0.0, 1.0)  # the second agent's improvement, in both states
    apart = kl(n["pi^0"][0], (0.5, 0.5)), kl(n["pi^0"][1], (0.5, 0.5))
    gains = [
        n["gamma"] * (first * apart[0] + second * apart[1]),
        n["gamma"] * (second * apart[0] + first * apart[1]),
    ]
    values = [math.log(0.5) + gain - reward for reward in n["R^0"] for gain in gains]
    rows = [[(s == t) - n["gamma"] / 2 for t in (0, 1)] for s in (0, 0, 1, 1)]
    assert left_over(values, rows) == pytest.approx(abs(gains[0] - gains[1]) / 2, abs=1e-13)
    return abs(gains[0] - gains[1]) / 2, 0.0


def section_5_2(n):
    """G(s) - g(s') makes an action that leads to the state with the smaller g the better one."""
    assert n["next states"] == ((1, 2), (1, 2))
    logs = [math.log(p) for p in softmax(n["g"][0] - n["g"][0], n["g"][0] - n["g"][1])]
    return max(abs(log - math.log(0.5)) for log in logs), 0.0


def equation_12(n):
    """Of four numbers, all should be the same g: Y of the action, less each reward."""
    r = n["R^0"]
    q = [(r[0] + r[1]) / 2, (r[2] + r[3]) / 2]
    left = [q[k // 2] - log_sum_exp(*q) - r[k] for k in range(4)]
    mean = sum(left) / 4
    return max(abs(x - mean) for x in left), 0.0


def faint(n):
    """Canonical errors of an agent that always goes to the first state, and the divergence."""
    gamma, guess = n["gamma"], n["guess"]
    assert n["next states"] == ((1, 2), (1, 2))
    assert n["pi"] == ((1, 0), (1, 0))
    assert n["R"] == (0, 0)
    v1 = guess[0] / (1 - gamma)
    v2 = guess[1] + gamma * v1
    g = [guess[s] + log_sum_exp(gamma * v1, gamma * v2) - math.log(2) for s in (0, 1)]
    error = [guess[s] - g[s] + gamma * g[t] for s in (0, 1) for t in (0, 1)]
    divergence = kl((0.5, 0.5), softmax(gamma * v1, gamma * v2))
    return error, divergence


def theorem_6_3(n):
    error, divergence = faint(n)
    return max(abs(error[0]), abs(error[2])), divergence * (1 + n["gamma"] * 2)


def theorem_6_3_after(n):
    error, divergence = faint(n)
    left = max(abs(error[0] + error[1]), abs(error[2] + error[3])) / 2
    return left, divergence * (1 + n["gamma"] * 2)


def theorem_a_2(n):
    return theorem_6_3_after(n)[0], faint(n)[1] * (1 + 2)


def equation_17(n):
    """E[R-hat - R - sh] is alpha times the divergence: the factor was lost."""
    divergence = apart(n)
    return n["alpha"] * divergence, divergence


def apart(n):
    """KL of two improvements in one state, without a future."""
    true, guessed = (softmax(*(r / n["alpha"] for r in n[name])) for name in ("R", "guess"))
    return kl(true, guessed)


def theorem_6_5(n, divisor="alpha"):
    """Shapings are constants here, so the best one leaves half the spread of the errors."""
    errors = [guess - reward for guess, reward in zip(n["guess"], n["R"], strict=True)]
    delta = (max(errors) - min(errors)) / 2
    exponent = min(n["R"]) / (n["alpha"] if divisor == "alpha" else 1)
    return apart(n), delta * (1 / n["alpha"] + 2 / math.exp(exponent))


def theorem_a_3(n):
    return theorem_6_5(n, divisor="nothing")


def section_4_3(n):
    """A reward of one in either state, and 0 in the other, is a shaping: both are open."""
    assert n["next states"] == ((2, 2), (1, 1))
    gamma = Fraction(n["gamma"])
    for r1, r2 in ((1, 0), (0, 1)):
        g1 = (r1 + gamma * r2) / (1 - gamma**2)
        g2 = (r2 + gamma * r1) / (1 - gamma**2)
        assert (g1 - gamma * g2, g2 - gamma * g1) == (r1, r2)
    return 2, 1


BY_HAND = {
    "Definition 4.3": definition_4_3,
    "Eq. 5, next action from pi_new": equation_5,
    "Theorem 4.7, everyone moving": theorem_4_7,
    "Remark 4.8": remark_4_8,
    "Eq. 8": equation_8,
    "Eq. 10": equation_10,
    "Eq. 11, opponents after": equation_11,
    "Section 5.2, shaping": section_5_2,
    "Eq. 12": equation_12,
    "Theorem 6.3, the proof's shaping": theorem_6_3,
    "Theorem 6.3, the proof's shaping and average": theorem_6_3_after,
    "Eq. 17": equation_17,
    "Theorem 6.5": theorem_6_5,
    "Theorem A.2, the proof's shaping": theorem_a_2,
    "Theorem A.3": theorem_a_3,
    "LfL Section 4.3": section_4_3,
}


@pytest.fixture(params=COUNTEREXAMPLES)
def name(request):
    return request.param


def test_both_sides_follow_by_hand_from_the_numbers_printed(name):
    counter = COUNTEREXAMPLES[name]()
    left, right = BY_HAND[name](parse(counter.text))
    assert counter.sides.left == pytest.approx(left, abs=1e-12)
    if right:
        assert counter.sides.right == pytest.approx(right, abs=1e-12)
    else:  # an equation, off by rounding at most
        assert 0 < counter.sides.right < 1e-8
    assert left > right + 1e-3
    assert not counter.sides.holds


def test_nothing_else_defines_the_game(name):
    """The same sides once more, from a game that is put together from the text alone."""
    counter = COUNTEREXAMPLES[name]()
    rebuilt = Prediction(*rebuild(parse(counter.text), counter.prediction.game.actions))
    again = Counterexample(counter.check, rebuilt).sides
    assert (again.left, again.right) == (counter.sides.left, counter.sides.right)


def rebuild(numbers, actions):
    leads = np.array(numbers.get("next states", [[1] * int(np.prod(actions))])) - 1
    single = "R" in numbers
    agents = [""] if single else [f"^{i}" for i in range(len(actions))]

    def rows(name):
        table = numbers[name]
        return [table] if len(leads) == 1 else table

    game = MarkovGame(
        actions=actions,
        transitions=leads,
        rewards=[rows("R" + i) for i in agents],
        start=0,
        gamma=numbers["gamma"],
    )
    guess = rows("guess") if "guess" in numbers else game.rewards[0]
    return game, [rows("pi" + i) for i in agents], 0, numbers["alpha"], guess


def test_a_text_tells_the_guess_only_where_it_is_wrong(name):
    has_guess = "guess" in parse(COUNTEREXAMPLES[name]().text)
    assert has_guess == (name.startswith(("Section 5.2", "Theorem 6", "Theorem A", "Eq. 17")))


def test_numbers_are_told_to_six_digits_and_states_counted_from_one():
    game = MarkovGame(
        actions=(2,),
        transitions=[[1, 0], [1, 1]],
        rewards=[[1 / 3, -2e-9]],
        start=1,
        gamma=0.25,
    )
    prediction = Prediction(game, [[[0.5, 0.5], [0.0, 1.0]]], 0, 1.5, game.rewards[0])
    assert describe(prediction) == (
        "gamma 0.25, alpha 1.5; next states ((2, 1), (2, 2)); R = (0.333333, -2e-09); "
        "pi = ((0.5, 0.5), (0, 1))"
    )


def test_a_reward_of_the_only_state_keeps_its_brackets():
    game = MarkovGame(actions=(2,), transitions=[[0, 0]], rewards=[[3.0]], start=0, gamma=0.0)
    text = describe(Prediction(game, [[[0.5, 0.5]]], 0, 1.0, game.rewards[0]))
    assert text == "gamma 0, alpha 1; R = (3); pi = (0.5, 0.5)"


def test_section_5_2_tells_the_g_that_its_check_takes():
    counter = COUNTEREXAMPLES["Section 5.2, shaping"]()
    assert tuple(_state_function(counter.prediction)) == parse(counter.text)["g"]


def test_a_policy_improves_as_a_game_was_made_for():
    policy, new, expected = [[0.3, 0.7], [1, 0]], [[0.2, 0.8], [0.6, 0.4]], [[0.9, 0.1], [0.5, 0.5]]
    made = _improving(policy, new, expected, next_states=[[1, 0], [0, 0]], gamma=0.7)
    np.testing.assert_allclose(np.exp(made.logs), new, rtol=1e-12)
    np.testing.assert_allclose(np.exp(made.logs + made.change), expected, rtol=1e-12)


@pytest.mark.parametrize("bound", sorted(attained()))
def test_corrected_bounds_are_attained(bound):
    sides = attained()[bound].sides
    nearly = 0.999 if bound == "T2, log ratios" else 1 - 1e-9
    assert nearly < sides.ratio < 1 + 1e-9
    assert sides.holds
    assert sides.left > 0.05


def test_an_attained_bound_comes_with_its_check():
    checks = {name: example.check for name, example in attained().items()}
    assert checks == {
        "T1, above": bounds.t1_above,
        "T1, below": bounds.t1_below,
        "T2": bounds.t2,
        "T2, log ratios": bounds.t2_ratios,
        "T3": bounds.t3,
        "T3, under pi": bounds.t3_before,
        "T4": bounds.t4,
    }


def test_without_rewards_a_policy_can_be_513_times_its_improvement():
    """The entropy that a visit to state 3 is worth: gamma ln 2 / (1 - gamma) = 9 ln 2.

    The proof of Theorem A.2 has no room for more than |A| e^0 = 2.
    """
    found = hidden_entropy()
    assert not found.game.rewards[0].any()
    ratio = found.policy / np.exp(found.logs)
    assert ratio.max() == pytest.approx(1 + 2**9, rel=1e-12)
    assert ratio.argmax() == 0
    n = parse(describe(found))
    assert n["next states"] == ((2, 3), (2, 2), (3, 3))
    assert n["pi"] == ((1, 0), (1, 0), (0.5, 0.5))
    value = n["alpha"] * math.log(2) / (1 - n["gamma"])
    assert 1 / softmax(0, n["gamma"] * value)[0] == pytest.approx(513, rel=1e-12)


def test_prisoners_lose_when_both_improve_and_gain_when_one_does():
    def value(mine, other):
        reward = {(1, 1): 3, (1, 0): 0, (0, 1): 5, (0, 0): 1}
        mean = sum(
            (mine if a else 1 - mine) * (other if b else 1 - other) * r
            for (a, b), r in reward.items()
        )
        return mean - sum(p * math.log(p) for p in (mine, 1 - mine))

    new = softmax(1.5, 3.0)[0]
    assert value(0.5, 0.5) == pytest.approx(2.943, abs=5e-4)
    assert value(new, new) == pytest.approx(1.989, abs=5e-4)
    assert value(new, 0.5) == pytest.approx(3.201, abs=5e-4)
    dilemma = prisoners_dilemma()
    np.testing.assert_allclose(np.exp(dilemma.logs), [[new, 1 - new]], rtol=1e-12)


def test_theorem_6_5_is_false_with_the_papers_alpha_and_gamma_as_well():
    far = far_sighted_reversal()
    n = parse(describe(far))
    assert (n["alpha"], n["gamma"]) == (3, 0.9)
    assert n["next states"] == ((1, 2), (1, 2))
    assert n["pi"] == ((1, 0), (0, 1))  # nobody leaves, so Q - Q' is (R - R') / (1 - gamma)
    assert n["R"] == ((10, 10.585),) * 2
    assert n["guess"] == ((11.2, 9.385),) * 2
    improvements = [
        softmax(0.0, (second - first) / (1 - n["gamma"]) / n["alpha"])
        for first, second in (n["R"][0], n["guess"][0])
    ]
    errors = [guess - r for guess, r in zip(n["guess"][0], n["R"][0], strict=True)]
    # 19 (1, 1) - (1, 2) + (2, 1) - 19 (2, 2) is 0 for every shaping: none does better than no one.
    rows = [[(s == k) - n["gamma"] * (t == k) for k in (0, 1)] for s in (0, 1) for t in (0, 1)]
    weights = [19, -1, 1, -19]
    for k in (0, 1):
        assert sum(w * r[k] for w, r in zip(weights, rows, strict=True)) == pytest.approx(0)
    assert errors == pytest.approx([1.2, -1.2])
    left, right = kl(*improvements), 1.2 * (1 / 0.3 + 2 * math.exp(-10 / 3))
    assert left > right + 0.001
    sides = bounds.theorem_6_5(far)
    assert (sides.left, sides.right) == pytest.approx((left, right), abs=1e-9)
    assert not sides.holds


def test_the_fainter_the_preference_the_further_off_theorem_6_3_is():
    ratios = [bounds.theorem_6_3(faint_preference(reward)).ratio for reward in (0.1, 0.01)]
    assert ratios[1] / ratios[0] == pytest.approx(10, rel=0.1)


def test_a_reversed_preference_has_the_alpha_that_it_is_given():
    assert reversed_preference((1.0, 0.0), (0.0, 1.0)).alpha == 1.0
    assert reversed_preference((1.0, 0.0), (0.0, 1.0), alpha=0.25).alpha == 0.25


def test_every_counterexample_was_gone_through():
    assert set(COUNTEREXAMPLES) == set(BY_HAND)
