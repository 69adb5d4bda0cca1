from dataclasses import replace
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl import learn
from malfl.estimation import PolicyEstimates
from malfl.recovery import learner_models
from malfl.recovery.course import MODELS, model_of

ALPHA, BETA, ITERATIONS = 0.7, 0.3, 4
PLAYERS = [(3,), (2, 3), (3, 2), (2, 1, 3)]


def logged(learner, actions, agent, stochastic=True, gamma=0.8, initial=None):
    """One agent learns as it is told, and the others do something else."""
    game = random_game(
        np.random.default_rng(3), actions, 5, stochastic, state_rewards=True, gamma=gamma
    )
    learners = ["random improvements"] * len(actions)
    learners[agent] = learner
    return learn(
        game, learners, alpha=ALPHA, beta=BETA, evaluation="exact", iterations=ITERATIONS,
        episodes=5, steps=30, initial=initial, record=True, seed=1,
    )  # fmt: skip


def true_policies(log):
    """What is known of them to somebody who knows it all."""
    return PolicyEstimates(tuple(p[:-1] for p in log.policies), log.counts.sum(axis=2))


def modelled(learner, log, agent, estimates=None, alpha=ALPHA):
    seen = replace(log.observed_by(None), alpha=alpha)
    return model_of(learner, seen, agent, estimates or true_policies(log), BETA)


@pytest.mark.parametrize("learner", MODELS)
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


@pytest.mark.parametrize("learner", MODELS)
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


@pytest.mark.parametrize("learner", MODELS)
def test_no_reward_leaves_a_trace_in_a_model(learner):
    log = logged(learner, (2, 3), 1)
    model, rng = modelled(learner, log, 1), np.random.default_rng(0)
    one, two = rng.normal(size=(2, 5))
    logits, slopes = (part.copy() for part in model(one))
    model(two)
    again = model(one)
    np.testing.assert_array_equal(logits, again[0])
    np.testing.assert_array_equal(slopes, again[1])


@pytest.mark.parametrize("learner", MODELS)
def test_rewards_count_in_units_of_alpha(learner):
    log, reward = logged(learner, (2, 3), 1), np.random.default_rng(0).normal(size=5)
    once, twice = (
        modelled(learner, log, 1, alpha=times * ALPHA)(times * reward) for times in (1, 2)
    )
    np.testing.assert_allclose(twice[0], once[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(2 * twice[1], once[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("learner", MODELS)
@pytest.mark.parametrize("actions", [(3,), (2, 3), (3, 2)])
def test_where_a_policy_is_unknown_it_is_taken_to_be_uniform(learner, actions):
    agent = len(actions) - 1
    log = logged(learner, actions, agent)
    unknown, uniform = ([p[:-1].copy() for p in log.policies] for _ in range(2))
    for gaps, filled in zip(unknown, uniform, strict=True):
        for h, s in ((0, 3), (2, 1)):
            gaps[h, s], filled[h, s] = np.nan, 1 / gaps.shape[2]
    visits = log.counts.sum(axis=2)
    found, expected = (
        modelled(learner, log, agent, PolicyEstimates(tuple(p), visits))(log.game.rewards[agent])
        for p in (unknown, uniform)
    )
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_of_an_agents_own_policies_only_the_first_is_used():
    """And that by soft policy iteration alone."""
    rng = np.random.default_rng(0)
    for learner in MODELS:
        log = logged(learner, (2, 3), 1)
        reward, visits = log.game.rewards[1], log.counts.sum(axis=2)
        later, first = ([p[:-1].copy() for p in log.policies] for _ in range(2))
        later[1][1:] = random_policies((3,), 5, rng)[0]
        first[1][0] = random_policies((3,), 5, rng)[0]
        expected = modelled(learner, log, 1)(reward)[0]
        found = modelled(learner, log, 1, PolicyEstimates(tuple(later), visits))(reward)[0]
        np.testing.assert_array_equal(found, expected)
        other = modelled(learner, log, 1, PolicyEstimates(tuple(first), visits))(reward)[0]
        differs = np.abs(other - expected).max() > 1e-3
        assert differs == (learner == "soft policy iteration")


def test_a_first_policy_may_be_certain():
    certain = np.tile([0.0, 1.0, 0.0], (5, 1))
    log = logged("soft policy iteration", (3,), 0, initial=[certain])
    model, reward = modelled("soft policy iteration", log, 0), log.game.rewards[0]
    logits, slopes = model(reward)
    np.testing.assert_allclose(logits, log.q[0][:-1] / ALPHA, rtol=0, atol=1e-10)
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("learner", MODELS)
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
        moves = learner_models.reach(game, both, agent)
        for h, now in enumerate((policies, later)):
            np.testing.assert_allclose(moves[h], naive.faced(game, now, agent), atol=1e-12)


def test_too_large_a_game_is_refused(monkeypatch):
    game = random_game(np.random.default_rng(0))
    policies = [
        np.array([policy] * 3) for policy in random_policies((2, 3), 4, np.random.default_rng(0))
    ]
    free = 8 * 3 * 4 * 3 * 4 - 1  # not enough for the second agent
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free))
    learner_models.reach(game, policies, 0)
    with pytest.raises(MemoryError, match="transitions would need"):
        learner_models.reach(game, policies, 1)
