from dataclasses import replace
from functools import cache

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

import malfl
from malfl import MarkovGame, Observation, correlation, learn, recover
from malfl.estimation import PolicyEstimates, estimate_policies
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery import course
from malfl.recovery.course import MODELS, model_of, recover_from_course
from malfl.recovery.diagnostics import NothingToLearnError

ALPHA, BETA = 0.7, 0.3


def a_game(actions=(4,), states=8, reward=None, seed=3):
    game = random_game(np.random.default_rng(seed), actions, states, state_rewards=True)
    return game if reward is None else with_rewards(game, [reward])


def with_rewards(game, rewards):
    return MarkovGame(
        actions=game.actions, transitions=game.transitions, rewards=rewards, start=game.start,
        gamma=game.gamma,
    )  # fmt: skip


@cache
def logged(learner, game=None, seed=0, iterations=6, episodes=600):
    """Agents who all learn alike."""
    return learn(
        game or a_game(), learner, alpha=ALPHA, beta=BETA, evaluation="exact",
        iterations=iterations, episodes=episodes, steps=50, record=True, seed=seed,
    )  # fmt: skip


def by_course(seen, learner=None, of=0, **options):
    return recover(seen, of=of, method="course", learner=learner, beta=BETA, **options)


def true_policies(log):
    return PolicyEstimates(tuple(p[:-1] for p in log.policies), log.counts.sum(axis=2))


def model_and_counts(log, learner, of=0):
    seen = log.observed_by(None)
    model = model_of(learner, seen, of, estimate_policies(seen), BETA)
    return model, seen.own_counts(of)[1:]


@pytest.mark.parametrize("learner", MODELS)
def test_the_learner_and_its_reward_are_found(learner):
    log = logged(learner)
    found = by_course(log.observed_by(None))
    assert found.learner == learner
    assert correlation(found, log.game.rewards[0]).pearson > 0.999
    assert 0.6 < found.misfit < 1.4  # 112 numbers: standard deviation .13
    assert found.convergence.converged
    assert found.reward_class == "state"
    assert found.unvisited.shape == (0, 2)
    named = by_course(log.observed_by(None), learner)
    np.testing.assert_array_equal(found.values, named.values)
    for other in set(MODELS) - {learner}:
        wrong = by_course(log.observed_by(None), other)
        assert wrong.learner == other
        assert wrong.misfit > 20
        assert wrong.convergence.loss > found.convergence.loss


@pytest.mark.parametrize("learner", MODELS)
@pytest.mark.parametrize("observer", [None, 0, 1])
def test_learners_among_others_are_read_by_others_and_by_bystanders(learner, observer):
    game = a_game((3, 2), 5)
    log = logged(learner, game)
    seen = log.observed_by(observer)
    for agent in {0, 1} - {observer}:
        found = by_course(seen, of=agent)
        assert found.learner == learner
        assert correlation(found, game.rewards[agent]).pearson > 0.995
        assert found.misfit < 2.2


def test_among_different_learners_each_is_told_from_the_others():
    game = a_game((3, 2), 5)
    log = learn(
        game, MODELS[1:], alpha=ALPHA, beta=BETA, iterations=6, episodes=600, steps=50,
        record=True, seed=0,
    )  # fmt: skip
    for agent in (0, 1):
        assert by_course(log.observed_by(None), of=agent).learner == MODELS[1 + agent]


def test_the_grid_of_lfl():
    """Its traps are hardly looked at once they are known, which leaves little of the prior."""
    lfl = malfl.gridworlds.lfl()
    log = learn(lfl, alpha=0.3, iterations=6, evaluation="exact", episodes=300, steps=200, seed=0)
    found = recover(log.observed_by(None), of=0, method="course", unvisited="omit", prior=40)
    assert found.learner == "soft policy iteration"
    assert correlation(found, lfl.rewards[0]).pearson > 0.99
    assert found.misfit < 1.3


def test_the_step_size_of_q_learning_matters():
    seen = logged("Q-learning").observed_by(None)
    right, wrong = (
        recover(seen, of=0, method="course", learner="Q-learning", beta=b) for b in (BETA, 0.1)
    )
    assert right.misfit < 1.4
    assert wrong.misfit > 3
    default = recover(seen, of=0, method="course", learner="Q-learning")
    np.testing.assert_array_equal(default.values, wrong.values)


def test_without_trajectories_q_learning_is_left_out():
    seen = replace(logged("Q-learning").observed_by(None), trajectories=None)
    found = by_course(seen)
    assert found.learner in MODELS[:2]
    assert found.misfit > 20
    with pytest.raises(ValueError, match=r"seen has no trajectories .* record=True"):
        by_course(seen, "Q-learning")


