import naive
import numpy as np
import pytest
from drawn import random_game

from malfl import Episodes
from malfl.kernels.steps import Steps
from malfl.kernels.viterbi import HiddenStates, backward, forward

LENGTHS = (3, 1, 5)
RATE = 0.2


def model_of(game, rate=RATE):
    with np.errstate(divide="ignore"):
        start = np.log(game.start)
    match = np.log((1 - rate) * (game.n_states - 1) / rate)
    moves = game.transitions
    return HiddenStates(start, moves.indptr, moves.indices, np.log(moves.data), match)


def read_at_random(game, seed):
    """Three episodes of states that the rules need not allow."""
    rng = np.random.default_rng(seed)
    states = [rng.integers(game.n_states, size=length + 1) for length in LENGTHS]
    actions = [rng.integers(game.n_joint_actions, size=length) for length in LENGTHS]
    size = {"n_states": game.n_states, "n_joint_actions": game.n_joint_actions}
    return Episodes.from_lists(states, actions, **size)


def likeliest(game, seen, pieces):
    """By the kernel, called for the steps between these numbers."""
    codes, ends, last = seen.packed
    before, scores = np.zeros((len(codes), game.n_states), np.uint8), np.full(game.n_states, np.nan)
    found = Steps(codes.copy(), ends, last.copy())
    parts = list(zip((0, *pieces), (*pieces, len(codes)), strict=True))
    for part in parts:
        forward(seen.packed, model_of(game), *part, 0, scores, before, found.last)
    for part in reversed(parts):
        backward(found, game.n_joint_actions, *part, 0, before)
    return seen.with_steps(found.codes, found.last)


@pytest.mark.parametrize("pieces", [(), (2, 3, 4, 7), (1, 2, 3, 4, 5, 6, 7, 8)])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stochastic", [True, False])
def test_paths_are_as_likely_as_the_oracles(stochastic, seed, pieces):
    """Two may be equally likely where moves are certain."""
    game = random_game(np.random.default_rng(seed), (2, 2), stochastic=stochastic)
    seen = read_at_random(game, seed)
    found = likeliest(game, seen, pieces)
    for ours, read in zip(found, seen, strict=True):
        theirs = naive.likeliest_path(game, read.actions, read.states, RATE)
        np.testing.assert_array_equal(ours.actions, read.actions)
        if stochastic:
            np.testing.assert_array_equal(ours.states, theirs)
        likelihoods = [
            naive.path_likelihood(game, path, read.actions, read.states, RATE)
            for path in (ours.states, theirs)
        ]
        assert np.isfinite(likelihoods[0])
        assert likelihoods[0] == pytest.approx(likelihoods[1])
    assert any((ours.states != read.states).any() for ours, read in zip(found, seen, strict=True))


def test_an_episode_does_not_depend_on_those_before_it():
    game = random_game(np.random.default_rng(0), (2, 2))
    seen = read_at_random(game, 5)
    found = likeliest(game, seen, (4,))
    codes, ends, last = seen.packed
    before, scores = np.zeros((5, game.n_states), np.uint8), np.full(game.n_states, np.nan)
    alone = Steps(codes.copy(), ends, last.copy())
    forward(seen.packed, model_of(game), ends[2], ends[3], ends[2], scores, before, alone.last)
    backward(alone, game.n_joint_actions, ends[2], ends[3], ends[2], before)
    np.testing.assert_array_equal(alone.codes[ends[2] :], found.packed.codes[ends[2] :])
    assert alone.last[2] == found.packed.last[2]
    np.testing.assert_array_equal(alone.codes[: ends[2]], codes[: ends[2]])
