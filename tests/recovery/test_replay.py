from dataclasses import replace
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

import malfl
from malfl.parallel import run
from malfl.recovery.logit import recover_from_logits
from malfl.recovery.replay import replayed_logits

ALPHA, BETA = 0.7, 0.3


def replayed(game, trajectories, own, agent, executed, beta=BETA, alpha=ALPHA, counts=None):
    """The logits, and the steps that were told on the way."""
    told = []
    counts = np.zeros(np.shape(own)) if counts is None else counts

    def job():
        work = replayed_logits(
            game, trajectories, own, counts, agent, alpha=alpha, beta=beta, executed=executed
        )
        try:
            while True:
                told.append(next(work))
                yield told[-1]
        except StopIteration as end:
            return end.value

    logits = run([job()], 1)[0]
    return logits, sum(told)


@pytest.fixture
def histories(game):
    rng = np.random.default_rng(4)
    return [random_policies(game.actions, game.n_states, rng) for _ in range(3)]


@pytest.fixture
def played(game, histories):
    rng = np.random.default_rng(5)
    return [
        malfl.sample_trajectories(game, policies, episodes=4, steps=25, seed=rng)
        for policies in histories
    ]


def check_against_the_oracle(logits, game, played, own, agent, executed):
    for h, trajectories in enumerate(played):
        slopes, constants = naive.replayed(
            game, own[h].tolist(), agent, ALPHA, BETA,
            trajectories.states.tolist(), trajectories.actions.tolist(), executed,
        )  # fmt: skip
        np.testing.assert_allclose(logits.slopes[h] * ALPHA, slopes, rtol=0, atol=1e-12)
        np.testing.assert_allclose(logits.constants[h] * ALPHA, constants, rtol=0, atol=1e-12)


@pytest.mark.parametrize("executed", [False, True])
def test_logits_are_the_oracles(game, histories, played, executed):
    for agent in range(game.n_agents):
        own = np.array([policies[agent] for policies in histories])
        logits, steps = replayed(game, played, own, agent, executed)
        check_against_the_oracle(logits, game, played, own, agent, executed)
        assert logits.known.all()
        assert logits.known.shape == own.shape
        assert steps == 3 * 4 * 25


@pytest.mark.parametrize("executed", [False, True])
def test_where_a_policy_is_unknown_it_is_taken_to_be_uniform(game, histories, played, executed):
    agent = game.n_agents - 1
    own = np.array([policies[agent] for policies in histories])
    filled = own.copy()
    filled[1, 2] = 1 / own.shape[2]
    own[1, 2] = np.nan
    logits, _ = replayed(game, played, own, agent, executed)
    check_against_the_oracle(logits, game, played, filled, agent, executed)


@pytest.mark.parametrize("executed", [False, True])
def test_actions_of_probability_zero_have_no_part(executed):
    rng = np.random.default_rng(0)
    game = random_game(rng, (3, 2))
    policies = [policy.copy() for policy in random_policies(game.actions, 4, rng)]
    policies[0][:, 1] = 0
    policies[0] /= policies[0].sum(axis=1, keepdims=True)
    played = [malfl.sample_trajectories(game, policies, episodes=3, steps=25, seed=1)]
    logits, _ = replayed(game, played, policies[0][None], 0, executed)
    check_against_the_oracle(logits, game, played, policies[0][None], 0, executed)


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize(("episodes", "steps"), [(4, 25), (1, 400), (40, 3)])
@pytest.mark.parametrize("pass_steps", [1, 7, 60])
def test_columns_and_steps_in_pieces_give_the_same(
    monkeypatch, executed, episodes, steps, pass_steps
):
    """More columns than the 16 that always go together, and a rest of them."""
    rng = np.random.default_rng(0)
    game = random_game(rng, (2, 3), states=37)
    policies = random_policies(game.actions, 37, rng)
    played = [
        malfl.sample_trajectories(game, policies, episodes=episodes, steps=steps, seed=seed)
        for seed in range(2)
    ]
    own = np.array([policies[1]] * 2)
    whole, told = replayed(game, played, own, 1, executed)
    check_against_the_oracle(whole, game, played, own, 1, executed)
    assert told == 2 * episodes * steps
    monkeypatch.setattr("malfl.recovery.replay.PASS_STEPS", pass_steps)
    for block_bytes in (1, 2**20, 8 * 37 * 4 * 20):
        monkeypatch.setattr("malfl.recovery.replay.BLOCK_BYTES", block_bytes)
        cut, told = replayed(game, played, own, 1, executed)
        np.testing.assert_array_equal(cut.slopes, whole.slopes)
        np.testing.assert_array_equal(cut.constants, whole.constants)
        assert told == 2 * episodes * steps


