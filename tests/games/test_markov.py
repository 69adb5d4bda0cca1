import naive
import numpy as np
import pytest
from scipy.sparse import csr_array

from malfl import Dynamics, MarkovGame
from malfl.checks import discount

TABLE = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [2, 2, 2, 2]])
REWARDS = [np.zeros(3), np.arange(12.0).reshape(3, 4)]


def make(**changes):
    options = {
        "actions": (2, 2), "transitions": TABLE, "rewards": REWARDS, "start": 0, "gamma": 0.5
    } | changes  # fmt: skip
    return MarkovGame(**options)


def probabilities(**entries):
    dense = np.eye(3)[TABLE]
    for key, value in entries.items():
        dense[tuple(int(i) for i in key[1:].split("_"))] = value
    return dense


def sparse_indices():
    """Each next state of the table, followed by another one."""
    return np.stack([TABLE.ravel(), (TABLE.ravel() + 1) % 3], axis=1).ravel()


def test_all_ways_to_give_transitions_mean_the_same():
    dense = np.eye(3)[TABLE]
    sparse = csr_array(dense.reshape(12, 3))
    for transitions in (
        TABLE, TABLE.reshape(3, 2, 2), dense, dense.reshape(3, 2, 2, 3), sparse
    ):  # fmt: skip
        game = make(transitions=transitions)
        np.testing.assert_array_equal(game.transitions.toarray(), dense.reshape(12, 3))
        assert game.is_deterministic
        assert (game.n_agents, game.n_states, game.n_joint_actions) == (2, 3, 4)
    repeated = csr_array((np.full(24, 0.5), np.repeat(TABLE.ravel(), 2), np.arange(0, 26, 2)))
    assert make(transitions=repeated).is_deterministic
    zeros = csr_array((np.tile([1.0, 0.0], 12), sparse_indices(), np.arange(0, 26, 2)))
    assert make(transitions=zeros).is_deterministic
    half = make(transitions=probabilities(e0_0=[0.5, 0, 0.5]))
    assert not half.is_deterministic


def test_joint_actions_count_agent_0_slowest():
    game = make(actions=(1, 4))
    np.testing.assert_array_equal(game.own_actions, [[0, 0, 0, 0], [0, 1, 2, 3]])
    np.testing.assert_array_equal(make().own_actions, [[0, 0, 1, 1], [0, 1, 0, 1]])


def test_rewards_over_states_or_joint_actions():
    game = make(rewards=[np.arange(3.0), REWARDS[1].reshape(3, 2, 2)])
    np.testing.assert_array_equal(game.joint_reward(0), np.repeat([[0], [1], [2]], 4, axis=1))
    np.testing.assert_array_equal(game.joint_reward(1), REWARDS[1])


def test_a_large_deterministic_game_stays_sparse():
    states = 20_000
    table = np.random.default_rng(0).integers(states, size=(states, 4))
    game = MarkovGame(
        actions=(2, 2), transitions=table, rewards=[np.zeros(states)] * 2, start=0, gamma=0.9
    )
    assert game.transitions.nnz == 4 * states


def test_a_game_does_not_change_with_its_ingredients():
    reward = np.zeros(3)
    game = make(rewards=[reward, reward])
    reward[0] = 5
    assert game.rewards[0][0] == 0
    for part in (game.rewards[0], game.start, game.transitions.data, game.transitions.indices):
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 1


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.float64])
def test_a_game_does_not_change_with_its_transitions(kind):
    """A table of next states is not shared either, whatever its integers."""
    table = TABLE.astype(np.int64 if kind is np.float64 else kind)
    given = np.eye(3)[table] if kind is np.float64 else table
    start, expected = np.array([0, 0.5, 0.5]), make().transitions.toarray()
    game = make(transitions=given, start=start)
    given[:] = 0
    start[:] = 0
    np.testing.assert_array_equal(game.transitions.toarray(), expected)
    np.testing.assert_array_equal(game.start, [0, 0.5, 0.5])


@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_a_game_does_not_change_with_a_sparse_matrix(kind, dtype):
    matrix = csr_array(np.eye(3)[TABLE].reshape(12, 3).astype(dtype))
    matrix.indices, matrix.indptr = matrix.indices.astype(kind), matrix.indptr.astype(kind)
    game = make(transitions=matrix)
    for part in (matrix.data, matrix.indices, matrix.indptr):
        assert part.flags.writeable  # the caller's own matrix stays as it was
        part[:] = 0
    np.testing.assert_array_equal(game.transitions.toarray(), make().transitions.toarray())


def test_a_table_of_next_states_stays_the_callers_own():
    table = TABLE.copy()
    make(transitions=table)
    table[0, 0] = 2
    assert table[0, 0] == 2


