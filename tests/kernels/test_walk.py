import os

import naive
import numpy as np
import pytest
from drawn import random_policies

from malfl.kernels.alias import fill_slots
from malfl.kernels.walk import WARM_UP, begin, draw, fill_words
from malfl.play.player import Player, bits_for


def table(row):
    """An alias table and its bits."""
    bits = bits_for(len(row))
    slots = np.empty(1 << bits, dtype=np.uint64)
    fill_slots(np.array([row], dtype=float), bits, slots)
    return slots, bits


def begun(keys, first, episodes, start=(1.0,), bits=0):
    """The streams of some episodes and where these start."""
    lanes = np.empty((3, episodes), dtype=np.uint64)
    bases = np.empty(episodes, dtype=np.uint64)
    begin(np.array(keys, dtype=np.uint64), first, *table(start), bits, lanes, bases)
    return lanes, bases


def words_of(keys, first, episodes, n):
    """The first words (n, episodes) that serve steps."""
    lanes, _ = begun(keys, first, episodes)
    words = np.empty((n, episodes), dtype=np.uint64)
    fill_words(lanes, WARM_UP + 2, words)
    return words


@pytest.mark.parametrize("row", [[1.0], [0.3, 0.7], [0.1, 0.0, 0.6, 0.3, 0.0], [0.04] * 25])
def test_draws_are_the_oracles_at_every_threshold(row):
    slots, bits = table(row)
    one, words = np.uint64(1 << bits), 2 ** (64 - bits)
    for k in range(len(slots)):
        leaving = (int(slots[k]) - k * words) % 2**64
        for rest in (0, 1, leaving - 1, leaving, leaving + 1, words // 2, words - 1):
            word = k * words + min(max(rest, 0), words - 1)
            outcome = draw(np.uint64(word), slots, np.uint64(0), np.uint64(bits))
            assert outcome == naive.look_up(word, slots, bits)
            assert row[int(outcome)] > 0
            shifted = np.concatenate([np.zeros(one, dtype=np.uint64), slots])
            assert draw(np.uint64(word), shifted, one, np.uint64(bits)) == outcome + one


def test_words_are_those_of_numpys_sfc64():
    rng = np.random.default_rng(0)
    lanes = rng.integers(2**64, size=(3, 4), dtype=np.uint64)
    numpys = [np.random.SFC64() for _ in range(4)]
    for lane, generator in enumerate(numpys):
        state = generator.state
        state["state"]["state"] = np.array([*lanes[:, lane], 2**40 - 5], dtype=np.uint64)
        generator.state = state
    words = np.empty((20, 4), dtype=np.uint64)
    fill_words(lanes, 2**40 - 5, words[:7])
    fill_words(lanes, 2**40 + 2, words[7:])
    expected = np.array([generator.random_raw(20) for generator in numpys]).T
    np.testing.assert_array_equal(words, expected)


def test_streams_are_numbered_by_episode():
    keys = [2**64 - 1, 12345]
    start = (0.2, 0.0, 0.5, 0.3, 0.0)
    _, bases = begun(keys, 40, 50, start, bits=3)
    words = words_of(keys, 40, 50, 9)
    for lane in range(50):
        theirs = naive.stream(keys, 40 + lane)
        assert bases[lane] == naive.look_up(theirs.random_raw(), *table(start)) << 3
        np.testing.assert_array_equal(words[:, lane], theirs.random_raw(9))


def test_a_seed_makes_the_stream_that_numpy_makes_of_it():
    seed = np.random.SeedSequence(5)
    a, b, c = (int(word) for word in seed.generate_state(3, np.uint64))
    ours, numpys = naive.stream([a, b], c), np.random.SFC64(seed)
    np.testing.assert_array_equal(ours.random_raw(5), numpys.random_raw(5))


def test_streams_share_no_words():
    words = [words_of(keys, 0, 300, 6) for keys in ([1, 2], [1, 3], [2, 2], [2, 1])]
    assert len(np.unique(words)) == np.size(words)


@pytest.mark.parametrize("jointly", [True, False])
def test_same_draws_give_the_oracles_steps(monkeypatch, game, policies, jointly):
    if not jointly:
        monkeypatch.setattr("malfl.play.player.JOINT_SLOTS", 0)
    monkeypatch.setattr("malfl.play.player.WORDS", 32)
    player = Player(game)
    assert player.jointly == (jointly or game.n_agents == 1)
    states, actions, ahead = naive.play(
        game, policies, 4, 25, np.random.default_rng(3), table, player.jointly
    )
    (block,) = player.play(policies, 4, 25, np.random.default_rng(3))
    bits = bits_for(game.n_joint_actions)
    taken = states[:, :-1] << bits | actions
    np.testing.assert_array_equal(block.codes, taken | (states[:, 1:] << bits | ahead) << 32)
    np.testing.assert_array_equal(block.reached, states[:, -1] << bits)
    assert (block.steps, block.episode, block.step) == (25, 0, 0)


@pytest.mark.parametrize("jointly", [True, False])
def test_counts_are_those_of_the_steps(monkeypatch, game, policies, jointly):
    if not jointly:
        monkeypatch.setattr("malfl.play.player.JOINT_SLOTS", 0)
    monkeypatch.setattr("malfl.play.player.CALL_STEPS", 60)
    monkeypatch.setattr("malfl.play.player.LANES", (3, 5))
    player = Player(game)
    counts = np.ones((game.n_states, game.n_joint_actions), dtype=np.int64)
    done = []
    monkeypatch.setattr("malfl.progress.advance", done.append)
    player.count(policies, 8, 25, np.random.default_rng(3), counts)
    assert sum(done) == 200
    assert len(done) > 2
    expected = np.zeros((game.n_states, 1 << player.bits), dtype=np.int64)
    for block in player.play(policies, 8, 25, np.random.default_rng(3)):
        np.add.at(expected.ravel(), block.codes & np.uint64(2**32 - 1), 1)
    np.testing.assert_array_equal(counts - 1, expected[:, : game.n_joint_actions])
    assert expected.sum() == 200


def test_certain_actions_are_always_taken(game):
    rng = np.random.default_rng(0)
    certain = tuple(np.eye(n)[rng.integers(n, size=game.n_states)] for n in game.actions)
    likely = random_policies(game.actions, game.n_states, rng)
    player = Player(game)
    for policies in (certain, (certain[0], *likely[1:])):
        joint = np.array(
            [
                [naive.probability(policies, s, a) for a in naive.joint_actions(game.actions)]
                for s in range(game.n_states)
            ]
        )
        padded = np.pad(joint, [(0, 0), (0, (1 << player.bits) - game.n_joint_actions)]).ravel()
        (block,) = player.play(policies, 3, 30, rng)
        assert (padded[block.codes & np.uint64(2**32 - 1)] > 0).all()
        assert (padded[block.codes >> np.uint64(32)] > 0).all()


def test_the_compiler_is_on_or_off_as_asked():
    assert hasattr(draw, "py_func") == (os.environ.get("NUMBA_DISABLE_JIT") != "1")
