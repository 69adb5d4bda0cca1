"""LfL's experiments: learners, what their observers find, and what they earn by it."""

from dataclasses import replace
from functools import cache

import naive
import numpy as np
import pytest
from drawn import random_game
from scipy.special import softmax

import malfl
from malfl import MarkovGame, lfl
from malfl.estimation import entropy_regularised
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery import RecoveredReward
from malfl.recovery.diagnostics import Convergence

ALPHA, MODEL_ALPHA, SEED = 0.3, 0.7, 5
LIMIT = lfl.EXPLAINED
RUN = {"alpha": ALPHA, "seed": SEED}


@cache
def a_game():
    return random_game(np.random.default_rng(3), (3,), 6, state_rewards=True)


@cache
def saw(learner="soft policy iteration", improvements=2, steps=9):
    """So few steps that some states are not visited."""
    log = lfl.watched(a_game(), learner, improvements=improvements, steps=steps, **RUN)
    return replace(log.observed_by(None), alpha=MODEL_ALPHA)


@cache
def saw_well():
    log = lfl.watched(a_game(), "soft policy iteration", improvements=3, steps=3000, **RUN)
    return replace(log.observed_by(None), alpha=MODEL_ALPHA)


def found_reward(values, deviation=None, misfit=None, learner=None):
    values = np.array(values)
    return RecoveredReward(
        values=values,
        reward_class="state" if values.ndim == 1 else "state-action",
        convergence=Convergence(steps=1, loss=0.0, gradient=0.0, converged=True),
        determine=lambda: None,
        deviation=None if deviation is None else np.array(deviation),
        misfit=misfit,
        learner=learner,
    )


def with_moves(dynamics, episodes):
    """A game without rewards, in which actions lead where they were seen to lead."""
    states, joint = dynamics.n_states, dynamics.n_joint_actions
    return MarkovGame(
        actions=dynamics.actions, transitions=naive.shares_of_moves(states, joint, episodes),
        rewards=[np.zeros(states)] * dynamics.n_agents, start=dynamics.start, gamma=dynamics.gamma,
    )  # fmt: skip


def episodes(played):
    return list(zip(played.states, played.actions, strict=True))


def filled(policies):
    return np.where(np.isnan(policies), 1 / policies.shape[-1], policies)


def test_the_observer_sees_an_episode_of_each_policy_and_nothing_of_the_last():
    game = malfl.gridworlds.lfl()
    log = lfl.watched(game, "soft policy iteration", improvements=3, steps=80, alpha=ALPHA, seed=1)
    assert log.iterations == 4
    assert log.alpha == ALPHA
    assert [played.steps.shape for played in log.trajectories] == [(1, 80)] * 4
    exact = iterate_exactly(game, alpha=ALPHA, iterations=4)
    np.testing.assert_allclose(log.policies[0], exact[0], rtol=1e-12)
    other = lfl.watched(game, "soft policy iteration", improvements=3, steps=80, alpha=1, seed=2)
    assert (other.counts != log.counts).any()
    np.testing.assert_array_equal(other.policies[0][0], log.policies[0][0])
    assert np.abs(other.policies[0] - log.policies[0]).max() > 0.01


def test_the_papers_numbers_of_improvements():
    assert lfl.IMPROVEMENTS == {
        "soft policy iteration": 3, "soft value iteration": 20, "Q-learning": 50,
        "random improvements": 10,
    }  # fmt: skip


def test_three_exact_improvements_are_where_lfl_prints_its_learner():
    log = lfl.watched(
        malfl.gridworlds.lfl(), "soft policy iteration", improvements=3, steps=1, alpha=0.3, seed=0
    )
    played = [naive.soft_return(log.game, [p], 0, 0.3) for p in log.policies[0][:-1]]
    assert round(max(played), 2) == 4.18


def descended_policies(seen, rate, seed):
    counts = seen.own_counts(0)
    logits = np.random.default_rng(seed).random(counts.shape)
    return np.array(
        [
            [
                naive.descended_policy(row, 0.01, start, 10, rate)
                if sum(row)
                else np.full(len(row), 1 / len(row))
                for row, start in zip(rows, starts, strict=True)
            ]
            for rows, starts in zip(counts, logits, strict=True)
        ]
    )


