from types import SimpleNamespace

import numpy as np
import pytest

from malfl import read_log


def episode(states, actions, ended):
    """As Minari has it: one observation more than actions."""
    steps = len(actions)
    terminations = np.zeros(steps, dtype=bool)
    terminations[-1:] = ended
    return SimpleNamespace(
        observations=np.array(states), actions=np.array(actions), terminations=terminations
    )


def dataset(*episodes):
    return SimpleNamespace(iterate_episodes=lambda: iter(episodes))


def test_a_data_set_is_read_as_it_is():
    given = [([0, 1, 2], [1, 0], True), ([0, 0], [1], False), ([1, 2], [0], True)]
    log = read_log(dataset(*(episode(*one) for one in given)), gamma=0.9, window=2)
    assert log.iterations == 2
    found = [one for played in log.episodes for one in played]
    assert [(one.states.tolist(), one.actions.tolist()) for one in found] == [
        (states, actions) for states, actions, _ in given
    ]
    assert log.dynamics.ends.tolist() == [False, False, True]


def test_spaces_that_begin_elsewhere_are_counted_from_zero():
    given = dataset(episode([3, 4], [5], False), episode([4, 3], [6], False))
    given.observation_space, given.action_space = (SimpleNamespace(start=k) for k in (3, 5))
    log = read_log(given, gamma=0.9, window=1)
    assert log.dynamics.n_states == 2
    assert log.dynamics.actions == (2,)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (episode([0, 1], [1, 0], True), "observations of episode 1 must be one more than its 2"),
        (episode([0.5, 1.0], [1], True), "observations of episode 1 must be whole numbers"),
        (episode([0, 1], [0.5], True), "actions of episode 1 must be whole numbers"),
        (episode([[0], [1]], [0], True), r"observations of episode 1 .* shape \(2, 1\)"),
    ],
)
def test_what_cannot_be_numbered_is_refused(one, message):
    with pytest.raises((TypeError, ValueError), match=message):
        read_log(dataset(episode([0, 1], [0], False), one), gamma=0.9, window=1)
