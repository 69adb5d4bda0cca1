"""The consistency of all improvements solved exactly.

In small games the shapings are projected out and what is left is solved by a singular value
decomposition. In games of more than `DENSE_STATES` states, or systems of more than `DENSE_SIZE`
numbers, all unknowns are found together by iteration on sparse matrices.
"""

from dataclasses import dataclass

import numpy as np
from numpy.linalg import svd
from scipy.sparse import csr_array, hstack
from scipy.sparse.linalg import lsmr

from malfl.recovery.by_consistency import ByConsistency, Solution
from malfl.recovery.consistency import ConsistencySystem, Fit, finish
from malfl.recovery.projection import is_large, rank_floor, shapings_for, without_shapings

STOP = 1e-13  # of LSMR, relative to the norms of equations and targets
MOST_STEPS = 30_000


@dataclass(frozen=True)
class LeastSquares(ByConsistency):
    """The exact minimum of Eq. 12; see ``least_squares`` and `ByConsistency`."""

    def solve(self, system: ConsistencySystem) -> Solution:
        """Solve the equations."""
        return Solution(least_squares(system))


def least_squares(system: ConsistencySystem) -> Fit:
    """Minimise Eq. 12 exactly; in small games take the reward of least norm of all minima.

    In large ones take the minimum that LSMR (Fong and Saunders 2011) reaches from zero, with a mean
    of 0. That is the same reward if only the constant is free, and may be another one if more is.
    """
    if is_large(system):
        return _by_iteration(system)
    matrix, targets, _ = without_shapings(system)
    left, values, right = svd(matrix, full_matrices=False)
    fixed = values > rank_floor(system)
    reward = right[fixed].T @ ((left[:, fixed].T @ targets) / values[fixed])
    return finish(system, reward, shapings_for(system, reward), steps=1)


def _by_iteration(system: ConsistencySystem) -> Fit:
    scale = np.sqrt(system.weights)
    both = hstack([system.reward, system.shaping], format="csr")
    both = csr_array(both.multiply(scale[:, None]))
    length = np.sqrt(both.multiply(both).sum(axis=0))
    length[length == 0] = 1.0
    x, reason, steps, *_ = lsmr(
        csr_array(both.multiply(1 / length)), scale * system.targets,
        atol=STOP, btol=STOP, conlim=0, maxiter=MOST_STEPS,
    )  # fmt: skip
    reward, shapings = np.split(x / length, [system.reward.shape[1]])
    # Where a constant is free: what is taken off the reward is put on the shapings.
    exchange = system.reward.sum(axis=1) / system.shaping.sum(axis=1)
    if np.ptp(exchange) <= STOP**0.5 * abs(exchange[0]):
        mean = reward[system.touched].mean()
        reward = np.where(system.touched, reward - mean, 0.0)
        shapings += mean * exchange[0]
    fit = finish(system, reward, shapings, steps)
    # A small gradient is no proof here: directions that the equations barely fix have one long
    # before they are right. LSMR's own rules must have ended it, not the limit (reason 7).
    return fit._replace(converged=fit.converged and reason != 7)
