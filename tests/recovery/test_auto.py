import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from drawn import random_game

import malfl
from malfl import Auto, PathLikelihood, QLearning, Replay, SoftPolicyIteration, Structural
from malfl.evaluation.identified import identified_correlation
from malfl.recovery import NothingToLearnError, RecoveredReward, auto, likeliest
from malfl.recovery.recovery import Recovery

ALPHA, BETA = 0.7, 0.3
LEARNERS = {
    "td": SoftPolicyIteration(BETA),
    "sarsa": SoftPolicyIteration(BETA, "sarsa"),
    "exact": SoftPolicyIteration(evaluation="exact"),
    "backing up": malfl.SoftValueIteration(),
    "Q-learning": QLearning(BETA),
}


@cache
def log_of(name, rewards="state", episodes=400):
    rng = np.random.default_rng(3)
    game = random_game(rng, (3, 2), 5, state_rewards=True)
    if rewards == "state-action":
        own = rng.normal(size=(5, 3))[:, game.own_actions[0]]
        game = game.with_rewards([own, game.rewards[1]])
    elif rewards == "joint-action":
        game = game.with_rewards([rng.normal(size=(5, 6)), game.rewards[1]])
    return malfl.learn(
        game, [LEARNERS[name], LEARNERS["td"]], alpha=ALPHA, iterations=6, episodes=episodes,
        steps=50, record=True, seed=0,
    )  # fmt: skip


def found_in(view, estimator=None):
    found = Recovery(view, of=0, by=estimator or Auto(), unvisited="omit").reward()
    return found, found.compared[0][0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("td", "Replay(reward_class='state')"),
        ("sarsa", "Replay(executed=True, reward_class='state')"),
        (
            "exact",
            "PathLikelihood(learners=(SoftPolicyIteration(evaluation='exact')), "
            "reward_class='state')",
        ),
        ("backing up", "PathLikelihood(learners=(SoftValueIteration()), reward_class='state')"),
    ],
)
def test_the_learner_is_found(name, expected):
    log = log_of(name)
    found, best = found_in(log.seen_by(1))
    assert re.sub(r"beta=[\d.]+(, )?", "", best) == expected  # found by one model, used by another
    assert identified_correlation(found, log.game, 0) > 0.99
    assert found.verdict == "sound"
    assert found.converged
    if name in ("td", "sarsa"):
        assert found.diagnostics.beta == pytest.approx(BETA, rel=0.25)


def test_q_learning_is_found_where_others_leave_much(monkeypatch):
    log = log_of("Q-learning")
    without = found_in(log.seen_by(1), Auto(BETA))[0].compared
    assert not any("QLearning" in name for name, _ in without)  # replay explains enough
    monkeypatch.setattr(likeliest, "MOST_ERROR", -1.0)
    found, best = found_in(log.seen_by(1), Auto(BETA))
    assert best == ("PathLikelihood(learners=(QLearning(beta=0.3)), reward_class='state')")
    assert identified_correlation(found, log.game, 0) > 0.99
    assert found.verdict == "sound"


@pytest.mark.parametrize("name", ["td", "exact"])
@pytest.mark.parametrize("rewards", ["state-action", "joint-action"])
def test_what_the_reward_depends_on_is_found(name, rewards):
    log = log_of(name, rewards, 2000)
    found, _ = found_in(log.seen_by(1))
    assert found.reward_class == rewards
    assert identified_correlation(found, log.game, 0) > 0.9
    named, _ = found_in(log.seen_by(1), Auto(reward_class="state"))
    assert named.reward_class == "state"
    assert named.verdict != "sound"


def test_counts_are_enough():
    log = log_of("td")
    view = replace(log.seen_by(1), episodes=None)
    found, best = found_in(view)
    assert best.startswith("Structural(")
    assert not any(name.startswith("Replay") for name, _ in found.compared)
    assert identified_correlation(found, log.game, 0) > 0.9


def test_it_finds_what_the_likeliest_does():
    view = log_of("td").seen_by(1)
    found, _ = found_in(view)
    named = Recovery(view, of=0, by=Replay(reward_class="state")).reward()
    np.testing.assert_array_equal(found.values, named.values)
    np.testing.assert_array_equal(found.deviation, named.deviation)
    evidence = named.diagnostics.evidence
    assert found.diagnostics.evidence == evidence
    assert found.compared[0][1] == evidence.log_likelihood
    order = [one for _, one in found.compared]
    assert order == sorted(order, reverse=True)
    assert malfl.recover(view, of=0).summary() == found.summary()


def test_the_next_policy_is_that_of_the_likeliest():
    view = log_of("td").seen_by(1)
    prepared, named = (
        one.prepare(view, 0, np.random.default_rng(0)) for one in (Auto(BETA), Replay(BETA))
    )
    for improvements in (2, 5):
        reward = named.reward(improvements)
        expected = named.next_policy(reward, improvements)
        found = prepared.next_policy(prepared.reward(improvements), improvements)
        np.testing.assert_array_equal(found, expected)
        again = Auto(BETA).prepare(view, 0, np.random.default_rng(0))
        np.testing.assert_array_equal(again.next_policy(reward, improvements), expected)


