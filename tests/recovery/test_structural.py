from dataclasses import replace
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies
from scipy.special import softmax
from scipy.stats import chi2, chi2_contingency

import malfl
from malfl import SoftPolicyIteration, Structural, View
from malfl.evaluation import identifiability
from malfl.games.soft import improve_all
from malfl.recovery import EntropyRegularised, Smoothing
from malfl.recovery.logit import recover_from_logits
from malfl.recovery.recovery import check_improvements
from malfl.recovery.structural import structural_logits

ALPHA = 0.7
EXACTLY = SoftPolicyIteration(evaluation="exact")


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
    some = structural_logits(game, policies, 0, ALPHA).first(2)
    alone = structural_logits(game, [policy[:2] for policy in policies], 0, ALPHA)
    np.testing.assert_array_equal(some.slopes, alone.slopes)
    np.testing.assert_array_equal(some.constants, alone.constants)
    np.testing.assert_array_equal(some.known, alone.known)


def test_an_unknown_policy_counts_as_uniform(game):
    unknown, uniform = histories(game, 2), histories(game, 2)
    for gaps, filled in zip(unknown, uniform, strict=True):
        gaps[1, 1], filled[1, 1] = np.nan, 1 / gaps.shape[2]
    found, expected = (structural_logits(game, p, 0, ALPHA) for p in (unknown, uniform))
    np.testing.assert_array_equal(found.slopes, expected.slopes)
    np.testing.assert_array_equal(found.constants, expected.constants)


def test_too_large_a_game_is_refused(monkeypatch):
    game = random_game(np.random.default_rng(0))
    policies = histories(game, 5)
    needed = 8 * 5 * 4 * 3 * (4 + 1)  # of the second agent
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
    return malfl.learn(hom, EXACTLY, iterations=4, episodes=3000, steps=1000, seed=0)


@pytest.mark.parametrize("agent", [0, 1])
def test_exact_learners_are_read_from_counts(exact_log, agent):
    view, true = exact_log.seen_by(1 - agent), exact_log.game.rewards[agent]
    found = malfl.recover(view, of=agent, by=Structural())
    assert malfl.correlation(found, true).pearson > 0.98
    assert found.converged
    assert found.reward_class == "state"
    assert found.diagnostics.beta is None
    assert found.determination.unknowns == 81
    assert found.determination.free == 1  # the constant
    assert abs(found.values.mean()) < 1e-6
    off = (found.values - true + true.mean()) / found.deviation
    assert 0.5 < np.sqrt((off**2).mean()) < 1.5
    assert found.diagnostics.evidence.error < 1e-5  # logits are exact, but for estimates of pi_h
    assert found.diagnostics.evidence.prior == pytest.approx(true.var(), rel=0.2)


def test_its_name_stands_for_the_defaults(exact_log):
    view = exact_log.seen_by(1)
    named = malfl.recover(view, of=0, by=Structural(None, None, "state", Smoothing(0.5)))
    found = malfl.recover(view, of=0, by="structural")
    np.testing.assert_array_equal(found.values, named.values)


def test_alpha_is_the_scale_of_what_comes_back(exact_log):
    view = exact_log.seen_by(1)
    once, twice = (malfl.recover(replace(view, alpha=a), of=0).values for a in (3.0, 6.0))
    np.testing.assert_allclose(twice, 2 * once, atol=2e-3 * np.ptp(once))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"beta": 0}, ValueError, r"beta must lie in \(0, 1\], got 0"),
        ({"beta": 1.5}, ValueError, r"beta must lie in \(0, 1\], got 1.5"),
        ({"beta": 0.1, "evaluation": "exact"}, ValueError, "beta must be None for exact values"),
        ({"evaluation": "sarsa"}, ValueError, "evaluation must be one of td, exact"),
        ({"reward_class": "action"}, ValueError, "reward_class must be one of state"),
        ({"policies": "all"}, TypeError, "policies must be of type PolicyFit"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        Structural(**parameters)


def test_policies_are_estimated_as_asked(exact_log):
    view = exact_log.seen_by(1)
    fit = EntropyRegularised(0.3)
    policies = [history[:-1] for history in malfl.estimate_policies(view, fit)]
    own = view.own_counts(0)
    logits = structural_logits(view.dynamics, policies, 0, 3.0)
    expected = recover_from_logits(logits, own[1:], 3.0).values
    found = malfl.recover(view, of=0, by=Structural(evaluation="exact", policies=fit)).values
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found - malfl.recover(view, of=0).values).max() > 1e-3


