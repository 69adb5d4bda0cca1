import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl.learners.evaluation import TemporalDifferences
from malfl.play import Player

ALPHA, BETA = 0.7, 0.3


def evaluate(game, policies, executed, episodes=3, steps=40):
    """The values and counts, and the oracle's trajectories of the same steps."""
    player = Player(game)
    learned = TemporalDifferences(game, policies, player, alpha=ALPHA, beta=BETA, executed=executed)
    played = []
    for block in player.play(policies, episodes, steps, np.random.default_rng(1)):
        learned.update(block)
        last = block.codes[:, block.steps - 1 : block.steps] >> np.uint64(32)
        codes = np.concatenate([block.codes[:, : block.steps] & np.uint64(2**32 - 1), last], axis=1)
        ahead = block.codes[:, : block.steps] >> np.uint64(32)
        played.append((codes.astype(int), ahead.astype(int)))
    codes, ahead = (np.concatenate(parts) for parts in zip(*played, strict=True))
    states, actions = np.divmod(codes, 1 << player.bits)
    return learned, states, actions[:, :-1], ahead % (1 << player.bits)


@pytest.mark.parametrize("executed", [False, True])
def test_same_steps_give_the_oracles_values_and_counts(game, policies, executed):
    learned, states, actions, ahead = evaluate(game, policies, executed)
    assert states.shape == (3, 41)
    np.testing.assert_array_equal(learned.counts, naive.joint_counts(game, states, actions))
    for agent, q in enumerate(learned.q):
        theirs = naive.soft_td(game, policies, agent, ALPHA, BETA, states, actions, ahead, executed)
        np.testing.assert_allclose(q, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("state_rewards", [False, True])
def test_actions_of_probability_zero_have_no_part(executed, state_rewards):
    rng = np.random.default_rng(0)
    game = random_game(rng, actions=(3, 2), state_rewards=state_rewards)
    policies = tuple(policy.copy() for policy in random_policies(game.actions, 4, rng))
    policies[0][:, 1] = 0
    policies[1][2] = [1, 0]
    policies[0][:] /= policies[0].sum(axis=1, keepdims=True)
    learned, states, actions, ahead = evaluate(game, policies, executed)
    for agent, q in enumerate(learned.q):
        theirs = naive.soft_td(game, policies, agent, ALPHA, BETA, states, actions, ahead, executed)
        np.testing.assert_allclose(q, theirs, rtol=0, atol=1e-12)
    assert not learned.q[0][:, 1].any()


def test_the_variants_differ(game, policies):
    drawn, executed = (evaluate(game, policies, flag)[0].q[0] for flag in (False, True))
    assert np.abs(drawn - executed).max() > 1e-3


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("block_steps", [1, 7, 39])
def test_long_episodes_in_pieces_give_the_same(monkeypatch, game, policies, executed, block_steps):
    whole = evaluate(game, policies, executed)[0]
    monkeypatch.setattr("malfl.play.BLOCK_STEPS", block_steps)
    player = Player(game)
    pieces = TemporalDifferences(game, policies, player, alpha=ALPHA, beta=BETA, executed=executed)
    for block in player.play(policies, 3, 40, np.random.default_rng(1)):
        pieces.update(block)
    np.testing.assert_array_equal(pieces.counts, whole.counts)
    for ours, theirs in zip(pieces.q, whole.q, strict=True):
        np.testing.assert_array_equal(ours, theirs)
