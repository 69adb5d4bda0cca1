import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.special import logsumexp

from malfl.games.soft import induced_mdp, marginal_soft_q
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery.targets import improvement_targets

ALPHA = 0.9


@pytest.fixture
def history(game):
    """Three joint policies with nothing to do with each other."""
    draws = [
        random_policies(game.actions, game.n_states, np.random.default_rng(k)) for k in range(3)
    ]
    return tuple(np.array(agent) for agent in zip(*draws, strict=True))


def test_targets_are_the_oracles(game, history):
    for agent in range(game.n_agents):
        ours = improvement_targets(game, history, agent, ALPHA)
        np.testing.assert_allclose(ours, naive.targets(game, history, agent, ALPHA), atol=1e-12)


def test_theorem_5_1(game):
    """Both sides agree for the shaping named in the proof, for every improvement and agent."""
    history = iterate_exactly(game, alpha=ALPHA, iterations=4)
    for agent in range(game.n_agents):
        targets = improvement_targets(game, history, agent, ALPHA)
        for h in range(4):
            before = [policies[h] for policies in history]
            mdp = induced_mdp(game, before, agent)
            g = -ALPHA * logsumexp(marginal_soft_q(game, before, agent, ALPHA) / ALPHA, axis=1)
            shaping = g[:, None] - game.gamma * (mdp.transitions @ g).reshape(game.n_states, -1)
            np.testing.assert_allclose(mdp.rewards[0] + shaping, targets[h], atol=1e-10)


def test_unknown_policies_leave_only_the_targets_that_need_them_unknown(game, history):
    gap = [policy.copy() for policy in history]
    gap[0][1, 2] = np.nan
    targets = improvement_targets(game, gap, 0, ALPHA)
    assert np.isnan(targets[0, 2]).all()
    dense = game.transitions.toarray().reshape(game.n_states, game.n_joint_actions, -1)
    leads = (dense[:, :, 2] > 0).reshape(game.n_states, *game.actions)
    leads = leads.any(axis=tuple(range(2, leads.ndim)))
    others = np.arange(game.n_states) != 2
    np.testing.assert_array_equal(np.isnan(targets[0])[others], leads[others])


def test_zeros_are_refused_where_a_logarithm_is_needed(game, history):
    history[0][1, 2] = np.eye(game.actions[0])[0]
    if game.actions[0] > 1:
        with pytest.raises(ValueError, match=r"policies\[0\]\[1, 2, 1\] is 0, and its logarithm"):
            improvement_targets(game, history, 0, ALPHA)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p[:-1], "one array for each of"),
        (lambda p: [p[0][0], *p[1:]], r"policies\[0\] must have shape \(n, "),
        (lambda p: [p[0][:, :-1], *p[1:]], r"policies\[0\] must have shape \(n, "),
        (lambda p: [2 * p[0], *p[1:]], r"policies\[0\]\[0, 0\] sums to 2; it must sum to 1"),
        (lambda p: [np.where(np.arange(len(p[0][0, 0])) == 0, np.nan, p[0]), *p[1:]], "is nan"),
    ],
)
def test_what_is_no_history_is_named(spoil, message):
    game = random_game(np.random.default_rng(7))
    draws = [random_policies((2, 3), 4, np.random.default_rng(k)) for k in range(3)]
    history = [np.array(agent) for agent in zip(*draws, strict=True)]
    with pytest.raises(ValueError, match=message):
        improvement_targets(game, spoil(history), 0, ALPHA)


def test_one_policy_shows_no_improvement(game, history):
    with pytest.raises(ValueError, match="at least one improvement, got 1 iteration"):
        improvement_targets(game, [policy[:1] for policy in history], 0, ALPHA)
