from dataclasses import replace

import naive
import numpy as np
import pytest
from drawn import random_game

from malfl import MarkovGame, estimate_policies, gridworlds, learn, recover
from malfl.recovery.semi_online import foretell, foretelling, prediction_error
from malfl.soft import improve, marginal_soft_q

ALPHA, BETA = 0.9, 0.2


def watched(observer, actions=(2, 3), evaluation="td"):
    game = random_game(np.random.default_rng(1), actions=actions, states=3, state_rewards=True)
    log = learn(
        game, alpha=ALPHA, beta=BETA, iterations=4, episodes=40, steps=60, seed=0,
        evaluation=evaluation, record=True,
    )  # fmt: skip
    return log.observed_by(observer)


@pytest.fixture(scope="module")
def seen():
    return watched(0)


@pytest.mark.parametrize(
    ("observer", "of", "actions"), [(0, 1, (2, 3)), (1, 0, (2, 3)), (0, 2, (2, 1, 3))]
)
@pytest.mark.parametrize("method", ["replay", "structural"])
def test_rewards_are_those_of_what_was_seen_by_then(observer, of, actions, method):
    seen = watched(observer, actions, "td" if method == "replay" else "exact")
    options = {"beta": BETA} if method == "replay" else {}
    found = foretell(seen, of=of, method=method, **options)
    assert found.rewards.shape == (3, 3)
    assert found.policies.shape == (3, 3, actions[of])
    for h in (1, 2, 3):
        theirs = recover(seen.first(h + 1), of=of, method=method, **options)
        np.testing.assert_allclose(found.rewards[h - 1], theirs.values, rtol=1e-10)
    assert np.abs(np.diff(found.rewards, axis=0)).max() > 1e-3


def exact_predictions(seen, of, rewards):
    """Eq. 6 with exact soft Q of the estimated policies."""
    estimates, rules = estimate_policies(seen).policies, seen.dynamics
    predicted = []
    for h, reward in enumerate(rewards, start=1):
        game = MarkovGame(
            actions=rules.actions, transitions=rules.transitions, start=rules.start,
            gamma=rules.gamma, rewards=[reward] * rules.n_agents,
        )  # fmt: skip
        q = marginal_soft_q(game, [p[h] for p in estimates], of, seen.alpha)
        predicted.append(improve(q, seen.alpha))
    return predicted


@pytest.mark.parametrize("method", ["structural", "gradient"])
@pytest.mark.parametrize(("observer", "of", "actions"), [(0, 1, (2, 3)), (2, 0, (2, 1, 3))])
def test_predictions_come_from_exact_values_of_the_newest_policies(method, observer, of, actions):
    seen = watched(observer, actions)
    found = foretell(seen, of=of, method=method)
    theirs = exact_predictions(seen, of, found.rewards)
    np.testing.assert_allclose(found.policies, theirs, atol=1e-12)


def test_predictions_come_from_the_newest_steps_played_again(seen):
    found = foretell(seen, of=1, beta=BETA)
    own = estimate_policies(seen).policies[1]
    game = MarkovGame(
        actions=seen.dynamics.actions, transitions=seen.dynamics.transitions,
        start=seen.dynamics.start, gamma=seen.dynamics.gamma, rewards=[np.zeros(3)] * 2,
    )  # fmt: skip
    for h in (1, 2, 3):
        part = seen.trajectories[h]
        q, _ = naive.replay_errors(
            game, own[h], 1, ALPHA, BETA, found.rewards[h - 1], part.states, part.actions, False
        )
        np.testing.assert_allclose(found.policies[h - 1], naive.improve(q, ALPHA), atol=1e-10)


def newest_loss(seen, of, h):
    """The gradient of improvement h's squared errors, equations and all from the oracle."""
    rules, states = seen.dynamics, seen.dynamics.n_states
    game = MarkovGame(
        actions=rules.actions, transitions=rules.transitions, start=rules.start,
        gamma=rules.gamma, rewards=[np.zeros(states)] * rules.n_agents,
    )  # fmt: skip
    window = [p[h - 1 : h + 1] for p in estimate_policies(seen).policies]
    y = naive.targets(game, window, of, seen.alpha)

    def errors(x, y):
        full = np.repeat(x[:states, None], rules.n_joint_actions, axis=1)
        return naive.consistency_residuals(game, window, of, y, full, x[None, states:]).ravel()

    rows = np.array([errors(unit, 0 * y) for unit in np.eye(2 * states)]).T
    return lambda x: 2 * rows.T @ (rows @ x - y.ravel())


def test_gradient_moves_one_reward_on_by_the_newest_improvement_alone(seen):
    found = foretell(seen, of=1, method="gradient", steps=30, rate=0.05)
    reward = np.zeros(3)
    for h in (1, 2, 3):
        begin = np.concatenate([reward, np.zeros(3)])  # every improvement has its own shaping
        reward = naive.adam(newest_loss(seen, 1, h), begin, 30, 0.05)[:3]
        np.testing.assert_allclose(found.rewards[h - 1], reward, atol=1e-10)


