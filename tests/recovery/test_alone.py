from dataclasses import dataclass, replace
from typing import ClassVar

import naive
import numpy as np
import pytest
from drawn import random_game

import malfl
from malfl import Dynamics, SoftPolicyIteration, View, estimate_policies, learn, recover
from malfl.learners.learner import soft_improvement
from malfl.recovery import (
    AsIfAlone,
    CausalEntropy,
    EvidenceRidge,
    LeastSquares,
    PathLikelihood,
    Replay,
    Structural,
    WithEstimatedRules,
    as_if_alone,
)
from malfl.recovery.recovery import Recovery

ALPHA = 0.7
EXACT = SoftPolicyIteration(evaluation="exact")


def logged(game, episodes=3, steps=8):
    return learn(
        game, alpha=ALPHA, iterations=4, episodes=episodes, steps=steps, record=True, seed=1
    )


def moves(view):
    """Where actions of the only agent lead, (S, A_i, S)."""
    states = view.dynamics.n_states
    return view.dynamics.transitions.toarray().reshape(states, -1, states)


@pytest.mark.parametrize("steps", [1, 30])
def test_where_actions_lead_is_the_average_over_what_was_seen(game, steps):
    """And where something was never tried, over what the others may do."""
    log = logged(game, episodes=1, steps=steps)
    if steps == 1:
        assert (log.counts.sum(axis=(0, 2)) == 0).any()
    for agent in range(game.n_agents):
        view = as_if_alone(log.seen_by(None), agent)
        expected = naive.pooled(game, log.counts, agent)
        np.testing.assert_allclose(moves(view), expected, rtol=0, atol=1e-12)


def test_what_was_never_tried_may_lead_anywhere_that_the_others_choose():
    """By hand: the other agent's three actions lead to states 0, 1 and 2, whatever one does."""
    table = np.tile([0, 1, 2], (3, 2))
    game = Dynamics(actions=(2, 3), transitions=table, start=0, gamma=0.5)
    counts = np.zeros((2, 3, 6))
    counts[0, 0, 0], counts[1, 0, 2], counts[1, 0, 5] = 3, 1, 2
    view = View(None, game, ALPHA, counts, None)
    expected = np.full((3, 2, 3), 1 / 3)
    expected[0] = [[0.75, 0, 0.25], [0, 0, 1]]
    np.testing.assert_allclose(moves(as_if_alone(view, 0)), expected, rtol=1e-12)
    others = np.zeros((3, 3, 3))
    others[:] = np.eye(3)
    np.testing.assert_allclose(moves(as_if_alone(view, 1)), others, rtol=1e-12)


def test_it_is_a_bystanders_view_of_a_game_of_one(game):
    log = logged(game)
    whole = replace(log.seen_by(None), alpha=0.123)
    for agent in range(game.n_agents):
        view = as_if_alone(whole, agent)
        assert (view.observer, view.own_policies, view.episodes) == (None, None, None)
        assert view.alpha == 0.123
        assert type(view.dynamics) is Dynamics
        assert view.dynamics.actions == (game.actions[agent],)
        assert view.dynamics.gamma == game.gamma
        np.testing.assert_array_equal(view.dynamics.start, game.start)
        for h, counts in enumerate(log.counts):
            own = np.zeros((game.n_states, game.actions[agent]))
            for a, joint in enumerate(naive.joint_actions(game.actions)):
                own[:, joint[agent]] += counts[:, a]
            np.testing.assert_array_equal(view.counts[h], own)
        np.testing.assert_array_equal(estimate_policies(view)[0], estimate_policies(whole)[agent])


def test_agents_see_each_other_alone_as_bystanders_do():
    log = logged(random_game(np.random.default_rng(2)))
    for observer, of in ((0, 1), (1, 0)):
        ours, theirs = (as_if_alone(log.seen_by(who), of) for who in (observer, None))
        np.testing.assert_array_equal(ours.counts, theirs.counts)
        np.testing.assert_array_equal(moves(ours), moves(theirs))
    with pytest.raises(ValueError, match="of must be another agent than the observer, both are 1"):
        as_if_alone(log.seen_by(1), 1)
    with pytest.raises(ValueError, match=r"of must lie in 0\.\.1, got 2"):
        as_if_alone(log.seen_by(1), 2)


def test_who_is_alone_is_seen_as_it_is_once_all_was_tried():
    game = random_game(np.random.default_rng(2), (3,), 5, state_rewards=True)
    view = logged(game, episodes=50, steps=50).seen_by(None)
    assert (view.counts.sum(axis=0) > 0).all()
    single = as_if_alone(view, 0)
    np.testing.assert_allclose(moves(single), moves(view), rtol=0, atol=1e-12)
    for by in (LeastSquares(), Structural(), CausalEntropy()):
        ours, theirs = (recover(one, of=0, by=by).values for one in (single, view))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-7)
        np.testing.assert_array_equal(recover(view, of=0, by=AsIfAlone(by)).values, ours)


def test_a_world_that_does_not_move_is_read_alone_as_well_as_in_company():
    """And one that does is not."""
    game = random_game(np.random.default_rng(4), (3, 3), 5, state_rewards=True)
    for other, as_well in ((Still(), True), (Restless(), False)):
        log = learn(
            game, [EXACT, other], alpha=ALPHA, iterations=6, episodes=3000, steps=50, seed=0
        )
        alone, in_company = (
            malfl.correlation(recover(log.seen_by(None), of=0, by=by), game.rewards[0]).pearson
            for by in (AsIfAlone(LeastSquares()), LeastSquares())
        )
        assert in_company > 0.97
        assert (alone > in_company - 0.002) == as_well


@pytest.mark.parametrize(
    "by", [LeastSquares("state-action"), EvidenceRidge(), PathLikelihood([EXACT]), CausalEntropy()]
)
def test_the_estimator_sees_the_agent_alone_and_no_later_iterations(by):
    view = logged(random_game(np.random.default_rng(2)), episodes=60, steps=30).seen_by(0)
    wrapped = Recovery(view, of=1, by=AsIfAlone(by))
    for improvements in (2, 1, 3):
        inner = Recovery(as_if_alone(view.first(improvements + 1), 1), of=0, by=by)
        ours, theirs = wrapped.reward(improvements), inner.reward()
        np.testing.assert_array_equal(ours.values, theirs.values)
        np.testing.assert_array_equal(
            wrapped.prepared.next_policy(ours, improvements),
            inner.prepared.next_policy(theirs, improvements),
        )


@pytest.mark.parametrize(
    "estimator",
    [Replay(), PathLikelihood([malfl.QLearning()]), WithEstimatedRules(Structural())],
)
def test_steps_of_an_agent_alone_were_never_seen(estimator):
    with pytest.raises(ValueError, match="estimator must do without steps, got "):
        AsIfAlone(estimator)


@dataclass(frozen=True)
class Still:
    """Does not learn."""

    name = "still"
    needs: ClassVar = "rules"

    def start(self, game, agent, alpha, rng):
        nothing = np.zeros((game.n_states, game.actions[agent]))
        return Moves(lambda number: soft_improvement(nothing, alpha))


@dataclass(frozen=True)
class Restless:
    """Does something else in every round."""

    name = "restless"
    needs: ClassVar = "rules"

    def start(self, game, agent, alpha, rng):
        shape = game.n_states, game.actions[agent]

        def values(number):
            return 2 * np.random.default_rng(number).normal(size=shape)

        return Moves(lambda number: soft_improvement(values(number), alpha))


class Moves:
    def __init__(self, next_improvement):
        self.next_improvement = next_improvement

    def improve(self, now):
        return self.next_improvement(now.number)
