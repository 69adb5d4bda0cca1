import copy
import itertools
import pickle

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl import Episodes, sample_episodes
from malfl.play import Episode

STATES = [[0, 2, 1], [1, 1], [2, 0, 0, 1, 2]]
ACTIONS = [[1, 3], [0], [2, 2, 0, 3]]


def joined(lists):
    return list(itertools.chain(*lists))


def made(states=STATES, actions=ACTIONS, n_states=3, n_joint_actions=4):
    return Episodes.from_lists(states, actions, n_states=n_states, n_joint_actions=n_joint_actions)


def from_flat(**changes):
    flat = {
        "states": joined(STATES),
        "actions": joined(ACTIONS),
        "lengths": [2, 1, 4],
        "n_states": 3,
        "n_joint_actions": 4,
    }
    return Episodes(**flat | changes)


@pytest.fixture(params=[made, from_flat], ids=["lists", "flat"])
def episodes(request):
    return request.param()


def test_episodes_are_what_was_given(episodes):
    assert (len(episodes), episodes.steps) == (3, 7)
    assert (episodes.n_states, episodes.n_joint_actions) == (3, 4)
    assert episodes.lengths.tolist() == [2, 1, 4]
    assert [one.states.tolist() for one in episodes] == STATES
    assert [one.actions.tolist() for one in episodes] == ACTIONS


@pytest.mark.parametrize("k", [0, 1, 2, np.int64(1)])
def test_one_episode_has_a_number(episodes, k):
    one = episodes[k]
    assert isinstance(one, Episode)
    assert (one.states.tolist(), one.actions.tolist()) == (STATES[k], ACTIONS[k])
    assert one.states.dtype == one.actions.dtype == np.int64


@pytest.mark.parametrize("k", [3, -1, 10**9])
def test_other_numbers_are_of_no_episode(episodes, k):
    with pytest.raises(IndexError, match=rf"episode must lie in 0\.\.2, got {k}"):
        episodes[k]


def test_moves_are_of_all_steps_in_their_order(episodes):
    expected = [
        (s[t], a[t], s[t + 1]) for s, a in zip(STATES, ACTIONS, strict=True) for t in range(len(a))
    ]
    assert list(zip(*(part.tolist() for part in episodes.moves()), strict=True)) == expected


def test_no_move_leads_from_one_episode_to_the_next():
    _, _, after = made([[0, 1], [2, 2], [0, 0, 1]], [[0], [3], [1, 1]]).moves()
    assert after.tolist() == [1, 2, 0, 1]


def test_moves_of_some_steps_are_those_among_all(episodes):
    whole = episodes.moves()
    for begin in range(episodes.steps + 1):
        for end in range(begin, episodes.steps + 1):
            for part, all_ in zip(episodes.moves(begin, end), whole, strict=True):
                assert part.tolist() == all_[begin:end].tolist()


def test_counts_are_of_states_acted_in(episodes):
    counts = episodes.counts()
    assert counts.shape == (3, 4)
    assert counts.sum() == episodes.steps
    expected = np.zeros((3, 4), dtype=int)
    for states, actions in zip(STATES, ACTIONS, strict=True):
        for s, a in zip(states[:-1], actions, strict=True):
            expected[s, a] += 1
    np.testing.assert_array_equal(counts, expected)


def test_lists_and_the_constructor_pack_alike():
    for ours, theirs in zip(made().packed, from_flat().packed, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_steps_are_packed_one_after_the_other(episodes):
    codes, ends, last = episodes.packed
    assert codes.tolist() == [1, 11, 4, 10, 2, 0, 7]
    assert ends.tolist() == [0, 2, 3, 7]
    assert last.tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("states", "actions", "kind"),
    [
        (1, 1, np.uint8),
        (64, 4, np.uint8),
        (257, 1, np.uint16),
        (2**14, 4, np.uint16),
        (2**14 + 1, 4, np.uint32),
        (2**30 + 1, 4, np.uint64),
    ],
)
def test_the_fewest_bytes_hold_the_last_step_and_state_of_all(states, actions, kind):
    s, a = states - 1, actions - 1
    episodes = made([[s, s], [0, s, 0]], [[a], [0, a]], states, actions)
    assert episodes.packed.codes.dtype == episodes.packed.last.dtype == kind
    assert [one.states.tolist() for one in episodes] == [[s, s], [0, s, 0]]
    assert [one.actions.tolist() for one in episodes] == [[a], [0, a]]
    before, taken, after = episodes.moves()
    assert (before.tolist(), taken.tolist(), after.tolist()) == ([s, 0, s], [a, 0, a], [s, s, 0])


