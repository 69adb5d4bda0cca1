import numpy as np
import pytest

from malfl.recovery.change import _chance_of_trends, chance_of_no_change


def drawn(rng, policies, visits):
    """Counts (H, S, A) of so many choices (H, S) by policies (H, S, A)."""
    return np.array(
        [
            [rng.multinomial(n, p) for n, p in zip(now, odds, strict=True)]
            for now, odds in zip(visits, policies, strict=True)
        ],
        dtype=float,
    )


def test_the_trend_of_a_state_is_that_of_armitage():
    """With two actions: T = sum of h of the choices of one, and its variance when shuffled."""
    counts = np.array([[[9.0, 1.0]], [[6.0, 5.0]], [[3.0, 9.0]]])
    when = np.repeat([0, 1, 2], [10, 11, 12])
    chosen = np.concatenate([np.repeat([0, 1], now[0].astype(int)) for now in counts])
    rng = np.random.default_rng(0)
    shuffled = np.array([(when * rng.permutation(chosen)).sum() for _ in range(20_000)])
    far = (when * chosen).sum() - shuffled.mean()
    assert _chance_of_trends(counts) == pytest.approx(
        np.mean(np.abs(shuffled - shuffled.mean()) >= abs(far) - 1e-9), abs=0.005
    )


def test_chance_alone_is_seldom_taken_for_a_trend():
    rng = np.random.default_rng(1)
    unlikely = 0
    for _ in range(200):
        policy = rng.dirichlet([0.5] * 4, size=100)
        visits = rng.integers(0, 5, size=(6, 100))
        counts = drawn(rng, np.tile(policy, (6, 1, 1)), visits)
        unlikely += _chance_of_trends(counts) < 0.05
    assert unlikely <= 20


def slow(rng, states, visits):
    """Policies that drift a little in each of many states, hardly any of them visited often."""
    first, last = rng.dirichlet([1.0] * 3, size=(2, states))
    far = np.linspace(0, 0.5, 8)[:, None, None]
    counts = rng.poisson(visits, size=(8, states))
    counts[:, 0] = 60
    policies = (1 - far) * first + far * last
    policies[:, 0] = first[0]  # where much is seen nothing changes
    return drawn(rng, policies, counts)


def test_small_changes_in_many_states_are_seen():
    rng = np.random.default_rng(2)
    assert chance_of_no_change(slow(rng, 500, 4)) < 1e-6


def test_one_policy_is_taken_for_one():
    rng = np.random.default_rng(3)
    policy = rng.dirichlet([1.0] * 3, size=50)
    counts = drawn(rng, np.tile(policy, (8, 1, 1)), np.full((8, 50), 60))
    assert chance_of_no_change(counts) > 0.01


def test_where_little_is_seen_nobody_can_say():
    assert chance_of_no_change(np.ones((3, 4, 2))) == 0.0
