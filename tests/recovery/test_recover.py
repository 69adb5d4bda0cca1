from dataclasses import replace

import naive
import numpy as np
import pytest
from drawn import random_game
from scipy.special import logsumexp

import malfl
from malfl import Adam, LeastSquares, SoftPolicyIteration
from malfl.games.soft import marginal_soft_q
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery import (
    DEFAULTS,
    EntropyRegularised,
    EvidenceRidge,
    MaximumLikelihood,
    NothingToLearnError,
    Replay,
    Structural,
    recover_from_policies,
)
from malfl.recovery.path import recover_from_path
from malfl.recovery.recovery import Recovery, check_improvements

EXACT = SoftPolicyIteration(evaluation="exact")


@pytest.mark.parametrize("kind", ["hom", "het"])
@pytest.mark.parametrize("agent", [0, 1])
@pytest.mark.parametrize("improvements", [2, 9])
def test_state_rewards_come_back_from_exact_policies(kind, agent, improvements):
    game = malfl.gridworlds.ma_lfl(kind)
    policies = iterate_exactly(game, iterations=improvements)
    found = recover_from_policies(game, policies, of=agent, alpha=3.0)
    score = malfl.correlation(found, game.rewards[agent])
    assert score.pearson >= 0.9999
    assert score.spearman >= 0.9999
    assert score.states == 81
    true = game.rewards[agent]
    np.testing.assert_allclose(found.values, true - true.mean(), atol=1e-9)
    # The shapings are those of Theorem 5.1, but for the shaping that the missing constant is.
    before = [p[1] for p in policies]
    named = -3 * logsumexp(marginal_soft_q(game, before, agent, 3.0) / 3, axis=1)
    constant = true.mean() / (1 - game.gamma)
    np.testing.assert_allclose(found.diagnostics.shapings[1], named + constant, atol=1e-7)
    assert found.determination.rank == 80
    assert found.converged


@pytest.mark.parametrize(
    ("reward_class", "improvements", "free"),
    [
        ("state", 1, 9),
        ("state", 2, 1),
        ("state-action", 1, 81),
        ("state-action", 2, 9),
        ("state-action", 5, 9),
        ("joint-action", 1, 1701),
        ("joint-action", 2, 1405),
        ("joint-action", 4, 870),
    ],
)
def test_what_improvements_leave_open(hom, reward_class, improvements, free):
    policies = iterate_exactly(hom, iterations=improvements)
    found = recover_from_policies(hom, policies, of=0, alpha=3.0, by=LeastSquares(reward_class))
    assert found.determination.free == free
    assert found.values.size == found.determination.unknowns


def test_one_improvement_leaves_functions_of_the_opponents_position(hom):
    policies = iterate_exactly(hom, iterations=1)
    found = recover_from_policies(hom, policies, of=0, alpha=3.0)
    error = (found.values - hom.rewards[0]).reshape(9, 9)
    np.testing.assert_allclose(error, np.tile(error[0], (9, 1)), atol=1e-9)
    assert np.ptp(error[0]) > 0.1


def test_richer_rewards_explain_the_improvements_as_well(game):
    policies = iterate_exactly(game, alpha=0.7, iterations=3)
    agent = game.n_agents - 1
    for reward_class in ("state-action", "joint-action"):
        found = recover_from_policies(
            game, policies, of=agent, alpha=0.7, by=LeastSquares(reward_class)
        )
        if reward_class == "joint-action" or game.rewards[0].ndim == 1:
            assert found.diagnostics.loss < 1e-18
        assert found.diagnostics.shapings.shape == (3, game.n_states)


def test_the_papers_setting_at_full_scale_lies_where_the_right_operator_puts_it(hom):
    log = malfl.learn(hom, seed=0)
    for agent in (0, 1):
        found = malfl.recover(log.seen_by(1 - agent), of=agent, by=Adam("joint-action"))
        assert found.values.shape == (81, 25)
        assert 0.65 <= malfl.correlation(found, hom.rewards[agent]).pearson <= 0.90
        assert not found.converged


def test_exact_learners_seen_at_work_are_read_well(hom):
    (logs,) = malfl.learn_all([hom], malfl.Training(EXACT), seeds=range(10))
    by = LeastSquares(weighting="visits")
    scores = [
        malfl.correlation(malfl.recover(log.seen_by(1), of=0, by=by), hom.rewards[0]).pearson
        for log in logs
    ]
    assert min(scores) > 0.9
    assert np.mean(scores) > 0.96


