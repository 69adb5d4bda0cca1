from dataclasses import replace
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.stats import chi2, chi2_contingency

import malfl
from malfl.recovery.logit import recover_from_logits
from malfl.recovery.recover import check_improvements
from malfl.recovery.structural import structural_logits
from malfl.soft import improve_all

ALPHA = 0.7


def histories(game, number, seed=0):
    """A random joint policy for each of so many iterations, one array an agent."""
    rng = np.random.default_rng(seed)
    each = [random_policies(game.actions, game.n_states, rng) for _ in range(number)]
    return tuple(np.array(agent) for agent in zip(*each, strict=True))


def test_logits_are_the_oracles(game):
    policies = histories(game, 2)
    for agent in range(game.n_agents):
        logits = structural_logits(game, policies, agent, ALPHA)
        assert logits.known.all()
        assert logits.slopes.shape == (*policies[agent].shape, game.n_states)
        for h in range(2):
            now = [policy[h] for policy in policies]
            slopes, constants = naive.structural(game, now, agent, ALPHA)
            np.testing.assert_allclose(logits.slopes[h] * ALPHA, slopes, atol=1e-11)
            np.testing.assert_allclose(logits.constants[h] * ALPHA, constants, atol=1e-11)


@pytest.mark.parametrize("actions", [(3,), (2, 3), (3, 2), (2, 1, 3)])
@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_at_the_true_reward_they_are_the_exact_improvement(actions, stochastic, gamma):
    game = random_game(
        np.random.default_rng(3), actions, 5, stochastic, state_rewards=True, gamma=gamma
    )
    policies = histories(game, 3)
    for agent in range(game.n_agents):
        logits = structural_logits(game, policies, agent, ALPHA)
        reward = game.rewards[agent]
        improved = logits.policies(reward)
        for h in range(3):
            q, after = improve_all(game, [policy[h] for policy in policies], ALPHA)
            values = logits.slopes[h] @ reward + logits.constants[h]
            np.testing.assert_allclose(ALPHA * values, q[agent], rtol=0, atol=1e-10)
            np.testing.assert_allclose(improved[h], after[agent], rtol=0, atol=1e-10)


def test_the_first_of_them_are_those_of_the_first_policies(game):
    policies = histories(game, 3)
    counts = np.random.default_rng(0).integers(200, size=policies[0].shape)
    some = structural_logits(game, policies, 0, ALPHA, counts).first(2)
    alone = structural_logits(game, [policy[:2] for policy in policies], 0, ALPHA, counts[:2])
    np.testing.assert_array_equal(some.slopes, alone.slopes)
    np.testing.assert_array_equal(some.constants, alone.constants)
    np.testing.assert_array_equal(some.known, alone.known)


def test_where_a_policy_is_unknown_it_is_taken_to_be_uniform(game):
    unknown, uniform = histories(game, 2), histories(game, 2)
    for gaps, filled in zip(unknown, uniform, strict=True):
        gaps[1, 1], filled[1, 1] = np.nan, 1 / gaps.shape[2]
    found, expected = (structural_logits(game, p, 0, ALPHA) for p in (unknown, uniform))
    np.testing.assert_array_equal(found.slopes, expected.slopes)
    np.testing.assert_array_equal(found.constants, expected.constants)


def test_what_was_hardly_tried_has_no_value(game):
    policies = histories(game, 2)
    counts = np.full(policies[-1].shape, 100.0)
    counts[0, 1, 0], counts[1, 2, -1] = 99, 50
    agent = game.n_agents - 1
    for least, unknown in ((100, [[0, 1, 0], [1, 2, counts.shape[2] - 1]]), (51, 1), (50, 0)):
        logits = structural_logits(game, policies, agent, ALPHA, counts, least)
        gaps = np.argwhere(~logits.known).tolist()
        assert gaps == unknown if isinstance(unknown, list) else len(gaps) == unknown
    assert structural_logits(game, policies, agent, ALPHA, counts).known.sum() == counts.size - 2


