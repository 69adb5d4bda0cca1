import by_hand
import naive
import numpy as np
import pytest
from by_hand import nudge, spoiled
from scipy.special import log_softmax

from malfl import MarkovGame
from malfl.games.soft import induced_mdp, joint_probabilities, soft_optimum, soft_q, soft_return
from malfl.theory.prediction import Prediction
from malfl.theory.random_games import random_predictions
from malfl.theory.statements import improvement
from malfl.theory.statements.counterexamples import prisoners_dilemma

TRUE = (
    improvement.definition_3_2,
    improvement.equation_1,
    improvement.equation_2,
    improvement.remark_3_8,
    improvement.definition_4_3,
    improvement.lemma_4_6,
    improvement.theorem_4_7,
    improvement.remark_4_8,
)


@pytest.mark.parametrize("check", TRUE)
def test_it_holds(check):
    for p in (*by_hand.among_others(), *by_hand.alone()):
        assert check(p).holds


def test_theorem_4_1_is_theorem_4_7_for_one_agent_and_says_nothing_about_more():
    assert all(improvement.theorem_4_1(p) is None for p in by_hand.among_others())
    for p in by_hand.alone():
        assert improvement.theorem_4_1(p) == improvement.theorem_4_7(p)


def test_an_equation_may_be_off_by_a_ten_thousand_millionth_of_its_size():
    assert improvement.equation(np.array([[0.0], [-0.9e-10]]), 1.0).holds
    assert not improvement.equation(np.array([[0.0], [-1.1e-10]]), 1.0).holds
    assert improvement.equation(1.1e-10, 2.0).holds
    assert not improvement.equation(-3e-10, 2.0).holds


def test_an_equation_counts_even_where_there_is_nothing_but_zeros():
    game = MarkovGame(actions=(1, 1), transitions=[[0]], rewards=[[0.0], [0.0]], start=0, gamma=0.5)
    p = Prediction(game, game.uniform_policies(), 0, 1.0, [0.0])
    for check in (improvement.equation_1, improvement.equation_2, improvement.lemma_4_6):
        assert check(p).ratio == 0  # and not NaN, which is left out of trials


# No check is unable to fail: each of these is handed something that is wrong, if by a millionth.

