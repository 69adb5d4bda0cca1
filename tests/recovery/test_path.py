from dataclasses import dataclass, replace
from functools import cache

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.special import logsumexp
from scipy.stats import norm, t

import malfl
from malfl import (
    MarkovGame,
    PathLikelihood,
    QLearning,
    SoftPolicyIteration,
    SoftValueIteration,
    View,
    correlation,
    learn,
    recover,
)
from malfl.recovery import NoFit, NothingToLearnError, RecoveredReward, estimate_policies, path
from malfl.recovery.path import MODELLED, model_of, recover_from_path

ALPHA, BETA = 0.7, 0.3
ITERATING, BACKING_UP, WATKINS = MODELS = (
    SoftPolicyIteration(evaluation="exact"), SoftValueIteration(), QLearning(BETA)
)  # fmt: skip
any_learner = pytest.mark.parametrize("learner", MODELS, ids=lambda one: one.name)


@dataclass(frozen=True)
class Known:
    """Policies that only a test knows: of one agent, or of all by their numbers of actions."""

    policies: tuple

    def fit(self, counts, rng):
        (found,) = (one for one in self.policies if one.shape == counts.shape)
        return found


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
        game or a_game(), learner, alpha=ALPHA, iterations=iterations, episodes=episodes,
        steps=50, record=True, seed=seed,
    )  # fmt: skip


def by_path(view, *learners, of=0, unvisited="raise", **parameters):
    parameters = {"reward_class": "state", **parameters}
    estimator = PathLikelihood(learners or MODELS, **parameters)
    return recover(view, of=of, by=estimator, unvisited=unvisited)


def true_policies(log):
    return Known(tuple(p[:-1] for p in log.policies))


def model_and_counts(log, learner, of=0):
    view = log.seen_by(None)
    model = model_of(learner, view, of, estimate_policies(view), view.iterations - 1)
    return model, view.own_counts(of)[1:]


@any_learner
def test_the_learner_and_its_reward_are_found(learner):
    log = logged(learner)
    found = by_path(log.seen_by(None))
    assert found.diagnostics.learner == learner
    assert correlation(found, log.game.rewards[0]).pearson > 0.999
    assert 0.6 < found.diagnostics.misfit < 1.4  # 112 numbers: standard deviation .13
    assert found.converged
    assert found.reward_class == "state"
    assert found.unvisited.shape == (0, 2)
    named = by_path(log.seen_by(None), learner)
    np.testing.assert_array_equal(found.values, named.values)
    for other in set(MODELS) - {learner}:
        wrong = by_path(log.seen_by(None), other)
        assert wrong.diagnostics.learner == other
        assert wrong.diagnostics.misfit > 20
        assert wrong.diagnostics.log_likelihood < found.diagnostics.log_likelihood


@any_learner
@pytest.mark.parametrize("observer", [None, 0, 1])
def test_learners_among_others_are_read_by_others_and_by_bystanders(learner, observer):
    game = a_game((3, 2), 5)
    log = logged(learner, game)
    view = log.seen_by(observer)
    for agent in {0, 1} - {observer}:
        found = by_path(view, of=agent)
        assert found.diagnostics.learner == learner
        assert correlation(found, game.rewards[agent]).pearson > 0.995
        assert found.diagnostics.misfit < 2.2


def test_different_learners_are_told_apart():
    game = a_game((3, 2), 5)
    log = learn(
        game, MODELS[1:], alpha=ALPHA, iterations=6, episodes=600, steps=50, record=True, seed=0
    )
    for agent in (0, 1):
        assert by_path(log.seen_by(None), of=agent).diagnostics.learner == MODELS[1 + agent]


def test_the_grid_of_lfl():
    """Its traps are hardly looked at once they are known, which leaves little of the prior."""
    lfl = malfl.gridworlds.lfl()
    log = learn(lfl, ITERATING, alpha=0.3, iterations=6, episodes=300, steps=200, seed=0)
    found = recover(
        log.seen_by(None), of=0, by=PathLikelihood(prior=40, reward_class="state"), unvisited="omit"
    )
    assert found.diagnostics.learner == ITERATING
    assert correlation(found, lfl.rewards[0]).pearson > 0.99
    assert found.diagnostics.misfit < 1.3


