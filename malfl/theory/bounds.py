"""Both sides of the inequalities on rewards and predictions (MA-LfL, Section 6 and Appendix A).

The papers' and the corrected ones, where the true reward is known. With d = ln pi-hat_new - ln
pi_new and any state function g, everything rests on one identity,

    E[R-hat - R - sh_c](s, a) = alpha (d(s, a) - gamma E[d(s', a')]),

where s' follows (s, a) among the others, a' ~ pi, and sh_c is the shaping by alpha (ln Z-hat -
ln Z), called canonical here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.theory.certificates import largest_divergence, log_changes
from malfl.theory.prediction import Prediction

RELATIVE = 1e-8  #: by how much of it a right-hand side may be passed, for rounding
ABSOLUTE = 1e-12  #: and by how much of the size of what is compared


@dataclass(frozen=True)
class Bound:
    """The two sides of "left is at most right"."""

    left: float
    right: float
    size: float = 1.0  #: of what is compared; rounding errors are a tiny part of it

    @property
    def ratio(self) -> float:
        """Left / right, 1 if the bound is attained; NaN where both are no more than rounding."""
        room = ABSOLUTE * self.size
        if abs(self.left) <= room and abs(self.right) <= room:
            return math.nan
        return self.left / self.right if self.right > 0 else math.inf

    @property
    def holds(self) -> bool:
        """Whether left is at most right, rounding aside."""
        return self.left <= self.right * (1 + RELATIVE) + ABSOLUTE * self.size


@progress.interruptible
def report(prediction: Prediction) -> pd.DataFrame:
    """Both sides of every inequality, the papers' and the corrected ones.

    Returns
    -------
    DataFrame
        Columns ``statement``, ``left``, ``right``, ``ratio``, ``holds``. Statements on rewards of
        the state only are left out for others.
    """
    checks.instance(prediction, Prediction, "prediction", "of an improvement")
    rows = []
    for statement, both_sides in INEQUALITIES.items():
        if prediction.state_only or statement not in STATE_ONLY:
            bound = both_sides(prediction)
            rows.append((statement, bound.left, bound.right, bound.ratio, bound.holds))
    return pd.DataFrame(rows, columns=["statement", "left", "right", "ratio", "holds"])


def identity(prediction: Prediction) -> Bound:
    """How far the identity is off: ``sup |canonical error - alpha (d - gamma E[d(s', a')])|``."""
    found = prediction.shaped_error(prediction.canonical)
    expected = prediction.change - prediction.game.gamma * _change_ahead(prediction)
    off = np.abs(found - prediction.alpha * expected).max()
    return Bound(float(off), 1e-10 * _reward_size(prediction))


def equation_15(prediction: Prediction) -> Bound:
    """By definition, alpha (ln pi_new - ln pi-hat_new) = E[Q of R + sh_c] - E[Q of R-hat]."""
    true, g = prediction.reward, prediction.canonical
    shaped = true + g[:, None] - prediction.game.gamma * prediction.ahead(g)
    q = prediction.soft_q(shaped, prediction.policy)
    q_hat = prediction.soft_q(true + prediction.error, prediction.policy)
    alpha = prediction.alpha
    legal = prediction.legal
    predicted = log_softmax(np.where(legal, q_hat / alpha, -np.inf), axis=1)
    off = alpha * (prediction.logs[legal] - predicted[legal]) - (q - q_hat)[legal]
    return Bound(float(np.abs(off).max()), 1e-10 * (1 + float(np.abs(q).max() + np.abs(g).max())))


def equation_17(prediction: Prediction) -> Bound:
    """``|E_pi_new[canonical error]| <= KL + gamma |E[d(s', a')]|``, without alpha, as printed.

    The others play their policies from before, where Eq. 17 has those from after. In the state
    where it holds least.
    """
    new = np.exp(prediction.logs)
    left = np.abs((new * prediction.shaped_error(prediction.canonical)).sum(axis=1))
    ahead = np.abs((new * _change_ahead(prediction)).sum(axis=1))
    right = prediction.divergence + prediction.game.gamma * ahead
    worst = int(np.argmax(left - right))
    return Bound(float(left[worst]), float(right[worst]), _reward_size(prediction))


def theorem_6_1(prediction: Prediction) -> Bound:
    """Canonical error <= delta alpha (1 + gamma), ``delta = sup |d|`` (also Theorem A.1)."""
    delta = float(np.abs(prediction.change).max())
    right = delta * prediction.alpha * (1 + prediction.game.gamma)
    return Bound(_canonical_error(prediction), right, _reward_size(prediction))


def corollary_6_2(prediction: Prediction) -> Bound:
    """`theorem_6_1` for rewards of the state; the shaping depends on s and a^i.

    Raises
    ------
    ValueError
        If the reward or the guess depends on actions.
    """
    _refuse_actions(prediction)
    return theorem_6_1(prediction)


def theorem_6_3_as_written(prediction: Prediction) -> Bound:
    """``|R-hat - E_pi[R + sh]| <= epsilon`` for *some* shaping: here the one that makes it 0.

    That shaping is by g = (I - gamma P_pi)^-1 E_pi[R-hat - R], and there is no need for a premise.
    The right-hand side is what rounding leaves, for any delta however small.
    """
    return _vacuous(prediction, prediction.policy)


def theorem_6_3(prediction: Prediction) -> Bound:
    """Canonical shaping, under pi: ``<= delta (1 + gamma |A| e^(Delta / alpha (1 - gamma)))``.

    The reading of the statement that its proof suggests.

    Raises
    ------
    ValueError
        If the reward or the guess depends on actions.
    """
    _refuse_actions(prediction)
    gamma = prediction.game.gamma
    return _mean_error(prediction, prediction.policy, gamma)


def theorem_6_3_after(prediction: Prediction) -> Bound:
    """`theorem_6_3` with the average under pi_new that its proof takes."""
    _refuse_actions(prediction)
    return _mean_error(prediction, np.exp(prediction.logs), prediction.game.gamma)


def theorem_a_2_as_written(prediction: Prediction) -> Bound:
    """As `theorem_6_3_as_written`, averages taken under pi_new."""
    return _vacuous(prediction, np.exp(prediction.logs))


def theorem_a_2(prediction: Prediction) -> Bound:
    """Canonical shaping, under pi_new: ``<= delta (1 + |A| e^(Delta / alpha (1 - gamma)))``."""
    return _mean_error(prediction, np.exp(prediction.logs), 1.0)


def theorem_6_5(prediction: Prediction) -> Bound:
    """``KL <= delta (1 / (alpha (1 - gamma)) + |A| e^(-inf R / alpha))``, delta the least error."""
    return _papers_divergence(prediction, prediction.alpha)


def theorem_a_3(prediction: Prediction) -> Bound:
    """`theorem_6_5` with e^(-inf R) instead, as stated in Appendix A."""
    return _papers_divergence(prediction, 1.0)


def rho(prediction: Prediction) -> float:
    """Sup pi / pi_new, 1 or more; infinite if too large for a float."""
    return _exp(-_log_inverse_rho(prediction))


def t1_above(prediction: Prediction) -> Bound:
    """T1: E* <= alpha (1 + gamma) omega / 2, omega = sup_s (max - min over actions of d)."""
    right = prediction.alpha * (1 + prediction.game.gamma) * _spread(prediction) / 2
    return Bound(prediction.least_error, right, _reward_size(prediction))


def t1_below(prediction: Prediction) -> Bound:
    """T1: alpha (1 - gamma) omega / 2 <= E*."""
    left = prediction.alpha * (1 - prediction.game.gamma) * _spread(prediction) / 2
    return Bound(left, prediction.least_error, _reward_size(prediction))


def t2(prediction: Prediction) -> Bound:
    """T2: KL <= K(x), x = E* / (alpha (1 - gamma)); see `certified_prediction_error`."""
    x = prediction.least_error / (prediction.alpha * (1 - prediction.game.gamma))
    return Bound(_divergence(prediction), largest_divergence(x))


def t2_ratios(prediction: Prediction) -> Bound:
    """T2: ``sup |d| <= 2 x``."""
    x = prediction.least_error / (prediction.alpha * (1 - prediction.game.gamma))
    size = _reward_size(prediction) / prediction.alpha
    return Bound(float(np.abs(prediction.change).max()), 2 * x, size)


def t3(prediction: Prediction) -> Bound:
    """T3: E_pi_new of the canonical error <= alpha max(delta + gamma u, gamma t).

    delta = sup KL, (t, u) = `log_changes` (1 / rho, delta), rho = sup pi / pi_new.
    """
    gamma, delta = prediction.game.gamma, _divergence(prediction)
    fall, rise = log_changes(_inverse_rho(prediction), delta)
    right = prediction.alpha * (max(delta + gamma * rise, gamma * fall) if gamma else delta)
    return Bound(_mean_canonical_error(prediction), right, _reward_size(prediction))


def t3_before(prediction: Prediction) -> Bound:
    """T3: E_pi of the canonical error <= alpha (t + gamma u), (t, u) as for `t3`."""
    gamma = prediction.game.gamma
    fall, rise = log_changes(_inverse_rho(prediction), _divergence(prediction))
    error = prediction.shaped_error(prediction.canonical)
    left = float(np.abs((prediction.policy * error).sum(axis=1)).max())
    right = prediction.alpha * (fall + (gamma * rise if gamma else 0.0))
    return Bound(left, right, _reward_size(prediction))


def t3_closed(prediction: Prediction) -> Bound:
    """T3 in closed form: <= alpha (delta + gamma rho (delta + sqrt(delta / 2)))."""
    gamma, delta = prediction.game.gamma, _divergence(prediction)
    inverse = _inverse_rho(prediction)
    second = (delta + math.sqrt(delta / 2)) / inverse if inverse > 1e-300 else math.inf
    right = prediction.alpha * (delta + gamma * second if gamma else delta)
    return Bound(_mean_canonical_error(prediction), right, _reward_size(prediction))


def rho_bound(prediction: Prediction) -> Bound:
    """``ln rho <= ln |A| + (Delta + gamma alpha ln |A|) / (alpha (1 - gamma))``.

    For rewards of the state, gamma Delta takes the place of Delta.
    """
    alpha, gamma = prediction.alpha, prediction.game.gamma
    actions = math.log(prediction.policy.shape[1])
    gap = _range(prediction) * (gamma if prediction.state_only else 1.0)
    right = actions + (gap + gamma * alpha * actions) / (alpha * (1 - gamma))
    return Bound(-_log_inverse_rho(prediction), float(right))


def t4(prediction: Prediction) -> Bound:
    """T4: canonical error <= alpha (t + gamma u), (t, u) = `log_changes` (min pi_new, sup KL)."""
    gamma = prediction.game.gamma
    fall, rise = log_changes(_least_probability(prediction), _divergence(prediction))
    right = prediction.alpha * (fall + (gamma * rise if gamma else 0.0))
    return Bound(_canonical_error(prediction), right, _reward_size(prediction))


def t4_closed(prediction: Prediction) -> Bound:
    """T4 in closed form: <= alpha (1 + gamma) (-ln(1 - sqrt(delta / 2) / min pi_new)).

    It says nothing (infinity) unless sqrt(delta / 2) is below the least probability.
    """
    share = math.sqrt(_divergence(prediction) / 2)
    least = _least_probability(prediction)
    known = least > 1e-300 and share < least  # no less would be seen beside a smaller one
    change = -math.log1p(-share / least) if known else math.inf
    right = prediction.alpha * (1 + prediction.game.gamma) * change
    return Bound(_canonical_error(prediction), right, _reward_size(prediction))


INEQUALITIES: dict[str, Callable[[Prediction], Bound]] = {
    "Theorem 6.1": theorem_6_1,
    "Corollary 6.2": corollary_6_2,
    "Theorem 6.3": theorem_6_3_as_written,
    "Theorem 6.3, the proof's shaping": theorem_6_3,
    "Theorem 6.3, the proof's shaping and average": theorem_6_3_after,
    "Theorem 6.5": theorem_6_5,
    "Theorem A.1": theorem_6_1,
    "Theorem A.2": theorem_a_2_as_written,
    "Theorem A.2, the proof's shaping": theorem_a_2,
    "Theorem A.3": theorem_a_3,
    "T1, above": t1_above,
    "T1, below": t1_below,
    "T2": t2,
    "T2, log ratios": t2_ratios,
    "T3": t3,
    "T3, under pi": t3_before,
    "T3, closed form": t3_closed,
    "T3, bound on rho": rho_bound,
    "T4": t4,
    "T4, closed form": t4_closed,
}
STATE_ONLY = {name for name in INEQUALITIES if name.startswith(("Corollary 6.2", "Theorem 6.3"))}


def _refuse_actions(prediction: Prediction) -> None:
    if not prediction.state_only:
        raise ValueError("reward and guess must be of shape (S,), of the state only")


def _reward_size(prediction: Prediction) -> float:
    """Of the numbers that errors of rewards are computed from."""
    sizes = np.abs(prediction.error).max() + np.abs(prediction.q_error).max()
    return float(sizes + prediction.alpha)


def _range(prediction: Prediction) -> float:
    """From the agent's lowest reward to its highest."""
    return float(np.ptp(prediction.reward[prediction.legal]))


