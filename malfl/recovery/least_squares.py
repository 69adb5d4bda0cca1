"""The consistency of all improvements solved exactly.

Up to `DENSE_STATES` states the shapings are projected out and what is left is solved by a singular
value decomposition; above, all unknowns are found together by iteration on sparse matrices.
"""

from collections.abc import Iterator

import numpy as np
from scipy.linalg import lstsq, qr, svd, svdvals
from scipy.sparse import csr_array, hstack
from scipy.sparse.linalg import lsmr

from malfl.checks import FloatArray, IntArray
from malfl.recovery.consistency import ConsistencySystem, Fit, finish
from malfl.recovery.diagnostics import Determination

DENSE_STATES = 400  # from about here on iteration is the faster one
STOP = 1e-13  # of LSMR, relative to the norms of equations and targets
MOST_STEPS = 30_000

RANK_TOLERANCE = 1e-10  # relative to the equations before the shapings are projected out


def least_squares(system: ConsistencySystem) -> Fit:
    """Minimise Eq. 12 exactly; up to `DENSE_STATES`, take the reward of least norm of all minima.

    Above, take the minimum that LSMR (Fong and Saunders 2011) reaches from zero, with a mean of 0.
    """
    if system.states > DENSE_STATES:
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
    x, _, steps, *_ = lsmr(
        csr_array(both.multiply(1 / length)), scale * system.targets,
        atol=STOP, btol=STOP, conlim=0, maxiter=MOST_STEPS,
    )  # fmt: skip
    reward, shapings = np.split(x / length, [system.reward.shape[1]])
    # A constant is always free: what is taken off the reward is put on the shapings.
    mean = reward[system.touched].mean()
    reward = np.where(system.touched, reward - mean, 0.0)
    shapings += mean / system.shaping.sum(axis=1)[0]
    return finish(system, reward, shapings, steps)


def determination(system: ConsistencySystem) -> Determination:
    """How many directions of the reward the equations fix, and how firmly.

    Raises
    ------
    ValueError
        If there are more than `DENSE_STATES` states.
    """
    if system.states > DENSE_STATES:
        raise ValueError(
            f"a reward's determination is a singular value decomposition, done for up to "
            f"{DENSE_STATES} states; this system has {system.states}, and its convergence is known"
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
