"""What a reward may depend on: its class, or features that it is linear in."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from malfl import checks
from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.games.markov import Dynamics
from malfl.recovery.reward import REWARD_CLASSES, RecoveredReward, RewardClass
from malfl.values import Value, freeze, set_fields


@dataclass(frozen=True, eq=False)
class Features(Value):
    """Rewards that are linear in features: R = phi @ w, with weights w to be found.

    Parameters
    ----------
    phi
        The features of each state, (S, k), of each state and own action, (S, A_i, k), or of each
        state and joint action, (S, A, k). Their units are free: weights are found in them.

    Raises
    ------
    TypeError, ValueError
        If ``phi`` is no such array, a number is not finite, or a feature is zero everywhere.
    """

    phi: FloatArray

    def __post_init__(self) -> None:
        phi = checks.finite(self.phi, "phi")
        if phi.ndim not in (2, 3) or phi.size == 0:
            raise ValueError(f"phi must have shape (S, k) or (S, actions, k), got {phi.shape}")
        zero = ~phi.reshape(-1, phi.shape[-1]).any(axis=0)
        if zero.any():
            raise ValueError(
                f"phi[..., {int(zero.argmax())}] is zero everywhere; such a feature has no weight"
            )
        freeze(phi)
        set_fields(self, phi=phi)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Features) and np.array_equal(self.phi, other.phi)

    def __hash__(self) -> int:
        return hash((self.phi.shape, self.phi.tobytes()))


RewardSpace = RewardClass | Features
"""A class by its name, or features."""


class Space(NamedTuple):
    """The rewards that are looked for: some numbers make up each entry."""

    reward_class: RewardClass  # of the entries
    entries: int  # E
    basis: FloatArray | None = None  # (E, K), how K numbers make up entries; None if they are these
    units: FloatArray | None = None  # (K,), of the numbers, in those of a feature's weight

    @property
    def numbers(self) -> int:
        """How many are to be found, K."""
        return self.entries if self.basis is None else int(self.basis.shape[1])

    def by_numbers(self, slopes: FloatArray) -> FloatArray:
        """From slopes by the entries, (..., E), to slopes by the numbers, (..., K)."""
        return slopes if self.basis is None else np.asarray(slopes @ self.basis)

    def reward(self, numbers: FloatArray) -> FloatArray:
        """The entries that numbers (K,) make up, (E,)."""
        return numbers if self.basis is None else np.asarray(self.basis @ numbers)

    def numbers_of(self, reward: RecoveredReward) -> FloatArray:
        """The numbers (K,) of a reward that was found among these; 0 where nothing is known."""
        if not np.isfinite(reward.values).any():
            return np.zeros(self.numbers)
        if reward.weights is None or self.units is None:
            return np.nan_to_num(reward.values).ravel()
        return np.nan_to_num(reward.weights) / self.units


def check_space(reward_class: RewardSpace | None) -> None:
    """Raise unless it is a class, features, or nothing, which leaves it to the evidence."""
    if reward_class is not None and not isinstance(reward_class, Features):
        checks.choice(reward_class, "reward_class", REWARD_CLASSES)


def space_of(dynamics: Dynamics, agent: int, reward_class: RewardSpace) -> Space:
    """The rewards of a class, or those linear in features, for an agent of a game.

    Features count in units of their root mean square, so that a prior treats them alike.

    Raises
    ------
    ValueError
        If the features are of another game.
    """
    if not isinstance(reward_class, Features):
        return Space(reward_class, entries(dynamics, agent, reward_class))
    phi = reward_class.phi
    name = class_of_shape(dynamics, agent, phi.shape[:-1])
    if name is None:
        states, own, joint = dynamics.n_states, dynamics.actions[agent], dynamics.n_joint_actions
        raise ValueError(
            f"phi must have shape ({states}, k), ({states}, {own}, k) or ({states}, {joint}, k) "
            f"for agent {agent}, got {phi.shape}"
        )
    flat = phi.reshape(-1, phi.shape[-1])
    units = 1 / np.sqrt((flat**2).mean(axis=0))
    return Space(name, len(flat), flat * units, units)


def class_of_shape(dynamics: Dynamics, agent: int, shape: tuple[int, ...]) -> RewardClass | None:
    """The class of a reward (S,), (S, A_i) or (S, A); None if the shape is another one.

    Of an agent alone a reward of its actions is one of own actions.
    """
    states, own, joint = dynamics.n_states, dynamics.actions[agent], dynamics.n_joint_actions
    shapes: dict[tuple[int, ...], RewardClass] = {
        (states, joint): "joint-action", (states, own): "state-action", (states,): "state",
    }  # fmt: skip
    return shapes.get(shape)


def entries(dynamics: Dynamics, agent: int, reward_class: RewardClass) -> int:
    """How many numbers a reward of a class is."""
    states, own = dynamics.n_states, dynamics.actions[agent]
    actions = {"state": 1, "state-action": own, "joint-action": dynamics.n_joint_actions}
    return states * actions[reward_class]


def earnable(dynamics: Dynamics, agent: int, reward_class: RewardClass) -> BoolArray:
    """Which entries of a reward of a class can ever be received, (E,).

    Others belong to states that play never comes to, to actions that are not legal, or to actions
    where an episode ends, but for action 0, whose reward is received there.
    """
    received = dynamics.possible.copy()
    received[dynamics.ends, 0] = True
    received &= dynamics.reachable[:, None]
    codes = earned_by_code(dynamics, agent, reward_class)
    mask = np.zeros(entries(dynamics, agent, reward_class), dtype=bool)
    mask[codes[received.ravel()]] = True
    return mask


def earned_by_code(dynamics: Dynamics, agent: int, reward_class: RewardClass) -> IntArray:
    """Which entry of a reward each code ``state * A + joint action`` earns, (S * A,)."""
    states, pairs = dynamics.code_parts(agent)
    joint = np.arange(dynamics.n_states * dynamics.n_joint_actions)
    by_class = {"state": states, "state-action": pairs, "joint-action": joint}
    return np.asarray(by_class[reward_class], dtype=np.int64)