@pytest.mark.parametrize("learner", MODELS)
@pytest.mark.parametrize(
    "times",
    [
        0.25,
        8.0,
        2.0**20,
    ],
)
def test_alpha_is_the_scale_of_what_comes_back(learner, times):
    seen = logged(learner).observed_by(None)
    once = by_course(seen, learner)
    more = by_course(replace(seen, alpha=times * ALPHA), learner)
    np.testing.assert_allclose(more.values, times * once.values, rtol=0, atol=times * 1e-4)
    np.testing.assert_allclose(more.deviation, times * once.deviation, rtol=1e-3)
    assert more.misfit == pytest.approx(once.misfit, rel=1e-5)


def objective(model, counts, reward, deviation):
    logits, _ = model(reward)
    return naive.log_likelihood(counts, logits) - 0.5 * (reward @ reward) / deviation**2


@pytest.mark.parametrize("learner", MODELS)
@pytest.mark.parametrize("prior", [10.0, 0.5])
def test_what_is_found_is_the_likeliest_reward(learner, prior):
    """Slopes of an oracle's likelihood and prior there, relative to those at zero."""
    log = logged(learner, a_game((3,), 4), iterations=4)
    model, counts = model_and_counts(log, learner)
    found = by_course(log.observed_by(None), learner, prior=prior)
    assert found.convergence.converged

    def slopes(reward):
        return np.array(
            [
                objective(model, counts, reward + step, prior * ALPHA)
                - objective(model, counts, reward - step, prior * ALPHA)
                for step in 1e-5 * np.eye(len(reward))
            ]
        )

    start = np.abs(slopes(np.full(4, 0.1))).max()
    assert np.abs(slopes(found.values)).max() < 1e-4 * start
    here = objective(model, counts, found.values, prior * ALPHA)
    for step in 0.02 * np.vstack([np.eye(4), -np.eye(4)]):
        assert objective(model, counts, found.values + step, prior * ALPHA) < here


def test_a_narrow_prior_pulls_towards_zero():
    seen = logged(MODELS[0], episodes=60).observed_by(None)
    sizes = [
        np.abs(by_course(seen, MODELS[0], prior=prior, unvisited="omit").values).max()
        for prior in (0.001, 0.1, 10)
    ]
    assert sizes[0] < 0.001 * ALPHA * 2
    assert sizes[0] < 0.1 * sizes[1]
    assert sizes[1] < 0.7 * sizes[2]


@pytest.mark.parametrize("learner", MODELS)
def test_loss_and_misfit_are_the_oracles(learner):
    log = logged(learner)
    model, counts = model_and_counts(log, learner)
    for guess in MODELS:
        found = by_course(log.observed_by(None), guess)
        model, _ = model_and_counts(log, guess)
        logits, _ = model(found.values)
        likelihood = naive.log_likelihood(counts, logits)
        assert found.convergence.loss == pytest.approx(-likelihood, rel=1e-10)
        deviance, numbers = naive.deviance(counts, logits)
        assert found.misfit == pytest.approx(deviance / (numbers - 8), rel=1e-6)


@pytest.mark.parametrize("learner", MODELS)
def test_deviations_are_those_of_the_information(learner):
    log, prior = logged(learner), 0.3
    model, counts = model_and_counts(log, learner)
    found = by_course(log.observed_by(None), learner, prior=prior)
    logits, slopes = model(found.values)
    information = naive.multinomial_information(counts, logits, slopes)
    covariance = np.linalg.inv(information + np.eye(8) / (prior * ALPHA) ** 2)
    without_mean = np.eye(8) - 1 / 8
    expected = np.sqrt(np.diag(without_mean @ covariance @ without_mean))
    np.testing.assert_allclose(found.deviation, expected, rtol=1e-6)
    roots = np.sqrt(np.linalg.eigvalsh(information)[1:])
    determined = found.determination
    assert (determined.unknowns, determined.rank, determined.free) == (8, 7, 1)
    assert determined.smallest_singular_value == pytest.approx(roots[0], rel=1e-6)
    assert determined.largest_singular_value == pytest.approx(roots[-1], rel=1e-6)


@pytest.mark.parametrize("learner", MODELS)
def test_rewards_are_off_by_as_much_as_they_are_said_to_be(learner):
    """Over many games; with 150 numbers the mean square strays by a tenth or so."""
    off, misfits = [], []
    for seed in range(30):
        game = a_game((3,), 6, seed=seed)
        log = logged(learner, game, seed=seed, iterations=4, episodes=200)
        found = by_course(log.observed_by(None), learner, policies=true_policies(log))
        error = found.values - game.rewards[0]
        off.append((error - error.mean()) / found.deviation)
        misfits.append(found.misfit)
    # The mean is put aside: five of six are free.
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(1, abs=0.2)
    assert np.mean(misfits) == pytest.approx(1, abs=0.15)


