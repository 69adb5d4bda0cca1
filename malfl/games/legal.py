"""What can be done where: states in which episodes end, and legal actions."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from malfl import checks
from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.values import freeze

Legal = tuple[BoolArray, ...]
"""Which actions are legal: one array of shape (S, A_i) for each agent, no row without any."""


def end_states(ends: npt.ArrayLike, states: int) -> BoolArray:
    """The mask (S,) of states whose numbers, or whose mask, are given."""
    if np.asarray(ends).dtype == np.bool_:
        mask = checks.truths(ends, "ends", (states,))
    else:
        none = np.size(ends) == 0
        numbers = checks.whole(np.zeros(0) if none else ends, "ends", 0, states - 1)
        mask = np.isin(np.arange(states), numbers)
    if mask.all():
        raise ValueError("ends must leave a state in which an episode goes on, got all of them")
    freeze(mask)
    return mask


def legal_actions(
    legal: Sequence[npt.ArrayLike | None] | None, actions: tuple[int, ...], ends: BoolArray
) -> Legal:
    """The masks given, all actions where none is, and action 0 alone where an episode ends."""
    given = [None] * len(actions) if legal is None else legal
    checks.one_per_agent(given, "legal", len(actions))
    masks = []
    for i, (mask, size) in enumerate(zip(given, actions, strict=True)):
        shape = (ends.size, size)
        if mask is None:
            own = np.ones(shape, dtype=bool)
        else:
            own = checks.truths(mask, f"legal[{i}]", shape)
        own[ends] = np.arange(size) == 0
        if (none := ~own.any(axis=1)).any():
            raise ValueError(
                f"legal[{i}][{int(none.argmax())}] allows no action; an agent who has no choice "
                "has one legal action"
            )
        freeze(own)
        masks.append(own)
    return tuple(masks)


def possible(legal: Legal, actions: tuple[int, ...], ends: BoolArray) -> BoolArray:
    """Which joint actions may be taken in each state, (S, A); none where an episode ends."""
    joint = np.unravel_index(np.arange(prod(actions)), actions)
    mask = np.repeat(~ends[:, None], prod(actions), axis=1)
    for own, action in zip(legal, joint, strict=True):
        mask &= own[:, action]
    return mask


def discount(gamma: float, transitions: csr_array, ends: BoolArray) -> float:
    """Gamma; raise unless it lies in [0, 1), or is 1 and every episode ends."""
    if not (isinstance(gamma, int | float | np.number) and gamma == 1):
        return checks.discount(gamma)
    if not ends.any():
        raise ValueError("gamma must lie in [0, 1) unless every episode ends, got 1")
    joint = transitions.shape[0] // ends.size
    rows, after = transitions.nonzero()
    states = rows // joint
    back = reached(ends.size, after, states, np.flatnonzero(ends))
    if not back.all():
        raise ValueError(
            f"gamma must be less than 1, got 1: from state {int(back.argmin())} no episode ever "
            "ends"
        )
    return 1.0


def reached(states: int, origins: IntArray, targets: IntArray, first: IntArray) -> BoolArray:
    """Which states (S,) can be come to from the first ones, by moves from origins to targets."""
    rows = np.append(origins, np.full(first.size, states))
    moves = np.ones(rows.size), (rows, np.append(targets, first))
    graph: Any = csr_array(moves, shape=(states + 1,) * 2)
    order = breadth_first_order(graph, states, return_predecessors=False)
    return np.isin(np.arange(states), order)


def only_legal(policies: FloatArray, legal: BoolArray) -> FloatArray:
    """Policies (..., S, A_i) without what is not legal, and certain where there is no choice.

    Rows of NaN, which nobody knows, stay unknown where there is a choice. Illegal actions have
    the share of others that their policy had.
    """
    if legal.all():
        return policies
    kept = np.where(legal, policies, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        kept = kept / kept.sum(axis=-1, keepdims=True)
    forced = legal.sum(axis=-1) == 1
    return np.where(forced[:, None], legal.astype(np.float64), kept)


def or_uniform(policies: FloatArray, legal: BoolArray | None = None) -> FloatArray:
    """Policies (..., A_i) with uniform rows over what is legal where they are unknown (NaN)."""
    allowed = np.ones(policies.shape[-1:], dtype=bool) if legal is None else legal
    uniform = allowed / allowed.sum(axis=-1, keepdims=True)
    return np.where(np.isnan(policies), uniform, policies)
