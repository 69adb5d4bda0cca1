from dataclasses import dataclass, replace
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from drawn import random_game, random_policies

import malfl
from malfl import Episodes, Replay, SoftPolicyIteration, Structural, View
from malfl.learners.learner import soft_improvement
from malfl.recovery import Smoothing
from malfl.recovery.classes import Space
from malfl.recovery.logit import recover_from_logits
from malfl.recovery.replay import Replayed

ALPHA, BETA = 0.7, 0.3


@dataclass(frozen=True)
class Known:
    """Policies that only a test knows."""

    policies: np.ndarray

    def fit(self, counts, rng):
        return self.policies


def played_in(game, played, alpha=ALPHA):
    """What a bystander saw."""
    counts = np.array([part.counts() for part in played], dtype=float)
    return View(None, game.without_rewards(), alpha, counts, None, tuple(played))


def replayed(game, played, own, agent, executed):
    """The logits of all that was played."""
    view = played_in(game, played)
    return replays_of(view, agent, own, beta=BETA, executed=executed).logits(len(played))


def replays_of(view, agent, policies, **options):
    """For rewards of the state."""
    return Replayed(view, agent, policies, space=Space("state", view.dynamics.n_states), **options)


@pytest.fixture
def advanced(monkeypatch):
    """The steps that work has told, piece by piece."""
    pieces = []
    monkeypatch.setattr("malfl.progress.advance", lambda steps=0: pieces.append(steps))
    return pieces


@pytest.fixture
def histories(game):
    rng = np.random.default_rng(4)
    return [random_policies(game.actions, game.n_states, rng) for _ in range(3)]


@pytest.fixture
def played(game, histories):
    rng = np.random.default_rng(5)
    return [
        malfl.sample_episodes(game, policies, episodes=4, steps=25, seed=rng)
        for policies in histories
    ]


def check_against_the_oracle(logits, game, played, own, agent, executed):
    for h, part in enumerate(played):
        states, actions = zip(*part, strict=True)
        slopes, constants = naive.replayed(
            game, own[h].tolist(), agent, ALPHA, BETA, states, actions, executed
        )
        np.testing.assert_allclose(logits.slopes[h] * ALPHA, slopes, rtol=0, atol=1e-12)
        np.testing.assert_allclose(logits.constants[h] * ALPHA, constants, rtol=0, atol=1e-12)


@pytest.mark.parametrize("executed", [False, True])
def test_logits_are_the_oracles(game, histories, played, executed, advanced):
    for agent in range(game.n_agents):
        own = np.array([policies[agent] for policies in histories])
        advanced.clear()
        logits = replayed(game, played, own, agent, executed)
        check_against_the_oracle(logits, game, played, own, agent, executed)
        assert logits.known.all()
        assert logits.known.shape == own.shape
        assert sum(advanced) == 3 * 4 * 25


@pytest.mark.parametrize("executed", [False, True])
def test_an_unknown_policy_counts_as_uniform(game, histories, played, executed):
    agent = game.n_agents - 1
    own = np.array([policies[agent] for policies in histories])
    filled = own.copy()
    filled[1, 2] = 1 / own.shape[2]
    own[1, 2] = np.nan
    logits = replayed(game, played, own, agent, executed)
    check_against_the_oracle(logits, game, played, filled, agent, executed)


@pytest.mark.parametrize("executed", [False, True])
def test_actions_of_probability_zero_have_no_part(executed):
    rng = np.random.default_rng(0)
    game = random_game(rng, (3, 2))
    policies = [policy.copy() for policy in random_policies(game.actions, 4, rng)]
    policies[0][:, 1] = 0
    policies[0] /= policies[0].sum(axis=1, keepdims=True)
    played = [malfl.sample_episodes(game, policies, episodes=3, steps=25, seed=1)]
    logits = replayed(game, played, policies[0][None], 0, executed)
    check_against_the_oracle(logits, game, played, policies[0][None], 0, executed)


