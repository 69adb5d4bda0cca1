from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module

import naive
import numpy as np
import pytest
from drawn import random_game
from scipy.special import softmax

from malfl import (
    QLearning,
    RandomImprovements,
    SoftPolicyIteration,
    SoftValueIteration,
    Training,
    learn,
    learn_all,
)
from malfl.kernels.alias import fill_slots
from malfl.learners import Improvement, Learner
from malfl.learners.temporal_differences import TemporalDifferences
from malfl.play.player import Player, bits_for

ALPHA, BETA = 0.8, 0.2
SMALL = {"alpha": ALPHA, "iterations": 3, "episodes": 6, "steps": 30}


def kinds_with(evaluation):
    """One learner of each kind."""
    return (
        SoftPolicyIteration(BETA, evaluation),
        QLearning(BETA),
        SoftValueIteration(),
        RandomImprovements(),
    )


KINDS = kinds_with("exact")


def table(row):
    """An alias table and its bits."""
    bits = bits_for(len(row))
    slots = np.empty(1 << bits, dtype=np.uint64)
    fill_slots(np.array([row], dtype=float), bits, slots)
    return slots, bits


def values(kind, game, policies, agent, q, played):
    """Those of an agent of this kind after one iteration."""
    states, actions, _ = played
    if isinstance(kind, SoftPolicyIteration):
        executed = kind.evaluation == "sarsa"
        return naive.soft_td(game, policies, agent, ALPHA, kind.beta, *played, executed)
    if isinstance(kind, QLearning):
        return naive.watkins(game, agent, kind.beta, q, states, actions)
    return naive.backed_up(game, policies, agent, ALPHA, q)


def follow(game, kinds):
    """Compare a log of learners of these kinds with what each makes of the same steps, by hand."""
    log = learn(game, kinds, record=True, seed=4, **SMALL)
    rng = np.random.default_rng(4)
    policies = [np.full((game.n_states, n), 1 / n) for n in game.actions]
    q = [np.zeros((game.n_states, n)) for n in game.actions]
    for h, recorded in enumerate(log.episodes):
        if set(kinds) == {SoftValueIteration()}:  # nobody needs actions ahead
            played = *zip(*recorded, strict=True), None
        else:
            played = naive.play(game, policies, 6, 30, rng, table, jointly=True)
            np.testing.assert_array_equal([one.states for one in recorded], played[0])
            np.testing.assert_array_equal([one.actions for one in recorded], played[1])
        np.testing.assert_array_equal(log.counts[h], naive.joint_counts(game, *played[:2]))
        q = [values(kind, game, policies, i, q[i], played) for i, kind in enumerate(kinds)]
        policies = [naive.improve(one, ALPHA) for one in q]
        for i in range(game.n_agents):
            np.testing.assert_allclose(log.q[i][h], q[i], rtol=0, atol=1e-11)
            np.testing.assert_allclose(log.policies[i][h + 1], policies[i], rtol=0, atol=1e-11)


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("evaluation", ["td", "sarsa"])
def test_everyone_learns_from_what_all_of_them_played(game, evaluation, first):
    """Each by its own rule, and from the same steps."""
    follow(game, [kinds_with(evaluation)[(first + i) % 3] for i in range(game.n_agents)])


@pytest.mark.parametrize("first", [0, 1, 2])
def test_each_agent_has_the_step_size_and_evaluation_of_its_learner(game, first):
    kinds = [QLearning(0.7), SoftPolicyIteration(0.4, "sarsa"), SoftPolicyIteration(0.1, "td")]
    follow(game, [kinds[(first + i) % 3] for i in range(game.n_agents)])


@pytest.mark.parametrize("kind", kinds_with("td")[:3], ids=lambda kind: kind.name)
def test_agents_of_one_learner_have_values_of_their_own(kind):
    follow(random_game(np.random.default_rng(0), actions=(2, 2)), [kind, kind])


@pytest.mark.parametrize("which", [(0, 1), (1, 2), (2, 3), (3, 0)])
@pytest.mark.parametrize("evaluation", ["td", "exact"])
def test_recording_changes_nothing(which, evaluation):
    game, kinds = random_game(np.random.default_rng(0)), kinds_with(evaluation)
    learners = [kinds[k] for k in which]
    plain, again, recorded = (
        learn(game, learners, record=record, seed=3, **SMALL) for record in (False, False, True)
    )
    for h, played in enumerate(recorded.episodes):
        counts = naive.joint_counts(game, *zip(*played, strict=True))
        np.testing.assert_array_equal(recorded.counts[h], counts)
    assert plain.episodes is None
    for log in (again, recorded):
        np.testing.assert_array_equal(plain.counts, log.counts)
        for agent in (0, 1):
            np.testing.assert_array_equal(plain.q[agent], log.q[agent])
            np.testing.assert_array_equal(plain.policies[agent], log.policies[agent])
    other = learn(game, learners, seed=4, **SMALL)
    assert (plain.counts != other.counts).any()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_values_in_a_log_are_those_whose_softmax_is_the_policy(game, kind):
    """If there are any."""
    log = learn(game, kind, seed=0, **SMALL)
    for q, policies in zip(log.q, log.policies, strict=True):
        assert q.shape == (3, *policies.shape[1:])
        np.testing.assert_allclose(policies.sum(axis=-1), 1, rtol=0, atol=1e-12)
        if kind == RandomImprovements():
            assert np.isnan(q).all()
        else:
            np.testing.assert_allclose(policies[1:], softmax(q / ALPHA, axis=-1), rtol=1e-10)