def with_counts(view, counts):
    """The same observer, who saw other counts."""
    return replace(view, counts=counts, own_policies=view.own_policies[: len(counts)])


def test_states_not_visited_are_an_error_or_left_out(exact_log):
    view = exact_log.seen_by(1)
    counts = view.counts.copy()
    counts[1, 7] = counts[3, 70] = 0
    gaps = with_counts(view, counts)
    with pytest.raises(ValueError, match=r"state 7 was not visited in iteration 1, one of 2 such"):
        malfl.recover(gaps, of=0)
    found = malfl.recover(gaps, of=0, unvisited="omit")
    np.testing.assert_array_equal(found.unvisited, [[1, 7], [3, 70]])
    assert malfl.correlation(found, exact_log.game.rewards[0]).pearson > 0.98


def test_an_iteration_without_steps_is_a_gap(exact_log):
    """The improvements from it and to it are left out."""
    view = exact_log.seen_by(1)
    counts = view.counts.copy()
    counts[1] = 0
    gap = with_counts(view, counts)
    with pytest.raises(ValueError, match="view has no steps in iteration 1; pass unvisited='omit'"):
        malfl.recover(gap, of=0)
    by = Structural(evaluation="exact")
    found = malfl.recover(gap, of=0, by=by, unvisited="omit")
    # The only improvement that is left is that of the third policy.
    last = replace(view, counts=view.counts[2:], own_policies=view.own_policies[2:])
    expected = malfl.recover(last, of=0, by=by)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-9)
    counts[2] = 0
    with pytest.raises(ValueError, match="in two iterations in a row; 2 of 4 iterations have"):
        malfl.recover(with_counts(view, counts), of=0, by=by, unvisited="omit")


def test_one_iteration_shows_no_improvement(exact_log):
    view = exact_log.seen_by(1)
    with pytest.raises(ValueError, match="at least one improvement, got 1 iteration"):
        malfl.recover(view.first(1), of=0)
    malfl.recover(view.first(2), of=0)


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
    view = View(
        observer=1, dynamics=hom.without_rewards(), alpha=3.0, counts=counts,
        own_policies=np.array([policies[1]] * 4),
    )  # fmt: skip
    with pytest.raises(ValueError, match="policies of agent 0 do not change over the 4 iterations"):
        malfl.recover(view, of=0, unvisited="omit")


def test_agents_without_a_goal_show_nothing(hom):
    aimless = malfl.MarkovGame(
        actions=hom.actions, transitions=hom.transitions, rewards=[np.zeros(81)] * 2,
        start=hom.start, gamma=hom.gamma,
    )  # fmt: skip
    log = malfl.learn(aimless, EXACTLY, iterations=3, episodes=300, seed=0)
    with pytest.raises(ValueError, match="do not change"):
        malfl.recover(log.seen_by(1), of=0)


def test_a_change_in_one_state_is_seen(exact_log):
    """Chance alone has to be unlikely enough, and the change as small as data allow."""
    view = exact_log.seen_by(1)
    counts = np.array([view.counts[0]] * 2)
    with pytest.raises(ValueError, match="do not change"):
        malfl.recover(with_counts(view, counts), of=0)
    counts[1, 5] = np.roll(counts[1, 5].reshape(5, 5), 1, axis=0).ravel()
    counts[1, 5, :5] += 2000
    malfl.recover(with_counts(view, counts), of=0)


