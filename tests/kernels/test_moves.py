import numpy as np
import pytest

from malfl import Episodes, sample_episodes
from malfl.kernels.moves import first_forbidden


def first(game, played, begin=0, end=None):
    states, _ = game.code_parts(0)
    moves = game.transitions
    end = played.steps if end is None else end
    return first_forbidden(played.packed, states, moves.indptr, moves.indices, begin, end)


@pytest.fixture
def played(game, policies):
    return sample_episodes(game, policies, episodes=5, steps=20, seed=0)


def test_moves_that_were_made_are_possible(game, played):
    assert first(game, played) == -1


@pytest.mark.parametrize("step", [0, 7, 19, 20, 99])
def test_the_first_that_is_not_is_found(game, played, step):
    """One state of an episode changed for one that its predecessor never leads to."""
    states = [one.states.copy() for one in played]
    actions = [one.actions for one in played]
    episode, t = divmod(step, 20)
    allowed = game.transitions[[states[episode][t] * game.n_joint_actions + actions[episode][t]]]
    others = np.setdiff1d(np.arange(game.n_states), allowed.indices)
    if others.size == 0:
        pytest.skip("everything may follow here")
    states[episode][t + 1] = others[0]
    size = {"n_states": game.n_states, "n_joint_actions": game.n_joint_actions}
    changed = Episodes.from_lists(states, actions, **size)
    assert first(game, changed) == step
    assert first(game, changed, 0, step) == -1
    assert first(game, changed, step, step + 1) == step