def test_all_arrays_of_a_game_are_read_only():
    for game in (make(), make(transitions=np.eye(3)[TABLE]), make().with_rewards(REWARDS)):
        for one in (game, game.without_rewards()):
            matrix = one.transitions
            for array in (one.start, matrix.data, matrix.indices, matrix.indptr):
                assert not array.flags.writeable
        for array in (*game.rewards, game.joint_reward(0), game.joint_reward(1)):
            assert not array.flags.writeable


def test_own_actions_are_read_only():
    assert not make().own_actions.flags.writeable


def test_the_same_game_with_other_rewards(game):
    others = [np.arange(game.n_states) + 10.0 * i for i in range(game.n_agents)]
    before = [reward.copy() for reward in game.rewards]
    changed = game.with_rewards(others)
    for reward, other, old, old_now in zip(
        changed.rewards, others, before, game.rewards, strict=True
    ):
        np.testing.assert_array_equal(reward, other)
        np.testing.assert_array_equal(old, old_now)
    assert changed.transitions is game.transitions
    with pytest.raises(ValueError, match=r"rewards must hold one array for each of"):
        game.with_rewards(others[1:])


def test_a_code_is_a_state_and_a_pair_of_each_agent(game):
    for agent, own in enumerate(game.actions):
        states, pairs = game.code_parts(agent)
        code = 0
        for s in range(game.n_states):
            for joint in naive.joint_actions(game.actions):
                assert (states[code], pairs[code]) == (s, s * own + joint[agent])
                code += 1
        assert len(states) == len(pairs) == code


def test_without_rewards_there_are_none():
    bare = make().without_rewards()
    assert type(bare) is Dynamics
    assert not hasattr(bare, "rewards")
    assert (bare.gamma, bare.actions) == (0.5, (2, 2))
    moved = make(start=[0, 0.5, 0.5], gamma=0.7).without_rewards()
    np.testing.assert_array_equal(moved.start, [0, 0.5, 0.5])
    assert moved.gamma == 0.7
    np.testing.assert_array_equal(moved.transitions.toarray(), make().transitions.toarray())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actions": ()}, "actions must name at least one agent, got none"),
        ({"actions": (0, 4)}, r"actions\[0\] must be at least 1, got 0"),
        ({"actions": (2, 3)}, r"table of next states, must have shape \(3, 6\)"),
        ({"transitions": np.zeros((0, 4), dtype=int)}, "at least one state"),
        ({"transitions": TABLE + 1}, r"transitions\[2, 0\] is 3; a next state must lie in 0..2"),
        ({"transitions": -TABLE}, r"transitions\[0, 1\] is -1"),
        ({"transitions": probabilities(e1_2_0=0.9)}, "state 1 under joint action 2 sum to 0.9"),
        ({"transitions": probabilities(e1_2_0=1 - 1e-6)}, "they must sum to 1"),
        ({"transitions": probabilities(e1_2=[1.5, -0.5, 0])}, "action 2 to state 1 is -0.5"),
        ({"transitions": probabilities(e1_2_0=np.nan)}, r"transitions\[1, 2, 0\] is nan"),
        ({"transitions": np.ones((3, 4, 2)) / 2}, r"shape \(3, 4, 3\) or \(3, 2, 2, 3\)"),
        ({"transitions": csr_array(np.eye(3))}, r"shape \(S \* 4, S\)"),
        ({"rewards": [np.zeros(3)]}, "for each of 2 agents, got 1"),
        ({"rewards": [np.zeros(3), np.zeros(4)]}, r"rewards\[1\] must have shape \(3,\), \(3, 4\)"),
        ({"rewards": [np.zeros(3), [0, np.inf, 0]]}, r"rewards\[1\]\[1\] is inf"),
        ({"rewards": [[0, np.nan, 0], np.zeros(3)]}, r"rewards\[0\]\[1\] is nan"),
        ({"rewards": [["a", "b", "c"], np.zeros(3)]}, r"rewards\[0\] must be an array of real"),
        ({"rewards": [1j * np.ones(3), np.zeros(3)]}, r"rewards\[0\] must be an array of real"),
        ({"rewards": [[[1, 2], [3]], np.zeros(3)]}, r"rewards\[0\] must be an array of numbers"),
        ({"rewards": None}, "rewards must be a sequence with one entry for each agent, got None"),
        ({"actions": 4}, "actions must be a sequence with one entry for each agent, got 4"),
        ({"transitions": [[0, 1], [2]]}, "transitions must be an array of numbers"),
        ({"transitions": csr_array(np.ones(3))}, "transitions must be a matrix of real numbers"),
        ({"start": True}, "start must be a whole number, got True"),
        ({"start": 3}, r"start must lie in 0..2, got 3"),
        ({"start": [0.5, 0.4, 0]}, "start.* sums to 0.9"),
        ({"start": [1.5, -0.5, 0]}, r"start\[1\] is -0.5"),
        ({"start": [1, 0]}, r"start must have shape \(3,\)"),
        ({"gamma": 1.0}, r"gamma must lie in \[0, 1\) unless every episode ends, got 1"),
        ({"gamma": -0.1}, r"gamma must lie in \[0, 1\)"),
        ({"gamma": np.nan}, "gamma must be finite"),
        ({"gamma": "high"}, "gamma must be a number, got 'high'"),
    ],
)  # fmt: skip
def test_bad_ingredients_are_named(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(**changes)


@pytest.mark.parametrize("wrong", [3, -1])
def test_sparse_transitions_to_states_that_do_not_exist_are_refused(wrong):
    indices = TABLE.ravel().copy()
    indices[5] = wrong
    matrix = csr_array((np.ones(12), indices, np.arange(13)), shape=(12, 3))
    with pytest.raises(ValueError, match="transitions"):
        make(transitions=matrix)


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr"])
@pytest.mark.parametrize("last", [-1, -(2**40), 2**40])
def test_sparse_transitions_whose_pointers_leave_them_are_refused(kind, last):
    matrix = csr_array((np.ones(12), TABLE.ravel(), np.arange(13)), shape=(12, 3)).asformat(kind)
    matrix.indptr = matrix.indptr.astype(np.int64)
    matrix.indptr[1] = 10**6
    matrix.indptr[-1] = last
    with pytest.raises(ValueError, match="transitions must be a sparse matrix that is whole"):
        make(transitions=matrix)


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ([np.full((3, 2), 0.5)], "one array for each of 2 agents, got 1"),
        ([np.full((3, 2), 0.5), np.full((3, 3), 1 / 3)], r"policies\[1\] must have shape \(3, 2\)"),
        ([np.full((3, 2), 0.5), np.full((3, 2), 0.4)], r"policies\[1\]\[0\] sums to 0.8"),
        ([np.tile([1.5, -0.5], (3, 1)), np.full((3, 2), 0.5)], r"policies\[0\]\[0, 1\] is -0.5"),
    ],
)
def test_bad_policies_are_named(policies, message):
    with pytest.raises(ValueError, match=message):
        make().check_policies(policies)


