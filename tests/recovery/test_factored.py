"""Slopes held as factors against the same written down."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from drawn import random_ending_game, random_game

import malfl
from malfl import Features, SoftPolicyIteration, Structural, checks
from malfl.games.legal import only_legal
from malfl.recovery import parts, shown, structural
from malfl.recovery.classes import space_of
from malfl.recovery.factored import factored_slopes
from malfl.recovery.learned_values import exact_values, process_of
from malfl.recovery.shown import shown_directions
from malfl.recovery.slopes import Slopes

POLICIES, ALPHA, ACTIONS = 3, 0.7, (3, 2)
CLASSES = ["state", "state-action", "joint-action"]


def side_by_side(*games):
    """One game out of several between which play never goes."""
    return malfl.MarkovGame(
        actions=ACTIONS, transitions=sp.block_diag([game.transitions for game in games]),
        rewards=[np.concatenate([game.joint_reward(i) for game in games]) for i in range(2)],
        start=np.concatenate([game.start for game in games]) / len(games), gamma=0.9,
        ends=np.concatenate([game.ends for game in games]),
        legal=[np.concatenate([game.legal[i] for game in games]) for i in range(2)],
    )  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Everything is large."""
    monkeypatch.setattr(parts, "LEAST", 4)
    monkeypatch.setattr(parts, "MANY", 4)


@pytest.fixture(params=["apart", "whole"])
def game(request):
    rng = np.random.default_rng(0)
    ending = random_ending_game(rng, ACTIONS, 6)
    if request.param == "whole":
        return ending
    return side_by_side(ending, random_game(rng, ACTIONS, 5))


def drawn(game, number, rng):
    return [
        [
            only_legal(rng.dirichlet(np.ones(own), size=game.n_states), legal)
            for own, legal in zip(game.actions, game.legal, strict=True)
        ]
        for _ in range(number)
    ]


def both(game, rewards, agent):
    """The factors, and all slopes in one array (H, S, A_i, K); with whether actions are legal."""
    rng, space = np.random.default_rng(1), space_of(game, agent, rewards)
    policies = drawn(game, POLICIES, rng)
    made = [process_of(game, one, agent, ALPHA, space.reward_class) for one in policies]
    factored = factored_slopes(game, agent, space, made, ALPHA)
    whole = np.array([space.by_numbers(exact_values(one)[0]) for one in made]) / ALPHA
    legal = game.legal[agent]
    return factored, whole.reshape(POLICIES, *legal.shape, -1), legal


def apart(logits, legal):
    """Logits less their mean over what is legal, which no policy depends on."""
    return (logits - (logits * legal).sum(axis=-1, keepdims=True) / legal.sum(-1)[:, None]) * legal


def without_means(matrices, known):
    """Matrices (G, B, A_i) of which the rows come to 0 over known actions."""
    return (
        matrices - (matrices * known[:, None]).sum(-1, keepdims=True) / known.sum(-1)[:, None, None]
    )


def features(game):
    """Nothing depends on them in the last states."""
    phi = np.random.default_rng(5).normal(size=(game.n_states, 3))
    phi[6:] = 0
    return Features(phi)


@pytest.mark.parametrize("agent", [0, 1])
@pytest.mark.parametrize("rewards", [*CLASSES, "features"])
def test_logits_of_a_reward(game, rewards, agent):
    given = features(game) if rewards == "features" else rewards
    factored, whole, legal = both(game, given, agent)
    reward = np.random.default_rng(2).normal(size=factored.numbers)
    expected = apart(whole @ reward, legal)
    np.testing.assert_allclose(apart(factored.at(reward), legal), expected, atol=1e-9)
    two = factored.first(2).at(reward)
    np.testing.assert_allclose(apart(two, legal), expected[:2], atol=1e-9)


@pytest.mark.parametrize("agent", [0, 1])
@pytest.mark.parametrize("rewards", [*CLASSES, "features"])
def test_some_choices(game, rewards, agent):
    given = features(game) if rewards == "features" else rewards
    factored, whole, legal = both(game, given, agent)
    rng = np.random.default_rng(3)
    states, policies = np.nonzero(rng.random((game.n_states, POLICIES)) < 0.7)
    known = legal[states] & (rng.random((len(states), legal.shape[1])) < 0.8)
    known[np.arange(len(states)), legal[states].argmax(axis=1)] = True
    some = factored.chosen(policies, states).times(2.0, known)
    expected = Slopes.of(whole[policies, states]).times(2.0, known)
    matrices = without_means(rng.normal(size=(len(states), 2, legal.shape[1])), known)
    reward, rest = rng.normal(size=factored.numbers), rng.normal(size=matrices.shape[:2])
    mixed, right = some.mixed(matrices), expected.mixed(matrices)
    assert mixed.shape == right.shape
    np.testing.assert_allclose(mixed.at(reward), right.at(reward), atol=1e-10)
    np.testing.assert_allclose(mixed.along(rest), right.along(rest), atol=1e-10)
    np.testing.assert_allclose(mixed.square().whole(), right.square().whole(), atol=1e-9)
    np.testing.assert_allclose(some.apart(known), expected.apart(known), atol=1e-12)
    assert 0 < some.largest() <= 2 * expected.largest()


def test_a_discount_near_one_loses_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    game = malfl.MarkovGame(
        actions=(3,), transitions=rng.dirichlet(np.ones(30), size=(30, 3)), gamma=0.9999,
        rewards=[np.zeros((30, 3))], start=0,
    )  # fmt: skip
    monkeypatch.setattr(shown, "MANY_ENTRIES", 0)
    assert shown_directions(game.without_rewards(), 0, "state-action").shape == (90, 60)


@pytest.mark.parametrize("reward_class", CLASSES)
def test_what_is_shown_is_the_same(game, reward_class, monkeypatch):
    expected = shown_directions(game.without_rewards(), 0, reward_class)
    monkeypatch.setattr(shown, "MANY_ENTRIES", 0)
    found = shown_directions(game.without_rewards(), 0, reward_class)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-9)


@pytest.mark.filterwarnings("ignore::malfl.DoubtfulRewardWarning")
@pytest.mark.parametrize("reward_class", CLASSES)
def test_the_same_reward_is_found(game, reward_class, monkeypatch):
    log = malfl.learn(
        game, SoftPolicyIteration(evaluation="exact"), alpha=ALPHA, iterations=4, episodes=200,
        steps=50, seed=0,
    )  # fmt: skip
    by = Structural(evaluation="exact", reward_class=reward_class)
    expected = malfl.recover(log.seen_by(None), of=0, by=by, unvisited="omit")
    monkeypatch.setattr(structural, "MOST_SLOPES", 0)
    found = malfl.recover(log.seen_by(None), of=0, by=by, unvisited="omit")
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
    np.testing.assert_allclose(found.deviation, expected.deviation, rtol=1e-4)
    assert found.diagnostics.evidence.log_likelihood == pytest.approx(
        expected.diagnostics.evidence.log_likelihood
    )
    assert found.verdict == expected.verdict


def test_too_many_values_for_the_memory(game, monkeypatch):
    monkeypatch.setattr(checks.psutil, "virtual_memory", lambda: SimpleNamespace(available=100))
    with pytest.raises(MemoryError, match="3 policies in"):
        both(game, "state", 0)
