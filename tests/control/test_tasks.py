"""Tasks against Gymnasium's own environments."""

import gymnasium
import numpy as np
import pytest

from malfl.control.simulations import Simulations
from malfl.control.tasks import TASKS, task_of

OPTIONS = {"Ant": {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0.0}}
STEPS = 500


def environment(name):
    return gymnasium.make(f"{name}-v5", **OPTIONS.get(name, {})).unwrapped


@pytest.fixture(params=list(TASKS))
def both(request):
    """Three simulations, of which number 1 begins where the environment does."""
    env = environment(request.param)
    simulations = Simulations(task_of(request.param), 3, np.random.default_rng(0))
    seen, _ = env.reset(seed=1)
    yield env, simulations, seen
    env.close()


def as_the_environment(simulations, env):
    qpos, qvel = env.data.qpos.copy()[None], env.data.qvel.copy()[None]
    simulations.put(np.array([1]), qpos, qvel)


def test_what_is_seen_and_earned_is_the_same(both):
    """Observations bit for bit; a new episode begins in both whenever one has ended."""
    env, simulations, seen = both
    rng, bounds = np.random.default_rng(2), simulations.bounds.T
    as_the_environment(simulations, env)
    np.testing.assert_array_equal(simulations.seen()[1], seen)
    episodes = 0
    for _ in range(STEPS):
        actions = rng.uniform(*bounds, size=(3, bounds.shape[1]))
        step = simulations.step(actions)
        seen, reward, ended, _, _ = env.step(actions[1])
        np.testing.assert_array_equal(step.seen[1], seen)
        assert step.rewards[1] == pytest.approx(reward, abs=1e-12)
        assert step.ended[1] == ended
        simulations.begin(np.flatnonzero(step.ended | step.cut))
        if step.ended[1] or step.cut[1]:
            env.reset()
            as_the_environment(simulations, env)
            episodes += 1
    assert (episodes > 0) == (simulations.task.name != "HalfCheetah")


def test_episodes_begin_as_they_do_there(both):
    """The same numbers from the same generator."""
    env, simulations, _ = both
    rng = np.random.default_rng(3)
    env.np_random = np.random.default_rng(3)
    mine, theirs = simulations.task.start(env.model, rng), env.reset()
    np.testing.assert_array_equal(mine[0], env.data.qpos)
    np.testing.assert_array_equal(mine[1], env.data.qvel)
    assert theirs[0].shape == simulations.seen()[1].shape


def test_an_episode_is_cut_off_when_it_is_too_long():
    simulations = Simulations(task_of("Reacher"), 2, np.random.default_rng(0))
    cut = [simulations.step(np.zeros((2, 2))).cut.tolist() for _ in range(50)]
    assert cut == [[False, False]] * 49 + [[True, True]]


def test_actions_beyond_the_bounds_are_clipped():
    one, other = (Simulations(task_of("Hopper"), 1, np.random.default_rng(0)) for _ in range(2))
    far, near = one.step(np.full((1, 3), 9.0)), other.step(np.ones((1, 3)))
    np.testing.assert_array_equal(far.seen, near.seen)
    np.testing.assert_array_equal(far.rewards, near.rewards)


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match=r"task must be .*Reacher.*got 'Walker'"):
        task_of("Walker")
    with pytest.raises(ValueError, match="number must be"):
        Simulations(task_of("Reacher"), 0, np.random.default_rng(0))
