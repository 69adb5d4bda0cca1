import json
import math

import naive
import numpy as np
import pytest

import malfl
from malfl import Adam, LeastSquares, Replay, SoftPolicyIteration, Structural, Training
from malfl.companion import explore
from malfl.companion.explore import significant, whole
from malfl.games import gridworlds
from malfl.recovery import Descended, estimate_policies, forecast, recover_from_policies
from malfl.studies.study import NO_CHANGE
from malfl.theory import bounds
from malfl.theory.prediction import Prediction
from malfl.theory.statements import counterexamples

GAMES = {kind: gridworlds.ma_lfl(kind, size=2) for kind in ("hom", "het")}
SETTINGS = {"alpha": 2.0, "iterations": 3, "steps": 100}
TRAINING = Training(SoftPolicyIteration(0.2), episodes=30, **SETTINGS)


RELEASED = Adam("joint-action", equations="released", policies=Descended(), steps=20, rate=0.05)


def picture_of(kind, **options):
    if kind == "recovered":
        estimators = {"replay": Replay(0.2), "released": RELEASED}
        return explore.recovered_rewards(GAMES, TRAINING, estimators, [1, 30], seed=4, **options)
    if kind == "predicted":
        estimators = {"structural": Structural(), "replay": Replay(0.2)}
        return explore.predicted_improvements(GAMES, TRAINING, estimators, seed=4, **options)
    return explore.walks(GAMES, TRAINING, episodes_shown=2, steps_shown=10, seed=4, **options)


@pytest.fixture(scope="module")
def recovered():
    return picture_of("recovered")


@pytest.fixture(scope="module")
def predicted():
    return picture_of("predicted")


@pytest.fixture(scope="module")
def walks():
    return picture_of("walks")


def row(rows, **wanted):
    (found,) = [one for one in rows if all(one[key] == value for key, value in wanted.items())]
    return found


def log_of(kind, episodes):
    learner = SoftPolicyIteration(0.2)
    return malfl.learn(GAMES[kind], learner, **SETTINGS, episodes=episodes, seed=4, record=True)


class TestRecoveredRewards:
    def test_there_is_one_for_each_turn_of_the_knobs(self, recovered):
        keys = ("game", "agent", "estimator", "episodes", "improvements")
        turns = {tuple(one[key] for key in keys) for one in recovered["found"]}
        assert len(turns) == len(recovered["found"]) == 2 * 2 * 2 * 2 * 2
        assert {turn[1] for turn in turns} == {0, 1}
        assert {turn[-2:] for turn in turns} == {(1, 1), (1, 2), (30, 1), (30, 2)}

    @pytest.mark.parametrize("improvements", [1, 2])
    def test_they_are_what_the_other_agent_recovers(self, recovered, improvements):
        view = log_of("het", 30).seen_by(1).first(improvements + 1)
        direct = malfl.recover(view, of=0, by=Replay(0.2), unvisited="omit").values
        found = row(
            recovered["found"], game="het", agent=0, estimator="replay", episodes=30,
            improvements=improvements,
        )  # fmt: skip
        low, high = min(direct), max(direct)
        np.testing.assert_allclose(
            found["reward"], 1000 * (direct - low) / (high - low), rtol=0, atol=0.5 + 1e-6
        )
        pcc = np.corrcoef(direct, GAMES["het"].rewards[0])[0, 1]
        assert found["PCC"] == pytest.approx(pcc, rel=1e-3)

    def test_policies_are_fitted_as_the_estimator_has_it(self, recovered):
        view = log_of("hom", 30).seen_by(0)
        policies = estimate_policies(view, Descended(0.3, 10, 0.1), seed=4)
        adam = Adam("joint-action", equations="released", steps=20, rate=0.05)
        direct = recover_from_policies(view.dynamics, policies, of=1, alpha=2.0, by=adam)
        found = row(
            recovered["found"], game="hom", agent=1, estimator="released", episodes=30,
            improvements=2,
        )  # fmt: skip
        pcc = np.corrcoef(direct.over_states(), GAMES["hom"].rewards[1])[0, 1]
        assert found["PCC"] == pytest.approx(pcc, rel=1e-3)

    def test_true_rewards_go_from_0_to_1000(self, recovered):
        for kind, game in GAMES.items():
            for agent in (0, 1):
                shown = row(recovered["true"], game=kind, agent=agent)["reward"]
                assert (min(shown), max(shown)) == (0, 1000)
                assert np.corrcoef(shown, game.rewards[agent])[0, 1] > 0.99999

    def test_where_nothing_is_known_nothing_is_shown(self):
        little = TRAINING.but(steps=1)
        estimators = {"least squares": LeastSquares()}
        picture = explore.recovered_rewards(GAMES, little, estimators, [1], seed=0)
        for found in picture["found"]:
            assert found["reward"].count(None) >= 14  # one state was played in and one reached
            assert found["PCC"] == 0

    def test_refuses_a_single_iteration(self):
        with pytest.raises(ValueError, match="iterations must be at least 2, got 1"):
            explore.recovered_rewards(GAMES, TRAINING.but(iterations=1), {}, [1], seed=0)