def test_the_papers_numbers_of_steps_are_the_default(seen):
    found = foretell(seen, of=1, method="gradient")
    told = foretell(seen, of=1, method="gradient", steps=1000, rate=0.01)
    np.testing.assert_array_equal(found.rewards, told.rewards)
    first = naive.adam(newest_loss(seen, 1, 1), np.zeros(6), 1000, 0.01)[:3]
    np.testing.assert_allclose(found.rewards[0], first, atol=1e-8)
    by_gradient = recover(seen.first(2), of=1, method="adam")
    np.testing.assert_allclose(found.rewards[0], by_gradient.values, atol=1e-10)


@pytest.mark.parametrize("method", ["replay", "structural", "gradient"])
def test_what_comes_later_does_not_matter(seen, method):
    beta = BETA if method == "replay" else None
    all_four = foretell(seen, of=1, method=method, beta=beta)
    less = foretell(seen.first(3), of=1, method=method, beta=beta)
    np.testing.assert_allclose(all_four.rewards[:2], less.rewards, rtol=1e-12)
    np.testing.assert_allclose(all_four.policies[:2], less.policies, rtol=1e-12)


def test_predictions_get_at_what_happens():
    """An exact learner is foretold well from its second improvement on; a guess is far off."""
    game = random_game(np.random.default_rng(1), states=3, state_rewards=True)
    log = learn(
        game, alpha=0.3, iterations=5, episodes=20_000, steps=50, evaluation="exact", seed=0
    )
    found = foretell(log.observed_by(0), of=1, method="structural")
    true = log.policies[1][2:]
    assert true.shape == found.policies.shape
    error, guess = (prediction_error(true, p) for p in (found.policies, np.full_like(true, 1 / 3)))
    assert error.max() < 0.01 < guess.mean() / 5


@pytest.mark.parametrize(
    ("method", "steps"), [("replay", 4 * 40 * 60), ("structural", 0), ("gradient", 0)]
)
def test_the_work_is_told_step_by_step(seen, method, steps, monkeypatch):
    assert sum(foretelling(seen, of=1, method=method, beta=BETA, steps=2)) == steps
    expected = []
    monkeypatch.setattr(
        "malfl.recovery.semi_online.run", lambda jobs, steps: expected.append(steps) or jobs
    )
    foretell(seen, of=1, method=method, beta=BETA, steps=2)
    assert expected == [steps]


@pytest.mark.parametrize("method", ["replay", "structural", "gradient"])
def test_states_nobody_comes_to_stay_unknown_and_predictions_are_made(method):
    rng = np.random.default_rng(0)
    game = MarkovGame(
        actions=(2, 3), transitions=rng.integers(1, 4, size=(4, 6)),
        rewards=[rng.normal(size=4) for _ in range(2)], start=2, gamma=0.8,
    )  # fmt: skip
    log = learn(
        game, alpha=ALPHA, beta=BETA, iterations=4, episodes=60, steps=60, record=True, seed=0
    )
    seen = log.observed_by(0)
    assert (seen.counts[:, 0] == 0).all()
    found = foretell(seen, of=1, method=method, beta=BETA if method == "replay" else None)
    assert np.isfinite(found.rewards[:, 1:]).all()
    if method != "gradient":
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
    ("options", "message"),
    [
        ({"of": 0}, "of must be another agent than the observer, both are 0"),
        ({"of": 2}, r"of must lie in 0..1, got 2"),
        ({"of": 1, "method": "adam"}, "method must be one of replay, structural, gradient"),
        ({"of": 1}, r"replay needs trajectories \(learn with record=True\) and beta"),
        ({"of": 1, "beta": 0.0}, r"beta must lie in \(0, 1\], got 0"),
        ({"of": 1, "method": "gradient", "steps": 0}, "steps must be at least 1, got 0"),
        ({"of": 1, "method": "gradient", "rate": -1.0}, "rate must be greater than 0"),
    ],
)
def test_bad_options_are_named(seen, options, message):
    with pytest.raises(ValueError, match=message):
        foretell(seen, **options)


def test_observations_of_too_little_are_named(seen, hom_log):
    with pytest.raises(ValueError, match="at least one improvement, got 1 iteration"):
        foretell(seen.first(1), of=1, method="structural")
    with pytest.raises(ValueError, match="replay needs trajectories"):
        foretell(replace(seen, trajectories=None), of=1, beta=BETA)
    same = replace(seen, counts=np.repeat(seen.counts[:1], 4, axis=0), trajectories=None)
    with pytest.raises(ValueError, match="the policies of agent 1 do not change"):
        foretell(same, of=1, method="structural")
    with pytest.raises(TypeError, match="seen must be of type Observation"):
        foretell(hom_log, of=1)


def test_what_tells_nothing_yet_is_not_known():
    """Too little for the structural estimator, but no reason to stop."""
    log = learn(gridworlds.ma_lfl("hom"), iterations=4, episodes=3, steps=100, seed=0)
    told = foretell(log.observed_by(1), of=0, method="structural")
    assert np.isnan(told.rewards).all()
    assert np.isfinite(told.policies).all()
