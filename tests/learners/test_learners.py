import copy
from importlib import import_module
from weakref import ref

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.special import softmax

from malfl import (
    Episodes,
    QLearning,
    RandomImprovements,
    SoftPolicyIteration,
    SoftValueIteration,
    Training,
    learn,
    learn_all,
    sample_episodes,
)
from malfl.games import soft
from malfl.learners import Improvement, Iteration, Learner, soft_improvement

ALPHA = 0.8
EXACT = SoftPolicyIteration(evaluation="exact")
NEEDS = {
    SoftPolicyIteration(): "draws",
    SoftPolicyIteration(evaluation="sarsa"): "draws",
    EXACT: "rules",
    SoftValueIteration(): "rules",
    QLearning(): "steps",
    RandomImprovements(): "rules",
}


def begun(learner, game, agent):
    """An agent about to learn."""
    return learner.start(game, agent, ALPHA, np.random.default_rng(0))


def test_the_exact_learner_evaluates_what_everyone_plays(game, policies):
    for agent in range(game.n_agents):
        values = naive.soft_q(game, policies, agent, ALPHA)
        theirs = naive.over_opponents(game, policies, agent, values)
        ours = begun(EXACT, game, agent).improve(Iteration(0, policies)).values
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_soft_value_iteration_backs_its_values_up_once_an_iteration(game):
    rng = np.random.default_rng(8)
    for agent in range(game.n_agents):
        state = begun(SoftValueIteration(), game, agent)
        theirs = np.zeros((game.n_states, game.actions[agent]))
        for number in range(4):
            policies = random_policies(game.actions, game.n_states, rng)
            theirs = naive.backed_up(game, policies, agent, ALPHA, theirs)
            ours = state.improve(Iteration(number, policies)).values
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_large_values_are_backed_up_without_overflow(game, policies):
    large = game.with_rewards([game.joint_reward(i) + 1e5 for i in range(game.n_agents)])
    states = [begun(SoftValueIteration(), one, 0) for one in (game, large)]
    for number, added in enumerate((1e5, 1e5 * (1 + game.gamma))):
        small, values = (state.improve(Iteration(number, policies)).values for state in states)
        np.testing.assert_allclose(values, small + added, rtol=1e-12)


def test_soft_value_iteration_ends_at_the_soft_optimum():
    game = random_game(np.random.default_rng(0), (3,))
    log = learn(
        game, SoftValueIteration(), alpha=ALPHA, iterations=150, episodes=1, steps=1, seed=0
    )
    best = naive.best_response(game, game.uniform_policies(), 0, ALPHA)
    np.testing.assert_allclose(log.policies[0][-1], best, rtol=0, atol=1e-9)
    assert np.abs(log.policies[0][4] - best).max() > 1e-3


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_q_learning_goes_along_the_steps_of_each_iteration(game, policies, beta):
    for agent in range(game.n_agents):
        state, found = begun(QLearning(beta), game, agent), []
        theirs = np.zeros((game.n_states, game.actions[agent]))
        for number in range(3):
            played = sample_episodes(game, policies, episodes=3, steps=25, seed=number)
            theirs = naive.watkins(game, agent, beta, theirs, *zip(*played, strict=True))
            values = state.improve(Iteration(number, policies, played)).values
            np.testing.assert_allclose(values, theirs, rtol=0, atol=1e-12)
            found.append((values, theirs))
        for values, then in found:  # those of earlier iterations stay as they were
            np.testing.assert_allclose(values, then, rtol=0, atol=1e-12)


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_q_learning_goes_along_episodes_of_any_lengths(beta):
    game = random_game(np.random.default_rng(0))
    policies = game.uniform_policies()
    parts = [sample_episodes(game, policies, episodes=1, steps=n, seed=n)[0] for n in (9, 1, 30)]
    states, actions = zip(*parts, strict=True)
    ragged = Episodes.from_lists(states, actions, n_states=4, n_joint_actions=6)
    theirs = naive.watkins(game, 1, beta, np.zeros((4, 3)), states, actions)
    ours = begun(QLearning(beta), game, 1).improve(Iteration(0, policies, ragged)).values
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pieces", [1, 40])
def test_how_many_steps_a_call_makes_does_not_matter_to_q_learning(monkeypatch, pieces):
    game = random_game(np.random.default_rng(0))
    options = {"alpha": ALPHA, "iterations": 2, "episodes": 7, "steps": 20, "seed": 1}
    whole = learn(game, QLearning(), **options)
    monkeypatch.setattr("malfl.learners.q_learning.CALL_STEPS", pieces)
    np.testing.assert_array_equal(whole.q[0], learn(game, QLearning(), **options).q[0])