def test_too_large_a_game_is_refused(monkeypatch):
    game = random_game(np.random.default_rng(0))
    policies = histories(game, 5)
    needed = 8 * 5 * 4 * 3 * 4  # of the second agent
    monkeypatch.setattr(
        "malfl.checks.psutil.virtual_memory", lambda: SimpleNamespace(available=needed - 1)
    )
    structural_logits(game, policies, 0, ALPHA)
    with pytest.raises(MemoryError, match=r"logits of 5 policies and 4 states would need"):
        structural_logits(game, policies, 1, ALPHA)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"agent": 2}, ValueError, "agent must lie in 0..1, got 2"),
        ({"alpha": 0}, ValueError, "alpha must be greater than 0, got 0"),
        ({"policies": [np.ones((1, 4, 2)) / 2]}, ValueError, "one array for each of 2 agents"),
        ({"policies": [np.ones((1, 4, 2)), np.ones((1, 4, 3)) / 3]}, ValueError, "sums to 2"),
    ],
)
def test_what_is_wrong_is_named(change, error, match):
    game = random_game(np.random.default_rng(0))
    given = {"policies": histories(game, 1), "agent": 0, "alpha": ALPHA, **change}
    with pytest.raises(error, match=match):
        structural_logits(game, **given)


@pytest.fixture(scope="module")
def exact_log():
    hom = malfl.gridworlds.ma_lfl("hom")
    return malfl.learn(hom, iterations=4, episodes=3000, steps=1000, seed=0, evaluation="exact")


@pytest.mark.parametrize("agent", [0, 1])
def test_exact_learners_are_read_from_counts(exact_log, agent):
    seen, true = exact_log.observed_by(1 - agent), exact_log.game.rewards[agent]
    found = malfl.recover(seen, of=agent, method="structural")
    assert malfl.correlation(found, true).pearson > 0.98
    assert found.convergence.converged
    assert found.reward_class == "state"
    assert found.shapings is None
    assert found.beta is None
    assert found.determination.unknowns == 81
    assert found.determination.free == 1  # the constant
    assert abs(found.values.mean()) < 1e-6
    off = (found.values - true + true.mean()) / found.deviation
    assert 0.5 < np.sqrt((off**2).mean()) < 1.5
    assert found.evidence.error < 1e-5  # logits are exact, but for estimates of pi_h
    assert found.evidence.prior == pytest.approx(true.var(), rel=0.1)


def test_it_is_the_default(exact_log):
    seen = exact_log.observed_by(1)
    named = malfl.recover(seen, of=0, method="structural", least_visits=100)
    np.testing.assert_array_equal(malfl.recover(seen, of=0).values, named.values)


def test_alpha_is_the_scale_of_what_comes_back(exact_log):
    seen = exact_log.observed_by(1)
    once, twice = (malfl.recover(replace(seen, alpha=a), of=0).values for a in (3.0, 6.0))
    np.testing.assert_allclose(twice, 2 * once, atol=2e-3 * np.ptp(once))


def test_least_visits_reach_the_logits(exact_log):
    seen = exact_log.observed_by(1)
    every, some = (malfl.recover(seen, of=0, least_visits=n).values for n in (1, 10**4))
    assert np.abs(every - some).max() > 1e-3
    with pytest.raises(ValueError, match="nothing to learn from"):
        malfl.recover(seen, of=0, least_visits=10**9)
    with pytest.raises(ValueError, match="least_visits must be at least 1, got 0"):
        malfl.recover(seen, of=0, least_visits=0)


def test_visits_that_count_are_those_before_the_improvement(exact_log):
    """An improvement rests on what was tried before it, whatever is tried after it."""
    seen = exact_log.observed_by(1)
    own = seen.own_counts(0)
    logits = structural_logits(
        seen.dynamics, [p[:-1] for p in malfl.estimate_policies(seen).policies], 0, 3.0,
        own[:-1], 5000,
    )  # fmt: skip
    assert (logits.known != (own[1:] >= 5000)).any()
    expected = recover_from_logits(logits, own[1:], 3.0).values
    found = malfl.recover(seen, of=0, least_visits=5000).values
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("options", [{"beta": 0.1}, {"executed": True}, {"weighting": "visits"}])
def test_options_of_other_methods_are_refused(exact_log, options):
    name = next(iter(options))
    message = rf"method 'structural' takes least_visits; got {name}"
    with pytest.raises(TypeError, match=message):
        malfl.recover(exact_log.observed_by(1), of=0, **options)


def observation(seen, counts):
    """The same observer, who saw other counts."""
    return replace(seen, counts=counts, own_policies=seen.own_policies[: len(counts)])


