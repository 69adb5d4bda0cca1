from dataclasses import replace
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl import (
    Episodes,
    MarkovGame,
    QLearning,
    RandomImprovements,
    SoftPolicyIteration,
    SoftValueIteration,
    learn,
)
from malfl.recovery import learner_models
from malfl.recovery.path import model_of

ALPHA, BETA, ITERATIONS = 0.7, 0.3, 4
PLAYERS = [(3,), (2, 3), (3, 2), (2, 1, 3)]
ITERATING, BACKING_UP, WATKINS = MODELS = (
    SoftPolicyIteration(evaluation="exact"), SoftValueIteration(), QLearning(BETA)
)  # fmt: skip
any_learner = pytest.mark.parametrize("learner", MODELS, ids=lambda one: one.name)


def logged(learner, actions, agent, stochastic=True, gamma=0.8, initial=None):
    """One agent learns in some way, and the others do something else."""
    game = random_game(
        np.random.default_rng(3), actions, 5, stochastic, state_rewards=True, gamma=gamma
    )
    learners = [RandomImprovements()] * len(actions)
    learners[agent] = learner
    return learn(
        game, learners, alpha=ALPHA, iterations=ITERATIONS, episodes=5, steps=30,
        initial=initial, record=True, seed=1,
    )  # fmt: skip


def true_policies(log):
    """What is known of them to somebody who knows it all."""
    return [p[:-1].copy() for p in log.policies]


def modelled(learner, log, agent, policies=None, alpha=ALPHA, improvements=ITERATIONS - 1):
    view = replace(log.seen_by(None), alpha=alpha)
    return model_of(learner, view, agent, policies or true_policies(log), improvements)


@any_learner
@pytest.mark.parametrize("actions", PLAYERS)
@pytest.mark.parametrize(("stochastic", "gamma"), [(True, 0.8), (False, 0.95), (True, 0.0)])
def test_at_the_true_reward_they_are_what_was_learned(learner, actions, stochastic, gamma):
    """All but the last policy, which nobody saw at work; whatever policy came first."""
    for agent in range(len(actions)):
        initial = random_policies(actions, 5, np.random.default_rng(agent))
        log = logged(learner, actions, agent, stochastic, gamma, initial)
        logits, slopes = modelled(learner, log, agent)(log.game.rewards[agent])
        assert slopes.shape == (*logits.shape, 5)
        expected = log.q[agent][:-1] / ALPHA
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-10)


@any_learner
def test_fewer_improvements_are_the_first_ones(learner):
    log = logged(learner, (2, 3), 1)
    reward = log.game.rewards[1]
    whole = modelled(learner, log, 1, improvements=ITERATIONS)(reward)
    np.testing.assert_allclose(whole[0], log.q[1] / ALPHA, rtol=0, atol=1e-10)
    for number in (1, 2):
        part = modelled(learner, log, 1, improvements=number)(reward)
        np.testing.assert_array_equal(part[0], whole[0][:number])
        np.testing.assert_array_equal(part[1], whole[1][:number])


@any_learner
@pytest.mark.parametrize("actions", PLAYERS)
def test_slopes_are_what_logits_change_by(learner, actions):
    """At any reward, by differences either way."""
    agent, rng = len(actions) - 1, np.random.default_rng(5)
    initial = random_policies(actions, 5, rng)
    model = modelled(learner, logged(learner, actions, agent, initial=initial), agent)
    for reward in rng.normal(size=(3, 5)):
        _, slopes = model(reward)
        for z, step in enumerate(1e-5 * np.eye(5)):
            change = (model(reward + step)[0] - model(reward - step)[0]) / 2e-5
            np.testing.assert_allclose(slopes[..., z], change, rtol=0, atol=1e-7)


@any_learner
def test_no_reward_leaves_a_trace_in_a_model(learner):
    log = logged(learner, (2, 3), 1)
    model, rng = modelled(learner, log, 1), np.random.default_rng(0)
    one, two = rng.normal(size=(2, 5))
    logits, slopes = (part.copy() for part in model(one))
    model(two)
    again = model(one)
    np.testing.assert_array_equal(logits, again[0])
    np.testing.assert_array_equal(slopes, again[1])


