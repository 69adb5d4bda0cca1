from weakref import ref

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.special import softmax

from malfl import learn, soft
from malfl.learners.learner import Learner, Round
from malfl.learners.q_learning import QLearning
from malfl.learners.random_improvements import RandomImprovements
from malfl.learners.soft_policy_iteration import SoftPolicyIteration
from malfl.learners.soft_value_iteration import SoftValueIteration
from malfl.sampling import sample_trajectories

ALPHA = 0.8
NAMES = {
    "soft policy iteration": SoftPolicyIteration(),
    "soft value iteration": SoftValueIteration(),
    "Q-learning": QLearning(beta=0.1),
    "random improvements": RandomImprovements(points=15),
}


def in_round(game, policies, agent, q=None, played=None, number=0):
    """An iteration of one agent, as it finds it."""
    q = np.random.default_rng(agent).normal(size=policies[agent].shape) if q is None else q
    rng = np.random.default_rng(0)
    return Round(game, agent, ALPHA, number, policies, q, played, rng)


def test_the_exact_learner_evaluates_what_everyone_plays(game, policies):
    for agent in range(game.n_agents):
        values = naive.soft_q(game, policies, agent, ALPHA)
        theirs = naive.over_opponents(game, policies, agent, values)
        ours = SoftPolicyIteration().values(in_round(game, policies, agent))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_soft_value_iteration_backs_its_values_up_once(game, policies):
    for agent in range(game.n_agents):
        now = in_round(game, policies, agent)
        theirs = naive.backed_up(game, policies, agent, ALPHA, now.q)
        np.testing.assert_allclose(SoftValueIteration().values(now), theirs, rtol=0, atol=1e-12)


def test_large_values_are_backed_up_without_overflow(game, policies):
    q = 1e5 + np.zeros_like(policies[0])
    values = SoftValueIteration().values(in_round(game, policies, 0, q))
    small = SoftValueIteration().values(in_round(game, policies, 0, 0 * q))
    np.testing.assert_allclose(values, small + game.gamma * 1e5, rtol=1e-12)


def test_soft_value_iteration_ends_at_the_soft_optimum():
    game = random_game(np.random.default_rng(0), (3,))
    log = learn(
        game, "soft value iteration", alpha=ALPHA, iterations=150, episodes=1, steps=1, seed=0
    )
    best = naive.best_response(game, game.uniform_policies(), 0, ALPHA)
    np.testing.assert_allclose(log.policies[0][-1], best, rtol=0, atol=1e-9)
    assert np.abs(log.policies[0][4] - best).max() > 1e-3


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_q_learning_goes_along_the_steps_of_the_round(game, policies, beta):
    played = sample_trajectories(game, policies, episodes=3, steps=25, seed=1)
    for agent in range(game.n_agents):
        now = in_round(game, policies, agent, played=played)
        before = now.q.copy()
        theirs = naive.watkins(game, agent, beta, before, played.states, played.actions)
        values = QLearning(beta).values(now)
        np.testing.assert_allclose(values, theirs, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(now.q, before)  # those of the last round stay as they are


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


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_a_learner(game, name):
    """With its step size, where it has one."""
    options = {"alpha": ALPHA, "iterations": 3, "episodes": 4, "steps": 20, "seed": 2}
    named = learn(game, name, evaluation="exact", **options)
    given = learn(game, [NAMES[name]] * game.n_agents, **options)
    np.testing.assert_array_equal(named.counts, given.counts)
    for agent in range(game.n_agents):
        np.testing.assert_array_equal(named.policies[agent], given.policies[agent])


def test_beta_is_q_learnings_step_size(game):
    options = {"alpha": ALPHA, "iterations": 2, "episodes": 4, "steps": 20, "seed": 2}
    named = learn(game, "Q-learning", beta=0.7, **options)
    given = learn(game, QLearning(0.7), beta=0.2, **options)
    other = learn(game, QLearning(0.2), beta=0.7, **options)
    np.testing.assert_array_equal(named.q[0], given.q[0])
    assert np.abs(named.q[0] - other.q[0]).max() > 1e-3


def test_they_are_what_a_learner_must_be():
    for one in NAMES.values():
        assert isinstance(one, Learner)
    assert [one.needs_steps for one in NAMES.values()] == [False, False, True, False]
    assert QLearning().beta == 0.1
    assert RandomImprovements().points == 15


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QLearning(beta=0), r"beta must lie in \(0, 1\], got 0"),
        (lambda: QLearning(beta=1.5), r"beta must lie in \(0, 1\], got 1.5"),
        (lambda: QLearning(beta=np.nan), "beta must be finite, got nan"),
        (lambda: QLearning(beta="small"), "beta must be a number, got 'small'"),
        (lambda: RandomImprovements(points=0), "points must be at least 1, got 0"),
        (lambda: RandomImprovements(points=2.5), "points must be a whole number, got 2.5"),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_q_learning_needs_steps(game, policies):
    with pytest.raises(ValueError, match=r"now\.played must hold the steps .*, got None"):
        QLearning().values(in_round(game, policies, 0))


