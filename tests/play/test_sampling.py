from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

from malfl import Dynamics, Episodes, sample_counts, sample_episodes
from malfl.play.player import Player
from malfl.play.sampling import WALKED_STEPS, Chain, Recorder


def one_agent(states, actions):
    """A game of which only the size matters."""
    table = np.arange(states * actions).reshape(states, actions) % states
    return Dynamics(actions=(actions,), transitions=table, start=0, gamma=0.5)


def by_episode(played):
    """States and actions, one array an episode."""
    return [one.states for one in played], [one.actions for one in played]


@pytest.mark.parametrize(
    ("states", "actions", "kind"),
    [
        (1, 1, np.uint8),
        (64, 4, np.uint8),
        (257, 1, np.uint16),
        (86, 3, np.uint16),
        (2**14, 4, np.uint16),
        (2**14 + 1, 4, np.uint32),
    ],
)
def test_steps_are_packed_in_the_fewest_bytes(states, actions, kind):
    game = one_agent(states, actions)
    played = sample_episodes(game, game.uniform_policies(), episodes=3, steps=5, seed=0)
    assert played.packed.codes.dtype == played.packed.last.dtype == kind
    assert (len(played), played.steps, played.lengths.tolist()) == (3, 15, [5, 5, 5])
    again = Episodes.from_lists(*by_episode(played), n_states=states, n_joint_actions=actions)
    for ours, theirs in zip(again.packed, played.packed, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_steps_unpack_into_states_and_actions(game, policies):
    played = sample_episodes(game, policies, episodes=7, steps=40, seed=1)
    states, actions = by_episode(played)
    assert [one.shape for one in states] == [(41,)] * 7
    assert [one.shape for one in actions] == [(40,)] * 7
    assert {one.dtype for one in (*states, *actions)} == {np.dtype(np.int64)}
    states, actions = np.array(states), np.array(actions)
    packed = states[:, :-1] * game.n_joint_actions + actions
    np.testing.assert_array_equal(packed.ravel(), played.packed.codes)
    np.testing.assert_array_equal(states[:, -1], played.packed.last)
    possible = game.transitions.toarray().reshape(game.n_states, -1, game.n_states) > 0
    assert possible[states[:, :-1], actions, states[:, 1:]].all()


@pytest.mark.parametrize("block_steps", [1, 6, 40, 2**22])
def test_recorded_and_counted_are_the_same_episodes(monkeypatch, game, policies, block_steps):
    monkeypatch.setattr("malfl.play.player.BLOCK_STEPS", block_steps)
    played = sample_episodes(game, policies, episodes=7, steps=40, seed=1)
    counts = sample_counts(game, policies, episodes=7, steps=40, seed=1, method="walk")
    np.testing.assert_array_equal(counts, naive.joint_counts(game, *by_episode(played)))


@pytest.mark.parametrize("block_steps", [1, 6, 40, 2**22])
def test_what_was_drawn_ahead_is_recorded_if_asked_for(monkeypatch, game, policies, block_steps):
    monkeypatch.setattr("malfl.play.player.BLOCK_STEPS", block_steps)
    player, ahead = Player(game), np.zeros((7, 40), dtype=np.int64)
    recorder, without = Recorder(game, 7, 40, ahead=True), Recorder(game, 7, 40)
    for block in player.play(policies, 7, 40, np.random.default_rng(1)):
        recorder.add(block)
        without.add(block)
        states, actions = np.divmod(
            (block.codes[:, : block.steps] >> np.uint64(32)).astype(np.int64), 1 << player.bits
        )
        lanes = slice(block.episode, block.episode + len(block.codes))
        steps = slice(block.step, block.step + block.steps)
        ahead[lanes, steps] = states * game.n_joint_actions + actions
    np.testing.assert_array_equal(recorder.ahead, ahead.ravel())
    assert without.ahead is None
    played, theirs = recorder.episodes(), without.episodes()
    np.testing.assert_array_equal(played.packed.codes, theirs.packed.codes)
    np.testing.assert_array_equal(recorder.ahead // game.n_joint_actions, played.moves()[2])


def test_frequencies_are_those_of_the_policies_and_transitions():
    game = random_game(np.random.default_rng(0), states=3)
    policies = random_policies(game.actions, 3, np.random.default_rng(1))
    played = sample_episodes(game, policies, episodes=2000, steps=50, seed=0)
    s, a, t = played.moves()
    dense = game.transitions.toarray().reshape(3, 6, 3)
    first = np.bincount([one.states[0] for one in played], minlength=3) / 2000
    np.testing.assert_allclose(first, game.start, atol=4 * np.sqrt(0.25 / 2000))
    for state in range(3):
        here = s == state
        joint = np.einsum("a,b->ab", policies[0][state], policies[1][state]).ravel()
        seen = np.bincount(a[here], minlength=6) / here.sum()
        np.testing.assert_allclose(seen, joint, atol=4 * np.sqrt(0.25 / here.sum()))
        for action in range(6):
            moves = here & (a == action)
            seen = np.bincount(t[moves], minlength=3) / moves.sum()
            expected = dense[state, action]
            np.testing.assert_allclose(seen, expected, atol=4 * np.sqrt(0.25 / moves.sum()))
            assert (seen[expected == 0] == 0).all()


@pytest.mark.parametrize("method", ["walk", "occupancy"])
def test_counts_have_the_exact_expectation_and_covariance(game, policies, method):
    rng = np.random.default_rng(5)
    samples = np.array(
        [
            sample_counts(game, policies, episodes=12, steps=7, seed=rng, method=method).ravel()
            for _ in range(600)
        ]
    )
    assert (samples.sum(axis=1) == 84).all()
    mean, covariance = naive.count_moments(game, policies, 7)
    deviations = samples - 12 * mean
    products = deviations[:, :, None] * deviations[:, None, :]
    for sample, expected in ((deviations, 0), (products, 12 * covariance)):
        error = np.abs(sample.mean(axis=0) - expected)
        assert (error < 5 * sample.std(axis=0) / np.sqrt(600) + 1e-9).all()


@pytest.mark.parametrize("method", ["walk", "occupancy"])
def test_many_episodes_come_close_to_the_expectation(game, policies, method):
    counts = sample_counts(game, policies, episodes=10**5, steps=20, seed=0, method=method)
    assert counts.sum() == 2 * 10**6
    assert counts.dtype == np.int64
    mean, covariance = naive.count_moments(game, policies, 20)
    error = np.abs(counts.ravel() - 10**5 * mean)
    assert (error <= 4.5 * np.sqrt(10**5 * np.diag(covariance).clip(0)) + 1e-6).all()


@pytest.mark.parametrize("method", ["walk", "occupancy"])
def test_the_impossible_never_happens(method):
    rng = np.random.default_rng(0)
    moves = rng.dirichlet(np.ones(4), size=(5, 6)) * (rng.random((5, 6, 4)) < 0.5)
    moves[:, :, 0] += 0.1
    moves = np.pad(moves / moves.sum(axis=2, keepdims=True), [(0, 0), (0, 0), (0, 1)])
    game = Dynamics(actions=(2, 3), transitions=moves, start=[0, 0.5, 0, 0.5, 0], gamma=0.5)
    policies = (np.tile([1.0, 0.0], (5, 1)), np.tile([0.0, 0.5, 0.5], (5, 1)))
    counts = sample_counts(game, policies, episodes=10000, steps=4, seed=0, method=method)
    assert counts.sum() == 40000
    assert not counts[4].any()  # never started in nor reached
    assert not counts[:, [0, 3, 4, 5]].any()
    first = sample_counts(game, policies, episodes=10000, steps=1, seed=0, method=method)
    assert not first[[0, 2, 4]].any()
    assert abs(first[1].sum() - 5000) < 250


@pytest.mark.parametrize("method", ["walk", "occupancy", "auto"])
def test_one_state_and_one_action_are_enough(method):
    game = one_agent(1, 1)
    counts = sample_counts(game, [[[1.0]]], episodes=3, steps=4, seed=0, method=method)
    np.testing.assert_array_equal(counts, [[12]])


def test_more_episodes_than_can_be_played_are_counted():
    game = random_game(np.random.default_rng(0))
    policies = random_policies(game.actions, 4, np.random.default_rng(1))
    counts = sample_counts(game, policies, episodes=10**15, steps=300, seed=0, method="occupancy")
    assert counts.sum() == 3 * 10**17
    mean, _ = naive.count_moments(game, policies, 300)
    np.testing.assert_allclose(counts.ravel() / 1e15, mean, rtol=1e-6)


def test_the_cheaper_method_is_used(game, policies):
    def count(episodes, method):
        return sample_counts(game, policies, episodes=episodes, steps=5, seed=3, method=method)

    switch = WALKED_STEPS * Chain(game, policies).odds.size
    for episodes, method in ((1, "walk"), (switch, "walk"), (switch + 1, "occupancy")):
        np.testing.assert_array_equal(count(episodes, "auto"), count(episodes, method))
    assert (count(switch, "occupancy") != count(switch, "walk")).any()


def test_calls_of_the_kernel_do_not_change_the_counts(monkeypatch, game, policies):
    def count():
        return sample_counts(game, policies, episodes=99, steps=50, seed=3, method="occupancy")

    whole = count()
    monkeypatch.setattr("malfl.play.sampling.SPLITS", 60)
    np.testing.assert_array_equal(count(), whole)


@pytest.mark.parametrize("sample", [sample_episodes, sample_counts])
def test_seeds_decide_everything_and_global_state_nothing(game, policies, sample):
    def play(seed):
        played = sample(game, policies, episodes=3, steps=20, seed=seed)
        return played if sample is sample_counts else played.packed.codes

    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    first = play(1)
    assert np.random.random() == expected  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, play(1))
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(first, play(rng))
    assert (first != play(rng)).any()
    assert (first != play(2)).any()


@pytest.mark.parametrize("sample", [sample_episodes, sample_counts])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "episodes must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"episodes": 2.5}, "episodes must be a whole number, got 2.5"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"episodes": 2**40, "steps": 2**23}, r"below 2 \*\* 63 to be counted, got 1099"),
        ({"policies": []}, "policies must hold one array for each of"),
    ],
)
def test_nothing_to_play_is_refused(game, policies, sample, options, message):
    given = {"policies": policies, "episodes": 1, "steps": 1, "seed": 0} | options
    with pytest.raises((ValueError, TypeError), match=message):
        sample(game, **given)


