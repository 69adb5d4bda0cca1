"""LfL's experiments: learners, what their observers find, and what they earn by it."""

from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import random_game
from scipy.special import softmax

import malfl
from malfl import (
    CausalEntropy,
    LastPolicy,
    LeastSquares,
    MarkovGame,
    PathLikelihood,
    QLearning,
    RandomImprovements,
    SoftPolicyIteration,
    SoftValueIteration,
)
from malfl.companion import lfl
from malfl.learners import train
from malfl.recovery import (
    ConsistencyFit,
    NoFit,
    NothingToLearnError,
    PathFit,
    RecoveredReward,
    forecast,
)
from malfl.recovery.policies import entropy_regularised
from malfl.recovery.reward import Evidence

ALPHA, MODEL_ALPHA, SEED = 0.3, 0.7, 5
LIMIT = lfl.EXPLAINED
RUN = {"alpha": ALPHA, "seed": SEED}
EXACT = SoftPolicyIteration(evaluation="exact")


@cache
def a_game():
    return random_game(np.random.default_rng(3), (3,), 6, state_rewards=True)


def watched(game, learner, *, improvements, steps, alpha, seed):
    how = lfl.training(learner, improvements=improvements, steps=steps, alpha=alpha)
    return train(game, how, seed, record=True)


@cache
def view_of(learner=EXACT, improvements=2, steps=9):
    """So few steps that some states are not visited."""
    log = watched(a_game(), learner, improvements=improvements, steps=steps, **RUN)
    return replace(log.seen_by(None), alpha=MODEL_ALPHA)


def good_view():
    return view_of(improvements=3, steps=3000)


def found_by(observer, view, seed=0):
    return malfl.recover(view, of=0, by=observer, unvisited="omit", seed=seed)


def found_reward(values, deviation=None, diagnostics=None):
    values = np.array(values)
    return RecoveredReward(
        values=values,
        reward_class="state" if values.ndim == 1 else "state-action",
        diagnostics=diagnostics or NoFit(),
        deviation=None if deviation is None else np.array(deviation),
    )


def path_fit(misfit, learner=None):
    return PathFit(
        steps=1, log_likelihood=-1.0, gradient=0.0, converged=True, information=np.eye(6),
        unknowns=6, misfit=misfit, learner=learner, evidence=Evidence(0.0, 1.0, -1.0),
        promise=None,
    )  # fmt: skip


@dataclass(frozen=True)
class Finds:
    """Finds one reward whatever it sees, and writes down what that is."""

    reward: RecoveredReward
    policy: object = None
    shown: list = field(default_factory=list)

    needs_steps = True
    needs_improvements = False

    def prepare(self, view, agent, rng):
        self.shown.append((view, rng.random()))
        return SimpleNamespace(
            reward=lambda improvements: self.reward,
            next_policy=lambda reward, improvements: self.policy,
        )


def with_moves(dynamics, episodes):
    """A game without rewards, in which actions lead where they were seen to lead."""
    states, joint = dynamics.n_states, dynamics.n_joint_actions
    return MarkovGame(
        actions=dynamics.actions, transitions=naive.shares_of_moves(states, joint, episodes),
        rewards=[np.zeros(states)] * dynamics.n_agents, start=dynamics.start, gamma=dynamics.gamma,
    )  # fmt: skip


def filled(policies):
    return np.where(np.isnan(policies), 1 / policies.shape[-1], policies)


def test_the_observer_sees_an_episode_of_each_policy_and_nothing_of_the_last():
    game = malfl.gridworlds.lfl()
    log = watched(game, EXACT, improvements=3, steps=80, alpha=ALPHA, seed=1)
    assert log.iterations == 4
    assert log.alpha == ALPHA
    assert [list(played.lengths) for played in log.episodes] == [[80]] * 4
    exact = malfl.iterate_exactly(game, alpha=ALPHA, iterations=4)
    np.testing.assert_allclose(log.policies[0], exact[0], rtol=1e-12)
    other = watched(game, EXACT, improvements=3, steps=80, alpha=1, seed=2)
    assert (other.counts != log.counts).any()
    np.testing.assert_array_equal(other.policies[0][0], log.policies[0][0])
    assert np.abs(other.policies[0] - log.policies[0]).max() > 0.01