KNOWN = "soft policy iteration, soft value iteration, Q-learning, random improvements"


@pytest.mark.parametrize(
    ("learners", "error", "message"),
    [
        ("magic", ValueError, rf"learners\[0\] must be one of {KNOWN}, got 'magic'"),
        (
            ["Q-learning", "q-learning"],
            ValueError,
            rf"learners\[1\] must be one of {KNOWN}, got 'q-learning'",
        ),
        (["Q-learning"], ValueError, "learners must .* of 2 agents, got 1"),
        ([QLearning()] * 3, ValueError, "learners must .* of 2 agents, got 3"),
        (
            [QLearning, QLearning()],
            TypeError,
            r"learners\[0\] must be a Learner, .*QLearning\(\)",
        ),
        ([QLearning(), QLearning], TypeError, r"learners\[1\] must be a Learner, not a class"),
        ([QLearning(), 5], TypeError, rf"learners\[1\] must be of type Learner .* {KNOWN}.*int"),
        (5, TypeError, "learners must be a sequence with one entry for each agent, got 5"),
        (None, TypeError, "learners must be a sequence with one entry for each agent, got None"),
    ],
)
def test_bad_learners_are_named(hom, learners, error, message):
    with pytest.raises(error, match=message):
        learn(hom, learners, episodes=1, steps=1, seed=0)


class Imitator:
    """Does what it saw itself do, and keeps all that it was told."""

    def __init__(self, needs_steps=True):
        self.needs_steps = needs_steps
        self.rounds = []

    def values(self, now):
        self.rounds.append(now)
        return np.sin(1.0 + now.number + np.arange(now.q.size)).reshape(now.q.shape)


@pytest.mark.parametrize("needs_steps", [False, True])
@pytest.mark.parametrize("record", [False, True])
def test_a_learner_of_ones_own_is_told_what_happened(game, needs_steps, record):
    ours, agent = Imitator(needs_steps), game.n_agents - 1
    learners = ["Q-learning"] * agent + [ours]
    log = learn(
        game, learners, alpha=ALPHA, iterations=3, episodes=4, steps=20, record=record, seed=1
    )
    assert [now.number for now in ours.rounds] == [0, 1, 2]
    for h, now in enumerate(ours.rounds):
        assert (now.game, now.agent, now.alpha) == (game, agent, ALPHA)
        for told, policy in zip(now.policies, log.policies_at(h), strict=True):
            np.testing.assert_array_equal(told, policy)
        before = np.zeros_like(now.q) if h == 0 else log.q[agent][h - 1]
        np.testing.assert_array_equal(now.q, before)
        expected = np.sin(1.0 + h + np.arange(now.q.size)).reshape(now.q.shape)
        np.testing.assert_array_equal(log.q[agent][h], expected)
        if needs_steps:
            counts = naive.joint_counts(game, now.played.states, now.played.actions)
            np.testing.assert_array_equal(log.counts[h], counts)
        if needs_steps and record:
            np.testing.assert_array_equal(now.played.steps, log.trajectories[h].steps)
    np.testing.assert_allclose(log.policies[agent][1:], softmax(log.q[agent] / ALPHA, axis=-1))