def test_no_discount_at_all_is_allowed():
    assert discount(0) == 0.0


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("sparse", [False, True])
def test_narrow_probabilities_are_put_right(kind, sparse):
    rows = np.full((3, 2, 3), 1 / 3).astype(kind)
    given = csr_array(rows.reshape(6, 3)) if sparse and kind != np.float16 else rows
    game = Dynamics(actions=(2,), transitions=given, start=0, gamma=0.5)
    np.testing.assert_allclose(game.transitions.sum(axis=1), 1.0, rtol=1e-15)
    (policy,) = game.check_policies([np.full((3, 2), 1 / 2).astype(kind)])
    np.testing.assert_array_equal(policy, 0.5)
    uneven = np.array([[0.1, 0.9]] * 3).astype(kind)
    (policy,) = game.check_policies([uneven])
    np.testing.assert_allclose(policy.sum(axis=1), 1.0, rtol=1e-15)
    with pytest.raises(ValueError, match=r"policies\[0\]\[0\] sums to 1\.0\d*; it must sum to 1"):
        game.check_policies([np.array([[0.11, 0.9]] * 3).astype(kind)])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", [np.int8, np.uint64, np.float32, np.float64])
def test_arrays_of_any_type_and_order_mean_the_same(kind, order):
    reward = np.arange(12).reshape(3, 4)
    changed = np.asarray(np.repeat(reward, 2, axis=1)[:, ::2], dtype=kind, order=order)
    changed.setflags(write=False)
    np.testing.assert_array_equal(make(rewards=[changed, reward]).rewards[0], reward)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (np.ma.array(np.zeros(3), mask=[0, 1, 0]), ValueError, r"rewards\[0\] has masked entries"),
        (np.zeros(3, dtype=bool), TypeError, r"rewards\[0\] must be .* real numbers, got bool"),
        (np.zeros(3, dtype=object), TypeError, r"rewards\[0\] must be .* real numbers, got object"),
        (np.zeros(3, dtype="S1"), TypeError, r"rewards\[0\] must be .* real numbers, got \|S1"),
        (np.zeros(3, dtype=complex), TypeError, r"rewards\[0\] must be .* got complex128"),
    ],
)
def test_what_is_no_number_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        make(rewards=[wrong, np.zeros(3)])


def test_a_mask_that_hides_nothing_is_fine():
    whole = np.ma.array(np.arange(3.0), mask=False)
    np.testing.assert_array_equal(make(rewards=[whole, np.zeros(3)]).rewards[0], np.arange(3.0))


@pytest.mark.parametrize("short", [1e-15, 1e-16, 2e-13])
def test_discounts_next_to_1_are_refused(short):
    message = r"gamma must (be at most 1 - 1e-12, got 1 - |lie in \[0, 1\))"
    with pytest.raises(ValueError, match=message):
        make(gamma=1 - short)