def played_at_length(game, policies, lengths):
    """Episodes of these lengths, one after the other."""
    rng = np.random.default_rng(0)
    each = [
        malfl.sample_episodes(game, policies, episodes=1, steps=length, seed=rng)[0]
        for length in lengths
    ]
    return Episodes.from_lists(
        *zip(*each, strict=True), n_states=game.n_states, n_joint_actions=game.n_joint_actions
    )


LENGTHS = {
    "some": [25] * 4, "a long one": [400], "short ones": [3] * 40, "all kinds": [1, 60, 7, 2, 61, 1]
}  # fmt: skip


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("pass_steps", [1, 7, 60])
def test_columns_and_steps_in_pieces_give_the_same(
    monkeypatch, executed, lengths, pass_steps, advanced
):
    """More columns than the 16 that always go together, and a rest of them."""
    rng = np.random.default_rng(0)
    game = random_game(rng, (2, 3), states=37)
    policies = random_policies(game.actions, 37, rng)
    played = [played_at_length(game, policies, lengths) for _ in range(2)]
    own = np.array([policies[1]] * 2)
    advanced.clear()
    whole = replayed(game, played, own, 1, executed)
    check_against_the_oracle(whole, game, played, own, 1, executed)
    assert whole.variances[0].any()
    assert sum(advanced) == 2 * sum(lengths)
    monkeypatch.setattr("malfl.recovery.replayed_values.PASS_STEPS", pass_steps)
    for block_bytes in (1, 2**20, 8 * 37 * 4 * 20):
        monkeypatch.setattr("malfl.recovery.replayed_values.BLOCK_BYTES", block_bytes)
        advanced.clear()
        cut = replayed(game, played, own, 1, executed)
        np.testing.assert_array_equal(cut.slopes, whole.slopes)
        np.testing.assert_array_equal(cut.constants, whole.constants)
        np.testing.assert_array_equal(cut.variances, whole.variances)
        assert sum(advanced) == 2 * sum(lengths)


def test_long_work_advances_in_short_pieces(monkeypatch, advanced):
    """So that it can be interrupted; see `malfl.progress`."""
    rng = np.random.default_rng(0)
    game = random_game(rng)
    policies = random_policies(game.actions, 4, rng)
    monkeypatch.setattr("malfl.recovery.replayed_values.PASS_STEPS", 50)
    for episodes, steps in ((1, 400), (40, 10), (7, 33)):
        played = malfl.sample_episodes(game, policies, episodes=episodes, steps=steps, seed=0)
        advanced.clear()
        replayed(game, [played], policies[0][None], 0, False)
        assert max(advanced) <= 50
        assert sum(advanced) == episodes * steps


def test_what_was_replayed_is_not_replayed_again(game, histories, played, advanced):
    own = np.array([policies[0] for policies in histories])
    replays = replays_of(played_in(game, played), 0, own, beta=BETA, executed=False)
    advanced.clear()
    some = replays.logits(2)
    assert sum(advanced) == 2 * 4 * 25
    replays.logits(3)
    again = replays.logits(2)
    assert sum(advanced) == 3 * 4 * 25
    np.testing.assert_array_equal(again.slopes, some.slopes)
    np.testing.assert_array_equal(again.variances, some.variances)


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
        game, SoftPolicyIteration(BETA, "sarsa"), alpha=ALPHA, iterations=3, episodes=50, steps=6,
        record=True, seed=0,
    )  # fmt: skip
    for agent in (0, 1):
        logits = replayed(game, log.episodes, log.policies[agent][:-1], agent, True)
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
            game, SoftPolicyIteration(BETA), alpha=ALPHA, iterations=1, episodes=20, steps=9,
            record=True, seed=seed,
            initial=random_policies(game.actions, 21, np.random.default_rng(0)),
        )  # fmt: skip
        logits = replayed(game, log.episodes, log.policies[1][:-1], 1, False)
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
    off, known = [], []
    for seed in range(40):
        log = malfl.learn(
            game, iterations=2, episodes=200, steps=100, initial=initial, record=True, seed=seed
        )
        view = log.seen_by(1)
        logits = replays_of(view, 0, log.policies[0][:-1], beta=0.1, executed=False).logits(2)
        values = logits.slopes[0] @ game.rewards[0] + logits.constants[0]
        visited = view.own_counts(0)[0] > 0
        off.append((values - log.q[0][0] / 3)[visited])
        known.append(logits.variances[0][visited])
        assert (logits.variances[0] > 0).sum() == visited.sum()
        assert not logits.variances[1].any()  # nothing has been seen of what it led to
    off, known = np.concatenate(off), np.concatenate(known)
    assert (off**2).sum() / known.sum() == pytest.approx(1, abs=0.1)
    for part in np.array_split(np.argsort(known), 3):  # where little is left out, and where much
        assert (off[part] ** 2).sum() / known[part].sum() == pytest.approx(1, abs=0.2)


