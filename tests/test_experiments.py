"""Experiments beyond what tests/test_scores.py sees of them."""

from dataclasses import replace

import numpy as np
import pytest

import malfl
from malfl.estimation import estimate_dynamics, estimate_policies
from malfl.experiments import NO_CHANGE, Estimator, recover_all, watch, watch_semi_online
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