@pytest.mark.parametrize("lengths", [[], [1], [1, 1, 1], [9, 1, 30, 2]])
def test_parts_make_the_same_again(lengths):
    rng = np.random.default_rng(0)
    episodes = made(
        [rng.integers(3, size=n + 1) for n in lengths], [rng.integers(4, size=n) for n in lengths]
    )
    again = Episodes(**episodes.parts())
    for ours, theirs in zip(again.packed, episodes.packed, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_there_may_be_no_episodes():
    none = made([], [])
    assert (len(none), none.steps, list(none), none.lengths.tolist()) == (0, 0, [], [])
    np.testing.assert_array_equal(none.counts(), np.zeros((3, 4)))
    assert [part.size for part in none.moves()] == [0, 0, 0]


def test_arrays_and_floats_that_are_whole_will_do():
    states = [np.array(one, dtype=np.float32) for one in STATES]
    actions = [np.array(one, dtype=np.uint8) for one in ACTIONS]
    for episodes in (made(states, actions), made(tuple(states), tuple(actions))):
        assert [one.states.tolist() for one in episodes] == STATES


def test_recorded_episodes_are_like_those_given_as_lists(game, policies):
    played = sample_episodes(game, policies, episodes=5, steps=9, seed=0)
    states, actions = [one.states for one in played], [one.actions for one in played]
    again = made(states, actions, game.n_states, game.n_joint_actions)
    for ours, theirs in zip(again.packed, played.packed, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(again.counts(), naive.joint_counts(game, states, actions))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"states": [0, 2, 1, 1, 1, 2, 0, 0, 1, 3]}, r"states\[9\] is 3; .* at most 2"),
        ({"states": [0, 2, -1, 1, 1, 2, 0, 0, 1, 2]}, r"states\[2\] is -1; .* 0 or more"),
        ({"states": [0, 2, 1.5, 1, 1, 2, 0, 0, 1, 2]}, r"states\[2\] is 1\.5; .* whole numbers"),
        ({"states": [0, 2, np.nan, 1, 1, 2, 0, 0, 1, 2]}, r"states\[2\] is nan"),
        ({"states": list("0211120012")}, "states must be an array of real numbers"),
        ({"states": [[0, 2, 1, 1, 1, 2, 0, 0, 1, 2]]}, r"states must have shape \(n,\)"),
        ({"states": STATES}, "states must be an array of numbers"),
        ({"actions": [1, 3, 0, 2, 4, 0, 3]}, r"actions\[4\] is 4; .* at most 3"),
        ({"actions": [1, 3, 0, 2, 2, 0, -3]}, r"actions\[6\] is -3"),
        ({"lengths": [2, 0, 5]}, r"lengths\[1\] is 0; it must be at least 1"),
        ({"lengths": [2, -1, 6]}, r"lengths\[1\] is -1"),
        ({"lengths": [2, 1.5, 3.5]}, r"lengths\[1\] is 1\.5; .* whole numbers"),
        ({"lengths": 7}, r"lengths must have shape \(n,\), got \(\)"),
        (
            {"lengths": [2, 1, 3]},
            "add up to 6 steps.* as many actions, and 3 states more; got 7 and",
        ),
        ({"lengths": [2, 5]}, "add up to 7 steps.* and 2 states more; got 7 and 10"),
        ({"states": [0, 2, 1, 1, 1, 2, 0, 0, 1]}, "3 states more; got 7 and 9"),
        ({"n_states": 2}, r"states\[1\] is 2; .* at most 1"),
        ({"n_states": 0}, "n_states must be at least 1, got 0"),
        ({"n_states": 2.5}, "n_states must be a whole number, got 2.5"),
        ({"n_joint_actions": 3}, r"actions\[1\] is 3; .* at most 2"),
    ],
)
def test_bad_parts_are_named_by_argument_and_entry(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        from_flat(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"states": [*STATES[:2], [2, 0, -1, 1, 2]]}, r"states\[2\]\[2\] is -1"),
        ({"states": [[0, 2, 0.5], *STATES[1:]]}, r"states\[0\]\[2\] is 0\.5; .* whole numbers"),
        ({"states": [STATES[0], ["a", "b"], STATES[2]]}, r"states\[1\] must be an array of real"),
        ({"states": [STATES[0], 1, STATES[2]]}, r"states\[1\] must have shape \(n,\), got \(\)"),
        ({"actions": [ACTIONS[0], [-1], ACTIONS[2]]}, r"actions\[1\]\[0\] is -1"),
        ({"actions": [[[1, 3]], *ACTIONS[1:]]}, r"actions\[0\] must have shape \(n,\), got \(1, 2"),
        ({"actions": ACTIONS[:2]}, "must be of the same episodes, got 3 and 2"),
        ({"states": []}, "must be of the same episodes, got 0 and 3"),
        (
            {"states": [STATES[0], [1, 1, 1], STATES[2]]},
            r"states\[1\] must have one state more than there are actions, 1; got 3",
        ),
        ({"actions": [*ACTIONS[:2], [2, 2, 0]]}, r"states\[2\] must have one .* actions, 3; got 5"),
    ],
)
def test_bad_episodes_are_named_by_their_number_and_entry(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        made(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"states": [*STATES[:2], [2, 0, 0, 1, 3]]}, r"states\[2\]\[4\] is 3; .* at most 2"),
        ({"actions": [[1, 4], *ACTIONS[1:]]}, r"actions\[0\]\[1\] is 4; .* at most 3"),
        ({"states": [[0], *STATES[1:]], "actions": [[], *ACTIONS[1:]]}, r"actions\[0\]"),
        ({"n_states": 2}, r"states\[0\]\[1\] is 2; .* at most 1"),
    ],
)
def test_what_no_game_has_is_named_by_episode_and_entry(changes, message):
    with pytest.raises(ValueError, match=message):
        made(**changes)