def test_the_step_size_of_q_learning_matters():
    view = logged(WATKINS).seen_by(None)
    right, wrong = (by_path(view, QLearning(beta)) for beta in (BETA, 0.1))
    assert right.diagnostics.misfit < 1.4
    assert wrong.diagnostics.misfit > 3
    default = by_path(view, QLearning())
    np.testing.assert_array_equal(default.values, wrong.values)


def test_of_several_step_sizes_the_likeliest_is_chosen():
    several = [QLearning(beta) for beta in (0.1, BETA, 0.9)]
    found = by_path(logged(WATKINS).seen_by(None), *several)
    assert found.diagnostics.learner == WATKINS


def test_without_episodes_q_learning_is_left_out():
    view = replace(logged(WATKINS).seen_by(None), episodes=None)
    found = by_path(view)
    assert found.diagnostics.learner in MODELS[:2]
    assert found.diagnostics.misfit > 20
    with pytest.raises(ValueError, match=r"view has no episodes .* record=True"):
        by_path(view, WATKINS)


@any_learner
@pytest.mark.parametrize("times", [0.25, 8.0, 2.0**20])
def test_alpha_is_the_scale_of_what_comes_back(learner, times):
    view = logged(learner).seen_by(None)
    once = by_path(view, learner)
    more = by_path(replace(view, alpha=times * ALPHA), learner)
    np.testing.assert_allclose(more.values, times * once.values, rtol=0, atol=times * 1e-4)
    np.testing.assert_allclose(more.deviation, times * once.deviation, rtol=1e-3)
    assert more.diagnostics.misfit == pytest.approx(once.diagnostics.misfit, rel=1e-5)


def objective(model, counts, reward, deviation):
    logits, _ = model(reward)
    return naive.log_likelihood(counts, logits) - 0.5 * (reward @ reward) / deviation**2


@any_learner
@pytest.mark.parametrize("prior", [10.0, 0.5])
def test_what_is_found_is_the_likeliest_reward(learner, prior):
    """Slopes of an oracle's likelihood and prior there, relative to those at zero."""
    log = logged(learner, a_game((3,), 4), iterations=4)
    model, counts = model_and_counts(log, learner)
    found = by_path(log.seen_by(None), learner, prior=prior)
    assert found.converged

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
    view = logged(ITERATING, episodes=60).seen_by(None)
    sizes = [
        np.abs(by_path(view, ITERATING, prior=prior, unvisited="omit").values).max()
        for prior in (0.001, 0.1, 10)
    ]
    assert sizes[0] < 0.001 * ALPHA * 2
    assert sizes[0] < 0.1 * sizes[1]
    assert sizes[1] < 0.7 * sizes[2]


@any_learner
def test_likelihood_and_misfit_are_the_oracles(learner):
    log = logged(learner)
    model, counts = model_and_counts(log, learner)
    for guess in MODELS:
        found = by_path(log.seen_by(None), guess)
        model, _ = model_and_counts(log, guess)
        logits, _ = model(found.values)
        likelihood = naive.log_likelihood(counts, logits)
        assert found.diagnostics.log_likelihood == pytest.approx(likelihood, rel=1e-10)
        assert found.diagnostics.misfit == pytest.approx(misfit(found, counts, logits), rel=1e-6)


def misfit(found, counts, logits):
    """The deviance relative to what chance leaves, less the directions that are determined."""
    fit = found.diagnostics
    sizes = np.linalg.eigvalsh(fit.information)
    spoken = (sizes / (sizes + 1 / fit.evidence.prior)).sum()
    deviance, _ = naive.deviance(counts, logits)
    return deviance / (naive.expected_deviance(counts, logits) - spoken)


@any_learner
def test_deviations_are_those_of_the_information(learner):
    log, prior = logged(learner), 0.3
    model, counts = model_and_counts(log, learner)
    found = by_path(log.seen_by(None), learner, prior=prior)
    logits, slopes = model(found.values)
    information = naive.multinomial_information(counts, logits, slopes)
    covariance = np.linalg.inv(information + np.eye(8) / (prior * ALPHA) ** 2)
    without_mean = np.eye(8) - 1 / 8
    expected = np.sqrt(np.diag(without_mean @ covariance @ without_mean))
    expected *= np.sqrt(max(found.diagnostics.misfit, 1))
    np.testing.assert_allclose(found.deviation, expected, rtol=1e-6)
    roots = np.sqrt(np.linalg.eigvalsh(information)[1:])
    determined = found.determination
    assert (determined.unknowns, determined.rank, determined.free) == (8, 7, 1)
    assert determined.smallest_singular_value == pytest.approx(roots[0], rel=1e-6)
    assert determined.largest_singular_value == pytest.approx(roots[-1], rel=1e-6)


