"""Games of each regime are as its name says."""

import numpy as np
import pytest

import malfl
from malfl.companion.regimes import (
    BENIGN,
    COOLING,
    EPISODE,
    FEW_MOVES,
    ITERATIONS,
    RARITY,
    REGIMES,
    Annealed,
    draw,
)
from malfl.evaluation.identified import narrowed

SEEDS = range(12)


def several(name):
    return [draw(REGIMES[name], np.random.default_rng(seed)) for seed in SEEDS]


def spread(game):
    return game.rewards[0].std()


@pytest.mark.parametrize("name", REGIMES)
def test_numbers_are_in_their_ranges(name):
    regime = REGIMES[name]
    assert regime.name == name
    for game, training, beta in several(name):
        assert regime.agents[0] <= game.n_agents <= regime.agents[1]
        assert regime.states[0] <= game.n_states <= regime.states[1]
        assert set(game.actions) <= set(range(regime.actions[0], regime.actions[1] + 1))
        assert regime.gammas[0] <= game.gamma <= regime.gammas[1]
        assert regime.betas[0] <= beta <= regime.betas[1]
        ratio = training.alpha / spread(game)
        assert any(low - 1e-9 <= ratio <= high + 1e-9 for low, high in regime.alphas)
        steps = training.episodes * EPISODE / game.n_states
        assert regime.steps[0] - EPISODE <= steps <= regime.steps[1] + EPISODE
        assert (training.steps, training.iterations) == (EPISODE, ITERATIONS)
        assert narrowed(game.rewards[0], game, 0)[1] == regime.reward_class


def test_there_are_enough_regimes():
    assert len(REGIMES) >= 14
    wrong = [one.name for one in REGIMES.values() if not one.right]
    assert len(wrong) == 6


def test_a_game_is_that_of_its_seed():
    first, again, other = (draw(REGIMES[BENIGN], np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.game.rewards[0], again.game.rewards[0])
    assert first.training == again.training
    assert first.training != other.training


def test_moves_are_of_three_kinds():
    most = [np.diff(game.transitions.indptr).max() for game, *_ in several(BENIGN)]
    sizes = [game.n_states for game, *_ in several(BENIGN)]
    kinds = {
        "one" if n == 1 else "few" if n == FEW_MOVES < size else "all"
        for n, size in zip(most, sizes, strict=True)
    }
    assert kinds == {"one", "few", "all"}


def test_rare_states_are_rarely_next_and_some_are_never_left():
    sinks = 0
    for game, *_ in several("rarely visited states"):
        moves = game.transitions.toarray().reshape(game.n_states, -1, game.n_states)
        stays = moves[np.arange(game.n_states), :, np.arange(game.n_states)].min(axis=1) == 1
        sinks += stays.sum()
        rare = moves[~stays][..., : game.n_states // 3]
        alone = moves[~stays].max(axis=-1) == 1  # only one next state, maybe a rare one
        assert np.median(rare[~alone]) < 10 * RARITY
    assert sinks > 0


def test_rewards_are_sparse_or_heavy_tailed_where_they_should_be():
    zeros = [(game.rewards[0] == 0).mean() for game, *_ in several(BENIGN)]
    assert min(zeros) == 0
    assert max(zeros) > 0.4
    bulk = [bulk_of(game) for game, *_ in several("heavy-tailed rewards")]
    assert np.mean(bulk) < 0.5  # .67 of a normal distribution
    assert all((game.rewards[0] != 0).all() for game, *_ in several("heavy-tailed rewards"))


def bulk_of(game):
    """The median distance from the median, in deviations."""
    reward = game.rewards[0]
    return np.median(np.abs(reward - np.median(reward))) / spread(game)


def test_agent_0_learns_as_the_regime_says_and_the_others_by_temporal_differences():
    kinds = {
        "exact values": malfl.SoftPolicyIteration(evaluation="exact"),
        "soft value iteration": malfl.SoftValueIteration(),
        "random improvements": malfl.RandomImprovements(),
    }
    for name, learner in kinds.items():
        _, training, beta = several(name)[0]
        assert training.learners == (learner, malfl.SoftPolicyIteration(beta))
    _, training, beta = several("Q-learning")[0]
    assert training.learners == (malfl.QLearning(beta), malfl.SoftPolicyIteration(beta))


def test_an_annealed_learner_begins_as_another_and_ends_more_certain():
    game, training, beta = draw(REGIMES["alpha annealed"], np.random.default_rng(3))
    how = training.but(iterations=2, episodes=20)
    given = {"alpha": how.alpha, "iterations": 2, "episodes": 20, "steps": 50, "seed": 0}
    annealed = malfl.learn(game, Annealed(beta), **given)
    plain = malfl.learn(game, malfl.SoftPolicyIteration(beta), **given)
    np.testing.assert_allclose(annealed.policies[0][1], plain.policies[0][1])
    expected = annealed.q[0][1] / (how.alpha * COOLING)
    expected = np.exp(expected - expected.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(annealed.policies[0][2], expected)
