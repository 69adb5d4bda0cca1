from dataclasses import replace

import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.special import log_softmax, softmax

import malfl
from malfl import Replay, SoftPolicyIteration, Structural
from malfl.recovery import (
    NothingToLearnError,
    estimate_policies,
    identified_error,
    limit_from_counts,
    limit_with_episodes,
)
from malfl.recovery.classes import Space
from malfl.recovery.logit import information_at
from malfl.recovery.replay import Replayed
from malfl.recovery.reward import NoFit, RecoveredReward
from malfl.recovery.shown import identified_part
from malfl.recovery.structural import learned_logits, structural_logits

ALPHA, BETA = 0.7, 0.1
LIMITS = [limit_with_episodes, limit_from_counts]


def learned(seed=0, episodes=100, states=6, actions=(3, 2)):
    """A game, and what agent 1 saw of agent 0, whose reward is of the state."""
    rng = np.random.default_rng(seed)
    game = random_game(rng, actions, states, state_rewards=True)
    log = malfl.learn(
        game, SoftPolicyIteration(beta=BETA), alpha=ALPHA, iterations=5, episodes=episodes,
        steps=30, record=True, seed=seed,
    )  # fmt: skip
    return game, log.seen_by(1)


@pytest.fixture(scope="module")
def seen():
    return learned()


def of_a_game(actions):
    """Logits with a part of the actions unknown, counts, and a reward."""
    rng = np.random.default_rng(2)
    game = random_game(rng, actions, states=4, state_rewards=True)
    each = [random_policies(actions, 4, rng) for _ in range(3)]
    policies = tuple(np.array(agent) for agent in zip(*each, strict=True))
    logits = structural_logits(game, policies, 0, ALPHA)
    return logits, rng.integers(1, 9, size=logits.constants.shape) * 1.0, game.rewards[0]


def test_the_information_is_the_expected_square_of_the_score():
    logits, counts, reward = of_a_game((3, 2))
    logits.known[1, 2, 0] = False
    counts[1, 2, 0] = 0

    def log_odds(reward):
        worth = logits.slopes @ reward + logits.constants
        return log_softmax(np.where(logits.known, worth, -np.inf), axis=-1)

    step, slow = 1e-5, np.zeros((4, 4))
    moved = [step * unit for unit in np.eye(4)]
    with np.errstate(invalid="ignore"):
        scores = np.array([log_odds(reward + m) - log_odds(reward - m) for m in moved]) / 2 / step
    for h, s, a in np.argwhere(logits.known):
        chance, score = np.exp(log_odds(reward))[h, s, a], scores[:, h, s, a]
        slow += counts[h, s].sum() * chance * np.outer(score, score)
    found = information_at(logits, counts, ALPHA, reward)
    np.testing.assert_allclose(found, slow, atol=1e-7 * np.abs(slow).max())


def test_errors_of_two_actions_add_to_the_variance_of_their_difference():
    logits, counts, reward = of_a_game((2, 2))
    logits = replace(logits, variances=np.random.default_rng(0).uniform(0, 1, counts.shape))
    apart = logits.slopes[..., 0, :] - logits.slopes[..., 1, :]
    chances = softmax(logits.slopes @ reward + logits.constants, axis=-1)
    variance = 1 / (counts.sum(axis=-1) * chances.prod(axis=-1)) + logits.variances.sum(axis=-1)
    slow = np.einsum("hsk,hsl,hs->kl", apart, apart, 1 / variance)
    np.testing.assert_allclose(information_at(logits, counts, ALPHA, reward), slow, rtol=1e-9)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_is_the_mean_variance_of_what_is_shown(seen, limit):
    game, view = seen
    true, policies = game.rewards[0], estimate_policies(view)
    if limit is limit_from_counts:
        logits = learned_logits(view, 0, policies, BETA, true)
    else:
        given = {"beta": BETA, "executed": False, "space": Space("state", true.size)}
        replayed = Replayed(view, 0, policies[0], rough=true, **given)
        logits = replayed.logits(4)
    assert (logits.variances > 0).any()
    information = information_at(logits, view.own_counts(0)[1:], ALPHA, true)
    factor = np.linalg.cholesky(np.linalg.inv(information + np.eye(6) / np.var(true)))
    parts = [identified_part(column, view.dynamics, 0, "state") for column in factor.T]
    slow = np.sqrt(np.square(parts).sum() / 6)
    assert limit(view, of=0, reward=true, beta=BETA) == pytest.approx(slow, rel=1e-6)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_has_the_unit_of_the_reward(seen, limit):
    """As many times as large with rewards and alpha, which leave policies what they are."""
    game, view = seen
    one = limit(view, of=0, reward=game.rewards[0], beta=BETA)
    scaled = replace(view, alpha=10 * ALPHA)
    assert limit(scaled, of=0, reward=10 * game.rewards[0], beta=BETA) == pytest.approx(10 * one)


