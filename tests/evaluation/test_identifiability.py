import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.linalg import null_space

from malfl.evaluation.identifiability import identifiability, open_directions
from malfl.games import gridworlds
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery import projection
from malfl.recovery.consistency import consistency_system
from malfl.recovery.projection import determination

CLASSES = ("state", "state-action", "joint-action")


def before(policies, improvements):
    """pi_0..pi_{H-1} of every agent."""
    return [p[:improvements] for p in policies]


@pytest.fixture(scope="module")
def hom_policies(hom):
    return iterate_exactly(hom, iterations=6)


@pytest.fixture(scope="module")
def small():
    """A smaller grid, in which it takes two improvements as well."""
    game = gridworlds.ma_lfl("het", size=2)
    return game, iterate_exactly(game, iterations=3)


def over_joint(game, agent, reward_class, reward):
    if reward_class == "state":
        return np.repeat(reward[:, None], game.n_joint_actions, axis=1)
    if reward_class == "state-action":
        return reward.reshape(game.n_states, -1)[:, game.own_actions[agent]]
    return reward.reshape(game.n_states, -1)


def unseen(game, history, agent, reward_class, size):
    """Left-hand sides of Theorem 5.1 by the oracle, as matrices of reward and shapings."""
    improvements = len(history[agent])
    y = np.zeros((improvements, game.n_states, game.actions[agent]))
    no_reward = np.zeros((game.n_states, game.n_joint_actions))
    no_shaping = np.zeros((improvements, game.n_states))
    columns = [
        naive.consistency_residuals(
            game, history, agent, y, over_joint(game, agent, reward_class, unit), no_shaping
        ).ravel()
        for unit in np.eye(size)
    ]
    shapings = [
        naive.consistency_residuals(
            game, history, agent, y, no_reward, unit.reshape(no_shaping.shape)
        ).ravel()
        for unit in np.eye(no_shaping.size)
    ]
    return np.array(columns).T, np.array(shapings).T


@pytest.mark.parametrize("reward_class", CLASSES)
@pytest.mark.parametrize("improvements", [1, 2, 3])
@pytest.mark.parametrize("agent", [0, 1])
def test_open_directions_are_all_that_shapings_explain(reward_class, improvements, agent):
    rng = np.random.default_rng(0)
    # Agent 1's moves alone decide, so that something is open; or everyone's.
    for options in ({"actions": (2, 3)}, {"actions": (3, 2), "stochastic": False}):
        game = random_game(rng, **options)
        draws = [random_policies(game.actions, game.n_states, rng) for _ in range(improvements)]
        history = [np.array(p) for p in zip(*draws, strict=True)]
        basis = open_directions(game, history, agent, reward_class)
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
        rewards, shapings = unseen(game, history, agent, reward_class, len(basis))
        changes = rewards @ basis
        explained = shapings @ np.linalg.lstsq(shapings, changes, rcond=None)[0]
        np.testing.assert_allclose(explained, changes, atol=1e-9)
        # And there are no others: count what both together cannot tell apart.
        together = null_space(np.hstack([rewards, shapings]), rcond=1e-10)[: len(basis)]
        assert basis.shape[1] == np.linalg.matrix_rank(together, tol=1e-8)


def test_the_constant_is_open(small):
    game, policies = small
    for reward_class in CLASSES:
        basis = open_directions(game, before(policies, 2), 0, reward_class)
        constant = np.ones(len(basis))
        np.testing.assert_allclose(basis @ (basis.T @ constant), constant, atol=1e-9)


@pytest.mark.parametrize(
    ("reward_class", "improvements", "free"),
    [("state", 1, 9), ("state", 2, 1), ("state", 3, 1), ("state-action", 1, 81),
     ("state-action", 2, 9)],
)  # fmt: skip
@pytest.mark.parametrize("agent", [0, 1])
def test_the_grid_of_the_paper(hom, hom_policies, reward_class, improvements, free, agent):
    entries = 81 if reward_class == "state" else 405
    history = before(hom_policies, improvements)
    basis = open_directions(hom, history, agent, reward_class)
    assert basis.shape == (entries, free)
    np.testing.assert_allclose(basis.T @ basis, np.eye(free), atol=1e-12)
    if reward_class == "state" and improvements == 1:
        # Functions of the opponent's cell.
        cells = basis.reshape(9, 9, 9)
        spread = np.ptp(cells, axis=agent)
        np.testing.assert_allclose(spread, 0, atol=1e-9)


def test_the_state_is_the_default_class(small):
    game, policies = small
    np.testing.assert_array_equal(
        open_directions(game, before(policies, 1), 1),
        open_directions(game, before(policies, 1), 1, "state"),
    )


