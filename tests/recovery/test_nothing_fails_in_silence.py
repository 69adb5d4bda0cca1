"""Where something is wrong, an error says what, the result is not sound, or it is right."""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy.special import logsumexp

import malfl
from malfl import (
    Auto,
    Episodes,
    Features,
    MarkovGame,
    PathLikelihood,
    RandomImprovements,
    Replay,
    SoftPolicyIteration,
    Structural,
    WithEstimatedRules,
)
from malfl.games.soft import marginal_soft_q
from malfl.learners.learner import soft_improvement
from malfl.recovery import NothingToLearnError, RecoveredReward

pytestmark = pytest.mark.filterwarnings("ignore::malfl.DoubtfulRewardWarning")

RIGHT = 0.9  # correlation of the identified part
EXACT, TD = SoftPolicyIteration(evaluation="exact"), SoftPolicyIteration()
ESTIMATORS = {
    "auto": Auto(),
    "auto, from counts": Auto(),
    "structural": Structural(),
    "replay": Replay(),
    "path likelihood": PathLikelihood(),
}


def drawn(seed, states, gamma, *, table=False, rewards="state", actions=(3, 2)):
    """A game at random, its generator, and a start anywhere."""
    rng = np.random.default_rng(seed)
    joint = int(np.prod(actions))
    moves = rng.dirichlet(np.full(states, 0.3), size=(states, joint))
    if table:
        moves = rng.integers(states, size=(states, joint))
    game = MarkovGame(
        actions=actions, transitions=moves, rewards=[np.zeros(states)] * len(actions),
        start=np.full(states, 1 / states), gamma=gamma,
    )  # fmt: skip
    earned = []
    for i, own in enumerate(actions):
        if rewards == "state":
            earned.append(rng.normal(size=states))
        elif rewards == "state-action":
            earned.append(rng.normal(size=(states, own))[:, game.own_actions[i]])
        else:
            earned.append(rng.normal(size=(states, joint)))
    return game.with_rewards(earned), rng


def wide_logits(seed):
    """Logits that range over more than a hundred, from policies that are nearly certain."""
    game, rng = drawn(seed, 4, 0.99)
    first = [rng.dirichlet(np.full(own, 0.2), size=4) for own in game.actions]
    return learned(game, 0.05, alpha=0.3, iterations=3, episodes=100, steps=200, initial=first)


def sink(seed):
    """All play ends in a state that nobody leaves."""
    game, _ = drawn(seed, 3, 0.99, actions=(2, 2))
    moves = game.transitions.toarray().reshape(3, 4, 3).copy()
    moves[0] = np.eye(3)[0]
    game = MarkovGame(
        actions=(2, 2), transitions=moves, rewards=list(game.rewards), start=game.start, gamma=0.99
    )
    return learned(game, 0.05, alpha=1.0, iterations=3, episodes=300, steps=100)


def small_alpha(seed):
    """Rewards that are thirty times alpha."""
    game, _ = drawn(seed, 4, 0.9, table=True)
    return learned(game, 0.1, alpha=0.03, iterations=3, episodes=50, steps=100)


def long_horizon(seed):
    """Temporal differences whose errors hang together."""
    game, _ = drawn(seed, 5, 0.99, table=True)
    return learned(game, 0.1, alpha=1.0, iterations=5, episodes=100, steps=100)


def noisy(seed):
    """Rewards that are thirty times alpha, and a large step size."""
    game, _ = drawn(seed, 6, 0.9, table=True)
    return learned(game, 0.5, alpha=0.03, iterations=5, episodes=100, steps=100)


def own_actions(seed):
    """A reward of the agent's own actions."""
    game, _ = drawn(seed, 3, 0.8, rewards="state-action")
    return learned(game, 0.1, alpha=1.0, iterations=5, episodes=300, steps=50)


def joint_actions(seed):
    """A reward of what all do together."""
    game, _ = drawn(seed, 3, 0.8, rewards="joint-action")
    return learned(game, 0.1, alpha=1.0, iterations=5, episodes=300, steps=50)


def one_state(seed):
    """A matrix game played again and again."""
    game, rng = drawn(seed, 1, 0.0, rewards="joint-action", actions=(2, 2))
    first = [rng.dirichlet(np.ones(2), size=1) for _ in game.actions]
    return learned(game, 0.1, alpha=1.0, iterations=6, episodes=300, steps=10, initial=first)


