"""Rewards from policies, known or estimated."""

from collections.abc import Sequence

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics
from malfl.recovery.by_consistency import ByConsistency
from malfl.recovery.least_squares import LeastSquares
from malfl.recovery.reward import RecoveredReward


@progress.interruptible
def recover_from_policies(
    dynamics: Dynamics,
    policies: Sequence[FloatArray],
    *,
    of: int,
    alpha: float,
    by: ByConsistency = LeastSquares(),
    weights: FloatArray | None = None,
    counts: FloatArray | None = None,
) -> RecoveredReward:
    """Recover the reward of agent ``of`` from policies, known or estimated.

    Parameters
    ----------
    policies
        pi_0..pi_H of every agent, one (H + 1, S, A_i) array each; NaN where unknown.
    alpha
        Entropy coefficient of the agent, greater than 0.
    by
        Which equations are solved and how; its way to estimate policies and its weighting are for
        views and not used here.
    weights
        Of the equations of Theorem 5.1, shape (H, S, A_i), 0 or more; all 1 by default.
    counts
        Of joint actions, shape (H + 1, S, A); the printed equations need them.

    Raises
    ------
    TypeError, ValueError
        If shapes disagree, a policy is not one or has a zero where its logarithm is needed.
    NothingToLearnError
        A ValueError as well: if the agent's policies do not change, or no equation is left.
    """
    checks.instance(dynamics, Dynamics, "dynamics", "or a MarkovGame")
    checks.instance(by, ByConsistency, "by", "such as LeastSquares()")
    of = dynamics.check_agent(of, "of")
    histories = checks.histories(policies, "policies", dynamics.n_states, dynamics.actions)
    if counts is not None:
        counts = checks.counts(counts, "counts")
        shape = (len(histories[of]), dynamics.n_states, dynamics.n_joint_actions)
        if counts.shape != shape:
            raise ValueError(f"counts must have shape {shape}, got {counts.shape}")
    return by.recover(dynamics, histories, of, alpha, weights, counts)
