"""Several fits of the same data, of which the likeliest is taken."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from typing import NamedTuple

import numpy as np

from malfl.checks import FloatArray
from malfl.games.markov import Dynamics
from malfl.play.view import View
from malfl.recovery.classes import Features, RewardSpace, entries
from malfl.recovery.estimator import Estimator, Prepared
from malfl.recovery.logit import LogitFit
from malfl.recovery.reward import (
    REWARD_CLASSES,
    NothingToLearnError,
    Promising,
    RecoveredReward,
    RewardClass,
)
from malfl.recovery.shown import MOST_ENTRIES, likeness
from malfl.recovery.verdict import MOST_ERROR, NEARLY
from malfl.values import Value

FEW_ENTRIES = 300  # of a reward: wider classes of at most so many are always compared ...
MANY_ENTRIES = 1000  # ... and of at most so many where narrower ones leave much unexplained


class Trial(NamedTuple):
    """An estimator, and what it found."""

    estimator: Estimator
    reward: RecoveredReward
    fit: Promising


class Trials:
    """What the estimators tried so far have found of one agent's reward."""

    def __init__(self, dynamics: Dynamics, agent: int) -> None:
        self._dynamics, self._agent = dynamics, agent
        self._found: list[Trial] = []
        self._nothing: NothingToLearnError | None = None

    def add(self, one: Estimator, prepared: Prepared, improvements: int) -> None:
        """Try one more, if it is another one."""
        if any(one == each.estimator for each in self._found):
            return
        try:
            reward = prepared.reward(improvements)
        except NothingToLearnError as error:
            self._nothing = error
        else:
            assert isinstance(reward.diagnostics, Promising)
            self._found.append(Trial(one, reward, reward.diagnostics))

    def in_order(self) -> list[Trial]:
        """Sorted by evidence; raises if nobody found anything.

        Of those within ``NEARLY`` of the best, the likeliest with an error of at most
        ``MOST_ERROR`` comes first, if there is one.
        """
        if not self._found:
            raise self._nothing or NothingToLearnError("nothing that was seen shows a reward")
        order = sorted(self._found, key=lambda each: -each.fit.evidence.log_likelihood)
        least = order[0].fit.evidence.log_likelihood - NEARLY
        for k, each in enumerate(order):
            if each.fit.evidence.log_likelihood > least and each.fit.evidence.error <= MOST_ERROR:
                return [each, *order[:k], *order[k + 1 :]]
        return order

    def likeliest(self, narrower_than: RewardClass | None = None) -> Estimator | None:
        """The likeliest so far, if any; of rewards of narrower classes only, if one is named."""
        most = len(REWARD_CLASSES) if narrower_than is None else REWARD_CLASSES.index(narrower_than)
        for one in self.in_order() if self._found else []:
            if REWARD_CLASSES.index(one.reward.reward_class) < most:
                return one.estimator
        return None

    def leave_much(self) -> bool:
        """Whether the likeliest leaves more unexplained than a sound result may."""
        return not self._found or not self.in_order()[0].fit.evidence.error <= MOST_ERROR

    def beta(self, reward_class: RewardClass) -> float | None:
        """The step size that the likeliest estimator of rewards of a class has found.

        One of another class does not serve: with too narrow a class, a fit makes up by too large a
        step size for what the reward cannot explain.
        """
        for _, reward, fit in self.in_order() if self._found else []:
            if isinstance(fit, LogitFit) and reward.reward_class == reward_class:
                return fit.beta
        return None

    def few(self, reward_class: RewardClass) -> bool:
        """Whether a reward of a class has so few entries that it is always compared."""
        return entries(self._dynamics, self._agent, reward_class) <= FEW_ENTRIES

    def worth_a_look(self, reward_class: RewardClass, most: int = MANY_ENTRIES) -> bool:
        """Whether rewards of a class are to be compared, given the fits of narrower ones.

        Of those of more than 300 entries only if these leave much, and up to ``most`` entries.
        """
        own, joint = self._dynamics.actions[self._agent], self._dynamics.n_joint_actions
        if reward_class == "joint-action" and own == joint:
            return False  # nobody else has a choice
        if reward_class == "state" or self.few(reward_class):
            return True
        number = entries(self._dynamics, self._agent, reward_class)
        return number <= most and self.leave_much()

    def chosen(self) -> RecoveredReward:
        """The reward that comes first, with all that it was compared with."""
        order = self.in_order()
        compared = [(brief(each.estimator), each.fit.evidence.log_likelihood) for each in order]
        rivals = tuple(self._rivals(order))
        likeliest = order[0].estimator
        assert isinstance(likeliest, Value)
        return replace(
            order[0].reward, compared=tuple(compared), rivals=rivals, likeliest=likeliest
        )

    def _small(self, reward_class: RewardClass) -> bool:
        return entries(self._dynamics, self._agent, reward_class) <= MOST_ENTRIES

    def _rivals(self, order: list[Trial]) -> Iterator[tuple[str, float]]:
        """Of trials, those about as likely as the first."""
        best, *others = order
        mine = np.nan_to_num(best.reward.values), best.reward.reward_class
        least = best.fit.evidence.log_likelihood - NEARLY
        for one in others:
            theirs = np.nan_to_num(one.reward.values), one.reward.reward_class
            wider = max(mine[1], theirs[1], key=REWARD_CLASSES.index)
            if self._small(wider) and one.fit.evidence.log_likelihood > least:
                yield brief(one.estimator), likeness(mine, theirs, self._dynamics, self._agent)