def learned(game, beta, **training):
    return malfl.learn(game, SoftPolicyIteration(beta), record=True, seed=0, **training)


KINDS = {
    "A, wide logits": (wide_logits, (300, 301)),
    "B, a sink": (sink, (300, 301)),
    "C, small alpha": (small_alpha, (300,)),
    "D, a long horizon": (long_horizon, (300,)),
    "E, a large step size": (noisy, (300,)),
    "F, rewards of own actions": (own_actions, (300,)),
    "F, rewards of joint actions": (joint_actions, (300,)),
    "F, a single state": (one_state, (300, 301)),
}


@cache
def log_of(kind, seed):
    return KINDS[kind][0](seed)


def recovered(view, name, of=0) -> RecoveredReward | None:
    """By the estimator of that name; None if it said that there is nothing to learn."""
    seen = replace(view, episodes=None) if "counts" in name else view
    with suppress(NothingToLearnError):
        return malfl.recover(seen, of=of, by=ESTIMATORS[name], unvisited="omit")
    return None


def assert_honest(found, game, agent=0, right=RIGHT):
    if found is not None and found.verdict == "sound":
        identified = malfl.compare(found, game, agent).identified
        assert identified >= right, f"{found.summary()}\nidentified {identified:.3f}"


@pytest.mark.parametrize(
    ("kind", "seed", "name"),
    [
        (kind, seed, name)
        for kind, (_, seeds) in KINDS.items()
        for seed in seeds
        for name in ESTIMATORS
    ],
)
def test_what_failed_in_silence_once(kind, seed, name):
    log = log_of(kind, seed)
    assert_honest(recovered(log.seen_by(1), name), log.game)


@dataclass(frozen=True)
class Annealed:
    """Exact soft policy iteration whose alpha falls from iteration to iteration."""

    factor: float

    name = "annealed"
    needs = "rules"

    def start(self, game, agent, alpha, rng):
        return Annealing(self.factor, game, agent, alpha)


class Annealing:
    def __init__(self, factor, game, agent, alpha):
        self.factor, self.game, self.agent, self.alpha = factor, game, agent, alpha

    def improve(self, now):
        alpha = self.alpha * self.factor**now.number
        values = marginal_soft_q(self.game, now.policies, self.agent, alpha)
        return soft_improvement(values, alpha)


OTHERS = {
    "random improvements": RandomImprovements(6),
    "a falling alpha": Annealed(0.7),
}


@cache
def usual(seed, learner=TD, rewards="state", iterations=6):
    game, _ = drawn(seed, 5, 0.9, rewards=rewards)
    return malfl.learn(
        game, learner, alpha=1.0, iterations=iterations, episodes=300, steps=50, record=True,
        seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "path likelihood"])
@pytest.mark.parametrize("rewards", ["state", "state-action"])
@pytest.mark.parametrize("kind", OTHERS)
def test_a_learner_of_another_kind(kind, rewards, name):
    log = usual(321, OTHERS[kind], rewards)
    assert_honest(recovered(log.seen_by(1), name), log.game)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("learner", [EXACT, TD], ids=["exact", "td"])
def test_a_reward_of_zero(learner, name):
    """Policies change for the sake of entropy alone."""
    game, rng = drawn(320, 5, 0.9)
    game = game.with_rewards([np.zeros(5), game.rewards[1]])
    first = [rng.dirichlet(np.ones(own), size=5) for own in game.actions]
    log = malfl.learn(
        game, learner, alpha=1.0, iterations=6, episodes=300, steps=50, record=True, seed=0,
        initial=first,
    )  # fmt: skip
    found = recovered(log.seen_by(1), name)
    assert found is None or found.verdict != "sound"


