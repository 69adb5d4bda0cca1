"""Logits of improved policies from the learner's own updates, made again along its steps.

Temporal differences with a constant step size are linear, so the values that a learner ends up
with are affine in the reward it learned from, sampling errors and all. Only what it drew and did
not execute stays unseen; how far its values are off for that is known as a variance.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from malfl import checks
from malfl.checks import FloatArray, WordArray
from malfl.games import Dynamics
from malfl.kernels.replay import replay, replay_errors
from malfl.parallel import Job
from malfl.recovery.diagnostics import NothingToLearnError
from malfl.recovery.logit import AffineLogits, recover_from_logits
from malfl.sampling import Trajectories
from malfl.soft import entropy_bonus

BLOCK_BYTES = 2**20  # of the rows that a pass updates; they should stay in the cache
ROUGHLY = 0.01  # how well a reward must be known to tell variances by it
PASS_STEPS = 2**16  # in one call of a kernel, some milliseconds


def replayed_logits(
    dynamics: Dynamics,
    trajectories: Sequence[Trajectories],
    own_policies: FloatArray,
    own_counts: FloatArray,
    agent: int,
    *,
    alpha: float,
    beta: float,
    executed: bool,
) -> Job[AffineLogits]:
    """How the improvements of pi_0..pi_n depend on the reward of a learner of Algorithm 1.

    The variances of what cannot be replayed depend on the reward a little: those of an improvement
    are taken for the reward recovered by then. Work for `malfl.parallel.run`, of as many steps as
    the trajectories have.

    Parameters
    ----------
    trajectories
        Of everyone, under pi_0..pi_n.
    own_policies
        The agent's policies as far as they are known, (n + 1 or more, S, A_i), NaN where unknown.
    own_counts
        How often it took each action under these, likewise.
    beta
        The learner's step size, in (0, 1].
    executed
        Whether its updates used the action executed next (SARSA). If not, that action was drawn,
        not seen, and its expectation is used.

    Returns
    -------
    AffineLogits
        Of pi_1..pi_{n+1}; the last has no variances if nothing was seen of it yet.
    """
    states, own, joint = dynamics.n_states, dynamics.actions[agent], dynamics.n_joint_actions
    code = np.arange(states * joint)
    state_of = code // joint
    pair_of = state_of * own + dynamics.own_actions[agent][code % joint]
    number, columns, gamma = len(trajectories), states + 1, dynamics.gamma
    size = 8 * number * states * own * columns
    checks.memory(size, f"logits of {number} policies and {states} states", "use a smaller game")
    width = min(columns, max(16, BLOCK_BYTES // (8 * states * (own + 1))))
    logits = AffineLogits(
        np.zeros((number, states, own, states)),
        np.zeros((number, states, own)),
        np.ones((number, states, own), dtype=bool),
        np.zeros((number, states, own)),
    )
    for h, played in enumerate(trajectories):
        policy = np.where(np.isnan(own_policies[h]), 1 / own, own_policies[h])
        bonus = entropy_bonus(policy, alpha)
        given = state_of, pair_of, policy.ravel(), bonus.ravel()
        entropy = (policy * bonus).sum(axis=1)
        q = np.empty((states * own, columns))
        for column in range(0, columns, width):
            rows = np.zeros((states * own, min(width, columns - column)))
            value = np.zeros((states, rows.shape[1]))
            for part in _parts(played):
                replay(*part, *given, entropy, gamma, beta, executed, column, rows, value)
                yield part.size if column == 0 else 0
            q[:, column : column + width] = rows
        logits.slopes[h] = q[:, :-1].reshape(states, own, states) / alpha
        logits.constants[h] = q[:, -1].reshape(states, own) / alpha
        reward = _so_far(logits.first(h + 1), own_counts[1 : h + 2], alpha)
        if reward is not None:
            worth, variance = np.zeros(states * own), np.zeros(states * own)
            for part in _parts(played):
                replay_errors(*part, *given, reward, gamma, beta, executed, worth, variance)
                yield 0
            logits.variances[h] = variance.reshape(states, own) / alpha**2
    return logits


def _so_far(logits: AffineLogits, counts: FloatArray, alpha: float) -> FloatArray | None:
    """The reward that the improvements seen so far tell of, 0 where they tell nothing."""
    if len(counts) == len(logits.slopes):
        with suppress(NothingToLearnError):
            found = recover_from_logits(logits, counts, alpha, tolerance=ROUGHLY)
            return np.nan_to_num(found.values)
    return None


class _Part(NamedTuple):
    """Steps for one call of a kernel."""

    steps: WordArray
    last: WordArray
    begin: int
    end: int

    @property
    def size(self) -> int:
        """Number of steps."""
        return len(self.last) * (self.end - self.begin)


def _parts(played: Trajectories) -> Iterator[_Part]:
    """All steps in their order."""
    episodes, length = played.steps.shape
    many = max(1, PASS_STEPS // length)
    for episode in range(0, episodes, many):
        chosen = slice(episode, episode + many)
        for begin in range(0, length, PASS_STEPS):
            end = min(begin + PASS_STEPS, length)
            yield _Part(played.steps[chosen], played.last[chosen], begin, end)