def test_what_was_executed_leaves_out_almost_nothing():
    log = malfl.learn(
        malfl.gridworlds.ma_lfl("hom"), SoftPolicyIteration(evaluation="sarsa"), iterations=2,
        episodes=200, steps=100, record=True, seed=0,
    )  # fmt: skip
    view, own = log.seen_by(1), log.policies[0][:-1]
    unseen, executed = (
        replays_of(view, 0, own, beta=0.1, executed=one).logits(2).variances[0]
        for one in (False, True)
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
            malfl.gridworlds.ma_lfl("hom"), SoftPolicyIteration(evaluation=evaluation),
            iterations=4, episodes=3000, steps=200, record=True, seed=0,
        )  # fmt: skip
    return logs


@pytest.mark.parametrize("agent", [0, 1])
@pytest.mark.parametrize(("evaluation", "least"), [("td", 0.97), ("sarsa", 0.99)])
def test_learners_are_read_well(recorded, evaluation, least, agent):
    log = recorded[evaluation]
    view, true = log.seen_by(1 - agent), log.game.rewards[agent]
    found = malfl.recover(view, of=agent, by=Replay(0.1, executed=evaluation == "sarsa"))
    assert malfl.correlation(found, true).pearson > least
    assert found.diagnostics.beta == 0.1
    assert found.converged
    assert found.determination.unknowns == 81
    off = (found.values - found.values.mean() - true + true.mean()) / found.deviation
    assert 0.5 < np.sqrt((off**2).mean()) < 1.5


def test_replay_reads_more_than_exact_values_do(recorded):
    log = recorded["td"]
    scores = [
        malfl.correlation(
            malfl.recover(log.seen_by(1), of=0, by=estimator), log.game.rewards[0]
        ).pearson
        for estimator in (Replay(0.1), Structural())
    ]
    assert scores[0] > scores[1] + 0.02


@pytest.mark.parametrize("evaluation", ["td", "sarsa"])
def test_the_step_size_is_found(recorded, evaluation):
    view = recorded[evaluation].seen_by(1)

    def replay(beta):
        found = malfl.recover(view, of=0, by=Replay(beta, executed=evaluation == "sarsa"))
        return found, found.diagnostics.evidence.log_likelihood

    found, likelihood = replay(None)
    assert found.diagnostics.beta == pytest.approx(0.1, rel=0.1)
    again, _ = replay(found.diagnostics.beta)
    np.testing.assert_array_equal(again.values, found.values)
    for wrong in (0.02, 0.07, 0.14, 0.5):
        assert replay(wrong)[1] < likelihood - 20
    assert replay(0.1)[1] <= likelihood + 0.5  # a deviation of the likeliest, by all steps


