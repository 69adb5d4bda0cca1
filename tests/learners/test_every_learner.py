"""What every learner must do.

Each of `CHECKS` takes a learner and fails unless it does its part. For a learner of one's own,
parametrise a test with `CHECKS` and call `check(learner)`; `check_executor` needs an executor too.
"""

import copy
import pickle
import tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from drawn import GAMES, random_game, random_policies
from scipy.special import softmax

from malfl import (
    Episodes,
    LearningLog,
    MarkovGame,
    QLearning,
    RandomImprovements,
    SoftPolicyIteration,
    SoftValueIteration,
    Training,
    learn,
    learn_all,
)
from malfl.learners import Improvement, Iteration, Learner
from malfl.values import Value, freeze

ALPHA = 0.8
SMALL = {"alpha": ALPHA, "iterations": 3, "episodes": 5, "steps": 12}
LEARNERS: dict[str, Learner] = {
    "soft policy iteration, td": SoftPolicyIteration(beta=0.3),
    "soft policy iteration, sarsa": SoftPolicyIteration(beta=0.3, evaluation="sarsa"),
    "soft policy iteration, exact": SoftPolicyIteration(evaluation="exact"),
    "soft value iteration": SoftValueIteration(),
    "Q-learning": QLearning(beta=0.3),
    "random improvements": RandomImprovements(points=5),
}

# What may be added to an agent's reward and leaves its improvements as they are, whatever it sees.
# With a shaping gamma E[F(s')] - F(s), which is a constant if F is, values are those of a learner
# that began with F in place of 0, less F. So it does not matter
# - to exact soft policy iteration, whose values have no beginning;
# - to random improvements, since the best policy stays the best;
# - to soft value iteration if F is constant: then values differ by a constant only.
# Temporal differences and Q-learning forget F where they go, and not where they do not.
UNMOVED_BY = {
    "soft policy iteration, td": (),
    "soft policy iteration, sarsa": (),
    "soft policy iteration, exact": ("constant", "shaping"),
    "soft value iteration": ("constant",),
    "Q-learning": (),
    "random improvements": ("constant", "shaping"),
}

# How much of F there is at most in the values after so many improvements, as a share of its largest
# entry, if next states are certain.
LEFT_OF_FIRST_VALUES = {
    "soft policy iteration, td": lambda gamma, improvements: 1.0,
    "soft policy iteration, sarsa": lambda gamma, improvements: 1.0,
    "soft policy iteration, exact": lambda gamma, improvements: 0.0,
    "soft value iteration": lambda gamma, improvements: gamma**improvements,
    "Q-learning": lambda gamma, improvements: 1.0,
}

every_learner = pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
every_name = pytest.mark.parametrize("name", LEARNERS)


def games():
    """Games of one to three agents, with rewards of states and of joint actions."""
    return [random_game(np.random.default_rng(7), **how) for how in GAMES.values()]


def some_steps(game, rng, lengths=(9, 1, 30)):
    """Episodes, and codes of what was drawn ahead of their steps; any policy may have made them."""
    odds = game.transitions.toarray().reshape(game.n_states, game.n_joint_actions, -1)
    paths, acted, ahead = [], [], []
    for length in lengths:
        path, actions = [rng.choice(game.n_states, p=game.start)], []
        for _ in range(length):
            actions.append(rng.integers(game.n_joint_actions))
            path.append(rng.choice(game.n_states, p=odds[path[-1], actions[-1]]))
            ahead.append(path[-1] * game.n_joint_actions + rng.integers(game.n_joint_actions))
        paths.append(path)
        acted.append(actions)
    played = Episodes.from_lists(
        paths, acted, n_states=game.n_states, n_joint_actions=game.n_joint_actions
    )
    return played, np.array(ahead, dtype=np.uint64)


def iterations(game, number=3):
    """What agents may learn from, read-only."""
    rng = np.random.default_rng(3)
    seen = []
    for h in range(number):
        policies = random_policies(game.actions, game.n_states, rng)
        played, ahead = some_steps(game, rng)
        freeze(policies, ahead)
        seen.append(Iteration(h, policies, played, ahead))
    return seen


def begun(learner, game, agent, alpha=ALPHA):
    """An agent about to learn, with random numbers that are its own in any game."""
    return learner.start(game, agent, alpha, np.random.default_rng(5))


def improvements(learner, game, agent, seen=None, alpha=ALPHA):
    """What an agent makes of iterations."""
    state = begun(learner, game, agent, alpha)
    return [state.improve(now) for now in (iterations(game) if seen is None else seen)]