def test_only_those_asked_for_are_evaluated(game, policies):
    """And in the order in which they are asked for."""
    player = Player(game)

    def evaluate(agents):
        learned = TemporalDifferences(
            game, policies, agents, player.own_pairs, player.by_code, alpha=ALPHA, beta=BETA,
            executed=False,
        )  # fmt: skip
        for block in player.play(policies, 3, 40, np.random.default_rng(1)):
            learned.update(block.codes, block.steps)
        return learned

    everyone = evaluate(range(game.n_agents))
    assert len(everyone.q) == game.n_agents
    for agents in ([game.n_agents - 1], range(game.n_agents)[::-1]):
        some = evaluate(agents)
        np.testing.assert_array_equal(some.counts, everyone.counts)
        assert len(some.q) == len(agents)
        for q, agent in zip(some.q, agents, strict=True):
            np.testing.assert_array_equal(q, everyone.q[agent])


@pytest.mark.parametrize("threads", [1, 3])
def test_many_runs_are_the_single_ones(threads):
    games = [random_game(np.random.default_rng(k), actions=(2, 1 + k)) for k in (1, 2)]
    kinds = [QLearning(BETA), SoftValueIteration()]
    with ThreadPoolExecutor(threads) as executor:
        logs = learn_all(games, Training(kinds, **SMALL), seeds=(3, 5), executor=executor)
    for game, row in zip(games, logs, strict=True):
        for seed, log in zip((3, 5), row, strict=True):
            one = learn(game, kinds, seed=seed, **SMALL)
            np.testing.assert_array_equal(log.counts, one.counts)
            for agent in (0, 1):
                np.testing.assert_array_equal(log.q[agent], one.q[agent])
                np.testing.assert_array_equal(log.policies[agent], one.policies[agent])


def test_a_learner_too_few_is_refused_before_any_run_begins(monkeypatch):
    monkeypatch.setattr(import_module("malfl.learners.learn"), "Player", None)
    game = random_game(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"learners must .* of 2 agents, got 1"):
        learn_all([game], Training([QLearning()]), seeds=[0])


@pytest.mark.parametrize("block_steps", [7, 40])
def test_blocks_do_not_matter_to_learners(monkeypatch, block_steps):
    game = random_game(np.random.default_rng(0))

    def run():
        return learn(game, [QLearning(BETA), SoftPolicyIteration(BETA)], seed=1, **SMALL)

    whole = run()
    monkeypatch.setattr("malfl.play.player.BLOCK_STEPS", block_steps)
    pieces = run()
    np.testing.assert_array_equal(whole.counts, pieces.counts)
    for agent in (0, 1):
        np.testing.assert_array_equal(whole.q[agent], pieces.q[agent])


@dataclass(frozen=True)
class Unfused:
    """Learns as another learner does, from steps that are over."""

    learner: Learner

    @property
    def name(self):
        return self.learner.name

    @property
    def needs(self):
        return self.learner.needs

    def start(self, game, agent, alpha, rng):
        return Delegating(self.learner.start(game, agent, alpha, rng))


class Delegating:
    def __init__(self, state):
        self.improve = lambda now: state.improve(now)


TD, SLOW = SoftPolicyIteration(0.3), SoftPolicyIteration(0.1)
SARSA = SoftPolicyIteration(0.3, "sarsa")
POPULATIONS = [
    (TD,), (SARSA,), (TD, TD), (SARSA, SARSA), (TD, SLOW), (TD, SARSA), (SARSA, QLearning(0.3)),
    (RandomImprovements(5), TD), (TD, TD, TD), (TD, SARSA, SLOW), (TD, QLearning(0.3), TD),
    (SLOW, SoftValueIteration(), SARSA), (SARSA, RandomImprovements(5), TD),
]  # fmt: skip

# Episodes cut into pieces, in groups of a few, and all at once.
BLOCKS = [(7, (32, 4096)), (90, (2, 4)), (2**22, (32, 4096))]


def assert_same_numbers(log, other):
    np.testing.assert_array_equal(log.counts, other.counts)
    for agent in range(log.game.n_agents):
        np.testing.assert_array_equal(log.q[agent], other.q[agent])
        np.testing.assert_array_equal(log.policies[agent], other.policies[agent])
    for ours, theirs in zip(log.episodes or (), other.episodes or (), strict=True):
        np.testing.assert_array_equal(ours.packed.codes, theirs.packed.codes)


def game_for(agents, rewards):
    """A game of so many agents, with rewards of states, of joint actions, or one of each."""
    rng = np.random.default_rng(7)
    game = random_game(rng, (2, 3, 2)[:agents], state_rewards=rewards != "joint actions")
    if rewards == "both":
        first = rng.normal(size=(game.n_states, game.n_joint_actions))
        game = game.with_rewards([first, *game.rewards[1:]])
    return game