def test_steps_that_are_not_recorded_are_kept_for_their_round_only():
    game, kept = random_game(np.random.default_rng(0)), []

    class Forgetful(Imitator):
        def values(self, now):
            assert [one() for one in kept] == [None] * now.number * 2 + [now.played] * now.agent
            kept.append(ref(now.played))
            return now.q

    learn(game, Forgetful(), iterations=4, episodes=2, steps=3, seed=0)
    assert len(kept) == 8


def test_values_that_are_none_are_refused(game):
    ours = Imitator()
    ours.values = lambda now: now.q * np.nan
    with pytest.raises(ValueError, match=r"values of learners\[0\]\[0, 0\] is nan; every entry"):
        learn(game, ours, iterations=1, episodes=1, steps=1, seed=0)


@pytest.mark.parametrize(
    ("spoil", "shape"),
    [(lambda q: q[:, :-1], r"\(4, 2\)"), (np.ravel, r"\(12,\)"), (lambda q: q.T, r"\(3, 4\)")],
)
def test_values_must_be_of_the_agents_states_and_actions(spoil, shape):
    game = random_game(np.random.default_rng(0))
    ours = Imitator()
    ours.values = lambda now: spoil(now.q)
    message = rf"values of learners\[1\] must have shape \(4, 3\), got {shape}"
    with pytest.raises(ValueError, match=message):
        learn(game, ["Q-learning", ours], iterations=1, episodes=1, steps=1, seed=0)


def test_values_must_be_finite_also_of_the_second_agent():
    ours = Imitator()
    ours.values = lambda now: now.q + np.inf
    with pytest.raises(ValueError, match=r"values of learners\[1\]\[0, 0\] is inf; every entry"):
        learn(
            random_game(np.random.default_rng(0)), ["Q-learning", ours], iterations=1, episodes=1,
            steps=1, seed=0,
        )  # fmt: skip


@pytest.mark.parametrize(
    "learners",
    [
        "random improvements", "soft value iteration", "soft policy iteration",
        ["random improvements", "soft value iteration"],
        ["soft policy iteration", "random improvements"],
    ],
)  # fmt: skip
def test_who_learns_without_steps_learns_the_same_however_they_are_drawn(learners):
    """So many episodes of so small a game are counted without being played."""
    game = random_game(np.random.default_rng(0), (2, 2), 2)
    plain, recorded = (
        learn(
            game, learners, alpha=ALPHA, iterations=4, episodes=3000, steps=5, evaluation="exact",
            record=record, seed=3,
        )
        for record in (False, True)
    )  # fmt: skip
    assert (plain.counts != recorded.counts).any()
    for agent in (0, 1):
        np.testing.assert_array_equal(plain.policies[agent], recorded.policies[agent])
        np.testing.assert_array_equal(plain.q[agent], recorded.q[agent])


def test_steps_played_hold_all_the_memory_that_they_need(hom):
    """What is learned from is kept for one round, what is recorded for all."""
    many = {"iterations": 3, "episodes": 10**9, "seed": 0}
    with pytest.raises(MemoryError, match=r"trajectories of 1 x 1000000000 episodes of 1000"):
        learn(hom, "Q-learning", **many)
    with pytest.raises(MemoryError, match=r"trajectories of 3 x 1000000000 episodes of 1000"):
        learn(hom, "Q-learning", record=True, **many)


def test_random_policies_are_no_start_for_values(game):
    """Soft value iteration and Q-learning begin from zero, wherever policies begin."""
    initial = random_policies(game.actions, game.n_states, np.random.default_rng(0))
    log = learn(
        game, "soft value iteration", alpha=ALPHA, iterations=1, episodes=1, steps=1, seed=0,
        initial=initial,
    )  # fmt: skip
    for agent in range(game.n_agents):
        zero = np.zeros_like(initial[agent])
        theirs = naive.backed_up(game, initial, agent, ALPHA, zero)
        np.testing.assert_allclose(log.q[agent][0], theirs, rtol=0, atol=1e-12)
