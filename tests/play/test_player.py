from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.stats import chi2

from malfl import Dynamics
from malfl.kernels.alias import fill_slots
from malfl.kernels.walk import WARM_UP, begin, fill_words
from malfl.play.player import Player, bits_for

LOW = np.uint64(2**32 - 1)


def words_of(keys, episodes, n):
    """The first words (n, episodes) that serve the steps of so many episodes."""
    start = np.empty(4, dtype=np.uint64)
    fill_slots(np.ones((1, 1)), 2, start)
    lanes = np.empty((3, episodes), dtype=np.uint64)
    begin(np.asarray(keys), 0, start, 2, 0, lanes, np.empty(episodes, dtype=np.uint64))
    words = np.empty((n, episodes), dtype=np.uint64)
    fill_words(lanes, WARM_UP + 2, words)
    return words


def seeds(n):
    return [np.random.default_rng(s).integers(2**64, size=2, dtype=np.uint64) for s in range(n)]


def bits_of(words):
    return np.unpackbits(words.view(np.uint8)).reshape(*words.shape, 64)


def improbable(table):
    """Whether rows and columns of a table of counts seem to depend on each other."""
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = ((table - expected) ** 2 / expected).sum()
    return chi2.sf(statistic, (table.shape[0] - 1) * (table.shape[1] - 1)) < 1e-4


def test_no_two_episodes_share_a_word():
    rng = np.random.default_rng(0)
    iterations = [rng.integers(2**64, size=2, dtype=np.uint64) for _ in range(3)]
    words = [words_of(keys, 20000, 4) for keys in iterations + seeds(4)[1:]]
    assert len(np.unique(words)) == np.size(words)


def test_streams_of_neighbours_have_nothing_in_common():
    one, two = seeds(2)
    episodes, others = words_of(one, 20001, 3), words_of(two, 20001, 3)
    near = np.array([one[0], one[1] + np.uint64(1)])
    pairs = {
        "episodes": (episodes[:, :-1], episodes[:, 1:]),
        "seeds": (episodes, others),
        "keys that differ by one": (episodes, words_of(near, 20001, 3)),
        "steps": (episodes[:-1], episodes[1:]),
        "halves": (episodes, episodes << np.uint64(32) | episodes >> np.uint64(32)),
    }
    for name, (left, right) in pairs.items():
        same = bits_of(left ^ right).mean(axis=1)  # by word and bit
        assert np.abs(same - 0.5).max() < 5 * 0.5 / np.sqrt(20000), name
        x, y = left.ravel() / 2.0**64 - 0.5, right.ravel() / 2.0**64 - 0.5
        assert abs((x * y).mean()) * 12 * np.sqrt(x.size) < 4, name
        digits = (16 * x + 8).astype(int) * 16 + (16 * y + 8).astype(int)
        assert not improbable(np.bincount(digits, minlength=256).reshape(16, 16)), name


def test_all_bits_are_even():
    bits = bits_of(words_of(seeds(1)[0], 20000, 3))
    assert np.abs(bits.mean(axis=1) - 0.5).max() < 5 * 0.5 / np.sqrt(20000)


