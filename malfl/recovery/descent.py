"""The consistency of all improvements approached as MA-LfL does, by descent."""

import numpy as np
from scipy.sparse import csr_array, hstack

from malfl.adam import adam
from malfl.checks import FloatArray
from malfl.recovery.consistency import ConsistencySystem, Fit, finish


def descend(
    system: ConsistencySystem,
    steps: int = 1000,
    rate: float = 0.01,
    start: FloatArray | None = None,
) -> Fit:
    """Minimise the weighted sum of squared residuals by Adam (Table 3's defaults).

    Shapings begin at zero, and so does the reward unless ``start`` (flat) is given.
    """
    both = csr_array(hstack([system.reward, system.shaping], format="csr"))
    transposed = csr_array(both.T)

    def gradient(x: FloatArray) -> FloatArray:
        return np.asarray(2 * (transposed @ (system.weights * (both @ x - system.targets))))

    size = system.reward.shape[1]
    begin = np.zeros(both.shape[1])
    if start is not None:
        begin[:size] = start
    x = adam(gradient, begin, steps, rate)
    return finish(system, x[:size], x[size:], steps)
