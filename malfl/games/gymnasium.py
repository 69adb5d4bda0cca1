"""Games from environments of Gymnasium that come with a table of their transitions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.legal import reached
from malfl.games.markov import MarkovGame

Outcome = Sequence[Any]
"""Probability, next state, reward, and whether the episode ends there."""


def from_gymnasium(env: object, *, gamma: float) -> MarkovGame:
    """A game of one agent from an environment with a table ``P``, such as FrozenLake or Taxi.

    States and actions keep their numbers. A state in which an episode ends is an end; one in which
    it may also go on has a twin where it ends, numbered after all others. States that no episode
    comes to are ends too, so that nobody is expected to act there. Rewards are means over next
    states. A limit of steps is no part of the game.

    Parameters
    ----------
    env
        Of ``gymnasium.make``, or anything with ``P[state][action]``, a list of (probability, next
        state, reward, terminated). Where it has no ``initial_state_distrib``, episodes start where
        ``reset`` says.
    gamma
        Discount factor in [0, 1]; see `malfl.Dynamics`.

    Raises
    ------
    TypeError
        If there is no such table.
    ValueError
        If an outcome is not four numbers, or is one that `malfl.MarkovGame` refuses.
    """
    plain = getattr(env, "unwrapped", env)
    table = getattr(plain, "P", None)
    if not isinstance(table, Mapping | Sequence) or len(table) == 0:
        raise TypeError(
            f"env must have a table P[state][action] of outcomes, got {checks.shown(env)}"
        )
    states, actions = len(table), len(table[0])
    start = _start(plain, states)
    numbers = np.array(_outcomes(table, states, actions))
    odds, reward = numbers[:, 1], numbers[:, 3]
    code, to, over = numbers[:, 0].astype(int), numbers[:, 2].astype(int), numbers[:, 4] != 0
    origin = code // actions
    goes_on = reached(states, origin[~over], to[~over], np.flatnonzero(start))
    twins = np.unique(to[over & goes_on[origin] & goes_on[to]])
    of_twin = np.arange(states)
    of_twin[twins] = states + np.arange(twins.size)
    ends = np.append(~goes_on, np.ones(twins.size, dtype=bool))
    size = ends.size
    matrix = coo_array(
        (odds, (code, np.where(over, of_twin[to], to))), shape=(size * actions, size)
    )
    rewards = np.bincount(code, odds * reward, minlength=size * actions)
    rewards[np.repeat(ends, actions)] = 0.0
    return MarkovGame(
        actions=(actions,), transitions=csr_array(matrix), rewards=[rewards.reshape(size, actions)],
        start=np.append(start, np.zeros(twins.size)), gamma=gamma, ends=ends,
    )  # fmt: skip


def _outcomes(
    table: Any,  # noqa: ANN401
    states: int,
    actions: int,
) -> list[tuple[float, ...]]:
    """Code ``state * actions + action`` and the four numbers of every outcome."""
    found = []
    for s in range(states):
        if len(table[s]) != actions:
            raise ValueError(f"P[{s}] must have {actions} actions as P[0] has, got {len(table[s])}")
        for a in range(actions):
            for k, outcome in enumerate(table[s][a]):
                given = checks.finite([float(part) for part in outcome], f"P[{s}][{a}][{k}]")
                if given.shape != (4,) or given[1] not in range(states):
                    raise ValueError(
                        f"P[{s}][{a}][{k}] must be a probability, a next state in 0..{states - 1}, "
                        f"a reward and whether the episode ends, got {checks.shown(outcome)}"
                    )
                if given[0] > 0:
                    found.append((s * actions + a, *given))
    return found


def _start(env: object, states: int) -> FloatArray:
    given = getattr(env, "initial_state_distrib", None)
    if given is not None:
        return checks.distributions(given, "initial_state_distrib of env", (states,))
    first, _ = env.reset(seed=0)  # type: ignore[attr-defined]
    return np.asarray(np.eye(states)[int(first)])
