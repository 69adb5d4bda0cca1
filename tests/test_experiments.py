"""Experiments beyond what tests/test_scores.py sees of them."""

from dataclasses import replace

import numpy as np
import pytest
from drawn import random_game

import malfl
from malfl.estimation import estimate_dynamics, estimate_policies
from malfl.experiments import (
    NO_CHANGE,
    Estimator,
    misread_alpha,
    recover_all,
    watch,
    watch_semi_online,
)
from malfl.recovery.alone import alone
from malfl.recovery.semi_online import foretell, prediction_error

SETTINGS = {"alpha": 3.0, "beta": 0.1, "iterations": 4, "episodes": 500, "steps": 100}
WAYS = {
    "structural": {"method": "structural"},
    "replay": {"method": "replay", "beta": 0.1},
}


@pytest.fixture(scope="module")
def het():
    return malfl.gridworlds.ma_lfl("het")


@pytest.fixture(scope="module")
def followed(het):
    return watch_semi_online({"het": het}, WAYS, seeds=[0, 4], settings=SETTINGS)


def test_everyone_follows_everyone_else(followed):
    assert len(followed) == 2 * 2 * 3 * 3  # seeds, pairs, ways, iterations
    assert set(zip(followed["observer"], followed["agent"], strict=True)) == {(1, 2), (2, 1)}
    assert list(followed["way"].unique()) == [NO_CHANGE, *WAYS]
    assert list(followed["iteration"].unique()) == [1, 2, 3]


@pytest.mark.parametrize("way", ["structural", "replay"])
def test_errors_are_of_the_policy_that_came_next(het, followed, way):
    log = malfl.learn(het, **SETTINGS, seed=4, record=True)
    told = foretell(log.observed_by(0), of=1, **WAYS[way])
    rows = followed.query(f"seed == 4 and agent == 2 and way == '{way}'")
    shares = estimate_policies(log.observed_by(0)).policies[1]
    visits = log.counts.sum(axis=2)
    for h, row in enumerate(rows.itertuples(), start=1):
        wrong = prediction_error(log.policies[1][h + 1], told.policies[h - 1])
        assert row.error == pytest.approx(wrong.mean())
        known = np.isfinite(told.rewards[h - 1])
        pcc = np.corrcoef(told.rewards[h - 1][known], het.rewards[1][known])[0, 1]
        assert pcc == pytest.approx(row.PCC)
        if h < 3:
            weights = visits[h + 1] / visits[h + 1].sum()
            assert row[-3] == pytest.approx(weights @ wrong)
            seen = prediction_error(shares[h + 1], told.policies[h - 1])
            assert row[-2] == pytest.approx(weights @ np.nan_to_num(seen))
    assert np.isnan(rows["error seen"].to_numpy()[-1])


def test_who_expects_no_change_expects_what_was_seen_last(het, followed):
    log = malfl.learn(het, **SETTINGS, seed=0, record=True)
    shares = estimate_policies(log.observed_by(1)).policies[0]
    rows = followed.query(f"seed == 0 and agent == 1 and way == '{NO_CHANGE}'")
    for h, row in enumerate(rows.itertuples(), start=1):
        wrong = prediction_error(log.policies[0][h + 1], shares[h])
        assert row.error == pytest.approx(np.nan_to_num(wrong).mean())
    assert rows["PCC"].isna().all()


def test_followed_rewards_do_not_depend_on_threads(het, followed):
    again = watch_semi_online({"het": het}, WAYS, seeds=[0, 4], settings=SETTINGS, threads=1)
    assert again.equals(followed)


def test_rules_may_be_taken_from_the_moves_seen():
    slippery = malfl.gridworlds.ma_lfl("hom", slip=0.3)
    way = Estimator({"method": "structural", "least_visits": 10}, rules=True)
    log = malfl.learn(slippery, **SETTINGS, seed=1, record=True)
    found = recover_all(log, {"rules estimated": way})[0, "rules estimated"]
    seen = log.observed_by(1)
    guessed = replace(seen, dynamics=estimate_dynamics(seen))
    options = {"method": "structural", "least_visits": 10, "unvisited": "omit"}
    alone = malfl.recover(guessed, of=0, **options)
    known = malfl.recover(seen, of=0, **options)
    np.testing.assert_array_equal(found.values, alone.values)
    assert np.abs(found.values - known.values).max() > 1e-6


def test_only_those_asked_for_are_observed(het):
    ways = {"LS": Estimator({"method": "least_squares"})}
    table = watch({"het": het}, ways, seeds=[0], settings=SETTINGS, agents=[1], improvements=[1, 3])
    assert list(table["agent"]) == [2, 2]
    assert list(table["improvements"]) == [1, 3]