def assert_same(found, expected, atol=0.0, scale=1.0):
    """Compare lists of improvements."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.policy, other.policy, rtol=0, atol=atol)
        assert (one.values is None) == (other.values is None)
        if one.values is not None:
            np.testing.assert_allclose(one.values, scale * other.values, rtol=0, atol=atol * scale)


def assert_same_log(log, other):
    """Compare two logs bit by bit."""
    assert log.training == other.training
    np.testing.assert_array_equal(log.counts, other.counts)
    for agent in range(log.game.n_agents):
        np.testing.assert_array_equal(log.policies[agent], other.policies[agent])
        np.testing.assert_array_equal(log.q[agent], other.q[agent])
    assert (log.episodes is None) == (other.episodes is None)
    for ours, theirs in zip(log.episodes or (), other.episodes or (), strict=True):
        for part, same in zip(ours.packed, theirs.packed, strict=True):
            np.testing.assert_array_equal(part, same)


@dataclass
class Labels:
    """Other names: new agent k is old agent ``agents[k]``, and so on."""

    game: MarkovGame
    agents: list[int]
    states: np.ndarray
    actions: list[np.ndarray]  # by new agent

    @classmethod
    def drawn(cls, game, rng, agents=True):
        order = rng.permutation(game.n_agents) if agents else np.arange(game.n_agents)
        return cls(
            game,
            [int(i) for i in order],
            rng.permutation(game.n_states),
            [rng.permutation(game.actions[i]) for i in order],
        )

    @property
    def joint(self):
        """The old joint action of each new one."""
        sizes = [self.game.actions[i] for i in self.agents]
        new = np.unravel_index(np.arange(self.game.n_joint_actions), sizes)
        old = [None] * len(sizes)
        for agent, own, which in zip(self.agents, new, self.actions, strict=True):
            old[agent] = which[own]
        return np.ravel_multi_index(old, self.game.actions)

    def new_game(self):
        game, states, joint = self.game, self.states, self.joint
        moves = game.transitions.toarray().reshape(game.n_states, game.n_joint_actions, -1)
        rewards = [game.rewards[i][states] for i in self.agents]
        return MarkovGame(
            actions=[game.actions[i] for i in self.agents],
            transitions=moves[states][:, joint][:, :, states],
            rewards=[reward[:, joint] if reward.ndim == 2 else reward for reward in rewards],
            start=game.start[states],
            gamma=game.gamma,
        )

    def of_agent(self, k, array):
        """Old values (..., S, A_i) of new agent k."""
        return array[..., self.states, :][..., self.actions[k]]

    def new_iteration(self, now):
        state, joint = np.argsort(self.states), np.argsort(self.joint)
        parts = list(now.played)
        size = {"n_states": len(state), "n_joint_actions": len(joint)}
        played = Episodes.from_lists(
            [state[one.states] for one in parts], [joint[one.actions] for one in parts], **size
        )
        after, drawn = np.divmod(now.ahead.astype(int), len(joint))
        ahead = (state[after] * len(joint) + joint[drawn]).astype(now.ahead.dtype)
        policies = tuple(self.of_agent(k, now.policies[i]) for k, i in enumerate(self.agents))
        return Iteration(now.number, policies, played, ahead)


def check_improvements(learner):
    """They are policies and, if it has values, the softmax of these."""
    assert isinstance(learner, Learner)
    assert isinstance(learner.name, str)
    assert learner.needs in ("rules", "steps", "draws")
    for game in games():
        for agent in range(game.n_agents):
            for policy, values in improvements(learner, game, agent):
                assert policy.shape == (game.n_states, game.actions[agent])
                assert (policy >= 0).all()
                np.testing.assert_allclose(policy.sum(axis=1), 1, rtol=0, atol=1e-12)
                if values is not None:
                    softened = softmax(values / ALPHA, axis=1)
                    np.testing.assert_allclose(policy, softened, rtol=0, atol=1e-12)


def check_relabelling(learner):
    """Names of states, agents and actions do not matter."""
    rng = np.random.default_rng(0)
    for game in games():
        labels = Labels.drawn(game, rng)
        new, seen = labels.new_game(), iterations(game)
        renamed = [labels.new_iteration(now) for now in seen]
        for k, agent in enumerate(labels.agents):
            expected = [
                Improvement(*(None if part is None else labels.of_agent(k, part) for part in one))
                for one in improvements(learner, game, agent, seen)
            ]
            assert_same(improvements(learner, new, k, renamed), expected, atol=1e-9)


def check_rewards_of_others(learner):
    """An agent learns from its own reward only."""
    rng = np.random.default_rng(0)
    for game in games():
        shape = (game.n_states, game.n_joint_actions)
        for agent in range(game.n_agents):
            rewards = [rng.normal(size=shape) for _ in game.actions]
            rewards[agent] = game.rewards[agent]
            other = game.with_rewards(rewards)
            expected = improvements(learner, game, agent)
            assert_same(improvements(learner, other, agent), expected, atol=1e-12)


def check_needs(learner):
    """It needs what it says, and what else there is does not matter."""
    for game in games():
        full = iterations(game)
        seen = [
            Iteration(
                now.number,
                now.policies,
                None if learner.needs == "rules" else now.played,
                now.ahead if learner.needs == "draws" else None,
            )
            for now in full
        ]
        assert_same(improvements(learner, game, 0, seen), improvements(learner, game, 0, full))


def check_no_choice(learner):
    """Where there is one state and one action there is one policy."""
    game = MarkovGame(
        actions=(1, 1), transitions=[[0]], rewards=[[1.0], [[-2.0]]], start=0, gamma=0.9
    )
    log = learn(game, learner, **SMALL, seed=0)
    for policies in log.policies:
        np.testing.assert_allclose(policies, np.ones((4, 1, 1)), rtol=0, atol=1e-15)


def check_states_are_their_own(learner):
    """No agent and no run knows of what another has learned, and the learner stays as it is."""
    before = pickle.dumps(learner)
    for game in (*games(), random_game(np.random.default_rng(0), actions=(2, 2))):
        seen, agents = iterations(game), range(game.n_agents)
        alone = [improvements(learner, game, agent, seen) for agent in agents]
        together = [begun(learner, game, agent) for agent in (*agents, *agents)]
        found = [[] for _ in together]
        for now in seen:
            for state, those in zip(together, found, strict=True):
                those.append(state.improve(now))
        for agent, those in enumerate(found):
            assert_same(those, alone[agent % game.n_agents])
        one, again = (learn(game, learner, **SMALL, seed=1) for _ in range(2))
        each = learn(game, [pickle.loads(before) for _ in agents], **SMALL, seed=1)
        assert_same_log(one, again)
        for agent in agents:
            np.testing.assert_array_equal(one.policies[agent], each.policies[agent])
            np.testing.assert_array_equal(one.q[agent], each.q[agent])
    assert pickle.dumps(learner) == before


def check_improvements_last(learner):
    """What it learns later changes nothing in what it said before."""
    for game in games():
        state, found, copies = begun(learner, game, 0), [], []
        for now in iterations(game):
            found.append(state.improve(now))
            copies.append(copy.deepcopy(found[-1]))
        assert_same(found, copies)


def check_seeds(learner):
    """A number and its generator are the same seed, and another seed is another run."""
    for game in games():
        one = learn(game, learner, **SMALL, record=True, seed=3)
        rng = np.random.default_rng(3)
        other = learn(game, learner, **SMALL, record=True, seed=rng)
        assert one.training.seed == 3
        assert other.training.seed is None
        np.testing.assert_array_equal(one.counts, other.counts)
        for agent in range(game.n_agents):
            np.testing.assert_array_equal(one.policies[agent], other.policies[agent])
        for later in (rng, 4):
            assert (learn(game, learner, **SMALL, seed=later).counts != one.counts).any()


def check_recording(learner):
    """It learns the same, whether episodes are recorded or not."""
    for game in games():
        plain, recorded = (
            learn(game, learner, **SMALL, record=record, seed=2) for record in (False, True)
        )
        for agent in range(game.n_agents):
            np.testing.assert_array_equal(plain.policies[agent], recorded.policies[agent])
            np.testing.assert_array_equal(plain.q[agent], recorded.q[agent])


def check_copies(learner):
    """A training and a log come back from a pickle and from a file as they were.

    From a file, a learner that is none of the library's comes back as its text.
    """
    ours = type(learner).__module__.startswith("malfl.")
    game = random_game(np.random.default_rng(0))
    log = learn(game, [learner, QLearning(0.2)], **SMALL, record=True, seed=2)
    with tempfile.TemporaryDirectory() as folder:
        log.save(Path(folder) / "log")
        log.training.save(Path(folder) / "training")
        loaded = LearningLog.load(Path(folder) / "log")
        training = Training.load(Path(folder) / "training")
        loaded.save(Path(folder) / "again")
        again = LearningLog.load(Path(folder) / "again")
    read = log.training.but(learners=(learner if ours else repr(learner), QLearning(0.2)))
    assert training == loaded.training == read
    assert_same_log(loaded, again)
    unpickled = pickle.loads(pickle.dumps(log))
    assert unpickled.training == pickle.loads(pickle.dumps(log.training)) == log.training
    for one in (loaded, unpickled):
        assert_same_log(one, LearningLog(**(log.parts() | {"training": one.training})))
        np.testing.assert_array_equal(one.game.rewards, game.rewards)
        arrays = (*one.policies, *one.q, one.counts, *one.game.rewards)
        assert not any(array.flags.writeable for array in arrays)
    learned = learn(game, unpickled.training.learners, **SMALL, record=True, seed=2)
    assert_same_log(learned, log)


def check_refusals(learner):
    """It is an instance, and there is one for each agent."""
    game = random_game(np.random.default_rng(0))
    kind = type(learner)
    for several, where in ((kind, "learners"), ([learner, kind], r"learners\[1\]")):
        message = rf"^{where} must be a Learner, not a class of them: {kind.__name__}\(\)"
        with pytest.raises(TypeError, match=message):
            Training(several)
        with pytest.raises(TypeError, match=message):
            learn(game, several, **SMALL, seed=0)
    with pytest.raises(TypeError, match=r"learners\[1\] must be of type Learner .*, got float"):
        learn(game, [learner, 0.5], **SMALL, seed=0)
    for several in ([learner], [learner] * 3):
        with pytest.raises(ValueError, match=rf"learners .* of 2 agents, got {len(several)}"):
            learn(game, several, **SMALL, seed=0)


CHECKS = (
    check_improvements,
    check_relabelling,
    check_rewards_of_others,
    check_needs,
    check_no_choice,
    check_states_are_their_own,
    check_improvements_last,
    check_seeds,
    check_recording,
    check_copies,
    check_refusals,
)


def check_executor(learner, executor):
    """Logs do not depend on where runs are made."""
    some, seeds = games()[::2], (3, 5)
    logs = learn_all(some, Training(learner, **SMALL), seeds=seeds, record=True, executor=executor)
    for game, row in zip(some, logs, strict=True):
        for seed, log in zip(seeds, row, strict=True):
            assert_same_log(log, learn(game, learner, **SMALL, record=True, seed=seed))


@every_learner
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_learner_is_as_a_learner_must_be(learner, check):
    check(learner)


@pytest.fixture(scope="module", params=[None, 1, 2, 3, "processes"])
def executor(request):
    if request.param is None:
        yield None
    elif request.param == "processes":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
            yield processes
    else:
        with ThreadPoolExecutor(request.param) as threads:
            yield threads


@every_learner
def test_logs_do_not_depend_on_where_runs_are_made(learner, executor):
    check_executor(learner, executor)


@pytest.mark.parametrize(
    ("name", "agents"),
    [
        ("soft policy iteration, exact", True),
        ("soft value iteration", True),
        ("random improvements", False),  # agents draw in their order
    ],
)
def test_logs_of_relabelled_games_are_relabelled(name, agents):
    """Of those who learn from the rules."""
    learner, rng = LEARNERS[name], np.random.default_rng(1)
    for game in games():
        labels = Labels.drawn(game, rng, agents)
        log = learn(game, learner, **SMALL, seed=0)
        new = learn(labels.new_game(), learner, **SMALL, seed=0)
        for k, agent in enumerate(labels.agents):
            expected = labels.of_agent(k, log.policies[agent])
            np.testing.assert_allclose(new.policies[k], expected, rtol=0, atol=1e-9)


def shaped(game, potential):
    """The game with a shaping added to everyone's reward."""
    ahead = (game.transitions @ potential).reshape(game.n_states, -1)
    added = game.gamma * ahead - potential[:, None]
    return game.with_rewards([game.joint_reward(i) + added for i in range(game.n_agents)])