def test_parameters_reach_the_fit(hom_log):
    view = hom_log.seen_by(1)
    short = malfl.recover(view, of=0, by=Adam(steps=1, rate=0.5))
    assert short.diagnostics.steps == 1
    np.testing.assert_allclose(np.abs(short.values), 0.5, atol=1e-6)
    doubled = malfl.recover(replace(view, alpha=6.0), of=0, by=LeastSquares())
    uniform, visits = (
        malfl.recover(view, of=0, by=LeastSquares(weighting=w)) for w in ("uniform", "visits")
    )
    np.testing.assert_allclose(doubled.values, 2 * uniform.values, atol=1e-9)
    assert np.abs(uniform.values - visits.values).max() > 1e-3
    weighed = recover_from_policies(
        view.dynamics,
        malfl.estimate_policies(view),
        of=0,
        alpha=3.0,
        weights=view.own_counts(0)[1:],
    )
    np.testing.assert_array_equal(visits.values, weighed.values)
    other = malfl.recover(view, of=0, by=LeastSquares(policies=EntropyRegularised()))
    assert np.abs(uniform.values - other.values).max() > 1e-3


@pytest.mark.parametrize("reward_class", ["state", "state-action"])
@pytest.mark.parametrize("agent", [0, 1])
def test_by_overlap_equations_weigh_as_much_as_both_their_ends_were_seen(reward_class, agent):
    """Down to one visit: few enough steps that counts differ a lot."""
    game = random_game(np.random.default_rng(2), (2, 3), 4, state_rewards=True)
    log = malfl.learn(game, alpha=0.7, iterations=4, episodes=6, steps=15, seed=0)
    view = log.seen_by(1 - agent)

    def recovered(weighting):
        by = LeastSquares(reward_class, weighting=weighting)
        return malfl.recover(view, of=agent, by=by, unvisited="omit").values

    found = recovered("overlap")
    policies = malfl.estimate_policies(view)
    shape = (4,) if reward_class == "state" else (4, game.actions[agent])
    weights = naive.overlap(view.own_counts(agent))
    theirs = naive.least_squares(game, policies, agent, 0.7, weights, shape)
    np.testing.assert_allclose(found, theirs, rtol=0, atol=1e-7)
    for weighting in ("uniform", "visits"):
        assert np.abs(recovered(weighting) - found).max() > 1e-3


def test_the_observer_may_have_alpha_wrong_and_only_the_scale_suffers_at_most(hom):
    """Y is proportional to alpha, and so is the answer."""
    policies = iterate_exactly(hom, iterations=2)
    right, double = (
        recover_from_policies(hom, policies, of=0, alpha=alpha).values for alpha in (3.0, 6.0)
    )
    np.testing.assert_allclose(double, 2 * right, atol=1e-9)


@pytest.mark.parametrize("reward_class", ["state", "state-action", "joint-action"])
def test_what_shapings_explain_is_not_determined(reward_class):
    """Every action flips the state: any reward of the state is a shaping."""
    flip = malfl.MarkovGame(
        actions=(2, 2), transitions=[[1] * 4, [0] * 4], rewards=[[0.0, 1]] * 2, start=0, gamma=0.9
    )
    policies = [np.random.default_rng(i).dirichlet([1, 1], size=(4, 2)) for i in (0, 1)]
    found = recover_from_policies(flip, policies, of=0, alpha=3.0, by=LeastSquares(reward_class))
    assert found.determination.rank < found.determination.unknowns
    if reward_class == "state":
        assert found.determination.rank == 0
        np.testing.assert_array_equal(found.values, [0, 0])
        assert found.determination.smallest_singular_value == np.inf


def test_moves_that_nobody_controls_tell_nothing():
    game = malfl.gridworlds.ma_lfl(slip=1.0)
    with pytest.raises(ValueError, match="the same in all 4 iterations; there is no improvement"):
        recover_from_policies(game, iterate_exactly(game, iterations=3), of=0, alpha=3.0)
    changing = [np.random.default_rng(i).dirichlet(np.ones(5), size=(4, 81)) for i in (0, 1)]
    found = recover_from_policies(game, changing, of=0, alpha=3.0)
    assert found.determination.rank == 0
    assert np.abs(found.values).max() == 0


