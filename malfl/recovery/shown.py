"""What improvements show of a reward, however long an agent is watched."""

from weakref import WeakKeyDictionary

import numpy as np
from numpy.linalg import eigh

from malfl import progress
from malfl.checks import FloatArray
from malfl.games.legal import only_legal
from malfl.games.markov import Dynamics
from malfl.recovery.classes import entries
from malfl.recovery.learned_values import exact_values, process_of
from malfl.recovery.reward import RANK_TOLERANCE, REWARD_CLASSES, RewardClass

Classed = tuple[FloatArray, RewardClass]
"""The values of a reward, (S,), (S, A_i) or (S, A), and its class."""

MOST_ENTRIES = 1000  # of a reward; a decomposition of more takes long
MOST_DECOMPOSED = 4000  # and of one whose verdict is about these directions
NOTHING = 1e-9  # of a reward scaled to 1
OPPONENTS = 4  # policies of the others, drawn at random, that stand for all; of joint actions more
_KNOWN: WeakKeyDictionary[Dynamics, dict[tuple[int, RewardClass], FloatArray]] = WeakKeyDictionary()


def shown_directions(dynamics: Dynamics, agent: int, reward_class: RewardClass) -> FloatArray:
    """An orthonormal basis of what exact improvements show, whatever the others play.

    What is left out is a shaping, such as a constant, or changes nothing that the agent can
    influence.

    Returns
    -------
    ndarray
        Shape (entries of the reward, k).
    """
    known = _KNOWN.setdefault(dynamics, {})
    if (agent, reward_class) not in known:
        rng = np.random.default_rng(0)
        states = dynamics.n_states
        square: FloatArray | float = 0.0
        others = dynamics.n_joint_actions // dynamics.actions[agent]
        for _ in range(OPPONENTS + others if reward_class == "joint-action" else OPPONENTS):
            progress.advance()
            policies = [
                only_legal(rng.dirichlet(np.ones(own), size=states), legal)
                for own, legal in zip(dynamics.actions, dynamics.legal, strict=True)
            ]
            process = process_of(dynamics, policies, agent, 1.0, reward_class)
            slopes = exact_values(process)[0].reshape(states, dynamics.actions[agent], -1)
            legal = dynamics.legal[agent][..., None]
            mean = (slopes * legal).sum(axis=1, keepdims=True) / legal.sum(axis=1, keepdims=True)
            apart = ((slopes - mean) * legal).reshape(-1, slopes.shape[-1])
            square = square + apart.T @ apart
        sizes, axes = eigh(square)
        floor = RANK_TOLERANCE**2 * max(float(sizes.max()), 0.0)
        known[agent, reward_class] = axes[:, sizes > floor]
    return known[agent, reward_class]


def promised_directions(
    dynamics: Dynamics, agent: int, reward_class: RewardClass
) -> FloatArray | None:
    """The same, as far as it is told: None in games too large for it."""
    if entries(dynamics, agent, reward_class) > MOST_DECOMPOSED:
        return None
    return shown_directions(dynamics, agent, reward_class)


def identified_part(
    values: FloatArray, dynamics: Dynamics, agent: int, reward_class: RewardClass
) -> FloatArray:
    """A reward without the directions that no improvement shows, whatever the others play.

    Parameters
    ----------
    values
        Of the reward, (S,), (S, A_i) or (S, A).

    Returns
    -------
    ndarray
        Of the same shape. What is left out is a shaping, or changes nothing that the agent can
        influence; see `shown_directions`.

    Raises
    ------
    ValueError
        If the game or the reward is too large for a decomposition.
    """
    if values.size > MOST_ENTRIES:
        raise ValueError(
            f"a reward of {values.size} entries is too large to tell its identified part, which is "
            f"done for up to {MOST_ENTRIES}"
        )
    shown = shown_directions(dynamics, agent, reward_class)
    return np.asarray(shown @ (shown.T @ values.ravel())).reshape(values.shape)


def likeness(one: Classed, other: Classed, dynamics: Dynamics, agent: int) -> float:
    """Cosine between the identified parts of two rewards, in [-1, 1].

    The wider of the two classes says which directions count. 0 if one has no such part.

    Raises
    ------
    ValueError
        As `identified_part` does.
    """
    wider = max(one[1], other[1], key=REWARD_CLASSES.index)
    parts = []
    for values, reward_class in (one, other):
        scaled = values / (np.abs(values).max() or 1.0)
        wide = _widened(scaled, reward_class, wider, dynamics, agent)
        part = identified_part(wide, dynamics, agent, wider).ravel()
        parts.append(part if np.abs(part).max() > NOTHING else 0 * part)
    lengths = [float(np.linalg.norm(part)) for part in parts]
    return float(parts[0] @ parts[1] / (lengths[0] * lengths[1])) if all(lengths) else 0.0


def _widened(
    values: FloatArray, own: RewardClass, wider: RewardClass, game: Dynamics, agent: int
) -> FloatArray:
    """The same reward in a class that holds its own."""
    if own == wider:
        return values
    if own == "state":
        joint = game.n_joint_actions
        return np.repeat(
            values[:, None], game.actions[agent] if wider == "state-action" else joint, 1
        )
    return np.asarray(values[:, game.own_actions[agent]])
