"""The smallest games found in which a statement is false, and games that attain a bound."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from malfl.games.markov import MarkovGame
from malfl.theory import bounds
from malfl.theory.bounds import Bound
from malfl.theory.certificates import log_changes
from malfl.theory.prediction import Prediction
from malfl.theory.statements import improvement, inversion
from malfl.theory.statements.trial import Check

EVEN = (0.5, 0.5)
FIRST, SECOND = (1.0, 0.0), (0.0, 1.0)


@dataclass(frozen=True)
class Counterexample:
    """A statement and a game in which its left side is greater than its right one."""

    check: Check
    prediction: Prediction
    also: str = ""  #: what the check itself brings along

    @property
    def sides(self) -> Bound:
        """What the statement compares."""
        bound = self.check(self.prediction)
        assert bound is not None
        return bound

    @property
    def text(self) -> str:
        """All numbers that define it."""
        return describe(self.prediction) + self.also


def one_agent(
    next_states: Sequence[Sequence[int]],
    reward: npt.ArrayLike,
    guess: npt.ArrayLike,
    policy: npt.ArrayLike,
    *,
    gamma: float,
    alpha: float = 1.0,
) -> Prediction:
    """A game of one agent, all certain; see `Prediction`."""
    game = MarkovGame(
        actions=(len(next_states[0]),),
        transitions=np.array(next_states),
        rewards=[reward],
        start=0,
        gamma=gamma,
    )
    return Prediction(game, [policy], 0, alpha, guess)


def prisoners_dilemma() -> Prediction:
    """One state, gamma 0: both uniform, about to learn that defection pays whatever is done."""
    game = MarkovGame(
        actions=(2, 2),
        transitions=[[0, 0, 0, 0]],
        rewards=[[[3.0, 0.0, 5.0, 1.0]], [[3.0, 5.0, 0.0, 1.0]]],
        start=0,
        gamma=0.0,
    )
    return Prediction(game, [[EVEN], [EVEN]], 0, 1.0, game.rewards[0])


def meeting() -> Prediction:
    """Two agents meet in the first state where they choose alike; the second likes its action 2."""
    alike = [[0, 1, 1, 0]] * 2
    reward = np.array([0.0, 1.0])
    likes = [[0.0, 1.0, 0.0, 1.0]] * 2
    game = MarkovGame(
        actions=(2, 2), transitions=alike, rewards=[reward, likes], start=0, gamma=0.5
    )
    return Prediction(game, [[FIRST, EVEN], [EVEN, EVEN]], 0, 1.0, reward)


def faint_preference(reward: float = 0.1) -> Prediction:
    """Two states, an action for going to each; only the guess has a reward, in the first."""
    return one_agent([[0, 1]] * 2, [0.0, 0.0], [reward, 0.0], [FIRST, FIRST], gamma=0.9)


def reversed_preference(
    reward: Sequence[float], guess: Sequence[float], alpha: float = 1.0
) -> Prediction:
    """One state, gamma 0: the guess prefers the other action."""
    return one_agent([[0, 0]], [reward], [guess], [EVEN], gamma=0.0, alpha=alpha)


def far_sighted_reversal() -> Prediction:
    """The same at the paper's alpha and gamma: two states, each action leads to its own."""
    return one_agent(
        [[0, 1]] * 2, [[10.0, 10.585]] * 2, [[11.2, 9.385]] * 2, [FIRST, SECOND],
        gamma=0.9, alpha=3.0,
    )  # fmt: skip


def hidden_entropy() -> Prediction:
    """No rewards at all: a state where the agent is sure, another where it is not.

    State 0 leads to 1 or 2 and the policy always goes to 1. It never leaves these. It is certain in
    state 1 and uniform in state 2, and entropy is worth something.
    """
    nothing = [0.0, 0.0, 0.0]
    return one_agent([[1, 2], [1, 1], [2, 2]], nothing, nothing, [FIRST, FIRST, EVEN], gamma=0.9)


# Made when they are asked for: importing this module solves nothing.
COUNTEREXAMPLES: dict[str, Callable[[], Counterexample]] = {
    "Definition 4.3": lambda: Counterexample(
        improvement.definition_4_3_as_printed, prisoners_dilemma()
    ),
    "Eq. 5, next action from pi_new": lambda: Counterexample(
        inversion.equation_5_new_actions,
        one_agent([[0, 1], [1, 0]], SECOND, SECOND, [EVEN, FIRST], gamma=0.5),
    ),
    "Theorem 4.7, everyone moving": lambda: Counterexample(
        improvement.theorem_4_7_simultaneous, prisoners_dilemma()
    ),
    "Remark 4.8": lambda: Counterexample(
        improvement.remark_4_8_as_printed, reversed_preference(FIRST, FIRST)
    ),
    "Eq. 8": lambda: Counterexample(inversion.equation_8, reversed_preference(FIRST, FIRST)),
    "Eq. 10": lambda: Counterexample(
        inversion.equation_10_as_printed,
        reversed_preference(FIRST, FIRST),
        also="; lambda = 0.3, against the policy (1e-6, 1), normalised; exponentials",
    ),
    "Eq. 11, opponents after": lambda: Counterexample(inversion.equation_11_after, meeting()),
    "Section 5.2, shaping": lambda: Counterexample(
        inversion.section_5_2_shaping,
        one_agent([[0, 1]] * 2, [0.0, 0.0], FIRST, [EVEN, EVEN], gamma=0.0),
        also="; g = (2, 1)",
    ),
    "Eq. 12": lambda: Counterexample(inversion.equation_12, prisoners_dilemma()),
    "Theorem 6.3, the proof's shaping": lambda: Counterexample(
        bounds.theorem_6_3, faint_preference()
    ),
    "Theorem 6.3, the proof's shaping and average": lambda: Counterexample(
        bounds.theorem_6_3_after, faint_preference()
    ),
    "Eq. 17": lambda: Counterexample(
        bounds.equation_17, reversed_preference((1.0, 0.0), (0.0, 1.0), alpha=2.0)
    ),
    "Theorem 6.5": lambda: Counterexample(
        bounds.theorem_6_5, reversed_preference((10.0, 8.0), (6.0, 12.0))
    ),
    "Theorem A.2, the proof's shaping": lambda: Counterexample(
        bounds.theorem_a_2, faint_preference()
    ),
    "Theorem A.3": lambda: Counterexample(
        bounds.theorem_a_3, reversed_preference((10.0, 8.0), (6.0, 12.0))
    ),
    "LfL Section 4.3": lambda: Counterexample(
        inversion.lfl_section_4_3,
        one_agent([[1, 1], [0, 0]], FIRST, FIRST, [EVEN, EVEN], gamma=0.5),
    ),
}


