"""What an observer takes for what happened."""

import numpy as np
import pytest
from drawn import random_game

import malfl
from malfl.companion.spoilt import LOST, MISREAD, misread, spoilt, without_some


@pytest.fixture(scope="module")
def view():
    game = random_game(np.random.default_rng(0), (2, 3), 5, state_rewards=True)
    log = malfl.learn(game, alpha=1.0, iterations=5, episodes=200, steps=20, record=True, seed=0)
    return log.seen_by(1)


def test_steps_are_lost_and_no_others_are_made_up(view):
    played = view.episodes[0]
    fewer = without_some(played, np.random.default_rng(0))
    assert len(fewer) == len(played)
    assert fewer.steps / played.steps == pytest.approx(1 - LOST, abs=0.03)
    for before, after in zip(played, fewer, strict=True):
        assert len(after.actions) >= 1
        assert after.states[-1] == before.states[-1]
        pairs = iter(list(zip(before.states[:-1], before.actions, strict=True)))
        assert all(pair in pairs for pair in zip(after.states[:-1], after.actions, strict=True))


def test_states_are_misread_now_and_then(view):
    played = view.episodes[0]
    read = misread(played, np.random.default_rng(0))
    np.testing.assert_array_equal(read.lengths, played.lengths)
    wrong = []
    for before, after in zip(played, read, strict=True):
        np.testing.assert_array_equal(before.actions, after.actions)
        wrong.extend(before.states != after.states)
    assert np.mean(wrong) == pytest.approx(MISREAD * 4 / 5, abs=0.004)


@pytest.mark.parametrize("wrong", ["lost steps", "misread states"])
def test_counts_are_those_of_the_episodes(view, wrong):
    seen = spoilt(view, wrong, np.random.default_rng(0))
    assert (seen.counts != view.counts).any()
    for counts, played in zip(seen.counts, seen.episodes, strict=True):
        np.testing.assert_array_equal(counts, played.counts())


def test_iterations_are_missing(view):
    seen = spoilt(view, "missing iterations", np.random.default_rng(0))
    np.testing.assert_array_equal(seen.counts, view.counts[[0, 2, 4]])
    np.testing.assert_array_equal(seen.own_policies, view.own_policies[[0, 2, 4]])
    assert seen.episodes[1] is view.episodes[2]


@pytest.mark.parametrize("wrong", [None, "learner", "step size"])
def test_other_views_stay_as_they_are(view, wrong):
    assert spoilt(view, wrong, np.random.default_rng(0)) is view