def potentials(game):
    """One that adds a constant to the reward, and one that adds anything."""
    drawn = 2 * np.random.default_rng(1).normal(size=game.n_states)
    return {"constant": np.full(game.n_states, -3 / (1 - game.gamma)), "shaping": drawn}


@every_name
@pytest.mark.parametrize("kind", ["constant", "shaping"])
def test_what_is_added_to_a_reward_changes_improvements_or_does_not(name, kind):
    for game in games():
        other = shaped(game, potentials(game)[kind])
        for agent in range(game.n_agents):
            if game.actions[agent] == 1:
                continue
            before, after = (improvements(LEARNERS[name], one, agent) for one in (game, other))
            moved = [
                np.abs(one.policy - new.policy).max()
                for one, new in zip(before, after, strict=True)
            ]
            assert max(moved) < 1e-9 if kind in UNMOVED_BY[name] else moved[0] > 1e-3


@pytest.mark.parametrize("name", LEFT_OF_FIRST_VALUES)
@pytest.mark.parametrize("kind", ["constant", "shaping"])
def test_a_shaping_is_as_good_as_first_values(name, kind):
    game = random_game(np.random.default_rng(7), actions=(3, 2), stochastic=False)
    potential = potentials(game)[kind]
    for agent in (0, 1):
        seen = iterations(game, 8)
        both = game, shaped(game, potential)
        before, after = (improvements(LEARNERS[name], one, agent, seen) for one in both)
        for number, (one, new) in enumerate(zip(before, after, strict=True), start=1):
            left = np.abs(new.values + potential[:, None] - one.values)
            share = LEFT_OF_FIRST_VALUES[name](game.gamma, number)
            assert left.max() <= share * np.abs(potential).max() + 1e-9


