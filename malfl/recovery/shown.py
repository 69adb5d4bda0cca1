"""What improvements show of a reward, however long an agent is watched."""

from weakref import WeakKeyDictionary

import numpy as np

from malfl import progress
from malfl.checks import FloatArray
from malfl.games.legal import only_legal
from malfl.games.markov import Dynamics, Policies
from malfl.recovery.classes import Space, entries
from malfl.recovery.factored import factored_slopes
from malfl.recovery.learned_values import exact_values, process_of
from malfl.recovery.parts import eigh_by_parts
from malfl.recovery.reward import RANK_TOLERANCE, REWARD_CLASSES, RewardClass
from malfl.recovery.slopes import less_mean

Classed = tuple[FloatArray, RewardClass]
"""The values of a reward, (S,), (S, A_i) or (S, A), and its class."""

MOST_ENTRIES = 4000  # of a reward; a decomposition of more takes long
MANY_ENTRIES = 1000  # of one in which slopes are kept as their factors
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
        size = entries(dynamics, agent, reward_class)
        square = np.zeros((size, size))
        others = dynamics.n_joint_actions // dynamics.actions[agent]
        for _ in range(OPPONENTS + others if reward_class == "joint-action" else OPPONENTS):
            progress.advance()
            policies = tuple(
                only_legal(rng.dirichlet(np.ones(own), size=dynamics.n_states), legal)
                for own, legal in zip(dynamics.actions, dynamics.legal, strict=True)
            )
            square += _square(dynamics, agent, reward_class, policies)
        sizes, axes = eigh_by_parts(square)
        floor = RANK_TOLERANCE**2 * max(float(sizes.max()), 0.0)
        known[agent, reward_class] = axes[:, sizes > floor]
    return known[agent, reward_class]


def _square(
    dynamics: Dynamics, agent: int, reward_class: RewardClass, policies: Policies
) -> FloatArray:
    """The square (K, K) of values' slopes in a reward, each action's less the mean of all."""
    legal, number = dynamics.legal[agent], entries(dynamics, agent, reward_class)
    process = process_of(dynamics, policies, agent, 1.0, reward_class)
    if number > MANY_ENTRIES:
        space, states = Space(reward_class, number), np.arange(dynamics.n_states)
        factored = factored_slopes(dynamics, agent, space, [process], 1.0)
        mean = legal / legal.sum(axis=1, keepdims=True)
        centring = legal[:, :, None] * (np.eye(legal.shape[1]) - mean[:, None, :])
        return factored.chosen(0 * states, states).mixed(centring).square().whole()
    slopes = exact_values(process)[0].reshape(*legal.shape, -1)
    apart = less_mean(slopes, legal).reshape(-1, number)
    return np.asarray(apart.T @ apart)


def promised_directions(
    dynamics: Dynamics, agent: int, reward_class: RewardClass
) -> FloatArray | None:
    """The same, as far as it is told: None in games too large for it."""
    if entries(dynamics, agent, reward_class) > MOST_ENTRIES:
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