@pytest.mark.parametrize("seed", [0, 4])
@pytest.mark.parametrize(
    ("name", "policy_rate", "reward_rate"),
    [("as printed", 1e-3, 1e-3), ("as released", 0.5, 1.0), (None, 0.2, 0.03)],
)
def test_algorithm_1_step_by_step(name, policy_rate, reward_rate, seed):
    """Both Adams, moves of the first episode only, and uniform policies where nothing was seen."""
    seen = saw()
    assert (seen.counts.sum(axis=2) == 0).any()
    world = with_moves(seen.dynamics, episodes(seen.trajectories[0]))
    policies = descended_policies(seen, policy_rate, seed)
    theirs = naive.descended_reward(
        world, [policies], 0, MODEL_ALPHA, (6, 3), steps=200, rate=reward_rate
    )
    ours = (
        lfl.OBSERVERS[name](seen, seed)
        if name
        else lfl.algorithm_1(seen, policy_rate=policy_rate, reward_rate=reward_rate, seed=seed)
    )
    assert ours.reward_class == "state-action"
    np.testing.assert_allclose(ours.values, theirs, rtol=0, atol=1e-5)


def test_as_printed_policies_stay_where_they_began():
    """Ten steps of .001; and 200 of .001 leave the reward within .2 of zero."""
    seen = saw_well()
    first = np.random.default_rng(0).random(seen.own_counts(0).shape)
    moved = np.log(descended_policies(seen, 1e-3, 0)) - np.log(softmax(first, axis=-1))
    assert np.abs(moved).max() < 0.021
    reward = lfl.OBSERVERS["as printed"](seen, 0).values
    assert np.abs(reward).max() < 0.2 + 1e-6