@pytest.mark.parametrize("evaluation", ["td", "sarsa"])
def test_temporal_differences_are_affine_in_the_reward(evaluation):
    learner, rng = SoftPolicyIteration(0.3, evaluation), np.random.default_rng(2)
    for game in games():
        added = rng.normal(size=(game.n_states, game.n_joint_actions))
        q = []
        for times in range(3):
            other = game.with_rewards(
                [game.joint_reward(i) + times * added for i in range(game.n_agents)]
            )
            q.append(improvements(learner, other, 0)[0].values)
        np.testing.assert_allclose(q[2] - q[1], q[1] - q[0], rtol=0, atol=1e-9)


@every_learner
def test_the_unit_of_rewards_does_not_matter(learner):
    """If entropy is counted in it too."""
    for game in games():
        other = game.with_rewards([4 * reward for reward in game.rewards])
        for agent in range(game.n_agents):
            found = improvements(learner, other, agent, alpha=4 * ALPHA)
            assert_same(found, improvements(learner, game, agent), atol=1e-9, scale=4)


@dataclass(frozen=True)
class Habit:
    """A learner of one's own: the oftener it did something, the likelier it does it again."""

    strength: float = 0.5
    name = "habit"
    needs = "steps"

    def start(self, game, agent, alpha, rng):
        return Habitual(self, game, agent)


