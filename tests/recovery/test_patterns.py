"""Slopes that leave out what is zero are those in full."""

import numpy as np
import pytest

import malfl
from malfl import Features, Replay, SoftPolicyIteration
from malfl.recovery import patterns
from malfl.recovery.classes import space_of
from malfl.recovery.logit import recover_from_logits
from malfl.recovery.patterns import PatternedSlopes, patterns_of
from malfl.recovery.replay import Replayed

pytestmark = pytest.mark.filterwarnings("ignore::malfl.DoubtfulRewardWarning")
ALPHA, SIDE = 0.4, 4


def race():
    """Two agents walk a triangle of cells in turn, down or to the right; the last row ends it."""
    cells = [(row, column) for row in range(SIDE) for column in range(row + 1)]
    number = {cell: k for k, cell in enumerate(cells)}
    ends = [number[cell] for cell in cells if cell[0] == SIDE - 1]
    table = np.zeros((len(cells), 4), dtype=int)
    legal = [np.ones((len(cells), 2), dtype=bool) for _ in range(2)]
    for (row, column), k in number.items():
        mover = row % 2
        legal[1 - mover][k] = [True, False]
        for joint in range(4 if row < SIDE - 1 else 0):
            own = (joint // 2, joint % 2)[mover]
            table[k, joint] = number[row + 1, column + own]
    rng = np.random.default_rng(5)
    rewards = [np.where(np.isin(np.arange(len(cells)), ends), rng.normal(size=len(cells)), 0)
               for _ in range(2)]  # fmt: skip
    return malfl.MarkovGame(
        actions=(2, 2), transitions=table, rewards=rewards, start=0, gamma=0.95, ends=ends,
        legal=legal,
    )  # fmt: skip


@pytest.fixture
def log():
    return malfl.learn(
        race(), SoftPolicyIteration(0.2), alpha=ALPHA, iterations=5, episodes=200, steps=SIDE,
        record=True, seed=0,
    )  # fmt: skip


def ends_of(game):
    """A feature for each end."""
    ends = np.flatnonzero(game.ends)
    phi = np.zeros((game.n_states, ends.size))
    phi[ends, np.arange(ends.size)] = 1.0
    return Features(phi)


def contrasts(game):
    """Features by which agent 1's actions are opposite to each other, or of few ends only."""
    ends = np.flatnonzero(game.ends)
    phi = np.zeros((game.n_states, 2, 3))
    phi[1, :, 0] = phi[2, :, 1] = 1.0, -1.0
    phi[ends[0], :, 1] = phi[ends[1], :, 2] = 1.0
    return Features(phi)


CLASSES = ["state", "state-action", "joint-action", "ends", "contrasts"]


def class_of(game, name):
    return {"ends": ends_of, "contrasts": contrasts}.get(name, lambda _: name)(game)


@pytest.fixture
def sparse(monkeypatch):
    monkeypatch.setattr(patterns, "MOST_SHARE", 1.0)


@pytest.fixture
def full(monkeypatch):
    monkeypatch.setattr(patterns, "MOST_SHARE", -1.0)


def test_a_state_depends_on_what_may_still_come(sparse):
    game = race()
    found = patterns_of(game, 0, space_of(game, 0, ends_of(game)))
    assert [found.of(k).tolist() for k in range(game.n_states)] == (
        [[0, 1, 2, 3], [0, 1, 2], [1, 2, 3], [0, 1], [1, 2], [2, 3], [0], [1], [2], [3]]
    )
    sizes = np.diff(found.rows).reshape(game.n_states, 2)
    np.testing.assert_array_equal(sizes > 0, game.legal[0])


def test_games_in_which_all_depends_on_all_have_none():
    game = race()
    assert patterns_of(game, 0, space_of(game, 0, "state")) is None  # a quarter is exceeded
    endless = malfl.gridworlds.ma_lfl(size=2)
    assert patterns_of(endless, 0, space_of(endless, 0, "state")) is None


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("falling", [0.0, 0.7])
@pytest.mark.parametrize("name", CLASSES)
def test_replays_are_the_same(log, name, executed, kept, falling, monkeypatch):
    view, agent = log.seen_by(None), 1
    space = space_of(view.dynamics, agent, class_of(log.game, name))
    given = {"beta": 0.2, "executed": executed, "kept": kept, "falling": falling, "space": space}
    made = []
    for share in (1.0, -1.0):
        monkeypatch.setattr(patterns, "MOST_SHARE", share)
        replayed = Replayed(view, agent, log.policies[agent][:-1], **given)
        made.append(replayed.logits(4))
    thin, thick = made
    assert isinstance(thin.slopes, PatternedSlopes)
    assert thin.numbers == thick.numbers == space.numbers
    legal = log.game.legal[agent]
    for number in range(space.numbers):
        one = np.eye(space.numbers)[number]
        np.testing.assert_allclose(
            thin.slopes.at(one)[:, legal], (thick.slopes @ one)[:, legal], atol=1e-12
        )
    np.testing.assert_allclose(thin.constants, thick.constants, atol=1e-12)
    np.testing.assert_array_equal(thin.known, thick.known)
    np.testing.assert_allclose(thin.first(2).slopes.values, thin.slopes.values[:2])


@pytest.mark.parametrize("name", CLASSES)
def test_regressions_on_them_are_the_same(log, name, monkeypatch):
    view = log.seen_by(None)
    space = space_of(view.dynamics, 0, class_of(log.game, name))
    found = []
    for share in (1.0, -1.0):
        monkeypatch.setattr(patterns, "MOST_SHARE", share)
        rough = log.game.rewards[0]
        if space.entries > rough.size:
            rough = np.repeat(rough, space.entries // rough.size)
        logits = Replayed(
            view, 0, log.policies[0][:-1], beta=0.2, executed=False, space=space, rough=rough
        ).logits(4)
        found.append(recover_from_logits(logits, view.own_counts(0)[1:], ALPHA, space))
    thin, thick = found
    np.testing.assert_allclose(thin.values, thick.values, atol=1e-4)
    np.testing.assert_allclose(thin.deviation, thick.deviation, rtol=1e-3)
    evidence = [one.diagnostics.evidence.log_likelihood for one in found]
    assert evidence[0] == pytest.approx(evidence[1], abs=1e-3)
    np.testing.assert_allclose(
        thin.diagnostics.information, thick.diagnostics.information, rtol=1e-3, atol=1e-6
    )


def test_a_reward_of_the_ends_comes_back(log, sparse):
    reward = malfl.recover(
        log.seen_by(None), of=0, by=Replay(0.2, reward_class=ends_of(log.game)), unvisited="omit"
    )
    ends = log.game.ends
    assert np.corrcoef(reward.weights, log.game.rewards[0][ends])[0, 1] > 0.9
