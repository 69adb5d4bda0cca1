import threading
from contextlib import contextmanager
from dataclasses import replace

import naive
import numpy as np
import pytest
from drawn import random_game

from malfl import (
    Adam,
    CausalEntropy,
    EvidenceRidge,
    LastPolicy,
    LeastSquares,
    MarkovGame,
    MiniBatchAdam,
    PathLikelihood,
    Replay,
    SoftPolicyIteration,
    Structural,
    estimate_policies,
    forecast,
    learn,
    progress,
    recover,
)
from malfl.games import gridworlds
from malfl.games.soft import improve, marginal_soft_q
from malfl.recovery import Descended, descent
from malfl.recovery.forecast import prediction_error

ALPHA, BETA = 0.9, 0.2
BY_STEPS, EXACTLY = SoftPolicyIteration(BETA), SoftPolicyIteration(evaluation="exact")


def of_type(*estimators):
    """A test of each estimator, by the names of their classes."""
    return pytest.mark.parametrize("by", estimators, ids=lambda one: type(one).__name__)


def watched(observer, actions=(2, 3), learner=BY_STEPS):
    game = random_game(np.random.default_rng(1), actions=actions, states=3, state_rewards=True)
    log = learn(
        game, learner, alpha=ALPHA, iterations=4, episodes=40, steps=60, seed=0, record=True
    )
    return log.seen_by(observer)


@pytest.fixture(scope="module")
def view():
    return watched(0)


@pytest.mark.parametrize(
    ("observer", "of", "actions"), [(0, 1, (2, 3)), (1, 0, (2, 3)), (0, 2, (2, 1, 3))]
)
@of_type(Replay(BETA), Structural(), LeastSquares(), EvidenceRidge(), PathLikelihood())
def test_rewards_are_those_of_what_was_seen_by_then(observer, of, actions, by):
    view = watched(observer, actions, BY_STEPS if by == Replay(BETA) else EXACTLY)
    found = forecast(view, of=of, by=by)
    assert found.rewards.shape == (3, 3)
    assert found.policies.shape == (3, 3, actions[of])
    for h in (1, 2, 3):
        theirs = recover(view.first(h + 1), of=of, by=by)
        np.testing.assert_allclose(found.rewards[h - 1], theirs.values, rtol=1e-10)
    assert np.abs(np.diff(found.rewards, axis=0)).max() > 1e-3


@of_type(LastPolicy(), CausalEntropy())
def test_estimators_of_the_last_policy_go_from_one_to_the_next(view, by):
    found = forecast(view, of=1, by=by)
    for h in (1, 2, 3):
        theirs = recover(view.first(h + 1), of=1, by=by)
        np.testing.assert_allclose(found.rewards[h - 1], theirs.over_states(), rtol=1e-10)
    assert np.abs(np.diff(found.rewards, axis=0)).max() > 1e-3


def exact_predictions(view, of, rewards):
    """Eq. 6 with exact soft Q of the estimated policies."""
    estimates, rules = estimate_policies(view), view.dynamics
    predicted = []
    for h, reward in enumerate(rewards, start=1):
        game = MarkovGame(
            actions=rules.actions, transitions=rules.transitions, start=rules.start,
            gamma=rules.gamma, rewards=[reward] * rules.n_agents,
        )  # fmt: skip
        q = marginal_soft_q(game, [p[h] for p in estimates], of, view.alpha)
        predicted.append(improve(q, view.alpha))
    return predicted


@of_type(
    Structural(None, "exact", "state"), MiniBatchAdam(), LeastSquares(), EvidenceRidge(),
    CausalEntropy(), PathLikelihood([EXACTLY], reward_class="state"),
)  # fmt: skip
@pytest.mark.parametrize(("observer", "of", "actions"), [(0, 1, (2, 3)), (2, 0, (2, 1, 3))])
def test_predictions_come_from_exact_values_of_the_newest_policies(by, observer, of, actions):
    view = watched(observer, actions)
    found = forecast(view, of=of, by=by)
    theirs = exact_predictions(view, of, found.rewards)
    np.testing.assert_allclose(found.policies, theirs, atol=1e-12)


