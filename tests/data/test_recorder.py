from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from test_pettingzoo import Nim

import malfl
from malfl import Recorder, read_log, record
from malfl.companion import board_game
from malfl.games import from_gymnasium, from_pettingzoo


def lake():
    return gymnasium.make("FrozenLake-v1", max_episode_steps=20)


def at_random(seed):
    rng = np.random.default_rng(seed)
    return lambda observation: int(rng.integers(4))


def rows_of(env, policy, episodes, iteration=0, first=0):
    """What `record` is to note, by a loop that reads like it."""
    rows = []
    for number in range(episodes):
        state, _ = env.reset(seed=0 if iteration == number == 0 else None)
        step, over = 0, False
        while not over:
            action = policy(state)
            after, _, ended, cut, _ = env.step(action)
            rows.append((iteration, first + number, step, state, action, ended))
            state, step, over = after, step + 1, ended or cut
        rows.append((iteration, first + number, step, state, None, ended))
    return rows


def listed(table):
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_it_notes_what_is_done():
    table = record(lake(), [at_random(1), at_random(2)], episodes=5, seed=0)
    env = lake()
    expected = rows_of(env, at_random(1), 5) + rows_of(env, at_random(2), 5, 1, 5)
    assert listed(table) == expected
    assert table.column_names == ["iteration", "episode", "step", "state", "action", "ended"]


def test_what_is_noted_reads_as_a_log():
    table = record(lake(), [at_random(1), at_random(2)], episodes=50, seed=0)
    game = from_gymnasium(lake(), gamma=0.9)
    log = read_log(table, game=game)
    assert log.iterations == 2
    done = [row for row in listed(table) if row[4] is not None]
    counts = np.zeros((2, 16, 4))
    for iteration, _, _, state, action, _ in done:
        counts[iteration, state, action] += 1
    np.testing.assert_array_equal(log.counts, counts)


class NimOfPettingZoo(Nim):
    """With a loop over agents, as PettingZoo has it."""

    def agent_iter(self):
        left = list(self.possible_agents)
        while left:
            yield self.agent_selection
            if self.over():
                left.remove(self.agent_selection)
                self.agent_selection = left[0] if left else None

    def over(self):
        return all(self.terminations.values()) or all(self.truncations.values())

    def last(self):
        agent = self.agent_selection
        gone = self.terminations[agent], self.truncations[agent]
        return self.observe(agent), self.rewards[agent], *gone, {}

    def step(self, action):
        if action is not None:
            super().step(action)


def greedy(observation):
    return int(np.flatnonzero(observation["action_mask"])[-1])


def test_turns_leave_the_other_actions_empty():
    walked = from_pettingzoo(Nim(), gamma=0.9)
    players = {"first": greedy, "second": greedy}
    table = record(NimOfPettingZoo(), [players], episodes=2, seed=0, states=walked.states)
    assert [row[4:6] for row in listed(table)] == [(1, None), (None, 0), (None, None)] * 2
    assert [row[-1] for row in listed(table)] == [False, True, True] * 2
    log = read_log(table, game=walked.game)
    assert log.counts.sum() == 4
    assert [len(played) for played in log.episodes] == [2]


def test_without_keys_states_are_numbered_as_they_come():
    env = Recorder(NimOfPettingZoo(), key=lambda env: env.left)
    env.reset()
    env.step(0)
    env.step(1)
    assert env.states == (3, 2, ("end", 0))
    assert [row[3] for row in listed(env.table())] == [0, 1, 2]


