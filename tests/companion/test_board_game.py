from itertools import product

import numpy as np
import pytest

import malfl
from malfl.companion import board_game
from malfl.companion.board_game import Beginner

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


@pytest.fixture(scope="module")
def on():
    return board_game.board(0.95)


@pytest.fixture(scope="module")
def seen(on):
    return board_game.watch(on, alpha=0.05, beta=0.5, iterations=10, games=300, seed=0)


def winner(squares):
    (won,) = {squares[a] for a, b, c in LINES if squares[a] == squares[b] == squares[c] > 0} or {0}
    return int(won)


def test_the_board_is_that_of_the_game(on):
    assert on.game.n_states == 5478
    for s in on.ends:
        won = winner(on.squares[s])
        assert on.worth[:, s].tolist() == [[0, 0], [1, -1], [-1, 1]][won]
    for s in np.flatnonzero(on.player >= 0):
        assert winner(on.squares[s]) == 0
        taken = (on.squares[s] > 0).sum()
        assert on.player[s] == taken % 2
        for cell in range(9):
            if on.squares[s, cell]:
                assert on.after[s, cell] == -1
            else:
                then = on.squares[s].copy()
                then[cell] = on.player[s] + 1
                assert on.squares[on.after[s, cell]].tolist() == then.tolist()


def test_images_of_an_end_are_alike_and_others_are_not(on):
    groups = board_game.alike(on)
    assert groups.max() + 1 == 138
    assert np.unique(groups).size == 138
    place = {tuple(row): k for k, row in enumerate(on.squares[on.ends])}
    mirrored = on.squares[on.ends].reshape(-1, 3, 3)[:, ::-1].reshape(-1, 9)
    turned = on.squares[on.ends].reshape(-1, 3, 3).swapaxes(1, 2)[:, ::-1].reshape(-1, 9)
    for images in (mirrored, turned):
        where = [place[tuple(row)] for row in images]
        np.testing.assert_array_equal(groups[where], groups)
    for group in range(138):
        assert len(set(on.worth[0, on.ends[groups == group]])) == 1


def test_perfect_play_loses_to_nobody_and_wins_soon(on):
    moves = board_game.best_moves(on, on.worth[0])
    perfect = board_game.always(on, moves)
    anybody = (on.after >= 0) / np.maximum((on.after >= 0).sum(axis=1, keepdims=True), 1)
    for me in (0, 1):
        pair = (perfect, anybody) if me == 0 else (anybody, perfect)
        assert board_game.share_lost(on, pair, me) == 0
    assert board_game.share_lost(on, (perfect, perfect), 0) == 0
    worst = board_game.always(on, board_game.best_moves(on, -on.worth[0]))
    assert board_game.share_lost(on, (worst, perfect), 0) == 1


def test_shares_lost_are_those_of_many_games(on):
    anybody = (on.after >= 0) / np.maximum((on.after >= 0).sum(axis=1, keepdims=True), 1)
    rng = np.random.default_rng(0)
    lost = np.zeros(2)
    for _ in range(4000):
        s = on.order[0]
        while on.player[s] >= 0:
            s = on.after[s, rng.choice(9, p=anybody[s])]
        lost += on.worth[:, s] < 0
    for me in (0, 1):
        exact = board_game.share_lost(on, (anybody, anybody), me)
        assert exact == pytest.approx(lost[me] / 4000, abs=0.03)


def test_a_learner_goes_towards_what_came_and_then_to_the_softmax():
    one = Beginner(alpha=0.5, beta=0.1, gamma=0.9, rng=np.random.default_rng(0))
    one.meet("here", 3)
    assert one.worth("here") == pytest.approx(0.5 * np.log(3))
    one.update("here", 2, 1.0)
    assert one.q["here"].tolist() == pytest.approx([0, 0, 0.09])
    np.testing.assert_allclose(one.policy["here"], 1 / 3)  # until it improves
    one.improve()
    weights = np.exp(np.array([0, 0, 0.09]) / 0.5)
    policy = weights / weights.sum()
    np.testing.assert_allclose(one.policy["here"], policy)
    assert one.worth("here") == pytest.approx(policy[2] * 0.09 - 0.5 * policy @ np.log(policy))
    moves = [one.choose("here") for _ in range(3000)]
    np.testing.assert_allclose(np.bincount(moves) / 3000, policy, atol=0.03)


def test_what_is_watched_is_what_is_played(on, seen):
    assert seen.log.iterations == 10
    assert [len(played) for played in seen.log.episodes] == [300] * 10
    open_ = on.player >= 0
    np.testing.assert_allclose(seen.last[open_].sum(axis=1), 1)
    assert not (seen.last > 0)[on.after < 0].any()
    again = board_game.watch(on, alpha=0.05, beta=0.5, iterations=10, games=300, seed=0)
    np.testing.assert_array_equal(again.log.counts, seen.log.counts)


def test_a_clone_plays_as_was_last_seen(on, seen):
    clone = board_game.clone(on, seen.log)
    np.testing.assert_allclose(clone[on.player >= 0].sum(axis=1), 1)
    start = on.order[0]
    first = np.zeros(9)
    for episode in seen.log.episodes[-1]:
        first[episode.actions[0] // 9] += 1
    np.testing.assert_allclose(clone[start], first / 300)


@pytest.fixture(scope="module")
def row():
    settings = {"alpha": 0.05, "beta": 0.5, "gamma": 0.95, "iterations": 10}
    with pytest.warns(malfl.DoubtfulRewardWarning):
        return board_game.repeated([(300, 0, True)], **settings).iloc[0]


def test_the_observer_finds_what_wins_and_plays_better_than_whom_it_watched(row):
    assert row["PCC first"] > 0.8
    assert row["PCC second"] > 0.8
    for player, against in product(("last learner", "clone"), ("last learner", "perfect play")):
        assert row[f"observer, {against}"] < row[f"{player}, {against}"] / 4


def test_what_a_page_plays_with(on, seen):
    data = board_game.to_play(on, seen, on.worth[0])
    assert len(data["ends"]) == 958
    assert set(map(tuple, data["ends"].values())) == {(1000, 1), (0, 0), (-1000, -1)}
    start = data["learner"]["0"]
    assert len(start) == 9
    assert abs(sum(start) - 100) <= 5
