"""The consistency of all improvements solved exactly.

In small games the shapings are projected out and what is left is solved by a singular value
decomposition. In games of more than `DENSE_STATES` states, or systems of more than `DENSE_SIZE`
numbers, all unknowns are found together by iteration on sparse matrices.
"""

from dataclasses import replace

import numpy as np
from scipy.linalg import svd, svdvals
from scipy.sparse import csr_array, hstack
from scipy.sparse.linalg import lsmr

from malfl.recovery.consistency import ConsistencySystem, Fit, finish
from malfl.recovery.diagnostics import Determination
from malfl.recovery.projection import rank_floor, shapings_for, without_shapings

DENSE_STATES = 400  # from about here on iteration is the faster one
DENSE_SIZE = 10**7  # of equations times reward entries; the decomposition of more takes long
STOP = 1e-13  # of LSMR, relative to the norms of equations and targets
MOST_STEPS = 30_000


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
    ended = fit.convergence.converged and reason != 7
    return replace(fit, convergence=replace(fit.convergence, converged=ended))


def determination(system: ConsistencySystem) -> Determination:
    """How many directions of the reward the equations fix, and how firmly.

    Raises
    ------
    ValueError
        If the game or the reward is a large one.
    """
    refuse_large(system, "a reward's determination")
    matrix, _, _ = without_shapings(system)
    values = svdvals(matrix)
    fixed = values[values > rank_floor(system)]
    return Determination(
        unknowns=int(system.touched.sum()),
        rank=len(fixed),
        smallest_singular_value=float(fixed.min(initial=np.inf)),
        largest_singular_value=float(fixed.max(initial=0.0)),
    )


def is_large(system: ConsistencySystem) -> bool:
    """Whether a singular value decomposition would take too long."""
    return system.states > DENSE_STATES or float(np.prod(system.reward.shape)) > DENSE_SIZE


def refuse_large(system: ConsistencySystem, what: str) -> None:
    """Raise if ``what`` would need a decomposition that takes too long."""
    if is_large(system):
        equations, entries = system.reward.shape
        raise ValueError(
            f"{what} takes a singular value decomposition, done for up to {DENSE_STATES} states "
            f"and {DENSE_SIZE} numbers; this system has {system.states} states and {equations} "
            f"equations for {entries} entries of the reward"
        )