@any_learner
def test_rewards_are_off_by_as_much_as_they_are_said_to_be(learner):
    """Over many games; with 150 numbers the mean square strays by a tenth or so."""
    off, misfits = [], []
    for seed in range(30):
        game = a_game((3,), 6, seed=seed)
        log = logged(learner, game, seed=seed, iterations=4, episodes=200)
        found = by_path(log.seen_by(None), learner, policies=true_policies(log))
        error = found.values - game.rewards[0]
        off.append((error - error.mean()) / found.deviation)
        misfits.append(found.diagnostics.misfit)
    # The mean is put aside: five of six are free.
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(1, abs=0.2)
    assert np.mean(misfits) == pytest.approx(1, abs=0.15)


def test_who_gets_worse_is_like_no_learner():
    """The policies of a learner in reverse: no reward explains them, and the result says so."""
    game = a_game()
    policies = malfl.iterate_exactly(game, alpha=ALPHA, iterations=5)[0][::-1]
    rng = np.random.default_rng(0)
    played = tuple(
        malfl.sample_episodes(game, [policy], episodes=600, steps=50, seed=rng)
        for policy in policies
    )
    counts = [naive.joint_counts(game, *zip(*part, strict=True)) for part in played]
    view = View(
        observer=None, dynamics=game.without_rewards(), alpha=ALPHA, counts=np.array(counts),
        own_policies=None, episodes=played,
    )  # fmt: skip
    for learners in (MODELS, *([one] for one in MODELS)):
        assert by_path(view, *learners).diagnostics.misfit > 20


def without_a_way_to_the_last(states=6):
    """A game whose last state nobody gets to."""
    rng = np.random.default_rng(0)
    transitions = np.zeros((states, 3, states))
    transitions[..., :-1] = rng.dirichlet(np.full(states - 1, 0.7), size=(states, 3))
    return MarkovGame(
        actions=(3,), transitions=transitions, rewards=[rng.normal(size=states)], start=0,
        gamma=0.8,
    )  # fmt: skip


@any_learner
def test_what_no_policy_depends_on_is_unknown(learner):
    game = without_a_way_to_the_last()
    log = logged(learner, game)
    with pytest.raises(ValueError, match="state 5 was not visited in iteration 0, one of 6"):
        by_path(log.seen_by(None), learner)
    found = by_path(log.seen_by(None), learner, unvisited="omit")
    np.testing.assert_array_equal(np.isnan(found.values), np.arange(6) == 5)
    np.testing.assert_array_equal(np.isnan(found.deviation), np.arange(6) == 5)
    assert found.determination.unknowns == 5
    assert correlation(found, game.rewards[0]).pearson > 0.999
    assert found.diagnostics.misfit < 1.6
    np.testing.assert_array_equal(found.unvisited, [[h, 5] for h in range(6)])


@pytest.mark.parametrize("learner", MODELS[:2], ids=lambda one: one.name)
def test_rounds_in_which_a_state_was_not_seen_do_no_harm(learner):
    log = logged(learner)
    view = log.seen_by(None)
    counts = view.counts.copy()
    counts[2, 3] = counts[4, 1] = counts[0, 2] = 0
    gaps = replace(view, counts=counts, episodes=None)
    with pytest.raises(ValueError, match="state 2 was not visited in iteration 0, one of 3"):
        by_path(gaps, learner)
    found = by_path(gaps, learner, unvisited="omit")
    np.testing.assert_array_equal(found.unvisited, [[0, 2], [2, 3], [4, 1]])
    assert correlation(found, log.game.rewards[0]).pearson > 0.999
    logits, _ = model_of(learner, gaps, 0, estimate_policies(gaps), 5)(found.values)
    counts = gaps.own_counts(0)[1:]
    _, numbers = naive.deviance(counts, logits)
    assert numbers == (5 * 8 - 2) * 3
    assert found.diagnostics.misfit == pytest.approx(misfit(found, counts, logits), rel=1e-6)
    assert found.diagnostics.misfit < 1.5


