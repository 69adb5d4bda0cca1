"""The consistency of all improvements solved exactly.

In small games the shapings are projected out and what is left is solved by a singular value
decomposition. In games of more than `DENSE_STATES` states, or rewards of more than `DENSE_ENTRIES`
entries, all unknowns are found together by iteration on sparse matrices.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.linalg import lstsq, qr, svd, svdvals
from scipy.sparse import csr_array, hstack
from scipy.sparse.linalg import lsmr

from malfl.checks import FloatArray, IntArray
from malfl.recovery.consistency import ConsistencySystem, Fit, finish
from malfl.recovery.diagnostics import Determination

DENSE_STATES = 400  # from about here on iteration is the faster one
DENSE_ENTRIES = 2500  # of the reward; the decomposition of as many takes seconds
STOP = 1e-13  # of LSMR, relative to the norms of equations and targets
MOST_STEPS = 30_000

RANK_TOLERANCE = 1e-10  # relative to the equations before the shapings are projected out


def least_squares(system: ConsistencySystem) -> Fit:
    """Minimise Eq. 12 exactly; in small games take the reward of least norm of all minima.

    In large ones take the minimum that LSMR (Fong and Saunders 2011) reaches from zero, with a mean
    of 0. That is the same reward if only the constant is free, and may be another one if more is.
    """
    if _is_large(system):
        return _by_iteration(system)
    matrix, targets = _without_shapings(system)
    left, values, right = svd(matrix, full_matrices=False)
    fixed = values > _rank_floor(system)
    reward = right[fixed].T @ ((left[:, fixed].T @ targets) / values[fixed])
    shapings = np.zeros(system.shaping.shape[1])
    for rows, block, scale, shaping in _improvements(system):
        rest = system.targets[rows] - system.reward[rows] @ reward
        shapings[block] = lstsq(shaping, rest * scale, cond=RANK_TOLERANCE)[0]
    return finish(system, reward, shapings, steps=1)


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
    # A constant is always free: what is taken off the reward is put on the shapings.
    mean = reward[system.touched].mean()
    reward = np.where(system.touched, reward - mean, 0.0)
    shapings += mean / system.shaping.sum(axis=1)[0]
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
    if _is_large(system):
        raise ValueError(
            f"a reward's determination is a singular value decomposition, done for up to "
            f"{DENSE_STATES} states and {DENSE_ENTRIES} entries; this system has {system.states} "
            f"and {system.reward.shape[1]}, and its convergence is known"
        )
    matrix, _ = _without_shapings(system)
    values = svdvals(matrix)
    fixed = values[values > _rank_floor(system)]
    return Determination(
        unknowns=int(system.touched.sum()),
        rank=len(fixed),
        smallest_singular_value=float(fixed.min(initial=np.inf)),
        largest_singular_value=float(fixed.max(initial=0.0)),
    )


def _is_large(system: ConsistencySystem) -> bool:
    return system.states > DENSE_STATES or system.reward.shape[1] > DENSE_ENTRIES


def _rank_floor(system: ConsistencySystem) -> float:
    """Singular values below this are rounding errors.

    Not relative to the largest one: where shapings explain everything, that is one as well.
    """
    weighted = abs(system.reward.multiply(np.sqrt(system.weights)[:, None]))
    bound = np.sqrt(weighted.sum(axis=0).max(initial=0.0) * weighted.sum(axis=1).max(initial=0.0))
    return RANK_TOLERANCE * float(bound)


def _improvements(
    system: ConsistencySystem,
) -> Iterator[tuple[IntArray, slice, FloatArray, FloatArray]]:
    """Each improvement's equations, its shapings' columns, root weights and weighted shaping."""
    for h in np.unique(system.improvement):
        rows = np.flatnonzero(system.improvement == h)
        block = slice(h * system.states, (h + 1) * system.states)
        scale = np.sqrt(system.weights[rows])
        yield rows, block, scale, system.shaping[rows][:, block].toarray() * scale[:, None]


def _without_shapings(system: ConsistencySystem) -> tuple[FloatArray, FloatArray]:
    """Weighted equations for the reward alone: what no shaping g_h can explain."""
    matrices = [np.zeros((0, system.reward.shape[1]))]
    targets = [np.zeros(0)]
    for rows, _, scale, shaping in _improvements(system):
        basis = _column_space(shaping)
        both = np.column_stack([system.reward[rows].toarray(), system.targets[rows]])
        both *= scale[:, None]
        both -= basis @ (basis.T @ both)
        matrices.append(both[:, :-1])
        targets.append(both[:, -1])
    return np.vstack(matrices), np.concatenate(targets)


def _column_space(matrix: FloatArray) -> FloatArray:
    basis, triangle, _ = qr(matrix, mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    return np.asarray(basis[:, : int((size > RANK_TOLERANCE * size.max(initial=0.0)).sum())])