def test_improvements_must_have_been_seen(het):
    ways = {"LS": Estimator({"method": "least_squares"})}
    with pytest.raises(ValueError, match=r"improvements must lie in 1\.\.3, got 4"):
        watch({"het": het}, ways, seeds=[0], settings=SETTINGS, improvements=[1, 4])


def test_who_has_seen_too_little_goes_on(het):
    few = SETTINGS | {"episodes": 3}
    ways = {"structural": {"method": "structural"}}
    table = watch_semi_online({"het": het}, ways, seeds=[0], settings=few)
    assert (table.query("way == 'structural'")["PCC"] == 0).all()
    assert table["error"].notna().all()


@pytest.mark.parametrize(
    ("estimator", "needs"),
    [
        (Estimator({"method": "structural"}), False),
        (Estimator({"method": "least_squares"}, descent=True), False),
        (Estimator({"method": "causal_entropy"}), False),
        (Estimator({"method": "replay", "beta": 0.1}), True),
        (Estimator({"method": "structural"}, rules=True), True),
        (Estimator({"method": "course"}), True),
        (Estimator({"method": "course", "learner": None}), True),
        (Estimator({"method": "course", "learner": "Q-learning"}), True),
        (Estimator({"method": "course", "learner": "soft policy iteration"}), False),
        (Estimator({"method": "course", "learner": "soft value iteration"}), False),
        (Estimator({"method": "structural", "learner": "Q-learning"}), False),
    ],
)
def test_steps_are_recorded_for_those_who_need_them(estimator, needs):
    assert estimator.needs_steps == needs


@pytest.fixture(scope="module")
def small():
    return random_game(np.random.default_rng(2), (2, 3), 4, state_rewards=True)


SMALL = {"alpha": 0.7, "beta": 0.2, "iterations": 5, "episodes": 400, "steps": 40}
COURSE = {"method": "course", "beta": 0.2}


def test_who_takes_an_agent_for_the_only_one_sees_it_alone(small):
    ways = {
        "alone": Estimator({"method": "least_squares"}, alone=True),
        "not alone": Estimator({"method": "least_squares"}),
    }
    log = malfl.learn(small, **SMALL, seed=1)
    table = watch({"small": small}, ways, seeds=[1], settings=SMALL, improvements=[2, 4])
    for agent in (0, 1):
        found = recover_all(log, ways)[agent, "alone"]
        seen = log.observed_by(1 - agent)
        ours = malfl.recover(alone(seen, agent), of=0, method="least_squares", unvisited="omit")
        np.testing.assert_array_equal(found.values, ours.values)
        other = recover_all(log, ways)[agent, "not alone"]
        assert np.abs(found.values - other.values).max() > 1e-3
        for length in (2, 4):
            part = alone(seen.first(length + 1), agent)
            ours = malfl.recover(part, of=0, method="least_squares", unvisited="omit")
            rows = table.query(f"agent == {agent + 1} and improvements == {length}")
            score = rows.set_index("estimator").loc["alone", "PCC"]
            assert score == malfl.correlation(ours, small.rewards[agent]).pearson


def test_rules_that_are_guessed_may_be_those_of_a_world_alone(small):
    way = Estimator({"method": "structural"}, rules=True, alone=True)
    log = malfl.learn(small, **SMALL, seed=1, record=True)
    seen = log.observed_by(1)
    guessed = replace(seen, dynamics=estimate_dynamics(seen))
    ours = malfl.recover(alone(guessed, 0), of=0, method="structural", unvisited="omit")
    found = recover_all(log, {"both": way})[0, "both"]
    np.testing.assert_array_equal(found.values, ours.values)


def test_of_whom_nothing_is_learned_alone_nothing_is_scored(small):
    few = SMALL | {"iterations": 3, "episodes": 5, "steps": 5}
    way = Estimator({"method": "structural"}, alone=True)
    table = watch({"small": small}, {"alone": way}, seeds=[0], settings=few)
    assert (table["PCC"] == 0).all()
    assert (table["states"] == 0).all()


