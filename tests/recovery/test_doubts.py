"""What is said against rewards whose own fits call them sound."""

from dataclasses import replace

import numpy as np
import pytest
from drawn import random_game

import malfl
from malfl import PathLikelihood, Replay, SoftPolicyIteration, Structural
from malfl.recovery import Recovery
from malfl.recovery.doubts import with_doubts

pytestmark = pytest.mark.filterwarnings("ignore::malfl.DoubtfulRewardWarning")
EXACT = SoftPolicyIteration(evaluation="exact")


@pytest.fixture(scope="module")
def view():
    return seen(EXACT)


def seen(learner, *, of_actions=False, iterations=6):
    rng = np.random.default_rng(5)
    game = random_game(rng, (3, 2), 4, state_rewards=True)
    if of_actions:
        game = game.with_rewards([rng.normal(size=(4, 3))[:, game.own_actions[0]], game.rewards[1]])
    log = malfl.learn(
        game, learner, alpha=1.0, iterations=iterations, episodes=300, steps=50, record=True, seed=0
    )
    return log.seen_by(1)


def doubted(view, by, **changed):
    found = Recovery(view, of=0, by=by).reward()
    assert found.verdict == "sound"
    return with_doubts(replace(found, **changed), view, 0, by, np.random.default_rng(0))


def test_nothing_speaks_against_what_is_right(view):
    found = doubted(view, Structural(evaluation="exact"))
    assert found.verdict == "sound"
    assert found.doubts == ()
    assert all(one >= 0.9 for _, one in found.rivals)


def test_moves_by_other_rules(view):
    old = view.dynamics
    rules = malfl.Dynamics(
        actions=old.actions, transitions=0.9 * old.transitions.toarray().reshape(4, 6, 4) + 0.025,
        start=old.start, gamma=old.gamma,
    )  # fmt: skip
    found = doubted(replace(view, dynamics=rules), Structural(evaluation="exact"))
    assert found.verdict == "doubtful"
    assert len(found.doubts) == 1
    assert "moves are not those of the rules, by 0.0" in found.summary()


def test_an_agent_that_may_not_learn():
    """Every third policy of an exact learner is about the same, but for the first."""
    view = seen(EXACT, of_actions=True, iterations=16)
    some = replace(
        view, counts=view.counts[::3], own_policies=view.own_policies[::3],
        episodes=view.episodes[::3],
    )  # fmt: skip
    by = PathLikelihood((malfl.SoftValueIteration(),), reward_class="state-action")
    found = doubted(some, by)
    assert found.verdict == "doubtful"
    assert any("that the agent does not learn is about as likely" in one for one in found.doubts)


def test_a_rival_is_named_once(view):
    by = Structural(evaluation="exact")
    found = doubted(view, by)
    names = [name for name, _ in found.compared + found.rivals]
    assert len(names) == len(set(names))


def test_nothing_is_looked_at_if_the_reward_is_not_sound(view, monkeypatch):
    monkeypatch.setattr("malfl.recovery.doubts.surprise", None)
    found = replace(Recovery(view, of=0, by=Replay()).reward(), doubts=("one is enough",))
    assert with_doubts(found, view, 0, Replay(), np.random.default_rng(0)) is found


def test_what_would_take_long_is_not_tried(view, monkeypatch):
    monkeypatch.setattr("malfl.recovery.doubts.MOST_SLOPES", 1)
    found = doubted(view, Structural(evaluation="exact", reward_class="state"))
    assert found.rivals == ()
    assert found.doubts == ()