def test_the_papers_numbers_of_improvements():
    assert {learner.name: number for learner, number in lfl.IMPROVEMENTS.items()} == {
        "soft policy iteration": 3, "soft value iteration": 20, "Q-learning": 50,
        "random improvements": 10,
    }  # fmt: skip
    assert list(lfl.IMPROVEMENTS) == [
        EXACT, SoftValueIteration(), QLearning(), RandomImprovements(15)
    ]  # fmt: skip


def test_three_exact_improvements_are_where_lfl_prints_its_learner():
    log = watched(malfl.gridworlds.lfl(), EXACT, improvements=3, steps=1, alpha=0.3, seed=0)
    played = [naive.soft_return(log.game, [p], 0, 0.3) for p in log.policies[0][:-1]]
    assert round(max(played), 2) == 4.18


def descended_policies(view, rate, seed):
    counts = view.own_counts(0)
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
    ("observer", "policy_rate", "reward_rate"),
    [
        (lfl.OBSERVERS["as printed"], 1e-3, 1e-3),
        (lfl.OBSERVERS["as released"], 0.5, 1.0),
        (lfl.algorithm_1(policy_rate=0.2, reward_rate=0.03), 0.2, 0.03),
    ],
)
def test_algorithm_1_step_by_step(observer, policy_rate, reward_rate, seed):
    """Both Adams, moves of the first episode only, and uniform policies where nothing was seen."""
    view = view_of()
    assert (view.counts.sum(axis=2) == 0).any()
    world = with_moves(view.dynamics, view.episodes[0])
    policies = descended_policies(view, policy_rate, seed)
    theirs = naive.descended_reward(
        world, [policies], 0, MODEL_ALPHA, (6, 3), steps=200, rate=reward_rate
    )
    ours = found_by(observer, view, seed)
    assert ours.reward_class == "state-action"
    np.testing.assert_allclose(ours.values, theirs, rtol=0, atol=1e-5)


def test_as_printed_policies_stay_where_they_began():
    """Ten steps of .001; and 200 of .001 leave the reward within .2 of zero."""
    view = good_view()
    first = np.random.default_rng(0).random(view.own_counts(0).shape)
    moved = np.log(descended_policies(view, 1e-3, 0)) - np.log(softmax(first, axis=-1))
    assert np.abs(moved).max() < 0.021
    reward = found_by(lfl.OBSERVERS["as printed"], view).values
    assert np.abs(reward).max() < 0.2 + 1e-6


