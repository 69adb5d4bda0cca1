import functools
import math

import by_hand
import naive
import numpy as np
import pytest
from by_hand import nudge, spoiled
from scipy.special import log_softmax, logsumexp

from malfl import MarkovGame
from malfl.games.soft import induced_mdp, soft_optimum, soft_q
from malfl.recovery.policies import entropy_regularised
from malfl.recovery.targets import improvement_targets
from malfl.theory.prediction import Prediction
from malfl.theory.random_games import random_predictions
from malfl.theory.statements import improvement, inversion

TRUE = (
    inversion.lemma_4_9,
    inversion.lfl_lemma_1,
    inversion.lfl_lemma_1_forward,
    inversion.lfl_lemma_1_backward,
    inversion.lfl_theorem_1,
    inversion.lfl_theorem_1_optimum,
    inversion.theorem_5_1,
    inversion.lfl_theorem_2,
    inversion.lfl_theorem_2_optimum,
    inversion.equation_10,
)


@pytest.mark.parametrize("check", TRUE)
def test_it_holds(check):
    for p in (*by_hand.among_others(), *by_hand.alone()):
        assert check(p).holds


def test_remark_5_2_is_theorem_5_1_where_everyone_moving_hurts_the_agent():
    found = [inversion.remark_5_2(p) for p in by_hand.among_others()]
    for p, bound in zip(by_hand.among_others(), found, strict=True):
        hurt = not improvement.theorem_4_7_simultaneous(p).holds
        assert bound == (inversion.theorem_5_1(p) if hurt else None)
    assert any(bound is not None for bound in found)
    assert all(inversion.remark_5_2(p) is None for p in by_hand.alone())


# No check is unable to fail: each of these is handed something that is wrong, if by a millionth.


def after(p):
    """The process that the agent faces once all have improved."""
    return {"process": induced_mdp(p.game, by_hand.improved(p), p.agent)}


def backwards(p):
    return {"logs": log_softmax(-p.q / p.alpha, axis=1)}


def timid(p):
    return {"logs": log_softmax(p.q / p.alpha / 2, axis=1)}


def short_sighted(p):
    return {"logs": log_softmax(p.process.rewards[0] / p.alpha, axis=1)}


def slightly(name):
    return lambda p: {name: nudge(getattr(p, name))}


def discounted_otherwise(p):
    process = by_hand.changed(p.process, gamma=p.game.gamma / 2)
    return {"process": process, "optimum": soft_optimum(process, p.alpha).policy}


def halfway(p):
    """For the optimum, the first improvement on the way to it."""
    return {"optimum": np.exp(p.logs)}


def half_the_entropy(p):
    return {"q": soft_q(p.process, (p.policy,), 0, p.alpha / 2)}


SPOILED = [
    (inversion.lemma_4_9, (backwards, timid, short_sighted, slightly("logs"))),
    (inversion.lfl_lemma_1_forward, (half_the_entropy, slightly("q"), after)),
    (inversion.lfl_lemma_1_backward, (half_the_entropy, slightly("q"), after)),
    (inversion.lfl_theorem_1_optimum, (discounted_otherwise, halfway)),
    (
        inversion.theorem_5_1,
        (backwards, timid, short_sighted, slightly("logs"), slightly("q"), half_the_entropy, after),
    ),
    (
        inversion.lfl_theorem_2_optimum,
        (backwards, timid, short_sighted, slightly("logs"), after, discounted_otherwise, halfway),
    ),
]


@pytest.mark.parametrize(
    ("check", "wrong"), [(check, wrong) for check, ways in SPOILED for wrong in ways]
)
def test_it_fails_for(check, wrong):
    for p in by_hand.rich():
        assert not check(spoiled(p, **wrong(p))).holds
        assert check(spoiled(p)).holds


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        (inversion.lfl_lemma_1, (inversion.lfl_lemma_1_forward, inversion.lfl_lemma_1_backward)),
        (inversion.lfl_theorem_1, (inversion.lemma_4_9, inversion.lfl_theorem_1_optimum)),
        (inversion.lfl_theorem_2, (inversion.theorem_5_1, inversion.lfl_theorem_2_optimum)),
    ],
)
def test_what_has_two_parts_is_as_bad_as_the_worse(whole, parts):
    for p in by_hand.rich():
        for wrong in (lambda p: {}, halfway, slightly("q"), slightly("logs")):
            other = spoiled(p, **wrong(p))
            found = [part(other) for part in parts]
            assert whole(other) in found
            assert whole(other).ratio == max(bound.ratio for bound in found)


