from dataclasses import replace

import naive
import numpy as np
import pytest
from drawn import random_game

import malfl
from malfl import Observation, estimate_policies, learn, recover
from malfl.games import Dynamics
from malfl.learners.soft_policy_iteration import SoftPolicyIteration
from malfl.recovery.alone import alone

ALPHA = 0.7


def logged(game, episodes=3, steps=8):
    return learn(
        game, SoftPolicyIteration(), alpha=ALPHA, iterations=4, episodes=episodes, steps=steps,
        record=True, seed=1,
    )  # fmt: skip


def moves(seen):
    """Where actions of the only agent lead, (S, A_i, S)."""
    states = seen.dynamics.n_states
    return seen.dynamics.transitions.toarray().reshape(states, -1, states)


@pytest.mark.parametrize("steps", [1, 30])
def test_where_actions_lead_is_the_average_over_what_was_seen(game, steps):
    """And where something was never tried, over what the others may do."""
    log = logged(game, episodes=1, steps=steps)
    if steps == 1:
        assert (log.counts.sum(axis=(0, 2)) == 0).any()
    for agent in range(game.n_agents):
        seen = alone(log.observed_by(None), agent)
        expected = naive.pooled(game, log.counts, agent)
        np.testing.assert_allclose(moves(seen), expected, rtol=0, atol=1e-12)


def test_what_was_never_tried_may_lead_anywhere_that_the_others_choose():
    """By hand: the other agent's three actions lead to states 0, 1 and 2, whatever one does."""
    table = np.tile([0, 1, 2], (3, 2))
    game = Dynamics(actions=(2, 3), transitions=table, start=0, gamma=0.5)
    counts = np.zeros((2, 3, 6))
    counts[0, 0, 0], counts[1, 0, 2], counts[1, 0, 5] = 3, 1, 2
    seen = Observation(None, game, ALPHA, counts, None)
    expected = np.full((3, 2, 3), 1 / 3)
    expected[0] = [[0.75, 0, 0.25], [0, 0, 1]]
    np.testing.assert_allclose(moves(alone(seen, 0)), expected, rtol=1e-12)
    others = np.zeros((3, 3, 3))
    others[:] = np.eye(3)
    np.testing.assert_allclose(moves(alone(seen, 1)), others, rtol=1e-12)


def test_it_is_a_bystanders_view_of_a_game_of_one(game):
    log = logged(game)
    whole = replace(log.observed_by(None), alpha=0.123)
    for agent in range(game.n_agents):
        seen = alone(whole, agent)
        assert (seen.observer, seen.own_policies, seen.trajectories) == (None, None, None)
        assert seen.alpha == 0.123
        assert type(seen.dynamics) is Dynamics
        assert seen.dynamics.actions == (game.actions[agent],)
        assert seen.dynamics.gamma == game.gamma
        np.testing.assert_array_equal(seen.dynamics.start, game.start)
        for h, counts in enumerate(log.counts):
            own = np.zeros((game.n_states, game.actions[agent]))
            for a, joint in enumerate(naive.joint_actions(game.actions)):
                own[:, joint[agent]] += counts[:, a]
            np.testing.assert_array_equal(seen.counts[h], own)
        np.testing.assert_array_equal(
            estimate_policies(seen).policies[0], estimate_policies(whole).policies[agent]
        )


def test_agents_see_each_other_alone_as_bystanders_do():
    log = logged(random_game(np.random.default_rng(2)))
    for observer, of in ((0, 1), (1, 0)):
        ours, theirs = alone(log.observed_by(observer), of), alone(log.observed_by(None), of)
        np.testing.assert_array_equal(ours.counts, theirs.counts)
        np.testing.assert_array_equal(moves(ours), moves(theirs))
    with pytest.raises(ValueError, match="of must be another agent than the observer, both are 1"):
        alone(log.observed_by(1), 1)
    with pytest.raises(ValueError, match=r"of must lie in 0\.\.1, got 2"):
        alone(log.observed_by(1), 2)


def test_who_is_alone_is_seen_as_it_is_once_all_was_tried():
    game = random_game(np.random.default_rng(2), (3,), 5, state_rewards=True)
    seen = logged(game, episodes=50, steps=50).observed_by(None)
    assert (seen.counts.sum(axis=0) > 0).all()
    single = alone(seen, 0)
    np.testing.assert_allclose(moves(single), moves(seen), rtol=0, atol=1e-12)
    for method in ("least_squares", "structural", "causal_entropy"):
        ours, theirs = (recover(one, of=0, method=method).values for one in (single, seen))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-7)


def test_a_world_that_does_not_move_is_read_alone_as_well_as_in_company():
    """And one that does is not."""
    game = random_game(np.random.default_rng(4), (3, 3), 5, state_rewards=True)
    for learners, as_well in ((["soft policy iteration", Still()], True), (Restless(), False)):
        log = learn(
            game, learners, alpha=ALPHA, iterations=6, episodes=3000, steps=50,
            evaluation="exact", seed=0,
        )  # fmt: skip
        seen = log.observed_by(None)
        score = [
            malfl.correlation(recover(one, of=0, method="least_squares"), game.rewards[0]).pearson
            for one in (alone(seen, 0), seen)
        ]
        assert score[1] > 0.97
        assert (score[0] > score[1] - 0.002) == as_well


class Still:
    needs_steps = False

    def values(self, now):
        return 0 * now.q


class Restless:
    """Agent 0 learns; agent 1 does something else in every round."""

    needs_steps = False

    def values(self, now):
        if now.agent == 0:
            return SoftPolicyIteration().values(now)
        return np.random.default_rng(now.number).normal(size=now.q.shape) * 2