SPOILED = {
    "an agent's policy adds up to more than 1": (
        improvement.definition_3_2,
        lambda p: {"policies": (p.policies[0] * (1 + 1e-6), *p.policies[1:])},
    ),
    "the process that the agent faces once all have improved": (
        improvement.definition_4_3,
        lambda p: {"process": induced_mdp(p.game, by_hand.improved(p), p.agent)},
    ),
    "a process with slightly wrong rewards": (
        improvement.definition_4_3,
        lambda p: {"process": by_hand.changed(p.process, rewards=[nudge(p.process.rewards[0])])},
    ),
    "a process without a future": (
        improvement.definition_4_3,
        lambda p: {"process": by_hand.changed(p.process, gamma=0.0)},
    ),
    "slightly wrong soft Q": (improvement.lemma_4_6, lambda p: {"q": nudge(p.q)}),
    "soft Q once all have improved": (
        improvement.lemma_4_6,
        lambda p: {"q": by_hand.q(p, by_hand.improved(p))},
    ),
    "values that were slightly better before": (
        improvement.theorem_4_7,
        lambda p: {"q": by_hand.q(p, p.after) + 1e-6},
    ),
    "the greatest soft Q given the least probability": (
        improvement.remark_4_8,
        lambda p: {"logs": log_softmax(-p.q / p.alpha, axis=1)},
    ),
    "a tenth of the soft Q": (
        improvement.remark_4_8,
        lambda p: {"logs": log_softmax(p.q / p.alpha / 10, axis=1), "q": p.q + 10 * p.q},
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_it_fails_for(what):
    check, wrong = SPOILED[what]
    for p in by_hand.rich():
        assert not check(spoiled(p, **wrong(p))).holds
        assert check(spoiled(p)).holds


def test_definition_3_2_wants_a_single_policy_to_add_up_too():
    for p in by_hand.rich_alone():
        assert not improvement.definition_3_2(spoiled(p, policies=(p.policy * 1.000001,))).holds


@pytest.mark.parametrize("agent", [0, 1])
def test_definition_3_2_fails_if_one_agent_plays_its_actions_the_other_way_round(
    monkeypatch, agent
):
    def wrong(game, policies):
        turned = [p[:, ::-1] if i == agent else p for i, p in enumerate(policies)]
        return joint_probabilities(game, turned)

    monkeypatch.setattr(improvement, "joint_probabilities", wrong)
    assert not any(improvement.definition_3_2(p).holds for p in by_hand.rich())


WRONG_VALUES = {
    "gamma dropped": lambda game, alpha: (by_hand.changed(game, gamma=0.0), alpha),
    "gamma slightly wrong": lambda game, alpha: (
        by_hand.changed(game, gamma=game.gamma * (1 - 1e-6)),
        alpha,
    ),
    "alpha halved": lambda game, alpha: (game, alpha / 2),
    "alpha slightly wrong": lambda game, alpha: (game, alpha * (1 + 1e-6)),
    "rewards of the wrong sign": lambda game, alpha: (
        by_hand.changed(game, rewards=[-r for r in game.rewards]),
        alpha,
    ),
    "rewards of another agent": lambda game, alpha: (
        by_hand.changed(game, rewards=[*game.rewards[1:], game.rewards[0]]),
        alpha,
    ),
}


@pytest.mark.parametrize("what", WRONG_VALUES)
def test_an_equation_of_values_fails_with(monkeypatch, what):
    def wrong(game, policies, agent, alpha):
        game, alpha = WRONG_VALUES[what](game, alpha)
        return soft_return(game, policies, agent, alpha)

    monkeypatch.setattr(improvement, "soft_return", wrong)
    for p in by_hand.rich():
        assert not improvement.equation_1(p).holds
        game, alpha = WRONG_VALUES[what](p.game, p.alpha)
        other = spoiled(p, joint_q=soft_q(game, p.policies, p.agent, alpha))
        for check in (improvement.equation_2, improvement.remark_3_8, improvement.lemma_4_6):
            assert not check(other).holds
            assert check(p).holds


def test_sums_are_those_of_a_plain_iteration():
    for p in by_hand.rich():
        q = naive.soft_q(p.game, p.policies, p.agent, p.alpha)
        ahead = (p.game.transitions @ improvement._summed(p)).reshape(q.shape)
        found = p.game.joint_reward(p.agent) + p.game.gamma * ahead
        np.testing.assert_allclose(found, q, rtol=1e-9, atol=1e-9)


# The inequalities' own numbers.


def gains(p, now):
    """Soft Q before and now where the agent gains least, above the least possible."""
    before = by_hand.q(p)
    least = min(map(min, by_hand.joint_reward(p))) / (1 - p.game.gamma)
    _, s, a = max(
        (before[s, a] - now[s, a], s, a) for s in range(len(now)) for a in range(now.shape[1])
    )
    return before[s, a] - least, now[s, a] - least


def sides(bound):
    return pytest.approx((bound.left, bound.right), rel=1e-8, abs=1e-8)


def test_theorem_4_7_compares_soft_q_before_and_after_where_the_agent_gains_least():
    for p in (*by_hand.rich(), *by_hand.rich_alone()):
        after = list(p.policies)
        after[p.agent] = naive.improve(by_hand.q(p), p.alpha)
        assert gains(p, by_hand.q(p, after)) == sides(improvement.theorem_4_7(p))


def test_everyone_moving_compares_with_soft_q_after_everyone_has_improved():
    for p in by_hand.rich():
        bound = improvement.theorem_4_7_simultaneous(p)
        assert gains(p, by_hand.q(p, by_hand.improved(p))) == sides(bound)
        nobody = improvement.theorem_4_7_simultaneous(spoiled(p, everyone_after=p.policies))
        assert nobody.ratio == pytest.approx(1)


def test_at_the_optimum_there_is_nothing_to_gain_and_whatever_else_one_does_is_a_loss():
    for p in by_hand.rich_alone():
        best = soft_optimum(p.game, p.alpha, tolerance=1e-13).policy
        optimal = Prediction(p.game, [best], 0, p.alpha, p.guess)
        assert improvement.theorem_4_7(optimal).ratio == pytest.approx(1, abs=1e-10)
        for temper in (-1.0, 0.5, 2.0):
            other = spoiled(optimal, logs=log_softmax(temper * optimal.q / p.alpha, axis=1))
            assert not improvement.theorem_4_7(other).holds


@pytest.mark.parametrize("with_entropy", [True, False])
def test_remark_4_8_compares_the_improvement_with_others_in_the_state_of_least_room(with_entropy):
    check = improvement.remark_4_8 if with_entropy else improvement.remark_4_8_as_printed
    for p in (*by_hand.rich(), *by_hand.rich_alone()):
        found = by_hand.greedy_sides(p, p.alpha if with_entropy else 0.0)
        assert max(found, key=lambda pair: pair[0] - pair[1]) == sides(check(p))


# What is wrong as printed, and where it is right nevertheless.


def test_definition_4_3_misses_what_the_others_do_not_play():
    found = [improvement.definition_4_3_as_printed(p) for p in by_hand.among_others()]
    for p, bound in zip(by_hand.among_others(), found, strict=True):
        rare = [
            np.prod([min(x[s]) for j, x in enumerate(p.policies) if j != p.agent])
            for s in range(p.game.n_states)
        ]
        assert bound.left == pytest.approx(1 - min(rare), abs=1e-12)
    assert 0.5 < np.mean([not bound.holds for bound in found]) < 1


def test_definition_4_3_is_right_as_printed_for_others_without_a_choice():
    for p in random_predictions(50, seed=5):
        others = [n for i, n in enumerate(p.game.actions) if i != p.agent]
        assert improvement.definition_4_3_as_printed(p).holds == (max(others) == 1)


def test_everyone_moving_hurts_in_some_games():
    hurt = [not improvement.theorem_4_7_simultaneous(p).holds for p in by_hand.among_others()]
    assert 0.1 < np.mean(hurt) < 0.9


def test_others_without_rewards_who_play_evenly_do_not_move_and_hurt_nobody():
    for p in by_hand.among_others():
        assert improvement.theorem_4_7_simultaneous(at_rest(p)).holds
        assert not any(improvement.worse_off(at_rest(p))[:2])


def at_rest(p):
    rewards = [r if i == p.agent else np.zeros_like(r) for i, r in enumerate(p.game.rewards)]
    policies = [
        own if i == p.agent else np.full_like(own, 1 / own.shape[1])
        for i, own in enumerate(p.policies)
    ]
    game = by_hand.changed(p.game, rewards=rewards)
    return Prediction(game, policies, p.agent, p.alpha, p.guess)


def test_without_the_entropy_the_improvement_is_not_greedy_unless_all_actions_are_worth_the_same():
    for games in (by_hand.among_others(), by_hand.alone()):
        wrong = [not improvement.remark_4_8_as_printed(p).holds for p in games]
        flat = [np.ptp(p.q, axis=1).max() < 1e-12 for p in games]
        assert not (np.array(wrong) & flat).any()
        assert any(flat)
        assert 0.5 < np.mean(wrong) < 1


@pytest.mark.parametrize(
    "check", [improvement.definition_4_3_as_printed, improvement.theorem_4_7_simultaneous]
)
def test_what_is_about_others_says_nothing_about_one_agent(check):
    assert all(check(p) is None for p in by_hand.alone())
    assert all(check(p) is not None for p in by_hand.among_others())


# Who loses.


def test_prisoners_all_lose_everywhere():
    assert improvement.worse_off(prisoners_dilemma()) == (True, True, True)


def test_nobody_loses_where_all_want_the_same():
    both = [[4.0, 2.0, 1.0, 0.0]]
    game = MarkovGame(
        actions=(2, 2), transitions=[[0] * 4], rewards=[both, both], start=0, gamma=0.5
    )
    for agent in (0, 1):
        p = Prediction(game, game.uniform_policies(), agent, 1.0, both)
        assert improvement.worse_off(p) == (False, False, False)


def test_one_who_loses_alone_does_not_make_all_lose():
    """The second is taken advantage of: it gains whatever it plays, and the first decides."""
    game = MarkovGame(
        actions=(2, 1),
        transitions=[[0, 0]],
        rewards=[[[1.0, 0.0]], [[0.0, 3.0]]],
        start=0,
        gamma=0.0,
    )
    first, second = (
        improvement.worse_off(Prediction(game, game.uniform_policies(), i, 1.0, [0.0]))
        for i in (0, 1)
    )
    assert first == (False, False, False)
    assert second == (True, True, False)


def test_losing_is_told_as_a_plain_iteration_tells_it():
    small = random_predictions(150, seed=7, agents=(2, 2), states=(1, 2), gammas=(0.0, 0.3))
    for p in (*by_hand.rich(), *by_hand.rich_alone(), *small):
        after = by_hand.improved(p)
        now = by_hand.values(p, after)
        drops = [
            [y < x - 1e-8 for x, y in zip(*pair, strict=True)]
            for pair in zip(by_hand.values(p, p.policies), now, strict=True)
        ]
        some = (by_hand.q(p, after) < by_hand.q(p) - 1e-8).any()
        expected = (some, all(drops[p.agent]), all(map(all, drops)))
        assert improvement.worse_off(p) == expected


def test_some_soft_q_drops_just_where_theorem_4_7_fails_for_everyone_moving():
    found = [improvement.worse_off(p) for p in by_hand.among_others()]
    for p, (some, everywhere, everyone) in zip(by_hand.among_others(), found, strict=True):
        assert some != improvement.theorem_4_7_simultaneous(p).holds
        assert everywhere >= everyone
    assert len(set(found)) > 2


def test_nobody_loses_alone():
    assert {improvement.worse_off(p) for p in by_hand.alone()} == {(False, False, False)}
