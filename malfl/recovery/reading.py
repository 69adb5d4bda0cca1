"""What a posterior of the numbers that make up a reward says of the reward itself."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from malfl.checks import FloatArray
from malfl.recovery.classes import Space
from malfl.recovery.prior import Posterior
from malfl.recovery.trust import Promise, deviations, deviations_of, promise


class Reading(NamedTuple):
    """A reward with its deviations, and weights of features if it is made of these."""

    values: FloatArray
    deviation: FloatArray
    weights: FloatArray | None
    weight_deviation: FloatArray | None
    promise: Promise


def read(
    found: Posterior,
    touched: npt.NDArray[np.bool_],
    alpha: float,
    space: Space,
    states: int,
    shown: FloatArray,
) -> Reading:
    """The reward of a posterior in units of alpha; NaN where nothing seen depends on it.

    Parameters
    ----------
    touched
        Numbers that some policy depends on, (K,).
    shown
        An orthonormal basis of what the promise is about, (entries, k).
    """
    shape = (-1,) if space.reward_class == "state" else (states, -1)
    mean, covariance, basis = found.reward, found.covariance, space.basis
    if basis is None:
        values = np.where(touched, alpha * mean, np.nan)
        off = deviations(covariance, touched)
        said = promise(found, shown, touched)
        return Reading(values.reshape(shape), alpha * off.reshape(shape), None, None, said)
    known = ~(basis != 0)[:, ~touched].any(axis=1)
    off = deviations_of(basis, covariance, known)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    units = alpha if space.units is None else alpha * space.units
    return Reading(
        np.where(known, alpha * (basis @ mean), np.nan).reshape(shape),
        alpha * off.reshape(shape),
        np.where(touched, units * mean, np.nan),
        np.where(touched, units * spread, np.nan),
        promise(found, shown, known, basis),
    )
