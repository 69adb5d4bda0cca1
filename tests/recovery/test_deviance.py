import naive
import numpy as np
import pytest

from malfl.recovery.deviance import LARGE, deviance, expected_deviance


@pytest.mark.parametrize(
    ("total", "odds"),
    [
        (1, [0.5, 0.5]),
        (2, [0.3, 0.7]),
        (7, [0.1, 0.2, 0.7]),
        (40, [0.02, 0.9, 0.08]),
        (300, [0.001, 0.999]),
        (3000, [0.0005, 0.4, 0.5995]),
        (70, [LARGE / 70, 1 - LARGE / 70]),
    ],
)
def test_what_to_expect_is_the_oracles(total, odds):
    logits = np.log(odds)
    expected = naive.expected_deviance([[[total, *[0] * (len(odds) - 1)]]], [[logits]])
    found = expected_deviance(np.array([float(total)]), logits[None])
    np.testing.assert_allclose(found, [expected], rtol=2e-3)


def test_deviances_are_as_large_as_expected():
    rng, odds = np.random.default_rng(0), np.array([0.05, 0.25, 0.7])
    counts = rng.multinomial(9, odds, size=20000).astype(float)
    found = [deviance(row[None], np.log(odds)[None]) for row in counts]
    expected = expected_deviance(np.array([9.0]), np.log(odds)[None])
    assert np.mean(found) == pytest.approx(expected[0], abs=4 * np.std(found) / 20000**0.5)


def test_an_action_that_never_varies_counts_for_nothing():
    certain = np.log([1 - 2e-9, 1e-9, 1e-9])
    assert expected_deviance(np.array([1000.0]), certain[None])[0] < 1e-3
    assert expected_deviance(np.array([0.0]), certain[None])[0] == 0
    assert deviance(np.array([[1000.0, 0, 0]]), certain[None]) < 1e-5
