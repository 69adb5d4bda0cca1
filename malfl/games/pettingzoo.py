"""Games from environments of PettingZoo in which agents take turns, by walking all their states."""

from collections import deque
from collections.abc import Callable, Hashable
from math import prod
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from malfl import checks, progress
from malfl.checks import BoolArray, IntArray
from malfl.games.markov import MarkovGame

Env = Any  # of PettingZoo, which is not imported
Key = Callable[[Env], Hashable]


class Walked(NamedTuple):
    """A game, and what its numbers stand for."""

    game: MarkovGame
    states: tuple[Hashable, ...]  #: their keys, in the order of their numbers
    agents: tuple[str, ...]  #: their names, likewise


def from_pettingzoo(
    env: Env, *, gamma: float, key: Key | None = None, most_states: int = 100_000
) -> Walked:
    """A game from an environment of the kind AEC, such as tic-tac-toe, with discrete actions.

    All that can happen is tried: the environment is reset and led to each state again for each
    action that is legal there. It must not play by chance. An agent who is not on turn has action 0
    as its only legal one. What agents receive for a move is the reward of that state and action.

    Parameters
    ----------
    env
        Of PettingZoo; its ``raw_env`` is much faster than what is wrapped around it.
    gamma
        Discount factor in [0, 1]; see `malfl.Dynamics`.
    key
        What tells states apart; by default whose turn it is and what each agent observes.
    most_states
        More than so many are refused.

    Raises
    ------
    TypeError
        If it is no such environment, or an action space is not discrete.
    ValueError
        If it plays by chance, has too many states, or an agent leaves while others stay.
    """
    if key is None:
        key = observed
    elif not callable(key):
        raise TypeError(f"key must be a function of an environment, got {checks.shown(key)}")
    checks.probability(gamma, "gamma")
    most = checks.count(most_states, "most_states")
    agents = _agents(env)
    sizes = tuple(_actions(env, agent) for agent in agents)
    found = _walk(env, key, agents, sizes, most)
    states, joint = len(found.keys), prod(sizes)
    game = MarkovGame(
        actions=sizes,
        transitions=csr_array(
            (np.ones(len(found.to)), (found.codes, found.to)), shape=(states * joint, states)
        ),
        rewards=[
            np.bincount(found.codes, earned, minlength=states * joint).reshape(states, joint)
            for earned in found.rewards.T
        ],
        start=0, gamma=gamma, ends=found.ends, legal=_legal(found, sizes),
    )  # fmt: skip
    return Walked(game, tuple(found.keys), agents)


class _Found(NamedTuple):
    keys: dict[Hashable, int]  # numbers of states
    ends: BoolArray  # (S,)
    codes: IntArray  # (M,), state * A + joint action of each move
    to: IntArray  # (M,)
    rewards: Any  # (M, N)


def acts_in_turns(env: Env) -> bool:
    """Whether it is an environment of PettingZoo of the kind AEC."""
    return hasattr(env, "possible_agents") and hasattr(env, "observe")


def _agents(env: Env) -> tuple[str, ...]:
    if not acts_in_turns(env):
        raise TypeError(
            "env must be an environment of PettingZoo in which agents take turns (AEC), got "
            f"{checks.shown(env)}"
        )
    return tuple(env.possible_agents)


def _actions(env: Env, agent: str) -> int:
    space = env.action_space(agent)
    size, start = getattr(space, "n", None), getattr(space, "start", 0)
    if size is None or start != 0:
        raise TypeError(
            f"actions of {agent} must be Discrete and counted from 0, got {checks.shown(space)}"
        )
    return int(size)


def observed(env: Env) -> Hashable:
    """Whose turn it is, and what each agent observes."""
    seen = []
    for agent in env.possible_agents:
        part = env.observe(agent)
        if isinstance(part, dict):
            part = part["observation"]
        seen.append(np.asarray(part).tobytes())
    return (env.agent_selection, *seen)


def _mask(env: Env, agent: str, size: int) -> IntArray:
    """The legal actions of who is on turn."""
    observed = env.observe(agent)
    given = observed.get("action_mask") if isinstance(observed, dict) else None
    if given is None:
        given = env.infos.get(agent, {}).get("action_mask")
    return np.arange(size) if given is None else np.flatnonzero(given)


def _lead(env: Env, path: tuple[int, ...], seed: int) -> None:
    env.reset(seed=seed)
    for action in path:
        env.step(action)


def over(env: Env) -> bool:
    """Whether the episode has ended."""
    gone = [env.terminations[a] or env.truncations[a] for a in env.possible_agents]
    if any(gone) and not all(gone):
        left = env.possible_agents[int(np.argmax(gone))]
        raise ValueError(f"env must end for all agents at once; {left} leaves before others")
    return all(gone)


def _walk(env: Env, key: Key, agents: tuple[str, ...], sizes: tuple[int, ...], most: int) -> _Found:
    weights = [prod(sizes[i + 1 :]) for i in range(len(sizes))]
    joint = prod(sizes)
    env.reset(seed=0)
    keys: dict[Hashable, int] = {key(env): 0}
    ends, moves, rewards = [False], [], []
    open_: deque[tuple[int, tuple[int, ...]]] = deque([(0, ())])
    while open_:
        progress.advance()
        state, path = open_.popleft()
        _lead(env, path, 0)
        mover = agents.index(env.agent_selection)
        for action in _mask(env, agents[mover], sizes[mover]):
            reached = []
            for seed in (1, 0):
                _lead(env, (*path, int(action)), seed)
                ended = over(env)
                reached.append(("end", key(env)) if ended else key(env))
            if reached[0] != reached[1]:
                raise ValueError(
                    f"env must not play by chance; action {action} of {agents[mover]} after the "
                    f"moves {list(path)} leads to different states"
                )
            after = keys.setdefault(reached[0], len(keys))
            if after == len(ends):
                if len(keys) > most:
                    raise ValueError(f"env has more than {most} states; raise most_states")
                ends.append(ended)
                if not ended:
                    open_.append((after, (*path, int(action))))
            moves.append((state * joint + int(action) * weights[mover], after))
            rewards.append([float(env.rewards.get(agent, 0.0)) for agent in agents])
    codes, to = np.array(moves, dtype=np.int64).T
    return _Found(keys, np.array(ends), codes, to, np.array(rewards))


def _legal(found: _Found, sizes: tuple[int, ...]) -> list[BoolArray]:
    """What each agent may do, by the moves there are."""
    states, actions = np.divmod(found.codes, prod(sizes))
    masks = []
    for own, size in zip(np.unravel_index(actions, sizes), sizes, strict=True):
        mask = np.zeros((len(found.ends), size), dtype=bool)
        mask[states, own] = True
        mask[found.ends] = np.arange(size) == 0
        masks.append(mask)
    return masks
