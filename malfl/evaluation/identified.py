"""How near a recovered reward is to the true one, in what improvements can show."""

import numpy as np

from malfl.checks import FloatArray
from malfl.games.markov import MarkovGame
from malfl.recovery.reward import RecoveredReward, RewardClass
from malfl.recovery.shown import likeness


def identified_correlation(reward: RecoveredReward, game: MarkovGame, agent: int) -> float:
    """Cosine between the identified parts of a recovered reward and the agent's, in [-1, 1].

    The wider of the two rewards' classes says which directions count. 0 if one has no such part.

    Raises
    ------
    ValueError
        As `malfl.recovery.shown.identified_part` does, or if a value is not known.
    """
    true, true_class = narrowed(game.rewards[agent], game, agent)
    if not np.isfinite(reward.values).all():
        raise ValueError("reward must be known throughout")
    return likeness((reward.values, reward.reward_class), (true, true_class), game, agent)


def narrowed(true: FloatArray, game: MarkovGame, agent: int) -> tuple[FloatArray, RewardClass]:
    """A reward (S,) or (S, A) in the narrowest class that holds it: (S,), (S, A_i) or (S, A)."""
    if true.ndim == 1:
        return true, "state"
    joint = true.reshape(game.n_states, -1)
    if (joint == joint[:, :1]).all():
        return joint[:, 0], "state"
    own = game.own_actions[agent]
    first = np.array([np.flatnonzero(own == a)[0] for a in range(game.actions[agent])])
    narrow = joint[:, first]
    if (narrow[:, own] == joint).all():
        return narrow, "state-action"
    return joint, "joint-action"