def test_remark_5_2_fails_for_a_wrong_improvement():
    hurt = [p for p in by_hand.among_others() if inversion.remark_5_2(p) is not None]
    assert sum(inversion.remark_5_2(spoiled(p, **backwards(p))).holds for p in hurt) < len(hurt) / 4


@pytest.mark.parametrize("lambda_", [0.2, 0.45])
def test_equation_10_fails_for_the_maximum_of_another_lambda(monkeypatch, lambda_):
    wrong = functools.partial(entropy_regularised, lambda_=lambda_)
    monkeypatch.setattr(inversion, "entropy_regularised", wrong)
    tried = [inversion.equation_10(p).holds for p in by_hand.rich()]
    assert not all(tried)


def test_equation_10_fails_for_what_was_played(monkeypatch):
    shares = lambda counts: counts / counts.sum()  # noqa: E731
    monkeypatch.setattr(inversion, "entropy_regularised", shares)
    assert not any(inversion.equation_10(p).holds for p in by_hand.rich())


# The parts that they are made of.


def test_the_right_hand_side_of_eq_7_is_the_target_that_rewards_are_recovered_from():
    for p in (*by_hand.rich(), *by_hand.rich_alone()):
        history = [np.array(pair) for pair in zip(p.policies, by_hand.improved(p), strict=True)]
        (expected,) = improvement_targets(p.game, history, p.agent, p.alpha)
        np.testing.assert_allclose(inversion._target(p), expected, rtol=1e-9, atol=1e-9)


def test_theorem_5_1_says_that_a_target_is_the_reward_shaped_by_minus_alpha_ln_z():
    for p in (*by_hand.rich(), *by_hand.rich_alone()):
        q = by_hand.q(p)
        g = [-p.alpha * by_hand.log_sum_exp(*(x / p.alpha for x in row)) for row in q]
        next_states, _ = naive.plain(p.game)
        reward = by_hand.joint_reward(p)
        joint = [
            [
                reward[s][a] + g[s] - p.game.gamma * sum(o * g[t] for o, t in next_states[s][a])
                for a in range(p.game.n_joint_actions)
            ]
            for s in range(p.game.n_states)
        ]
        shaped = naive.over_opponents(p.game, p.policies, p.agent, joint)
        np.testing.assert_allclose(inversion._target(p), shaped, rtol=1e-9, atol=1e-9)


def test_q_with_new_actions_is_that_of_a_plain_fixed_point():
    for p in (*by_hand.rich()[:6], *by_hand.rich_alone()[:6]):
        found = inversion.new_action_q(p)
        np.testing.assert_allclose(found, by_hand.new_action_q(p), rtol=1e-9, atol=1e-9)


# What is wrong as printed, and where it is right nevertheless.


def violated(check, games):
    return np.mean([not check(p).holds for p in games])


@pytest.mark.parametrize(
    "check",
    [
        inversion.section_5_2_shaping,
        inversion.equation_5_new_actions,
        inversion.equation_11_after,
        inversion.equation_12,
    ],
)
def test_it_is_violated_in_many_games_and_in_every_one_without_special_cases(check):
    assert 0.4 < violated(check, by_hand.among_others()) < 1
    assert violated(check, by_hand.rich()) == 1


@pytest.mark.parametrize("check", [inversion.section_5_2_shaping, inversion.equation_5_new_actions])
def test_it_is_violated_by_single_agents_too(check):
    assert 0.4 < violated(check, by_hand.alone()) < 1
    assert violated(check, by_hand.rich_alone()) == 1