def test_without_a_future_state_rewards_cannot_be_known():
    game = malfl.gridworlds.ma_lfl(gamma=0.0)
    changing = [np.random.default_rng(i).dirichlet(np.ones(5), size=(4, 81)) for i in (0, 1)]
    found = recover_from_policies(game, changing, of=0, alpha=3.0)
    assert (found.determination.rank, found.determination.free) == (0, 81)


def test_adam_converges_if_it_is_given_the_time():
    """At a constant rate it is thrown off the minimum now and then, and comes back."""
    game = random_game(np.random.default_rng(2), states=3, state_rewards=True)
    policies = iterate_exactly(game, alpha=0.7, iterations=3)
    short, *long = (
        recover_from_policies(game, policies, of=0, alpha=0.7, by=Adam(steps=steps, rate=0.01))
        for steps in (300, *range(30_000, 40_000, 500))
    )
    assert not short.converged
    exact = recover_from_policies(game, policies, of=0, alpha=0.7)
    at_rest = [found for found in long if found.converged]
    assert at_rest
    for found in at_rest:
        assert malfl.correlation(found, exact.values).pearson > 0.9999


@pytest.mark.parametrize("by", [LeastSquares(), Structural()])
def test_states_never_visited_are_reported(hom, by):
    view = malfl.learn(hom, iterations=3, episodes=1, steps=1, seed=0).seen_by(1)
    with pytest.raises(
        ValueError, match=r"state 1 was not visited in iteration 0, one of 240 such"
    ):
        malfl.recover(view, of=0, by=by)
    view = malfl.learn(hom, iterations=3, episodes=10, steps=1000, seed=0).seen_by(1)
    with pytest.raises(ValueError, match=r"observe more episodes, or pass unvisited='omit'"):
        malfl.recover(view, of=0, by=by)
    found = malfl.recover(view, of=0, by=by, unvisited="omit")
    np.testing.assert_array_equal(found.unvisited, np.argwhere(view.counts.sum(axis=2) == 0))
    assert len(found.unvisited) > 0
    missing = np.isnan(found.values)
    assert malfl.correlation(found, hom.rewards[0]).states == (~missing).sum()
    assert found.determination.unknowns == (~missing).sum()


def test_a_reward_that_no_equation_touches_is_not_a_number(hom_log):
    counts = np.array(hom_log.counts)
    counts[:, 40] = 0
    view = replace(hom_log.seen_by(1), counts=counts)
    found = malfl.recover(view, of=0, by=LeastSquares(), unvisited="omit")
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.values)), [40])


def test_no_equation_is_left_where_hardly_anything_was_seen(hom):
    log = malfl.learn(hom, iterations=3, episodes=3, steps=100, seed=0)
    hopeless = replace(log.seen_by(1), counts=log.counts * (np.arange(81) % 9 == 0)[:, None])
    with pytest.raises(ValueError, match="policies and weights leave no equation"):
        malfl.recover(hopeless, of=0, by=LeastSquares(), unvisited="omit")


def test_a_full_log_leaves_nothing_unvisited(hom_log):
    assert len(malfl.recover(hom_log.seen_by(1), of=0).unvisited) == 0


def test_observers_see_each_other_among_three():
    game = random_game(np.random.default_rng(2), actions=(2, 3, 2), states=3, state_rewards=True)
    log = malfl.learn(game, EXACT, iterations=4, episodes=9000, steps=300, seed=0)
    for observer, of in ((0, 2), (2, 1), (1, 0)):
        found = malfl.recover(log.seen_by(observer), of=of, by=LeastSquares())
        assert malfl.correlation(found, game.rewards[of]).pearson > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": 1}, "of must be another agent than the observer, both are 1"),
        ({"of": 2}, r"of must lie in 0..1, got 2"),
        ({"of": 0, "by": "magic"}, "by must be one of auto, structural, replay, path likelihood"),
        ({"of": 0, "unvisited": "ignore"}, "unvisited must be one of raise, omit"),
    ],
)
def test_bad_options_are_named(hom_log, options, message):
    with pytest.raises(ValueError, match=message):
        malfl.recover(hom_log.seen_by(1), **options)


