"""The estimator for those who do not know how an agent learns: the likeliest of several."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.learners.q_learning import QLearning
from malfl.learners.soft_policy_iteration import SoftPolicyIteration
from malfl.learners.soft_value_iteration import SoftValueIteration
from malfl.play.view import View
from malfl.recovery.classes import RewardSpace, Space, check_space, space_of
from malfl.recovery.estimator import Estimator, Prepared
from malfl.recovery.likeliest import Trials
from malfl.recovery.path import PathLikelihood
from malfl.recovery.policies import PolicyFit, Smoothing, check_fit
from malfl.recovery.replay import Replay
from malfl.recovery.reward import REWARD_CLASSES, RecoveredReward, RewardClass
from malfl.recovery.shown import MOST_ENTRIES
from malfl.recovery.step_size import settled
from malfl.recovery.structural import MOST_SLOPES, Structural
from malfl.values import Value, set_fields

STEP_SIZES = (0.05, 0.1, 0.2, 0.5)  # of Q-learning, if it is not known ...
CLOSER = (1.4, 1.2, 1.1)  # ... and by how much from the likeliest those are that are tried next
MOST_WORK = 3e8  # steps times entries up to which Q-learning is tried; each fit takes some seconds


@dataclass(frozen=True)
class Auto(Value):
    """Compares models of the learner by their evidence, and takes the likeliest.

    These are exact values and values by temporal differences, read from counts; exact soft policy
    iteration and soft value iteration along the whole path; with recorded episodes also replay,
    with the next action drawn or executed, and, where these leave much unexplained, with values
    that go on from one policy to the next and with steps that fall; and Q-learning, if there are
    not too many steps. Rewards of actions are looked for in small games, and in others where a
    reward of the state leaves much unexplained. In large games exact values are tried first, and
    the rest only where these leave much unexplained.

    Parameters
    ----------
    beta
        The learner's step size if it learns by temporal differences, in (0, 1]; if not known, the
        likeliest is looked for.
    reward_class
        What the reward may depend on, as for `malfl.Structural`; by default as the evidence says.
    policies
        How policies are estimated.

    Raises
    ------
    TypeError, ValueError
        If ``beta`` is out of range or a name is unknown.
    """

    beta: float | None = None
    reward_class: RewardSpace | None = None
    policies: PolicyFit = Smoothing()

    needs_steps = True  # if they were recorded; counts are enough otherwise
    needs_improvements = True

    def __post_init__(self) -> None:
        if self.beta is not None:
            set_fields(self, beta=checks.step_size(self.beta))
        check_space(self.reward_class)
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
        trials = Trials(self._view.dynamics, self._agent)
        named = self._auto.reward_class
        large: list[tuple[RewardSpace, RewardClass]] = []  # in which the rest takes minutes
        for one in REWARD_CLASSES if named is None else (named,):
            space = space_of(self._view.dynamics, self._agent, one)
            name = space.reward_class
            if named is None and not trials.worth_a_look(name, MOST_ENTRIES):
                continue
            if self._large(space, improvements):
                exact = Structural(None, "exact", one, self._auto.policies)
                trials.add(exact, self._prepared(exact), improvements)
                large.append((one, name))
            else:
                self._try(one, name, trials, improvements)
        for one, name in large:
            if trials.leave_much() and (named is not None or trials.worth_a_look(name)):
                self._try(one, name, trials, improvements)
        likeliest = trials.likeliest()
        if self._auto.beta is None and isinstance(likeliest, Replay | Structural):
            again = replace(likeliest, beta=None)  # its step size is looked for
            trials.add(again, self._prepared(again), improvements)
        self._chosen[improvements] = trials.in_order()[0].estimator
        found = trials.chosen()
        return settled(found) if self._auto.beta is None else found

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        """As the likeliest estimator expects it."""
        if improvements not in self._chosen:
            self.reward(improvements)
        return self._prepared(self._chosen[improvements]).next_policy(reward, improvements)

    def _try(self, one: RewardSpace, name: RewardClass, trials: Trials, improvements: int) -> None:
        for each in self._candidates(one, name, trials):
            trials.add(each, self._prepared(each), improvements)

    def _large(self, space: Space, improvements: int) -> bool:
        """Whether logits have too many slopes to try everything, if exact values explain enough."""
        slopes = improvements * self._view.own_counts(self._agent)[0].size
        return self._auto.beta is None and slopes * space.numbers > MOST_SLOPES

    def _candidates(
        self, one: RewardSpace, name: RewardClass, trials: Trials
    ) -> Iterator[Estimator]:
        """Models of the learner; those that take long only if the others leave much open."""
        likeliest, policies = trials.likeliest(narrower_than=name), self._auto.policies
        beta = self._auto.beta or trials.beta(name)
        if likeliest is not None and not trials.few(name):
            if isinstance(likeliest, Replay | Structural):
                yield replace(likeliest, reward_class=one)
            return
        played = self._view.episodes is not None
        yield Structural(None, "exact", one, policies)
        for exact in (SoftPolicyIteration(evaluation="exact"), SoftValueIteration()):
            yield PathLikelihood((exact,), None, one, policies)
        if played:
            yield Replay(beta, False, one, policies)
            yield Replay(beta or trials.beta(name), True, one, policies)
        if played and trials.leave_much():
            yield from self._variants(one, beta or trials.beta(name), trials)
        if not played or trials.leave_much():
            yield Structural(beta or trials.beta(name), "td", one, policies)
        if played and trials.leave_much():
            yield from self._q_learning(one, trials)

    def _variants(
        self, one: RewardSpace, beta: float | None, trials: Trials
    ) -> Iterator[Estimator]:
        """Replay of values that go on from policy to policy, or of means, or both."""
        likeliest = trials.likeliest()
        executed = isinstance(likeliest, Replay) and likeliest.executed
        for kept, falling in ((True, 0.0), (False, 1.0), (True, 1.0)):
            first = 1.0 if falling else beta
            yield Replay(first, executed, one, self._auto.policies, kept, falling)

    def _q_learning(self, one: RewardSpace, trials: Trials) -> Iterator[Estimator]:
        """Q-learning with some step sizes, and then with those near the likeliest."""
        dynamics = self._view.dynamics
        numbers = space_of(dynamics, self._agent, one).entries
        if float(self._view.counts.sum()) * numbers > MOST_WORK:
            return

        def path(beta: float) -> Estimator:
            return PathLikelihood((QLearning(beta),), None, one, self._auto.policies)

        if self._auto.beta is not None:
            yield path(self._auto.beta)
            return
        yield from map(path, STEP_SIZES)
        for factor in CLOSER:
            likeliest = trials.likeliest()
            best = likeliest.learners[0] if isinstance(likeliest, PathLikelihood) else None
            if isinstance(best, QLearning):
                yield path(best.beta / factor)
                yield path(min(best.beta * factor, 1.0))

    def _prepared(self, one: Estimator) -> Prepared:
        if one not in self._made:
            self._made[one] = one.prepare(self._view, self._agent, deepcopy(self._rng))
        return self._made[one]