def test_an_agent_without_a_choice_is_an_error():
    game = random_game(np.random.default_rng(0), (1, 3), state_rewards=True)
    log = malfl.learn(game, iterations=3, episodes=300, steps=50, seed=0)
    with pytest.raises(ValueError, match="there is nothing to learn from"):
        malfl.recover(log.seen_by(1), of=0)


def test_a_change_is_what_chance_makes_in_less_than_one_of_a_hundred_cases():
    """A test of homogeneity in each state, and all of them together."""
    game = random_game(np.random.default_rng(0), (3,), stochastic=False)
    counts = np.full((2, 4, 3), 1000.0)
    judged = []
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
        view = View(1, dynamics, ALPHA, counts, np.ones((2, 4, 1)))
        judged.append(p < 0.01)
        if p < 0.01:
            check_improvements(view, 0)
        else:
            with pytest.raises(ValueError, match="do not change"):
                check_improvements(view, 0)
    assert 5 < sum(judged) < 20


def next_policy(view, policies, agent, reward):
    """Softmax of exact soft Q."""
    rules = view.dynamics
    game = malfl.MarkovGame(
        actions=rules.actions, transitions=rules.transitions, rewards=[reward] * rules.n_agents,
        start=rules.start, gamma=rules.gamma,
    )  # fmt: skip
    q = naive.over_opponents(game, policies, agent, naive.soft_q(game, policies, agent, view.alpha))
    return naive.improve(q, view.alpha)


@pytest.fixture(scope="module", params=[(3,), (2, 3), (2, 1, 3)])
def small_log(request):
    game = random_game(np.random.default_rng(3), request.param, 4, state_rewards=True)
    return malfl.learn(game, EXACTLY, alpha=ALPHA, iterations=4, episodes=200, steps=50, seed=0)


def test_the_next_policy_is_the_softmax_of_exact_values(small_log):
    agent = small_log.game.n_agents - 1
    for observer in {None, 0} - {agent}:
        view = replace(small_log.seen_by(observer), alpha=1.3)
        estimator = Structural(evaluation="exact")
        prepared = estimator.prepare(view, agent, np.random.default_rng(0))
        found, policies = prepared.reward(3), malfl.estimate_policies(view)
        for h in (3, 1):
            expected = next_policy(view, [p[h] for p in policies], agent, found.values)
            predicted = prepared.next_policy(found, h)
            np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-10)


def test_the_next_policy_is_predicted_where_little_is_known(small_log):
    """Policies never seen count as uniform, unknown rewards as zero."""
    view, agent = small_log.seen_by(None), small_log.game.n_agents - 1
    counts = view.counts.copy()
    counts[3, 2] = 0
    view = replace(view, counts=counts)
    prepared = Structural(evaluation="exact").prepare(view, agent, np.random.default_rng(0))
    found = prepared.reward(3)
    values = np.where(np.arange(4) == 1, np.nan, found.values)
    policies = [
        np.where(np.isnan(p[3]), 1 / p.shape[2], p[3]) for p in malfl.estimate_policies(view)
    ]
    expected = next_policy(view, policies, agent, np.nan_to_num(values))
    predicted = prepared.next_policy(replace(found, values=values), 3)
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("by", [Structural(), Structural(0.2, reward_class="state-action")])
def test_numbers_of_improvements_come_in_any_order(small_log, by):
    """One preparation says the same as one for each."""
    view, agent = small_log.seen_by(None), small_log.game.n_agents - 1
    shared = by.prepare(view, agent, np.random.default_rng(0))
    for number in (3, 1, 2, 3):
        alone = malfl.recover(view.first(number + 1), of=agent, by=by)
        np.testing.assert_array_equal(shared.reward(number).values, alone.values)


@pytest.fixture(scope="module")
def td_game():
    rng = np.random.default_rng(1)
    return random_game(rng, (3, 2), 6, stochastic=True, state_rewards=True, gamma=0.9)


def learned_log(game, beta, episodes, **options):
    by = SoftPolicyIteration(beta=beta)
    given = {"alpha": ALPHA, "iterations": 6, "episodes": episodes, "steps": 100, "seed": 2}
    return malfl.learn(game, by, **given | options)