def test_predictions_come_from_the_newest_steps_played_again(view):
    found = forecast(view, of=1, by=Replay(BETA))
    own = estimate_policies(view)[1]
    game = MarkovGame(
        actions=view.dynamics.actions, transitions=view.dynamics.transitions,
        start=view.dynamics.start, gamma=view.dynamics.gamma, rewards=[np.zeros(3)] * 2,
    )  # fmt: skip
    for h in (1, 2, 3):
        states, actions = zip(*view.episodes[h], strict=True)
        q, _ = naive.replay_errors(
            game, own[h], 1, ALPHA, BETA, found.rewards[h - 1], states, actions, False
        )
        np.testing.assert_allclose(found.policies[h - 1], naive.improve(q, ALPHA), atol=1e-10)


def newest_loss(view, of, h):
    """The gradient of improvement h's squared errors, equations and all from the oracle."""
    rules, states = view.dynamics, view.dynamics.n_states
    game = MarkovGame(
        actions=rules.actions, transitions=rules.transitions, start=rules.start,
        gamma=rules.gamma, rewards=[np.zeros(states)] * rules.n_agents,
    )  # fmt: skip
    window = [p[h - 1 : h + 1] for p in estimate_policies(view)]
    y = naive.targets(game, window, of, view.alpha)

    def errors(x, y):
        full = np.repeat(x[:states, None], rules.n_joint_actions, axis=1)
        return naive.consistency_residuals(game, window, of, y, full, x[None, states:]).ravel()

    rows = np.array([errors(unit, 0 * y) for unit in np.eye(2 * states)]).T
    return lambda x: 2 * rows.T @ (rows @ x - y.ravel())


def test_mini_batches_move_one_reward_on_by_the_newest_improvement_alone(view):
    found = forecast(view, of=1, by=MiniBatchAdam(30, 0.05))
    reward = np.zeros(3)
    for h in (1, 2, 3):
        begin = np.concatenate([reward, np.zeros(3)])  # every improvement has its own shaping
        reward = naive.adam(newest_loss(view, 1, h), begin, 30, 0.05)[:3]
        np.testing.assert_allclose(found.rewards[h - 1], reward, atol=1e-10)
    whole = recover(view, of=1, by=MiniBatchAdam(30, 0.05))
    np.testing.assert_array_equal(whole.values, found.rewards[2])


def test_the_papers_numbers_of_steps_are_the_default(view):
    assert MiniBatchAdam() == MiniBatchAdam(steps=1000, rate=0.01)
    found = forecast(view, of=1, by=MiniBatchAdam())
    first = naive.adam(newest_loss(view, 1, 1), np.zeros(6), 1000, 0.01)[:3]
    np.testing.assert_allclose(found.rewards[0], first, atol=1e-8)
    by_gradient = recover(view.first(2), of=1, by=Adam())
    np.testing.assert_allclose(found.rewards[0], by_gradient.values, atol=1e-10)


@pytest.mark.parametrize(("call_steps", "calls"), [(1, 30), (7, 5), (30, 1), (31, 1)])
def test_mini_batches_in_pieces_give_the_same(view, monkeypatch, call_steps, calls):
    estimator, pieces = MiniBatchAdam(30, 0.05), []
    whole = forecast(view, of=1, by=estimator)
    monkeypatch.setattr(descent, "CALL_STEPS", call_steps)
    monkeypatch.setattr(
        "malfl.progress.advance", lambda steps=0: pieces.append(threading.current_thread().name)
    )
    cut = forecast(view, of=1, by=estimator)
    np.testing.assert_array_equal(cut.rewards, whole.rewards)
    assert pieces.count(progress.APART) == 3 * calls  # others only wait