def _least_probability(prediction: Prediction) -> float:
    """The least of pi_new."""
    return float(np.exp(prediction.logs[prediction.legal].min()))


def _canonical_error(prediction: Prediction) -> float:
    return float(np.abs(prediction.shaped_error(prediction.canonical)).max())


def _mean_canonical_error(prediction: Prediction) -> float:
    error = prediction.shaped_error(prediction.canonical)
    return float(np.abs((np.exp(prediction.logs) * error).sum(axis=1)).max())


def _change_ahead(prediction: Prediction) -> FloatArray:
    return prediction.ahead((prediction.policy * prediction.change).sum(axis=1))


def _divergence(prediction: Prediction) -> float:
    return float(prediction.divergence.max())


def _spread(prediction: Prediction) -> float:
    return float(np.ptp(prediction.change, axis=1).max())


def _log_inverse_rho(prediction: Prediction) -> float:
    played = prediction.policy > 0
    return float((prediction.logs[played] - np.log(prediction.policy[played])).min())


def _inverse_rho(prediction: Prediction) -> float:
    return min(math.exp(_log_inverse_rho(prediction)), 1.0)


def _vacuous(prediction: Prediction, average: FloatArray) -> Bound:
    """|E[R-hat - R - sh]| for the shaping that makes it 0, against rounding."""
    g = prediction.discounted(average, (average * prediction.error).sum(axis=1))
    left = np.abs((average * prediction.shaped_error(g)).sum(axis=1)).max()
    return Bound(float(left), 1e-10 * (float(np.abs(g).max()) + _reward_size(prediction)))


