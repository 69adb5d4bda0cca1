"""One run: its rows hold what a recovery made by hand gives."""

from dataclasses import replace

import numpy as np
import pytest

import malfl
from malfl.companion import carry
from malfl.companion.carry import CLASSIC, MEASURED, NOTHING, by_of, in_classic, in_random_game
from malfl.companion.regimes import REGIMES, draw, draw_training
from malfl.games.classics import CLASSICS
from malfl.recovery import Auto, NothingToLearnError, Replay, Structural
from malfl.recovery.limits import identified_error, limit_from_counts, limit_with_episodes
from malfl.recovery.shown import identified_part

SEED = 7


@pytest.fixture(scope="module")
def rows():
    return in_random_game("few episodes", SEED)


@pytest.fixture(scope="module")
def by_hand():
    rng = np.random.default_rng(SEED)
    drawn = draw(REGIMES["few episodes"], rng)
    how = drawn.training
    log = malfl.learn(
        drawn.game, how.learners, alpha=how.alpha, episodes=how.episodes, steps=how.steps,
        record=True, seed=rng,
    )  # fmt: skip
    return drawn, log.seen_by(1)


def test_a_row_for_each_recovery(rows, by_hand):
    drawn, view = by_hand
    assert [row["used"] for row in rows] == ["episodes", "counts", "replay", "structural"]
    for row in rows:
        assert (row["regime"], row["seed"], row["right"]) == ("few episodes", SEED, True)
        assert (row["states"], row["agents"]) == (drawn.game.n_states, drawn.game.n_agents)
        assert (row["alpha"], row["beta"]) == (drawn.training.alpha, drawn.beta)
        assert row["steps"] == view.counts.sum()
        assert set(MEASURED) <= set(row)


def test_results_are_those_of_a_recovery_by_hand(rows, by_hand):
    drawn, view = by_hand
    counts = replace(view, episodes=None)
    named = Replay(drawn.beta), Structural(drawn.beta, "td")
    ways = ((view, Auto()), (counts, Auto()), (view, named[0]), (counts, named[1]))
    for row, (seen, by) in zip(rows, ways, strict=True):
        found = malfl.recover(seen, of=0, by=by, unvisited="omit")
        compared = malfl.compare(found, drawn.game, 0)
        assert row["identified"] == pytest.approx(compared.identified)
        assert row["STARC"] == pytest.approx(compared.STARC)
        assert row["verdict"] == found.verdict
        assert row["reward_class"] == found.reward_class
        assert row["promised"] == found.diagnostics.promise.correlation
        assert row["at_least"] == found.diagnostics.promise.at_least
        if found.reward_class == "state":
            error = identified_error(found, drawn.game.rewards[0], view.dynamics, 0)
            assert row["error"] == pytest.approx(error)


def test_the_bound_is_that_of_what_was_seen(rows, by_hand):
    drawn, view = by_hand
    given = {"of": 0, "reward": drawn.game.rewards[0], "beta": drawn.beta}
    assert rows[2]["bound"] == pytest.approx(limit_with_episodes(view, **given))
    assert rows[3]["bound"] == pytest.approx(
        limit_from_counts(replace(view, episodes=None), **given)
    )
    assert np.isnan([row["bound"] for row in rows[:2]]).all()


def test_a_run_is_that_of_its_seed():
    def timeless(rows):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]

    first, again, other = (
        timeless(in_random_game("step size 4 times too large", seed)) for seed in (SEED, SEED, 8)
    )
    np.testing.assert_equal(first, again)
    assert first[0]["identified"] != other[0]["identified"]


def test_with_a_wrong_model_nothing_is_named_and_there_is_no_bound():
    rows = in_random_game("step size 4 times too large", SEED)
    assert [row["used"] for row in rows] == ["episodes", "counts"]
    beta = rows[0]["beta"]
    assert rows[0]["by"].startswith(f"Replay(beta={4 * beta!r}")
    assert rows[1]["by"].startswith(f"Structural(beta={4 * beta!r}, evaluation='td'")
    assert not rows[0]["right"]


def test_a_step_size_is_never_believed_to_be_above_one():
    assert by_of(REGIMES["step size 4 times too large"], 0.3) == (
        Replay(1.0),
        Structural(1.0, "td"),
    )
    assert by_of(REGIMES["few episodes"], 0.3) == (Auto(), Auto())


def test_where_there_is_nothing_to_learn_the_row_says_so(monkeypatch):
    def nothing(*given, **options):
        raise NothingToLearnError("nothing was seen")

    monkeypatch.setattr(carry, "recover", nothing)
    first, *_ = in_random_game("random improvements", SEED)
    assert (first["verdict"], first["problem"]) == (NOTHING, "nothing was seen")
    assert np.isnan(first["identified"])
    assert first["by"] == "Auto()"


def test_classic_games_are_learned_in_alike():
    rows = in_classic("iterated dilemma", SEED)
    rng = np.random.default_rng(SEED)
    drawn = draw_training(CLASSIC, CLASSICS["iterated dilemma"](), rng)
    assert [row["used"] for row in rows] == ["episodes", "counts", "replay", "structural"]
    assert {row["regime"] for row in rows} == {"iterated dilemma"}
    assert rows[0]["alpha"] == drawn.training.alpha
    assert rows[2]["by"].endswith("reward_class='joint-action')")


def test_of_an_agent_alone_the_observer_is_a_bystander():
    rows = in_classic("FrozenLake", SEED)
    assert rows[0]["agents"] == 1
    assert rows[0]["verdict"] in ("sound", "doubtful", "undetermined")


def test_what_a_bound_makes_possible(rows, by_hand):
    """The correlation of a truth with an estimate that is off by the bound, in the mean."""
    episodes, counts, replay, structural = rows
    drawn, _ = by_hand
    true = drawn.game.rewards[0]
    part = identified_part(true, drawn.game.without_rewards(), 0, "state")
    for row, named in ((episodes, replay), (counts, structural)):
        left = 1 - named["bound"] ** 2 / np.mean(part**2)
        assert row["possible"] == pytest.approx(np.sqrt(max(left, 0)))
        assert np.isnan(row["bound"])
    assert episodes["possible"] > counts["possible"]