class TestPredictedImprovements:
    def test_what_came_are_agent_0s_policies(self, predicted):
        log = log_of("hom", 30)
        assert [c["iteration"] for c in predicted["came"] if c["game"] == "hom"] == [1, 2, 3]
        for h in (1, 2, 3):
            shown = row(predicted["came"], game="hom", iteration=h)["policy"]
            np.testing.assert_allclose(shown, 1e4 * log.policies[0][h].ravel(), rtol=0, atol=0.501)

    @pytest.mark.parametrize(
        ("name", "estimator"), [("structural", Structural()), ("replay", Replay(0.2))]
    )
    def test_predictions_are_agent_1s(self, predicted, name, estimator):
        log = log_of("het", 30)
        made = forecast(log.seen_by(1), of=0, by=estimator)
        for h, policy in enumerate(made.policies, start=2):
            shown = row(predicted["predicted"], game="het", estimator=name, iteration=h)
            np.testing.assert_allclose(shown["policy"], 1e4 * policy.ravel(), rtol=0, atol=0.501)
            true = log.policies[0][h]
            errors = [sum(p * math.log(p / q) for p, q in zip(*both, strict=True))
                      for both in zip(true, policy, strict=True)]  # fmt: skip
            np.testing.assert_allclose(shown["error"], errors, rtol=6e-3, atol=1e-12)

    def test_who_expects_no_change_expects_the_policy_before(self, predicted):
        for h in (2, 3):
            before = row(predicted["came"], game="hom", iteration=h - 1)["policy"]
            shown = row(predicted["predicted"], game="hom", estimator=NO_CHANGE, iteration=h)
            assert shown["policy"] == before

    def test_refuses_a_single_iteration(self):
        with pytest.raises(ValueError, match="iterations must be at least 2, got 1"):
            explore.predicted_improvements(GAMES, TRAINING.but(iterations=1), {}, seed=0)


class TestTightening:
    def test_one_state_with_two_actions_by_hand(self):
        # Rewards 10 and 8, guess 8 and 10, no future: the error is 2 whatever constant is added.
        new = 1 / (1 + math.exp(-2))
        delta = math.log(new / (1 - new))  # the first probability becomes the second
        guess = counterexamples.reversed_preference((10, 8), (9.5, 8.5))
        (picture,) = explore.tightening({"turned": guess}, [delta])
        (found,) = picture.pop("rows")
        size = {"delta": delta, "least error": 2, "T1, below": 2, "T1, above": 2}
        size |= {"Theorem 6.1": delta, "divergence": (2 * new - 1) * delta}
        size |= {"T2": naive.largest_divergence(2), "Theorem 6.5": 2 * (1 + 2 * math.exp(-8))}
        assert found == pytest.approx(size, rel=1e-3)
        assert picture == {
            "guess": "turned", "alpha": 1.0, "gamma": 0.0, "actions": 2,
            "reward": [10.0, 8.0], "pattern": [-1.0, 1.0],
        }  # fmt: skip

    def test_predictions_are_off_by_delta_and_bounds_are_those_of_the_shrunk_guess(self):
        game = GAMES["hom"]
        rng = np.random.default_rng(0)
        policies = [rng.dirichlet(np.ones(5), size=16) for _ in range(2)]
        error = rng.normal(size=16)
        guess = Prediction(game, policies, 1, 3.0, game.rewards[1] + error)
        (picture,) = explore.tightening({"noise": guess}, [0.1, 1.0])
        for found in picture["rows"]:
            size = found["least error"] / guess.least_error
            shrunk = Prediction(game, policies, 1, 3.0, game.rewards[1] + size * error)
            assert np.abs(shrunk.change).max() == pytest.approx(found["delta"], rel=1e-3)
            assert found["T1, below"] == pytest.approx(bounds.t1_below(shrunk).left, rel=2e-3)
            assert found["T2"] == pytest.approx(bounds.t2(shrunk).right, rel=2e-3)
            assert found["Theorem 6.5"] == pytest.approx(bounds.theorem_6_5(shrunk).right, rel=2e-3)
        left = guess.shaped_error(guess.best).ravel()
        assert np.abs(picture["pattern"]).max() == 1
        np.testing.assert_allclose(picture["pattern"], left / guess.least_error, atol=6e-4)
        np.testing.assert_allclose(picture["reward"], np.repeat(game.rewards[1], 5))

    def test_a_bound_that_is_attained_stays_so(self):
        guess = counterexamples.attained()["T1, above"].prediction
        (picture,) = explore.tightening({"sharp": guess}, [0.01, 0.1, 1.0, 10.0])
        for found in picture["rows"]:
            assert found["least error"] == pytest.approx(found["T1, above"], rel=1e-3)

    def test_refuses_a_guess_without_error(self):
        guess = counterexamples.reversed_preference((10, 8), (11, 9))
        with pytest.raises(ValueError, match="predicts every improvement"):
            explore.tightening({"right": guess}, [0.1])

    def test_refuses_a_delta_of_0(self):
        guess = counterexamples.reversed_preference((10, 8), (8, 10))
        with pytest.raises(ValueError, match="delta must be greater than 0, got 0"):
            explore.tightening({"turned": guess}, [0.0])


