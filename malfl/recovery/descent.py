"""The consistency of all improvements approached as MA-LfL does, by descent."""

import numpy as np
from scipy.sparse import csr_array, hstack

from malfl import checks
from malfl.checks import FloatArray
from malfl.kernels import descent as kernel
from malfl.recovery.consistency import ConsistencySystem, Fit, finish


def descend(
    system: ConsistencySystem,
    steps: int = 1000,
    rate: float = 0.01,
    start: FloatArray | None = None,
) -> Fit:
    """Minimise the weighted sum of squared residuals by Adam (Table 3's defaults).

    Shapings begin at zero, and so does the reward unless ``start`` (flat) is given.

    Raises
    ------
    ValueError
        If ``steps`` is less than 1 or ``rate`` not greater than 0.
    """
    both = csr_array(hstack([system.reward, system.shaping], format="csr"))
    steps, rate = checks.count(steps, "steps"), checks.positive(rate, "rate")
    size = system.reward.shape[1]
    x = np.zeros(both.shape[1])
    if start is not None:
        x[:size] = start
    equations = both.data, both.indices, both.indptr
    kernel.descend(*equations, system.targets, system.weights, steps, rate, x)
    return finish(system, x[:size], x[size:], steps)
