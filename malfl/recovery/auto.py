"""The estimator for those who do not know how an agent learns: the likeliest of several."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.learners.q_learning import QLearning
from malfl.learners.soft_policy_iteration import SoftPolicyIteration
from malfl.learners.soft_value_iteration import SoftValueIteration
from malfl.play.view import View
from malfl.recovery.estimator import Estimator, Prepared
from malfl.recovery.logit import LogitFit
from malfl.recovery.path import PathFit, PathLikelihood
from malfl.recovery.policies import PolicyFit, Smoothing, check_fit
from malfl.recovery.replay import Replay
from malfl.recovery.reward import (
    REWARD_CLASSES,
    Determination,
    Evidence,
    NothingToLearnError,
    RecoveredReward,
    RewardClass,
)
from malfl.recovery.shown import MOST_ENTRIES, likeness
from malfl.recovery.structural import Structural, entries
from malfl.recovery.trust import Promise
from malfl.recovery.verdict import MOST_ERROR
from malfl.values import Value, set_fields

NEARLY = 5.0  # of log-evidence: a model that is less likely by less is no worse
FEW_ENTRIES = 300  # of a reward: wider classes of so many are always compared
STEP_SIZES = (0.05, 0.1, 0.2, 0.5)  # of Q-learning, if it is not known


@dataclass(frozen=True, eq=False)
class LikeliestFit(Value):
    """The fit of the likeliest estimator, and how likely the others are."""

    fit: LogitFit | PathFit
    compared: tuple[tuple[str, float], ...]  #: estimators and log-evidences, the likeliest first
    #: Estimators that are about as likely, and how far their rewards correlate with this one.
    rivals: tuple[tuple[str, float], ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the fit came to rest."""
        return self.fit.converged

    @property
    def evidence(self) -> Evidence:
        """Of the likeliest fit."""
        return self.fit.evidence

    @property
    def promise(self) -> Promise | None:
        """Of the likeliest fit."""
        return self.fit.promise

    @property
    def determination(self) -> Determination:
        """Of the likeliest fit."""
        return self.fit.determination

    def lines(self) -> list[str]:
        """For a summary."""
        best = self.compared[0][1]
        others = [f"- {name}: less likely by {best - one:.3g}" for name, one in self.compared[1:]]
        return [f"Likeliest: {self.compared[0][0]}", *others, *self.fit.lines()]


@dataclass(frozen=True)
class Auto(Value):
    """Compares models of the learner by their evidence, and takes the likeliest.

    These are exact values and values by temporal differences, read from counts; exact soft policy
    iteration and soft value iteration along the whole path; with recorded episodes also replay,
    with the next action drawn or executed, and Q-learning where the others leave much unexplained.
    Rewards of actions are looked for in small games, and in others where a reward of the state
    leaves much unexplained.

    Parameters
    ----------
    beta
        The learner's step size if it learns by temporal differences, in (0, 1]; if not known, the
        likeliest is looked for.
    reward_class
        What the reward may depend on; by default as the evidence says.
    policies
        How policies are estimated.

    Raises
    ------
    TypeError, ValueError
        If ``beta`` is out of range or a name is unknown.
    """

    beta: float | None = None
    reward_class: RewardClass | None = None
    policies: PolicyFit = Smoothing()

    needs_steps = True  # if they were recorded; counts are enough otherwise
    needs_improvements = True

    def __post_init__(self) -> None:
        if self.beta is not None:
            set_fields(self, beta=checks.step_size(self.beta))
        if self.reward_class is not None:
            checks.choice(self.reward_class, "reward_class", REWARD_CLASSES)
        check_fit(self.policies)

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        return _Prepared(self, view, agent, rng)


