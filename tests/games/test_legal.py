"""Games in which episodes end, and in which not everything is legal everywhere."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from drawn import random_ending_game
from scipy.sparse import csr_array

import malfl
from malfl import Dynamics, MarkovGame
from malfl.games import soft
from malfl.games.legal import only_legal, or_uniform

GAMMAS = [0.9, 1.0]


@pytest.fixture(params=GAMMAS)
def game(request):
    return random_ending_game(np.random.default_rng(4), gamma=request.param)


def of(**changes):
    """A walk from state 0 over 1 to an end, 2; each action moves on."""
    given = {
        "actions": (2, 2), "transitions": [[1] * 4, [2] * 4, [0] * 4], "start": 0, "gamma": 0.9,
        "ends": [2],
    }  # fmt: skip
    return Dynamics(**(given | changes))


def legal_policies(game, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(
        only_legal(rng.dirichlet(np.ones(own), size=game.n_states), legal)
        for own, legal in zip(game.actions, game.legal, strict=True)
    )


def test_nobody_acts_where_an_episode_ends():
    game = of()
    assert game.ends.tolist() == [False, False, True]
    assert [mask.tolist() for mask in game.legal] == [[[True] * 2] * 2 + [[True, False]]] * 2
    assert game.possible.tolist() == [[True] * 4] * 2 + [[False] * 4]
    assert game.transitions.toarray()[8:].sum() == 0
    assert game.is_deterministic
    for given in (np.array([False, False, True]), (2,), np.array([2])):
        assert of(ends=given).ends.tolist() == game.ends.tolist()


def test_what_is_not_legal_leads_nowhere():
    mask = [[True, False], [True, True], [True, True]]
    table = np.array([[1, 1, -7, 99], [2] * 4, [-1] * 4])
    game = of(legal=[mask, None], transitions=table)
    assert game.possible[0].tolist() == [True, True, False, False]
    assert game.transitions.toarray()[2:4].sum() == 0
    uniform = game.uniform_policies()
    assert uniform[0].tolist() == [[1, 0], [0.5, 0.5], [1, 0]]
    assert uniform[1].tolist() == [[0.5, 0.5], [0.5, 0.5], [1, 0]]
    loops = game.played_transitions.toarray()
    np.testing.assert_array_equal(loops.sum(axis=1), 1)
    assert (loops[[2, 3], 0] == 1).all()
    assert (loops[8:, 2] == 1).all()


def test_transitions_of_any_form_are_the_same(game):
    dense = game.transitions.toarray().reshape(game.n_states, -1, game.n_states)
    for given in (dense, csr_array(dense.reshape(-1, game.n_states)), dense.astype(np.float32)):
        other = Dynamics(
            actions=game.actions, transitions=given, start=game.start, gamma=game.gamma,
            ends=game.ends, legal=game.legal,
        )  # fmt: skip
        np.testing.assert_allclose(
            other.transitions.toarray(), game.transitions.toarray(), atol=1e-6
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ends": [3]}, r"ends\[0\] is 3; it must be at least 0 and at most 2"),
        ({"ends": [0, 1, 2]}, "ends must leave a state in which an episode goes on"),
        ({"ends": [0]}, "start may be state 0, where an episode ends"),
        ({"legal": [None]}, "legal must"),
        ({"legal": [np.ones((3, 3), bool), None]}, r"legal\[0\] must be .* \(3, 2\), got bool"),
        ({"legal": [np.ones((3, 2)), None]}, r"legal\[0\] must be truth values .*, got float"),
        (
            {"legal": [None, [[True, True], [False, False], [True, True]]]},
            r"legal\[1\]\[1\] allows no action; an agent who has no choice has one legal action",
        ),
        ({"transitions": [[1] * 4] * 3, "gamma": 1}, "from state 0 no episode ever ends"),
        ({"transitions": [[1] * 4, [2, 2, 2, 3], [2] * 4]}, "transitions"),
        ({"ends": [], "gamma": 1}, r"gamma must lie in \[0, 1\) unless every episode ends, got 1"),
    ],
)  # fmt: skip
def test_bad_ingredients_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        of(**changes)


def test_a_policy_that_is_not_legal_is_refused():
    game = of(legal=[[[True, False], [True, True], [True, True]], None])
    policies = [np.full((3, 2), 0.5)] * 2
    known = game.check_policies(policies)  # where there is no choice, nothing is asked
    assert known[0].tolist() == [[1, 0], [0.5, 0.5], [1, 0]]
    three = Dynamics(
        actions=(3,), transitions=[[0] * 3, [0] * 3], start=0, gamma=0.5,
        legal=[[[True, True, False], [True] * 3]],
    )  # fmt: skip
    expected = r"policies\[0\]\[0, 2\] is 0.2, but action 2 is not legal for agent 0 in state 0"
    with pytest.raises(ValueError, match=expected):
        three.check_policies([[[0.4, 0.4, 0.2]] * 2])


def test_exact_values_are_those_of_the_oracle(game):
    policies = legal_policies(game)
    for agent in range(2):
        expected = naive.soft_q(game, policies, agent, 0.7)
        found = soft.soft_q(game, policies, agent, 0.7)
        received = game.possible | (game.ends[:, None] & (np.arange(6) == 0))
        np.testing.assert_allclose(found[received], expected[received], atol=1e-9)
        ended = game.joint_reward(agent)[game.ends, 0]
        np.testing.assert_allclose(
            soft.soft_value(game, policies, agent, 0.7)[game.ends], ended, atol=1e-12
        )


def test_large_games_have_the_same_values(game, monkeypatch):
    policies = legal_policies(game)
    small = [soft.soft_value(game, policies, i, 0.7) for i in range(2)]
    monkeypatch.setattr(soft, "DENSE_STATES", 3)
    for agent in range(2):
        value = soft.soft_value(game, policies, agent, 0.7)
        np.testing.assert_allclose(value, small[agent], atol=1e-9)
        assert soft.soft_value_error(game, policies, agent, 0.7, value) < 1e-10
        off = soft.soft_value_error(game, policies, agent, 0.7, value + 0.01 * ~game.ends)
        assert 0.01 <= off < 1


def test_an_improvement_is_a_softmax_over_what_is_legal(game):
    rng = np.random.default_rng(1)
    for legal in game.legal:
        q = 10 * rng.normal(size=legal.shape)
        found = soft.improve(q, 0.5, legal)
        for s, mask in enumerate(legal):
            np.testing.assert_allclose(found[s, mask], naive.improve([q[s, mask]], 0.5)[0])
            assert (found[s, ~mask] == 0).all()
        far = soft.improve(1e305 * q, 1e-5, legal)
        assert (far[~legal] == 0).all()
        np.testing.assert_allclose(far.sum(axis=1), 1)


def test_the_optimum_is_no_worse_than_any_policy(game):
    policies = legal_policies(game)
    mdp = soft.induced_mdp(game, policies, 0)
    assert mdp.ends.tolist() == game.ends.tolist()
    best = soft.soft_optimum(mdp, 0.7)
    assert (best.policy[~game.legal[0]] == 0).all()
    for seed in range(5):
        other = legal_policies(game, seed)[:1]
        assert (soft.soft_value(mdp, other, 0, 0.7) <= best.value + 1e-9).all()


def test_a_reward_of_the_next_state_is_taken_by_its_mean(game):
    rng = np.random.default_rng(2)
    given = rng.normal(size=(7, 6, 7))
    moves = game.transitions.toarray().reshape(7, 6, 7)
    found = game.with_rewards([given, given]).rewards[1]
    np.testing.assert_allclose(found, (moves * given).sum(axis=2), atol=1e-12)


def test_games_that_never_end_are_saved_as_before(game, tmp_path):
    plain = MarkovGame(actions=(2,), transitions=[[0, 1]] * 2, rewards=[[0, 1]], start=0, gamma=0.5)
    assert {"ends", "legal"}.isdisjoint(plain.parts())
    for one in (plain, game):
        one.save(tmp_path / "game.npz")
        again = MarkovGame.load(tmp_path / "game.npz")
        assert again.ends.tolist() == one.ends.tolist()
        assert [m.tolist() for m in again.legal] == [m.tolist() for m in one.legal]
        assert (again.transitions != one.transitions).nnz == 0
    assert replace(game, gamma=0.5).possible.tolist() == game.possible.tolist()


def test_unknown_policies_are_certain_where_there_is_no_choice():
    legal = np.array([[True, True, False], [False, True, False]])
    policies = np.array([[[0.2, 0.2, 0.6], [np.nan] * 3], [[np.nan] * 3, [1.0, 0.0, 0.0]]])
    kept = only_legal(policies, legal)
    np.testing.assert_allclose(kept[0], [[0.5, 0.5, 0], [0, 1, 0]])
    np.testing.assert_allclose(kept[1, 1], [0, 1, 0])
    assert np.isnan(kept[1, 0]).all()
    np.testing.assert_allclose(or_uniform(kept, legal)[1], [[0.5, 0.5, 0], [0, 1, 0]])


def test_what_cannot_be_done_is_not_counted(game):
    counts = np.zeros((2, 7, 6))
    view = {
        "observer": None,
        "dynamics": game.without_rewards(),
        "alpha": 1.0,
        "own_policies": None,
    }
    counts[1, 6, 3] = 2
    with pytest.raises(ValueError, match=r"counts\[1, 6, 3\] is 2, but an episode ends in state 6"):
        malfl.View(counts=counts, **view)
    state, joint = np.argwhere(~game.possible[:5])[0]
    counts[:] = 0
    counts[0, state, joint] = 1
    with pytest.raises(ValueError, match=f"joint action {joint} is not legal in state {state}"):
        malfl.View(counts=counts, **view)
