"""What agents do in an environment of Gymnasium or PettingZoo, noted while they do it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from malfl import checks, progress
from malfl.games.pettingzoo import Env, acts_in_turns, observed, over

Policy = Callable[[Any], Any]  # from what an agent observes to what it does

NOBODY = -1  # acts


class Recorder:
    """An environment that keeps what is done in it. Agents use it in place of the environment.

    It has all that the environment has. Agents may be anybody's, and so may be the loop in which
    they play and learn; `next_iteration` is to be called whenever they go over to new policies.

    Parameters
    ----------
    env
        Of Gymnasium, or of PettingZoo with agents that take turns (AEC). Actions are discrete.
    key
        What tells states apart, by default what is observed: in Gymnasium's environments a function
        of an observation, in PettingZoo's of the environment, as in `malfl.games.from_pettingzoo`.
    states
        The keys of all states, in the order of their numbers, such as those of
        `malfl.games.Walked`. By default discrete observations are numbers of states, and others
        are numbered as they come.

    Raises
    ------
    TypeError, ValueError
        If it is no such environment, or a state is none of ``states``.

    Examples
    --------
    >>> import gymnasium
    >>> lake = Recorder(gymnasium.make("FrozenLake-v1"))
    >>> state, info = lake.reset(seed=0)
    >>> state, reward, terminated, truncated, info = lake.step(2)
    >>> lake.table().column_names
    ['iteration', 'episode', 'step', 'state', 'action', 'ended']
    """

    def __init__(
        self, env: Env, key: Callable[..., Hashable] | None = None,
        states: Sequence[Hashable] | None = None,
    ) -> None:  # fmt: skip
        if key is not None and not callable(key):
            raise TypeError(f"key must be a function, got {checks.shown(key)}")
        self._env = env
        self._turns = acts_in_turns(env)
        parallel = hasattr(env, "possible_agents") and not self._turns
        if parallel or not (self._turns or hasattr(env, "action_space")):
            raise TypeError(
                "env must be an environment of Gymnasium, or of PettingZoo in which agents take "
                f"turns (AEC), got {checks.shown(env)}"
            )
        self._key = key
        self._agents = tuple(env.possible_agents) if self._turns else ("agent",)
        if states is not None:
            checks.sequence(states, "states", "the key of each")
        self._fixed = states is not None
        self._numbers = {} if states is None else {one: k for k, one in enumerate(states)}
        if states is not None and len(self._numbers) < len(states):
            raise ValueError("states must have each key once, got one twice")
        self._rows: list[tuple[int, int, int, int, int, int, bool]] = []
        self._iteration, self._episode, self._step = 0, -1, 0
        self._state: int | None = None  # nobody may act before a reset

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._env, name)

    @property
    def states(self) -> tuple[Hashable, ...]:
        """Keys of the states, in the order of their numbers; none if observations are numbers."""
        return tuple(self._numbers)

    def next_iteration(self) -> None:
        """What is done from here on, agents do by new policies, also within an episode.

        Nothing changes if nothing was done since the last one.
        """
        self._iteration += bool(self._rows) and self._rows[-1][0] == self._iteration

    def reset(self, *given: object, **options: object) -> Any:  # noqa: ANN401
        """As the environment does; an episode that is on ends here, cut off."""
        self._leave(False)
        found = self._env.reset(*given, **options)
        self._episode, self._step = self._episode + 1, 0
        self._state = self._number(self._env if self._turns else found[0], False)
        return found

    def step(self, action: object) -> Any:  # noqa: ANN401
        """As the environment does."""
        if self._turns:
            return self._step_of_turn(action)
        state = self._begun()
        own = self._own(action, self._env.action_space)
        found = self._env.step(action)
        observation, _, terminated, truncated = found[:4]
        self._note(state, 0, own, bool(terminated))
        self._state = self._number(observation, bool(terminated))
        if terminated or truncated:
            self._leave(bool(terminated))
        return found

    def table(self) -> pa.Table:
        """All that was done, a row for each step, for `malfl.read_log`; an empty action is none.

        The last row of each episode has the state in which it was left.
        """
        iteration, episode, step, state, who, action, ended = np.array(
            self._rows + self._last_row(), dtype=np.int64
        ).reshape(-1, 7).T  # fmt: skip
        columns = {"iteration": iteration, "episode": episode, "step": step, "state": state}
        for i in range(len(self._agents)):
            name = f"action_{i}" if self._turns else "action"
            columns[name] = pa.array(action, mask=who != i)
        return pa.table({**columns, "ended": ended.astype(bool)})

    def _step_of_turn(self, action: object) -> object:
        env = self._env
        agent = env.agent_selection
        if env.terminations[agent] or env.truncations[agent]:  # who has left only says goodbye
            return env.step(action)
        state, who = self._begun(), self._agents.index(agent)
        own = self._own(action, env.action_space(agent))
        found = env.step(action)
        done = over(env)
        ended = done and all(env.terminations.values())
        self._note(state, who, own, ended)
        self._state = self._number(env, ended)
        if done:
            self._leave(ended)
        return found

    def _begun(self) -> int:
        if self._state is None:
            raise ValueError("env must be reset before a step, and after an episode's end")
        return self._state

    def _own(self, action: object, space: object) -> int:
        if not hasattr(space, "n"):
            raise TypeError(f"actions must be discrete, got a space {checks.shown(space)}")
        number = checks.count(action, "action", at_least=int(getattr(space, "start", 0)))
        return number - int(getattr(space, "start", 0))

    def _number(self, shown: object, end: bool) -> int:
        if self._turns:
            key = (self._key or observed)(shown)
            tagged = ("end", key)  # as `from_pettingzoo` does, which knows no time limits
            key = tagged if end or (self._fixed and tagged in self._numbers) else key
        elif self._key is not None:
            key = self._key(shown)
        elif isinstance(shown, int | np.integer):
            if not self._fixed:
                return int(shown) - int(getattr(self._env.observation_space, "start", 0))
            key = int(shown)
        else:
            if np.asarray(shown).dtype.hasobject:
                raise TypeError(f"key must say what tells observations apart such as "
                                f"{checks.shown(shown)}")  # fmt: skip
            key = np.asarray(shown).tobytes()
        if self._fixed and key not in self._numbers:
            raise ValueError(f"state {checks.shown(key)} is none of the {len(self._numbers)} given")
        return self._numbers.setdefault(key, len(self._numbers))

    def _note(self, state: int, who: int, action: int, ended: bool) -> None:
        self._rows.append((self._iteration, self._episode, self._step, state, who, action, ended))
        self._step += 1

    def _last_row(self) -> list[tuple[int, int, int, int, int, int, bool]]:
        """Of the episode that is on, if there is one and something was done in it."""
        if self._state is None or self._step == 0:
            return []
        iteration = self._rows[-1][0]  # whatever has begun since
        return [(iteration, self._episode, self._step, self._state, NOBODY, 0, False)]

    def _leave(self, ended: bool) -> None:
        self._rows += [(*row[:-1], ended) for row in self._last_row()]
        self._state = None


def record(
    env: Env,
    policies: Sequence[Policy | Mapping[str, Policy]],
    *,
    episodes: int,
    seed: int,
    key: Callable[..., Hashable] | None = None,
    states: Sequence[Hashable] | None = None,
) -> pa.Table:
    """Let agents play in an environment of Gymnasium or PettingZoo, and note what they do.

    What they learn meanwhile is their own affair; for a loop of one's own see `malfl.Recorder`.

    Parameters
    ----------
    env, key, states
        As for `malfl.Recorder`.
    policies
        Of each iteration: a function from an observation to an action; with several agents one for
        each, by name.
    episodes
        In each iteration, at least 1. How long one is, the environment says.
    seed
        Of the environment, for the first episode; the others follow from it.

    Returns
    -------
    pyarrow.Table
        A row for each step, for `malfl.read_log`.

    Raises
    ------
    TypeError, ValueError
        As `malfl.Recorder` does, or if an agent has no policy.
    """
    recorder = Recorder(env, key, states)
    checks.sequence(policies, "policies", "those of each iteration")
    episodes = checks.count(episodes, "episodes")
    first: int | None = checks.count(seed, "seed", at_least=0)
    for h, those in enumerate(policies):
        if h > 0:
            recorder.next_iteration()
        for _ in range(episodes):
            observation, first = recorder.reset(seed=first), None
            if acts_in_turns(env):
                _play_in_turns(recorder, those, f"policies[{h}]")
            else:
                _play(recorder, those, observation[0], f"policies[{h}]")
    return recorder.table()


def _play(env: Recorder, policy: object, observation: object, name: str) -> None:
    if not callable(policy):
        raise TypeError(f"{name} must be a function of an observation, got {checks.shown(policy)}")
    done = False
    while not done:
        progress.advance()
        observation, _, terminated, truncated, _ = env.step(policy(observation))
        done = terminated or truncated


def _play_in_turns(env: Recorder, policies: object, name: str) -> None:
    if not isinstance(policies, Mapping):
        raise TypeError(f"{name} must map agents to functions, got {checks.shown(policies)}")
    for agent in env.agent_iter():
        progress.advance()
        observation, _, terminated, truncated, _ = env.last()
        if terminated or truncated:
            env.step(None)
        elif callable(own := policies.get(agent)):
            env.step(own(observation))
        else:
            raise TypeError(f"{name} must have a function for '{agent}', got {checks.shown(own)}")