@pytest.mark.parametrize("check", [inversion.lemma_4_9, inversion.section_5_2_shaping])
def test_improvements_are_compared_for_a_reward_and_one_plus_g_less_what_g_is_expected_to_be(
    monkeypatch, check
):
    seen = []
    monkeypatch.setattr(inversion, "equation", lambda off, size: seen.append(off))
    for p in (*by_hand.rich()[:4], *by_hand.rich_alone()[:4]):
        g = p.q_error.mean(axis=1) + p.alpha
        check(p)
        factor = p.game.gamma if check is inversion.lemma_4_9 else 1.0
        ahead = (p.game.transitions @ g).reshape(p.game.n_states, -1)
        rewards = [p.game.joint_reward(i) for i in range(p.game.n_agents)]
        rewards[p.agent] = rewards[p.agent] + g[:, None] - factor * ahead
        shaped = Prediction(
            by_hand.changed(p.game, rewards=rewards), p.policies, p.agent, p.alpha, p.guess
        )
        logs = [np.log(by_hand.improved(one)[p.agent]) for one in (shaped, p)]
        np.testing.assert_allclose(seen.pop(), logs[0] - logs[1], atol=1e-9)


def variants(**ranges):
    return list(random_predictions(40, seed=6, **ranges))


def test_shapings_without_gamma_are_right_where_no_state_is_left():
    held = [inversion.section_5_2_shaping(p).holds for p in variants(states=(1, 1))]
    assert all(held)


def test_next_actions_make_no_difference_without_a_future():
    assert violated(inversion.equation_5_new_actions, variants(gammas=(0.0,))) == 0


def test_next_actions_make_no_difference_at_the_optimum():
    for p in by_hand.rich_alone():
        best = soft_optimum(p.game, p.alpha, tolerance=1e-13).policy
        fixed = Prediction(p.game, [best], 0, p.alpha, p.guess)
        assert inversion.equation_5_new_actions(fixed).left < 1e-9


def test_when_opponents_move_makes_no_difference_without_a_future():
    assert violated(inversion.equation_11_after, variants(gammas=(0.0,))) == 0


def test_eq_11_is_right_with_the_opponents_of_before():
    for p in by_hand.rich():
        assert inversion.equation_11_after(spoiled(p, everyone_after=p.policies)).holds


def test_when_opponents_move_makes_no_difference_if_they_do_not():
    for p in by_hand.rich():
        rewards = [r if i == p.agent else np.zeros_like(r) for i, r in enumerate(p.game.rewards)]
        policies = [
            own if i == p.agent else np.full_like(own, 1 / own.shape[1])
            for i, own in enumerate(p.policies)
        ]
        game = by_hand.changed(p.game, rewards=rewards)
        still = Prediction(game, policies, p.agent, p.alpha, p.guess)
        assert inversion.equation_11_after(still).holds


@pytest.mark.parametrize("agent", [0, 1])
def test_eq_12_is_right_for_agents_whose_affairs_are_their_own(agent):
    """Reward and next state, a certain one, are a matter of one's own action."""
    for p in variants(agents=(1, 1), states=(2, 5), gammas=(0.6, 0.9), spreads=(0.0,)):
        states, own = p.policy.shape
        joint = np.arange(states * own).reshape(states, own)
        joint = np.tile(joint, 2) if agent else np.repeat(joint, 2, axis=1)
        game = MarkovGame(
            actions=(2, own) if agent else (own, 2),
            transitions=p.game.transitions[joint.ravel()],
            rewards=[p.game.joint_reward(0).ravel()[joint]] * 2,
            start=0,
            gamma=p.game.gamma,
        )
        bystander = np.full((states, 2), 0.5)
        policies = [bystander, p.policy] if agent else [p.policy, bystander]
        beside = Prediction(game, policies, agent, p.alpha, game.rewards[agent])
        assert inversion.equation_12(beside).holds


