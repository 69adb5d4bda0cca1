"""Logits of improved policies from the learner's own updates, made again along its steps.

Temporal differences with a constant step size are linear, so the values that a learner ends up
with are affine in the reward it learned from, sampling errors and all. Only what it drew and did
not execute stays unseen.
"""

from collections.abc import Sequence

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.games import Dynamics
from malfl.kernels.replay import replay
from malfl.parallel import Job
from malfl.recovery.logit import AffineLogits
from malfl.sampling import Trajectories

BLOCK_BYTES = 2**20  # of the rows that a pass updates; they should stay in the cache
PASS_STEPS = 2**16  # in one call of the kernel, some milliseconds


def replayed_logits(
    dynamics: Dynamics,
    trajectories: Sequence[Trajectories],
    own_policies: FloatArray,
    agent: int,
    *,
    alpha: float,
    beta: float,
    executed: bool,
) -> Job[AffineLogits]:
    """How the improvements of pi_0..pi_n depend on the reward of a learner of Algorithm 1.

    Work for `malfl.parallel.run`, of as many steps as the trajectories have.

    Parameters
    ----------
    trajectories
        Of everyone, under pi_0..pi_n.
    own_policies
        The agent's pi_0..pi_n as far as they are known, (n + 1, S, A_i), NaN where unknown.
    beta
        The learner's step size, in (0, 1].
    executed
        Whether its updates used the action executed next (SARSA). If not, that action was drawn,
        not seen, and its expectation is used.

    Returns
    -------
    AffineLogits
        Of pi_1..pi_{n+1}.
    """
    states, own, joint = dynamics.n_states, dynamics.actions[agent], dynamics.n_joint_actions
    code = np.arange(states * joint)
    state_of = code // joint
    pair_of = state_of * own + dynamics.own_actions[agent][code % joint]
    number, columns = len(trajectories), states + 1
    size = 8 * number * states * own * columns
    checks.memory(size, f"logits of {number} policies and {states} states", "use a smaller game")
    q = np.zeros((number, states * own, columns))
    width = min(columns, max(16, BLOCK_BYTES // (8 * states * (own + 1))))
    for h, played in enumerate(trajectories):
        policy = np.where(np.isnan(own_policies[h]), 1 / own, own_policies[h])
        # An action of probability zero is never taken, so its bonus is never used.
        bonus = -alpha * np.log(policy, where=policy > 0, out=np.zeros_like(policy))
        expected = (policy * bonus).sum(axis=1)
        for column in range(0, columns, width):
            rows = np.zeros((states * own, min(width, columns - column)))
            value = np.zeros((states, rows.shape[1]))
            for episodes, begin, end in _passes(*played.steps.shape):
                replay(
                    played.steps[episodes], played.last[episodes], begin, end, state_of, pair_of,
                    policy.ravel(), bonus.ravel(), expected, dynamics.gamma, beta, executed,
                    column, rows, value,
                )  # fmt: skip
                yield (end - begin) * len(played.last[episodes]) if column == 0 else 0
            q[h, :, column : column + width] = rows
    q = q.reshape(number, states, own, columns) / alpha
    return AffineLogits(q[..., :-1], q[..., -1], np.ones((number, states, own), dtype=bool))


def _passes(episodes: int, steps: int) -> list[tuple[slice, int, int]]:
    """All steps in their order, in pieces: which episodes, and from and to which step."""
    if steps <= PASS_STEPS:
        many = PASS_STEPS // steps
        return [(slice(e, e + many), 0, steps) for e in range(0, episodes, many)]
    return [
        (slice(e, e + 1), t, min(t + PASS_STEPS, steps))
        for e in range(episodes)
        for t in range(0, steps, PASS_STEPS)
    ]