@pytest.mark.parametrize("name", ESTIMATORS)
def test_nothing_moves_for_nothing(name):
    """No reward, and a first policy of the largest entropy: it is never improved upon."""
    game, _ = drawn(322, 4, 0.9)
    game = game.with_rewards([np.zeros(4)] * 2)
    log = malfl.learn(
        game, EXACT, alpha=1.0, iterations=4, episodes=200, steps=50, record=True, seed=0
    )
    with pytest.raises(NothingToLearnError, match="agent 0 do not change over the 4 iterations"):
        malfl.recover(log.seen_by(1), of=0, by=ESTIMATORS[name])


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if "counts" not in name])
def test_the_first_forbidden_move_is_named(name):
    game, rng = drawn(323, 4, 0.9, table=True)
    log = malfl.learn(
        game, EXACT, alpha=1.0, iterations=3, episodes=20, steps=20, record=True, seed=0
    )
    other = rng.integers(4, size=(4, 6))
    wrong = malfl.Dynamics(actions=(3, 2), transitions=other, start=game.start, gamma=0.9)
    before, actions, after = log.episodes[0].moves()
    first = int(np.argmax(other[before, actions] != after))
    message = (
        f"in iteration 0, step {first}, joint action {actions[first]} led from state "
        f"{before[first]} to state {after[first]};"
    )
    with pytest.raises(ValueError, match=f"a move that its dynamics forbid: {message}"):
        malfl.recover(replace(log.seen_by(1), dynamics=wrong), of=0, by=ESTIMATORS[name])


def every(view, which):
    """Some iterations of a view, as if nothing had happened between them."""
    return replace(
        view, counts=view.counts[which], own_policies=view.own_policies[which],
        episodes=view.episodes[which],
    )  # fmt: skip


def emptied(view, gone):
    """A view in which nothing was seen in some iterations."""
    counts, episodes = view.counts.copy(), list(view.episodes)
    sizes = view.dynamics.n_states, view.dynamics.n_joint_actions
    for h in gone:
        counts[h] = 0
        episodes[h] = Episodes(
            states=[], actions=[], lengths=[], n_states=sizes[0], n_joint_actions=sizes[1]
        )
    return replace(view, counts=counts, episodes=tuple(episodes))


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(
    ("learner", "rewards"), [(EXACT, "state"), (TD, "state"), (TD, "state-action")]
)
def test_every_second_iteration_is_missing_and_nobody_knows(learner, rewards, name):
    log = usual(320, learner, rewards, 10)
    assert_honest(recovered(every(log.seen_by(1), slice(None, None, 2)), name), log.game)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("gone", [(1, 3, 5), (0, 2, 4), (1, 2, 3, 4), (1, 2, 3, 4, 5)])
def test_iterations_are_missing_so_that_none_follow_each_other(gone, name):
    view = emptied(usual(320).seen_by(1), gone)
    estimator = ESTIMATORS[name]
    with pytest.raises(ValueError, match=f"no steps in iteration {gone[0]}; pass unvisited='omit'"):
        malfl.recover(view, of=0, by=estimator)
    left = f"; {6 - len(gone)} of 6 iterations have steps, and none of these follow each other"
    with pytest.raises(ValueError, match=left):
        malfl.recover(view, of=0, by=estimator, unvisited="omit")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_nothing_was_ever_seen(name):
    view = emptied(usual(320).seen_by(1), range(6))
    with pytest.raises(ValueError, match="; 0 of 6 iterations have steps"):
        malfl.recover(view, of=0, by=ESTIMATORS[name], unvisited="omit")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_agent_who_is_not_there_or_never_chooses(name):
    with pytest.raises(ValueError, match=r"of must lie in 0\.\.1, got 2"):
        malfl.recover(usual(320).seen_by(1), of=2, by=ESTIMATORS[name])
    game, _ = drawn(324, 4, 0.9, actions=(1, 3))
    log = malfl.learn(
        game, EXACT, alpha=1.0, iterations=3, episodes=50, steps=20, record=True, seed=0
    )
    with pytest.raises(NothingToLearnError, match="to learn from"):
        malfl.recover(log.seen_by(1), of=0, by=ESTIMATORS[name])


def with_losses(view, share, seed, closed):
    """A view that lacks a share of the steps.

    What is left of an episode is pieces of it or, if ``closed``, runs on as if nothing lacked.
    """
    rng = np.random.default_rng(seed)
    sizes = {"n_states": view.dynamics.n_states, "n_joint_actions": view.dynamics.n_joint_actions}
    left = []
    for played in view.episodes:
        states, actions = [], []
        for episode in played:
            there = np.flatnonzero(rng.random(len(episode.actions)) >= share)
            pieces = [there] if closed else np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
            for piece in (one for one in pieces if len(one)):
                states.append(episode.states[[*piece, piece[-1] + 1]])
                actions.append(episode.actions[piece])
        left.append(Episodes.from_lists(states, actions, **sizes))
    counts = np.array([one.counts() for one in left], dtype=float)
    return replace(view, counts=counts, episodes=tuple(left))


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(
    ("learner", "rewards", "closed"),
    [
        (EXACT, "state", False), (TD, "state", True), (TD, "state-action", False),
    ],
)  # fmt: skip
def test_half_of_the_steps_are_lost(learner, rewards, closed, name):
    log = usual(320, learner, rewards)
    view = with_losses(log.seen_by(1), 0.5, 0, closed)
    assert view.counts.sum() == pytest.approx(log.counts.sum() / 2, rel=0.02)
    assert_honest(recovered(view, name), log.game)


