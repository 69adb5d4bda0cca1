import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl import Episodes
from malfl.learners.temporal_differences import TemporalDifferences, along_steps
from malfl.play.player import Player

ALPHA, BETA = 0.7, 0.3


def learning(game, policies, player, executed, agents=None):
    """Of steps as a player makes them; by default of all agents."""
    return TemporalDifferences(
        game,
        policies,
        range(game.n_agents) if agents is None else agents,
        player.own_pairs,
        player.by_code,
        alpha=ALPHA,
        beta=BETA,
        executed=executed,
    )


def evaluate(game, policies, executed, episodes=3, steps=40):
    """The values and counts, and the oracle's episodes of the same steps."""
    player = Player(game)
    learned = learning(game, policies, player, executed)
    played = []
    for block in player.play(policies, episodes, steps, np.random.default_rng(1)):
        learned.update(block.codes, block.steps)
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
    monkeypatch.setattr("malfl.play.player.BLOCK_STEPS", block_steps)
    player = Player(game)
    pieces = learning(game, policies, player, executed)
    for block in player.play(policies, 3, 40, np.random.default_rng(1)):
        pieces.update(block.codes, block.steps)
    np.testing.assert_array_equal(pieces.counts, whole.counts)
    for ours, theirs in zip(pieces.q, whole.q, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def ragged(game, lengths, rng):
    """Episodes of these lengths, whatever the rules, and joint actions drawn ahead."""
    states = [rng.integers(game.n_states, size=n + 1) for n in lengths]
    actions, ahead = (
        [rng.integers(game.n_joint_actions, size=n) for n in lengths] for _ in range(2)
    )
    return states, actions, ahead


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("lengths", [(40,) * 3, (1, 30, 7, 1, 2, 19)])
def test_episodes_that_are_over_give_the_oracles_values(game, policies, executed, lengths):
    states, actions, ahead = ragged(game, lengths, np.random.default_rng(4))
    played = Episodes.from_lists(
        states, actions, n_states=game.n_states, n_joint_actions=game.n_joint_actions
    )
    drawn = np.concatenate(
        [s[1:] * game.n_joint_actions + a for s, a in zip(states, ahead, strict=True)]
    )
    given = {"alpha": ALPHA, "beta": BETA, "executed": executed}
    for agent in range(game.n_agents):
        q = along_steps(game, policies, agent, played, drawn.astype(np.uint32), **given)
        theirs = naive.soft_td(game, policies, agent, ALPHA, BETA, states, actions, ahead, executed)
        np.testing.assert_allclose(q, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("executed", [False, True])
def test_steps_teach_the_same_while_they_are_played_and_afterwards(game, policies, executed):
    learned, states, actions, ahead = evaluate(game, policies, executed)
    played = Episodes.from_lists(
        states, actions, n_states=game.n_states, n_joint_actions=game.n_joint_actions
    )
    drawn = states[:, 1:] * game.n_joint_actions + ahead
    given = {"alpha": ALPHA, "beta": BETA, "executed": executed}
    for agent, q in enumerate(learned.q):
        theirs = along_steps(
            game, policies, agent, played, drawn.ravel().astype(np.uint32), **given
        )
        np.testing.assert_array_equal(theirs, q)


@pytest.mark.parametrize("agents", [(1,), (2, 0), (1, 1)])
def test_some_agents_learn_what_they_would_with_all_others(agents):
    game = random_game(np.random.default_rng(7), actions=(2, 1, 3), states=3)
    policies = random_policies(game.actions, 3, np.random.default_rng(8))
    everyone = evaluate(game, policies, executed=False)[0]
    player = Player(game)
    some = learning(game, policies, player, False, agents)
    for block in player.play(policies, 3, 40, np.random.default_rng(1)):
        some.update(block.codes, block.steps)
    assert len(some.q) == len(agents)
    for agent, q in zip(agents, some.q, strict=True):
        np.testing.assert_array_equal(q, everyone.q[agent])
    np.testing.assert_array_equal(some.counts, everyone.counts)
