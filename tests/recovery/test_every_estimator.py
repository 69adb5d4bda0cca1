"""What is asked of every estimator; the functions in `CHECKS` take any one."""

import math
import pickle
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from functools import cache
from inspect import isabstract
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import pytest
from drawn import random_game
from scipy.sparse import csr_array

import malfl
from malfl import recovery
from malfl.recovery import (
    DEFAULTS,
    Adam,
    AsIfAlone,
    Auto,
    CausalEntropy,
    Descended,
    EvidenceRidge,
    Features,
    LastPolicy,
    LeastSquares,
    MaximumLikelihood,
    MiniBatchAdam,
    NothingToLearnError,
    PathLikelihood,
    RecoveredReward,
    Replay,
    Structural,
    WithEstimatedRules,
    recover,
)
from malfl.recovery.path import MODELLED
from malfl.recovery.recovery import Recovery
from malfl.values import digest

ALPHA = 0.7
CLOSE = 1e-6  # relative to the largest reward
LEARNED = malfl.SoftPolicyIteration()
EXACT = malfl.SoftPolicyIteration(evaluation="exact")

ESTIMATORS = {
    "Structural": Structural(),
    "Replay": Replay(0.1),
    "Replay, beta unknown": Replay(),
    "Auto": Auto(),
    "PathLikelihood, soft policy iteration": PathLikelihood([EXACT]),
    # Values that begin at zero are changed by a shaping.
    "PathLikelihood, soft value iteration": PathLikelihood([MODELLED[1]], reward_class="state"),
    "PathLikelihood, Q-learning": PathLikelihood([MODELLED[2]], reward_class="state"),
    "Replay, features": Replay(0.1, reward_class=Features(np.eye(4)[:, :3])),
    "Structural, features": Structural(reward_class=Features(np.eye(4)[:, :3])),
    "PathLikelihood, features": PathLikelihood([EXACT], reward_class=Features(np.eye(4)[:, :3])),
    "LeastSquares": LeastSquares(),
    "EvidenceRidge": EvidenceRidge(),
    "Adam": Adam(steps=300),
    "Adam as printed": replace(DEFAULTS["as printed"], steps=300),
    "Adam as printed, smoothed": Adam("joint-action", equations="printed", steps=300),
    "Adam as released": replace(DEFAULTS["as released"], steps=300),
    "MiniBatchAdam": MiniBatchAdam(steps=300),
    "LastPolicy": LastPolicy(),
    "CausalEntropy": CausalEntropy(),
    "AsIfAlone": AsIfAlone(Structural(evaluation="exact")),
    "AsIfAlone, policies drawn": AsIfAlone(LeastSquares(policies=Descended())),
    "WithEstimatedRules": WithEstimatedRules(Structural()),
    "both": WithEstimatedRules(AsIfAlone(LeastSquares())),
}


@cache
def log_of(actions, learner=LEARNED, constant=0.0, shaping=0.0):
    """A run, the same for any constant and shaping that are added to the rewards."""
    game = random_game(np.random.default_rng(3), actions, 4, state_rewards=True)
    rewards = list(game.rewards)
    if constant or shaping:
        g = shaping * np.random.default_rng(4).normal(size=4)
        added = constant + g[:, None] - game.gamma * (game.transitions @ g).reshape(4, -1)
        rewards = [reward[:, None] + added for reward in rewards]
    return malfl.learn(
        game.with_rewards(rewards), learner, alpha=ALPHA, iterations=4, episodes=200, steps=40,
        record=True, seed=0,
    )  # fmt: skip


@cache
def view_for(estimator, observer=1, **options):
    """The equations of the released program are for two agents who are alike."""
    actions = (3, 3) if "released" in repr(estimator) else (2, 3, 2)
    return log_of(actions, **options).seen_by(observer)


@cache
def reward_and_forecast(view, estimator, of=0, improvements=3):
    """What is recovered and predicted, or why nothing is."""
    work = Recovery(view, of=of, by=estimator)
    try:
        found = work.reward(improvements)
    except NothingToLearnError as error:
        return str(error)
    return found, work.prepared.next_policy(found, improvements)


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE * np.nanmax(np.abs(theirs)))