def test_another_seed_is_another_beginning():
    view = good_view()
    for name in ("as printed", "as released"):
        one, again, other = (found_by(lfl.OBSERVERS[name], view, n).values for n in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        assert np.abs(one - other).max() > 1e-3


def test_converged_is_algorithm_1_at_its_optimum():
    view = view_of()
    world = with_moves(view.dynamics, [e for part in view.episodes for e in part])
    policies = filled(entropy_regularised(view.own_counts(0), 0.01))
    ours = found_by(lfl.OBSERVERS["converged"], view)
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
    view = view_of(steps=25)
    counts = view.own_counts(0)
    assert (counts.sum(axis=2) == 0).any()
    policies, weights = a_tenth_more(counts), naive.overlap(counts)
    theirs = naive.least_squares(a_game(), [policies], 0, MODEL_ALPHA, weights, (6, 3))
    ours = found_by(lfl.OBSERVERS["weighted"], view)
    assert ours.reward_class == "state-action"
    np.testing.assert_allclose(ours.values, theirs, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(ours.unvisited, np.argwhere(counts.sum(axis=2) == 0))


def test_last_policy_and_causal_entropy_are_those_of_recover():
    view = good_view()
    last = found_by(lfl.OBSERVERS["last policy"], view).values
    counts = view.own_counts(0)[-1] + 0.5
    expected = MODEL_ALPHA * np.log(counts / counts.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(last, expected, rtol=1e-12)
    soft = found_by(lfl.OBSERVERS["causal entropy"], view).values
    np.testing.assert_array_equal(soft, malfl.recover(view, of=0, by="causal entropy").values)


def test_gaps_stop_nobody():
    """Who sees a state never visited makes do without."""
    view = view_of(improvements=3, steps=40)
    assert (view.counts.sum(axis=2) == 0).any()
    for observer in lfl.OBSERVERS.values():
        assert np.isfinite(found_by(observer, view).values).any()
    assert found_by(PathLikelihood([EXACT]), view).diagnostics.misfit < 2


def test_adaptive_has_the_reward_of_the_likeliest_learner():
    view = view_of(improvements=3, steps=1000)
    expected = malfl.recover(view, of=0, by=PathLikelihood())
    found = found_by(lfl.OBSERVERS["adaptive"], view)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.diagnostics.learner == EXACT


@pytest.mark.parametrize(
    ("misfit", "believed"),
    [(0.0, True), (LIMIT, True), (LIMIT + 1e-9, False), (30.0, False), (np.nan, False)],
)
def test_adaptive_falls_back_just_where_nothing_explains_what_was_seen(misfit, believed):
    view = view_of(steps=25)
    path = Finds(found_reward(np.arange(6.0), diagnostics=path_fit(misfit, QLearning())))
    ours = found_by(lfl.Adaptive(path, otherwise=lfl.WEIGHTED), view)
    expected = path.reward if believed else found_by(lfl.WEIGHTED, view)
    np.testing.assert_array_equal(ours.values, expected.values)
    assert isinstance(ours.diagnostics, PathFit) == believed


def test_adaptive_looks_at_as_many_improvements_as_it_is_asked_to():
    view = view_of(improvements=3, steps=1000)
    prepared = lfl.OBSERVERS["adaptive"].prepare(view, 0, np.random.default_rng(0))
    for number in (1, 3):
        expected = malfl.recover(view.first(number + 1), of=0, by=PathLikelihood())
        np.testing.assert_array_equal(prepared.reward(number).values, expected.values)


@pytest.mark.parametrize("misfit", [LIMIT, LIMIT + 1e-9])
def test_adaptive_predicts_as_who_found_the_reward_does(misfit):
    view, policies = good_view(), np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 6))
    path = Finds(found_reward(np.zeros(6), diagnostics=path_fit(misfit, QLearning())), policies[0])
    other = Finds(found_reward(np.ones(6)), policies[1])
    made = forecast(view, of=0, by=lfl.Adaptive(path, other))
    for reward, policy in zip(made.rewards, made.policies, strict=True):
        np.testing.assert_array_equal(reward, np.full(6, float(misfit > LIMIT)))
        np.testing.assert_array_equal(policy, policies[int(misfit > LIMIT)])


@pytest.mark.parametrize(
    ("learners", "otherwise", "needs"),
    [
        ([EXACT], LeastSquares(), False),
        ([QLearning()], LeastSquares(), True),
        ([EXACT], lfl.CONVERGED, True),
    ],
)
def test_adaptive_needs_the_steps_that_either_of_its_estimators_needs(learners, otherwise, needs):
    assert lfl.Adaptive(PathLikelihood(learners), otherwise).needs_steps == needs


@pytest.mark.parametrize("name", lfl.OBSERVERS)
def test_observers_come_back_from_a_file(name, tmp_path):
    lfl.OBSERVERS[name].save(tmp_path / "observer")
    again = type(lfl.OBSERVERS[name]).load(tmp_path / "observer")
    assert again == lfl.OBSERVERS[name]


def test_about_one_is_explained():
    assert 1 <= LIMIT < 1.5


def test_adaptive_knows_a_learner_from_an_accident():
    game = malfl.gridworlds.lfl()
    for learner in (EXACT, SoftValueIteration(), RandomImprovements()):
        improvements = lfl.IMPROVEMENTS[learner]
        log = watched(game, learner, improvements=improvements, steps=1000, alpha=0.3, seed=0)
        view = replace(log.seen_by(None), alpha=MODEL_ALPHA)
        fit = found_by(lfl.OBSERVERS["adaptive"], view).diagnostics
        if learner == RandomImprovements():
            assert isinstance(fit, ConsistencyFit)
        else:
            assert fit.learner == learner


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


def test_unknown_rewards_are_assumed_to_be_the_least_known():
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
    "misfit", "likeliest",
)  # fmt: skip
TRUSTED = [
    (path_fit(0.5, QLearning()), True),
    (path_fit(LIMIT, QLearning()), True),
    (path_fit(LIMIT + 1e-9, QLearning()), False),
    (path_fit(np.nan, QLearning()), False),
    (path_fit(0.5), False),
    (NoFit(), False),
]
SCORED = {SoftValueIteration(): 2, RandomImprovements(): 3}