def test_who_gets_worse_is_like_no_learner():
    """The policies of a learner in reverse: no reward explains them, and the result says so."""
    game = a_game()
    policies = iterate_exactly(game, alpha=ALPHA, iterations=5)[0][::-1]
    rng = np.random.default_rng(0)
    played = tuple(
        malfl.sample_trajectories(game, [policy], episodes=600, steps=50, seed=rng)
        for policy in policies
    )
    counts = [naive.joint_counts(game, part.states, part.actions) for part in played]
    seen = Observation(
        observer=None, dynamics=game.without_rewards(), alpha=ALPHA, counts=np.array(counts),
        own_policies=None, trajectories=played,
    )  # fmt: skip
    for learner in (None, *MODELS):
        assert by_course(seen, learner).misfit > 20


def without_a_way_to_the_last(states=6):
    """A game whose last state nobody gets to."""
    rng = np.random.default_rng(0)
    transitions = np.zeros((states, 3, states))
    transitions[..., :-1] = rng.dirichlet(np.full(states - 1, 0.7), size=(states, 3))
    return MarkovGame(
        actions=(3,), transitions=transitions, rewards=[rng.normal(size=states)], start=0,
        gamma=0.8,
    )  # fmt: skip


@pytest.mark.parametrize("learner", MODELS)
def test_what_no_policy_depends_on_is_unknown(learner):
    game = without_a_way_to_the_last()
    log = logged(learner, game)
    with pytest.raises(ValueError, match="state 5 was not visited in iteration 0, one of 6"):
        by_course(log.observed_by(None), learner)
    found = by_course(log.observed_by(None), learner, unvisited="omit")
    np.testing.assert_array_equal(np.isnan(found.values), np.arange(6) == 5)
    np.testing.assert_array_equal(np.isnan(found.deviation), np.arange(6) == 5)
    assert found.determination.unknowns == 5
    assert correlation(found, game.rewards[0]).pearson > 0.999
    assert found.misfit < 1.6
    np.testing.assert_array_equal(found.unvisited, [[h, 5] for h in range(6)])


@pytest.mark.parametrize("learner", MODELS[:2])
def test_rounds_in_which_a_state_was_not_seen_do_no_harm(learner):
    log = logged(learner)
    seen = log.observed_by(None)
    counts = seen.counts.copy()
    counts[2, 3] = counts[4, 1] = counts[0, 2] = 0
    gaps = replace(seen, counts=counts, trajectories=None)
    with pytest.raises(ValueError, match="state 2 was not visited in iteration 0, one of 3"):
        by_course(gaps, learner)
    found = by_course(gaps, learner, unvisited="omit")
    np.testing.assert_array_equal(found.unvisited, [[0, 2], [2, 3], [4, 1]])
    assert correlation(found, log.game.rewards[0]).pearson > 0.999
    logits, _ = model_of(learner, gaps, 0, estimate_policies(gaps), BETA)(found.values)
    deviance, numbers = naive.deviance(gaps.own_counts(0)[1:], logits)
    assert numbers == (5 * 8 - 2) * 3
    assert found.misfit == pytest.approx(deviance / (numbers - 8), rel=1e-6)
    assert found.misfit < 1.5


def test_cut_short_is_said(monkeypatch):
    seen = logged(MODELS[0]).observed_by(None)
    whole = by_course(seen, MODELS[0]).convergence
    assert whole.converged
    assert whole.steps > 1
    monkeypatch.setattr(course, "MOST_STEPS", 1)
    short = by_course(seen, MODELS[0]).convergence
    assert not short.converged
    assert short.steps == 1
    assert short.gradient > whole.gradient


def test_as_many_numbers_as_were_seen_leave_no_misfit():
    """A coin in one state of two: both say the same."""
    slopes = np.zeros((1, 2, 2, 2))
    slopes[0, :, 0] = np.eye(2)
    counts = np.array([[[30.0, 10.0], [5.0, 15.0]]])
    found = recover_from_course(lambda r: (slopes @ r, slopes), counts, 1.0, prior=1e4)
    np.testing.assert_allclose(found.values, np.log([3, 1 / 3]), atol=1e-4)
    assert np.isnan(found.misfit)


def test_a_state_that_matters_only_where_nothing_was_seen_is_unknown():
    slopes = np.zeros((2, 4, 3, 4))
    slopes[0] = np.random.default_rng(0).normal(size=(4, 3, 4)) * [1, 1, 1, 0]
    slopes[1, 2, 0, 3] = 1.0
    counts = np.random.default_rng(1).integers(20, 40, size=(2, 4, 3)) * 1.0
    for unseen in (False, True):
        counts[1, 2] *= not unseen
        found = recover_from_course(lambda r: (slopes @ r, slopes), counts, 1.0)
        np.testing.assert_array_equal(np.isnan(found.values), [False, False, False, unseen])
        assert found.determination.unknowns == 4 - unseen