@pytest.mark.parametrize("beta", [0.03, 0.3])
def test_learners_by_temporal_differences_are_told_from_exact_ones(td_game, beta):
    log = learned_log(td_game, beta, 300)
    found = malfl.recover(log.seen_by(1), of=0, by=Structural())
    assert found.diagnostics.beta == pytest.approx(beta, rel=0.5)
    known = malfl.recover(log.seen_by(1), of=0, by=Structural(beta))
    assert known.diagnostics.beta == beta
    true = td_game.rewards[0] - td_game.rewards[0].mean()
    for one in (found, known):
        off = (one.values - one.values.mean() - true) / one.deviation
        assert np.sqrt((off**2).mean()) < 2
        assert malfl.correlation(one, true).pearson > 0.9


def test_values_on_their_way_are_not_taken_for_exact_ones(td_game):
    """With few steps of a small size all values are still near zero."""
    off = []
    for seed in range(5):
        view = learned_log(td_game, 0.01, 20, seed=seed).seen_by(1)
        for by in (Structural(0.01), Structural(evaluation="exact")):
            error = malfl.recover(view, of=0, by=by).values - td_game.rewards[0]
            off.append(((error - error.mean()) ** 2).mean())
    assert np.mean(off[::2]) < 0.7 * np.mean(off[1::2])


def test_the_next_policy_is_the_softmax_of_learned_values(td_game):
    log = learned_log(td_game, 0.05, 20)
    view = log.seen_by(1)
    prepared = Structural(0.05).prepare(view, 0, np.random.default_rng(0))
    found, policies = prepared.reward(3), malfl.estimate_policies(view)
    now = [policy[3] for policy in policies]
    theirs = naive.learned_mean(td_game, now, 0, ALPHA, 0.05, view.own_counts(0)[3], found.values)
    expected = softmax(theirs / ALPHA, axis=-1)
    np.testing.assert_allclose(prepared.next_policy(found, 3), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("reward_class", ["state-action", "joint-action"])
@pytest.mark.parametrize("evaluation", ["td", "exact"])
def test_rewards_of_actions_are_read_from_counts(td_game, reward_class, evaluation):
    rng = np.random.default_rng(3)
    shape = (6, 3) if reward_class == "state-action" else (6, 6)
    reward = rng.normal(size=shape)
    full = reward[:, td_game.own_actions[0]] if reward_class == "state-action" else reward
    game = td_game.with_rewards([full, rng.normal(size=6)])
    log = malfl.learn(
        game, SoftPolicyIteration(beta=0.02, evaluation=evaluation), alpha=ALPHA, iterations=15,
        episodes=2000, steps=100, seed=0,
    )  # fmt: skip
    by = Structural(None if evaluation == "exact" else 0.02, evaluation, reward_class)
    found = malfl.recover(log.seen_by(1), of=0, by=by)
    assert found.reward_class == reward_class
    assert found.values.shape == found.deviation.shape == shape
    policies = [policy[:-2] for policy in log.policies]
    nothing = identifiability.open_directions(game, policies, 0, reward_class)

    def seen(values):
        return values.ravel() - nothing @ (nothing.T @ values.ravel())

    ours, theirs = seen(found.values), seen(reward)
    cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert cosine > (0.85 if reward_class == "state-action" else 0.8)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_step_size_is_found_on_the_papers_grid(seed):
    """From counts of all that the paper's observers see; two improvements would not be enough."""
    game = malfl.gridworlds.ma_lfl("hom")
    log = malfl.learn(game, SoftPolicyIteration(0.1), seed=seed)
    for agent in range(2):
        by = Structural(evaluation="td", reward_class="state")
        found = malfl.recover(log.seen_by(1 - agent), of=agent, by=by)
        assert found.diagnostics.beta == pytest.approx(0.1, rel=0.2)
        assert found.verdict == "sound"
        assert malfl.compare(found, game, agent).PCC > 0.95
