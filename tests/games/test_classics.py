from itertools import permutations, product

import numpy as np
import pytest

import malfl
from malfl.games import classics

MIRRORED = [0, 1, 3, 2, 4]  # left and right change places
TURNED = [1, 0, 3, 2, 4]  # and so do down and up
SIZES = {
    "iterated dilemma": (5, (2, 2)), "stag hunt": (36, (5, 5)), "lanes": (57, (3, 3)),
    "hand-over": (32, (3, 3)), "coin": (128, (5, 5)), "soccer": (114, (5, 5)),
    "predator-prey": (120, (5, 5)), "FrozenLake": (16, (4,)),
}  # fmt: skip

# Tuples of states, in order, as the docstrings have them.
STAG_HUNT = list(product((0, 1, 2, 3, 4, 6), (2, 4, 5, 6, 7, 8)))
LANES = [(-1, -1), *permutations(range(8), 2)]
HAND_OVER = list(product((0, 1), repeat=5))
COIN = list(product(range(4), range(4), range(4), (0, 1)))
SOCCER = [(-1, -1, 0), (-1, -1, 1), *((*at, b) for at in permutations(range(8), 2) for b in (0, 1))]
PREDATOR_PREY = list(permutations(range(6), 3))


@pytest.fixture(params=SIZES)
def name(request):
    return request.param


def dense(game):
    return game.transitions.toarray().reshape(game.n_states, *game.actions, game.n_states)


def after(game, states, state, *actions):
    """What may follow a state, with probabilities."""
    row = dense(game)[(states.index(state), *actions)]
    return {states[s]: row[s] for s in np.flatnonzero(row)}


def test_the_list_is_complete():
    assert malfl.classics is classics
    assert {name: (g().n_states, g().actions) for name, g in classics.CLASSICS.items()} == SIZES


def test_transitions_are_distributions_and_rewards_have_their_class(name):
    game = classics.CLASSICS[name]()
    np.testing.assert_allclose(dense(game).sum(axis=-1), 1.0, atol=1e-12)
    assert (dense(game) >= 0).all()
    assert game.gamma == 0.9
    assert classics.CLASSICS[name](gamma=0.5).gamma == 0.5
    assert {reward.ndim for reward in game.rewards} == {2 if name == "iterated dilemma" else 1}
    for reward in game.rewards:
        assert 3 <= np.ptp(reward) <= 5


def test_uniform_play_visits_every_state_and_never_ends(name):
    game = classics.CLASSICS[name]()
    chain = dense(game).mean(axis=tuple(range(1, 1 + game.n_agents)))
    visits = np.linalg.solve(np.eye(game.n_states) - 0.9 * chain.T, game.start)
    assert visits.min() > 1e-6
    # From wherever play is, it gets to all states but a first one that never comes back.
    reach = np.linalg.matrix_power(np.eye(game.n_states) + chain, 200) > 0
    back = slice(1, None) if name == "iterated dilemma" else slice(None)
    assert reach[:, back].all()