def test_a_state_that_matters_for_some_rewards_is_known():
    """At zero, or where the search ends, one of the two is enough."""

    def product(r):
        return np.array([[[r[0], 0], [r[0] * r[1], 0]]]), np.array(
            [[[[1.0, 0], [0, 0]], [[r[1], r[0]], [0, 0]]]]
        )

    def until_one(r):
        now = float(r[0] < 1)
        return np.array([[[r[0], 0], [now * r[1], 0]]]), np.array(
            [[[[1.0, 0], [0, 0]], [[0, now], [0, 0]]]]
        )

    counts = np.array([[[60.0, 20.0], [40.0, 20.0]]])
    found = recover_from_course(product, counts, 1.0, prior=1e3).values
    np.testing.assert_allclose(found, np.log([3, 2]) / [1, np.log(3)], atol=1e-4)
    counts[0, 1] = 30.0
    found = recover_from_course(until_one, counts, 1.0, prior=1e3).values
    np.testing.assert_allclose(found, [np.log(3), 0], atol=1e-4)


@pytest.mark.parametrize("learner", MODELS)
def test_without_a_future_a_reward_of_the_state_moves_nothing(learner):
    """A reward of the action may have moved what was seen."""
    game = random_game(np.random.default_rng(0), (3,), 4, gamma=0.0)
    log = logged(learner, game)
    with pytest.raises(NothingToLearnError, match="do not depend on a reward of the state"):
        by_course(log.observed_by(None), "soft policy iteration")
    with pytest.raises(ValueError, match="there is nothing to learn from"):
        by_course(log.observed_by(None), "soft value iteration")


def test_an_agent_without_a_choice_shows_nothing():
    log = logged("Q-learning", a_game((1, 3), 4))
    for learner in (None, *MODELS):
        with pytest.raises(NothingToLearnError, match="there is nothing to learn from"):
            by_course(log.observed_by(1), learner, of=0)


def test_policies_that_never_change_show_nothing():
    log = logged("soft value iteration", a_game((3,), 4, reward=np.zeros(4)))
    with pytest.raises(NothingToLearnError, match="do not change"):
        by_course(log.observed_by(None))


def test_one_iteration_shows_no_improvement():
    seen = logged(MODELS[0]).observed_by(None)
    with pytest.raises(ValueError, match="at least one improvement, got 1 iteration"):
        by_course(seen.first(1))
    assert by_course(seen.first(2), MODELS[0]).misfit < 2


def test_one_improvement_is_enough_for_some_learners():
    """Soft value iteration has but the present reward at first, the same for every action."""
    seen = logged(MODELS[0]).observed_by(None).first(2)
    assert by_course(seen).learner == MODELS[0]
    with pytest.raises(NothingToLearnError, match="there is nothing to learn from"):
        by_course(seen, "soft value iteration")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"learner": "magic"}, ValueError, f"learner must be one of {', '.join(MODELS)}, got 'm"),
        ({"learner": "Q-learning", "beta": 0}, ValueError, r"beta must lie in \(0, 1\], got 0"),
        ({"learner": "Q-learning", "beta": 1.5}, ValueError, r"beta must lie in \(0, 1\], got 1.5"),
        ({"prior": 0}, ValueError, "prior must be greater than 0, got 0"),
        ({"prior": -1}, ValueError, "prior must be greater than 0, got -1"),
        ({"prior": "wide"}, TypeError, "prior must be a number, got 'wide'"),
        ({"executed": True}, TypeError, "method 'course' takes .*learner.*; got executed"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        recover(logged(MODELS[0]).observed_by(None), of=0, method="course", **options)


def test_bad_counts_are_named():
    model, counts = model_and_counts(logged(MODELS[0]), MODELS[0])
    with pytest.raises(ValueError, match=r"counts\[0, 0, 0\] is 0.5; counts must be whole"):
        recover_from_course(model, 0 * counts + 0.5, ALPHA)


def test_a_random_walk_of_policies_is_not_explained_by_chance():
    """An agent whose policies are anyone's."""
    game, rng = a_game(), np.random.default_rng(0)
    counts = [
        malfl.sample_counts(game, random_policies((4,), 8, rng), episodes=600, steps=50, seed=rng)
        for _ in range(4)
    ]
    seen = Observation(None, game.without_rewards(), ALPHA, np.array(counts), None)
    assert by_course(seen).misfit > 20
