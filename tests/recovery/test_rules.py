from dataclasses import replace

import naive
import numpy as np
import pytest
from drawn import random_game

from malfl import Dynamics, Episodes, View, learn, recover
from malfl.games import gridworlds
from malfl.recovery import (
    AsIfAlone,
    LeastSquares,
    LogitFit,
    PathLikelihood,
    Replay,
    Structural,
    WithEstimatedRules,
    estimate_rules,
    rules,
)
from malfl.recovery.recovery import Recovery


def episodes(view):
    """Of all iterations, as pairs of s_0..s_T and a_0..a_{T-1}."""
    return [(one.states.tolist(), one.actions.tolist()) for part in view.episodes for one in part]


def dense(dynamics):
    return dynamics.transitions.toarray().reshape(
        dynamics.n_states, dynamics.n_joint_actions, dynamics.n_states
    )


@pytest.mark.parametrize("options", [{}, {"actions": (2, 1, 3), "states": 3}])
@pytest.mark.parametrize(("number", "steps"), [(300, 20), (2, 4), (40, 1)])
def test_shares_of_the_moves_seen(options, number, steps):
    game = random_game(np.random.default_rng(0), **options)
    log = learn(game, iterations=2, episodes=number, steps=steps, record=True, seed=1)
    view = log.seen_by(0)
    found = estimate_rules(view)
    theirs = naive.shares_of_moves(game.n_states, game.n_joint_actions, episodes(view))
    np.testing.assert_allclose(dense(found), theirs, atol=1e-14)
    never = log.counts.sum(axis=0) == 0
    np.testing.assert_allclose(dense(found)[never], 1 / game.n_states)
    assert never.any() == (number < 300)
    assert type(found) is Dynamics
    assert (found.actions, found.gamma) == (game.actions, game.gamma)
    np.testing.assert_array_equal(found.start, game.start)
    if number == 300:
        assert np.abs(dense(found) - dense(game)).max() < 0.15


def test_a_deterministic_game_is_found_exactly():
    game = random_game(np.random.default_rng(1), stochastic=False, state_rewards=True)
    log = learn(game, alpha=0.9, iterations=3, episodes=100, steps=50, record=True, seed=0)
    view = log.seen_by(0)
    assert (log.counts.sum(axis=0) > 0).all()
    found = estimate_rules(view)
    np.testing.assert_allclose(dense(found), dense(game), atol=1e-15)
    assert found.transitions.nnz == game.transitions.nnz
    known = recover(view, of=1, by=LeastSquares()).values
    for without in (
        recover(replace(view, dynamics=found), of=1, by=LeastSquares()),
        recover(view, of=1, by=WithEstimatedRules(LeastSquares())),
    ):
        np.testing.assert_allclose(without.values, known, rtol=1e-6)


def test_many_states_are_packed_in_larger_integers():
    game = gridworlds.ma_lfl()
    view = learn(game, iterations=2, episodes=20, steps=100, record=True, seed=0).seen_by(0)
    assert view.episodes[0].packed.codes.dtype == np.uint16
    theirs = naive.shares_of_moves(81, 25, episodes(view))
    np.testing.assert_allclose(dense(estimate_rules(view)), theirs, atol=1e-14)


def test_a_move_by_hand():
    """Two states and actions; the last states and all iterations count."""
    dynamics = Dynamics(actions=(2,), transitions=[[0, 1], [1, 0]], start=0, gamma=0.5)
    size = {"n_states": 2, "n_joint_actions": 2}
    first = Episodes.from_lists([[0, 1, 1], [0, 0, 1]], [[0, 0], [0, 0]], **size)
    second = Episodes.from_lists([[1, 0, 0]], [[0, 0]], **size)
    counts = np.array([[[3, 0], [1, 0]], [[1, 0], [1, 0]]])
    view = View(0, dynamics, 1.0, counts, np.full((2, 2, 2), 0.5), (first, second))
    expected = [[[1 / 2, 1 / 2], [1 / 2, 1 / 2]], [[1 / 2, 1 / 2], [1 / 2, 1 / 2]]]
    np.testing.assert_allclose(dense(estimate_rules(view)), expected)
    expected = [[[1 / 3, 2 / 3], [1 / 2, 1 / 2]], [[0, 1], [1 / 2, 1 / 2]]]
    np.testing.assert_allclose(dense(estimate_rules(view.first(1))), expected)


def test_episodes_of_different_lengths_count_step_by_step():
    dynamics = Dynamics(actions=(2,), transitions=[[0, 1], [1, 0]], start=0, gamma=0.5)
    played = Episodes.from_lists(
        [[0, 1], [0, 1, 0, 0]], [[1], [0, 1, 0]], n_states=2, n_joint_actions=2
    )
    view = View(None, dynamics, 1.0, played.counts()[None], None, (played,))
    expected = [[[1 / 2, 1 / 2], [0, 1]], [[1 / 2, 1 / 2], [1, 0]]]
    np.testing.assert_allclose(dense(estimate_rules(view)), expected)


def test_moves_must_have_been_recorded():
    log = learn(random_game(np.random.default_rng(0)), iterations=2, episodes=90, steps=9, seed=0)
    with pytest.raises(ValueError, match="view has no episodes; learn with record=True"):
        estimate_rules(log.seen_by(0))
    with pytest.raises(ValueError, match="view has no episodes; learn with record=True"):
        recover(log.seen_by(0), of=1, by=WithEstimatedRules(Structural()))
    with pytest.raises(TypeError, match=r"view must be of type View .*seen_by.*LearningLog"):
        estimate_rules(log)


@pytest.fixture(scope="module")
def view():
    game = random_game(np.random.default_rng(0))
    return learn(game, iterations=4, episodes=90, steps=9, record=True, seed=0).seen_by(0)


@pytest.mark.parametrize("by", [LeastSquares(), Replay(0.1), AsIfAlone(Structural(0.1))])
@pytest.mark.parametrize("iterations", [None, 2])
def test_an_estimator_gets_the_rules_as_they_were_seen_by_then(view, by, iterations):
    wrapped = Recovery(view, of=1, by=WithEstimatedRules(by, iterations))
    for improvements in (2, 1, 3):
        part = view.first(improvements + 1)
        rules = estimate_rules(part if iterations is None else view.first(iterations))
        inner = Recovery(replace(part, dynamics=rules), of=1, by=by)
        # Later moves may be impossible by rules that were estimated before.
        ours, theirs = wrapped.reward(improvements), inner.prepared.reward(improvements)
        np.testing.assert_array_equal(ours.values, theirs.values)
        np.testing.assert_array_equal(
            wrapped.prepared.next_policy(ours, improvements),
            inner.prepared.next_policy(theirs, improvements),
        )


def test_episodes_are_still_there_for_the_estimator(view):
    found = recover(view, of=1, by=WithEstimatedRules(Replay(0.2)))
    assert isinstance(found.diagnostics, LogitFit)
    assert found.diagnostics.beta == 0.2


@pytest.mark.parametrize("iterations", [0, 1.5])
def test_iterations_are_a_number_of_them(iterations):
    with pytest.raises((TypeError, ValueError), match="iterations must be"):
        WithEstimatedRules(PathLikelihood(), iterations)


def test_steps_are_counted_some_at_a_time(monkeypatch):
    game = random_game(np.random.default_rng(0))
    log = learn(game, iterations=2, episodes=30, steps=20, record=True, seed=1)
    view = log.seen_by(0)
    expected = dense(estimate_rules(view))
    monkeypatch.setattr(rules, "AT_ONCE", 7)
    np.testing.assert_array_equal(dense(estimate_rules(view)), expected)