def of_one_learner(beta, evaluation):
    game = random_game(np.random.default_rng(1), (3,), 5, state_rewards=True)
    return malfl.learn(
        game, SoftPolicyIteration(beta, evaluation), alpha=0.3, iterations=4, episodes=200,
        steps=50, record=True, seed=0,
    )  # fmt: skip


@pytest.mark.parametrize("evaluation", ["td", "sarsa"])
@pytest.mark.parametrize("beta", [0.006, 0.008, 0.02, 0.1])
def test_small_step_sizes_are_found(evaluation, beta):
    log = of_one_learner(beta, evaluation)
    by = Replay(executed=evaluation == "sarsa")
    found = malfl.recover(log.seen_by(None), of=0, by=by)
    assert found.diagnostics.beta == pytest.approx(beta, rel=0.1)
    assert malfl.correlation(found, log.game.rewards[0]).pearson > 0.99


@pytest.mark.parametrize("beta", [0.6, 0.95])
def test_large_step_sizes_are_found(beta):
    """Of learners whose actions were all seen."""
    log = of_one_learner(beta, "sarsa")
    found = malfl.recover(log.seen_by(None), of=0, by=Replay(executed=True))
    assert found.diagnostics.beta == pytest.approx(beta, rel=0.05)


def test_what_a_learner_did_is_the_likelier(recorded):
    for evaluation, log in recorded.items():
        likelihood = {
            executed: malfl.recover(
                log.seen_by(1), of=0, by=Replay(0.1, executed)
            ).diagnostics.evidence.log_likelihood
            for executed in (False, True)
        }
        right = evaluation == "sarsa"
        assert likelihood[right] > likelihood[not right] + 20


def test_rewards_are_those_of_the_logits(recorded):
    log = recorded["td"]
    view = log.seen_by(1)
    replays = replays_of(view, 0, malfl.estimate_policies(view)[0], beta=0.1, executed=False)
    direct = malfl.recover(view, of=0, by=Replay(0.1, reward_class="state"))
    expected = recover_from_logits(replays.logits(3), view.own_counts(0)[1:], log.alpha)
    np.testing.assert_array_equal(direct.values, expected.values)
    found = replays.reward(3)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.diagnostics.beta == 0.1