def test_a_backup_for_any_value_of_the_states(game, policies):
    next_states, rewards = naive.plain(game)
    value = np.random.default_rng(0).normal(size=game.n_states)
    for agent in range(game.n_agents):
        joint = [
            [
                rewards[agent][s][a] + game.gamma * sum(p * value[t] for p, t in next_states[s][a])
                for a in range(game.n_joint_actions)
            ]
            for s in range(game.n_states)
        ]
        theirs = naive.over_opponents(game, policies, agent, joint)
        ours = soft.marginal_backup(game, policies, agent, value)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_a_backup_of_the_policys_own_value_is_its_soft_q(game, policies):
    for agent in range(game.n_agents):
        value = soft.soft_value(game, policies, agent, ALPHA)
        q = soft.marginal_soft_q(game, policies, agent, ALPHA)
        np.testing.assert_array_equal(soft.marginal_backup(game, policies, agent, value), q)


@pytest.mark.parametrize("learner", NEEDS, ids=str)
def test_one_learner_for_all_is_as_good_as_one_for_each(game, learner):
    options = {"alpha": ALPHA, "iterations": 3, "episodes": 4, "steps": 20, "seed": 2}
    one = learn(game, learner, **options)
    each = learn(game, [copy.copy(learner) for _ in game.actions], **options)
    np.testing.assert_array_equal(one.counts, each.counts)
    for agent in range(game.n_agents):
        np.testing.assert_array_equal(one.policies[agent], each.policies[agent])


def test_they_are_what_a_learner_must_be():
    for one, needs in NEEDS.items():
        assert isinstance(one, Learner)
        assert one.needs == needs
    names = [one.name for one in NEEDS]
    assert names[:3] == ["soft policy iteration"] * 3
    assert names[3:] == ["soft value iteration", "Q-learning", "random improvements"]
    assert SoftPolicyIteration() == SoftPolicyIteration(beta=0.1, evaluation="td")
    assert QLearning().beta == 0.1
    assert RandomImprovements().points == 15


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QLearning(beta=0), r"beta must lie in \(0, 1\], got 0"),
        (lambda: QLearning(beta=1.5), r"beta must lie in \(0, 1\], got 1.5"),
        (lambda: QLearning(beta=np.nan), "beta must be finite, got nan"),
        (lambda: QLearning(beta="small"), "beta must be a number, got 'small'"),
        (lambda: SoftPolicyIteration(beta=0), r"beta must lie in \(0, 1\], got 0"),
        (lambda: SoftPolicyIteration(beta=1.5), r"beta must lie in \(0, 1\], got 1.5"),
        (
            lambda: SoftPolicyIteration(evaluation="dp"),
            "evaluation must be one of td, sarsa, exact, got 'dp'",
        ),
        (lambda: RandomImprovements(points=0), "points must be at least 1, got 0"),
        (lambda: RandomImprovements(points=2.5), "points must be a whole number, got 2.5"),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_q_learning_needs_steps(game, policies):
    with pytest.raises(ValueError, match=r"now\.played must hold the steps .*, got None"):
        begun(QLearning(), game, 0).improve(Iteration(0, policies))


@pytest.mark.parametrize("evaluation", ["td", "sarsa"])
def test_temporal_differences_need_steps_and_draws(game, policies, evaluation):
    played = sample_episodes(game, policies, episodes=3, steps=25, seed=1)
    state = begun(SoftPolicyIteration(evaluation=evaluation), game, 0)
    for now in (Iteration(0, policies), Iteration(0, policies, played)):
        with pytest.raises(ValueError, match=r"now must hold the steps .* draws .*, got None"):
            state.improve(now)


class Imitator:
    """Does what it wants, and remembers what it saw."""

    name = "imitator"

    def __init__(self, needs="steps"):
        self.needs = needs
        self.begun, self.seen = [], []

    def start(self, game, agent, alpha, rng):
        self.begun.append((game, agent, alpha))
        return Imitating(self, game, agent)

    def values(self, now, q):
        return np.sin(1.0 + now.number + np.arange(q.size)).reshape(q.shape)


class Imitating:
    def __init__(self, learner, game, agent):
        self.learner, self.agent = learner, agent
        self.q = np.zeros((game.n_states, game.actions[agent]))

    def improve(self, now):
        self.learner.seen.append(now)
        return soft_improvement(self.learner.values(now, self.q), ALPHA)