def test_mini_batches_stay_where_they_are_if_nothing_new_is_seen(view):
    """What was known once remains known."""
    counts = view.counts.copy()
    counts[3, 2] = 0  # where every state leads
    gaps = replace(view, counts=counts, episodes=None)
    found = forecast(gaps, of=1, by=MiniBatchAdam(30))
    assert np.isfinite(found.rewards).all()
    np.testing.assert_array_equal(found.rewards[2], found.rewards[1])


def test_mini_batches_predict_where_little_is_known(view):
    """Policies never seen count as uniform, unknown rewards as zero."""
    counts = view.counts.copy()
    counts[3, 2] = 0
    gaps = replace(view, counts=counts, episodes=None)
    prepared = MiniBatchAdam(30).prepare(gaps, 1, np.random.default_rng(0))
    found = prepared.reward(2)
    values = np.where(np.arange(3) == 1, np.nan, found.values)
    filled = [np.where(np.isnan(p), 1 / p.shape[2], p) for p in estimate_policies(gaps)]
    rules = view.dynamics
    game = MarkovGame(
        actions=rules.actions, transitions=rules.transitions, start=rules.start,
        gamma=rules.gamma, rewards=[np.nan_to_num(values)] * 2,
    )  # fmt: skip
    now = [p[3] for p in filled]
    q = naive.over_opponents(game, now, 1, naive.soft_q(game, now, 1, ALPHA))
    predicted = prepared.next_policy(replace(found, values=values), 3)
    np.testing.assert_allclose(predicted, naive.improve(q, ALPHA), rtol=0, atol=1e-10)


@of_type(Replay(BETA), Structural(), MiniBatchAdam())
def test_what_comes_later_does_not_matter(view, by):
    all_four = forecast(view, of=1, by=by)
    less = forecast(view.first(3), of=1, by=by)
    np.testing.assert_allclose(all_four.rewards[:2], less.rewards, rtol=1e-12)
    np.testing.assert_allclose(all_four.policies[:2], less.policies, rtol=1e-12)