def test_an_own_loop_may_stop_episodes_and_begin_iterations():
    env = Recorder(lake())
    env.reset(seed=0)
    env.step(0)
    env.reset()  # cuts the episode off
    env.step(0)
    env.next_iteration()
    env.reset()
    env.step(0)
    rows = listed(env.table())
    assert [row[0] for row in rows] == [0, 0, 0, 0, 1, 1]
    assert [row[1] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert [row[4] for row in rows] == [0, None, 0, None, 0, None]
    assert not any(row[5] for row in rows)
    assert listed(env.table()) == rows  # an episode that is on is not left by being looked at


def test_a_new_policy_after_each_step():
    """No step is lost, and where it led is the state of the next."""
    env, rng, steps = Recorder(lake()), np.random.default_rng(0), 0
    for episode in range(20):
        env.reset(seed=episode)
        over = False
        while not over:
            _, _, ended, cut, _ = env.step(rng.integers(4))
            over, steps = ended or cut, steps + 1
            env.next_iteration()
    log = malfl.read_log(env.table(), gamma=0.9)
    assert log.counts.sum() == steps == len(log.counts)
    game = malfl.games.from_gymnasium(lake(), gamma=0.9)
    known = malfl.read_log(env.table(), game=game)  # which refuses what cannot be
    assert known.counts.sum() == steps


def test_an_iteration_in_which_nothing_is_done_is_none():
    env = Recorder(lake())
    env.next_iteration()
    for _ in range(2):
        env.reset(seed=0)
        env.step(0)
        env.next_iteration()
        env.next_iteration()
    assert [row[0] for row in listed(env.table())] == [0, 0, 1, 1]


def test_a_time_limit_is_no_end():
    env = gymnasium.make("FrozenLake-v1", max_episode_steps=2, is_slippery=False)
    table = record(env, [lambda observation: 0], episodes=1, seed=0)
    assert [row[5] for row in listed(table)] == [False, False, False]


def test_it_has_all_that_the_environment_has():
    inner = lake()
    env = Recorder(inner)
    assert env.action_space is inner.action_space
    assert env.spec is inner.spec
    with pytest.raises(AttributeError):
        _ = env.nonsense


def test_other_observations_are_told_apart_by_their_numbers():
    env = Recorder(gymnasium.make("CartPole-v1"), key=lambda seen: bool(seen[0] > 0))
    env.reset(seed=0)
    env.step(1)
    assert set(env.states) <= {False, True}
    plain = Recorder(gymnasium.make("CartPole-v1"))
    plain.reset(seed=0)
    plain.step(1)
    assert len(plain.states) == 2


def test_states_may_be_any_sequence():
    env = Recorder(lake(), states=np.arange(16))
    env.reset(seed=0)
    assert env.states == tuple(range(16))


class Hurried(NimOfPettingZoo):
    """The time is over after the first move."""

    def step(self, action):
        super().step(action)
        self.truncations = dict.fromkeys(self.possible_agents, True)


def test_a_time_limit_is_no_end_where_agents_take_turns():
    env = Recorder(Hurried(), key=lambda env: env.left)
    env.reset()
    env.step(0)
    assert env.states == (3, 2)
    assert [row[-1] for row in listed(env.table())] == [False, False]


def worded():
    """Sees a dictionary."""
    space = SimpleNamespace(n=2, start=0)
    return SimpleNamespace(action_space=space, reset=lambda seed: ({"at": 3}, {}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recorder(worded()).reset(seed=0), "key must say what tells observations apart"),
        (lambda: Recorder(lake(), states=[0, 1, 1]), "states must have each key once"),
        (
            lambda: Recorder(SimpleNamespace(possible_agents=["a"], action_space=len, reset=len)),
            "env must be an environment",
        ),
        (lambda: Recorder(object()), "env must be an environment"),
        (lambda: Recorder(lake(), key=1), "key must be a function"),
        (lambda: Recorder(lake(), states=[1]).reset(seed=0), "state 0 is none of the 1 given"),
        (lambda: record(lake(), [1], episodes=1, seed=0), r"policies\[0\] must be a function"),
        (
            lambda: record(NimOfPettingZoo(), [greedy], episodes=1, seed=0),
            r"policies\[0\] must map agents",
        ),
        (
            lambda: record(NimOfPettingZoo(), [{"first": greedy}], episodes=1, seed=0),
            r"policies\[0\] must have a function for 'second'",
        ),
        (lambda: record(lake(), [lambda seen: 0.5], episodes=1, seed=0), "action must be a whole"),
        (
            lambda: record(
                gymnasium.make("Pendulum-v1"), [lambda seen: [0.0]], episodes=1, seed=0,
                key=lambda seen: 0,
            ),
            "actions must be discrete",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_recorded_is_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_spaces_that_begin_elsewhere_are_counted_from_zero():
    env = SimpleNamespace(
        action_space=SimpleNamespace(n=2, start=5), observation_space=SimpleNamespace(n=2, start=3),
        reset=lambda: (3, {}), step=lambda action: (4, 0.0, True, False, {}),
    )  # fmt: skip
    recorder = Recorder(env)
    recorder.reset()
    recorder.step(6)
    assert [row[3:5] for row in listed(recorder.table())] == [(0, 1), (1, None)]


def test_a_game_of_pettingzoo_itself():
    on = board_game.board(0.9)
    env = Recorder(board_game.new_environment(), board_game.key_of, on.keys)
    env.reset()
    for cell in (0, 3, 1, 4, 2):
        env.step(cell)
    log = malfl.read_log(env.table(), game=on.game)
    (episode,) = log.episodes[0]
    assert on.squares[episode.states[-1]].tolist() == [1, 1, 1, 2, 2, 0, 0, 0, 0]
    assert on.worth[:, episode.states[-1]].tolist() == [1, -1]
