"""The consistency of all improvements under a prior for the reward, weighed by the evidence."""

from dataclasses import dataclass

import numpy as np
from numpy.linalg import svd
from scipy.optimize import minimize_scalar

from malfl.recovery.by_consistency import ByConsistency, Solution, Weighting
from malfl.recovery.consistency import ConsistencySystem, finish
from malfl.recovery.projection import rank_floor, refuse_large, shapings_for, without_shapings
from malfl.recovery.reward import Evidence, NothingToLearnError

ROUNDING = 1e-6  # length of a direction that is none


@dataclass(frozen=True)
class EvidenceRidge(ByConsistency):
    """Eq. 12 with a ridge chosen by the evidence; see ``weigh_evidence`` and `ByConsistency`.

    Equations of Theorem 5.1 are weighted by visits, unless another weighting is named.
    """

    @property
    def default_weighting(self) -> Weighting:
        """Where none is named."""
        return "visits" if self.equations == "theorem" else "uniform"

    def solve(self, system: ConsistencySystem) -> Solution:
        """Solve the equations."""
        return weigh_evidence(system)


def weigh_evidence(system: ConsistencySystem) -> Solution:
    """Ridge regression with the ridge that makes the targets most likely (MacKay 1992).

    Residuals are normal with a variance of sigma^2 over the equation's weight, rewards normal with
    variance rho^2, shapings free; the likelihood is that of weighted targets. With the shapings
    projected out and a singular value decomposition made, both variances follow from a search for
    their ratio.

    Returns
    -------
    Solution
        With the posterior standard deviation of each reward entry.

    Raises
    ------
    ValueError
        If the game or the reward is a large one.
    NothingToLearnError
        If the equations fix nothing.
    """
    refuse_large(system, "the evidence for a ridge")
    matrix, targets, freedom = without_shapings(system)
    left, values, right = svd(matrix, full_matrices=False)
    right = right[values > rank_floor(system)]
    along = (left.T @ targets)[: len(right)]
    values = values[: len(right)]
    rest = max(float(targets @ targets - along @ along), 0.0)

    def variance(ridge: float) -> float:
        """sigma^2 for a ratio sigma^2 / rho^2."""
        return float(rest + (along**2 * ridge / (values**2 + ridge)).sum()) / freedom

    def cost(log_ridge: float) -> float:
        """Minus twice the logarithm of the evidence."""
        ridge = np.exp(log_ridge)
        return float(freedom * np.log(variance(ridge)) + np.log1p(values**2 / ridge).sum())

    if len(right) == 0 or variance(1.0) == 0:
        raise NothingToLearnError(
            "the equations fix nothing of the reward, or ask for none; "
            "there is no evidence to weigh"
        )
    scale = 2 * np.log(values.max())
    best = minimize_scalar(cost, bounds=(scale - 40, scale + 10), method="bounded")
    ridge = float(np.exp(best.x))
    error = variance(ridge)
    reward = right.T @ (values / (values**2 + ridge) * along)
    # Directions that no equation fixes keep the prior's variance, but for the constant.
    constant = system.touched - right.T @ (right @ system.touched)
    length = float(np.linalg.norm(constant))
    constant = constant / length if length > ROUNDING else np.zeros_like(constant)
    open_share = 1 - constant**2 - (right**2).sum(axis=0)
    spread = (right**2 / (values**2 + ridge)[:, None]).sum(axis=0) + open_share / ridge
    deviation = np.sqrt(error * np.maximum(spread, 0.0))
    cost_at_best = float(best.fun) + freedom * (1 + np.log(2 * np.pi))
    fit = finish(system, reward, shapings_for(system, reward), steps=int(best.nfev))
    inside = bool(best.success and scale - 39 < best.x < scale + 9)
    return Solution(
        fit._replace(converged=inside),
        deviation,
        Evidence(error=error, prior=error / ridge, log_likelihood=-0.5 * cost_at_best),
    )