@pytest.mark.parametrize("needs", ["rules", "steps", "draws"])
@pytest.mark.parametrize("record", [False, True])
def test_a_learner_of_ones_own_sees_what_happened(game, needs, record):
    ours, agent = Imitator(needs), game.n_agents - 1
    learners = [QLearning()] * agent + [ours]
    log = learn(
        game, learners, alpha=ALPHA, iterations=3, episodes=4, steps=20, record=record, seed=1
    )
    assert ours.begun == [(game, agent, ALPHA)]
    assert [now.number for now in ours.seen] == [0, 1, 2]
    for h, now in enumerate(ours.seen):
        for seen, policy in zip(now.policies, log.policies_at(h), strict=True):
            np.testing.assert_array_equal(seen, policy)
        q = np.zeros((game.n_states, game.actions[agent]))
        np.testing.assert_array_equal(log.q[agent][h], ours.values(now, q))
        if needs != "rules":
            counts = naive.joint_counts(game, *zip(*now.played, strict=True))
            np.testing.assert_array_equal(log.counts[h], counts)
        if needs != "rules" and record:
            np.testing.assert_array_equal(now.played.packed.codes, log.episodes[h].packed.codes)
        if needs == "draws":
            _, _, after = now.played.moves()
            np.testing.assert_array_equal(now.ahead // game.n_joint_actions, after)
    np.testing.assert_allclose(log.policies[agent][1:], softmax(log.q[agent] / ALPHA, axis=-1))


def test_steps_that_are_not_recorded_last_for_their_iteration_only():
    game, seen = random_game(np.random.default_rng(0)), []

    class Forgetful(Imitator):
        def values(self, now, q):
            self.seen.clear()
            agent = len(seen) % 2
            assert [one() for one in seen] == [None] * now.number * 2 + [now.played] * agent
            seen.append(ref(now.played))
            return q

    learn(game, Forgetful(), iterations=4, episodes=2, steps=3, seed=0)
    assert len(seen) == 8


def test_steps_are_gone_before_the_next_ones_are_played(monkeypatch):
    module, seen = import_module("malfl.learners.learn"), []

    class Recorder(module.Recorder):
        def __init__(self, *given):
            assert [one() for one in seen] == [None] * len(seen)
            super().__init__(*given)

    class Forgetful(Imitator):
        def values(self, now, q):
            self.seen.clear()
            seen.append(ref(now.played))
            return q

    monkeypatch.setattr(module, "Recorder", Recorder)
    game = random_game(np.random.default_rng(0))
    learn(game, Forgetful(), iterations=3, episodes=2, steps=3, seed=0)
    assert len(seen) == 6


SMALL = {"iterations": 1, "episodes": 1, "steps": 1, "seed": 0}


@pytest.mark.parametrize(
    ("learners", "error", "message"),
    [
        ([QLearning()], ValueError, "learners must .* of 2 agents, got 1"),
        ([QLearning()] * 3, ValueError, "learners must .* of 2 agents, got 3"),
        (QLearning, TypeError, r"learners must be a Learner, not a class .* QLearning\(\)"),
        ([QLearning, QLearning()], TypeError, r"learners\[0\] must be a Learner, .*QLearning\(\)"),
        ([QLearning(), QLearning], TypeError, r"learners\[1\] must be a Learner, not a class"),
        (
            [QLearning(), 5],
            TypeError,
            r"learners\[1\] must be of type Learner .*SoftPolicyIteration\(\).*int",
        ),
    ],
)
def test_bad_learners_are_named(hom, learners, error, message):
    with pytest.raises(error, match=message):
        learn(hom, learners, **SMALL)


@pytest.mark.parametrize("learners", [5, None, "magic", ["Q-learning", QLearning()], "ab"])
def test_what_is_no_learner_is_named(hom, learners):
    with pytest.raises(TypeError, match=r"^learners.* must be of type Learner"):
        learn(hom, learners, **SMALL)


@pytest.mark.parametrize("learners", ["magic", [QLearning(), "QLearning(beta=0.1)"]])
def test_the_text_of_a_learner_cannot_learn(hom, learners):
    with pytest.raises(TypeError, match=r"^learners.* must be of type Learner"):
        learn_all([hom], Training(learners, episodes=1, steps=1), seeds=[0])


def test_needs_must_be_known(hom):
    with pytest.raises(ValueError, match=r"needs of learners\[1\] must be one of rules"):
        learn(hom, [QLearning(), Imitator("step")], **SMALL)


class Spoilt(Imitator):
    """Learns what a function makes of values of zero."""

    def __init__(self, spoil):
        super().__init__("rules")
        self.spoil = spoil

    def start(self, game, agent, alpha, rng):
        return Spoiling(self, game, agent)


class Spoiling(Imitating):
    def improve(self, now):
        return self.learner.spoil(soft_improvement(self.q, ALPHA))


def refused(spoil, error, message):
    """Check that the second agent of two is named."""
    game = random_game(np.random.default_rng(0))
    with pytest.raises(error, match=message):
        learn(game, [QLearning(), Spoilt(spoil)], **SMALL)


SHAPES = [(lambda q: q[:, :-1], r"\(4, 2\)"), (np.ravel, r"\(12,\)"), (lambda q: q.T, r"\(3, 4\)")]


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_values_must_be_finite(number):
    refused(
        lambda one: Improvement(one.policy, one.values + number),
        ValueError,
        rf"values of learners\[1\]\[0, 0\] is {number}; every entry must be finite",
    )


@pytest.mark.parametrize(("spoil", "shape"), SHAPES)
def test_values_must_be_of_the_agents_states_and_actions(spoil, shape):
    refused(
        lambda one: Improvement(one.policy, spoil(one.values)),
        ValueError,
        rf"values of learners\[1\] must have shape \(4, 3\), got {shape}",
    )


@pytest.mark.parametrize(("spoil", "shape"), SHAPES)
def test_policies_must_be_of_the_agents_states_and_actions(spoil, shape):
    refused(
        lambda one: Improvement(spoil(one.policy), one.values),
        ValueError,
        rf"policy of learners\[1\] must have shape \(4, 3\), got {shape}",
    )


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (
            lambda policy: policy * np.nan,
            ValueError,
            r"\[0, 0\] is nan; every entry must be f",
        ),
        (lambda policy: policy * 1.5, ValueError, r"\[0\] sums to 1.5; it must sum to 1"),
        (
            lambda policy: policy - [[1, -1, 0]],
            ValueError,
            r"\[0, 0\] is -0.666667; probabilities must be 0 or more",
        ),
        (lambda policy: policy.astype(str), TypeError, " must be an array of real numbers, got <U"),
        (lambda policy: None, TypeError, " must be an array of real numbers, got object"),
    ],
)
def test_policies_must_be_distributions(spoil, error, message):
    refused(
        lambda one: Improvement(spoil(one.policy), None),
        error,
        rf"policy of learners\[1\]{message}",
    )


