"""What others brought: logs of their own learners, and environments of Gymnasium."""

import warnings

import gymnasium
import numpy as np
import pytest
import strangers

import malfl

SIDE = 4


def known_game(world_odds, reward, end=None):
    """The true game, for comparison."""
    states = len(reward)
    start = np.ones(states)
    if end is not None:
        start[end] = 0.0
    return malfl.MarkovGame(
        actions=(world_odds.shape[1],), transitions=world_odds, rewards=[reward], gamma=0.9,
        start=start / start.sum(), ends=[] if end is None else [end],
    )  # fmt: skip


class TestMouseLab:
    """50 rooms, 8 ways, 822 episodes of 1 to 51 steps, many of which end in one room."""

    @pytest.fixture(params=[0, 1])
    def lab(self, request):
        rng = np.random.default_rng([17, request.param])
        ways = rng.integers(0, 50, size=(50, 8))
        odds = np.full((50, 8, 50), 0.1 / 50)
        np.add.at(odds, (*np.indices((50, 8)), ways), 0.9)
        reward = np.zeros(50)
        reward[rng.choice(49, 6, replace=False)] = rng.normal(0, 2, size=6)
        reward[49] = 4.0
        world = strangers.World(odds, reward, [18, request.param], end=49)
        rows = strangers.soft_learner(
            world, alpha=0.2, beta=0.3, iterations=6, episodes=137, longest=51
        )
        return rows, known_game(odds, reward, 49)

    @pytest.mark.parametrize("known", [False, True])
    def test_a_reward_comes_out(self, lab, known):
        rows, game = lab
        assert rows.groupby(["iteration", "episode"]).ngroups == 822
        log = malfl.read_log(rows, **({"game": game} if known else {"gamma": 0.9}))
        assert log.dynamics.ends[49]
        reward = malfl.recover(log.seen_by(None), of=0, unvisited="omit")
        found = malfl.compare(reward, game, 0).identified
        assert found > 0.85
        assert reward.verdict != "sound" or found > 0.9


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", ["reinforce", "actor_critic", "sarsa"])
def test_a_learner_of_another_kind_is_never_sound_and_wrong(kind, seed):
    rng = np.random.default_rng([19, seed])
    odds, reward = strangers.grid_rules(SIDE), rng.normal(size=SIDE**2)
    world = strangers.World(odds, reward, [20, seed])
    long = {"iterations": 8, "episodes": 150, "longest": 30}
    own = {
        "reinforce": {"rate": 1.0}, "actor_critic": {"rate": 0.02, "critic": 0.1},
        "sarsa": {"beta": 0.1, "epsilon": 0.2},
    }  # fmt: skip
    rows = getattr(strangers, kind)(world, **own[kind], **long)
    log = malfl.read_log(rows, gamma=0.9)
    found = malfl.recover(log.seen_by(None), of=0, unvisited="omit")
    game = known_game(odds, reward)
    assert found.verdict != "sound" or malfl.compare(found, game, 0).identified > 0.9


@pytest.mark.parametrize(("name", "alpha"), [("FrozenLake-v1", 0.3), ("CliffWalking-v1", 3.0)])
def test_tables_of_gymnasium(name, alpha):
    """Three lines from an environment to a reward of its actions."""
    game = malfl.games.from_gymnasium(gymnasium.make(name), gamma=0.95)
    exact = malfl.SoftPolicyIteration(evaluation="exact")
    log = malfl.learn(game, exact, alpha=alpha, episodes=1000, steps=200, seed=0)
    reward = malfl.recover(log.seen_by(None), of=0, unvisited="omit")
    assert malfl.compare(reward, game, 0).identified > 0.95


