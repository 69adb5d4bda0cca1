"""Playing and learning in games in which episodes end and not everything is legal."""

from dataclasses import dataclass

import naive
import numpy as np
import pytest
from drawn import random_ending_game

import malfl
from malfl import QLearning, SoftPolicyIteration, SoftValueIteration
from malfl.games.soft import marginal_soft_q
from malfl.learners.learner import Improvement

LONG = 400  # steps by which every episode here has ended


@pytest.fixture(params=[0.9, 1.0])
def game(request):
    return random_ending_game(np.random.default_rng(4), gamma=request.param)


def learned(game, learner, *, episodes=40, steps=LONG, iterations=3, record=True, seed=1):
    return malfl.learn(
        game, learner, alpha=0.7, iterations=iterations, episodes=episodes, steps=steps,
        record=record, seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize("steps", [3, LONG])
@pytest.mark.parametrize("block", [2**20, 50])
def test_episodes_end_where_they_should(game, steps, block, monkeypatch):
    monkeypatch.setattr("malfl.play.player.BLOCK_STEPS", block)
    policies = game.uniform_policies()
    played = malfl.sample_episodes(game, policies, episodes=200, steps=steps, seed=1)
    assert len(played) == 200
    for states, actions in played:
        assert not game.ends[states[:-1]].any()
        assert game.ends[states[-1]] or len(actions) == steps
        assert game.possible[states[:-1], actions].all()
    assert {len(actions) for _, actions in played} >= {1, 2, 3}
    counts = malfl.sample_counts(game, policies, episodes=200, steps=steps, seed=1, method="walk")
    np.testing.assert_array_equal(counts, played.counts())


@pytest.mark.parametrize("method", ["walk", "occupancy"])
def test_visits_are_as_many_as_expected(game, method):
    policies, episodes = game.uniform_policies(), 20_000
    counts = malfl.sample_counts(
        game, policies, episodes=episodes, steps=LONG, seed=3, method=method
    )
    joint = policies[0][:, game.own_actions[0]] * policies[1][:, game.own_actions[1]]
    chain = np.einsum("sa,sat->st", joint, game.transitions.toarray().reshape(7, 6, 7))
    visits = np.linalg.solve(np.eye(7) - chain.T, game.start)
    expected = episodes * visits[:, None] * joint * ~game.ends[:, None]
    assert (np.abs(counts - expected) < 6 * np.sqrt(expected + 1) * 2).all()
    assert (counts[~game.possible] == 0).all()


@pytest.mark.parametrize("evaluation", ["td", "sarsa"])
@pytest.mark.parametrize("state_rewards", [True, False])
def test_values_are_learned_as_the_oracle_learns_them(evaluation, state_rewards):
    game = random_ending_game(np.random.default_rng(5), state_rewards=state_rewards)
    log = learned(game, SoftPolicyIteration(0.3, evaluation), iterations=2)
    ahead = drawn_ahead(game, log)
    for h in range(2):
        states, actions = zip(*log.episodes[h], strict=True)
        now = [policies[h] for policies in log.policies]
        for agent in range(2):
            expected = naive.soft_td(
                game, now, agent, 0.7, 0.3, states, actions, ahead[h], evaluation == "sarsa"
            )
            legal = game.legal[agent]
            np.testing.assert_allclose(log.q[agent][h][legal], expected[legal], atol=1e-12)


def drawn_ahead(game, log):
    """What a learner that is shown it saw drawn ahead, in the same run."""
    seen = []

    @dataclass(frozen=True)
    class Watcher:
        name, needs = "watcher", "draws"

        def start(self, game, agent, alpha, rng):
            return self

        def improve(self, now):
            cuts = np.cumsum(now.played.lengths)[:-1]
            seen.append(np.split(now.ahead.astype(int) % game.n_joint_actions, cuts))
            return Improvement(log.policies[1][len(seen)], None)

    malfl.learn(
        game, [log.training.learners, Watcher()], alpha=0.7, iterations=2, episodes=40, steps=LONG,
        record=True, seed=1,
    )  # fmt: skip
    return seen


def test_exact_values_and_what_is_learned_from_many_steps(game):
    exact = learned(game, SoftPolicyIteration(evaluation="exact"), record=False)
    for agent in range(2):
        first = [policies[0] for policies in exact.policies]
        values = marginal_soft_q(game, first, agent, 0.7)
        legal = game.legal[agent]
        np.testing.assert_allclose(exact.q[agent][0][legal], values[legal])
        sampled = learned(game, SoftPolicyIteration(0.01), episodes=20_000, record=False)
        seen = (
            legal & (sampled.own_counts(agent)[0] > 2000)
            if hasattr(sampled, "own_counts")
            else legal
        )
        assert np.abs(sampled.q[agent][0] - values)[seen & ~game.ends[:, None]].max() < 0.6


@pytest.mark.parametrize(
    "learner",
    [
        SoftPolicyIteration(), SoftPolicyIteration(evaluation="exact"), SoftValueIteration(),
        QLearning(), malfl.RandomImprovements(3),
    ],
    ids=str,
)  # fmt: skip
def test_no_learner_does_what_is_not_legal(game, learner):
    log = learned(game, learner)
    for agent in range(2):
        policies = np.array(log.policies[agent])
        assert (policies[:, ~game.legal[agent]] == 0).all()
        np.testing.assert_allclose(policies.sum(axis=-1), 1)
        assert (policies[-1] != policies[0]).any()
    assert (log.counts[:, ~game.possible] == 0).all()


@dataclass(frozen=True)
class Careless:
    """Does everything everywhere."""

    name, needs = "careless", "rules"

    def start(self, game, agent, alpha, rng):
        return self

    def improve(self, now):
        policy = now.policies[0]
        return Improvement(np.full(policy.shape, 1 / policy.shape[1]), None)


def test_an_illegal_policy_of_somebody_elses_learner_is_refused():
    game = random_ending_game(np.random.default_rng(4), actions=(3, 2))
    with pytest.raises(ValueError, match=r"policy of learners\[0\].* is not legal for agent 0"):
        learned(game, [Careless(), SoftValueIteration()])