@pytest.mark.parametrize("number", [0, -1, 2.5, None])
def test_a_bad_number_of_joint_actions_is_named(number):
    for make in (made, from_flat):
        with pytest.raises((ValueError, TypeError), match=r"n_joint_actions must be .*, got"):
            make(n_joint_actions=number)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_arrays_are_read_only(again):
    game = random_game(np.random.default_rng(0))
    policies = random_policies(game.actions, 4, np.random.default_rng(1))
    recorded = sample_episodes(game, policies, episodes=2, steps=3, seed=0)
    for episodes in (made(), from_flat(), recorded):
        for array in (*episodes.packed, *again(episodes).packed):
            assert not array.flags.writeable
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def test_what_is_handed_out_can_be_changed_and_changes_nothing(episodes):
    for part in (*episodes.moves(), *episodes[0], episodes.counts(), episodes.lengths):
        part[:] = 1
    assert [one.states.tolist() for one in episodes] == STATES
    assert [one.actions.tolist() for one in episodes] == ACTIONS
    assert episodes.lengths.tolist() == [2, 1, 4]


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.float64])
def test_the_callers_arrays_are_not_shared(kind):
    flat = {
        "states": np.array(joined(STATES), dtype=kind),
        "actions": np.array(joined(ACTIONS), dtype=kind),
        "lengths": np.array([2, 1, 4], dtype=kind),
    }
    lists = [[np.array(one, dtype=kind) for one in several] for several in (STATES, ACTIONS)]
    for episodes, given in ((from_flat(**flat), flat.values()), (made(*lists), joined(lists))):
        for array in given:
            array[:] = 1
        assert [one.states.tolist() for one in episodes] == STATES
        assert [one.actions.tolist() for one in episodes] == ACTIONS
        assert episodes.lengths.tolist() == [2, 1, 4]