@pytest.mark.parametrize("sample", [sample_episodes, sample_counts])
def test_only_games_are_played(policies, sample):
    with pytest.raises(TypeError, match=r"dynamics must be of type Dynamics .*, got str"):
        sample("grid", policies, episodes=1, steps=1, seed=0)


def test_bad_methods_are_named(game, policies):
    with pytest.raises(ValueError, match="method must be one of auto, walk, occupancy, got 'fast'"):
        sample_counts(game, policies, episodes=1, steps=1, seed=0, method="fast")


def test_games_too_large_to_pack_are_refused_and_another_method_is_named(
    monkeypatch, game, policies
):
    monkeypatch.setattr("malfl.play.player.CODES", 5)
    message = r"do not fit in one code: .* limit of 2 \*\* 32; sample_counts\(method='occupancy'\)"
    with pytest.raises(ValueError, match=message):
        sample_episodes(game, policies, episodes=1, steps=1, seed=0)
    with pytest.raises(ValueError, match=message):
        sample_counts(game, policies, episodes=1, steps=1, seed=0, method="walk")
    for method in ("occupancy", "auto"):
        counts = sample_counts(game, policies, episodes=1, steps=9, seed=0, method=method)
        assert counts.sum() == 9


def test_what_does_not_fit_in_memory_is_refused_at_once(monkeypatch, game, policies):
    with pytest.raises(MemoryError, match=r"1000000000 episodes of 1000000000 steps would need"):
        sample_episodes(game, policies, episodes=10**9, steps=10**9, seed=0)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10**2))
    with pytest.raises(MemoryError, match=r"would need .* GiB are free; record fewer"):
        sample_episodes(game, policies, episodes=10, steps=10, seed=0)
    with pytest.raises(MemoryError, match=r"counts of shape .* would need .* free; use a smaller"):
        sample_counts(game, policies, episodes=10, steps=10, seed=0, method="walk")