def test_rewards_of_many_entries_are_looked_for_if_much_is_left(monkeypatch):
    """And then by the model that was the likeliest before."""
    monkeypatch.setattr(likeliest, "FEW_ENTRIES", 4)
    found, _ = found_in(log_of("td").seen_by(1))
    assert all("-action'" not in name for name, _ in found.compared)
    found, _ = found_in(log_of("td", "state-action").seen_by(1))
    wider = [name for name, _ in found.compared if "-action'" in name]
    assert found.reward_class == "state-action"
    assert 1 <= len(wider) <= 3


class TestLargeGames:
    """In which exact values come first."""

    @pytest.fixture(autouse=True)
    def large(self, monkeypatch):
        monkeypatch.setattr(auto, "MOST_SLOPES", 0)
        monkeypatch.setattr(likeliest, "FEW_ENTRIES", 4)

    @pytest.mark.parametrize("rewards", ["state", "state-action"])
    def test_nothing_else_is_tried_if_they_explain_enough(self, rewards):
        found, _ = found_in(log_of("exact", rewards, episodes=4000).seen_by(1))
        assert found.reward_class == rewards
        assert all(name.startswith("Structural(evaluation='exact'") for name, _ in found.compared)

    def test_the_rest_is_tried_if_they_do_not(self):
        found, best = found_in(log_of("td").seen_by(1))
        assert best == "Replay(reward_class='state')"
        assert found.diagnostics.evidence.error < 3e-3

    def test_wider_rewards_by_the_model_that_was_the_likeliest_before(self):
        found, _ = found_in(log_of("td", "state-action").seen_by(1))
        wider = [name for name, _ in found.compared if "state-action" in name]
        assert len(wider) == 2
        assert sum("exact" not in name for name in wider) == 1

    def test_of_a_class_that_is_named_too(self):
        view = log_of("td", "state-action").seen_by(1)
        _, best = found_in(view, Auto(reward_class="state-action"))
        assert best == "Replay(reward_class='state-action')"


def test_models_that_are_as_likely_make_a_result_doubtful():
    """Little was seen of somebody whose reward may depend on anything."""
    view = log_of("td", "joint-action", 2).seen_by(1)
    found, _ = found_in(view)
    most = found.compared[0][1]
    near = [name for name, one in found.compared[1:] if one > most - likeliest.NEARLY]
    assert [name for name, _ in found.rivals] == near
    assert near
    assert all(-1 <= likeness <= 1 for _, likeness in found.rivals)
    assert found.verdict != "sound"


def test_a_summary_says_what_was_compared():
    found, best = found_in(log_of("exact").seen_by(1))
    lines = found.summary().splitlines()
    assert lines[0] == "Verdict: sound"
    assert f"Likeliest: {best}" in lines
    names = [name for name, _ in found.compared]
    assert len(names) == len(set(names)) > 4
    for name in names[1:9]:
        assert any(line.startswith(f"- {name}: less likely by ") for line in lines)


def test_where_nobody_finds_anything_it_says_so():
    game = random_game(np.random.default_rng(0), (1, 3), 4)
    log = malfl.learn(game, alpha=1.0, iterations=3, episodes=50, steps=20, record=True, seed=0)
    with pytest.raises(NothingToLearnError, match="there is nothing to learn from"):
        malfl.recover(log.seen_by(1), of=0)


def test_a_reward_of_another_kind_can_be_predicted_with():
    view = log_of("td").seen_by(1)
    prepared = Auto(BETA).prepare(view, 0, np.random.default_rng(0))
    plain = RecoveredReward(np.arange(5.0), "state", malfl.recovery.NoFit())
    expected = Replay(BETA).prepare(view, 0, np.random.default_rng(0)).next_policy(plain, 5)
    np.testing.assert_array_equal(prepared.next_policy(plain, 5), expected)


def test_names_are_brief():
    learners = (SoftPolicyIteration(evaluation="exact"), QLearning(0.5))
    brief = (
        "PathLikelihood(learners=(SoftPolicyIteration(evaluation='exact'), QLearning(beta=0.5)))"
    )
    assert likeliest.brief(PathLikelihood(learners)) == brief
    assert likeliest.brief(Replay()) == "Replay()"
    assert likeliest.brief(Structural(0.1, None, "state-action")) == (
        "Structural(beta=0.1, reward_class='state-action')"
    )


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"beta": 0}, ValueError, r"beta must lie in \(0, 1\], got 0"),
        ({"beta": "slow"}, TypeError, "beta must be a number, got 'slow'"),
        ({"reward_class": "own"}, ValueError, "reward_class must be one of state, state-action"),
        ({"policies": "smooth"}, TypeError, "policies must be of type PolicyFit"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        Auto(**parameters)


def test_a_warning_says_why_a_result_is_doubtful():
    few = log_of("td", episodes=2).seen_by(1)
    message = "the recovered reward is (doubtful|undetermined): .*; see its summary"
    with pytest.warns(malfl.DoubtfulRewardWarning, match=message) as caught:
        malfl.recover(few, of=0, by=Structural(BETA), unvisited="omit")
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("error")
def test_a_sound_result_comes_without_a_warning():
    log = log_of("exact")
    malfl.recover(log.seen_by(1), of=0, by=PathLikelihood((LEARNERS["exact"],)))