@pytest.fixture(scope="module")
def scored():
    """By observers who find one reward."""
    shown, values, deviation = [], np.linspace(-1, 1, 6), np.linspace(0.5, 0, 6)
    observers = {
        str(k): Finds(found_reward(values, deviation, fit), shown=shown)
        for k, (fit, _) in enumerate(TRUSTED)
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("malfl.progress.cores", lambda: 1)  # what is shown comes in order
        table = lfl.scores(
            a_game(), observers, seeds=[4, 1], steps=12, alpha=ALPHA, model_alpha=MODEL_ALPHA,
            improvements=SCORED,
        )  # fmt: skip
    return table, shown, values, values - deviation


def scored_log(name, seed):
    (learner,) = [one for one in SCORED if one.name == name]
    number = SCORED[learner]
    log = watched(a_game(), learner, improvements=number, steps=12, alpha=ALPHA, seed=seed)
    return log, number


def test_each_observer_has_a_row_for_each_run(scored):
    table, shown, *_ = scored
    assert tuple(table.columns) == COLUMNS
    assert len(table) == len(shown) == 2 * 2 * 6
    keys = [(r.learner, r.seed, r.observer) for r in table.itertuples()]
    assert keys == [
        (learner, seed, str(k))
        for learner in ("soft value iteration", "random improvements")
        for seed in (4, 1)
        for k in range(6)
    ]
    for (view, drawn), row in zip(shown, table.itertuples(), strict=True):
        assert drawn == np.random.default_rng(row.seed).random()
        assert (view.observer, view.alpha) == (None, MODEL_ALPHA)
        log, _ = scored_log(row.learner, row.seed)
        np.testing.assert_array_equal(view.counts, log.counts)
        for ours, theirs in zip(view.episodes, log.episodes, strict=True):
            np.testing.assert_array_equal(ours.packed.codes, theirs.packed.codes)
            np.testing.assert_array_equal(ours.packed.last, theirs.packed.last)


def test_scores_are_soft_returns_of_what_was_seen_and_of_the_best_by_what_was_found(scored):
    """The paper's observer has the learner's alpha; on its own scale it doubts as well."""
    table, _, values, doubted = scored
    game = a_game()
    odds = naive.faced(game, game.uniform_policies(), 0)

    def best(values, alpha):
        policy = naive.soft_optimum(odds, np.repeat(values[:, None], 3, 1), game.gamma, alpha)
        return naive.soft_return(game, [policy], 0, ALPHA)

    papers, own = best(values, ALPHA), best(doubted, MODEL_ALPHA)
    for (learner, seed), rows in table.groupby(["learner", "seed"]):
        log, number = scored_log(learner, seed)
        played = [naive.soft_return(game, [p], 0, ALPHA) for p in log.policies[0][: number + 1]]
        np.testing.assert_allclose(rows["learner score"], max(played), rtol=1e-9)
        np.testing.assert_allclose(rows["last score"], played[-1], rtol=1e-9)
        np.testing.assert_allclose(rows["score"], papers, rtol=1e-8)
        np.testing.assert_allclose(rows["own scale"], own, rtol=1e-8)
    assert abs(papers - own) > 1e-2


def test_who_understands_the_learner_acts_on_its_own_scale(scored):
    table, *_ = scored
    for k, (fit, trusted) in enumerate(TRUSTED):
        rows = table[table["observer"] == str(k)]
        expected = rows["own scale" if trusted else "score"]
        np.testing.assert_array_equal(rows["trusted"], expected)
        learner = getattr(fit, "learner", None)
        assert (
            rows["likeliest"].isna().all()
            if learner is None
            else set(rows["likeliest"]) == {learner.name}
        )


def test_the_misfit_of_every_path_is_in_the_table(scored):
    table, *_ = scored
    for k, (fit, _) in enumerate(TRUSTED):
        rows = table[table["observer"] == str(k)]
        misfit = getattr(fit, "misfit", np.nan)
        np.testing.assert_array_equal(rows["misfit"].astype(float), misfit)


def test_the_learners_best_policy_may_not_be_its_last():
    """Soft value iteration goes up to 3.69 and down again."""
    game, learner = malfl.gridworlds.lfl(), SoftValueIteration()
    log = watched(game, learner, improvements=8, steps=50, alpha=0.3, seed=0)
    played = [naive.soft_return(game, [p], 0, 0.3) for p in log.policies[0][:-1]]
    assert max(played) > played[-1] + 1
    observers = {"last": LastPolicy()}
    table = lfl.scores(game, observers, seeds=[0], improvements={learner: 8}, steps=50)
    assert table["learner score"][0] == pytest.approx(max(played), rel=1e-9)
    assert table["last score"][0] == pytest.approx(played[-1], rel=1e-9)


def test_the_same_seeds_give_the_same_scores():
    game = malfl.gridworlds.lfl()
    options = {"seeds": [1], "improvements": {EXACT: 2}, "steps": 600}
    one, two = (lfl.scores(game, lfl.OBSERVERS, **options) for _ in range(2))
    assert one.equals(two)
    assert list(one["observer"]) == [
        "as printed", "as released", "converged", "weighted", "last policy", "causal entropy",
        "adaptive",
    ]  # fmt: skip
    other = lfl.scores(game, lfl.OBSERVERS, **options | {"seeds": [2]})
    assert (one["score"] != other["score"]).all()


def test_by_default_the_setting_is_the_papers(monkeypatch):
    """Alpha .3, a model's alpha of .7, 1000 steps, and each learner's improvements."""
    game = malfl.gridworlds.lfl()
    look = Finds(found_reward(game.rewards[0]))
    monkeypatch.setattr("malfl.progress.cores", lambda: 1)  # what is shown comes in order
    table = lfl.scores(game, {"look": look}, seeds=[0])
    views = [view for view, _ in look.shown]
    shown = [(len(v.counts), v.alpha, v.counts.sum() / len(v.counts)) for v in views]
    assert shown == [(4, 0.7, 1000), (21, 0.7, 1000), (51, 0.7, 1000), (11, 0.7, 1000)]
    np.testing.assert_allclose(table["score"], 5.683784, atol=1e-6)


def test_stored_scores_are_not_made_again(tmp_path, monkeypatch):
    observers = {"weighted": lfl.WEIGHTED, "causal entropy": CausalEntropy()}
    options = {"seeds": [1, 2], "improvements": {EXACT: 2}, "steps": 60, "store": tmp_path}
    first = lfl.scores(a_game(), observers, **options)
    monkeypatch.delattr(lfl, "trained_and_recovered")
    assert lfl.scores(a_game(), observers, **options).equals(first)
    with pytest.raises(NameError):
        lfl.scores(a_game(), observers, **options | {"seeds": [3]})


@dataclass(frozen=True)
class Blind(LeastSquares):
    """An estimator that never finds anything."""

    def solve(self, system):
        raise NothingToLearnError("nothing is seen")


def test_an_observer_that_finds_nothing_is_named():
    observers = {"strict": Blind()}
    with pytest.raises(NothingToLearnError, match=r"strict found nothing .* soft policy iteration"):
        lfl.scores(a_game(), observers, seeds=[0], improvements={EXACT: 2}, steps=60)


def test_learning_scores_are_soft_returns_of_every_policy_that_is_played():
    game = a_game()
    table = lfl.learning_scores(game, seeds=[4, 1], steps=12, alpha=ALPHA)
    assert list(table.columns) == ["learner", "iteration", "seed", "score"]
    assert len(table) == 2 * sum(number + 1 for number in lfl.IMPROVEMENTS.values())
    for learner, number in lfl.IMPROVEMENTS.items():
        for seed in (4, 1):
            log = watched(game, learner, improvements=number, steps=12, alpha=ALPHA, seed=seed)
            rows = table[(table["learner"] == learner.name) & (table["seed"] == seed)]
            assert list(rows["iteration"]) == list(range(number + 1))
            played = [naive.soft_return(game, [p], 0, ALPHA) for p in log.policies[0][:-1]]
            np.testing.assert_allclose(rows["score"], played, rtol=1e-9)


def test_exact_scores_are_those_of_who_knows_the_policies(monkeypatch):
    game = a_game()
    monkeypatch.setattr(lfl, "IMPROVEMENTS", SCORED)
    options = {"steps": 12, "alpha": ALPHA, "model_alpha": MODEL_ALPHA}
    table = lfl.exact_scores(game, seeds=[4, 1], **options)
    keys = [(learner.name, seed) for learner in SCORED for seed in (4, 1)]
    assert list(zip(table["learner"], table["seed"], strict=True)) == keys
    odds = naive.faced(game, game.uniform_policies(), 0)
    for key, score in zip(keys, table["score"], strict=True):
        log, number = scored_log(*key)
        policies, weights = log.policies[0][:-1], np.ones((number, 6, 3))
        reward = naive.least_squares(game, [policies], 0, MODEL_ALPHA, weights, (6, 3))
        best = naive.soft_optimum(odds, reward, game.gamma, ALPHA)
        assert score == pytest.approx(naive.soft_return(game, [best], 0, ALPHA), abs=1e-6)