@pytest.mark.parametrize(
    ("name", "states", "swap", "actions"),
    [
        ("stag hunt", STAG_HUNT, lambda p, q: (8 - q, 8 - p), TURNED),
        (
            "lanes", LANES,
            lambda p, q: (-1, -1) if p < 0 else (q // 4 * 4 + 3 - q % 4, p // 4 * 4 + 3 - p % 4),
            [0, 1, 2],
        ),
        ("coin", COIN, lambda p, q, c, k: (3 - q, 3 - p, 3 - c, 1 - k), TURNED),
        (
            "soccer", SOCCER,
            lambda p, q, b: (-1, -1, 1 - b) if p < 0 else (7 - q, 7 - p, 1 - b), TURNED,
        ),
        (
            "predator-prey", PREDATOR_PREY,
            lambda *cells: tuple(cells[i] // 3 * 3 + 2 - cells[i] % 3 for i in (1, 0, 2)), MIRRORED,
        ),
        ("iterated dilemma", [0, (0, 0), (0, 1), (1, 0), (1, 1)], lambda a, b: (b, a), [0, 1]),
    ],
)  # fmt: skip
def test_agents_of_a_symmetric_game_can_change_places(name, states, swap, actions):
    game = classics.CLASSICS[name]()
    order = [states.index(swap(*one)) if one else 0 for one in states]
    np.testing.assert_allclose(game.start[order], game.start)
    swapped = dense(game)[order][:, actions][:, :, actions][..., order].swapaxes(1, 2)
    np.testing.assert_allclose(swapped, dense(game), atol=1e-15)
    joint = [game.joint_reward(i).reshape(len(states), *game.actions) for i in (0, 1)]
    mirrored = joint[1][order][:, actions][:, :, actions].swapaxes(1, 2)
    np.testing.assert_array_equal(mirrored, joint[0])


def test_defecting_dominates_and_all_would_gain_by_cooperating():
    game = classics.iterated_dilemma()
    for agent in (0, 1):
        stage = game.joint_reward(agent).reshape(5, 2, 2).swapaxes(1, 1 + agent)
        assert (stage[:, 1] > stage[:, 0]).all()  # whatever the other does
        assert (stage[:, 0, 0] > stage[:, 1, 1]).all()
        assert (2 * stage[:, 0, 0] > stage[:, 0, 1] + stage[:, 1, 0]).all()
    table = game.transitions.indices.reshape(5, 4)
    assert (table == [1, 2, 3, 4]).all()


def test_a_stag_is_caught_by_two():
    game = classics.stag_hunt()
    rewards = np.array(game.rewards).T
    assert rewards[STAG_HUNT.index((4, 4))].tolist() == [4, 4]
    assert rewards[STAG_HUNT.index((4, 2))].tolist() == [-1, 1]
    assert rewards[STAG_HUNT.index((1, 5))].tolist() == [0, 0]
    assert after(game, STAG_HUNT, (1, 5), 0, 2) == {(4, 4): 1.0}
    assert after(game, STAG_HUNT, (4, 5), 4, 4) == {(0, 5): 1.0}
    assert after(game, STAG_HUNT, (1, 2), 3, 0) == {(2, 8): 1.0}
    assert (game.start @ np.arange(36)) == STAG_HUNT.index((0, 8))


def test_agents_who_meet_on_the_road_crash():
    game = classics.lanes()
    ahead, change, wait = 0, 1, 2
    assert after(game, LANES, (1, 2), ahead, ahead) == {(-1, -1): 1.0}  # through each other
    assert after(game, LANES, (1, 2), ahead, wait) == {(-1, -1): 1.0}  # into one cell
    assert after(game, LANES, (1, 5), change, change) == {(-1, -1): 1.0}
    assert after(game, LANES, (1, 2), change, ahead) == {(5, 1): 1.0}
    assert after(game, LANES, (1, 6), ahead, ahead) == {(2, 5): 1.0}
    assert after(game, LANES, (7, 5), wait, ahead) == {(0, 4): 1.0}
    assert after(game, LANES, (3, 0), wait, wait) == {(0, 3): 1.0}  # both are put back
    assert after(game, LANES, (-1, -1), change, ahead) == {(0, 3): 1.0}
    rewards = {state: r for state, *r in zip(LANES, *game.rewards, strict=True)}
    assert rewards[-1, -1] == [-3, -3]
    assert rewards[7, 5] == [2, 0]
    assert rewards[3, 4] == [2, 2]
    assert rewards[0, 3] == [0, 0]


def test_a_dish_goes_from_the_larder_to_the_hatch():
    game = classics.hand_over()
    walk, use, wait = 0, 1, 2
    state = (0, 0, 0, 0, 0)
    for actions, expected in [
        ((use, use), (0, 1, 0, 0, 0)), ((walk, wait), (1, 1, 0, 0, 0)),
        ((use, use), (1, 0, 1, 0, 0)),  # an empty counter has nothing to lift
        ((use, use), (1, 0, 0, 0, 1)), ((wait, walk), (1, 0, 0, 1, 1)),
        ((walk, wait), (0, 0, 0, 1, 0)),
    ]:  # fmt: skip
        (state,) = after(game, HAND_OVER, state, *actions)
        assert state == expected
    full = (1, 1, 1, 0, 1)
    assert after(game, HAND_OVER, full, use, use) == {full: 1.0}
    assert after(game, HAND_OVER, (1, 1, 1, 0, 0), use, use) == {(1, 1, 0, 0, 1): 1.0}
    assert after(game, HAND_OVER, (1, 1, 0, 1, 1), walk, walk) == {(0, 1, 0, 0, 0): 1.0}
    for reward in game.rewards:
        paid = {state for state, r in zip(HAND_OVER, reward, strict=True) if r == 3}
        assert paid == {state for state in HAND_OVER if state[3:] == (1, 1)}
        assert reward.sum() == 3 * len(paid)


def test_a_coin_pays_its_taker_and_costs_its_owner():
    game = classics.coin()
    rewards = {state: r for state, *r in zip(COIN, *game.rewards, strict=True)}
    assert rewards[0, 3, 0, 0] == [1, 0]
    assert rewards[0, 3, 0, 1] == [1, -2]
    assert rewards[2, 2, 2, 1] == [1, -1]
    assert rewards[0, 3, 1, 0] == [0, 0]
    assert after(game, COIN, (0, 3, 1, 0), 3, 4) == {(1, 3, 1, 0): 1.0}
    placed = after(game, COIN, (1, 3, 1, 0), 0, 4)  # both are in cell 3 now
    assert placed == pytest.approx({(3, 3, c, k): 1 / 6 for c in range(3) for k in (0, 1)})
    started = {s: p for s, p in zip(COIN, game.start, strict=True) if p}
    assert started == {(0, 3, c, k): 0.25 for c in (1, 2) for k in (0, 1)}


def test_soccer_is_zero_sum_and_a_player_who_runs_into_the_other_loses_the_ball():
    game = classics.soccer()
    down, left, right, stay = 0, 2, 3, 4
    np.testing.assert_array_equal(game.rewards[0], -game.rewards[1])
    assert game.rewards[0][:2].tolist() == [2, -2]
    assert not game.rewards[0][2:].any()
    assert after(game, SOCCER, (1, 2, 0), right, stay) == {(1, 2, 1): 1.0}
    assert after(game, SOCCER, (1, 2, 0), stay, left) == {(1, 2, 0): 1.0}
    # Who is first matters: agent 1 leaves the cell before agent 0 comes, or after.
    assert after(game, SOCCER, (1, 2, 0), right, down) == {(1, 6, 1): 0.5, (2, 6, 0): 0.5}
    assert after(game, SOCCER, (3, 2, 0), right, stay) == {(-1, -1, 0): 1.0}
    assert after(game, SOCCER, (3, 2, 1), right, stay) == {(3, 2, 1): 1.0}  # without the ball
    assert after(game, SOCCER, (4, 5, 0), left, stay) == {(4, 5, 0): 1.0}  # its own end
    assert after(game, SOCCER, (5, 4, 1), stay, left) == {(-1, -1, 1): 1.0}
    kick_off = {(1, 6, 0): 0.5, (1, 6, 1): 0.5}
    assert after(game, SOCCER, (-1, -1, 1), down, left) == kick_off
    assert {s: p for s, p in zip(SOCCER, game.start, strict=True) if p} == kick_off


def test_a_prey_is_caught_by_two():
    game = classics.predator_prey()
    down, left, right, stay = 0, 2, 3, 4
    rewards = {state: r for state, *r in zip(PREDATOR_PREY, *game.rewards, strict=True)}
    assert rewards[3, 1, 0] == [3, 3]
    assert rewards[3, 2, 0] == [-1, 0]
    assert rewards[5, 1, 4] == [3, 3]
    assert rewards[0, 2, 4] == [0, 0]
    assert after(game, PREDATOR_PREY, (3, 1, 0), left, down) == {(0, 2, 4): 1.0}
    wanders = after(game, PREDATOR_PREY, (0, 2, 4), stay, down)
    assert wanders == pytest.approx({(0, 5, q): 1 / 3 for q in (1, 3, 4)})
    blocked = after(game, PREDATOR_PREY, (0, 1, 5), right, left)  # they change no places
    assert blocked == pytest.approx({(0, 1, q): 1 / 3 for q in (2, 4, 5)})
    meeting = after(game, PREDATOR_PREY, (0, 2, 3), right, left)
    assert meeting == pytest.approx({(0, 2, q): 1 / 2 for q in (3, 4)})
    behind = after(game, PREDATOR_PREY, (1, 0, 2), right, right)  # the prey stops both
    assert behind == pytest.approx({(1, 0, q): 1 / 2 for q in (2, 5)})


def test_frozen_lake_slips_to_either_side_as_often_as_it_goes_ahead():
    lake = "SFFFFHFHFFFHHFFG"
    game = classics.frozen_lake()
    ways = [(0, -1), (1, 0), (0, 1), (-1, 0)]  # left, down, right, up
    expected = np.zeros((16, 4, 16))
    for cell, action in product(range(16), range(4)):
        if lake[cell] in "HG":
            expected[cell, action, 0] = 1
            continue
        for way in (action - 1, action, action + 1):
            down, right = ways[way % 4]
            row, column = np.clip(cell // 4 + down, 0, 3), np.clip(cell % 4 + right, 0, 3)
            expected[cell, action, 4 * row + column] += 1 / 3
    np.testing.assert_allclose(dense(game), expected, atol=1e-12)
    assert game.rewards[0].tolist() == [0] * 15 + [5]
    assert game.start[0] == 1