class TestWalks:
    def test_every_step_is_one_that_the_rules_allow(self, walks):
        assert len(walks["episodes"]) == 2 * 4 * 2
        for walk in walks["episodes"]:
            states, actions = walk["states"], walk["actions"]
            assert (len(states), len(actions), states[0]) == (11, 10, 0)
            for here, joint, there in zip(states, actions, states[1:], strict=False):
                moves = naive.plain(GAMES[walk["game"]])[0]
                assert moves[here][joint] == [(1, there)]

    def test_what_was_played_is_what_was_learned_from(self, walks):
        log = log_of("het", 30)
        for h, played in enumerate(log.episodes):
            for e in (0, 1):
                walk = row(walks["episodes"], game="het", iteration=h, episode=e + 1)
                assert walk["states"] == played[e].states[:11].tolist()
                assert walk["actions"] == played[e].actions[:10].tolist()

    def test_policies_are_those_of_the_run(self, walks):
        log = log_of("hom", 30)
        for h in range(4):
            shown = row(walks["policies"], game="hom", iteration=h)["policies"]
            for policy, agent in zip(shown, log.policies, strict=True):
                np.testing.assert_allclose(policy, 1e3 * agent[h].ravel(), rtol=0, atol=0.501)

    def test_means_of_a_policy_are_over_all_steps(self, walks):
        for kind, game in GAMES.items():
            log = log_of(kind, 30)
            last = malfl.sample_episodes(game, log.policies_at(3), episodes=30, steps=100, seed=4)
            for h, played in enumerate((*log.episodes, last)):
                before, _, _ = played.moves()
                steps = [divmod(int(s), 4) for s in before]
                shown = row(walks["policies"], game=kind, iteration=h)
                places = [[divmod(cell, 2) for cell in cells] for cells in steps]
                apart = sum(abs(a - c) + abs(b - d) for (a, b), (c, d) in places) / 3000
                assert shown["apart"] == pytest.approx(apart, rel=1e-3)
                for i in (0, 1):
                    to_goal = sum(2 - sum(place[i]) for place in places) / 3000
                    assert shown["to_goal"][i] == pytest.approx(to_goal, rel=1e-3)
                    mean = sum(game.rewards[i][4 * a + b] for a, b in steps) / 3000
                    assert shown["reward"][i] == pytest.approx(mean, rel=1e-3)

    def test_rewards_are_the_games(self, walks):
        for kind, game in GAMES.items():
            np.testing.assert_array_equal(walks["rewards"][kind], game.rewards)

    @pytest.mark.parametrize("shown", [{"episodes_shown": 31}, {"steps_shown": 101}])
    def test_refuses_to_show_more_than_was_played(self, shown):
        options = {"episodes_shown": 1, "steps_shown": 1} | shown
        name, value = next(iter(shown.items()))
        with pytest.raises(ValueError, match=f"{name} must be at most {value - 1}, got {value}"):
            explore.walks(GAMES, TRAINING, **options, seed=0)


def test_all_pictures_are_json_without_nan(recovered, predicted, walks):
    for picture in (recovered, predicted, walks):
        json.dumps(picture, allow_nan=False)


@pytest.mark.parametrize("kind", ["recovered", "predicted", "walks"])
def test_a_stored_picture_is_not_made_again(kind, request, tmp_path, monkeypatch):
    made = request.getfixturevalue(kind)
    assert picture_of(kind, store=tmp_path) == made
    for name in ("train", "trained_and_recovered"):
        monkeypatch.delattr(explore, name)
    assert picture_of(kind, store=tmp_path) == made
    with pytest.raises(NameError):
        picture_of(kind)


def test_whole_numbers_of_parts():
    assert whole([[0.1234, np.nan], [1.0, -0.5]], 1000) == [123, None, 1000, -500]


def test_significant_digits():
    assert significant(0.00123456) == 0.001235
    assert significant(123456.0, 2) == 120000.0
    assert significant(math.inf) is None
    assert significant(math.nan) is None