def test_estimates_of_policies_matter(recorded):
    """The true policies, which only a test knows, or worse ones than by default."""
    log = recorded["sarsa"]
    likelihood = [
        malfl.recover(
            log.seen_by(1), of=0, by=Replay(0.1, executed=True, policies=fit)
        ).diagnostics.evidence.log_likelihood
        for fit in (Known(log.policies[0][:-1]), Smoothing(), Smoothing(1000))
    ]
    assert likelihood[0] > likelihood[1] > likelihood[2]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"beta": 0}, ValueError, r"beta must lie in \(0, 1\], got 0"),
        ({"beta": 1.5}, ValueError, r"beta must lie in \(0, 1\], got 1.5"),
        ({"beta": "small"}, TypeError, "beta must be a number, got 'small'"),
        ({"executed": 1}, TypeError, "executed must be True or False, got 1"),
        ({"policies": "all"}, TypeError, "policies must be of type PolicyFit"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        Replay(**parameters)


@pytest.mark.parametrize("beta", [0.1, None])
def test_without_episodes_there_is_nothing_to_replay(recorded, beta):
    view = replace(recorded["td"].seen_by(1), episodes=None)
    with pytest.raises(ValueError, match="view has no episodes to replay; learn with record=True"):
        malfl.recover(view, of=0, by=Replay(beta))


def test_states_not_visited_may_be_left_out():
    """Learners whose short episodes did not come everywhere."""
    hom = malfl.gridworlds.ma_lfl("hom")
    log = malfl.learn(hom, iterations=5, episodes=20000, steps=3, record=True, seed=0)
    view = log.seen_by(1)
    with pytest.raises(ValueError, match="was not visited in iteration"):
        malfl.recover(view, of=0, by=Replay(0.1))
    found = malfl.recover(view, of=0, by=Replay(0.1), unvisited="omit")
    visits = view.counts.sum(axis=2)
    np.testing.assert_array_equal(found.unvisited, np.argwhere(visits == 0))
    assert len(found.unvisited) > 0
    # The reward of a state counts only if somebody acted in it.
    never = visits[:-1].sum(axis=0) == 0
    assert np.isnan(found.values[never]).all()
    score = malfl.correlation(found, hom.rewards[0])
    assert score.states == 81 - never.sum()
    assert score.pearson > 0.9


@pytest.fixture(scope="module", params=["td", "sarsa"])
def small_log(request):
    game = random_game(np.random.default_rng(1), (2, 3), 4, state_rewards=True)
    return malfl.learn(
        game, SoftPolicyIteration(0.1, request.param), alpha=ALPHA, iterations=4, episodes=100,
        steps=40, record=True, seed=0,
    )  # fmt: skip


def next_policy(view, own, agent, reward, beta, executed):
    """Softmax of the oracle's values after the newest policy's episodes."""
    rules, (states, actions) = view.dynamics, zip(*view.episodes[-1], strict=True)
    slopes, constants = naive.replayed(
        rules, own[-1].tolist(), agent, view.alpha, beta, states, actions, executed
    )
    return naive.improve(slopes @ reward + constants, view.alpha)


@pytest.mark.parametrize("beta", [0.25, None])
@pytest.mark.parametrize("observer", [None, 0])
def test_the_next_policy_is_the_softmax_of_replayed_values(small_log, beta, observer):
    executed = small_log.training.learners.evaluation == "sarsa"
    view = replace(small_log.seen_by(observer), alpha=1.3)
    prepared = Replay(beta, executed, "state").prepare(view, 1, np.random.default_rng(0))
    own = malfl.estimate_policies(view)[1]
    for h in (3, 1):
        found = prepared.reward(h)
        replayed_with = found.diagnostics.beta
        assert beta in (None, replayed_with)
        expected = next_policy(
            view.first(h + 1), own[: h + 1], 1, found.values, replayed_with, executed
        )
        predicted = prepared.next_policy(found, h)
        np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-10)


def test_the_next_policy_is_predicted_where_little_is_known(small_log):
    """Policies that nobody knows count as uniform, unknown rewards as zero."""
    view = small_log.seen_by(None)
    own = malfl.estimate_policies(view)[1].copy()
    own[3, 2] = np.nan
    prepared = Replay(0.1, policies=Known(own)).prepare(view, 1, np.random.default_rng(0))
    found = prepared.reward(3)
    values = np.where(np.arange(4) == 1, np.nan, found.values)
    uniform = np.where(np.isnan(own), 1 / 3, own)
    expected = next_policy(view, uniform, 1, np.nan_to_num(values), 0.1, False)
    predicted = prepared.next_policy(replace(found, values=values), 3)
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("beta", [0.1, None])
def test_numbers_of_improvements_come_in_any_order(small_log, beta):
    """One preparation says the same as one for each."""
    view = small_log.seen_by(0)
    shared = Replay(beta).prepare(view, 1, np.random.default_rng(0))
    for number in (2, 1, 3, 2):
        alone = malfl.recover(view.first(number + 1), of=1, by=Replay(beta))
        found = shared.reward(number)
        np.testing.assert_array_equal(found.values, alone.values)
        assert found.diagnostics.beta == alone.diagnostics.beta


@dataclass(frozen=True)
class Sarsa:
    """A learner that may keep its values and let its steps fall."""

    beta: float
    kept: bool
    falling: float

    name = "SARSA"
    needs = "steps"

    def start(self, game, agent, alpha, rng):
        return SarsaLearning(self, game, agent, alpha)