def test_cut_short_is_said(monkeypatch):
    view = logged(ITERATING).seen_by(None)
    whole = by_path(view, ITERATING).diagnostics
    assert whole.converged
    assert whole.steps > 1
    monkeypatch.setattr(path, "MOST_STEPS", 1)
    short = by_path(view, ITERATING).diagnostics
    assert not short.converged
    assert short.steps == 2  # one for each prior
    assert short.gradient > whole.gradient


def test_as_many_numbers_as_were_seen_leave_no_misfit():
    """A coin in one state of two: both say the same."""
    slopes = np.zeros((1, 2, 2, 2))
    slopes[0, :, 0] = np.eye(2)
    counts = np.array([[[30.0, 10.0], [5.0, 15.0]]])
    found = recover_from_path(lambda r: (slopes @ r, slopes), counts, 1.0, prior=1e4)
    np.testing.assert_allclose(found.values, np.log([3, 1 / 3]), atol=1e-4)
    assert np.isnan(found.diagnostics.misfit)


def test_policies_that_no_reward_changes_show_nothing_of_how_an_agent_learns():
    """The same, and a state that nobody leaves."""
    slopes = np.zeros((1, 3, 2, 3))
    slopes[0, :2, 0, :2] = np.eye(2)
    counts = np.array([[[30.0, 10.0], [5.0, 15.0], [510.0, 490.0]]])
    found = recover_from_path(lambda r: (slopes @ r, slopes), counts, 1.0, prior=1e4)
    assert np.isnan(found.diagnostics.misfit)
    assert found.verdict != "sound"
    counts[0, 2] = [600.0, 400.0]  # unless they are other ones than it thinks
    found = recover_from_path(lambda r: (slopes @ r, slopes), counts, 1.0, prior=1e4)
    assert found.diagnostics.misfit > 10


def certain(reward):
    """Policies without a doubt, whatever the reward, but for one that hardly matters."""
    slopes = np.zeros((1, 2, 2, 2))
    slopes[0, :, 0] = 1e-3 * np.eye(2)
    return slopes @ reward + 40 * np.array([[[1.0, 0.0], [1.0, 0.0]]]), slopes


def test_what_is_certain_and_does_not_happen_is_a_misfit():
    """Nothing is left to chance, and so nothing excuses what was seen."""
    wrong = recover_from_path(certain, np.array([[[5.0, 30.0], [20.0, 4.0]]]), 1.0, prior=1.0)
    assert wrong.diagnostics.misfit > 100
    assert wrong.diagnostics.evidence.error > 100
    right = recover_from_path(certain, np.array([[[35.0, 0.0], [24.0, 0.0]]]), 1.0, prior=1.0)
    assert np.isnan(right.diagnostics.misfit)
    assert right.verdict != "sound"


@any_learner
def test_the_evidence_is_that_of_the_reward_found(learner):
    """The integral over the reward and the prior's deviation, by many draws (seen little of)."""
    log = logged(learner, a_game((3,), 4), iterations=3, episodes=60)
    model, counts = model_and_counts(log, learner)
    found = by_path(log.seen_by(None), learner, unvisited="omit")
    rng = np.random.default_rng(0)
    covariance = 4 * np.diag(found.deviation**2) + np.outer(*[np.full(4, ALPHA)] * 2) * 4
    root = np.linalg.cholesky(covariance)
    draws = found.values + (z := rng.standard_t(5, size=(4000, 4))) @ root.T
    density = t(5).logpdf(z).sum(axis=1) - np.log(np.diag(root)).sum()
    scales = np.geomspace(1e-3, 1e4, 200) * ALPHA
    share = scales / (10 * ALPHA)
    weights = 2 / np.pi * share / (1 + share**2) * np.gradient(np.log(scales))
    prior = [
        np.log(weights @ np.exp(norm(0, scales[:, None]).logpdf(draw).sum(axis=1)))
        for draw in draws
    ]
    fit = [naive.log_likelihood(counts, model(draw)[0]) for draw in draws]
    evidence = logsumexp(np.array(fit) + prior - density) - np.log(len(draws))
    assert found.diagnostics.evidence.log_likelihood == pytest.approx(evidence, abs=1.0)


