import naive
import numpy as np

from malfl import sample_trajectories
from malfl.kernels.counts import add_joint_counts


def test_counts_are_the_oracles_and_add_up(game, policies):
    played = sample_trajectories(game, policies, episodes=4, steps=25, seed=2)
    counts = np.ones((game.n_states, game.n_joint_actions), dtype=np.int64)
    add_joint_counts(counts, played.states, played.actions)
    np.testing.assert_array_equal(
        counts - 1, naive.joint_counts(game, played.states, played.actions)
    )
    assert (counts - 1).sum() == 100