def test_another_seed_is_another_beginning():
    seen = saw_well()
    for name in ("as printed", "as released"):
        one, again, other = (lfl.OBSERVERS[name](seen, seed).values for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        assert np.abs(one - other).max() > 1e-3


def test_converged_is_algorithm_1_at_its_optimum():
    seen = saw()
    world = with_moves(seen.dynamics, [e for part in seen.trajectories for e in episodes(part)])
    policies = filled(entropy_regularised(seen.own_counts(0), 0.01))
    ours = lfl.OBSERVERS["converged"](seen, 0)
    assert ours.reward_class == "state-action"
    theirs = naive.least_squares(world, [policies], 0, MODEL_ALPHA, np.ones((2, 6, 3)), (6, 3))
    np.testing.assert_allclose(ours.values, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())


def a_tenth_more(counts):
    """Shares after a tenth was added to each count; uniform if nothing was seen."""
    return filled(
        np.array(
            [
                [
                    [(n + 0.1) / (sum(row) + 0.1 * len(row)) if sum(row) else np.nan for n in row]
                    for row in rows
                ]
                for rows in counts
            ]
        )
    )


def test_weighted_is_weighted_least_squares():
    seen = saw(steps=25)
    counts = seen.own_counts(0)
    assert (counts.sum(axis=2) == 0).any()
    policies, weights = a_tenth_more(counts), naive.overlap(counts)
    theirs = naive.least_squares(a_game(), [policies], 0, MODEL_ALPHA, weights, (6, 3))
    ours = lfl.OBSERVERS["weighted"](seen, 0)
    assert ours.reward_class == "state-action"
    np.testing.assert_allclose(ours.values, theirs, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(ours.unvisited, np.argwhere(counts.sum(axis=2) == 0))


def test_last_policy_and_causal_entropy_are_methods_of_recover():
    seen = saw_well()
    last = lfl.OBSERVERS["last policy"](seen, 0).values
    counts = seen.own_counts(0)[-1] + 0.5
    expected = MODEL_ALPHA * np.log(counts / counts.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(last, expected, rtol=1e-12)
    soft = lfl.OBSERVERS["causal entropy"](seen, 0).values
    expected = malfl.recover(seen, of=0, method="causal_entropy").values
    np.testing.assert_array_equal(soft, expected)


def test_gaps_stop_nobody():
    """Who sees a state never visited makes do without."""
    seen = saw(steps=40, improvements=3)
    assert (seen.counts.sum(axis=2) == 0).any()
    for observer in lfl.OBSERVERS.values():
        assert np.isfinite(observer(seen, 0).values).any()
    assert lfl.by_course(seen, "soft policy iteration").misfit < 2


def test_a_course_is_of_the_learner_that_is_named_or_of_the_likeliest():
    seen = saw_well()
    expected = malfl.recover(seen, of=0, method="course").values
    np.testing.assert_array_equal(lfl.by_course(seen).values, expected)
    assert lfl.by_course(seen).learner == "soft policy iteration"
    assert lfl.by_course(seen, "Q-learning").learner == "Q-learning"


@pytest.mark.parametrize(
    ("misfit", "believed"),
    [
        (0.0, True),
        (LIMIT, True),
        (LIMIT + 1e-9, False),
        (30.0, False),
        (np.nan, False),
        (None, False),
    ],
)
def test_adaptive_falls_back_just_where_nothing_explains_what_was_seen(
    monkeypatch, misfit, believed
):
    seen = saw(steps=25)
    course = found_reward(np.arange(6.0), misfit=misfit, learner="Q-learning")
    monkeypatch.setattr(lfl, "by_course", lambda seen: course)
    ours = lfl.OBSERVERS["adaptive"](seen, 0)
    assert (ours is course) == believed
    if not believed:
        np.testing.assert_array_equal(ours.values, lfl.weighted(seen).values)


def test_about_one_is_explained():
    assert 1 <= LIMIT < 1.5


def test_adaptive_knows_a_learner_from_an_accident():
    game = malfl.gridworlds.lfl()
    for learner, name in (
        ("soft policy iteration", "soft policy iteration"),
        ("soft value iteration", "soft value iteration"),
        ("random improvements", None),
    ):
        improvements = lfl.IMPROVEMENTS[learner]
        log = lfl.watched(game, learner, improvements=improvements, steps=1000, alpha=0.3, seed=0)
        seen = replace(log.observed_by(None), alpha=MODEL_ALPHA)
        assert lfl.adaptive(seen).learner == name


def a_fork(rewards, gamma=0.5):
    """From state 0 to one of three states, and never away from it."""
    table = np.array([[1, 2, 3], [1, 1, 1], [2, 2, 2], [3, 3, 3]])
    return MarkovGame(actions=(3,), transitions=table, rewards=[rewards], start=0, gamma=gamma)


def fork_value(true, believed, alpha, own_alpha):
    """By hand: with gamma 1/2, to stay anywhere is worth what is paid there once, from one on."""
    odds = softmax(np.array(believed[1:]) / own_alpha)
    here = true[0] + alpha * naive.entropy(odds)
    return here + odds @ (np.array(true[1:]) + alpha * np.log(3))


@pytest.mark.parametrize(("alpha", "own_alpha"), [(0.3, 0.3), (0.3, 0.7), (2.0, 0.4)])
def test_who_is_best_by_a_belief_earns_the_truth(alpha, own_alpha):
    true, believed = [1.0, 2.0, -1.0, 0.5], [7.0, 1.2, 0.1, 0.9]
    score = lfl.earned(a_fork(true), found_reward(believed), alpha=alpha, own_alpha=own_alpha)
    assert score == pytest.approx(fork_value(true, believed, alpha, own_alpha), rel=1e-9)


def test_beliefs_may_be_of_actions():
    true, believed = [0.0, 2.0, -1.0, 0.5], np.zeros((4, 3))
    believed[0] = [0.3, 0.1, 0.9]
    score = lfl.earned(a_fork(true), found_reward(believed), alpha=0.3, own_alpha=0.7)
    expected = fork_value(true, [0, 0.3, 0.1, 0.9], 0.3, 0.7)
    assert score == pytest.approx(expected, rel=1e-9)


def test_what_is_unknown_is_taken_for_the_least():
    true = [1.0, 2.0, -1.0, 0.5]
    for unknown, expected in (
        ([0.4, 1.2, 0.1, np.nan], [0.4, 1.2, 0.1, 0.1]),
        ([-0.6, 1.2, 0.1, np.nan], [-0.6, 1.2, 0.1, -0.6]),
        ([np.nan, 1.2, np.nan, 0.3], [0.3, 1.2, 0.3, 0.3]),
    ):
        score = lfl.earned(a_fork(true), found_reward(unknown), alpha=0.3, own_alpha=0.7)
        assert score == pytest.approx(fork_value(true, expected, 0.3, 0.7), rel=1e-9)


def test_doubt_takes_deviations_off_before_the_least_is_looked_for():
    true, found = [1.0, 2.0, -1.0, 0.5], [0.4, 1.2, 0.1, np.nan]
    reward = found_reward(found, deviation=[0.1, 0.2, 0.5, np.nan])
    for doubt, expected in (
        (0.0, [0.4, 1.2, 0.1, 0.1]),
        (1.0, [0.3, 1.0, -0.4, -0.4]),
        (2.5, [0.15, 0.7, -1.15, -1.15]),
    ):
        score = lfl.earned(a_fork(true), reward, alpha=0.3, own_alpha=0.7, doubt=doubt)
        assert score == pytest.approx(fork_value(true, expected, 0.3, 0.7), rel=1e-9)
    without = lfl.earned(a_fork(true), reward, alpha=0.3, own_alpha=0.7)
    assert without == pytest.approx(fork_value(true, [0.4, 1.2, 0.1, 0.1], 0.3, 0.7), rel=1e-9)
    certain = lfl.earned(a_fork(true), found_reward(found), alpha=0.3, own_alpha=0.7, doubt=9.0)
    assert certain == without
    with pytest.raises(TypeError, match="doubt must be a number, got 'much'"):
        lfl.earned(a_fork(true), reward, alpha=0.3, own_alpha=0.7, doubt="much")


def test_the_truth_earns_the_most():
    game = malfl.gridworlds.lfl()
    odds = naive.faced(game, game.uniform_policies(), 0)
    best = naive.soft_optimum(odds, np.repeat(game.rewards[0][:, None], 4, 1), 0.96, 0.3)
    most = naive.soft_return(game, [best], 0, 0.3)
    true = found_reward(game.rewards[0])
    assert lfl.earned(game, true, alpha=0.3, own_alpha=0.3) == pytest.approx(most, abs=1e-9)
    assert lfl.earned(game, true, alpha=0.3, own_alpha=0.7) < most - 0.1
    # On the scale of the model, what the model would recover earns the most as well.
    larger = found_reward(game.rewards[0] * 0.7 / 0.3)
    assert lfl.earned(game, larger, alpha=0.3, own_alpha=0.7) == pytest.approx(most, abs=1e-9)
    ceiling = lfl.earned(game, larger, alpha=0.3, own_alpha=0.3)
    assert ceiling == pytest.approx(4.917, abs=0.0005)


COLUMNS = (
    "learner", "seed", "observer", "learner score", "last score", "score", "own scale", "trusted",
    "misfit", "taken for",
)  # fmt: skip
TRUSTED = [
    (("Q-learning", 0.5), True),
    (("Q-learning", LIMIT), True),
    (("Q-learning", LIMIT + 1e-9), False),
    (("Q-learning", np.nan), False),
    (("Q-learning", None), True),
    ((None, 0.5), False),
    ((None, None), False),
]


@pytest.fixture(scope="module")
def scored():
    """By observers who write down what they are shown, and find one reward."""
    shown, values, deviation = [], np.linspace(-1, 1, 6), np.linspace(0.5, 0, 6)

    def observer(learner, misfit):
        def look(seen, seed):
            shown.append((seen, seed))
            return found_reward(values, deviation, misfit, learner)

        return look

    observers = {str(k): observer(*kind) for k, (kind, _) in enumerate(TRUSTED)}
    table = lfl.scores(
        a_game(), observers, seeds=[4, 1], steps=12, alpha=ALPHA, model_alpha=MODEL_ALPHA,
        improvements={"soft value iteration": 2, "random improvements": 3},
    )  # fmt: skip
    return table, shown, values, values - deviation


def test_each_observer_has_a_row_for_each_run(scored):
    table, shown, *_ = scored
    assert tuple(table.columns) == COLUMNS
    assert len(table) == len(shown) == 2 * 2 * 7
    keys = [(r.learner, r.seed, r.observer) for r in table.itertuples()]
    assert keys == [
        (learner, seed, str(k))
        for learner in ("soft value iteration", "random improvements")
        for seed in (4, 1)
        for k in range(7)
    ]
    for (seen, seed), row in zip(shown, table.itertuples(), strict=True):
        number = {"soft value iteration": 2, "random improvements": 3}[row.learner]
        assert seed == row.seed
        assert (seen.observer, seen.alpha) == (None, MODEL_ALPHA)
        log = lfl.watched(
            a_game(), row.learner, improvements=number, steps=12, alpha=ALPHA, seed=seed
        )
        np.testing.assert_array_equal(seen.counts, log.counts)
        for ours, theirs in zip(seen.trajectories, log.trajectories, strict=True):
            np.testing.assert_array_equal(ours.steps, theirs.steps)


def test_scores_are_soft_returns_of_what_was_seen_and_of_the_best_by_what_was_found(scored):
    """The paper's observer takes the learner's alpha; on its own scale it doubts as well."""
    table, _, values, doubted = scored
    game = a_game()
    odds = naive.faced(game, game.uniform_policies(), 0)

    def best(values, alpha):
        policy = naive.soft_optimum(odds, np.repeat(values[:, None], 3, 1), game.gamma, alpha)
        return naive.soft_return(game, [policy], 0, ALPHA)

    papers, own = best(values, ALPHA), best(doubted, MODEL_ALPHA)
    for (learner, seed), rows in table.groupby(["learner", "seed"]):
        number = {"soft value iteration": 2, "random improvements": 3}[learner]
        log = lfl.watched(game, learner, improvements=number, steps=12, alpha=ALPHA, seed=seed)
        played = [naive.soft_return(game, [p], 0, ALPHA) for p in log.policies[0][: number + 1]]
        np.testing.assert_allclose(rows["learner score"], max(played), rtol=1e-9)
        np.testing.assert_allclose(rows["last score"], played[-1], rtol=1e-9)
        np.testing.assert_allclose(rows["score"], papers, rtol=1e-8)
        np.testing.assert_allclose(rows["own scale"], own, rtol=1e-8)
    assert abs(papers - own) > 1e-2


def test_who_understands_the_learner_acts_on_its_own_scale(scored):
    table, *_ = scored
    for k, ((learner, misfit), trusted) in enumerate(TRUSTED):
        rows = table[table["observer"] == str(k)]
        expected = rows["own scale" if trusted else "score"]
        np.testing.assert_array_equal(rows["trusted"], expected)
        assert (
            rows["taken for"].isna().all()
            if learner is None
            else set(rows["taken for"]) == {learner}
        )
        if misfit is not None:
            np.testing.assert_array_equal(rows["misfit"].astype(float), misfit)


def test_the_learners_best_policy_may_not_be_its_last():
    """Soft value iteration goes up to 3.69 and down again."""
    game = malfl.gridworlds.lfl()
    log = lfl.watched(game, "soft value iteration", improvements=8, steps=50, alpha=0.3, seed=0)
    played = [naive.soft_return(game, [p], 0, 0.3) for p in log.policies[0][:-1]]
    assert max(played) > played[-1] + 1
    observers = {"last": lfl.OBSERVERS["last policy"]}
    numbers = {"soft value iteration": 8}
    table = lfl.scores(game, observers, seeds=[0], improvements=numbers, steps=50)
    assert table["learner score"][0] == pytest.approx(max(played), rel=1e-9)
    assert table["last score"][0] == pytest.approx(played[-1], rel=1e-9)


def test_the_same_seeds_give_the_same_scores():
    game = malfl.gridworlds.lfl()
    options = {"seeds": [1], "improvements": {"soft policy iteration": 2}, "steps": 600}
    one, two = (lfl.scores(game, lfl.OBSERVERS, **options) for _ in range(2))
    assert one.equals(two)
    assert list(one["observer"]) == [
        "as printed", "as released", "converged", "weighted", "last policy", "causal entropy",
        "adaptive",
    ]  # fmt: skip
    other = lfl.scores(game, lfl.OBSERVERS, **options | {"seeds": [2]})
    assert (one["score"] != other["score"]).all()


def test_by_default_the_setting_is_the_papers():
    """Alpha .3, a model's alpha of .7, 1000 steps, and each learner's improvements."""
    game, shown = malfl.gridworlds.lfl(), []

    def look(seen, seed):
        shown.append((len(seen.counts), seen.alpha, seen.counts.sum() / len(seen.counts)))
        return found_reward(game.rewards[0])

    table = lfl.scores(game, {"look": look}, seeds=[0])
    assert shown == [(4, 0.7, 1000), (21, 0.7, 1000), (51, 0.7, 1000), (11, 0.7, 1000)]
    np.testing.assert_allclose(table["score"], 5.683784, atol=1e-6)