@pytest.mark.parametrize("estimator", [LeastSquares, EvidenceRidge, Adam])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weighting": "none"}, "weighting must be one of uniform, visits"),
        ({"reward_class": "s"}, "reward_class must be one of state"),
        ({"equations": "none"}, "equations must be one of theorem, printed, released"),
        ({"equations": "released"}, "reward_class must be joint-action for the released"),
        (
            {"equations": "printed", "weighting": "visits"},
            "weighting is for the equations of Theorem 5.1, not for 'printed'; got 'visits'",
        ),
    ],
)
def test_bad_parameters_are_named(estimator, parameters, message):
    with pytest.raises(ValueError, match=message):
        estimator(**parameters)


def test_equations_as_printed_need_counts_and_no_weights(hom):
    policies = iterate_exactly(hom, iterations=2)
    printed = LeastSquares(equations="printed")
    given = {"of": 0, "alpha": 3.0, "by": printed}
    with pytest.raises(ValueError, match="counts must be given for the printed equations, got Non"):
        recover_from_policies(hom, policies, **given)
    with pytest.raises(
        ValueError, match=r"weights are for the equations of Theorem 5.1, not for 'printed'"
    ):
        recover_from_policies(hom, policies, weights=np.ones((2, 81, 5)), **given)


def test_policies_are_of_a_fit_and_views_are_views(hom_log):
    with pytest.raises(TypeError, match=r"policies must be of type PolicyFit .*Smoothing\(\)"):
        LeastSquares(policies=hom_log.policies)
    with pytest.raises(TypeError, match=r"view must be of type View .*seen_by.*LearningLog"):
        malfl.recover(hom_log, of=0)


def test_plain_shares_with_a_zero_are_refused(hom):
    view = malfl.learn(hom, iterations=2, episodes=200, steps=50, seed=0).seen_by(1)
    shares = malfl.estimate_policies(view, MaximumLikelihood())
    assert (shares[0] == 0).any()
    by = LeastSquares(policies=MaximumLikelihood())
    with pytest.raises(ValueError, match=r"is 0, and its logarithm is needed"):
        malfl.recover(view, of=0, by=by, unvisited="omit")


def test_a_log_of_one_iteration_shows_nothing(hom):
    view = malfl.learn(hom, iterations=1, episodes=100, steps=100, seed=0).seen_by(1)
    with pytest.raises(ValueError, match="at least one improvement"):
        malfl.recover(view, of=0)


@pytest.mark.parametrize("value", [Replay, SoftPolicyIteration, malfl.QLearning])
def test_a_step_size_is_checked_even_where_nobody_needs_it(value):
    with pytest.raises(ValueError, match=r"beta must lie in \(0, 1\], got 7"):
        value(beta=7)


@pytest.mark.parametrize("alpha", [0, -1.0, np.inf])
def test_a_path_needs_an_alpha(alpha):
    slopes = np.random.default_rng(0).normal(size=(2, 4, 3, 4))
    with pytest.raises(ValueError, match=r"alpha must be (greater than 0|finite)"):
        recover_from_path(lambda r: (slopes @ r, slopes), np.ones((2, 4, 3)), alpha)


def test_whether_actions_were_executed_is_true_or_false():
    with pytest.raises(TypeError, match="executed must be True or False, got 'no'"):
        Replay(executed="no")


def watched(counts):
    """A view of one state and one action of the observer's, with so many actions seen."""
    counts = np.asarray(counts)
    n, actions = counts.shape
    game = malfl.Dynamics(
        actions=(actions, 1), transitions=np.ones((1, actions, 1)), start=0, gamma=0.5
    )
    return malfl.View(1, game, 1.0, counts[:, None, :], np.ones((n, 1, 1)))


@pytest.mark.parametrize(
    ("counts", "unchanged"),
    [
        ([[25, 25], [25, 25]], True),  # one probability more than one policy for all has
        ([[24, 25], [25, 25]], False),  # too few to judge
        ([[25, 25], [45, 5]], False),
        ([[50, 0], [50, 0]], False),  # no probability is left open
        ([[49, 1], [50, 1]], True),
        ([[1000, 1000], [1000, 1085]], True),  # by chance in 17 of 100
        ([[1000, 1000], [1000, 1200]], False),  # in less than 1 of 100
    ],
)
def test_policies_count_as_unchanged_where_enough_was_seen(counts, unchanged):
    if unchanged:
        message = (
            "^the policies of agent 0 do not change over the 2 iterations as far as can be seen; "
            "there is no improvement to learn from$"
        )
        with pytest.raises(NothingToLearnError, match=message):
            check_improvements(watched(counts), 0)
    else:
        check_improvements(watched(counts), 0)