def _mean_error(prediction: Prediction, average: FloatArray, factor: float) -> Bound:
    """|E[R-hat - R - sh_c]| against delta (1 + factor |A| e^(Delta / (alpha (1 - gamma))))."""
    error = prediction.shaped_error(prediction.canonical)
    left = float(np.abs((average * error).sum(axis=1)).max())
    delta = _divergence(prediction)
    gap = _range(prediction)
    exponent = gap / (prediction.alpha * (1 - prediction.game.gamma))
    right = delta
    if delta * factor > 0:
        right += _exp(math.log(delta * factor * prediction.policy.shape[1]) + exponent)
    return Bound(left, right, _reward_size(prediction))


def _papers_divergence(prediction: Prediction, divisor: float) -> Bound:
    """KL against delta (1 / (alpha (1 - gamma)) + |A| e^(-inf R / divisor)), delta = E*."""
    delta = prediction.least_error
    least = float(prediction.game.rewards[prediction.agent].min())
    right = delta / (prediction.alpha * (1 - prediction.game.gamma))
    if delta > 0:
        right += _exp(math.log(delta * prediction.policy.shape[1]) - least / divisor)
    return Bound(_divergence(prediction), right)


def _exp(exponent: float) -> float:
    return math.exp(exponent) if exponent < 700 else math.inf
