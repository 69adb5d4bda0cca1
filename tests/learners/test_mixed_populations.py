import naive
import numpy as np
import pytest
from drawn import random_game
from scipy.special import softmax

from malfl import learn, learn_all
from malfl.kernels.alias import fill_slots
from malfl.learners.evaluation import TemporalDifferences
from malfl.learners.q_learning import QLearning
from malfl.learners.soft_value_iteration import SoftValueIteration
from malfl.play import Player, bits_for

ALPHA, BETA = 0.8, 0.2
SMALL = {"alpha": ALPHA, "beta": BETA, "iterations": 3, "episodes": 6, "steps": 30}
KINDS = ("soft policy iteration", "Q-learning", "soft value iteration", "random improvements")


def table(row):
    """An alias table and its bits."""
    bits = bits_for(len(row))
    slots = np.empty(1 << bits, dtype=np.uint64)
    fill_slots(np.array([row], dtype=float), bits, slots)
    return slots, bits


def values(kind, game, policies, agent, q, played, executed):
    """One round of an agent of this kind."""
    states, actions, _ = played
    if kind == "soft policy iteration":
        return naive.soft_td(game, policies, agent, ALPHA, BETA, *played, executed)
    if kind == "Q-learning":
        return naive.watkins(game, agent, BETA, q, states, actions)
    return naive.backed_up(game, policies, agent, ALPHA, q)


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("evaluation", ["td", "sarsa"])
def test_everyone_learns_from_what_all_of_them_played(game, evaluation, first):
    """Each in its way, and from the same steps."""
    kinds = [KINDS[(first + i) % 3] for i in range(game.n_agents)]
    log = learn(game, kinds, evaluation=evaluation, record=True, seed=4, **SMALL)
    rng = np.random.default_rng(4)
    policies = [np.full((game.n_states, n), 1 / n) for n in game.actions]
    q = [np.zeros((game.n_states, n)) for n in game.actions]
    for h, recorded in enumerate(log.trajectories):
        if set(kinds) == {"soft value iteration"}:  # nobody needs actions ahead
            played = recorded.states, recorded.actions, None
        else:
            played = naive.play(game, policies, 6, 30, rng, table, jointly=True)
            np.testing.assert_array_equal(recorded.states, played[0])
            np.testing.assert_array_equal(recorded.actions, played[1])
        np.testing.assert_array_equal(log.counts[h], naive.joint_counts(game, *played[:2]))
        q = [
            values(kind, game, policies, i, q[i], played, evaluation == "sarsa")
            for i, kind in enumerate(kinds)
        ]
        policies = [naive.improve(one, ALPHA) for one in q]
        for i in range(game.n_agents):
            np.testing.assert_allclose(log.q[i][h], q[i], rtol=0, atol=1e-11)
            np.testing.assert_allclose(log.policies[i][h + 1], policies[i], rtol=0, atol=1e-11)


@pytest.mark.parametrize("kinds", [KINDS[:2], KINDS[1:3], KINDS[2:], (KINDS[3], KINDS[0])])
@pytest.mark.parametrize("evaluation", ["td", "exact"])
def test_recording_changes_nothing(kinds, evaluation):
    game = random_game(np.random.default_rng(0))
    plain, again, recorded = (
        learn(game, kinds, evaluation=evaluation, record=record, seed=3, **SMALL)
        for record in (False, False, True)
    )
    for h, played in enumerate(recorded.trajectories):
        counts = naive.joint_counts(game, played.states, played.actions)
        np.testing.assert_array_equal(recorded.counts[h], counts)
    assert plain.trajectories is None
    for log in (again, recorded):
        np.testing.assert_array_equal(plain.counts, log.counts)
        for agent in (0, 1):
            np.testing.assert_array_equal(plain.q[agent], log.q[agent])
            np.testing.assert_array_equal(plain.policies[agent], log.policies[agent])
    other = learn(game, kinds, evaluation=evaluation, seed=4, **SMALL)
    assert (plain.counts != other.counts).any()


@pytest.mark.parametrize("kind", KINDS)
def test_values_in_a_log_are_those_whose_softmax_is_the_policy(game, kind):
    log = learn(game, kind, evaluation="exact", seed=0, **SMALL)
    for q, policies in zip(log.q, log.policies, strict=True):
        assert q.shape == (3, *policies.shape[1:])
        np.testing.assert_allclose(policies[1:], softmax(q / ALPHA, axis=-1), rtol=1e-10)
        np.testing.assert_allclose(policies.sum(axis=-1), 1, rtol=0, atol=1e-12)


def test_only_those_asked_for_are_evaluated(game, policies):
    """And in the order in which they are asked for."""
    player = Player(game)

    def evaluate(**options):
        learned = TemporalDifferences(
            game, policies, player, alpha=ALPHA, beta=BETA, executed=False, **options
        )
        for block in player.play(policies, 3, 40, np.random.default_rng(1)):
            learned.update(block)
        return learned

    everyone = evaluate()
    assert len(everyone.q) == game.n_agents
    for agents in ([game.n_agents - 1], range(game.n_agents)[::-1]):
        some = evaluate(agents=agents)
        np.testing.assert_array_equal(some.counts, everyone.counts)
        assert len(some.q) == len(agents)
        for q, agent in zip(some.q, agents, strict=True):
            np.testing.assert_array_equal(q, everyone.q[agent])


@pytest.mark.parametrize("threads", [1, 3])
def test_many_runs_are_the_single_ones(threads):
    games = [random_game(np.random.default_rng(k), actions=(2, 1 + k)) for k in (1, 2)]
    kinds = ["Q-learning", SoftValueIteration()]
    logs = learn_all(games, kinds, seeds=(3, 5), threads=threads, **SMALL)
    for game, row in zip(games, logs, strict=True):
        for seed, log in zip((3, 5), row, strict=True):
            one = learn(game, kinds, seed=seed, **SMALL)
            np.testing.assert_array_equal(log.counts, one.counts)
            for agent in (0, 1):
                np.testing.assert_array_equal(log.q[agent], one.q[agent])
                np.testing.assert_array_equal(log.policies[agent], one.policies[agent])


def test_bad_learners_are_refused_before_any_run_begins(monkeypatch):
    monkeypatch.setattr("malfl.learners.learn.Player", None)
    game = random_game(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"learners\[0\] must be one of soft policy iteration"):
        learn_all([game], "magic", seeds=[0])
    with pytest.raises(ValueError, match=r"learners must .* of 2 agents, got 1"):
        learn_all([game], [QLearning()], seeds=[0])


@pytest.mark.parametrize("block_steps", [7, 40])
def test_blocks_do_not_matter_to_learners(monkeypatch, block_steps):
    game = random_game(np.random.default_rng(0))

    def run():
        return learn(game, ["Q-learning", "soft policy iteration"], seed=1, **SMALL)

    whole = run()
    monkeypatch.setattr("malfl.play.BLOCK_STEPS", block_steps)
    pieces = run()
    np.testing.assert_array_equal(whole.counts, pieces.counts)
    for agent in (0, 1):
        np.testing.assert_array_equal(whole.q[agent], pieces.q[agent])
