import naive
import numpy as np
import pytest

from malfl.recovery.adam import adam

SCALES = np.array([1e-3, 1.0, 50.0, 0.0])


def slope(x):
    """Of a function with steep and flat directions, and one of no slope at all."""
    return SCALES * (x**3 + x - 2)


@pytest.mark.parametrize(("steps", "rate"), [(1, 0.1), (2, 0.1), (60, 0.05), (500, 0.01)])
def test_steps_are_the_oracles(steps, rate):
    start = np.array([0.3, -2.0, 5.0, 1.0])
    ours = adam(slope, start, steps, rate)
    np.testing.assert_allclose(ours, naive.adam(slope, start, steps, rate), rtol=1e-12)
    np.testing.assert_array_equal(start, [0.3, -2.0, 5.0, 1.0])
    assert ours[3] == 1


def test_the_first_step_is_the_rate_whatever_the_slope():
    np.testing.assert_allclose(adam(slope, np.zeros(4), 1, 0.25)[:3], 0.25, rtol=1e-4)


def test_it_goes_down_to_the_minimum():
    np.testing.assert_allclose(adam(slope, np.full(4, 3.0), 5000, 0.01)[:3], 1, atol=1e-3)


def test_any_shape_will_do():
    start = np.arange(6.0).reshape(2, 3)
    square = adam(lambda x: x - 2.5, start, 20, 0.1)
    flat = adam(lambda x: x - 2.5, start.ravel(), 20, 0.1)
    np.testing.assert_array_equal(square.ravel(), flat)
    assert square.shape == (2, 3)


@pytest.mark.parametrize(
    ("steps", "rate", "message"),
    [
        (0, 0.1, "steps must be at least 1, got 0"),
        (1, 0.0, "rate must be greater than 0, got 0"),
        (1, np.inf, "rate must be finite"),
    ],
)
def test_bad_steps_and_rates_are_named(steps, rate, message):
    with pytest.raises(ValueError, match=message):
        adam(slope, np.zeros(4), steps, rate)