def test_what_estimators_draw_depends_on_the_seed(view):
    one, same, other = (
        forecast(view, of=1, by=Structural(policies=Descended()), seed=seed).rewards
        for seed in (1, np.random.default_rng(1), 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


def test_predictions_get_at_what_happens():
    """Those of an exact learner from its second improvement on; a guess is far off."""
    game = random_game(np.random.default_rng(1), states=3, state_rewards=True)
    log = learn(game, EXACTLY, alpha=0.3, iterations=5, episodes=20_000, steps=50, seed=0)
    found = forecast(log.seen_by(0), of=1, by=Structural())
    true = log.policies[1][2:]
    assert true.shape == found.policies.shape
    error, guess = (prediction_error(true, p) for p in (found.policies, np.full_like(true, 1 / 3)))
    assert error.max() < 0.01 < guess.mean() / 5


@pytest.mark.parametrize(
    ("by", "steps"),
    [(Replay(BETA, reward_class="state"), 4 * 40 * 60), (Structural(), 0), (MiniBatchAdam(2), 0)],
    ids=["Replay", "Structural", "MiniBatchAdam"],
)
def test_the_bar_is_of_the_steps_that_are_replayed(view, by, steps, monkeypatch):
    totals, pieces = [], []

    @contextmanager
    def bar(total):
        totals.append(total)
        yield

    monkeypatch.setattr("malfl.progress.bar", bar)
    monkeypatch.setattr("malfl.progress.advance", lambda steps=0: pieces.append(steps))
    forecast(view, of=1, by=by)
    assert sum(pieces) == steps
    assert totals[0] == steps


@of_type(Replay(BETA), Structural(), MiniBatchAdam())
def test_states_nobody_comes_to_stay_unknown_and_predictions_are_made(by):
    rng = np.random.default_rng(0)
    game = MarkovGame(
        actions=(2, 3), transitions=rng.integers(1, 4, size=(4, 6)),
        rewards=[rng.normal(size=4) for _ in range(2)], start=2, gamma=0.8,
    )  # fmt: skip
    log = learn(
        game, BY_STEPS, alpha=ALPHA, iterations=4, episodes=60, steps=60, record=True, seed=0
    )
    view = log.seen_by(0)
    assert (view.counts[:, 0] == 0).all()
    found = forecast(view, of=1, by=by)
    assert np.isfinite(found.rewards[:, 1:]).all()
    if by != MiniBatchAdam():
        assert np.isnan(found.rewards[:, 0]).all()
    np.testing.assert_allclose(found.policies.sum(axis=-1), 1)


def test_prediction_errors_are_divergences():
    rng = np.random.default_rng(0)
    actual, predicted = rng.dirichlet(np.ones(3), size=(2, 2, 4))
    actual[0, 1] = [0, 0.25, 0.75]
    actual[1, 2] = np.nan
    predicted[1, 3] = [0, 0.5, 0.5]
    ours = prediction_error(actual, predicted)
    assert ours.shape == (2, 4)
    for h in range(2):
        for s in range(4):
            if (h, s) == (1, 2):
                assert np.isnan(ours[h, s])
            elif (h, s) == (1, 3):
                assert ours[h, s] == np.inf
            else:
                pairs = zip(actual[h, s], predicted[h, s], strict=True)
                theirs = sum(p * np.log(p / q) for p, q in pairs if p > 0)
                assert ours[h, s] == pytest.approx(theirs)
    np.testing.assert_array_equal(prediction_error(actual[0], actual[0]), 0)
    with pytest.raises(ValueError, match=r"must have one shape, got \(2, 4, 3\) and \(4, 3\)"):
        prediction_error(actual, predicted[0])
    with pytest.raises(TypeError, match="predicted must be an array of real numbers"):
        prediction_error(actual, "policy")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"of": 0}, ValueError, "of must be another agent than the observer, both are 0"),
        ({"of": 2}, ValueError, r"of must lie in 0..1, got 2"),
        ({"by": "magic"}, TypeError, "by must be of type Estimator"),
        ({"by": Structural}, TypeError, r"by must be an Estimator, not a class .* Structural\(\)"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
    ],
)
def test_bad_options_are_named(view, options, error, message):
    with pytest.raises(error, match=message):
        forecast(view, **{"of": 1, "by": Structural(), **options})


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ({"rate": -1.0}, ValueError, "rate must be greater than 0"),
        ({"policies": "all"}, TypeError, "policies must be of type PolicyFit"),
    ],
)
def test_bad_parameters_of_mini_batches_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        MiniBatchAdam(**parameters)


def test_views_of_too_little_are_named(view, hom_log):
    with pytest.raises(ValueError, match="at least one improvement, got 1 iteration"):
        forecast(view.first(1), of=1, by=Structural())
    with pytest.raises(ValueError, match="view has no episodes to replay; learn with record=True"):
        forecast(replace(view, episodes=None), of=1, by=Replay(BETA))
    same = replace(view, counts=np.repeat(view.counts[:1], 4, axis=0), episodes=None)
    with pytest.raises(ValueError, match="the policies of agent 1 do not change"):
        forecast(same, of=1, by=Structural())
    with pytest.raises(TypeError, match="view must be of type View"):
        forecast(hom_log, of=1, by=Structural())


def test_what_shows_nothing_yet_is_not_known():
    """Actions that do nothing say nothing, which is no reason to stop."""
    log = learn(gridworlds.ma_lfl("hom", slip=1.0), iterations=4, episodes=3, steps=100, seed=0)
    found = forecast(log.seen_by(1), of=0, by=Structural(reward_class="state"))
    assert np.isnan(found.rewards).all()
    assert np.isfinite(found.policies).all()


@of_type(
    Replay(BETA), Replay(), Structural(), PathLikelihood(), LeastSquares(), EvidenceRidge(),
    CausalEntropy(),
)  # fmt: skip
def test_of_an_agent_without_a_choice_nothing_is_known_but_what_it_does(by):
    found = forecast(watched(1, (1, 3)), of=0, by=by)
    assert np.isnan(found.rewards).all()
    np.testing.assert_array_equal(found.policies, np.ones((3, 3, 1)))
