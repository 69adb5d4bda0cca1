"""What a consistency system says of the reward alone, whatever the shapings are."""

from collections.abc import Iterator

import numpy as np
from numpy.linalg import svdvals
from scipy.linalg import lstsq, qr

from malfl import progress
from malfl.checks import FloatArray, IntArray
from malfl.recovery.consistency import ConsistencySystem
from malfl.recovery.reward import Determination

DENSE_STATES = 400  # from about here on iteration is faster than a decomposition
DENSE_SIZE = 10**7  # of equations times reward entries; the decomposition of more takes long
RANK_TOLERANCE = 1e-10  # relative to the equations before the shapings are projected out


def without_shapings(system: ConsistencySystem) -> tuple[FloatArray, FloatArray, int]:
    """Weighted equations for the reward with all that a shaping g_h can explain taken off.

    Returns
    -------
    (matrix, targets, freedom)
        The third is the number of equations less the number of shapings told apart.
    """
    matrices = [np.zeros((0, system.reward.shape[1]))]
    targets = [np.zeros(0)]
    freedom = len(system.targets)
    for rows, _, scale, shaping in _improvements(system):
        basis = _column_space(shaping)
        freedom -= basis.shape[1]
        both = np.column_stack([system.reward[rows].toarray(), system.targets[rows]])
        both *= scale[:, None]
        both -= basis @ (basis.T @ both)
        matrices.append(both[:, :-1])
        targets.append(both[:, -1])
    return np.vstack(matrices), np.concatenate(targets), freedom


def shapings_for(system: ConsistencySystem, reward: FloatArray) -> FloatArray:
    """The shapings, (H * S,), that fit the equations best once the reward is known."""
    shapings = np.zeros(system.shaping.shape[1])
    for rows, block, scale, shaping in _improvements(system):
        rest = system.targets[rows] - system.reward[rows] @ reward
        shapings[block] = lstsq(shaping, rest * scale, cond=RANK_TOLERANCE)[0]
    return shapings


def rank_floor(system: ConsistencySystem) -> float:
    """Singular values below this are rounding errors.

    Not relative to the largest one: where shapings explain everything, that is one as well.
    """
    weighted = abs(system.reward.multiply(np.sqrt(system.weights)[:, None]))
    bound = np.sqrt(weighted.sum(axis=0).max(initial=0.0) * weighted.sum(axis=1).max(initial=0.0))
    return RANK_TOLERANCE * float(bound)


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


def _improvements(
    system: ConsistencySystem,
) -> Iterator[tuple[IntArray, slice, FloatArray, FloatArray]]:
    """Each improvement's equations, its shapings' columns, root weights and weighted shaping."""
    for h in np.unique(system.improvement):
        rows = np.flatnonzero(system.improvement == h)
        block = slice(h * system.states, (h + 1) * system.states)
        scale = np.sqrt(system.weights[rows])
        progress.advance()
        yield rows, block, scale, system.shaping[rows][:, block].toarray() * scale[:, None]


def _column_space(matrix: FloatArray) -> FloatArray:
    basis, triangle, _ = qr(matrix, mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    return np.asarray(basis[:, : int((size > RANK_TOLERANCE * size.max(initial=0.0)).sum())])
