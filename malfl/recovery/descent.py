"""The consistency of all improvements approached as MA-LfL does, by descent."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, hstack

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.games.markov import Policies
from malfl.kernels import descent as kernel
from malfl.play.view import View
from malfl.recovery.by_consistency import ByConsistency, ConsistencyFit, Solution
from malfl.recovery.consistency import ConsistencySystem, Fit, consistency_system, finish
from malfl.recovery.estimator import Prepared
from malfl.recovery.next_policy import exact_next_policy
from malfl.recovery.policies import PolicyFit, Smoothing, check_fit, estimate_policies
from malfl.recovery.reward import NothingToLearnError, RecoveredReward
from malfl.values import Value, set_fields

CALL_STEPS = 100  # steps of Adam in one call of the kernel, some milliseconds on the papers' grid


@dataclass(frozen=True)
class Adam(ByConsistency):
    """Descent from zero, as in Table 3; see `ByConsistency`.

    Parameters
    ----------
    steps, rate
        Of Adam; Table 3's by default.
    """

    steps: int = 1000
    rate: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        set_fields(
            self, steps=checks.count(self.steps, "steps"), rate=checks.squarable(self.rate, "rate")
        )

    def solve(self, system: ConsistencySystem) -> Solution:
        """Go down the loss for some steps."""
        return Solution(descend(system, self.steps, self.rate))


@dataclass(frozen=True)
class MiniBatchAdam(Value):
    """Section 5.3's semi-online way: after each iteration, descent on the newest improvement alone.

    One reward R(s) is moved on from iteration to iteration.

    Parameters
    ----------
    steps, rate
        Of Adam, after each iteration.
    policies
        How policies are estimated.
    """

    steps: int = 1000
    rate: float = 0.01
    policies: PolicyFit = Smoothing()

    needs_steps = False
    needs_improvements = True

    def __post_init__(self) -> None:
        set_fields(
            self, steps=checks.count(self.steps, "steps"), rate=checks.squarable(self.rate, "rate")
        )
        check_fit(self.policies)

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        return _PreparedMiniBatch(self, view, agent, estimate_policies(view, self.policies, rng))


class _PreparedMiniBatch:
    def __init__(
        self, estimator: MiniBatchAdam, view: View, agent: int, policies: Policies
    ) -> None:
        self._estimator, self._view, self._agent = estimator, view, agent
        self._policies = policies
        self._touched = np.zeros(view.dynamics.n_states, dtype=bool)
        self._fits: list[tuple[Fit, RecoveredReward]] = []

    def reward(self, improvements: int) -> RecoveredReward:
        while len(self._fits) < improvements:
            self._go_on()
        return self._fits[improvements - 1][1]

    def _go_on(self) -> None:
        h, view, one = len(self._fits), self._view, self._estimator
        newest = [policies[h : h + 2] for policies in self._policies]
        system = consistency_system(view.dynamics, newest, self._agent, view.unit, "state")
        start = self._fits[-1][0].reward if self._fits else None
        fit = descend(system, one.steps, one.rate, start=start)
        self._touched |= system.touched
        if not self._touched.any():
            raise NothingToLearnError(
                "no state was visited both before and after an improvement; observe more episodes"
            )
        found = RecoveredReward(
            values=np.where(self._touched, fit.reward, np.nan),
            reward_class="state",
            diagnostics=ConsistencyFit(*fit[2:], fit.shapings.reshape(-1, system.states), system),
        )
        self._fits.append((fit, found))

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        now = [policies[improvements] for policies in self._policies]
        view = self._view
        return exact_next_policy(view.dynamics, now, self._agent, view.unit, reward)


def descend(
    system: ConsistencySystem,
    steps: int = 1000,
    rate: float = 0.01,
    start: FloatArray | None = None,
) -> Fit:
    """Minimise the weighted sum of squared residuals by Adam (Table 3's defaults).

    Shapings begin at zero, and so does the reward unless ``start`` (flat) is given.

    Raises
    ------
    ValueError
        If ``steps`` is less than 1 or ``rate`` not greater than 0.
    """
    both = csr_array(hstack([system.reward, system.shaping], format="csr"))
    steps, rate = checks.count(steps, "steps"), checks.squarable(rate, "rate")
    size = system.reward.shape[1]
    x = np.zeros(both.shape[1])
    if start is not None:
        x[:size] = start
    mean, square = np.zeros_like(x), np.zeros_like(x)
    columns, begins = both.indices.astype(np.uint64), both.indptr.astype(np.uint64)
    equations = both.data, columns, begins, system.targets, system.weights
    for done in range(0, steps, CALL_STEPS):
        end = min(done + CALL_STEPS, steps)
        kernel.descend(*equations, done, end, rate, mean, square, x)
        progress.advance()
    return finish(system, x[:size], x[size:], steps)