def attained() -> dict[str, Counterexample]:
    """For each corrected bound a game in which both sides are equal, or nearly so."""
    p, delta = 0.3, 0.2
    t, u = log_changes(p, delta)
    fallen, risen = _coin(p * math.exp(-t)), _coin(p * math.exp(u))
    x = 4.0
    steep = math.expm1(2 * x)
    worst = 1 / (2 * x) - 1 / steep  # the share of states at +x for which K(x) is attained
    new, swapped = [_coin(p)] * 2, [_coin(1 - p)] * 2
    own, other = [FIRST, SECOND], [SECOND, FIRST]
    after_one = _improving([EVEN, FIRST], [EVEN, _coin(p)], [EVEN, fallen], [[1, 1]] * 2)
    towards = _improving([FIRST, FIRST], new, [fallen, risen], [[1, 0], [1, 1]])
    return {
        "T1, above": Counterexample(bounds.t1_above, _improving(other, new, swapped)),
        "T1, below": Counterexample(bounds.t1_below, _improving(own, new, swapped)),
        "T2": Counterexample(bounds.t2, _lopsided(worst, x)),
        "T2, log ratios": Counterexample(bounds.t2_ratios, _lopsided(1e-7, x)),
        "T3": Counterexample(bounds.t3, after_one),
        "T3, under pi": Counterexample(bounds.t3_before, towards),
        "T4": Counterexample(bounds.t4, towards),
    }


def describe(p: Prediction) -> str:
    """A small game in which all is certain, in words and numbers."""
    table = p.game.transitions.indices.reshape(p.game.n_states, -1)
    parts = [f"gamma {p.game.gamma:g}, alpha {p.alpha:g}"]
    if p.game.n_states > 1:
        parts.append("next states " + _listed(table + 1))
    if p.game.n_agents == 1:
        parts.append("R = " + _listed(p.game.rewards[0]))
        parts.append("pi = " + _listed(p.policy))
    else:
        parts += [f"R^{i} = {_listed(r)}" for i, r in enumerate(p.game.rewards)]
        parts += [f"pi^{i} = {_listed(policy)}" for i, policy in enumerate(p.policies)]
    if not np.array_equal(p.guess, p.game.rewards[p.agent]):
        parts.append("guess " + _listed(p.guess))
    return "; ".join(parts)


def _listed(values: npt.ArrayLike) -> str:
    """Numbers in brackets, a row for each state; the brackets of a single row are left out."""
    array = np.asarray(values)
    if array.ndim == 0:
        return f"{array:.6g}"
    if array.ndim == 2 and len(array) == 1:
        array = array[0]
    return "(" + ", ".join(_listed(row) for row in array) + ")"


def _coin(probability: float) -> tuple[float, float]:
    return probability, 1 - probability


def _improving(
    policy: npt.ArrayLike,
    new: npt.ArrayLike,
    predicted: npt.ArrayLike,
    next_states: Sequence[Sequence[int]] = ((0, 1), (0, 1)),
    gamma: float = 0.9,
) -> Prediction:
    """A game in which a policy becomes ``new`` and is expected to become ``predicted``.

    Theorem 5.1 gives a reward for either.
    """
    before = np.asarray(policy, dtype=np.float64)
    table = np.array(next_states)

    def reward(improved: npt.ArrayLike) -> npt.NDArray[np.float64]:
        logs = np.log(improved)
        divergence = (xlogy(before, before) - before * logs).sum(axis=1)
        return np.asarray(logs + gamma * divergence[table])

    return one_agent(next_states, reward(new), reward(predicted), before, gamma=gamma)


def _lopsided(q: float, x: float) -> Prediction:
    """Each action leads to its own state for good; errors of either sign add up to x."""
    start = _improving([FIRST, SECOND], [_coin(q)] * 2, [_coin(q)] * 2)
    error = x * (1 - start.game.gamma) * np.array([1.0, -1.0])
    reward = start.game.joint_reward(0)
    return Prediction(start.game, start.policies, 0, 1.0, reward + error)