@pytest.mark.parametrize(
    ("beta", "rewards"),
    [
        (0.01, "state"),
        (0.5, "state"),
        (1.0, "state"),
        (0.01, "state-action"),
        (0.5, "state-action"),
    ],
)
@pytest.mark.parametrize("estimator", [Auto, Structural, Replay])
def test_a_wrong_step_size(estimator, beta, rewards):
    log = usual(320, rewards=rewards)  # with one of .1
    found = malfl.recover(log.seen_by(1), of=0, by=estimator(beta))
    assert_honest(found, log.game)


@pytest.mark.parametrize("shape", [(4, 2), (5, 2, 2), (6, 5, 2), (5, 7, 2)])
@pytest.mark.parametrize("estimator", [Auto, Structural, Replay, PathLikelihood])
def test_features_of_another_game(estimator, shape):
    by = estimator(reward_class=Features(np.ones(shape)))
    expected = r"phi must have shape \(5, k\), \(5, 3, k\) or \(5, 6, k\) for agent 0, got \("
    with pytest.raises(ValueError, match=expected + ", ".join(map(str, shape))):
        malfl.recover(usual(320).seen_by(1), of=0, by=by)


@pytest.mark.parametrize("shape", [(5,), (0, 2), (5, 0), (5, 3, 2, 1)])
def test_features_that_are_none(shape):
    with pytest.raises(ValueError, match=r"phi must have shape \(S, k\) or \(S, actions, k\), got"):
        Features(np.ones(shape))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_alpha_is_not_known(name):
    log = usual(320, rewards="state-action")
    found = recovered(replace(log.seen_by(1), alpha=None), name)
    assert found.scale_known is False
    assert "up to a shaping, in units of alpha, which is not known" in found.summary()
    assert_honest(found, log.game)


@pytest.mark.parametrize("by", ["replay", Replay(0.1), PathLikelihood((malfl.QLearning(),))])
def test_a_view_without_episodes_is_not_replayed(by):
    view = replace(usual(320).seen_by(1), episodes=None)
    message = "view has no episodes to (replay|learn from once more); learn with record=True"
    with pytest.raises(ValueError, match=message):
        malfl.recover(view, of=0, by=by)


@pytest.mark.parametrize("game", malfl.classics.CLASSICS)
def test_the_games_of_the_literature(game):
    played = malfl.classics.CLASSICS[game]()
    much = {"iterations": 6, "episodes": 300, "steps": 100}
    less = {"iterations": 4, "episodes": 200, "steps": 50}
    scale = much if played.n_states < 100 else less
    log = malfl.learn(played, alpha=1.0, record=True, seed=1, **scale)
    observer = 1 if played.n_agents > 1 else None
    assert_honest(recovered(log.seen_by(observer), "auto"), played, right=0.8)


@dataclass(frozen=True)
class Slow:
    """Goes a part of the way to the improvement, in probabilities or in logits."""

    logits: bool
    share: float = 0.3

    name, needs = "slow", "rules"

    def start(self, game, agent, alpha, rng):
        return SlowLearning(self, game, agent, alpha)


class SlowLearning:
    def __init__(self, learner, game, agent, alpha):
        self.learner, self.game, self.agent, self.alpha = learner, game, agent, alpha

    def improve(self, now):
        share, policy = self.learner.share, now.policies[self.agent]
        wanted = marginal_soft_q(self.game, now.policies, self.agent, self.alpha) / self.alpha
        if self.learner.logits:
            return soft_improvement((1 - share) * np.log(policy) + share * wanted, 1.0)
        best = np.exp(wanted - logsumexp(wanted, axis=1, keepdims=True))
        return soft_improvement(np.log((1 - share) * policy + share * best), 1.0)