def test_a_limit_falls_with_more_episodes_and_is_lower_if_they_are_seen():
    game, little = learned(episodes=3)
    _, more = learned(episodes=30)
    _, most = learned(episodes=3000)
    given = {"of": 0, "reward": game.rewards[0], "beta": BETA}
    with_episodes = [limit_with_episodes(view, **given) for view in (little, more, most)]
    from_counts = [limit_from_counts(view, **given) for view in (little, more, most)]
    assert 0 < with_episodes[2] < 0.5 * with_episodes[1] < 0.4 * with_episodes[0]
    assert from_counts[2] < from_counts[1] < from_counts[0] < game.rewards[0].std()
    assert all(np.array(with_episodes) < from_counts)


def test_estimators_reach_the_limits_over_many_games():
    errors = []
    for seed in range(20):
        game, view = learned(seed)
        true = game.rewards[0]
        for by, limit in zip([Replay(BETA), Structural(BETA)], LIMITS, strict=True):
            found = malfl.recover(view, of=0, by=by, unvisited="omit")
            errors.append(identified_error(found, true, view.dynamics, 0))
            errors.append(limit(view, of=0, reward=true, beta=BETA))
    replay, episodes, structural, counts = np.sqrt(np.square(errors).reshape(20, 4).mean(axis=0))
    assert 0.85 < replay / episodes < 1.2
    assert 0.85 < structural / counts < 1.2


@pytest.mark.parametrize("limit", LIMITS)
def test_the_shape_of_the_reward_says_its_class(seen, limit):
    """A reward of the state alone is known better, on average over its entries."""
    game, view = seen
    state = game.rewards[0]
    wider = [state, np.repeat(state[:, None], 3, axis=1), np.repeat(state[:, None], 6, axis=1)]
    limits = [limit(view, of=0, reward=reward, beta=BETA) for reward in wider]
    assert limits[0] < limits[1]
    assert np.isfinite(limits).all()
    assert limits[1] != limits[2]


def test_the_error_is_of_what_improvements_show(seen):
    game, view = seen
    true = np.array(game.rewards[0])
    off = identified_part(np.arange(6.0), view.dynamics, 0, "state")

    def error(values):
        return identified_error(RecoveredReward(values, "state", NoFit()), true, view.dynamics, 0)

    assert error(true + 7) == pytest.approx(0, abs=1e-9)
    assert error(true + off + 7) == pytest.approx(np.sqrt((off**2).mean()))
    unknown = np.where(np.arange(6) == 2, np.nan, true)
    assert error(unknown) == pytest.approx(error(np.nan_to_num(unknown)))
    assert error(unknown) > 0


@pytest.mark.parametrize("limit", LIMITS)
def test_refusals(seen, limit):
    game, view = seen
    true = game.rewards[0]
    with pytest.raises(ValueError, match=r"reward must have shape \(6,\), \(6, 3\) or \(6, 6\)"):
        limit(view, of=0, reward=true[:4], beta=BETA)
    with pytest.raises(ValueError, match="reward must differ between entries"):
        limit(view, of=0, reward=np.ones(6), beta=BETA)
    with pytest.raises(ValueError, match="beta"):
        limit(view, of=0, reward=true, beta=0)
    with pytest.raises(ValueError, match="another agent than the observer"):
        limit(view, of=1, reward=true, beta=BETA)
    with pytest.raises(TypeError, match="view must be"):
        limit(game, of=0, reward=true, beta=BETA)
    with pytest.raises(NothingToLearnError):
        limit(view.first(1), of=0, reward=true, beta=BETA)


def test_refusals_of_their_own(seen):
    game, view = seen
    true = game.rewards[0]
    with pytest.raises(ValueError, match="no episodes to replay"):
        limit_with_episodes(replace(view, episodes=None), of=0, reward=true, beta=BETA)
    found = RecoveredReward(true, "state", NoFit())
    with pytest.raises(ValueError, match=r"truth must have shape \(6,\), got \(5,\)"):
        identified_error(found, true[:5], view.dynamics, 0)
    with pytest.raises(TypeError, match="found must be"):
        identified_error(true, true, view.dynamics, 0)
