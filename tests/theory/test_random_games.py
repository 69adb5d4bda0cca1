import itertools

import numpy as np
import pytest
from drawn import GAMES, random_game

from malfl.games.markov import Dynamics
from malfl.recovery.reward import REWARD_CLASSES
from malfl.theory.random_games import GAMMAS, random_policies, random_predictions, random_reward


def drawn(number, seed=0, **options):
    return list(random_predictions(number, seed=seed, **options))


def everything(p):
    """A prediction as one list of numbers."""
    parts = [p.game.actions, p.game.transitions.toarray(), p.game.start, *p.game.rewards]
    parts += [p.game.gamma, p.alpha, p.agent, *p.policies, p.guess]
    return np.concatenate([np.ravel(part) for part in parts]).tolist()


def dense(game):
    return game.transitions.toarray().reshape(game.n_states, -1, game.n_states)


def error(p):
    """Of what kind a guess's error is, and how large."""
    reward, wrong = p.game.rewards[p.agent], p.guess - p.game.rewards[p.agent]
    factor = wrong / (reward - reward.mean())
    if np.ptp(factor) < 1e-9 * np.abs(factor).max():
        return "turned", factor.mean()
    few = (np.abs(wrong) > 1e-9 * np.abs(wrong).max()).mean() < 0.1
    return "sparse" if few else "normal", wrong.std() / p.alpha


def test_a_seed_tells_all():
    first = [everything(p) for p in drawn(5, seed=3)]
    assert [everything(p) for p in drawn(5, seed=3)] == first
    assert [everything(p) for p in drawn(5, seed=np.random.default_rng(3))] == first
    assert [everything(p) for p in drawn(2, seed=3)] == first[:2]
    assert not {str(x) for x in first} & {str(everything(p)) for p in drawn(5, seed=4)}


def test_a_generator_goes_on_where_it_was():
    rng = np.random.default_rng(3)
    assert everything(*drawn(1, seed=rng)) != everything(*drawn(1, seed=rng))


def test_all_that_is_asked_for_comes_up_and_nothing_else():
    games = drawn(
        300, agents=(1, 3), states=(2, 4), actions=(1, 3), gammas=(0.2, 0.7), alphas=(0.5, 0.6)
    )
    assert {p.game.n_agents for p in games} == {1, 2, 3}
    assert {p.game.n_states for p in games} == {2, 3, 4}
    assert {own for p in games for own in p.game.actions} == {1, 2, 3}
    assert len({p.game.actions for p in games}) > 30  # of 3 + 9 + 27
    assert {p.game.gamma for p in games} == {0.2, 0.7}
    assert all(0.5 <= p.alpha <= 0.6 for p in games)
    assert {p.agent for p in games} == {0, 1, 2}
    assert {np.argmax(p.game.start) for p in games} == {0, 1, 2, 3}


def test_what_is_drawn_unless_something_else_is_asked_for():
    games = drawn(400)
    assert {p.game.n_agents for p in games} == {2, 3}
    assert {p.game.n_states for p in games} == {1, 2, 3, 4, 5}
    assert {own for p in games for own in p.game.actions} == {1, 2, 3, 4}
    assert {p.game.gamma for p in games} == set(GAMMAS) == {0, 0.3, 0.6, 0.9, 0.97}
    alphas = np.array([p.alpha for p in games])
    assert 0.05 <= alphas.min() < 0.06
    assert 4.5 < alphas.max() <= 5
    assert 0.4 < np.mean(alphas < 0.5) < 0.6  # halfway, on a logarithmic scale
    assert 0.15 < np.mean(alphas < 0.125) < 0.25
    assert 0.25 < np.mean([p.guess.ndim == 1 for p in games]) < 0.42
    large = [p for p in games if p.game.n_states > 3 and p.game.n_joint_actions > 3]
    assert 0.2 < np.mean([p.game.is_deterministic for p in large]) < 0.45
    assert 0.2 < np.mean([dense(p.game).all(axis=2).mean() for p in large]) < 0.4
    stays = [(dense(p.game).diagonal(axis1=0, axis2=2) == 1).all(axis=0) for p in large]
    assert 0.1 < np.concatenate(stays).mean() < 0.22
    sizes = [p.game.rewards[0].std() / p.alpha for p in large]
    errors = [size for kind, size in map(error, large) if kind == "normal"]
    assert 0.02 < min(sizes) < 0.2 < 5 < max(sizes) < 20
    assert 0.0005 < min(errors) < 0.05 < 15 < max(errors) < 60