@pytest.mark.parametrize("name", ["auto", "auto, from counts", "structural", "replay"])
@pytest.mark.parametrize("logits", [False, True], ids=["probabilities", "logits"])
def test_a_learner_that_goes_a_part_of_the_way(logits, name):
    """The least step size that is looked at is the likeliest: a sign of another learner."""
    log = usual(321, Slow(logits))
    assert_honest(recovered(log.seen_by(1), name), log.game)


@pytest.mark.parametrize("name", ["auto", "auto, from counts", "replay", "path likelihood"])
@pytest.mark.parametrize(("seed", "step"), [(320, 2), (321, 2), (320, 3), (321, 3)])
def test_iterations_of_an_exact_learner_are_missing_and_nobody_knows(seed, step, name):
    """What is left are policies that hardly change: any reward of actions explains them."""
    log = usual(seed, EXACT, "state-action", 10 if step == 2 else 12)
    view = every(log.seen_by(1), slice(None, None, step))
    assert_honest(recovered(view, name), log.game)


@pytest.mark.parametrize("lost", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(320, 325))
def test_replay_of_an_exact_learner(seed, lost):
    """A small step size makes up for much of it."""
    log = usual(seed, EXACT, "state-action")
    view = with_losses(log.seen_by(1), lost, 0, closed=False) if lost else log.seen_by(1)
    assert_honest(recovered(view, "replay"), log.game)


@pytest.mark.parametrize("by", [Replay(1.0), Auto(1.0), Replay(0.4)])
@pytest.mark.parametrize("rewards", ["state", "state-action"])
def test_a_reward_of_actions_makes_up_for_a_step_size(rewards, by):
    log = usual(320, TD, rewards)
    assert_honest(malfl.recover(log.seen_by(1), of=0, by=by), log.game)


def test_path_likelihood_of_a_falling_alpha():
    """A reward of joint actions makes up for it."""
    log = usual(320, Annealed(0.7))
    assert_honest(recovered(log.seen_by(1), "path likelihood"), log.game)


@pytest.mark.parametrize("reward_class", ["state", None])
@pytest.mark.parametrize("seed", [303, 306, 311, 316, 323, 325, 332, 336])
def test_path_likelihood_in_a_game_with_a_sink(seed, reward_class):
    """Few policies say anything, and nearly all that was seen are others."""
    log = sink(seed)
    by = PathLikelihood(reward_class=reward_class)
    assert_honest(malfl.recover(log.seen_by(1), of=0, by=by, unvisited="omit"), log.game)


@pytest.mark.parametrize("rate", [0.01, 0.05])
@pytest.mark.parametrize("game", ["lanes", "hand-over", "FrozenLake"])
def test_states_are_misread_and_the_rules_are_estimated(game, rate):
    played = malfl.classics.CLASSICS[game]()
    log = malfl.learn(played, alpha=1.0, iterations=6, episodes=300, steps=100, record=True, seed=1)
    view = misread(log.seen_by(1 if played.n_agents > 1 else None), rate)
    found = malfl.recover(view, of=0, by=WithEstimatedRules(Auto()), unvisited="omit")
    assert_honest(found, played)


def misread(view, rate):
    """A view in which a share of the states are taken for others."""
    rng = np.random.default_rng(1)
    sizes = {"n_states": view.dynamics.n_states, "n_joint_actions": view.dynamics.n_joint_actions}
    read = []
    for played in view.episodes:
        states = []
        for episode in played:
            off = rng.integers(1, sizes["n_states"], size=episode.states.size)
            wrong = rng.random(off.size) < rate
            states.append((episode.states + off * wrong) % sizes["n_states"])
        read.append(Episodes.from_lists(states, [one.actions for one in played], **sizes))
    return replace(view, episodes=tuple(read), counts=np.array([one.counts() for one in read]))


@pytest.mark.parametrize("name", ["auto", "path likelihood", PathLikelihood((EXACT,))], ids=str)
@pytest.mark.parametrize("rewards", ["state", "state-action"])
@pytest.mark.parametrize("learner", [EXACT, TD, malfl.SoftValueIteration()], ids=str)
def test_an_iteration_is_missing(learner, rewards, name):
    """All are compared on what they all speak of: the policies that improve upon ones seen."""
    log = usual(330, learner, rewards, 8)
    view = emptied(log.seen_by(1), [2])
    by = ESTIMATORS.get(name, name)
    assert_honest(malfl.recover(view, of=0, by=by, unvisited="omit"), log.game)