def test_states_not_visited_are_an_error_or_left_out(exact_log):
    seen = exact_log.observed_by(1)
    counts = seen.counts.copy()
    counts[1, 7] = counts[3, 70] = 0
    gaps = observation(seen, counts)
    with pytest.raises(ValueError, match=r"state 7 was not visited in iteration 1, one of 2 such"):
        malfl.recover(gaps, of=0)
    found = malfl.recover(gaps, of=0, unvisited="omit")
    np.testing.assert_array_equal(found.unvisited, [[1, 7], [3, 70]])
    assert malfl.correlation(found, exact_log.game.rewards[0]).pearson > 0.98


def test_an_iteration_without_steps_is_an_error(exact_log):
    seen = exact_log.observed_by(1)
    counts = seen.counts.copy()
    counts[2] = 0
    with pytest.raises(ValueError, match="seen has no steps in iteration 2"):
        malfl.recover(observation(seen, counts), of=0, unvisited="omit")


def test_one_iteration_shows_no_improvement(exact_log):
    seen = exact_log.observed_by(1)
    with pytest.raises(ValueError, match="at least one improvement, got 1 iteration"):
        malfl.recover(seen.first(1), of=0)
    malfl.recover(seen.first(2), of=0)


@pytest.mark.parametrize("episodes", [30, 300, 3000])
def test_policies_that_never_change_are_an_error(hom, episodes):
    """Whatever differs between the iterations is chance, in 99 of 100 cases."""
    rng = np.random.default_rng(0)
    policies = random_policies(hom.actions, 81, rng)
    counts = np.array(
        [
            malfl.sample_counts(hom, policies, episodes=episodes, steps=1000, seed=rng)
            for _ in range(4)
        ],
        dtype=float,
    )
    seen = malfl.Observation(
        observer=1, dynamics=hom.without_rewards(), alpha=3.0, counts=counts,
        own_policies=np.array([policies[1]] * 4),
    )  # fmt: skip
    with pytest.raises(ValueError, match="policies of agent 0 do not change over the 4 iterations"):
        malfl.recover(seen, of=0, unvisited="omit")


def test_agents_without_a_goal_show_nothing(hom):
    aimless = malfl.MarkovGame(
        actions=hom.actions, transitions=hom.transitions, rewards=[np.zeros(81)] * 2,
        start=hom.start, gamma=hom.gamma,
    )  # fmt: skip
    log = malfl.learn(aimless, iterations=3, episodes=300, seed=0, evaluation="exact")
    with pytest.raises(ValueError, match="do not change"):
        malfl.recover(log.observed_by(1), of=0)


def test_a_change_in_one_state_is_seen(exact_log):
    """Chance alone has to be unlikely enough, and the change as small as data allow."""
    seen = exact_log.observed_by(1)
    counts = np.array([seen.counts[0]] * 2)
    with pytest.raises(ValueError, match="do not change"):
        malfl.recover(observation(seen, counts), of=0)
    counts[1, 5] = np.roll(counts[1, 5].reshape(5, 5), 1, axis=0).ravel()
    counts[1, 5, :5] += 2000
    malfl.recover(observation(seen, counts), of=0)


def test_an_agent_without_a_choice_is_an_error():
    game = random_game(np.random.default_rng(0), (1, 3), state_rewards=True)
    log = malfl.learn(game, iterations=3, episodes=300, steps=50, seed=0)
    with pytest.raises(ValueError, match="there is nothing to learn from"):
        malfl.recover(log.observed_by(1), of=0)


def test_a_change_is_what_chance_makes_in_less_than_one_of_a_hundred_cases():
    """A test of homogeneity in each state, and all of them together."""
    game = random_game(np.random.default_rng(0), (3,), stochastic=False)
    counts = np.full((2, 4, 3), 1000.0)
    taken_for_change = []
    for shift in range(0, 100, 4):
        counts[1, :, 0], counts[1, :, 1] = 1000 + shift, 1000 - shift
        tables = [
            chi2_contingency(counts[:, s], correction=False, lambda_="log-likelihood")
            for s in range(4)
        ]
        p = chi2.sf(sum(t.statistic for t in tables), sum(t.dof for t in tables))
        # Seen by another agent who has no choice.
        dynamics = malfl.Dynamics(
            actions=(3, 1), transitions=game.transitions, start=game.start, gamma=game.gamma
        )
        seen = malfl.Observation(1, dynamics, ALPHA, counts, np.ones((2, 4, 1)))
        taken_for_change.append(p < 0.01)
        if p < 0.01:
            check_improvements(seen, 0)
        else:
            with pytest.raises(ValueError, match="do not change"):
                check_improvements(seen, 0)
    assert 5 < sum(taken_for_change) < 20