def test_long_work_is_told_in_short_pieces(monkeypatch):
    """So that it can be interrupted; see `malfl.parallel`."""
    rng = np.random.default_rng(0)
    game = random_game(rng)
    policies = random_policies(game.actions, 4, rng)
    monkeypatch.setattr("malfl.recovery.replay.PASS_STEPS", 50)
    for episodes, steps in ((1, 400), (40, 10), (7, 33)):
        played = malfl.sample_trajectories(game, policies, episodes=episodes, steps=steps, seed=0)
        own = policies[0][None]
        work = replayed_logits(
            game, [played], own, np.zeros(own.shape), 0, alpha=1.0, beta=0.1, executed=False
        )
        pieces = list(work)
        assert max(pieces) <= 50
        assert sum(pieces) == episodes * steps


def layered(layers=6, width=3, actions=(2, 3)):
    """A game that goes down some layers, and nobody acts in the last one within as many steps."""
    rng = np.random.default_rng(1)
    states, joint = (layers + 1) * width, int(np.prod(actions))
    transitions = np.zeros((states, joint, states))
    for s in range(states):
        after = (s // width + 1) % (layers + 1) * width
        transitions[s, :, after : after + width] = rng.dirichlet(np.ones(width), size=joint)
    start = np.zeros(states)
    start[:width] = 1 / width
    return malfl.MarkovGame(
        actions=actions, transitions=transitions, start=start, gamma=0.8,
        rewards=[rng.normal(size=states) for _ in actions],
    )  # fmt: skip


def test_a_sarsa_learners_values_come_back_exactly():
    """But for what was drawn after the last step; here that is as good as its expectation."""
    game = layered()
    log = malfl.learn(
        game, alpha=ALPHA, beta=BETA, iterations=3, episodes=50, steps=6, evaluation="sarsa",
        record=True, seed=0,
    )  # fmt: skip
    for agent in (0, 1):
        logits, _ = replayed(game, log.trajectories, log.policies[agent][:-1], agent, True)
        reward = game.rewards[agent]
        values = ALPHA * (logits.slopes @ reward + logits.constants)
        np.testing.assert_allclose(values, log.q[agent], rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            logits.policies(reward), log.policies[agent][1:], rtol=0, atol=1e-12
        )
        assert np.abs(values - values.mean(axis=2, keepdims=True)).max() > 0.3


def test_what_a_learner_drew_is_replayed_in_the_mean():
    """Given the steps, the replayed values are the expectation of the learner's."""
    game = layered()
    runs, off = 300, []
    for seed in range(runs):
        log = malfl.learn(
            game, alpha=ALPHA, beta=BETA, iterations=1, episodes=20, steps=9, record=True,
            seed=seed, initial=random_policies(game.actions, 21, np.random.default_rng(0)),
        )  # fmt: skip
        logits, _ = replayed(game, log.trajectories, log.policies[1][:-1], 1, False)
        values = ALPHA * (logits.slopes @ game.rewards[1] + logits.constants)
        off.append(values[0] - log.q[1][0])
    mean, sd = np.mean(off, axis=0), np.std(off, axis=0)
    assert (sd > 0.01).mean() > 0.8
    z = mean[sd > 0.01] / (sd[sd > 0.01] / np.sqrt(runs))
    assert np.abs(z).max() < 4
    assert np.sqrt((z**2).mean()) < 1.3


def test_how_far_values_are_off_is_known():
    """The variance of what the learner drew, over runs, is what replay says it is."""
    game = malfl.gridworlds.ma_lfl("hom")
    initial = random_policies(game.actions, 81, np.random.default_rng(0))
    off, told = [], []
    for seed in range(40):
        log = malfl.learn(
            game, iterations=2, episodes=200, steps=100, initial=initial, record=True, seed=seed
        )
        seen = log.observed_by(1)
        played, own, counts = seen.trajectories, log.policies[0][:-1], seen.own_counts(0)
        logits, _ = replayed(game, played, own, 0, False, 0.1, 3.0, counts)
        values = logits.slopes[0] @ game.rewards[0] + logits.constants[0]
        visited = counts[0] > 0
        off.append((values - log.q[0][0] / 3)[visited])
        told.append(logits.variances[0][visited])
        assert (logits.variances[0] > 0).sum() == visited.sum()
        assert not logits.variances[1].any()  # nothing has been seen of what it led to
    off, told = np.concatenate(off), np.concatenate(told)
    assert (off**2).sum() / told.sum() == pytest.approx(1, abs=0.1)
    for part in np.array_split(np.argsort(told), 3):  # where little is left out, and where much
        assert (off[part] ** 2).sum() / told[part].sum() == pytest.approx(1, abs=0.2)


def test_what_was_executed_leaves_out_almost_nothing():
    log = malfl.learn(
        malfl.gridworlds.ma_lfl("hom"), iterations=2, episodes=200, steps=100, record=True, seed=0,
        evaluation="sarsa",
    )  # fmt: skip
    seen = log.observed_by(1)
    own, counts = log.policies[0][:-1], seen.own_counts(0)
    given = seen.dynamics, seen.trajectories, own, 0
    unseen, executed = (
        replayed(*given, executed, 0.1, 3.0, counts)[0].variances[0] for executed in (False, True)
    )
    assert 0 < executed.sum() < 0.02 * unseen.sum()


def test_too_large_a_game_is_refused(monkeypatch, game, histories, played):
    own = np.array([policies[0] for policies in histories])
    states = game.n_states
    needed = 8 * own.size * (states + 1)
    free = SimpleNamespace(available=needed)
    monkeypatch.setattr("malfl.checks.psutil.virtual_memory", lambda: free)
    replayed(game, played, own, 0, False)
    free.available = needed - 1
    with pytest.raises(MemoryError, match=rf"logits of 3 policies and {states} states would need"):
        replayed(game, played, own, 0, False)


@pytest.fixture(scope="module")
def recorded():
    """The paper's game with fewer iterations and shorter episodes."""
    logs = {}
    for evaluation in ("td", "sarsa"):
        logs[evaluation] = malfl.learn(
            malfl.gridworlds.ma_lfl("hom"), iterations=4, episodes=3000, steps=200,
            evaluation=evaluation, record=True, seed=0,
        )  # fmt: skip
    return logs


@pytest.mark.parametrize("agent", [0, 1])
@pytest.mark.parametrize(("evaluation", "least"), [("td", 0.97), ("sarsa", 0.99)])
def test_learners_are_read_well(recorded, evaluation, least, agent):
    log = recorded[evaluation]
    seen, true = log.observed_by(1 - agent), log.game.rewards[agent]
    found = malfl.recover(seen, of=agent, method="replay", beta=0.1, executed=evaluation == "sarsa")
    assert malfl.correlation(found, true).pearson > least
    assert found.beta == 0.1
    assert found.convergence.converged
    assert found.determination.unknowns == 81
    off = (found.values - found.values.mean() - true + true.mean()) / found.deviation
    assert 0.5 < np.sqrt((off**2).mean()) < 1.5


def test_replay_reads_more_than_exact_values_do(recorded):
    log = recorded["td"]
    scores = [
        malfl.correlation(
            malfl.recover(log.observed_by(1), of=0, method=method, **options), log.game.rewards[0]
        ).pearson
        for method, options in (("replay", {"beta": 0.1}), ("structural", {}))
    ]
    assert scores[0] > scores[1] + 0.02


@pytest.mark.parametrize("evaluation", ["td", "sarsa"])
def test_the_step_size_is_found(recorded, evaluation):
    seen = recorded[evaluation].observed_by(1)

    def replay(beta):
        return malfl.recover(seen, of=0, method="replay", beta=beta, executed=evaluation == "sarsa")

    found = replay(None)
    assert found.beta == pytest.approx(0.1, rel=0.1)
    likelihood = found.evidence.log_likelihood
    again = replay(found.beta)
    np.testing.assert_array_equal(again.values, found.values)
    for wrong in (0.02, 0.07, 0.14, 0.5):
        assert replay(wrong).evidence.log_likelihood < likelihood - 20
    assert replay(0.1).evidence.log_likelihood <= likelihood + 0.1


def test_what_a_learner_did_is_the_likelier(recorded):
    for evaluation, log in recorded.items():
        likelihood = {
            executed: malfl.recover(
                log.observed_by(1), of=0, method="replay", beta=0.1, executed=executed
            ).evidence.log_likelihood
            for executed in (False, True)
        }
        right = evaluation == "sarsa"
        assert likelihood[right] > likelihood[not right] + 20


def test_logits_made_before_are_used(recorded):
    log = recorded["td"]
    seen, estimates = log.observed_by(1), malfl.estimate_policies(log.observed_by(1))
    logits, _ = replayed(
        seen.dynamics, seen.trajectories[:-1], estimates.policies[0], 0, False, 0.1, log.alpha,
        seen.own_counts(0),
    )  # fmt: skip
    direct = malfl.recover(seen, of=0, method="replay", beta=0.1)
    for used in (seen, replace(seen, trajectories=None)):
        found = malfl.recover(used, of=0, method="replay", logits=logits)
        np.testing.assert_array_equal(found.values, direct.values)
        assert found.beta is None
    named = malfl.recover(seen, of=0, method="replay", logits=logits, beta=0.1)
    assert named.beta == 0.1
    expected = recover_from_logits(logits, seen.own_counts(0)[1:], log.alpha)
    np.testing.assert_array_equal(direct.values, expected.values)
    with pytest.raises(ValueError, match=r"counts must have shape \(2, 81, 5\), got \(3, 81, 5\)"):
        malfl.recover(seen, of=0, method="replay", logits=logits.first(2))


def test_estimates_given_are_used(recorded):
    """The true policies, which only a test knows, or worse ones than by default."""
    log = recorded["sarsa"]
    seen = log.observed_by(1)
    estimates = malfl.estimate_policies(seen)
    true = replace(estimates, policies=tuple(policy[:-1] for policy in log.policies))
    poor = malfl.estimate_policies(seen, strength=1000)
    likelihood = [
        malfl.recover(
            seen, of=0, method="replay", beta=0.1, executed=True, policies=policies
        ).evidence.log_likelihood
        for policies in (true, estimates, poor)
    ]
    assert likelihood[0] > likelihood[1] > likelihood[2]


def test_what_is_wrong_is_named(recorded):
    seen = recorded["td"].observed_by(1)
    with pytest.raises(ValueError, match="seen has no trajectories to replay; learn with record"):
        malfl.recover(replace(seen, trajectories=None), of=0, method="replay")
    for beta in (0, 1.5):
        with pytest.raises(ValueError, match=r"beta must lie in \(0, 1\]"):
            malfl.recover(seen, of=0, method="replay", beta=beta)
    with pytest.raises(
        TypeError, match="method 'replay' takes beta, executed, logits; got least_visits, steps"
    ):
        malfl.recover(seen, of=0, method="replay", least_visits=3, steps=5)


def test_states_not_visited_may_be_left_out():
    """Learners whose short episodes did not come everywhere."""
    hom = malfl.gridworlds.ma_lfl("hom")
    log = malfl.learn(hom, iterations=5, episodes=20000, steps=3, record=True, seed=0)
    seen = log.observed_by(1)
    with pytest.raises(ValueError, match="was not visited in iteration"):
        malfl.recover(seen, of=0, method="replay", beta=0.1)
    found = malfl.recover(seen, of=0, method="replay", beta=0.1, unvisited="omit")
    visits = seen.counts.sum(axis=2)
    np.testing.assert_array_equal(found.unvisited, np.argwhere(visits == 0))
    assert len(found.unvisited) > 0
    # The reward of a state counts only if somebody acted in it.
    never = visits[:-1].sum(axis=0) == 0
    assert np.isnan(found.values[never]).all()
    score = malfl.correlation(found, hom.rewards[0])
    assert score.states == 81 - never.sum()
    assert score.pearson > 0.9
