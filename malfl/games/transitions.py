"""Where joint actions lead: tables and probabilities of any form, as one sparse matrix."""

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse, sparray, spmatrix

from malfl import checks
from malfl.checks import BoolArray, FloatArray
from malfl.values import freeze

Given = Any  # a csr_array or an array, which SciPy's stubs do not tell apart
"""Transitions as they were given, of a right form."""


def read_transitions(
    transitions: npt.ArrayLike | sparray | spmatrix, actions: tuple[int, ...]
) -> Given:
    """Transitions as `malfl.Dynamics` takes them; raise unless they are of one of these forms."""
    joint = prod(actions)
    if issparse(transitions):
        if transitions.ndim != 2 or transitions.dtype.kind not in "iuf":
            raise TypeError(
                f"transitions must be a matrix of real numbers, got {transitions.ndim} dimensions "
                f"of {transitions.dtype}"
            )
        checks.sparse(transitions, "transitions")
        rows, states = transitions.shape
        if states == 0 or rows != states * joint:
            raise ValueError(
                f"transitions must have shape (S * {joint}, S) with S >= 1, got {transitions.shape}"
            )
        return csr_array(transitions)
    array = checks.any_numbers(transitions, "transitions")
    states = array.shape[0] if array.ndim else 0
    if states == 0:
        raise ValueError(f"transitions must have at least one state, got shape {array.shape}")
    if array.dtype.kind in "iu":
        if array.shape not in ((states, joint), (states, *actions)):
            raise ValueError(
                f"transitions, a table of next states, must have shape {(states, joint)} "
                f"or {(states, *actions)}, got {array.shape}"
            )
        return array
    if array.shape not in ((states, joint, states), (states, *actions, states)):
        raise ValueError(
            f"transitions, probabilities, must have shape {(states, joint, states)} "
            f"or {(states, *actions, states)}, got {array.shape}"
        )
    return array


def number_of_states(given: Given) -> int:
    """S."""
    return int(given.shape[1] if isinstance(given, csr_array) else given.shape[0])


def transition_matrix(given: Given, possible: BoolArray) -> csr_array:
    """The probabilities of next states, (S * A, S); rows of what is not possible are empty.

    Raises
    ------
    ValueError
        If a row of what is possible is no distribution, or a next state does not exist.
    """
    if isinstance(given, csr_array):
        matrix: csr_array = given.astype(np.float64)
        checks.sparse(matrix, "transitions")
    elif given.dtype.kind in "iu":
        matrix = _from_table(given, possible)
    else:
        array = checks.finite(given, "transitions")
        matrix = _from_probabilities(array.reshape(possible.size, -1))
    matrix.sum_duplicates()
    if not possible.all():
        matrix.data[np.repeat(~possible.ravel(), np.diff(matrix.indptr))] = 0.0
        matrix.eliminate_zeros()
    _check_rows(matrix, checks.rounding_of(given.dtype), possible)
    matrix.eliminate_zeros()
    freeze(matrix)
    return matrix


def _from_table(table: npt.NDArray[np.integer], possible: BoolArray) -> csr_array:
    states = len(table)
    bad = ((table < 0) | (table >= states)) & possible.reshape(table.shape)
    if bad.any():
        where = checks.first(bad)
        raise ValueError(
            f"transitions{list(where)} is {table[where]}; a next state must lie in 0..{states - 1}"
        )
    rows = table.size
    targets = np.where(possible.reshape(table.shape), table, 0).ravel()
    return csr_array((np.ones(rows), targets, np.arange(rows + 1)), shape=(rows, states))


def _from_probabilities(rows: FloatArray) -> csr_array:
    reached = rows != 0
    ends = np.append(0, reached.sum(axis=1).cumsum())
    return csr_array((rows[reached], reached.nonzero()[1], ends), shape=rows.shape)


def _check_rows(matrix: csr_array, rounding: float, possible: BoolArray) -> None:
    """Raise unless rows of what is possible are distributions.

    Those of narrow floats are put right.
    """
    joint = possible.shape[1]
    bad = ~np.isfinite(matrix.data) | (matrix.data < 0)
    if bad.any():
        entry = checks.first(bad)[0]
        row = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1
        raise ValueError(
            f"transitions from state {row // joint} under joint action {row % joint} to state "
            f"{matrix.indices[entry]} is {matrix.data[entry]:g}; probabilities must be 0 or more"
        )
    sums = matrix.sum(axis=1)
    off = (np.abs(sums - 1) > rounding) & possible.ravel()
    if off.any():
        row = checks.first(off)[0]
        raise ValueError(
            f"transitions from state {row // joint} under joint action {row % joint} "
            f"sum to {sums[row]:.12g}; they must sum to 1"
        )
    if rounding > checks.ROUNDING:
        matrix.data /= np.repeat(sums, np.diff(matrix.indptr))
