"""Adam (Kingma and Ba 2015), the optimiser of MA-LfL's experiments."""

from collections.abc import Callable

import numpy as np

from malfl import checks
from malfl.checks import FloatArray


def adam(
    gradient: Callable[[FloatArray], FloatArray], start: FloatArray, steps: int, rate: float
) -> FloatArray:
    """Go down a gradient for some steps, with Adam's usual decay rates .9 and .999.

    Raises
    ------
    ValueError
        If ``steps`` is less than 1 or ``rate`` is 0 or less, or extreme.
    """
    steps, rate = checks.count(steps, "steps"), checks.squarable(rate, "rate")
    x = np.array(start)
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for step in range(1, steps + 1):
        slope = gradient(x)
        mean += (1 - 0.9) * (slope - mean)
        square += (1 - 0.999) * (slope * slope - square)
        x -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return x
