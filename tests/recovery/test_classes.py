from dataclasses import replace

import numpy as np
import pytest
from drawn import random_game

import malfl
from malfl import Auto, Features, PathLikelihood, Replay, Structural
from malfl.recovery.classes import earned_by_code, entries, space_of
from malfl.recovery.likeliest import Likeliest

EXACT = malfl.SoftPolicyIteration(evaluation="exact")


def game_of(kind, states=5, gamma=0.8):
    """Two agents; the first one's reward is of this class."""
    rng = np.random.default_rng(1)
    game = random_game(rng, (3, 2), states, state_rewards=True, gamma=gamma)
    own = rng.normal(size=(states, 3))
    rewards = {
        "state": rng.normal(size=states),
        "state-action": own[:, game.own_actions[0]],
        "joint-action": rng.normal(size=(states, 6)),
    }
    return game.with_rewards([rewards[kind], game.rewards[1]])


def seen(game, learner, episodes=2000, seed=0):
    return malfl.learn(
        game, learner, alpha=0.7, iterations=6, episodes=episodes, steps=50, record=True, seed=seed
    ).seen_by(1)


@pytest.mark.parametrize("kind", ["state", "state-action", "joint-action"])
@pytest.mark.parametrize("by", [Structural(0.2), Replay(0.2), PathLikelihood([EXACT])], ids=str)
def test_the_class_is_found_where_none_is_named(by, kind):
    game = game_of(kind)
    learner = EXACT if isinstance(by, PathLikelihood) else malfl.SoftPolicyIteration(0.2)
    found = malfl.recover(seen(game, learner), of=0, by=by)
    assert found.reward_class == kind
    least = 0.75 if isinstance(by, Structural) else 0.95  # counts alone know less
    assert malfl.compare(found, game, 0).identified > least
    assert len(found.compared) == 3


@pytest.mark.parametrize("by", [Structural, Replay, PathLikelihood])
def test_a_named_class_is_the_only_one(by):
    given = {"learners": [EXACT]} if by is PathLikelihood else {}
    view = seen(game_of("state-action"), EXACT, 50)
    found = malfl.recover(view, of=0, by=by(reward_class="state", **given))
    assert found.reward_class == "state"
    assert found.compared == ()
    assert found.verdict != "sound"


def test_large_rewards_of_actions_are_tried_only_if_much_is_left(monkeypatch):
    """And rewards of joint actions only if somebody else acts."""
    monkeypatch.setattr("malfl.recovery.likeliest.FEW_ENTRIES", 4)
    view = seen(game_of("state"), EXACT)
    found = malfl.recover(view, of=0, by=PathLikelihood([EXACT]))
    assert [name for name, _ in found.compared] == [
        "PathLikelihood(learners=(SoftPolicyIteration(evaluation='exact')), reward_class='state')"
    ]
    alone = random_game(np.random.default_rng(0), (3,), 4, state_rewards=True)
    log = malfl.learn(alone, EXACT, alpha=1.0, iterations=4, episodes=400, steps=20, seed=0)
    monkeypatch.setattr("malfl.recovery.likeliest.FEW_ENTRIES", 300)
    found = malfl.recover(log.seen_by(None), of=0, by=Structural(evaluation="exact"))
    classes = {one for one in ("'state'", "'state-action'", "'joint-action'")
               if any(one in name for name, _ in found.compared)}  # fmt: skip
    assert classes == {"'state'", "'state-action'"}


def test_a_class_is_prepared_once(monkeypatch):
    made = []
    view = seen(game_of("state"), EXACT, 50)

    def in_class(one):
        made.append(one)
        return [PathLikelihood([EXACT], reward_class=one)]

    prepared = Likeliest(in_class, None, view, 0, np.random.default_rng(0))
    first, again = (prepared.reward(3) for _ in range(2))
    assert first.compared == again.compared
    policy = prepared.next_policy(first, 3)
    np.testing.assert_allclose(policy.sum(axis=1), 1)


BY_FEATURES = [
    (Structural(0.2), malfl.SoftPolicyIteration(0.2)),
    (Replay(0.2), malfl.SoftPolicyIteration(0.2)),
    (Auto(0.2), malfl.SoftPolicyIteration(0.2)),
    (PathLikelihood([EXACT]), EXACT),
    (PathLikelihood([malfl.SoftValueIteration()]), malfl.SoftValueIteration()),
    (PathLikelihood([malfl.QLearning(0.2)]), malfl.QLearning(0.2)),
]


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 6)])
@pytest.mark.parametrize(("by", "learner"), BY_FEATURES, ids=str)
def test_weights_of_features_are_found(by, learner, shape):
    rng = np.random.default_rng(2)
    game, phi, weights = game_of("state"), rng.normal(size=(*shape, 2)), np.array([1.5, -0.8])
    phi[..., 1] *= 40  # in another unit
    weights[1] /= 40
    reward = phi @ weights
    reward = reward[:, game.own_actions[0]] if shape == (5, 3) else reward
    game = game.with_rewards([reward, game.rewards[1]])
    found = malfl.recover(seen(game, learner), of=0, by=replace(by, reward_class=Features(phi)))
    atol = 0.3 if isinstance(by, Structural) else 0.15
    np.testing.assert_allclose(found.weights / weights, 1, atol=atol)
    off = (found.weights - weights) / found.weight_deviation
    assert (np.abs(off) < 5).all()
    np.testing.assert_allclose(found.values, phi @ found.weights, rtol=1e-10)
    assert (
        found.reward_class
        == {1: "state", 3: "state-action", 6: "joint-action"}[1 if len(shape) == 1 else shape[1]]
    )
    assert "Linear in 2 features" in found.summary().splitlines()
    assert malfl.compare(found, game, 0).identified > 0.98
    assert found.diagnostics.promise.directions <= 2