@pytest.mark.parametrize("jointly", [True, False])
@pytest.mark.parametrize("actions", [(2,), (3,), (2, 3), (3, 1, 2), (25,)])
def test_actions_taken_drawn_ahead_and_taken_next_are_independent(monkeypatch, jointly, actions):
    if not jointly:
        monkeypatch.setattr("malfl.play.player.JOINT_SLOTS", 0)
    joint = int(np.prod(actions))
    dynamics = Dynamics(actions=actions, transitions=np.zeros((1, joint), int), start=0, gamma=0.5)
    policies = random_policies(actions, 1, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    blocks = [block.codes.copy() for block in Player(dynamics).play(policies, 3000, 100, rng)]
    codes = np.concatenate(blocks)
    taken, ahead = (codes & LOW).astype(int), (codes >> np.uint64(32)).astype(int)
    assert codes.shape == (3000, 100)
    drawn = taken[:, :-1], ahead[:, :-1], taken[:, 1:]
    for left, right in combinations(drawn, 2):
        table = np.bincount((left * joint + right).ravel(), minlength=joint**2)
        assert not improbable(table.reshape(joint, joint))
    expected = np.ones(1)
    for policy in policies:
        expected = np.outer(expected, policy[0]).ravel()
    for shown in (taken, ahead):
        shares = np.bincount(shown.ravel(), minlength=joint) / shown.size
        z = (shares - expected) / np.sqrt(expected * (1 - expected) / shown.size)
        assert np.abs(z).max() < 4.5


def test_next_states_do_not_depend_on_what_is_drawn_ahead():
    transitions = np.full((1, 2, 2), 0.5).repeat(2, axis=0)
    dynamics = Dynamics(actions=(2,), transitions=transitions, start=0, gamma=0.5)
    player = Player(dynamics)
    policies = dynamics.uniform_policies()
    blocks = [b.codes.copy() for b in player.play(policies, 3000, 50, np.random.default_rng(0))]
    codes = np.concatenate(blocks)
    states, taken = np.divmod((codes & LOW).astype(int), 1 << player.bits)
    reached, ahead = np.divmod((codes >> np.uint64(32)).astype(int), 1 << player.bits)
    for left, right in combinations((states, taken, reached, ahead), 2):
        assert not improbable(
            np.bincount((left * 2 + right)[:, 1:].ravel(), minlength=4).reshape(2, 2)
        )


@pytest.mark.parametrize(
    ("name", "value", "blocks"),
    [
        ("LANES", (3, 7), 3),
        ("CALL_STEPS", 8 * 25, 3),
        ("BLOCK_STEPS", 50, 10),
        ("BLOCK_STEPS", 20, 40),
        ("BLOCK_STEPS", 1, 500),
        ("WORDS", 7, 1),
        ("WORDS", 1, 1),
    ],
)
def test_blocks_do_not_change_the_episodes(monkeypatch, game, policies, name, value, blocks):
    def play():
        states, n = np.full((20, 25), -1), 0
        for block in Player(game).play(policies, 20, 25, np.random.default_rng(2)):
            lanes = slice(block.episode, block.episode + len(block.codes))
            steps = slice(block.step, block.step + block.steps)
            assert (states[lanes, steps] == -1).all()
            states[lanes, steps] = block.codes[:, : block.steps]
            n += 1
        return n, states

    _, whole = play()
    if name == "CALL_STEPS":
        monkeypatch.setattr("malfl.play.player.LANES", (1, 4096))
    monkeypatch.setattr(f"malfl.play.player.{name}", value)
    n, parts = play()
    assert n == blocks
    assert (parts >= 0).all()
    np.testing.assert_array_equal(parts, whole)


def test_joint_tables_and_those_of_agents_give_the_same_distribution(monkeypatch):
    game = random_game(np.random.default_rng(0), actions=(2, 3, 2), states=3)
    policies = random_policies(game.actions, 3, np.random.default_rng(1))
    counts = np.zeros((2, 3, 12), dtype=np.int64)
    for k, slots in enumerate((2**22, 0)):
        monkeypatch.setattr("malfl.play.player.JOINT_SLOTS", slots)
        player = Player(game)
        assert player.jointly == (k == 0)
        player.count(policies, 5000, 100, np.random.default_rng(k), counts[k])
    for s in range(3):
        assert not improbable(counts[:, s])


def test_tables_serve_any_number_of_policies(game, policies):
    player = Player(game)
    for k in range(3):
        others = random_policies(game.actions, game.n_states, np.random.default_rng(k))
        ours, theirs = (
            next(p.play(others, 3, 9, np.random.default_rng(0))).codes
            for p in (player, Player(game))
        )
        np.testing.assert_array_equal(ours, theirs)


def test_bits_hold_the_outcomes():
    assert [bits_for(n) for n in (1, 2, 4, 5, 8, 9, 1024, 1025)] == [2, 2, 2, 3, 3, 4, 10, 11]


def test_games_too_large_to_pack_are_refused(monkeypatch):
    game = random_game(np.random.default_rng(0))
    monkeypatch.setattr("malfl.play.player.CODES", 4 << 3)
    Player(game)
    monkeypatch.setattr("malfl.play.player.CODES", (4 << 3) - 1)
    message = r"4 states and 6 joint actions do not fit .* 4 << 3 .* 2 \*\* 32; sample_counts"
    with pytest.raises(ValueError, match=message):
        Player(game)


@pytest.mark.parametrize("stochastic", [True, False])
def test_tables_without_room_are_refused(monkeypatch, stochastic):
    game = random_game(np.random.default_rng(0), stochastic=stochastic)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=300))
    with pytest.raises(MemoryError, match=r"tables of 4 states and 6 joint actions would need"):
        Player(game)