@pytest.mark.parametrize("learners", ["Q-learning", ["soft value iteration", "Q-learning"]])
def test_those_watched_may_learn_in_other_ways(small, learners):
    """Steps are recorded without being asked for."""
    ways = {"course": Estimator(COURSE), "LS": Estimator({"method": "least_squares"})}
    settings = SMALL | {"learners": learners}
    table = watch({"small": small}, ways, seeds=[3], settings=settings)
    log = malfl.learn(small, learners, **SMALL, record=True, seed=3)
    for agent in (0, 1):
        learner = learners if isinstance(learners, str) else learners[agent]
        found = malfl.recover(log.observed_by(1 - agent), of=agent, unvisited="omit", **COURSE)
        assert found.learner == learner
        rows = table[table["agent"] == agent + 1].set_index("estimator")
        score = malfl.correlation(found, small.rewards[agent])
        assert tuple(rows.loc["course", ["PCC", "SCC", "states"]]) == score
        assert score.pearson > 0.95


def test_those_watched_may_evaluate_exactly(small):
    exact = watch(
        {"small": small}, {"structural": Estimator({"method": "structural"})}, seeds=[3],
        settings=SMALL | {"evaluation": "exact"},
    )  # fmt: skip
    log = malfl.learn(small, **SMALL, evaluation="exact", seed=3)
    found = malfl.recover(log.observed_by(1), of=0, unvisited="omit")
    assert exact["PCC"][0] == malfl.correlation(found, small.rewards[0]).pearson


FACTORS = (0.1, 1.0, 10.0)
READERS = {
    "least squares": Estimator({"method": "least_squares"}),
    "structural": Estimator({"method": "structural"}),
    "evidence": Estimator({"method": "evidence"}),
    "replay": Estimator({"method": "replay", "beta": 0.2}),
    "course": Estimator({"method": "course", "learner": "soft policy iteration"}),
    "Adam": Estimator({"method": "adam", "reward_class": "joint-action", "steps": 100}),
}


@pytest.mark.parametrize("agent", [0, 1])
def test_with_the_wrong_alpha_only_the_scale_is_wrong(small, agent):
    """Unless one stops before the equations are solved."""
    log = malfl.learn(small, **SMALL, record=True, seed=1)
    table = misread_alpha(log, READERS, FACTORS, agent=agent)
    assert tuple(table.columns) == ("estimator", "factor", "PCC", "scale")
    assert list(table["estimator"]) == [name for name in READERS for _ in FACTORS]
    assert list(table["factor"]) == list(FACTORS) * len(READERS)
    for name, rows in table.groupby("estimator", sort=False):
        once = rows["scale"].to_numpy()[1]
        if name == "Adam":
            assert np.ptp(rows["PCC"]) > 0.01
            assert np.ptp(rows["scale"] / rows["factor"]) > 0.1
        else:
            np.testing.assert_allclose(rows["scale"] / rows["factor"], once, rtol=1e-4)
            np.testing.assert_allclose(rows["PCC"], rows["PCC"].iloc[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("agent", [0, 1])
def test_scale_and_correlation_are_of_what_the_next_agent_finds(small, agent):
    log = malfl.learn(small, **SMALL, seed=1)
    table = misread_alpha(log, {"Adam": READERS["Adam"]}, [2.5], agent=agent)
    seen = replace(log.observed_by(1 - agent), alpha=2.5 * SMALL["alpha"])
    found = malfl.recover(seen, of=agent, **READERS["Adam"].options).values.mean(axis=1)
    true = small.rewards[agent]
    (row,) = table.itertuples()
    correlation = np.corrcoef(found, true)[0, 1]
    assert correlation == pytest.approx(row.PCC)
    assert row.scale == pytest.approx(np.std(found) / np.std(true))


def test_by_default_it_is_the_first_agent_whose_alpha_is_misread(small):
    log = malfl.learn(small, **SMALL, seed=1)
    given = log, {"LS": READERS["least squares"]}, [2.0]
    assert misread_alpha(*given).equals(misread_alpha(*given, agent=0))
    assert not misread_alpha(*given).equals(misread_alpha(*given, agent=1))


def test_states_that_were_not_seen_do_not_count_in_the_scale():
    unseen = np.zeros((5, 3, 5))
    unseen[..., :4] = np.random.default_rng(0).dirichlet(np.ones(4), size=(5, 3))
    rewards = np.array([0.3, -1.0, 0.8, 0.1, 50.0])
    two = malfl.MarkovGame(
        actions=(3, 1), transitions=unseen, rewards=[rewards, rewards], start=0, gamma=0.8
    )
    log = malfl.learn(two, alpha=0.7, iterations=5, episodes=4000, steps=50, evaluation="exact",
                      seed=0)  # fmt: skip
    (row,) = misread_alpha(log, {"LS": READERS["least squares"]}, [1.0]).itertuples()
    assert row.scale == pytest.approx(1, abs=0.1)
    assert row.PCC > 0.98
