from dataclasses import replace
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import random_game

from malfl import (
    Dynamics,
    Episodes,
    Replay,
    View,
    classics,
    correlation,
    learn,
    most_likely_states,
    recover,
)

RATES = (0.01, 0.05)


def misread(view, rate, seed=1):
    """What is seen by one who reads some states as others."""
    rng, episodes = np.random.default_rng(seed), []
    for played in view.episodes:
        parts = played.parts()
        states = parts["states"]
        wrong = rng.random(states.size) < rate
        states[wrong] += rng.integers(1, played.n_states, size=wrong.sum())
        episodes.append(Episodes(**parts | {"states": states % played.n_states}))
    return with_episodes(view, episodes)


def with_episodes(view, episodes):
    counts = np.array([played.counts() for played in episodes])
    return replace(view, counts=counts, episodes=episodes)


def states_of(view):
    return np.concatenate([played.parts()["states"] for played in view.episodes])


def wrong(view, true):
    """The share of the states that are not the true ones."""
    return np.mean(states_of(view) != states_of(true))


def learned(game, **changes):
    given = {"iterations": 6, "episodes": 300, "steps": 100} | changes
    return learn(game, alpha=1.0, **given, record=True, seed=0)


@pytest.fixture(scope="module", params=["lanes", "stag hunt", "hand-over"])
def certain(request):
    """A game with moves that are certain and one start, and what was seen."""
    game = classics.CLASSICS[request.param]()
    return game, learned(game).seen_by(1)


@pytest.fixture(scope="module")
def small():
    return learned(classics.lanes(), iterations=3, episodes=5, steps=20).seen_by(1)


@pytest.fixture(scope="module", params=["coin", "soccer", "predator-prey"])
def chancy(request):
    game = classics.CLASSICS[request.param]()
    return learned(game, iterations=2, episodes=100).seen_by(None)


def test_what_was_read_right_stays(certain, chancy):
    for view in (certain[1], chancy):
        for rate in RATES:
            again = most_likely_states(view, rate)
            np.testing.assert_array_equal(states_of(again), states_of(view))
            np.testing.assert_array_equal(again.counts, view.counts)


@pytest.mark.parametrize("rate", RATES)
def test_where_moves_are_certain_all_states_are_found(certain, rate):
    _, view = certain
    seen = misread(view, rate)
    assert wrong(seen, view) == pytest.approx(rate, rel=0.1)
    found = most_likely_states(seen, rate)
    assert wrong(found, view) == 0
    np.testing.assert_array_equal(found.counts, view.counts)
    np.testing.assert_array_equal(found.own_policies, view.own_policies)
    assert (found.observer, found.alpha, found.dynamics) == (1, view.alpha, view.dynamics)


@pytest.mark.parametrize("rate", RATES)
def test_from_a_start_anywhere_nearly_all_states_are_found(rate):
    """Measured: one state in 300 of those misread remains, at the beginnings of episodes."""
    game = classics.lanes()
    rng = np.random.default_rng(0)
    table = game.transitions.indices.reshape(57, 9)
    states = [[int(s)] for s in rng.integers(57, size=200)]
    actions = rng.integers(9, size=(200, 100))
    for path, taken in zip(states, actions, strict=True):
        for action in taken:
            path.append(int(table[path[-1], action]))
    played = Episodes.from_lists(states, list(actions), n_states=57, n_joint_actions=9)
    dynamics = Dynamics(
        actions=game.actions, transitions=table, start=np.full(57, 1 / 57), gamma=game.gamma
    )
    view = View(
        observer=None, dynamics=dynamics, alpha=None, counts=[played.counts()], own_policies=None,
        episodes=(played,),
    )  # fmt: skip
    assert wrong(most_likely_states(misread(view, rate), rate), view) < rate / 50


@pytest.mark.parametrize("rate", RATES)
def test_where_moves_are_by_chance_most_states_are_found(chancy, rate):
    """Measured: of those misread, 1 % remain in the coin game and soccer, 25 % in the pursuit."""
    found = most_likely_states(misread(chancy, rate), rate)
    assert wrong(found, chancy) < rate * (0.4 if chancy.dynamics.n_states == 120 else 0.05)