def test_someone_with_a_choice_is_looked_at():
    games = drawn(200, actions=(1, 2))
    for p in games:
        assert p.policy.shape[1] == max(p.game.actions)
    assert {p.policy.shape[1] for p in games} == {1, 2}
    assert {p.agent for p in games if min(p.game.actions) == 2} == {0, 1, 2}


@pytest.mark.parametrize("reward_class", REWARD_CLASSES)
def test_rewards_depend_on_what_they_may(reward_class):
    games = drawn(30, agents=(2, 3), states=(2, 3), actions=(2, 3), reward_classes=[reward_class])
    for p in games:
        for agent, reward in [*enumerate(p.game.rewards), (p.agent, p.guess)]:
            if reward_class == "state":
                assert reward.shape == (p.game.n_states,)
                continue
            table = reward.reshape(p.game.n_states, *p.game.actions)
            others = tuple(1 + i for i in range(p.game.n_agents) if i != agent)
            if agent == p.agent and reward is p.guess:  # its errors may be in one entry only
                assert reward_class == "joint-action" or not np.ptp(table, axis=others).any()
            else:
                assert np.ptp(table, axis=others).any() == (reward_class == "joint-action")
                assert np.ptp(table, axis=1 + agent).all()
    wrong = [p.guess - p.game.rewards[p.agent] for p in games]
    assert all(np.ptp(error) > 0 for error in wrong)


@pytest.mark.parametrize("reward_class", REWARD_CLASSES)
def test_a_random_reward_is_normal_or_has_a_single_number(reward_class):
    rng = np.random.default_rng(1)
    actions, joint = (2, 3, 4), np.array(list(itertools.product(range(2), range(3), range(4))))
    full = random_reward(rng, 2000, actions, 1, reward_class)
    assert full.shape == ((2000,) if reward_class == "state" else (2000, 24))
    assert full.std() == pytest.approx(1, abs=0.05)
    assert full.mean() == pytest.approx(0, abs=0.08)
    places = set()
    for _ in range(200):
        sparse = random_reward(rng, 2, actions, 1, reward_class, sparse=True)
        where = np.argwhere(sparse)
        if reward_class == "state-action":
            assert len(where) == 8  # all that the others may do
            assert len(set(joint[where[:, 1], 1])) == len(set(where[:, 0])) == 1
        else:
            assert len(where) == 1
        assert len(set(sparse[sparse != 0])) == 1
        places.add(str(where))
    assert len(places) == {"state": 2, "state-action": 6, "joint-action": 48}[reward_class]


def test_rewards_and_errors_are_as_large_as_asked_for():
    games = drawn(
        400, states=(30, 30), actions=(3, 3), agents=(1, 2), alphas=(0.2, 0.2),
        scales=(3.0, 3.0), errors=(0.7, 0.7), reward_classes=["state-action"],
    )  # fmt: skip
    rewards = [reward / p.alpha for p in games for reward in p.game.rewards]
    assert np.mean([reward.std() for reward in rewards]) == pytest.approx(3, rel=0.02)
    assert np.std([reward.mean() for reward in rewards]) == pytest.approx(6, rel=0.15)
    kinds, found = zip(*map(error, games), strict=True)
    normal, turned = ([x for x, k in zip(found, kinds, strict=True) if k == kind]
                      for kind in ("normal", "turned"))  # fmt: skip
    assert np.mean(normal) == pytest.approx(0.7, rel=0.02)
    assert -3 <= min(turned) < -2.8
    assert -1.2 < max(turned) <= -1 + 1e-12
    assert len(turned) / 400 == pytest.approx(0.2, abs=0.06)
    assert kinds.count("sparse") / (400 - len(turned)) == pytest.approx(0.3, abs=0.07)


@pytest.mark.parametrize("of", ["scales", "errors"])
def test_sizes_are_drawn_evenly_on_a_logarithmic_scale(of):
    games = drawn(300, states=(20, 20), **{"scales": (1, 1), "errors": (1, 1), of: (0.01, 100.0)})
    if of == "scales":
        found = [p.game.rewards[p.agent].std() / p.alpha for p in games]
    else:
        found = [size for kind, size in map(error, games) if kind == "normal"]
    assert 0.005 < min(found) < 0.03
    assert 30 < max(found) < 200
    assert 0.4 < np.mean(np.array(found) < 1) < 0.6