def test_features_that_span_all_rewards_change_nothing():
    """But for the prior, which is of weights."""
    view = seen(game_of("state"), malfl.SoftPolicyIteration(0.2))
    plain = malfl.recover(view, of=0, by=Replay(0.2, reward_class="state"))
    unit = np.eye(5) * np.array([1, 2, 3, 4, 5])
    found = malfl.recover(view, of=0, by=Replay(0.2, reward_class=Features(unit)))
    off = found.values - found.values.mean() - plain.values + plain.values.mean()
    assert np.abs(off).max() < 0.1 * plain.deviation.max()
    np.testing.assert_allclose(found.deviation, plain.deviation, rtol=0.05)
    assert found.diagnostics.promise.directions == plain.diagnostics.promise.directions == 4


def test_an_entry_is_known_if_the_weights_that_make_it_up_are():
    """State 4 is never left and never reached, so nothing depends on it."""
    game = game_of("state", gamma=0.5)
    moves = game.transitions.toarray()
    moves[:, 4] = 0
    moves[24:] = np.eye(5)[4]
    moves[moves.sum(axis=1) == 0, 0] = 1
    moves /= moves.sum(axis=1, keepdims=True)
    cut = malfl.MarkovGame(
        actions=(3, 2),
        transitions=moves.reshape(5, 6, 5),
        rewards=game.rewards,
        start=np.eye(5)[0],
        gamma=0.5,
    )
    log = malfl.learn(cut, EXACT, alpha=1.0, iterations=4, episodes=400, steps=20, seed=0)
    phi = np.eye(5)[:, [0, 4]]
    by = PathLikelihood([EXACT], reward_class=Features(phi))
    found = malfl.recover(log.seen_by(1), of=0, by=by, unvisited="omit")
    assert np.isnan(found.weights).tolist() == [False, True]
    assert np.isnan(found.values).tolist() == [False, False, False, False, True]
    assert np.isnan(found.weight_deviation).tolist() == [False, True]


@pytest.mark.parametrize(
    ("phi", "message"),
    [
        (np.ones(4), r"phi must have shape \(S, k\) or \(S, actions, k\), got \(4,\)"),
        (np.ones((4, 0)), r"phi must have shape \(S, k\) or \(S, actions, k\), got \(4, 0\)"),
        ([[1.0, np.nan]], r"phi\[0, 1\] is nan"),
        ([[1, 0], [2, 0]], r"phi\[..., 1\] is zero everywhere; such a feature has no weight"),
    ],
)
def test_bad_features_are_named(phi, message):
    with pytest.raises(ValueError, match=message):
        Features(phi)


def test_features_of_another_game_are_refused():
    view = seen(game_of("state"), EXACT, 50)
    message = r"phi must have shape \(5, k\), \(5, 3, k\) or \(5, 6, k\) for agent 0, got \(4, 2\)"
    for by in (Structural, Replay, PathLikelihood, Auto):
        with pytest.raises(ValueError, match=message):
            malfl.recover(view, of=0, by=by(reward_class=Features(np.ones((4, 2)))))


def test_features_are_the_same_if_their_numbers_are():
    one, same, other = Features([[1.0], [2.0]]), Features([[1.0], [2.0]]), Features([[1.0], [3.0]])
    assert one == same != other
    assert hash(one) == hash(same)
    assert one != "state"


@pytest.mark.parametrize("kind", ["state", "state-action", "joint-action"])
def test_entries_are_numbered_as_a_reward_is_laid_out(kind):
    game = game_of(kind)
    number = entries(game, 0, kind)
    assert space_of(game, 0, kind).entries == number
    reward = np.arange(float(number))
    shape = {"state": (5,), "state-action": (5, 3), "joint-action": (5, 6)}[kind]
    table = reward.reshape(shape)
    wide = {"state": lambda: np.repeat(table[:, None], 6, axis=1),
            "state-action": lambda: table[:, game.own_actions[0]],
            "joint-action": lambda: table}[kind]()  # fmt: skip
    np.testing.assert_array_equal(reward[earned_by_code(game, 0, kind)], wide.ravel())
