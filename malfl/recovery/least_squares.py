"""The consistency of all improvements solved exactly, the shapings projected out."""

from collections.abc import Iterator

import numpy as np
from scipy.linalg import lstsq, qr, svdvals

from malfl.checks import FloatArray, IntArray
from malfl.recovery.consistency import ConsistencySystem, Fit, finish
from malfl.recovery.diagnostics import Determination

RANK_TOLERANCE = 1e-10  # relative to the equations before the shapings are projected out


def least_squares(system: ConsistencySystem) -> Fit:
    """Minimise Eq. 12 exactly; among all minima, take the reward of least norm."""
    matrix, targets = _without_shapings(system)
    largest, floor = svdvals(matrix).max(initial=0.0), _rank_floor(system)
    reward = np.zeros(system.reward.shape[1])
    if largest > floor:
        reward = np.asarray(lstsq(matrix, targets, cond=floor / largest)[0])
    shapings = np.zeros(system.shaping.shape[1])
    for rows, block, scale, shaping in _improvements(system):
        left = system.targets[rows] - system.reward[rows] @ reward
        shapings[block] = lstsq(shaping, left * scale, cond=RANK_TOLERANCE)[0]
    return finish(system, reward, shapings, steps=1)


def determination(system: ConsistencySystem) -> Determination:
    """How many directions of the reward the equations fix, and how firmly."""
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
