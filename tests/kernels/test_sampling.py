import os

import naive
import numpy as np
import pytest
from conftest import random_game, random_policies

from malfl import sample_trajectories
from malfl.kernels.sampling import draw
from malfl.sampling import BATCH_STEPS, cumulative, trajectory_batches


def test_same_draws_give_the_oracles_trajectories(game, policies):
    ours = sample_trajectories(game, policies, episodes=5, steps=40, seed=3)
    states, actions = naive.sample_trajectories(game, policies, 5, 40, np.random.default_rng(3))
    np.testing.assert_array_equal(ours.states, states)
    np.testing.assert_array_equal(ours.actions, actions)


@pytest.mark.parametrize(
    "row", [[0, 0, 1], [1, 0, 0], [0, 0.5, 0.5], [0.5, 0.5, 0], [1 - 1e-12, 0, 1e-12]]
)
def test_draws_never_give_what_has_probability_zero(row):
    sums = cumulative(np.array(row, dtype=float))
    for u in (0.0, 1e-13, 0.25, 0.5, 0.75, 1 - 1e-13, np.nextafter(1, 0)):
        assert row[draw(sums, 0, 3, u)] > 0


def test_draws_respect_the_smallest_probabilities():
    sums = cumulative(np.array([0.25, 0.0, 0.75 - 1e-9, 1e-9]))
    expected = {0.0: 0, 0.2499: 0, 0.25: 2, 0.999: 2, 1 - 1e-10: 3}
    assert {u: draw(sums, 0, 4, u) for u in expected} == expected


def test_frequencies_are_those_of_the_policies_and_transitions():
    game = random_game(np.random.default_rng(0), states=3)
    policies = random_policies(game.actions, 3, np.random.default_rng(1))
    played = sample_trajectories(game, policies, episodes=200, steps=50, seed=0)
    s, a, t = played.states[:, :-1].ravel(), played.actions.ravel(), played.states[:, 1:].ravel()
    dense = game.transitions.toarray().reshape(3, 6, 3)
    for state in range(3):
        here = s == state
        joint = np.einsum("a,b->ab", policies[0][state], policies[1][state]).ravel()
        seen = np.bincount(a[here], minlength=6) / here.sum()
        np.testing.assert_allclose(seen, joint, atol=4 * np.sqrt(0.25 / here.sum()))
        moves = here & (a == 1)
        seen = np.bincount(t[moves], minlength=3) / moves.sum()
        np.testing.assert_allclose(seen, dense[state, 1], atol=4 * np.sqrt(0.25 / moves.sum()))


def test_batches_do_not_change_the_episodes(monkeypatch, game, policies):
    whole = sample_trajectories(game, policies, episodes=7, steps=10, seed=5)
    monkeypatch.setattr("malfl.sampling.BATCH_STEPS", 25)
    parts = list(trajectory_batches(game, policies, 7, 10, np.random.default_rng(5)))
    assert [len(p) for p in parts] == [2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([p.states for p in parts]), whole.states)
    assert BATCH_STEPS >= 1000


def test_seeds_decide_everything_and_global_state_nothing(game, policies):
    def play(seed):
        return sample_trajectories(game, policies, episodes=3, steps=20, seed=seed).states

    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    first = play(1)
    assert np.random.random() == expected  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, play(1))
    np.testing.assert_array_equal(first, play(np.random.default_rng(1)))
    assert (first != play(2)).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "episodes must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"episodes": 2.5}, "episodes must be a whole number, got 2.5"),
    ],
)
def test_nothing_to_play_is_refused(game, policies, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        sample_trajectories(game, policies, **({"episodes": 1, "steps": 1, "seed": 0} | options))


def test_the_compiler_is_on_or_off_as_asked():
    assert hasattr(draw, "py_func") == (os.environ.get("NUMBA_DISABLE_JIT") != "1")
