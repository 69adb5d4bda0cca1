from dataclasses import replace

import numpy as np
import pytest
from scipy.special import rel_entr

import malfl
from malfl import Dynamics, Episodes
from malfl.recovery.moves import memory, surprise


@pytest.fixture(scope="module")
def log():
    return played(3)


def played(seed):
    """Ten thousand moves in a game whose moves are random."""
    rng = np.random.default_rng(seed)
    game = malfl.MarkovGame(
        actions=(2, 2), transitions=rng.dirichlet(np.ones(5), size=(5, 4)),
        rewards=[rng.normal(size=5)] * 2, start=np.full(5, 0.2), gamma=0.9,
    )  # fmt: skip
    return malfl.learn(
        game, alpha=1.0, iterations=2, episodes=100, steps=50, record=True, seed=seed
    )


def with_rules(view, transitions):
    old = view.dynamics
    rules = Dynamics(actions=old.actions, transitions=transitions, start=old.start, gamma=old.gamma)
    return replace(view, dynamics=rules)


def of_lists(view, states, actions):
    """A view of two iterations in which that happened."""
    sizes = {"n_states": view.dynamics.n_states, "n_joint_actions": view.dynamics.n_joint_actions}
    return of(view, *(Episodes.from_lists(states, actions, **sizes),) * 2)


def of(view, *parts):
    return replace(view, episodes=parts, counts=np.array([one.counts() for one in parts]))


def impossible(view):
    """Rules by which joint action 0 never leads from state 0 to state 1, as all else is."""
    moves = view.dynamics.transitions.toarray().reshape(5, 4, 5)
    moves[0, 0, 1] = 0
    moves[0, 0] /= moves[0, 0].sum()
    return with_rules(view, moves)


@pytest.mark.parametrize("seed", range(40))
def test_the_moves_of_a_game_are_no_surprise(seed):
    view = played(seed).seen_by(1)
    assert surprise(view) == 0
    assert memory(view) == 0


def test_moves_by_other_rules_surprise_by_their_divergence(log):
    view, rng = log.seen_by(1), np.random.default_rng(7)
    true = view.dynamics.transitions.toarray()
    other = 0.5 * true + 0.5 * rng.dirichlet(np.ones(5), size=len(true))
    shares = view.counts.sum(axis=0).ravel() / view.counts.sum()
    expected = float(shares @ rel_entr(true, other).sum(axis=1))
    found = surprise(with_rules(view, other.reshape(5, 4, 5)))
    assert found == pytest.approx(expected, rel=0.1)
    assert found > 0.05


def test_a_move_that_is_not_possible_is_an_endless_surprise(log):
    view = log.seen_by(1)
    assert surprise(with_rules(view, np.ones((5, 4), dtype=int))) == np.inf


def test_lost_steps_are_seen_if_the_rules_are_known(log):
    view = log.seen_by(1)
    states = [one.states[::2] for one in view.episodes[0]]
    actions = [one.actions[::2] for one in view.episodes[0]]
    assert surprise(of_lists(view, states, actions)) > 0.05


def test_a_state_that_was_in_truth_two_is_seen_by_what_came_before():
    """From states 0 and 1 the way leads to 2, and from there to where it came from."""
    rng = np.random.default_rng(0)
    first = rng.integers(2, size=4000)
    states = [np.array([one, 2, one]) for one in first]
    view = played(3).seen_by(1)
    seen = of_lists(view, states, [np.zeros(2, dtype=int)] * 4000)
    assert memory(seen) == pytest.approx(np.log(2), rel=0.01)
    forgotten = [
        np.array([one, 2, other]) for one, other in zip(first, rng.permutation(first), strict=True)
    ]
    assert memory(of_lists(view, forgotten, [np.zeros(2, dtype=int)] * 4000)) == 0


@pytest.mark.parametrize("steps", [0, 1])
def test_nothing_is_said_where_nothing_was_seen(log, steps):
    view = log.seen_by(1)
    few = of_lists(view, [np.zeros(2, dtype=int)] * steps, [np.zeros(1, dtype=int)] * steps)
    for one in (few, replace(view, episodes=None)):
        assert memory(one) == 0
        assert surprise(one) == 0


def test_only_the_first_moves_are_looked_at(log, monkeypatch):
    view = log.seen_by(1)
    monkeypatch.setattr("malfl.recovery.moves.MOST_MOVES", 120)
    late = of_lists(view, [[0, 1]], [[0]]).episodes[0]
    assert surprise(of(impossible(view), view.episodes[0], late)) == 0
    assert surprise(of(impossible(view), late, view.episodes[0])) == np.inf