def assert_same(ours, theirs):
    if isinstance(theirs, str):
        assert ours == theirs
    else:
        assert digest(ours[0]) == digest(theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


# Checks


def other_labels_relabel_the_reward(estimator):
    for observer, of in ((1, 0), (None, 1)):
        view = view_for(estimator, observer)
        found, policy = reward_and_forecast(view, estimator, of)
        new = relabelled(view)
        ours, our_policy = reward_and_forecast(new.view, estimator, new.who.index(of))
        actions = {"state": (), "state-action": (new.own[of],), "joint-action": (new.joint,)}
        assert_close(ours.values, found.values[np.ix_(new.states, *actions[found.reward_class])])
        assert_close(our_policy, policy[np.ix_(new.states, new.own[of])])


def constants_and_shapings_of_the_true_reward_change_nothing(estimator):
    """If values are exact, agents do the same things with them."""
    view = view_for(estimator, learner=EXACT)
    found, _ = reward_and_forecast(view, estimator)
    for added in ({"constant": 1.5}, {"shaping": 1.0}, {"constant": -0.7, "shaping": 2.0}):
        other = view_for(estimator, learner=EXACT, **added)
        np.testing.assert_array_equal(other.counts, view.counts)
        ours, _ = reward_and_forecast(other, estimator)
        change = ours.values - found.values
        assert_close(found.values + change - change.mean(), found.values)


def a_constant_added_to_the_reward_leaves_the_forecast(estimator):
    """As good as, where values begin from zero, since every action was tried often."""
    view = view_for(estimator)
    work = Recovery(view, of=0, by=estimator)
    found = work.reward()
    policy = work.prepared.next_policy(found, 3)
    assert_close(work.prepared.next_policy(replace(found, values=found.values + 1.5), 3), policy)
    if found.reward_class == "joint-action":
        g = np.random.default_rng(0).normal(size=4)
        ahead = (view.dynamics.transitions @ g).reshape(4, -1)
        shaped = found.values + g[:, None] - view.dynamics.gamma * ahead
        assert_close(work.prepared.next_policy(replace(found, values=shaped), 3), policy)


def everything_seen_twice_leaves_the_reward(estimator):
    """Where policies are estimated by the shares seen, which stay as they are."""
    estimator = by_shares(estimator)
    view = view_for(estimator)
    found, policy = reward_and_forecast(view, estimator)
    twice = replace(
        view,
        counts=2 * view.counts,
        episodes=[
            episodes_of(part, [*part, *part], np.arange(4), np.arange(part.n_joint_actions))
            for part in view.episodes
        ],
    )
    ours, our_policy = reward_and_forecast(twice, estimator)
    assert_close(ours.values, found.values)
    assert_close(our_policy, policy)


def alpha_doubled_doubles_the_reward(estimator):
    view = view_for(estimator)
    found, policy = reward_and_forecast(view, estimator)
    ours, our_policy = reward_and_forecast(replace(view, alpha=2 * ALPHA), estimator)
    assert_close(ours.values, 2 * found.values)
    assert_close(our_policy, policy)
    if found.deviation is not None:
        assert_close(ours.deviation, 2 * found.deviation)


def one_preparation_serves_any_number_of_improvements(estimator):
    view = view_for(estimator)
    work = Recovery(view, of=0, by=estimator)
    for h in (2, 1, 3):
        cut = reward_and_forecast(view.first(h + 1), estimator, improvements=h)
        if isinstance(cut, str):
            with pytest.raises(NothingToLearnError):
                work.reward(h)
            continue
        found = work.reward(h)
        assert_same((found, work.prepared.next_policy(found, h)), cut)


def later_iterations_are_not_looked_at(estimator):
    """What is recovered from the first iterations is the same whatever happens after them."""
    view, rng = view_for(estimator), np.random.default_rng(0)
    swapped = rng.permutation(view.counts.shape[2])
    other = replace(
        view,
        counts=np.array([*view.counts[:3], view.counts[3][:, swapped]]),
        episodes=[
            *view.episodes[:3],
            episodes_of(view.episodes[3], view.episodes[3], np.arange(4), np.argsort(swapped)),
        ],
    )
    ours = reward_and_forecast(other, estimator, improvements=2)
    assert_same(ours, reward_and_forecast(view, estimator, improvements=2))


def the_next_policy_is_one(estimator):
    for observer, of in ((1, 0), (None, 1)):
        view = view_for(estimator, observer)
        work = Recovery(view, of=of, by=estimator)
        for h in (2, 3):
            policy = work.prepared.next_policy(work.reward(h), h)
            assert policy.shape == (4, view.dynamics.actions[of])
            assert (policy >= 0).all()
            np.testing.assert_allclose(policy.sum(axis=1), 1, rtol=1e-12)


def the_seed_is_the_only_source_of_chance(estimator):
    view = view_for(estimator)
    work = Recovery(view, of=0, by=estimator, seed=np.random.default_rng(5))
    first = work.reward(3)
    work.prepared.next_policy(work.reward(2), 2)
    for again in (work.reward(3), recover(view, of=0, by=estimator, seed=5)):
        assert digest(again) == digest(first)


def it_travels(estimator):
    """By pickle and file, and so does what it recovers; arrays stay read-only."""
    found, _ = reward_and_forecast(view_for(estimator), estimator)
    for value in (estimator, found):
        assert_read_only(value)
        for again in (pickle.loads(pickle.dumps(value)), deepcopy(value), through_a_file(value)):
            assert type(again) is type(value)
            assert digest(again) == digest(value)
            assert_read_only(again)
    again = through_a_file(estimator)
    assert again == estimator
    assert hash(again) == hash(estimator)
    loaded = through_a_file(found)
    assert loaded.converged == found.converged
    assert loaded.summary() == found.summary()
    assert determination_or_refusal(loaded) == determination_or_refusal(found)


def the_summary_says_whether_the_fit_converged(estimator):
    found, _ = reward_and_forecast(view_for(estimator), estimator)
    lines = found.summary().splitlines()
    assert ("The fit converged." in lines) == found.converged
    assert ("The fit did NOT converge." in lines) != found.converged
    assert lines[0] == f"Verdict: {found.verdict}"
    assert any(line.startswith(f"Reward of the {found.reward_class}: ") for line in lines)


def it_needs_what_it_says(estimator):
    view = view_for(estimator)
    uncounted = replace(view, episodes=None)
    if estimator.needs_steps:
        with pytest.raises(ValueError, match=r"view has no episodes.* record=True"):
            recover(uncounted, of=0, by=estimator)
    else:
        ours = reward_and_forecast(uncounted, estimator)
        assert_same(ours, reward_and_forecast(view, estimator))
    if estimator.needs_improvements:
        with pytest.raises(ValueError, match="view must show at least one improvement"):
            recover(view.first(1), of=0, by=estimator)
    else:
        assert np.isfinite(recover(view.first(1), of=0, by=estimator).values).all()


def mistakes_are_named(estimator):
    view = view_for(estimator)
    name = type(estimator).__name__
    with pytest.raises(TypeError, match=rf"by must be an Estimator, not a class of them: {name}"):
        recover(view, of=0, by=type(estimator))
    with pytest.raises(ValueError, match="of must be another agent than the observer, both are 1"):
        recover(view, of=1, by=estimator)
    with pytest.raises(ValueError, match=r"of must lie in 0\.\."):
        recover(view, of=3, by=estimator)
    with pytest.raises(TypeError, match="view must be of type View"):
        recover(log_of((3, 3)), of=0, by=estimator)
    for part in fields(estimator):
        value = getattr(estimator, part.name)
        for wrong in no_values_like(value):
            with pytest.raises((TypeError, ValueError), match=part.name):
                replace(estimator, **{part.name: wrong})


CHECKS = [
    other_labels_relabel_the_reward,
    constants_and_shapings_of_the_true_reward_change_nothing,
    a_constant_added_to_the_reward_leaves_the_forecast,
    everything_seen_twice_leaves_the_reward,
    alpha_doubled_doubles_the_reward,
    one_preparation_serves_any_number_of_improvements,
    later_iterations_are_not_looked_at,
    the_next_policy_is_one,
    the_seed_is_the_only_source_of_chance,
    it_travels,
    the_summary_says_whether_the_fit_converged,
    it_needs_what_it_says,
    mistakes_are_named,
]

EXEMPT = {
    it_needs_what_it_says: {"Auto"},  # it makes do with counts
    other_labels_relabel_the_reward: {
        # Policies begin at random, label by label.
        "Adam as printed",
        "AsIfAlone, policies drawn",
        "Adam as released",  # and its indices are astray
    },
    everything_seen_twice_leaves_the_reward: {
        # More evidence weighs more against a prior.
        "Structural",
        "PathLikelihood, soft policy iteration",
        "PathLikelihood, soft value iteration",
        "PathLikelihood, Q-learning",
        "Replay, features",
        "Structural, features",
        "PathLikelihood, features",
        "CausalEntropy",
        "AsIfAlone",
        "WithEstimatedRules",
        # A learner that does everything twice has other values in the end.
        "Replay",
        "Replay, beta unknown",
        "Auto",
    },
    alpha_doubled_doubles_the_reward: {
        # So many steps of one rate, whatever the unit of rewards is, lead so far.
        "Adam",
        "Adam as printed",
        "Adam as printed, smoothed",
        "Adam as released",
        "MiniBatchAdam",
    },
    one_preparation_serves_any_number_of_improvements: {
        "Adam as printed",  # policies of one agent after the other are drawn, of all iterations
    },
}
PAIRS = [(check, name) for check in CHECKS for name in ESTIMATORS]


@pytest.mark.parametrize(
    ("check", "name"),
    [(check, name) for check, name in PAIRS if name not in EXEMPT.get(check, ())],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_every_estimator(check, name):
    check(ESTIMATORS[name])


@pytest.mark.parametrize(
    ("check", "name"),
    [(check, name) for check, name in PAIRS if name in EXEMPT.get(check, ())],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_who_is_exempt_has_to_be(check, name):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(ESTIMATORS[name])


def test_every_public_estimator_is_here():
    public = [vars(recovery)[name] for name in recovery.__all__]
    kinds = {
        one
        for one in public
        if isinstance(one, type) and hasattr(one, "needs_steps") and not isabstract(one)
        and not getattr(one, "_is_protocol", False)
    }  # fmt: skip
    assert kinds == {type(one) for one in ESTIMATORS.values()}
    assert {type(one) for one in DEFAULTS.values()} <= kinds


@pytest.mark.parametrize("name", ["Adam", "MiniBatchAdam", "Adam as printed, smoothed"])
def test_descent_doubles_the_reward_at_twice_the_rate(name):
    estimator = ESTIMATORS[name]
    view = view_for(estimator)
    found = recover(view, of=0, by=estimator)
    faster = replace(estimator, rate=2 * estimator.rate)
    ours = recover(replace(view, alpha=2 * ALPHA), of=0, by=faster)
    assert_close(ours.values, 2 * found.values)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_none_of_their_numbers_may_be_zero(name):
    """Unless it is by default."""
    for part in fields(ESTIMATORS[name]):
        value = getattr(ESTIMATORS[name], part.name)
        if isinstance(value, int | float) and not isinstance(value, bool) and part.default != 0:
            with pytest.raises(ValueError, match=part.name):
                replace(ESTIMATORS[name], **{part.name: 0})


@pytest.mark.parametrize("value", [3, None, malfl.SoftPolicyIteration()])
def test_what_is_no_estimator_is_named(value):
    with pytest.raises(TypeError, match=r"by must be of type Estimator \(such as Structural\(\)\)"):
        recover(log_of((3, 3)).seen_by(1), of=0, by=value)


@pytest.mark.parametrize("name", ["strutcural", "Structural", "least_squares", ""])
def test_names_are_spelt_as_in_the_list(name):
    with pytest.raises(ValueError, match=f"by must be one of {', '.join(DEFAULTS)}, got '{name}'"):
        recover(log_of((3, 3)).seen_by(1), of=0, by=name)


@pytest.mark.parametrize("name", ["structural", "least squares", "last policy"])
def test_a_name_is_an_estimator_with_its_defaults(name):
    view = log_of((3, 3)).seen_by(1)
    found = recover(view, of=0, by=name)
    assert digest(found) == digest(recover(view, of=0, by=type(DEFAULTS[name])()))


@pytest.mark.parametrize(
    "learners", [(), [EXACT, LEARNED], [malfl.RandomImprovements()], [malfl.QLearning], ["sarsa"]]
)
def test_paths_are_of_learners_that_have_one(learners):
    with pytest.raises(ValueError, match="learners"):
        PathLikelihood(learners)


# Helpers


def relabelled(view):
    """The same with agents, states and actions in another order, and these orders."""
    dynamics, rng = view.dynamics, np.random.default_rng(1)
    who = [*range(1, dynamics.n_agents), 0]
    states = rng.permutation(dynamics.n_states)
    own = [rng.permutation(size) for size in dynamics.actions]
    sizes = [dynamics.actions[i] for i in who]
    before: list = [None] * len(who)
    for i, digits in zip(
        who, np.unravel_index(np.arange(dynamics.n_joint_actions), sizes), strict=True
    ):
        before[i] = own[i][digits]
    joint = np.ravel_multi_index(before, dynamics.actions)
    moves = dynamics.transitions.toarray().reshape(len(states), len(joint), -1)
    seen = view.observer is not None
    changed = malfl.View(
        observer=who.index(view.observer) if seen else None,
        dynamics=malfl.Dynamics(
            actions=sizes, transitions=moves[np.ix_(states, joint, states)],
            start=dynamics.start[states], gamma=dynamics.gamma,
        ),
        alpha=view.alpha,
        counts=view.counts[:, states][:, :, joint],
        own_policies=view.own_policies[:, states][:, :, own[view.observer]] if seen else None,
        episodes=[
            episodes_of(part, part, np.argsort(states), np.argsort(joint))
            for part in view.episodes
        ],
    )  # fmt: skip
    return SimpleNamespace(view=changed, who=who, states=states, own=own, joint=joint)


def episodes_of(part, episodes, states, actions):
    """Some episodes with other numbers for states and joint actions."""
    return malfl.Episodes.from_lists(
        [states[one.states] for one in episodes],
        [actions[one.actions] for one in episodes],
        n_states=part.n_states,
        n_joint_actions=part.n_joint_actions,
    )


def by_shares(estimator):
    """The estimator, or the one inside it, with policies estimated by the shares seen."""
    inner = getattr(estimator, "estimator", None)
    if inner is not None:
        return replace(estimator, estimator=by_shares(inner))
    return replace(estimator, policies=MaximumLikelihood())


def through_a_file(value):
    with TemporaryDirectory() as folder:
        value.save(Path(folder) / "value.npz")
        return type(value).load(Path(folder) / "value.npz")


def assert_read_only(value):
    if isinstance(value, np.ndarray):
        assert not value.flags.writeable
    elif isinstance(value, csr_array):
        assert_read_only((value.data, value.indices, value.indptr))
    elif isinstance(value, tuple):
        for part in value:
            assert_read_only(part)
    elif is_dataclass(value):
        assert_read_only(tuple(vars(value).values()))


def determination_or_refusal(found: RecoveredReward):
    try:
        return found.determination
    except ValueError as error:
        return str(error)


def no_values_like(value):
    """What an argument with this value must refuse."""
    if isinstance(value, bool):
        return [1, "yes"]
    if isinstance(value, int | float):
        return [-1, math.nan, "1", float]
    if isinstance(value, str):
        return ["", 1]
    if isinstance(value, tuple):
        return [3, (3,)]
    if is_dataclass(value):
        return [3, "smoothing", type(value)]
    return []