@pytest.mark.parametrize("agent", [0, 1])
def test_the_agents_own_policies_do_not_matter(small, agent):
    game, policies = small
    history = before(policies, 2)
    other = list(history)
    other[agent] = np.array(
        [random_policies((5,), 16, np.random.default_rng(h))[0] for h in (1, 2)]
    )
    unknown = list(history)
    unknown[agent] = np.full_like(history[agent], np.nan)
    certain = list(history)
    certain[agent] = np.tile(np.eye(5)[0], (2, 16, 1))
    ours = open_directions(game, history, agent, "state-action")
    for changed in (other, unknown, certain):
        theirs = open_directions(game, changed, agent, "state-action")
        np.testing.assert_allclose(theirs, ours, atol=1e-12)
    # The opponents' do.
    swapped = list(history)
    swapped[1 - agent] = other[agent]
    once, else_ = (
        open_directions(game, before(some, 1), agent, "state-action") for some in (history, swapped)
    )
    assert np.abs(once @ once.T - else_ @ else_.T).max() > 0.01


@pytest.mark.parametrize("improvements", [1, 2, 5])
def test_opponents_that_do_not_change_leave_as_much_open(hom, hom_policies, improvements):
    """However often the agent improves, and whatever it improves upon."""
    history = [
        hom_policies[0][:improvements],
        np.repeat(hom_policies[1][1:2], improvements, axis=0),
    ]
    assert open_directions(hom, history, 0).shape == (81, 9)
    table = identifiability(hom, history, 0, "state", [improvements])
    assert table["open"].tolist() == [9]


def test_the_table_tells_what_is_open_and_how_firmly_the_rest_is_fixed(hom, hom_policies):
    table = identifiability(hom, before(hom_policies, 4), 1, "state", [1, 2, 4])
    assert table.columns.tolist() == [
        "improvements", "unknowns", "open", "smallest singular value", "condition"
    ]  # fmt: skip
    assert table["improvements"].tolist() == [1, 2, 4]
    assert table["unknowns"].tolist() == [81] * 3
    assert table["open"].tolist() == [9, 1, 1]
    for h, row in table.set_index("improvements").iterrows():
        # Improvements that did happen have the same left-hand sides.
        happened = [p[: h + 1] for p in hom_policies]
        found = determination(consistency_system(hom, happened, 1, 3.0, "state"))
        least, largest = found.smallest_singular_value, found.largest_singular_value
        assert row["smallest singular value"] == pytest.approx(least, rel=1e-9)
        assert row["condition"] == pytest.approx(largest / least, rel=1e-9)
    assert table["condition"][1] > table["condition"][2] > 1


@pytest.mark.parametrize("reward_class", CLASSES)
def test_singular_values_are_those_of_the_oracles_equations(reward_class):
    rng = np.random.default_rng(4)
    game = random_game(rng, states=3)
    draws = [random_policies(game.actions, 3, rng) for _ in range(3)]
    history = [np.array(p) for p in zip(*draws, strict=True)]
    table = identifiability(game, history, 0, reward_class, [1, 3])
    for h, row in table.set_index("improvements").iterrows():
        rewards, shapings = unseen(game, before(history, h), 0, reward_class,
                                   int(row["unknowns"]))  # fmt: skip
        left = null_space(shapings.T, rcond=1e-10).T @ rewards
        values = np.linalg.svd(left, compute_uv=False)
        rank = int((values > 1e-9).sum())
        assert row["open"] == rewards.shape[1] - rank
        assert row["smallest singular value"] == pytest.approx(values[rank - 1], rel=1e-6)
        assert row["condition"] == pytest.approx(values[0] / values[rank - 1], rel=1e-6)


def test_bad_questions_are_named(small, monkeypatch):
    game, policies = small
    history = before(policies, 2)
    with pytest.raises(ValueError, match=r"improvements - 1 must lie in 0..1, got 2"):
        identifiability(game, history, 0, "state", [3])
    with pytest.raises(ValueError, match="improvements must be at least 1, got 0"):
        identifiability(game, history, 0, "state", [0])
    with pytest.raises(ValueError, match=r"of must lie in 0..1, got 2"):
        open_directions(game, history, 2)
    with pytest.raises(ValueError, match=r"policies\[1\] must have shape .* n the same for all"):
        open_directions(game, [history[0], history[1][:1]], 0)
    with pytest.raises(ValueError, match="reward_class must be one of state"):
        open_directions(game, history, 0, "cell")
    monkeypatch.setattr(projection, "DENSE_STATES", 15)
    with pytest.raises(ValueError, match="a basis of what is open takes a singular value decomp"):
        open_directions(game, history, 0)
