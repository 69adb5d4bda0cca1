import itertools

import naive
import numpy as np
import pytest
from scipy.sparse import csr_array

from malfl.kernels.descent import descend


@pytest.mark.parametrize("cuts", [(0, 30), (0, 1, 17, 17, 30), range(31)])
def test_it_takes_the_oracles_steps_down_a_weighted_sum_of_squares(cuts):
    rng = np.random.default_rng(0)
    equations = rng.normal(size=(7, 4)) * (rng.random((7, 4)) < 0.6)
    equations[3] = 0.0  # an equation of nothing
    equations[:, 2] = 0.0  # an unknown that no equation has
    targets, weights = rng.normal(size=7), rng.random(7)
    sparse = csr_array(equations)
    begin = rng.normal(size=4)
    system = sparse.data, sparse.indices, sparse.indptr, targets, weights
    x, mean, square = begin.copy(), np.zeros(4), np.zeros(4)
    for first, last in itertools.pairwise(cuts):
        descend(*system, first, last, 0.05, mean, square, x)

    def gradient(x):
        return 2 * equations.T @ (weights * (equations @ x - targets))

    np.testing.assert_allclose(x, naive.adam(gradient, begin, 30, 0.05), atol=1e-12)
    assert x[2] == begin[2]
    assert np.abs(x - begin)[[0, 1, 3]].min() > 0.01