@pytest.mark.parametrize("spoil", [lambda one: one.policy, lambda one: None])
def test_an_improvement_must_be_one(spoil):
    refused(spoil, TypeError, r"learners\[1\]")


def test_who_learns_cannot_change_what_others_see():
    class Meddler(Imitator):
        def values(self, now, q):
            now.policies[0][:] = 0.0
            return q

    with pytest.raises(ValueError, match="read-only"):
        learn(random_game(np.random.default_rng(0)), Meddler("rules"), **SMALL)


@pytest.mark.parametrize(
    "learners",
    [
        RandomImprovements(),
        SoftValueIteration(),
        EXACT,
        [RandomImprovements(), SoftValueIteration()],
        [EXACT, RandomImprovements()],
    ],
    ids=str,
)
def test_who_learns_without_steps_learns_the_same_however_they_are_drawn(learners):
    """So many episodes of so small a game are counted without being played."""
    game = random_game(np.random.default_rng(0), (2, 2), 2)
    plain, recorded = (
        learn(
            game, learners, alpha=ALPHA, iterations=4, episodes=3000, steps=5, record=record,
            seed=3,
        )
        for record in (False, True)
    )  # fmt: skip
    assert (plain.counts != recorded.counts).any()
    for agent in (0, 1):
        np.testing.assert_array_equal(plain.policies[agent], recorded.policies[agent])
        np.testing.assert_array_equal(plain.q[agent], recorded.q[agent])


def test_steps_played_hold_all_the_memory_that_they_need(hom):
    """For one iteration what is only learned from, for all of them what is recorded."""
    many = {"iterations": 3, "episodes": 10**9, "seed": 0}
    with pytest.raises(MemoryError, match=r"1 x 1000000000 episodes of 1000 steps would need"):
        learn(hom, QLearning(), **many)
    with pytest.raises(MemoryError, match=r"3 x 1000000000 episodes of 1000 steps would need"):
        learn(hom, QLearning(), record=True, **many)


def test_draws_ahead_need_memory_too(hom):
    many = {"iterations": 3, "episodes": 10**9, "seed": 0}
    with pytest.raises(MemoryError, match=r"episodes of 1000 steps would need"):
        learn(hom, Imitator("draws"), **many)


def test_random_policies_are_no_start_for_values(game):
    """Soft value iteration and Q-learning begin from zero, wherever policies begin."""
    initial = random_policies(game.actions, game.n_states, np.random.default_rng(0))
    log = learn(
        game, SoftValueIteration(), alpha=ALPHA, iterations=1, episodes=1, steps=1, seed=0,
        initial=initial,
    )  # fmt: skip
    for agent in range(game.n_agents):
        zero = np.zeros_like(initial[agent])
        theirs = naive.backed_up(game, initial, agent, ALPHA, zero)
        np.testing.assert_allclose(log.q[agent][0], theirs, rtol=0, atol=1e-12)