class Likeliest:
    """Estimators prepared for each class of rewards that is worth a look; the likeliest serves.

    Parameters
    ----------
    in_class
        The estimators of rewards of a class, or of features.
    named
        The only class, if there is one.
    """

    def __init__(
        self,
        in_class: Callable[[RewardSpace], Sequence[Estimator]],
        named: RewardSpace | None,
        view: View,
        agent: int,
        rng: np.random.Generator,
    ) -> None:
        self._in_class, self._named = in_class, named
        self._view, self._agent, self._rng = view, agent, rng
        self._made: list[tuple[Estimator, Prepared]] = []  # not all estimators can be hashed

    def reward(self, improvements: int) -> RecoveredReward:
        """See `Prepared`."""
        trials = Trials(self._view.dynamics, self._agent)
        for one in REWARD_CLASSES:
            if self._named is None and trials.worth_a_look(one):
                self._try(one, trials, improvements)
        if self._named is not None:
            self._try(self._named, trials, improvements)
        return trials.chosen()

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        """As the one that found the reward expects it, or else the first of its class."""
        first = self._in_class(self._named or reward.reward_class)[0]
        found = reward.likeliest
        return self._prepared(found if isinstance(found, Estimator) else first).next_policy(
            reward, improvements
        )

    def _try(self, reward_class: RewardSpace, trials: Trials, improvements: int) -> None:
        for one in self._in_class(reward_class):
            trials.add(one, self._prepared(one), improvements)

    def _prepared(self, one: Estimator) -> Prepared:
        for known, prepared in self._made:
            if known == one:
                return prepared
        self._made.append((one, one.prepare(self._view, self._agent, deepcopy(self._rng))))
        return self._made[-1][1]


def brief(value: object) -> str:
    """A value by its name and the parameters that are not what they are by default."""
    if isinstance(value, tuple):
        return f"({', '.join(map(brief, value))})"
    if isinstance(value, Features):
        return f"{value.phi.shape[-1]} features"
    if not (isinstance(value, Value) and is_dataclass(value)):
        return repr(value)
    given = [(each.name, getattr(value, each.name), each.default) for each in fields(value)]
    said = [f"{name}={brief(one)}" for name, one, usual in given if one != usual]
    return f"{type(value).__name__}({', '.join(said)})"