@pytest.mark.parametrize("rewards", ["states", "joint actions", "both"])
@pytest.mark.parametrize("learners", POPULATIONS, ids=str)
def test_who_learns_while_playing_and_who_learns_afterwards_learn_the_same(learners, rewards):
    """To the last bit, and whoever does the one or the other beside them."""
    game = game_for(len(learners), rewards)
    fused = learn(game, learners, seed=1, **SMALL)
    for rest in range(len(learners)):
        some = [Unfused(one) if i >= rest else one for i, one in enumerate(learners)]
        assert_same_numbers(learn(game, some, seed=1, **SMALL), fused)
        if rest == 0:
            recorded = learn(game, some, seed=1, record=True, **SMALL)
            assert_same_numbers(recorded, learn(game, learners, seed=1, record=True, **SMALL))
            np.testing.assert_array_equal(recorded.q[0], fused.q[0])


@pytest.mark.parametrize("slots", [0, 2**22])
@pytest.mark.parametrize(("block_steps", "lanes"), BLOCKS)
@pytest.mark.parametrize("learners", [(TD, SARSA), (SLOW, TD)], ids=str)
def test_they_learn_the_same_however_steps_are_drawn(
    game, monkeypatch, learners, block_steps, lanes, slots
):  # fmt: skip
    for name, value in {"BLOCK_STEPS": block_steps, "LANES": lanes, "JOINT_SLOTS": slots}.items():
        monkeypatch.setattr(f"malfl.play.player.{name}", value)
    several = [learners[i % 2] for i in range(game.n_agents)]
    fused = learn(game, several, seed=1, **SMALL)
    assert_same_numbers(learn(game, [Unfused(one) for one in several], seed=1, **SMALL), fused)


class Watching:
    """Learns nothing, and remembers what was played and drawn."""

    name, needs = "watching", "draws"

    def __init__(self):
        self.seen = []

    def start(self, game, agent, alpha, rng):
        return Watched(self, agent)


class Watched:
    def __init__(self, learner, agent):
        self.learner, self.agent = learner, agent

    def improve(self, now):
        self.learner.seen.append(now)
        return Improvement(now.policies[self.agent], None)


@pytest.mark.parametrize("slots", [0, 2**22])
@pytest.mark.parametrize(("block_steps", "lanes"), BLOCKS)
@pytest.mark.parametrize("record", [False, True])
def test_draws_ahead_are_those_of_the_player(game, monkeypatch, record, block_steps, lanes, slots):
    """The state after each step, and what was drawn there, step by step and episode by episode."""
    for name, value in {"BLOCK_STEPS": block_steps, "LANES": lanes, "JOINT_SLOTS": slots}.items():
        monkeypatch.setattr(f"malfl.play.player.{name}", value)
    watching = Watching()
    learners = [watching, *[SARSA] * (game.n_agents - 1)]
    log = learn(game, learners, seed=4, record=record, **SMALL)
    rng, jointly = np.random.default_rng(4), bool(slots) or game.n_agents == 1
    for h, now in enumerate(watching.seen):
        policies = [policies[h] for policies in log.policies]
        states, actions, drawn = naive.play(game, policies, 6, 30, rng, table, jointly)
        np.testing.assert_array_equal([one.states for one in now.played], states)
        np.testing.assert_array_equal([one.actions for one in now.played], actions)
        ahead = states[:, 1:] * game.n_joint_actions + drawn
        np.testing.assert_array_equal(now.ahead, ahead.ravel())


@pytest.mark.parametrize("needs", ["rules", "steps"])
def test_there_are_no_draws_for_who_does_not_need_them(needs):
    one = Watching()
    one.needs = needs
    learn(random_game(np.random.default_rng(0)), [one, TD], seed=4, **SMALL)
    for now in one.seen:
        assert now.ahead is None
        assert (now.played is None) == (needs == "rules")


class Elsewhere(Unfused):
    """Learns as if rewards were others."""

    def start(self, game, agent, alpha, rng):
        other = game.with_rewards([2 * reward for reward in game.rewards])
        return self.learner.start(other, agent, alpha, rng)


class Colder(Unfused):
    """Learns with another entropy coefficient."""

    def start(self, game, agent, alpha, rng):
        return self.learner.start(game, agent, alpha / 2, rng)


class Exact(Unfused):
    """Says that it needs draws, and needs none."""

    needs = "draws"

    def start(self, game, agent, alpha, rng):
        return SoftPolicyIteration(evaluation="exact").start(game, agent, alpha, rng)


@pytest.mark.parametrize("kind", [Elsewhere, Colder, Exact])
def test_who_hands_out_soft_policy_iteration_decides_what_it_learns(kind):
    game = random_game(np.random.default_rng(0))
    found = learn(game, kind(TD), seed=1, **SMALL)
    assert_same_numbers(learn(game, Unfused(kind(TD)), seed=1, **SMALL), found)
