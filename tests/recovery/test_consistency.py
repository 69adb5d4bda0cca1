import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl.recovery.consistency import consistency_system
from malfl.recovery.least_squares import least_squares
from malfl.recovery.projection import determination

ALPHA = 0.9
CLASSES = ("state", "state-action", "joint-action")


def setting(reward_class, seed=0, **options):
    """A random game and history, with a reward and shapings of random numbers in the class."""
    rng = np.random.default_rng(seed)
    game = random_game(rng, **options)
    draws = [random_policies(game.actions, game.n_states, rng) for _ in range(4)]
    history = tuple(np.array(agent) for agent in zip(*draws, strict=True))
    agent = game.n_agents - 1
    states, own, joint = game.n_states, game.actions[agent], game.n_joint_actions
    shape = {"state": (states,), "state-action": (states, own), "joint-action": (states, joint)}
    reward = rng.normal(size=shape[reward_class])
    if reward_class == "state":
        over_joint = np.repeat(reward[:, None], joint, axis=1)
    elif reward_class == "state-action":
        over_joint = reward[:, game.own_actions[agent]]
    else:
        over_joint = reward
    return game, history, agent, reward, over_joint, rng.normal(size=(3, states))


@pytest.mark.parametrize("reward_class", CLASSES)
@pytest.mark.parametrize("options", [{}, {"actions": (2, 1, 3), "states": 3}, {"actions": (3,)}])
def test_the_system_is_the_error_of_equation_12(reward_class, options):
    game, history, agent, reward, over_joint, g = setting(reward_class, **options)
    system = consistency_system(game, history, agent, ALPHA, reward_class)
    ours = system.reward @ reward.ravel() + system.shaping @ g.ravel() - system.targets
    y = naive.targets(game, history, agent, ALPHA)
    theirs = naive.consistency_residuals(game, history, agent, y, over_joint, g)
    np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, atol=1e-12)
    assert system.touched.all()


@pytest.mark.parametrize("reward_class", CLASSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_least_squares_is_the_minimum_of_least_norm(reward_class, weighted):
    game, history, agent, *_ = setting(reward_class)
    weights = np.random.default_rng(1).integers(0, 5, size=(3, 4, 3)).astype(float)
    system = consistency_system(
        game, history, agent, ALPHA, reward_class, weights if weighted else None
    )
    fit = least_squares(system)
    scale = np.sqrt(system.weights)[:, None]
    both = np.hstack([system.reward.toarray(), system.shaping.toarray()]) * scale
    aim = system.targets * scale[:, 0]
    best = np.linalg.lstsq(both, aim, rcond=1e-10)[0]
    assert fit.loss == pytest.approx(((both @ best - aim) ** 2).sum(), abs=1e-10)
    assert fit.converged
    # Project the shapings out of a dense copy: what is left must agree entry by entry.
    g = system.shaping.toarray() * scale
    left = np.eye(len(g)) - g @ np.linalg.pinv(g, rcond=1e-10)
    reduced = left @ (system.reward.toarray() * scale)
    expected = np.linalg.pinv(reduced, rcond=1e-10) @ (left @ aim)
    np.testing.assert_allclose(fit.reward, expected, atol=1e-8)
    values = np.linalg.svd(reduced, compute_uv=False)
    how = determination(system)
    assert how.rank == (values > 1e-10 * values[0]).sum()
    assert how.smallest_singular_value == pytest.approx(values[how.rank - 1], rel=1e-6)
    assert how.largest_singular_value == pytest.approx(values[0])
    assert how.free == how.unknowns - how.rank


def test_unweighted_rows_leave_the_system():
    game, history, agent, *_ = setting("state")
    weights = np.ones((3, 4, 3))
    weights[:, 2] = 0
    system = consistency_system(game, history, agent, ALPHA, "state", weights)
    assert len(system.targets) == 27
    np.testing.assert_array_equal(system.touched, [True, True, False, True])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((3, 4)), r"weights must have shape \(3, 4, 3\), got \(3, 4\)"),
        (-np.ones((3, 4, 3)), r"weights\[0, 0, 0\] is -1; it must be 0 or more"),
        (np.full((3, 4, 3), np.nan), r"weights\[0, 0, 0\] is nan"),
    ],
)
def test_bad_weights_are_named(weights, message):
    game, history, agent, *_ = setting("state")
    with pytest.raises(ValueError, match=message):
        consistency_system(game, history, agent, ALPHA, "state", weights)


def test_bad_options_are_named():
    game, history, agent, *_ = setting("state")
    with pytest.raises(ValueError, match="reward_class must be one of state, state-action"):
        consistency_system(game, history, agent, ALPHA, "action")
