from types import SimpleNamespace

import numpy as np
import pytest

from malfl.games import from_gymnasium


def env(table, start=None, **more):
    """As Gymnasium's toy environments are: a wrapper around what has the table."""
    plain = SimpleNamespace(P=table, reset=lambda seed: (0, {}), **more)
    if start is not None:
        plain.initial_state_distrib = np.array(start)
    return SimpleNamespace(unwrapped=plain)


def walk(last=True):
    """Three cells in a row; a goal on the right, which ends an episode; and a cell apart."""
    return {
        0: {0: [(1.0, 0, -1.0, False)], 1: [(0.8, 1, -1.0, False), (0.2, 0, -1.0, False)]},
        1: {0: [(1.0, 0, -1.0, False)], 1: [(0.5, 2, 10.0, last), (0.5, 1, -1.0, False)]},
        2: {0: [(1.0, 2, 0.0, True)], 1: [(1.0, 2, 0.0, True)]},
        3: {0: [(1.0, 0, -1.0, False)], 1: [(1.0, 3, -1.0, False)]},
    }


def test_states_and_actions_keep_their_numbers():
    game = from_gymnasium(env(walk()), gamma=1.0)
    assert game.actions == (2,)
    assert game.ends.tolist() == [False, False, True, True]  # nobody comes to the last one
    moves = game.transitions.toarray().reshape(4, 2, 4)
    np.testing.assert_allclose(moves[0, 1], [0.2, 0.8, 0, 0])
    np.testing.assert_allclose(moves[1, 1], [0, 0.5, 0.5, 0])
    assert moves[2:].sum() == 0
    np.testing.assert_allclose(game.rewards[0], [[-1, -1], [-1, 4.5], [0, 0], [0, 0]])
    assert game.start.tolist() == [1, 0, 0, 0]


def test_an_episode_may_start_in_several_states():
    game = from_gymnasium(env(walk(), start=[0.5, 0.25, 0, 0.25]), gamma=0.9)
    assert game.start.tolist() == [0.5, 0.25, 0, 0.25]
    assert game.ends.tolist() == [False, False, True, False]


def test_a_state_where_an_episode_ends_or_goes_on_has_a_twin():
    table = walk()
    table[1][0] = [(1.0, 0, 3.0, True)]
    game = from_gymnasium(env(table), gamma=0.9)
    assert game.n_states == 5
    assert game.ends.tolist() == [False, False, True, True, True]
    moves = game.transitions.toarray().reshape(5, 2, 5)
    np.testing.assert_allclose(moves[1, 0], [0, 0, 0, 0, 1])
    np.testing.assert_allclose(game.rewards[0][1], [3, 4.5])


def test_an_environment_without_ends():
    table = walk(last=False)
    table[2] = {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 2, 0.0, False)]}
    game = from_gymnasium(env(table, start=[0.25] * 4), gamma=0.9)
    assert not game.ends.any()
    assert game.n_states == 4


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda table: None, TypeError, "env must have a table P"),
        (lambda table: {}, TypeError, "env must have a table P"),
        (lambda table: table | {1: {0: []}}, ValueError, r"P\[1\] must have 2 actions"),
        (
            lambda table: table | {1: {0: [(1.0, 7, 0.0, False)], 1: []}}, ValueError,
            r"P\[1\]\[0\]\[0\] must be a probability, a next state in 0..3",
        ),
        (
            lambda table: table | {1: {0: [(1.0, 1, 0.0)], 1: []}}, ValueError,
            r"P\[1\]\[0\]\[0\] must be a probability",
        ),
        (
            lambda table: table | {1: {0: [(1.0, 1, np.nan, False)], 1: []}}, ValueError,
            r"P\[1\]\[0\]\[0\]\[2\] is nan",
        ),
        (
            lambda table: table | {1: {0: [(0.4, 1, 0.0, False)], 1: [(1.0, 1, 0.0, False)]}},
            ValueError, r"transitions from state 1 under joint action 0 sum to 0.4",
        ),
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        from_gymnasium(env(change(walk())), gamma=0.9)