@any_learner
def test_rewards_count_in_units_of_alpha(learner):
    log, reward = logged(learner, (2, 3), 1), np.random.default_rng(0).normal(size=5)
    once, twice = (
        modelled(learner, log, 1, alpha=times * ALPHA)(times * reward) for times in (1, 2)
    )
    np.testing.assert_allclose(twice[0], once[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(2 * twice[1], once[1], rtol=0, atol=1e-12)


@any_learner
@pytest.mark.parametrize("actions", [(3,), (2, 3), (3, 2)])
def test_an_unknown_policy_counts_as_the_last_one_known(learner, actions):
    """Or as uniform, if none was known before."""
    agent = len(actions) - 1
    log = logged(learner, actions, agent)
    unknown, filled = true_policies(log), true_policies(log)
    for gaps, full in zip(unknown, filled, strict=True):
        gaps[0, 3], full[0, 3] = np.nan, 1 / gaps.shape[2]
        gaps[2, 1], full[2, 1] = np.nan, full[1, 1]
    reward = log.game.rewards[agent]
    found, expected = (modelled(learner, log, agent, p)(reward) for p in (unknown, filled))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_of_an_agents_own_policies_only_the_first_is_used():
    """And that by soft policy iteration alone."""
    rng = np.random.default_rng(0)
    for learner in MODELS:
        log = logged(learner, (2, 3), 1)
        reward, later, first = log.game.rewards[1], true_policies(log), true_policies(log)
        later[1][1:] = random_policies((3,), 5, rng)[0]
        first[1][0] = random_policies((3,), 5, rng)[0]
        expected = modelled(learner, log, 1)(reward)[0]
        found = modelled(learner, log, 1, later)(reward)[0]
        np.testing.assert_array_equal(found, expected)
        other = modelled(learner, log, 1, first)(reward)[0]
        differs = np.abs(other - expected).max() > 1e-3
        assert differs == (learner == ITERATING)


def test_a_first_policy_may_be_certain():
    certain = np.tile([0.0, 1.0, 0.0], (5, 1))
    log = logged(ITERATING, (3,), 0, initial=[certain])
    model, reward = modelled(ITERATING, log, 0), log.game.rewards[0]
    logits, slopes = model(reward)
    np.testing.assert_allclose(logits, log.q[0][:-1] / ALPHA, rtol=0, atol=1e-10)
    assert np.isfinite(slopes).all()


@any_learner
def test_large_rewards_break_nothing(learner):
    """Whatever a search may try."""
    model = modelled(learner, logged(learner, (2, 3), 1), 1)
    for size in (1e3, 1e8):
        logits, slopes = model(size * np.random.default_rng(0).normal(size=5))
        assert np.isfinite(logits).all()
        assert np.isfinite(slopes).all()


def test_where_actions_lead_is_what_the_agent_faces(game, policies):
    later = random_policies(game.actions, game.n_states, np.random.default_rng(9))
    both = [np.array(pair) for pair in zip(policies, later, strict=True)]
    for agent in range(game.n_agents):
        moves = learner_models.face(game, both, agent).moves
        for h, now in enumerate((policies, later)):
            np.testing.assert_allclose(moves[h], naive.faced(game, now, agent), atol=1e-12)


def test_too_large_a_game_is_refused(monkeypatch):
    game = random_game(np.random.default_rng(0))
    policies = [
        np.array([policy] * 3) for policy in random_policies((2, 3), 4, np.random.default_rng(0))
    ]
    free = 8 * 3 * 4 * 3 * (4 + 4) - 1  # not enough for the second agent
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free))
    learner_models.face(game, policies, 0)
    with pytest.raises(MemoryError, match="transitions and slopes would need"):
        learner_models.face(game, policies, 1)


def replayed_by_hand(game, played, agent, reward):
    """Logits by the oracle, which learns anew in each iteration from where it was."""
    rewarded = MarkovGame(
        actions=game.actions, transitions=game.transitions, rewards=[reward] * game.n_agents,
        start=game.start, gamma=game.gamma,
    )  # fmt: skip
    q, logits = np.zeros((game.n_states, game.actions[agent])), []
    for part in played:
        q = naive.watkins(rewarded, agent, BETA, q, *zip(*part, strict=True))
        logits.append(q / ALPHA)
    return np.array(logits)


def ragged(rng, states=5, joint=6, lengths=(1, 40, 3, 7, 1, 2, 25)):
    """Episodes of different lengths, of moves that no rules are asked about."""
    return Episodes.from_lists(
        [rng.integers(states, size=length + 1) for length in lengths],
        [rng.integers(joint, size=length) for length in lengths],
        n_states=states, n_joint_actions=joint,
    )  # fmt: skip


@pytest.mark.parametrize("call_steps", [1, 10, 35, 2**15])
def test_q_learning_in_pieces_gives_the_same(monkeypatch, call_steps):
    rng = np.random.default_rng(2)
    game = random_game(rng, (2, 3), 5, state_rewards=True)
    played, reward = [ragged(rng), ragged(rng, lengths=(12,))], rng.normal(size=5)
    model = learner_models.q_learning(game, played, 1, ALPHA, BETA)
    whole = model(reward)
    np.testing.assert_allclose(
        whole[0], replayed_by_hand(game, played, 1, reward), rtol=0, atol=1e-12
    )
    pieces = []
    monkeypatch.setattr(learner_models, "CALL_STEPS", call_steps)
    monkeypatch.setattr("malfl.progress.advance", lambda steps=0: pieces.append(steps))
    cut = model(reward)
    np.testing.assert_array_equal(cut[0], whole[0])
    np.testing.assert_array_equal(cut[1], whole[1])
    assert len(pieces) == {1: 8, 10: 8, 35: 4, 2**15: 2}[call_steps]
