from types import SimpleNamespace

import numpy as np
import pytest

from malfl.games import from_pettingzoo


class Nim:
    """Two agents take one or two stones in turn; who takes the last one wins.

    With the attributes that an environment of PettingZoo (AEC) has.
    """

    possible_agents = ("first", "second")
    stones = 3

    def reset(self, seed=None):
        self.left, self.agent_selection = self.stones, "first"
        self.terminations = dict.fromkeys(self.possible_agents, False)
        self.truncations = dict(self.terminations)
        self.rewards = dict.fromkeys(self.possible_agents, 0)
        self.infos = {agent: {} for agent in self.possible_agents}
        self.rng = np.random.default_rng(seed)

    def action_space(self, agent):
        return SimpleNamespace(n=2, start=0)

    def observe(self, agent):
        mask = [self.left >= 1, self.left >= 2]
        return {"observation": np.array([self.left]), "action_mask": np.array(mask, np.int8)}

    def step(self, action):
        assert not self.terminations["first"]
        mover = self.possible_agents.index(self.agent_selection)
        self.left -= action + 1
        other = self.possible_agents[1 - mover]
        if self.left == 0:
            self.rewards = {self.agent_selection: 1, other: -1}
            self.terminations = dict.fromkeys(self.possible_agents, True)
        self.agent_selection = other


def test_a_game_of_turns():
    walked = from_pettingzoo(Nim(), gamma=1.0)
    game = walked.game
    assert walked.agents == ("first", "second")
    assert game.actions == (2, 2)
    # By what is left and who is on turn: 3 first; 2 second, 1 second; 1 first; and two ends.
    left = [np.frombuffer(key[1] if key[0] != "end" else key[1][1], np.int64)[0]
            for key in walked.states]  # fmt: skip
    assert left == [3, 2, 1, 1, 0, 0]
    assert game.ends.tolist() == [False] * 4 + [True] * 2
    assert game.legal[0].tolist() == (
        [[True, True], [True, False], [True, False], [True, False]] + [[True, False]] * 2
    )
    assert game.legal[1][1].tolist() == [True, True]
    assert game.legal[1][2].tolist() == [True, False]
    moves = game.transitions.toarray().reshape(6, 4, 6)
    assert moves[0].argmax(axis=1)[[0, 2]].tolist() == [1, 2]  # agent 0 takes one, or two
    assert moves[1].argmax(axis=1)[[0, 1]].tolist() == [3, 4]  # agent 1 does
    assert (moves.sum(axis=2) > 0).tolist() == game.possible.tolist()
    first, second = game.rewards
    np.testing.assert_array_equal(first, -second)
    assert first[1, 1] == -1  # the second takes the last two
    assert first[2, 0] == -1
    assert first[3, 0] == 1
    assert np.count_nonzero(first) == 3


def test_states_are_what_the_key_tells_apart():
    walked = from_pettingzoo(Nim(), gamma=0.9, key=lambda env: (env.left, env.agent_selection))
    assert walked.states[:3] == ((3, "first"), (2, "second"), (1, "second"))


class Unfair(Nim):
    def step(self, action):
        super().step(0 if self.rng.random() < 0.5 else action)


class Leaving(Nim):
    def step(self, action):
        super().step(action)
        self.terminations["first"] = True


class Continuous(Nim):
    def action_space(self, agent):
        return SimpleNamespace(shape=(2,))


@pytest.mark.parametrize(
    ("env", "says"),
    [
        (Unfair(), r"env must not play by chance; action 1 of \w+ after the moves "),
        (Leaving(), "env must end for all agents at once; first leaves before others"),
        (Continuous(), "actions of first must be Discrete"),
        (SimpleNamespace(possible_agents=["a"]), "env must be an environment of PettingZoo"),
    ],
)
def test_other_environments_are_refused(env, says):
    with pytest.raises((TypeError, ValueError), match=says):
        from_pettingzoo(env, gamma=0.9)


def test_too_many_states_are_refused():
    class Long(Nim):
        stones = 50

    with pytest.raises(ValueError, match="env has more than 10 states; raise most_states"):
        from_pettingzoo(Long(), gamma=0.9, most_states=10)