def test_a_state_that_matters_only_where_nothing_was_seen_is_unknown():
    slopes = np.zeros((2, 4, 3, 4))
    slopes[0] = np.random.default_rng(0).normal(size=(4, 3, 4)) * [1, 1, 1, 0]
    slopes[1, 2, 0, 3] = 1.0
    counts = np.random.default_rng(1).integers(20, 40, size=(2, 4, 3)) * 1.0
    for unseen in (False, True):
        counts[1, 2] *= not unseen
        found = recover_from_path(lambda r: (slopes @ r, slopes), counts, 1.0)
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
    found = recover_from_path(product, counts, 1.0, prior=1e3).values
    np.testing.assert_allclose(found, np.log([3, 2]) / [1, np.log(3)], atol=1e-4)
    counts[0, 1] = 30.0
    found = recover_from_path(until_one, counts, 1.0, prior=1e3).values
    np.testing.assert_allclose(found, [np.log(3), 0], atol=1e-4)


@any_learner
def test_without_a_future_a_reward_of_the_state_moves_nothing(learner):
    """A reward of the action may have moved what was seen."""
    game = random_game(np.random.default_rng(0), (3,), 4, gamma=0.0)
    log = logged(learner, game)
    with pytest.raises(NothingToLearnError, match="do not depend on a reward of the state"):
        by_path(log.seen_by(None), ITERATING)
    with pytest.raises(ValueError, match="there is nothing to learn from"):
        by_path(log.seen_by(None), BACKING_UP)


def test_an_agent_without_a_choice_shows_nothing():
    log = logged(WATKINS, a_game((1, 3), 4))
    for learners in (MODELS, *([one] for one in MODELS)):
        with pytest.raises(NothingToLearnError, match="there is nothing to learn from"):
            by_path(log.seen_by(1), *learners, of=0)


def test_policies_that_never_change_show_nothing():
    log = logged(BACKING_UP, a_game((3,), 4, reward=np.zeros(4)))
    with pytest.raises(NothingToLearnError, match="do not change"):
        by_path(log.seen_by(None))


def test_one_iteration_shows_no_improvement():
    view = logged(ITERATING).seen_by(None)
    with pytest.raises(ValueError, match="at least one improvement, got 1 iteration"):
        by_path(view.first(1))
    assert by_path(view.first(2), ITERATING).diagnostics.misfit < 2


def test_one_improvement_is_enough_for_some_learners():
    """Soft value iteration has but the present reward at first, the same for every action."""
    view = logged(ITERATING).seen_by(None).first(2)
    assert by_path(view).diagnostics.learner == ITERATING
    with pytest.raises(NothingToLearnError, match="there is nothing to learn from"):
        by_path(view, BACKING_UP)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        (
            {"learners": ["magic"]},
            ValueError,
            r"learners\[0\] must be one .* fitted: .*; got 'magic'",
        ),
        ({"learners": [WATKINS, SoftPolicyIteration()]}, ValueError, r"learners\[1\] must be .*td"),
        ({"learners": [malfl.RandomImprovements()]}, ValueError, r"learners\[0\] .* RandomImpro"),
        ({"learners": []}, ValueError, "learners must name at least one, got none"),
        ({"prior": 0}, ValueError, "prior must be greater than 0, got 0"),
        ({"prior": -1}, ValueError, "prior must be greater than 0, got -1"),
        ({"prior": "wide"}, TypeError, "prior must be a number, got 'wide'"),
        ({"policies": "smooth"}, TypeError, "policies must be of type PolicyFit"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        PathLikelihood(**parameters)


def test_learners_that_can_be_fitted_are_the_default():
    assert PathLikelihood().learners == MODELLED == (*MODELS[:2], QLearning(0.1))


def test_bad_counts_are_named():
    model, counts = model_and_counts(logged(ITERATING), ITERATING)
    with pytest.raises(ValueError, match=r"counts\[0, 0, 0\] is 0.5; counts must be whole"):
        recover_from_path(model, 0 * counts + 0.5, ALPHA)


def test_a_random_walk_of_policies_is_not_explained_by_chance():
    """An agent whose policies are anyone's."""
    game, rng = a_game(), np.random.default_rng(0)
    counts = [
        malfl.sample_counts(game, random_policies((4,), 8, rng), episodes=600, steps=50, seed=rng)
        for _ in range(4)
    ]
    view = View(None, game.without_rewards(), ALPHA, np.array(counts), None)
    assert by_path(view).diagnostics.misfit > 20


def own_next_policy(learner, view, policies, agent, reward, improvements):
    """What a learner would play after so many improvements, by the oracles."""
    rules, past = view.dynamics, range(improvements + 1)
    game = with_rewards(rules, [reward] * rules.n_agents)
    q = np.zeros((rules.n_states, rules.actions[agent]))
    if learner == BACKING_UP:
        for h in past:
            q = naive.backed_up(game, [p[h] for p in policies], agent, ALPHA, q)
    elif learner == WATKINS:
        for h in past:
            q = naive.watkins(game, agent, BETA, q, *zip(*view.episodes[h], strict=True))
    else:
        now = [p[improvements] for p in policies]
        q = naive.over_opponents(game, now, agent, naive.soft_q(game, now, agent, ALPHA))
    return naive.improve(q, ALPHA)


@any_learner
def test_the_next_policy_is_what_the_learner_would_play(learner):
    log = logged(learner, a_game((3, 2), 5), iterations=4, episodes=60)
    for observer, agent in ((None, 0), (0, 1)):
        view = log.seen_by(observer)
        prepared = PathLikelihood([learner], reward_class="state").prepare(
            view, agent, np.random.default_rng(0)
        )
        found, policies = prepared.reward(3), estimate_policies(view)
        for h in (1, 3):
            expected = own_next_policy(learner, view, policies, agent, found.values, h)
            predicted = prepared.next_policy(found, h)
            np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-10)