class _Prepared:
    def __init__(self, auto: Auto, view: View, agent: int, rng: np.random.Generator) -> None:
        self._auto, self._view, self._agent, self._rng = auto, view, agent, rng
        self._made: dict[Estimator, Prepared] = {}
        self._chosen: dict[int, Estimator] = {}

    def reward(self, improvements: int) -> RecoveredReward:
        """See `Prepared`."""
        trials = _Trials()
        for reward_class in REWARD_CLASSES:
            if self._worth_a_look(reward_class, trials):
                for one in self._candidates(reward_class, trials):
                    trials.add(one, self._prepared(one), improvements)
        likeliest = trials.likeliest()
        if self._auto.beta is None and isinstance(likeliest, Replay | Structural):
            again = replace(likeliest, beta=None)  # its step size is looked for
            trials.add(again, self._prepared(again), improvements)
        order = trials.in_order()
        best, reward, fit = order[0]
        self._chosen[improvements] = best
        compared = tuple((brief(one), each.evidence.log_likelihood) for one, _, each in order)
        return replace(reward, diagnostics=LikeliestFit(fit, compared, tuple(self._rivals(order))))

    def _rivals(self, order: list["_Trial"]) -> Iterator[tuple[str, float]]:
        """Of trials, those about as likely as the first."""
        (_, best, fit), *others = order
        mine, dynamics = (np.nan_to_num(best.values), best.reward_class), self._view.dynamics
        for one, reward, its in others:
            wider = max(best.reward_class, reward.reward_class, key=REWARD_CLASSES.index)
            small = entries(dynamics, self._agent, wider) <= MOST_ENTRIES
            if small and its.evidence.log_likelihood > fit.evidence.log_likelihood - NEARLY:
                theirs = np.nan_to_num(reward.values), reward.reward_class
                yield brief(one), likeness(mine, theirs, dynamics, self._agent)

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        """As the likeliest estimator expects it."""
        if improvements not in self._chosen:
            self.reward(improvements)
        fit = reward.diagnostics
        inner = replace(reward, diagnostics=fit.fit) if isinstance(fit, LikeliestFit) else reward
        return self._prepared(self._chosen[improvements]).next_policy(inner, improvements)

    def _worth_a_look(self, reward_class: RewardClass, trials: "_Trials") -> bool:
        """Whether rewards of a class are to be compared, given the fits of narrower ones."""
        if self._auto.reward_class is not None:
            return reward_class == self._auto.reward_class
        dynamics = self._view.dynamics
        own, joint = dynamics.actions[self._agent], dynamics.n_joint_actions
        if reward_class == "joint-action" and own == joint:
            return False  # nobody else has a choice
        return self._few(reward_class) or trials.leave_much()

    def _few(self, reward_class: RewardClass) -> bool:
        return entries(self._view.dynamics, self._agent, reward_class) <= FEW_ENTRIES

    def _candidates(self, reward_class: RewardClass, trials: "_Trials") -> Iterator[Estimator]:
        """Models of the learner; those that take long only if the others leave much open."""
        likeliest = trials.likeliest()
        beta = self._auto.beta or trials.beta(reward_class)
        if likeliest is not None and not self._few(reward_class):
            if isinstance(likeliest, Replay | Structural):
                yield replace(likeliest, reward_class=reward_class)
            return
        policies, played = self._auto.policies, self._view.episodes is not None
        yield Structural(None, "exact", reward_class, policies)
        if reward_class == "state":
            for exact in (SoftPolicyIteration(evaluation="exact"), SoftValueIteration()):
                yield PathLikelihood((exact,), policies=policies)
        if played:
            yield Replay(beta, False, reward_class, policies)
            yield Replay(beta or trials.beta(reward_class), True, reward_class, policies)
        if not played or trials.leave_much():
            yield Structural(beta or trials.beta(reward_class), "td", reward_class, policies)
        if played and reward_class == "state" and trials.leave_much():
            sizes = STEP_SIZES if self._auto.beta is None else (self._auto.beta,)
            yield PathLikelihood(tuple(QLearning(size) for size in sizes), policies=policies)

    def _prepared(self, one: Estimator) -> Prepared:
        if one not in self._made:
            self._made[one] = one.prepare(self._view, self._agent, deepcopy(self._rng))
        return self._made[one]


_Trial = tuple[Estimator, RecoveredReward, LogitFit | PathFit]


class _Trials:
    """What the estimators tried so far have found."""

    def __init__(self) -> None:
        self._found: list[_Trial] = []
        self._nothing: NothingToLearnError | None = None

    def add(self, one: Estimator, prepared: Prepared, improvements: int) -> None:
        """Try one more, if it is another one."""
        if any(one == each for each, _, _ in self._found):
            return
        try:
            reward = prepared.reward(improvements)
        except NothingToLearnError as error:
            self._nothing = error
        else:
            assert isinstance(reward.diagnostics, LogitFit | PathFit)
            self._found.append((one, reward, reward.diagnostics))

    def in_order(self) -> list[_Trial]:
        """The likeliest first; raises if nobody found anything."""
        if not self._found:
            raise self._nothing or NothingToLearnError("nothing that was seen shows a reward")
        return sorted(self._found, key=lambda each: -each[2].evidence.log_likelihood)

    def likeliest(self) -> Estimator | None:
        """The likeliest so far, if there is one."""
        return self.in_order()[0][0] if self._found else None

    def leave_much(self) -> bool:
        """Whether the likeliest leaves more unexplained than a sound result may."""
        return not self._found or not self.in_order()[0][2].evidence.error <= MOST_ERROR

    def beta(self, reward_class: RewardClass) -> float | None:
        """The step size that the likeliest estimator of rewards of a class has found.

        One that was found for another class serves if that left little unexplained.
        """
        for _, reward, fit in self.in_order() if self._found else []:
            same = reward.reward_class == reward_class
            if isinstance(fit, LogitFit) and (same or fit.evidence.error <= MOST_ERROR):
                return fit.beta
        return None


def brief(value: object) -> str:
    """A value by its name and the parameters that are not what they are by default."""
    if isinstance(value, tuple):
        return f"({', '.join(map(brief, value))})"
    if not (isinstance(value, Value) and is_dataclass(value)):
        return repr(value)
    given = [(each.name, getattr(value, each.name), each.default) for each in fields(value)]
    said = [f"{name}={brief(one)}" for name, one, usual in given if one != usual]
    return f"{type(value).__name__}({', '.join(said)})"
