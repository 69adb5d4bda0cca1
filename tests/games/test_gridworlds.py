import numpy as np
import pytest

from malfl.games import gridworlds
from malfl.games.soft import improve_all, soft_optimum, soft_return


def step(cell, action, size=3):
    """One agent's move, spelled out."""
    if cell == size * size - 1:
        return 0
    row, column = divmod(cell, size)
    if action == 0:
        row = min(row + 1, size - 1)
    elif action == 1:
        row = max(row - 1, 0)
    elif action == 2:
        column = max(column - 1, 0)
    elif action == 3:
        column = min(column + 1, size - 1)
    return size * row + column


def distance(a, b, size=3):
    return abs(a // size - b // size) + abs(a % size - b % size)


def test_every_move_of_the_papers_game(hom):
    table = hom.transitions.indices.reshape(81, 25)
    for p1 in range(9):
        for p2 in range(9):
            for a1 in range(5):
                for a2 in range(5):
                    expected = 9 * step(p1, a1) + step(p2, a2)
                    assert table[9 * p1 + p2, 5 * a1 + a2] == expected
    assert hom.is_deterministic
    assert np.flatnonzero(hom.start).tolist() == [0]
    assert (hom.actions, hom.gamma) == ((5, 5), 0.9)


@pytest.mark.parametrize("kind", ["hom", "het"])
def test_every_reward_of_the_papers_games(kind):
    rewards = gridworlds.ma_lfl(kind).rewards
    for p1 in range(9):
        for p2 in range(9):
            apart = distance(p1, p2)
            first = -distance(p1, 8) + (apart if kind == "hom" else -apart)
            assert rewards[0][9 * p1 + p2] == first
            assert rewards[1][9 * p1 + p2] == -distance(p2, 8) + apart


def test_three_agents_move_apart_and_add_up_their_distances():
    game = gridworlds.ma_lfl("het", agents=3)
    assert (game.n_states, game.n_joint_actions) == (729, 125)
    table = game.transitions.indices.reshape(729, 125)
    rng = np.random.default_rng(0)
    for cells, actions in zip(
        rng.integers(9, size=(50, 3)), rng.integers(5, size=(50, 3)), strict=True
    ):
        s = np.ravel_multi_index(cells, (9, 9, 9))
        landed = np.unravel_index(table[s, np.ravel_multi_index(actions, (5, 5, 5))], (9, 9, 9))
        assert [int(c) for c in landed] == [step(c, a) for c, a in zip(cells, actions, strict=True)]
        d = [[distance(x, y) for y in cells] for x in cells]
        assert game.rewards[0][s] == -distance(cells[0], 8) - d[0][1] - d[0][2]
        assert game.rewards[2][s] == -distance(cells[2], 8) + d[2][0] + d[2][1]


def test_a_slip_is_a_random_move():
    sure, slippery = (
        gridworlds.ma_lfl(agents=1, size=4),
        gridworlds.ma_lfl(agents=1, size=4, slip=0.3),
    )
    exact = sure.transitions.toarray().reshape(16, 5, 16)
    expected = 0.7 * exact + 0.3 * exact.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        slippery.transitions.toarray().reshape(16, 5, 16), expected, atol=1e-15
    )
    assert (expected[15, :, 0] == 1).all()


def test_slips_are_independent():
    one, two = gridworlds.ma_lfl(agents=1, slip=0.2), gridworlds.ma_lfl(agents=2, slip=0.2)
    single = one.transitions.toarray().reshape(9, 5, 9)
    joint = two.transitions.toarray().reshape(9, 9, 5, 5, 9, 9)
    np.testing.assert_allclose(joint, np.einsum("pax,qby->pqabxy", single, single), atol=1e-15)


def test_lfl_grid_has_the_papers_values():
    game = gridworlds.lfl()
    assert soft_optimum(game, 0.3).value[0] == pytest.approx(5.683784, abs=1e-6)
    uniform = game.uniform_policies()
    assert soft_return(game, uniform, 0, 0.3) == pytest.approx(-19.795125, abs=1e-6)
    assert soft_return(game, improve_all(game, uniform, 0.3)[1], 0, 0.3) == pytest.approx(
        0.726591, abs=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "both"}, "kind must be one of hom, het, got 'both'"),
        ({"size": 1}, "size must be at least 2, got 1"),
        ({"agents": 0}, "agents must be at least 1, got 0"),
        ({"slip": 1.2}, r"slip must lie in \[0, 1\], got 1.2"),
        ({"gamma": 1}, r"gamma must lie in \[0, 1\)"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        gridworlds.ma_lfl(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 3, "agents": 6}, {"size": 3, "agents": 4, "slip": 0.1}, {"size": 10**5},
        {"size": 2, "agents": 10**400}, {"size": 10**400},
    ],
)  # fmt: skip
def test_grids_that_no_memory_holds_are_refused_at_once(options):
    with pytest.raises(MemoryError, match=r"a grid of size .* agents would need"):
        gridworlds.ma_lfl(**options)
    if "slip" not in options:
        with pytest.raises(MemoryError, match=r"a grid of size .* agents would need"):
            gridworlds.positions(options["size"], 10**400)