class Habitual:
    def __init__(self, learner, game, agent):
        self.learner, self.pairs = learner, game.code_parts(agent)[1]
        self.times = np.zeros((game.n_states, game.actions[agent]))

    def improve(self, now):
        np.add.at(self.times.reshape(-1), self.pairs[now.played.packed.codes], 1)
        return Improvement(softmax(self.learner.strength * self.times, axis=1), None)


class Theirs:
    @dataclass(frozen=True)
    class QLearning(Habit, Value):
        """Called as one of the library's learners is."""


FOREIGN = [Habit(), Theirs.QLearning(0.25)]


@pytest.mark.parametrize("learner", FOREIGN, ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_learner_of_ones_own_is_as_good(learner, check):
    check(learner)


@pytest.mark.parametrize("learner", FOREIGN, ids=str)
def test_a_learner_of_ones_own_learns_anywhere(learner, executor):
    check_executor(learner, executor)


@dataclass(frozen=True)
class Shared(Habit):
    """A learner that does not begin anew."""

    def start(self, game, agent, alpha, rng):
        states = self.__dict__.setdefault("states", {})
        key = game.n_states, game.actions[agent]
        return states.setdefault(key, Habitual(self, game, agent))


def test_a_learner_with_a_memory_of_its_own_is_found_out():
    with pytest.raises(AssertionError):
        check_states_are_their_own(Shared())


def test_a_learner_begins_once_for_each_agent_of_each_run():
    begun = []

    class Watched(Habit):
        def start(self, game, agent, alpha, rng):
            begun.append((game, agent, alpha))
            return super().start(game, agent, alpha, rng)

    some = games()[:2]
    with ThreadPoolExecutor(1) as executor:
        learn_all(some, Training(Watched(), **SMALL), seeds=(3, 5), executor=executor)
    assert begun == [(game, agent, ALPHA) for game in some for _ in (3, 5) for agent in (0, 1)]


@pytest.mark.parametrize("learner", FOREIGN, ids=str)
def test_a_file_names_a_foreign_learner(learner, tmp_path):
    game = random_game(np.random.default_rng(0))
    learn(game, learner, **SMALL, seed=0).save(tmp_path / "log")
    assert LearningLog.load(tmp_path / "log").training.learners == repr(learner)
