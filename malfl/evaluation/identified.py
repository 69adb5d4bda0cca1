"""How near a recovered reward is to the true one, in what improvements can show."""

import numpy as np

from malfl.checks import FloatArray
from malfl.games.markov import MarkovGame
from malfl.recovery.classes import earnable
from malfl.recovery.reward import RecoveredReward, RewardClass
from malfl.recovery.shown import MOST_ENTRIES, NOTHING, likeness, shown_directions


def identified_correlation(reward: RecoveredReward, game: MarkovGame, agent: int) -> float:
    """Cosine between the identified parts of a recovered reward and the agent's, in [-1, 1].

    The wider of the two rewards' classes says which directions count. 0 if one has no such part.

    Raises
    ------
    ValueError
        As `malfl.recovery.shown.identified_part` does, or if a value is not known.
    """
    true, true_class = narrowed(game.rewards[agent], game, agent)
    if not known_throughout(reward, game, agent):
        raise ValueError("reward must be known throughout")
    found = np.nan_to_num(reward.values), reward.reward_class
    return likeness(found, (true, true_class), game, agent)


def known_throughout(reward: RecoveredReward, game: MarkovGame, agent: int) -> bool:
    """Whether a reward is known wherever one can be received and improvements can show it.

    In games too large to tell what they can show, wherever one can be received.
    """
    known = np.isfinite(reward.values).ravel()
    needed = earnable(game, agent, reward.reward_class)
    if (needed & ~known).any() and known.size <= MOST_ENTRIES:
        shown = shown_directions(game, agent, reward.reward_class)
        needed &= (np.abs(shown) > NOTHING).any(axis=1)
    return bool(known[needed].all())


def narrowed(true: FloatArray, game: MarkovGame, agent: int) -> tuple[FloatArray, RewardClass]:
    """A reward (S,) or (S, A) in the narrowest class that holds it: (S,), (S, A_i) or (S, A).

    What can never be received does not count.
    """
    if true.ndim == 1:
        return true, "state"
    joint = true.reshape(game.n_states, -1)
    received = earnable(game, agent, "joint-action").reshape(joint.shape)
    one = joint[np.arange(len(joint)), received.argmax(axis=1)]
    if ((joint == one[:, None]) | ~received).all():
        return one, "state"
    own = game.own_actions[agent]
    narrow = np.zeros((len(joint), game.actions[agent]))
    for action in range(game.actions[agent]):
        columns = np.flatnonzero(own == action)
        first = columns[received[:, columns].argmax(axis=1)]
        narrow[:, action] = joint[np.arange(len(joint)), first]
    if ((narrow[:, own] == joint) | ~received).all():
        return narrow, "state-action"
    return joint, "joint-action"
