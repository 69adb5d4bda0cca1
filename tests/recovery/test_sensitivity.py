"""How far rewards depend on what was assumed."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from drawn import random_game

import malfl
from malfl import AsIfAlone, Replay, Sensitivity, Structural, WithEstimatedRules
from malfl.recovery import DoubtfulRewardWarning, NothingToLearnError
from malfl.recovery.recovery import Recovery
from malfl.recovery.sensitivity import _changes, _settled
from malfl.recovery.shown import likeness
from malfl.recovery.verdict import SOUND
from malfl.values import digest

ALPHA, BETA, GAMMA = 0.7, 0.2, 0.8  # horizon 5
ALPHAS = ["alpha 0.35 instead of 0.7", "alpha 1.4 instead of 0.7"]
STEPS = ["step size 0.16 instead of 0.2", "step size 0.24 instead of 0.2"]
GAMMAS = ["gamma 0.75 instead of 0.8", "gamma 0.8333 instead of 0.8"]


@cache
def view(exact=False):
    game = random_game(np.random.default_rng(0), (3, 2), 5, state_rewards=True, gamma=GAMMA)
    learner = malfl.SoftPolicyIteration(BETA, "exact" if exact else "td")
    log = malfl.learn(
        game, learner, alpha=ALPHA, iterations=5, episodes=400, steps=50, record=True, seed=0
    )
    return log.seen_by(1)


@cache
def line():
    """A long way to the only reward, and a long horizon."""
    states, moves = np.arange(60), (-1, 0, 1)
    ends = np.stack([np.clip(states + move, 0, 59) for move in moves], axis=1)
    rewards = [8.0 * (states == 59)]
    game = malfl.MarkovGame(
        actions=(3,), transitions=ends, rewards=rewards, start=np.full(60, 1 / 60), gamma=0.98
    )
    log = malfl.learn(
        game, malfl.SoftPolicyIteration(evaluation="exact"), alpha=1.0, iterations=3,
        episodes=1000, steps=100, seed=0,
    )  # fmt: skip
    return log.seen_by(None)


@pytest.mark.parametrize("by", ["auto", "replay", Replay(BETA)])
def test_with_the_right_model_nothing_else_matters_much(by):
    told = malfl.sensitivity(view(), of=0, by=by)
    assert len(told.assumptions) == 6
    assert min(told.correlations) > 0.99
    found = malfl.recover(view(), of=0, by=by, sensitivity=True)
    assert found.verdict == "sound"
    assert found.sensitive == tuple(zip(told.assumptions, told.correlations, strict=True))
    assert f"With {told.least[0]}: correlation {told.least[1]:.3f}" in found.summary()
    usual = malfl.recover(view(), of=0, by=by)
    assert usual.sensitive == ()
    assert digest(usual) == digest(replace(found, sensitive=()))


def test_a_reward_that_depends_on_gamma_is_doubtful():
    by = Structural(evaluation="exact", reward_class="state")
    assert malfl.recover(line(), of=0, by=by).verdict == "sound"
    with pytest.warns(DoubtfulRewardWarning, match=r"with gamma 0\.975 instead of 0\.98 the rewar"):
        found = malfl.recover(line(), of=0, by=by, sensitivity=True)
    assert found.verdict == "doubtful"
    (low,) = [like for _, like in found.sensitive if like < SOUND]
    assert found.judgement.reasons == (
        f"with gamma 0.975 instead of 0.98 the reward correlates with this one at {low:.2f} only",
    )
    assert found.judgement.advice == ("make sure of what was assumed",)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("by", ["replay", "structural", "path likelihood", "least squares"])
def test_alpha_is_the_unit_of_rewards_and_no_more(exact, by):
    told = malfl.sensitivity(view(exact), of=0, by=by)
    assert list(told.assumptions[:2]) == ALPHAS
    np.testing.assert_allclose(told.correlations[:2], 1.0, rtol=0, atol=1e-5)
    assert max(told.correlations[2:]) < 1 - 1e-6


def test_descent_from_zero_depends_on_alpha():
    told = malfl.sensitivity(view(), of=0, by=malfl.Adam(steps=300))
    assert told.assumptions == (*ALPHAS, *GAMMAS)
    assert max(told.correlations[:2]) < 1 - 1e-4
    assert np.isnan(told.errors).all()


def test_what_is_compared_is_the_reward_of_the_changed_view():
    """Identified by the discount that was assumed first."""
    by, seen = Replay(BETA, reward_class="state-action"), view()
    dynamics = replace(seen.dynamics, gamma=0.75)
    old, new = (
        Recovery(one, of=0, by=by).reward() for one in (seen, replace(seen, dynamics=dynamics))
    )
    told = malfl.sensitivity(seen, of=0, by=by)
    place = told.assumptions.index(GAMMAS[0])
    pair = (old.values, old.reward_class), (new.values, new.reward_class)
    assert told.correlations[place] == likeness(*pair, seen.dynamics, 0)
    assert told.errors[place] == new.diagnostics.evidence.error


def test_one_assumption_is_changed_at_a_time():
    changes = list(_changes(Replay(BETA), view()))
    assert [name for name, _, _ in changes] == ALPHAS + STEPS + GAMMAS
    for name, by, seen in changes:
        number = pytest.approx(float(name.split(" instead")[0].split()[-1]), abs=1e-4)
        if name.startswith("alpha"):
            assert seen.alpha == number
            seen = replace(seen, alpha=ALPHA)
        elif name.startswith("gamma"):
            assert seen.dynamics.gamma == number
            seen = replace(seen, dynamics=replace(seen.dynamics, gamma=GAMMA))
        else:
            assert by.beta == number
            by = replace(by, beta=BETA)
        assert by == Replay(BETA)
        assert digest(seen) == digest(view())


@pytest.mark.parametrize("by", [malfl.LeastSquares(), Structural(evaluation="exact")])
def test_where_there_is_no_step_size_none_is_changed(by):
    assert malfl.sensitivity(view(), of=0, by=by).assumptions == (*ALPHAS, *GAMMAS)


def test_what_is_not_known_or_has_no_room_is_not_changed():
    seen = view()
    names = [name for name, _, _ in _changes(Replay(1.0), replace(seen, alpha=None))]
    assert names == ["step size 0.8 instead of 1", *GAMMAS]
    myopic = replace(seen, dynamics=replace(seen.dynamics, gamma=0.1))
    assert [name for name, _, _ in _changes(Replay(), myopic)] == [
        *ALPHAS, "gamma 0.25 instead of 0.1"
    ]  # fmt: skip
    now = replace(seen, alpha=None, dynamics=replace(seen.dynamics, gamma=0.0))
    assert list(_changes(Replay(), now)) == []
    assert Sensitivity("Replay()", (), (), ()).least is None


@pytest.mark.parametrize(
    ("by", "exact", "settled"),
    [
        (malfl.Auto(), False, Replay),
        (Structural(), False, Structural),
        (Structural(), True, Structural),
        (malfl.PathLikelihood(), True, malfl.PathLikelihood),
    ],
)
def test_the_likeliest_finds_the_reward_again(by, exact, settled):
    found = Recovery(view(exact), of=0, by=by).reward()
    one = _settled(by, found)
    assert type(one) is settled
    assert one.reward_class == found.reward_class
    if settled is malfl.PathLikelihood:
        assert one.learners == (found.diagnostics.learner,)
    else:
        assert one.beta == found.diagnostics.beta
        assert (one.beta is None) == exact
    again = Recovery(view(exact), of=0, by=one).reward()
    like = likeness(
        (found.values, found.reward_class), (again.values, again.reward_class),
        view().dynamics, 0,
    )  # fmt: skip
    assert like == pytest.approx(1.0, abs=1e-9)
    assert again.diagnostics.evidence.error == pytest.approx(found.diagnostics.evidence.error)


@pytest.mark.parametrize("by", [AsIfAlone(Structural(0.2)), WithEstimatedRules(Replay(0.2), 2)])
def test_estimators_of_another_view_are_asked_in_that(by):
    told = malfl.sensitivity(view(), of=0, by=by)
    assert told.assumptions == (*ALPHAS, *STEPS, *GAMMAS)
    assert told.estimator.startswith(type(by.estimator).__name__)
    assert min(told.correlations) > 0.9


def test_where_nothing_is_left_to_learn_nothing_is_alike(monkeypatch):
    class Silent(Structural):
        def prepare(self, seen, agent, rng):
            if seen.dynamics.gamma == GAMMA:
                return super().prepare(seen, agent, rng)
            raise NothingToLearnError("nothing")

    told = malfl.sensitivity(view(), of=0, by=Silent(BETA, reward_class="state"))
    assert told.correlations[-2:] == (0.0, 0.0)
    assert np.isnan(told.errors[-2:]).all()


def test_the_summary_is_a_table():
    told = Sensitivity("Replay(beta=0.2)", (ALPHAS[0], GAMMAS[1]), (1.0, 0.5), (0.25, np.nan))
    assert told.least == (GAMMAS[1], 0.5)
    assert told.summary().splitlines() == [
        "Recovered by Replay(beta=0.2)",
        "changed to                   correlation  unexplained",
        "alpha 0.35 instead of 0.7          1.000          0.5",
        "gamma 0.8333 instead of 0.8        0.500          nan",
    ]


def test_the_same_draws_are_made_each_time():
    by = malfl.LeastSquares(policies=malfl.recovery.Descended(steps=20))
    one, other = (malfl.sensitivity(view(), of=0, by=by, seed=seed) for seed in (3, 3))
    generated = malfl.sensitivity(view(), of=0, by=by, seed=np.random.default_rng(3))
    assert one.correlations == other.correlations == generated.correlations
    np.testing.assert_allclose(one.correlations[:2], 1.0, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"of": 1}, ValueError, "of must be another agent than the observer, both are 1"),
        ({"of": 0, "by": "magic"}, ValueError, "by must be one of auto, structural"),
        ({"of": 0, "by": 3}, TypeError, "by must be of type Estimator"),
        ({"of": 0, "seed": -1}, ValueError, "seed must be at least 0, got -1"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        malfl.sensitivity(view(), **options)


def test_refusals(monkeypatch):
    with pytest.raises(TypeError, match="view must be of type View"):
        malfl.sensitivity("log", of=0)
    with pytest.raises(TypeError, match="sensitivity must be True or False, got 'yes'"):
        malfl.recover(view(), of=0, sensitivity="yes")
    with pytest.raises(ValueError, match="correlations must hold a number for each of 1 assumpti"):
        Sensitivity("Replay()", ("alpha",), (), (0.0,))
    monkeypatch.setattr(malfl.recovery.shown, "MOST_ENTRIES", 4)
    with pytest.raises(ValueError, match="a reward of 5 entries is too large to tell its identi"):
        malfl.sensitivity(view(), of=0, by=Replay(BETA, reward_class="state"))