@any_learner
@pytest.mark.parametrize("actions", [(3,), (3, 2), (2, 1, 3)])
def test_at_the_true_reward_the_next_policy_is_the_next_one(learner, actions):
    """If everyone's policies are known, and so is which learner it is."""
    log = logged(learner, a_game(actions, 4), iterations=4, episodes=60)
    agent = len(actions) - 1
    prepared = PathLikelihood(MODELS, reward_class="state", policies=true_policies(log)).prepare(
        log.seen_by(None), agent, np.random.default_rng(0)
    )
    found = prepared.reward(2)
    diagnostics = replace(found.diagnostics, learner=learner)
    true = replace(found, values=log.game.rewards[agent], diagnostics=diagnostics)
    for h in (1, 2, 3):
        predicted = prepared.next_policy(true, h)
        np.testing.assert_allclose(predicted, log.policies[agent][h + 1], rtol=0, atol=1e-10)


@any_learner
def test_the_next_policy_is_predicted_where_little_is_known(learner):
    """Policies never seen count as uniform, unknown rewards as zero."""
    log = logged(learner, without_a_way_to_the_last(), iterations=4, episodes=60)
    view, reward = log.seen_by(None), log.game.rewards[0].copy()
    prepared = PathLikelihood([learner], reward_class="state").prepare(
        view, 0, np.random.default_rng(0)
    )
    reward[[2, 5]] = np.nan
    found = replace(prepared.reward(2), values=reward)
    policies = [np.where(np.isnan(p), 1 / 3, p) for p in estimate_policies(view)]
    expected = own_next_policy(learner, view, policies, 0, np.nan_to_num(reward), 2)
    predicted = prepared.next_policy(found, 2)
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-10)


def test_without_a_learner_the_next_policy_is_soft_policy_iterations():
    log = logged(WATKINS, a_game((3, 2), 5), iterations=4, episodes=60)
    view, reward = log.seen_by(None), log.game.rewards[1]
    prepared = PathLikelihood(reward_class="state").prepare(view, 1, np.random.default_rng(0))
    nameless = RecoveredReward(reward, "state", NoFit())
    expected = own_next_policy(ITERATING, view, estimate_policies(view), 1, reward, 2)
    predicted = prepared.next_policy(nameless, 2)
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-10)


def test_the_likeliest_of_several_learners_is_judged_by_what_was_seen_by_then():
    """What comes after does not matter."""
    view = logged(WATKINS, a_game((3, 2), 5)).seen_by(None)
    prepared = PathLikelihood(MODELS, reward_class="state").prepare(
        view, 1, np.random.default_rng(0)
    )
    for h in (1, 3):
        alone = by_path(view.first(h + 1), of=1)
        found = prepared.reward(h)
        assert found.diagnostics.learner == alone.diagnostics.learner
        np.testing.assert_array_equal(found.values, alone.values)


def test_a_summary_names_the_learner_and_the_misfit():
    found = by_path(logged(WATKINS).seen_by(None))
    misfit = f"Misfit {found.diagnostics.misfit:.3g} (1 or less if it learns that way)"
    lines = found.summary().splitlines()
    assert f"Assumed to learn as {WATKINS}" in lines
    assert misfit in lines