def test_taxi():
    """Three lines, for 3000 rewards of actions in 500 states."""
    game = malfl.games.from_gymnasium(gymnasium.make("Taxi-v4"), gamma=0.95)
    exact = malfl.SoftPolicyIteration(evaluation="exact")
    log = malfl.learn(game, exact, alpha=3.0, seed=0)
    reward = malfl.recover(log.seen_by(None), of=0, unvisited="omit")
    assert reward.verdict == "sound"
    assert malfl.compare(reward, game, 0).identified > 0.95


def test_the_iterated_dilemma_and_matrix_games():
    matrices = {"dilemma": [[3.0, 0], [5, 1]], "pennies": [[1.0, -1], [-1, 1]]}
    games = [
        malfl.MarkovGame(
            actions=(2, 2), transitions=np.zeros((1, 4), int), start=0, gamma=0.0,
            rewards=[np.array([m]), np.array(m).T[None]],
        )
        for m in matrices.values()
    ]  # fmt: skip
    for game in [malfl.classics.iterated_dilemma(), *games]:
        initial = [np.random.default_rng(i).dirichlet([5.0] * 2, game.n_states) for i in range(2)]
        log = malfl.learn(
            game, malfl.SoftPolicyIteration(evaluation="exact"), alpha=1.0, iterations=8,
            episodes=3000, steps=100, seed=0, initial=initial,
        )  # fmt: skip
        reward = malfl.recover(log.seen_by(1), of=0)
        assert malfl.compare(reward, game, 0).identified > 0.95


class TestTrialByTrial:
    """Learners that change after every step, as people and animals do; 3000 trials of each."""

    def trials(self, rewards, transitions, alpha, beta, gamma, seed):
        """A softmax of values that go towards what came, every trial; a new start every five."""
        rng = np.random.default_rng(seed)
        states, own = rewards.shape
        q, state, rows = np.zeros((states, own)), 0, []
        for trial in range(3000):
            if trial % 5 == 0:
                state = rng.integers(states)
            odds = np.exp(q[state] / alpha)
            action = rng.choice(own, p=odds / odds.sum())
            after = transitions[state, action]
            target = rewards[state, action] + gamma * q[after].max()
            q[state, action] += beta * (target - q[state, action])
            rows.append((trial, state, action, after))
            state = after
        names = ("iteration", "state", "action", "next_state")
        return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))

    @pytest.mark.parametrize("seed", range(3))
    def test_a_bandit(self, seed):
        rewards = np.array([[0.0, 0.5, 1.0, 0.2]])
        rows = self.trials(rewards, np.zeros((1, 4), int), 0.3, 0.1, 0.0, seed)
        log = malfl.read_log(rows, gamma=0.0, alpha=0.3)
        by = malfl.PathLikelihood((malfl.QLearning(0.1),), reward_class="state-action")
        found = malfl.recover(log.seen_by(None), of=0, by=by)
        assert found.verdict == "sound"
        assert np.corrcoef(found.values.ravel(), rewards.ravel())[0, 1] > 0.95

    @pytest.mark.parametrize("seed", range(2))
    def test_a_small_game(self, seed):
        rewards = np.array([[0.0, 0.0], [0.4, 0.0], [0.3, -0.5]])
        ways = np.array([[0, 1], [1, 2], [2, 0]])
        rows = self.trials(rewards, ways, 0.5, 0.1, 0.5, seed)
        rules = np.zeros((3, 2, 3))
        rules[np.arange(3)[:, None], np.arange(2), ways] = 1
        game = malfl.MarkovGame(
            actions=(2,), transitions=rules, start=0, gamma=0.5, rewards=[rewards]
        )
        log = malfl.read_log(rows, game=game.without_rewards(), alpha=0.5)
        by = malfl.PathLikelihood((malfl.QLearning(0.1),), reward_class="state-action")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", malfl.DoubtfulRewardWarning)
            found = malfl.recover(log.seen_by(None), of=0, by=by, unvisited="omit")
        identified = malfl.compare(found, game, 0).identified
        assert identified > 0.9
        assert found.diagnostics.misfit < 1.2