def test_what_cannot_show_an_improvement_is_refused_in_these_words(hom):
    message = r"^view must show at least one improvement, got 1 iteration$"
    with pytest.raises(ValueError, match=message):
        check_improvements(watched([[25, 25]]), 0)
    log = malfl.learn(hom, iterations=2, episodes=1, steps=5, seed=0)
    with pytest.raises(ValueError, match=r"; .*, or pass unvisited='omit' to do without$"):
        check_improvements(log.seen_by(1), 0)
    with pytest.raises(TypeError, match=r"of type View \(see LearningLog\.seen_by\)"):
        Recovery(log, of=0, by=Structural())
    with pytest.raises(ValueError, match=r"^alpha of view "):
        Recovery(replace(log.seen_by(1), alpha=1e200), of=0, by=Structural())


def test_a_move_that_the_rules_forbid_is_named():
    """Transitions by action, state and next state, where there are as many actions as states."""
    table = np.array([[1, 2, 3, 0], [1, 1, 0, 2], [0, 3, 2, 2], [3, 0, 1, 3]])
    moves = np.eye(4)[table]
    game = malfl.MarkovGame(
        actions=(4,), transitions=moves, rewards=[[0.0, 1.0, -1.0, 3.0]], start=0, gamma=0.9
    )
    log = malfl.learn(
        game, malfl.SoftPolicyIteration(evaluation="exact"), alpha=1.0, iterations=4, episodes=50,
        steps=100, record=True, seed=0,
    )  # fmt: skip
    view = log.seen_by(None)
    turned = malfl.Dynamics(actions=(4,), transitions=moves.transpose(1, 0, 2), start=0, gamma=0.9)
    wrong = replace(view, dynamics=turned)
    before, actions, after = view.episodes[0].moves()
    allowed = moves.transpose(1, 0, 2)[before, actions, after] > 0
    step = int(np.argmin(allowed))
    with pytest.raises(ValueError, match=(
        f"forbid: in iteration 0, step {step}, joint action {actions[step]} led from state "
        f"{before[step]} to state {after[step]}"
    )):  # fmt: skip
        malfl.recover(wrong, of=0)
    by = malfl.WithEstimatedRules(malfl.Structural(evaluation="exact"))
    found, expected = (malfl.recover(one, of=0, by=by) for one in (wrong, view))
    np.testing.assert_array_equal(found.values, expected.values)


@pytest.mark.parametrize("gap", [0, 2, 5])
@pytest.mark.parametrize("name", [name for name in DEFAULTS if "released" not in name])
def test_every_estimator_gets_along_with_a_gap(name, gap):
    """An iteration of which nothing was seen, recorded or only counted."""
    game = random_game(np.random.default_rng(3), (2, 3), 4, state_rewards=True)
    log = malfl.learn(game, alpha=0.7, iterations=6, episodes=100, steps=50, record=True, seed=0)
    view = log.seen_by(0)
    counts, episodes = view.counts.copy(), list(view.episodes)
    counts[gap] = 0
    episodes[gap] = malfl.Episodes(states=[], actions=[], lengths=[], n_states=4, n_joint_actions=6)
    seen = replace(view, counts=counts, episodes=tuple(episodes))
    found = malfl.recover(seen, of=1, by=name, unvisited="omit")
    assert np.isfinite(found.values).any()


@pytest.mark.parametrize("by", ["structural", "path likelihood", "least squares", "auto"])
def test_without_alpha_the_scale_is_open(by):
    """The reward is that of alpha 1, and the summary says so."""
    game = random_game(np.random.default_rng(1), (3, 2), 4, state_rewards=True)
    log = malfl.learn(game, alpha=0.5, iterations=4, episodes=200, steps=40, seed=0)
    view = log.seen_by(1)
    free, one = (malfl.recover(replace(view, alpha=a), of=0, by=by) for a in (None, 1.0))
    np.testing.assert_array_equal(free.values, one.values)
    assert (free.scale_known, one.scale_known) == (False, True)
    said = ", up to a shaping, in units of alpha, which is not known"
    assert any(line.endswith(said) for line in free.summary().splitlines())
    known = malfl.recover(view, of=0, by=by)
    np.testing.assert_allclose(known.values, 0.5 * free.values, rtol=0, atol=2e-3)