def test_a_spread_of_nothing_leads_to_one_state_which_may_be_any():
    games = drawn(60, states=(5, 5), spreads=(0,), sinks=0)
    assert all(p.game.is_deterministic for p in games)
    reached = np.concatenate([p.game.transitions.toarray() for p in games]).mean(axis=0)
    np.testing.assert_allclose(reached, 0.2, atol=0.03)


def test_spreads_are_shares_of_states_that_may_follow():
    def shares(*spreads):
        games = drawn(60, states=(5, 5), spreads=spreads, sinks=0)
        return [np.mean(dense(p.game) > 0) for p in games]

    assert set(shares(1)) == {1.0}
    assert np.mean(shares(0.5)) == pytest.approx(0.5 + 0.5**5 / 5, abs=0.03)
    assert {round(share, 9) for share in shares(0, 1)} == {0.2, 1.0}


@pytest.mark.parametrize("sinks", [0, 0.3, 1])
def test_sinks_are_never_left(sinks):
    games = drawn(80, states=(5, 5), spreads=(1,), sinks=sinks)
    stays = []
    for p in games:
        odds = dense(p.game)[np.arange(5), :, np.arange(5)]  # of staying, (S, A)
        np.testing.assert_array_equal((odds == 1).any(axis=1), (odds == 1).all(axis=1))
        stays.append((odds == 1).all(axis=1))
    assert np.mean(stays) == pytest.approx(sinks, abs=0.07 if 0 < sinks < 1 else 0)


def test_policies_are_spread_out_or_nearly_certain_and_some_are_quite():
    rng = np.random.default_rng(2)
    game = random_game(rng, **GAMES["two agents, stochastic"])
    found = [random_policies(rng, game) for _ in range(600)]
    certain = []
    for policies in found:
        game.check_policies(policies)
        certain.append([set(np.unique(policy)) == {0, 1} for policy in policies])
    assert np.mean(np.any(certain, axis=1)) == pytest.approx(0.25, abs=0.05)
    assert not np.all(certain, axis=1).any()
    np.testing.assert_allclose(np.mean(certain, axis=0), 0.125, atol=0.04)
    sure = [policies[1] for policies, who in zip(found, certain, strict=True) if who[1]]
    np.testing.assert_allclose(np.mean(sure, axis=0), 1 / 3, atol=0.15)
    tops = np.array([p[0].max() for p, who in zip(found, certain, strict=True) if not who[0]])
    assert np.mean(tops > 0.99) > 0.15
    assert np.mean(tops < 0.75) > 0.15
    one = Dynamics(actions=(1, 3), transitions=[[0, 0, 0]] * 2, start=0, gamma=0.5)
    np.testing.assert_allclose(random_policies(rng, one)[0], [[1], [1]])


def test_policies_have_zeros_sometimes():
    zeros = [any((policy == 0).any() for policy in p.policies) for p in drawn(200)]
    assert 0.1 < np.mean(zeros) < 0.3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"number": 0}, "number must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"agents": (0, 2)}, r"agents\[0\] must be at least 1, got 0"),
        ({"agents": (3, 2)}, r"agents\[1\] must be at least 3, got 2"),
        ({"states": (0, 1)}, r"states\[0\] must be at least 1, got 0"),
        ({"states": (2, 1)}, r"states\[1\] must be at least 2, got 1"),
        ({"actions": (5, 4)}, r"actions\[1\] must be at least 5, got 4"),
        ({"gammas": (0.5, 1)}, r"gammas\[1\] must lie in \[0, 1\), got 1"),
        ({"alphas": (0, 1)}, r"alphas\[0\] must be greater than 0, got 0"),
        ({"alphas": (2, 1)}, r"alphas must be in ascending order, got \(2, 1\)"),
        ({"scales": (1, np.inf)}, r"scales\[1\] must be finite, got inf"),
        ({"errors": (3, 1)}, "errors must be in ascending order"),
        ({"sinks": 1.1}, r"sinks must lie in \[0, 1\], got 1\.1"),
        ({"spreads": (0, -1)}, r"spreads\[1\] must lie in \[0, 1\], got -1"),
        ({"reward_classes": ["state", "states"]}, "reward_classes must be .*, got 'states'"),
        ({"gammas": ()}, "gammas"),
        ({"spreads": ()}, "spreads"),
        ({"reward_classes": ()}, "reward_classes"),
    ],
)
def test_what_cannot_be_drawn_is_named(changed, message):
    drawn(1, alphas=(1, 1), scales=(1, 1), errors=(1, 1), agents=(1, 1), states=(1, 1))
    with pytest.raises(ValueError, match=message):
        drawn(**{"number": 1, **changed})