class SarsaLearning:
    def __init__(self, learner, game, agent, alpha):
        self.learner, self.game, self.agent, self.alpha = learner, game, agent, alpha
        self.q, self.updates = np.zeros((2, game.n_states, game.actions[agent]))

    def improve(self, now):
        one, game, q, updates = self.learner, self.game, self.q, self.updates
        if not one.kept:
            q[:], updates[:] = 0, 0
        policy, own = now.policies[self.agent], game.own_actions[self.agent]
        reward = game.joint_reward(self.agent)
        for played in now.played:
            for t, joint in enumerate(played.actions):
                s, after, a = played.states[t], played.states[t + 1], own[joint]
                odds = policy[after]
                if t + 1 < len(played.actions):
                    odds = np.eye(odds.size)[own[played.actions[t + 1]]]
                ahead = odds @ (q[after] - self.alpha * np.log(policy[after]))
                updates[s, a] += 1
                step = one.beta / updates[s, a] ** one.falling
                q[s, a] += step * (reward[s, joint] + game.gamma * ahead - q[s, a])
        return soft_improvement(q.copy(), self.alpha)


@pytest.fixture(scope="module", params=[(True, 0.0), (False, 1.0), (True, 0.7)], ids=str)
def sarsa(request):
    kept, falling = request.param
    game = random_game(np.random.default_rng(4), (3, 2), 4, state_rewards=True, gamma=0.8)
    learner = Sarsa(0.005 if falling == 0 else 1.0, kept, falling)
    return learner, malfl.learn(
        game, [learner, SoftPolicyIteration()], alpha=0.5, iterations=5, episodes=200, steps=25,
        record=True, seed=0,
    )  # fmt: skip


def test_a_sarsa_learners_own_values_come_back(sarsa):
    """Also if they go on from policy to policy, or steps fall."""
    learner, log = sarsa
    view, own = log.seen_by(1), log.policies[0][:-1]
    replays = replays_of(
        view, 0, own, beta=learner.beta, executed=True, kept=learner.kept, falling=learner.falling
    )
    logits = replays.logits(view.iterations - 1)
    values = logits.slopes @ log.game.rewards[0] + logits.constants
    np.testing.assert_allclose(values, np.array(log.q[0])[:-1] / log.alpha, rtol=0, atol=1e-9)


def test_its_variant_is_the_likeliest(sarsa):
    learner, log = sarsa
    view = log.seen_by(1)
    mine = Replay(learner.beta, True, "state", kept=learner.kept, falling=learner.falling)
    found = malfl.recover(view, of=0, by=mine)
    plain = malfl.recover(view, of=0, by=Replay(None, True, "state"))
    likelihoods = [one.diagnostics.evidence.log_likelihood for one in (found, plain)]
    assert likelihoods[0] > likelihoods[1] + 5
    assert found.verdict == "sound"
    assert malfl.compare(found, log.game, 0).identified > 0.97


def test_variants_are_tried_where_much_is_left(sarsa, monkeypatch):
    learner, log = sarsa
    found = malfl.recover(log.seen_by(1), of=0)  # a plain one may explain enough
    assert malfl.compare(found, log.game, 0).identified > 0.95
    monkeypatch.setattr("malfl.recovery.likeliest.MOST_ERROR", -1.0)
    found = malfl.recover(log.seen_by(1), of=0)
    assert malfl.compare(found, log.game, 0).identified > 0.95
    names = [name for name, _ in found.compared]
    for part in ("kept=True)", "falling=1.0)", "kept=True, falling=1.0)"):
        assert any(name.startswith("Replay(") and name.endswith(part) for name in names)
    assert ("kept=True" in names[0]) == learner.kept


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"kept": 1}, TypeError, "kept must be True or False, got 1"),
        ({"falling": -0.1}, ValueError, "falling must lie in"),
        ({"falling": 1.5}, ValueError, "falling must lie in"),
        ({"falling": "slowly"}, TypeError, "falling must be a number"),
    ],
)
def test_bad_variants_are_named(given, error, message):
    with pytest.raises(error, match=message):
        Replay(**given)
