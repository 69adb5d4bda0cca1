"""Soft temporal-difference evaluation of agents' policies along the steps they made."""

from numba import njit

from malfl.checks import FloatArray, IntArray, WordArray
from malfl.kernels.walk import LOW, U


@njit(cache=True, nogil=True)
def soft_td(
    codes: WordArray,
    steps: int,
    counts: IntArray,
    pairs: tuple[WordArray, ...],
    gains: tuple[FloatArray, ...],
    by_code: bool,
    values: tuple[FloatArray, ...],
    gamma: float,
    beta: float,
    executed: bool,
) -> None:
    """Count the first ``steps`` of ``codes`` (L, T) and update ``values``, lane after lane.

    Algorithm 1 of MA-LfL with Eq. 5 as the target. With w = q - alpha ln pi, an agent's update is
    w(s, a) <- (1 - beta) w(s, a) + beta (R - alpha ln pi(a|s) + gamma w(s', a')); a' is in the
    upper half of a code, drawn and not executed, or if ``executed`` (SARSA) it is the action of
    the step that follows, where there is one.

    Parameters
    ----------
    codes
        As `malfl.kernels.walk.walk` writes them with actions ahead.
    counts
        (S << bits,), added to.
    pairs
        For each agent its (s, a^i) in each code, as ``s * A_i + a^i``, (S << bits,).
    gains
        For each agent beta (R - alpha ln pi) by (s, a^i), (S * A_i,); if ``by_code``, by code.
    values
        For each agent w, (S * A_i,), updated.
    """
    size, known = codes.shape
    keep, ahead = 1.0 - beta, beta * gamma
    for lane in range(size):
        for t in range(steps):
            pair = codes[lane, t]
            here, there = pair & LOW, pair >> U(32)
            if executed and t + 1 < known:
                there = codes[lane, t + 1] & LOW
            counts[here] += 1
            for k in range(len(pairs)):
                w = values[k]
                i, j = pairs[k][here], pairs[k][there]
                gain = gains[k][here if by_code else i]
                w[i] = keep * w[i] + (gain + ahead * w[j])