@pytest.mark.parametrize("rate", RATES)
def test_rewards_are_those_of_states_read_right(certain, rate):
    game, view = certain
    seen = misread(view, rate)
    given = {"of": 0, "by": Replay(beta=0.1), "unvisited": "omit"}
    with pytest.raises(ValueError, match="a move that its dynamics forbid: in iteration 0"):
        recover(seen, **given)
    clean, again = recover(view, **given), recover(most_likely_states(seen, rate), **given)
    np.testing.assert_allclose(again.values, clean.values)
    assert correlation(again, game.rewards[0]).pearson > 0.5


def test_rewards_where_moves_are_by_chance():
    game = classics.coin()
    view = learned(game, episodes=1000, steps=200).seen_by(None)
    given = {"of": 0, "by": Replay(beta=0.1), "unvisited": "omit"}
    found = most_likely_states(misread(view, 0.05), 0.05)
    clean, again = (
        correlation(recover(seen, **given), game.rewards[0]).pearson for seen in (view, found)
    )
    assert again > clean - 0.005


@pytest.mark.parametrize("call_moves", [1, 40, 2**19])
def test_the_states_are_the_likeliest_ones(monkeypatch, call_moves):
    """Episodes of unlike lengths, some at a time."""
    monkeypatch.setattr("malfl.play.misread.CALL_MOVES", call_moves)
    game = random_game(np.random.default_rng(3), (2, 2))
    rng = np.random.default_rng(4)
    lengths = (4, 1, 3, 2, 5, 1)
    lists = (
        [rng.integers(4, size=length + 1) for length in lengths],
        [rng.integers(4, size=length) for length in lengths],
    )
    nothing = Episodes.from_lists([], [], n_states=4, n_joint_actions=4)
    played = Episodes.from_lists(*lists, n_states=4, n_joint_actions=4)
    view = View(
        observer=None, dynamics=game.without_rewards(), alpha=1.0, own_policies=None,
        counts=[nothing.counts(), played.counts()], episodes=(nothing, played),
    )  # fmt: skip
    found = most_likely_states(view, 0.4)
    assert len(found.episodes[0]) == 0
    for ours, read in zip(found.episodes[1], played, strict=True):
        theirs = naive.likeliest_path(game, read.actions, read.states, 0.4)
        np.testing.assert_array_equal(ours.states, theirs)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5])
def test_rates_lie_between_zero_and_one(small, rate):
    with pytest.raises(ValueError, match=rf"rate must lie in \(0, 1\), got {float(rate)}"):
        most_likely_states(small, rate)


def test_there_must_be_episodes(small):
    with pytest.raises(ValueError, match="view has no episodes"):
        most_likely_states(replace(small, episodes=None), 0.01)


def test_a_single_state_cannot_be_misread():
    game = Dynamics(actions=(2,), transitions=np.zeros((1, 2), dtype=int), start=0, gamma=0.5)
    played = Episodes.from_lists([[0, 0]], [[1]], n_states=1, n_joint_actions=2)
    view = View(
        observer=None, dynamics=game, alpha=None, counts=[played.counts()], own_policies=None,
        episodes=(played,),
    )  # fmt: skip
    with pytest.raises(ValueError, match="must be of a game of two states or more, got 1"):
        most_likely_states(view, 0.01)


def test_a_rate_that_is_much_too_small_is_refused(small):
    seen = misread(small, 0.4)
    with pytest.raises(ValueError, match=r"not fit rate 0.01: in iteration 0, \d+ of 105"):
        most_likely_states(seen, 0.01)
    assert wrong(most_likely_states(seen, 0.4), small) == 0
    most_likely_states(misread(small, 0.02), 0.01)  # half of what it is will do


def test_episodes_that_start_elsewhere_are_refused(small):
    moved = replace(small, dynamics=replace(small.dynamics, start=0))
    with pytest.raises(ValueError, match="or the start or transitions of the view's dynamics"):
        most_likely_states(moved, 0.05)


def test_the_first_iteration_that_does_not_fit_is_named(small):
    episodes = list(small.episodes)
    episodes[1] = misread(small, 0.5).episodes[1]
    with pytest.raises(ValueError, match="in iteration 1, "):
        most_likely_states(with_episodes(small, episodes), 0.01)


def test_paths_need_room(small, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    with pytest.raises(MemoryError, match=r"paths of 100 steps would need .* cut episodes shorter"):
        most_likely_states(small, 0.01)
