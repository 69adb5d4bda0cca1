import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl import sample_episodes
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery.consistency import consistency_system
from malfl.recovery.least_squares import least_squares
from malfl.recovery.printed import printed_system

ALPHA = 0.9
CLASSES = ("state", "state-action", "joint-action")
GAMES = [
    {},
    {"stochastic": False, "actions": (3, 2)},
    {"actions": (2, 1, 3), "states": 3},
    {"actions": (2, 2, 2), "stochastic": False},
]


def setting(seed=0, **options):
    rng = np.random.default_rng(seed)
    game = random_game(rng, **options)
    draws = [random_policies(game.actions, game.n_states, rng) for _ in range(4)]
    history = tuple(np.array(agent) for agent in zip(*draws, strict=True))
    counts = rng.integers(0, 4, size=(4, game.n_states, game.n_joint_actions)).astype(float)
    return game, history, counts, rng


def over_joint(game, agent, reward_class, reward):
    if reward_class == "state":
        return np.repeat(reward[:, None], game.n_joint_actions, axis=1)
    return reward[:, game.own_actions[agent]] if reward_class == "state-action" else reward


def losses(system, reward, shapings):
    """Weighted squares by improvement."""
    residual = system.reward @ reward.ravel() + system.shaping @ shapings.ravel() - system.targets
    squares = system.weights * residual**2
    return [squares[system.improvement == h].sum() for h in range(len(shapings))]


def expected_moves(game, counts):
    """(s, a, s', times) of each improvement's policy, next states in their expected numbers."""
    next_states, _ = naive.plain(game)
    return [
        [
            (s, a, s_next, counted[s, a] * p)
            for s in range(game.n_states)
            for a in range(game.n_joint_actions)
            for p, s_next in next_states[s][a]
        ]
        for counted in counts[1:]
    ]


@pytest.mark.parametrize("reward_class", CLASSES)
@pytest.mark.parametrize("options", GAMES)
@pytest.mark.parametrize("unknown", [False, True])
def test_the_loss_is_equation_12_as_printed(reward_class, options, unknown):
    game, history, counts, rng = setting(**options)
    if unknown:
        history[0][0, 1] = np.nan
        history[-1][2, 0] = np.nan
    data = expected_moves(game, counts)
    for agent in (0, game.n_agents - 1):
        y = naive.targets(game, history, agent, ALPHA)
        assert np.isnan(y).any() == unknown
        system = printed_system(game, history, agent, ALPHA, reward_class, counts)
        for _ in range(4):
            reward, g = rng.normal(size=system.shape), rng.normal(size=(3, game.n_states))
            full = over_joint(game, agent, reward_class, reward)
            theirs = naive.printed_loss(game, agent, y, full, g, data)
            np.testing.assert_allclose(losses(system, reward, g), theirs, rtol=1e-12)


@pytest.mark.parametrize("reward_class", CLASSES)
def test_in_a_deterministic_game_the_sum_is_over_the_very_steps(reward_class):
    game, history, _, rng = setting(stochastic=False, states=5)
    played = [
        sample_episodes(game, [p[h] for p in history], episodes=7, steps=9, seed=h)
        for h in range(4)
    ]
    counts = [naive.joint_counts(game, *zip(*part, strict=True)) for part in played]
    data = [
        [
            (states[t], a, states[t + 1], 1)
            for states, actions in part
            for t, a in enumerate(actions)
        ]
        for part in played[1:]
    ]
    y = naive.targets(game, history, 1, ALPHA)
    system = printed_system(game, history, 1, ALPHA, reward_class, np.array(counts))
    for _ in range(4):
        reward, g = rng.normal(size=system.shape), rng.normal(size=(3, 5))
        full = over_joint(game, 1, reward_class, reward)
        theirs = naive.printed_loss(game, 1, y, full, g, data)
        np.testing.assert_allclose(losses(system, reward, g), theirs, rtol=1e-12)


def test_what_was_not_seen_or_is_not_known_leaves_the_system():
    game, history, counts, _ = setting(stochastic=False)
    counts[:, 2] = 0
    system = printed_system(game, history, 1, ALPHA, "state", counts)
    assert len(system.targets) == (counts[1:] > 0).sum()
    assert system.reward.shape[0] == system.shaping.shape[0] == len(system.targets)
    assert (system.weights > 0).all()
    np.testing.assert_array_equal(system.touched, [True, True, False, True])
    assert system.states == 4
    history[1][2, 3] = np.nan
    fewer = printed_system(game, history, 1, ALPHA, "state", counts)
    assert len(fewer.targets) < len(system.targets)
    assert np.isfinite(fewer.targets).all()


def test_the_true_reward_is_no_minimum_even_with_exact_policies():
    game = random_game(np.random.default_rng(3), state_rewards=True)
    policies = iterate_exactly(game, alpha=ALPHA, iterations=3)
    counts = np.ones((4, game.n_states, game.n_joint_actions))
    printed = least_squares(printed_system(game, policies, 0, ALPHA, "state", counts))
    right = least_squares(consistency_system(game, policies, 0, ALPHA, "state"))
    true = game.rewards[0] - game.rewards[0].mean()
    np.testing.assert_allclose(right.reward, true, atol=1e-8)
    assert np.abs(printed.reward - printed.reward.mean() - true).max() > 0.05
    assert printed.loss > 0.1


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.ones((3, 4, 6)), r"counts must have shape \(4, 4, 6\), got \(3, 4, 6\)"),
        (np.ones((4, 4, 3)), r"counts must have shape \(4, 4, 6\), got \(4, 4, 3\)"),
        (np.full((4, 4, 6), -1), r"counts\[0, 0, 0\] is -1; counts must be whole"),
        (np.full((4, 4, 6), 0.5), r"counts\[0, 0, 0\] is 0.5; counts must be whole"),
    ],
)
def test_bad_counts_are_named(counts, message):
    game, history, _, _ = setting()
    with pytest.raises(ValueError, match=message):
        printed_system(game, history, 1, ALPHA, "state", counts)


def test_bad_reward_classes_are_named():
    game, history, counts, _ = setting()
    with pytest.raises(ValueError, match="reward_class must be one of state, state-action"):
        printed_system(game, history, 1, ALPHA, "action", counts)
