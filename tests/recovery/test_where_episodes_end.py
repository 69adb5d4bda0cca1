"""Rewards from games in which episodes end and not everything is legal."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from drawn import random_ending_game
from scipy.special import log_softmax

import malfl
from malfl import (
    PathLikelihood,
    QLearning,
    Replay,
    SoftPolicyIteration,
    SoftValueIteration,
    Structural,
)
from malfl.recovery.classes import earnable, earned_by_code, space_of
from malfl.recovery.path import model_of
from malfl.recovery.replay import Replayed
from malfl.recovery.shown import shown_directions

pytestmark = pytest.mark.filterwarnings("ignore::malfl.DoubtfulRewardWarning")
ALPHA = 0.7
EXACT, SARSA = SoftPolicyIteration(evaluation="exact"), SoftPolicyIteration(0.2, "sarsa")
CLASSES = ["state", "state-action", "joint-action"]


def game_of(reward_class, gamma=0.9, seed=4):
    rng = np.random.default_rng(seed)
    game = random_ending_game(rng, (3, 2), 8, gamma=gamma, state_rewards=True)
    if reward_class == "state":
        return game
    own = rng.normal(size=(8, 3))[:, game.own_actions[0]]
    joint = rng.normal(size=(8, 6))
    return game.with_rewards([own if reward_class == "state-action" else joint, game.rewards[1]])


def learned(game, learner, episodes=300, iterations=5):
    return malfl.learn(
        game, learner, alpha=ALPHA, iterations=iterations, episodes=episodes, steps=200,
        record=True, seed=1,
    )  # fmt: skip


def entries_of(game, reward_class):
    """The reward of agent 0, flat, in the entries of a class; 0 where none is ever received."""
    codes = earned_by_code(game, 0, reward_class)
    flat = np.zeros(codes.max() + 1)
    received = game.possible | (game.ends[:, None] & (np.arange(game.n_joint_actions) == 0))
    flat[codes[received.ravel()]] = game.joint_reward(0)[received]
    return flat


@pytest.mark.parametrize("gamma", [0.9, 1.0])
@pytest.mark.parametrize("reward_class", CLASSES)
@pytest.mark.parametrize("learner", [EXACT, SoftValueIteration(), QLearning(0.2)], ids=str)
def test_at_the_true_reward_a_path_is_what_was_learned(learner, reward_class, gamma):
    game = game_of(reward_class, gamma)
    log = learned(game, learner)
    model = model_of(learner, log.seen_by(None), 0, log.policies, 5, reward_class)
    logits, slopes = model(entries_of(game, reward_class))
    actual = np.array(log.policies[0])[1:]
    np.testing.assert_allclose(np.exp(log_softmax(logits, axis=-1)), actual, atol=1e-9)
    rng, step = np.random.default_rng(0), 1e-6
    legal = game.legal[0]
    for _ in range(5):
        way = rng.normal(size=slopes.shape[-1])
        there, _ = model(entries_of(game, reward_class) + step * way)
        change = ((there - logits) / step)[:, legal]
        np.testing.assert_allclose((slopes @ way)[:, legal], change, atol=1e-3)


@pytest.mark.parametrize("gamma", [0.9, 1.0])
@pytest.mark.parametrize("reward_class", CLASSES)
def test_at_the_true_reward_replay_is_what_was_learned(reward_class, gamma):
    game = game_of(reward_class, gamma)
    log = learned(game, SARSA)
    logits = replayed(game, log, True, reward_class, 4)
    found = logits.slopes @ entries_of(game, reward_class) + logits.constants
    legal = game.legal[0]
    # The last action of an episode is followed by none; here all episodes end.
    smoothed = malfl.estimate_policies(log.seen_by(None))
    for h in range(4):
        expected = log.q[0][h] / ALPHA
        np.testing.assert_allclose(found[h][legal], expected[legal], atol=1e-9)
        assert smoothed[0][h][~legal].sum() == 0
        assert not logits.known[h][~legal].any()


def replayed(game, log, executed, reward_class, improvements):
    """With the true policies in place of estimated ones."""
    view = log.seen_by(None)
    return Replayed(
        view, 0, np.array(log.policies[0]), beta=0.2, executed=executed,
        space=space_of(view.dynamics, 0, reward_class), rough=entries_of(game, reward_class),
    ).logits(improvements)  # fmt: skip


@pytest.mark.parametrize("reward_class", CLASSES)
@pytest.mark.parametrize("executed", [True, False])
def test_replayed_logits_are_the_oracles(executed, reward_class):
    game = game_of(reward_class)
    log = learned(game, SARSA, episodes=30, iterations=2)
    logits = replayed(game, log, executed, reward_class, 1)
    entries = earned_by_code(game, 0, reward_class).reshape(8, -1).tolist()
    states, actions = zip(*log.episodes[0], strict=True)
    given = game, log.policies[0][0], 0, ALPHA, 0.2
    slopes, constants = naive.replayed(*given, states, actions, executed, entries)
    np.testing.assert_allclose(ALPHA * logits.slopes[0], slopes, atol=1e-12)
    np.testing.assert_allclose(ALPHA * logits.constants[0], constants, atol=1e-12)
    reward = entries_of(game, reward_class)
    _, variance = naive.replay_errors(*given, reward, states, actions, executed, entries)
    np.testing.assert_allclose(ALPHA**2 * logits.variances[0], variance, atol=1e-12)


@pytest.mark.parametrize("gamma", [0.9, 1.0])
@pytest.mark.parametrize("reward_class", CLASSES)
def test_nothing_is_shown_of_what_is_never_received(reward_class, gamma):
    game = game_of("state", gamma).without_rewards()
    shown = shown_directions(game, 0, reward_class)
    never = ~earnable(game, 0, reward_class)
    np.testing.assert_allclose(shown[never], 0, atol=1e-8)
    assert never.any() == (reward_class != "state")
    assert shown.shape[1] > 0


RIGHT = [
    (EXACT, Structural(evaluation="exact")),
    (EXACT, PathLikelihood((EXACT,))),
    (SoftValueIteration(), PathLikelihood((SoftValueIteration(),))),
    (QLearning(0.2), PathLikelihood((QLearning(0.2),))),
    (SoftPolicyIteration(0.2), Replay(0.2)),
    (SARSA, Replay(0.2, True)),
    (SoftPolicyIteration(0.2), malfl.Auto()),
    (EXACT, malfl.Auto()),
]


@pytest.mark.parametrize("gamma", [0.9, 1.0])
@pytest.mark.parametrize("reward_class", ["state", "state-action"])
@pytest.mark.parametrize(("learner", "by"), RIGHT, ids=str)
def test_rewards_are_recovered(learner, by, reward_class, gamma):
    game = game_of(reward_class, gamma)
    log = learned(game, learner, episodes=4000, iterations=8)
    found = malfl.recover(log.seen_by(1), of=0, by=by)
    assert found.unvisited.size == 0
    compared = malfl.compare(found, game, 0)
    assert compared.identified > (0.97 if reward_class == "state" else 0.9)
    assert 0 <= compared.STARC < 0.5
    if reward_class == "state":
        assert np.isfinite(found.values).all()


def test_counts_alone_take_temporal_differences_into_account():
    game = game_of("state")
    log = learned(game, SoftPolicyIteration(0.05), episodes=4000, iterations=10)
    view = replace(log.seen_by(1), episodes=None)
    found = malfl.recover(view, of=0, by=Structural(0.05))
    assert malfl.compare(found, game, 0).identified > 0.95
    exact = malfl.recover(view, of=0, by=Structural(evaluation="exact"))
    assert found.diagnostics.evidence.log_likelihood > exact.diagnostics.evidence.log_likelihood


@pytest.mark.parametrize(
    "by", ["least squares", "evidence ridge", "adam", "last policy", "causal entropy"]
)
def test_the_papers_estimators_leave_out_what_is_not_legal(by):
    game = game_of("state")
    log = learned(game, EXACT, episodes=4000)
    found = malfl.recover(log.seen_by(1), of=0, by=by)
    assert np.isfinite(found.values).any()
    if by == "last policy":
        assert np.isnan(found.values[~game.legal[0]]).all()
    if by in ("least squares", "causal entropy"):
        assert malfl.compare(found, game, 0).STARC < 0.2


def test_rules_are_estimated_for_an_observer_alone(monkeypatch):
    game = game_of("state")
    view = learned(game, EXACT, episodes=4000).seen_by(1)
    rules = malfl.recovery.estimate_rules(view)
    assert rules.ends.tolist() == game.ends.tolist()
    often = view.counts.sum(axis=0).ravel() > 3000
    np.testing.assert_allclose(
        rules.transitions.toarray()[often], game.transitions.toarray()[often], atol=0.05
    )
    alone = malfl.recovery.as_if_alone(view, 0)
    assert alone.dynamics.legal[0].tolist() == game.legal[0].tolist()
    rows = alone.dynamics.transitions.toarray().sum(axis=1).reshape(8, 3)
    np.testing.assert_allclose(rows, alone.dynamics.possible)