def test_eq_12_is_wrong_where_only_next_states_depend_on_a_bystander():
    """The true reward is nothing at all, and what a state leads to is drawn by the other."""
    for gamma, holds in ((0.0, True), (0.5, False)):
        game = MarkovGame(
            actions=(2, 2),
            transitions=[[0, 1, 1, 0], [1, 1, 0, 1]],
            rewards=[np.zeros((2, 4))] * 2,
            start=0,
            gamma=gamma,
        )
        policies = [[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.4, 0.6]]]
        assert inversion.equation_12(Prediction(game, policies, 0, 1.0, [0.0, 0.0])).holds == holds


def test_eq_8_is_wrong_unless_the_reward_is_the_one_that_is_recovered():
    for p in (*by_hand.rich(), *by_hand.rich_alone()):
        assert not inversion.equation_8(p).holds
        g = -p.alpha * logsumexp(p.q / p.alpha, axis=1)
        ahead = (p.game.transitions @ g).reshape(p.game.n_states, -1)
        rewards = [p.game.joint_reward(i) for i in range(p.game.n_agents)]
        rewards[p.agent] = rewards[p.agent] + g[:, None] - p.game.gamma * ahead
        shaped = by_hand.changed(p.game, rewards=rewards)
        assert inversion.equation_8(Prediction(shaped, p.policies, p.agent, p.alpha, p.guess)).holds


def test_eq_10_as_printed_prefers_to_give_up_what_was_played_unless_there_is_no_choice():
    for games in (by_hand.among_others(), by_hand.alone()):
        for p in games:
            choice = p.policy.shape[1] > 1
            assert inversion.equation_10_as_printed(p).holds != choice


def test_eq_5_fails_for_next_actions_of_the_improvement():
    for p in (*by_hand.rich(), *by_hand.rich_alone()):
        assert inversion.equation_5(p).holds
        assert not inversion.equation_5(spoiled(p, q=inversion.new_action_q(p))).holds
        assert not inversion.equation_5(spoiled(p, q=nudge(p.q))).holds


def test_eq_10_compares_regularised_likelihoods():
    for p in by_hand.rich():
        played = p.policy[0]

        def likelihood(policy, played=played):
            both = zip(policy, played, strict=True)
            return math.prod(x ** (share - 0.3 * x) for x, share in both)

        best = max(likelihood(policy) for policy in (played, np.full(len(played), 1 / len(played))))
        bound = inversion.equation_10(p)
        assert bound.left >= best * (1 - 1e-5)
        assert bound.left <= bound.right
        assert bound.right == pytest.approx(
            likelihood(entropy_regularised(1e6 * played // 1)), 1e-4
        )


def test_rewards_of_the_state_are_open_in_as_many_directions_as_a_rank_says():
    certain = [p for p in by_hand.alone() if p.game.is_deterministic]
    found = [inversion.lfl_section_4_3(p) for p in certain]
    for p, bound in zip(certain, found, strict=True):
        assert (bound.left, bound.right) == (by_hand.hidden_rewards(p.game), 1)
    assert 0.1 < np.mean([not bound.holds for bound in found]) < 0.9


def test_only_the_constant_is_open_where_every_state_is_a_step_away():
    game = MarkovGame(
        actions=(3,),
        transitions=[[0, 1, 2]] * 3,
        rewards=[[1.0, 2.0, 3.0]],
        start=0,
        gamma=0.9,
    )
    p = Prediction(game, game.uniform_policies(), 0, 1.0, game.rewards[0])
    assert inversion.lfl_section_4_3(p).holds


def test_lfl_section_4_3_is_about_one_agent_and_certain_next_states():
    assert all(inversion.lfl_section_4_3(p) is None for p in by_hand.among_others())
    for p in by_hand.alone():
        assert (inversion.lfl_section_4_3(p) is None) != p.game.is_deterministic


@pytest.mark.parametrize("check", [inversion.equation_11_after, inversion.equation_12])
def test_what_is_about_others_says_nothing_about_one_agent(check):
    assert all(check(p) is None for p in by_hand.alone())
    assert all(check(p) is not None for p in by_hand.among_others())
