"""The likeliest step size of a learner whose own is not known."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize_scalar

from malfl.recovery.logit import LogitFit
from malfl.recovery.reward import RecoveredReward

LEAST_BETA = 0.005  # of those that are looked at
END = 1.1  # times the least, up to which a step size lies at the end of those
SMALL_ERRORS = (1e-2, 1e-4, 1e-6)  # variances of logits beyond what a step size explains
COARSE = 8  # step sizes looked at first, as the likelihood may have several peaks
CLOSE = 0.02  # how well the logarithm of the likeliest is found then


def likeliest_step_size(likelihood: Callable[[float], float]) -> tuple[float, float]:
    """The step size in [``LEAST_BETA``, 1] with the highest log-likelihood, and that one.

    Between the neighbours of the best of some that are even in the logarithm.
    """
    grid = np.linspace(np.log(LEAST_BETA), 0.0, COARSE)
    values = [likelihood(float(np.exp(log_beta))) for log_beta in grid]
    near = int(np.argmax(values))
    bounds = grid[max(near - 1, 0)], grid[min(near + 1, COARSE - 1)]
    best = minimize_scalar(
        lambda log_beta: -likelihood(float(np.exp(log_beta))), bounds=bounds, method="bounded",
        options={"xatol": CLOSE},
    )  # fmt: skip
    if -best.fun < values[near]:  # at an end, which the search does not reach
        return float(np.exp(grid[near])), values[near]
    return float(np.exp(best.x)), float(-best.fun)


def settled(found: RecoveredReward) -> RecoveredReward:
    """The reward; as one that has not converged, if its step size was found at the least end.

    A likelihood that still rises there is that of a learner of another kind.
    """
    fit = found.diagnostics
    if isinstance(fit, LogitFit) and fit.beta is not None and fit.beta < END * LEAST_BETA:
        return replace(found, diagnostics=replace(fit, converged=False))
    return found
