"""What a learner's soft Q values are, from counts alone: exact, or as temporal differences go.

Temporal differences with a constant step size beta, begun at zero, are not exact. Where an action
was seldom tried its value is still on its way (the transient), and everywhere the last targets
weigh most (the noise). While a learner plays one policy, all that depends on how often each action
was tried, as every visit moves a value by a share beta towards its target. Seen as one unit of
time, an action tried N times has the rate -N ln(1 - beta), and the mean of the values follows
dq/dt = rate (R + gamma E[q(s', a') + bonus(s', a')] - q).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.linalg import solve
from scipy.sparse import csr_array, eye_array, kron

from malfl import progress
from malfl.checks import FloatArray
from malfl.games.legal import or_uniform
from malfl.games.markov import Dynamics
from malfl.games.soft import entropy, entropy_bonus, expectation_over_opponents
from malfl.kernels.learned_noise import Reach, relax
from malfl.recovery.reward import RewardClass

NODES = 10  # of the contour, for an error of a millionth of the values
PATH_STEPS = 32  # in which the mean values are followed
ROUNDS = 60  # of the fixed point for the noise, at most
CLOSE = 0.02  # how well a variance is known, relative to the largest
MOST_PAIRS = 2000  # of state and action; in larger games values ahead count as exact
FASTEST = 1 - 1e-9  # step size that stands for 1


@dataclass(frozen=True, eq=False)
class Process:
    """What one agent faces while the others keep to their policies, and what it does itself."""

    policy: FloatArray  #: (S, A_i), its own
    bonus: FloatArray  #: (S, A_i), -alpha times its logarithm
    entropy: FloatArray  #: (S,), alpha times the policy's
    reach: csr_array  #: (S * A_i, S), where its actions lead
    own: csr_array  #: (S * A_i, K), its expected reward in each of K numbers
    gamma: float
    joint: "Joint | None" = None  #: if the reward depends on the others' actions

    @property
    def states(self) -> int:
        """Number of states."""
        return int(self.reach.shape[1])

    def mean(self, values: FloatArray) -> FloatArray:
        """The expectation under the own policy of values (S * A_i, ...), shape (S, ...)."""
        weighted = self.policy.ravel().reshape(-1, *[1] * (values.ndim - 1)) * values
        return np.asarray(weighted.reshape(self.states, -1, *values.shape[1:]).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Joint:
    """The others' actions, over which a reward of joint actions varies."""

    others: csr_array  #: (S * A_i, S * A), expectation over them
    moves: csr_array  #: (S * A, S)


def process_of(
    dynamics: Dynamics,
    policies: Sequence[FloatArray],
    agent: int,
    alpha: float,
    reward_class: RewardClass = "state",
) -> Process:
    """The process of an agent for one joint policy, (S, A_i) an agent; NaN counts as uniform."""
    now = [
        or_uniform(policy, legal) for policy, legal in zip(policies, dynamics.legal, strict=True)
    ]
    others = expectation_over_opponents(dynamics, now, agent)
    states, own = dynamics.n_states, dynamics.actions[agent]
    if reward_class == "state":
        slopes = csr_array(kron(eye_array(states), np.ones((own, 1))))
    else:
        slopes = others if reward_class == "joint-action" else csr_array(eye_array(states * own))
    return Process(
        policy=now[agent],
        bonus=entropy_bonus(now[agent], alpha),
        entropy=alpha * entropy(now[agent]),
        reach=csr_array(others @ dynamics.transitions),
        own=slopes,
        gamma=dynamics.gamma,
        joint=Joint(others, dynamics.transitions) if reward_class == "joint-action" else None,
    )


def exact_values(process: Process) -> tuple[FloatArray, FloatArray]:
    """Soft Q values (Eq. 3) as slopes (S * A_i, K) in the reward, and constants (S * A_i,)."""
    values = _exact(process, _gains(process))
    return values[:, :-1], values[:, -1]


def exact_constants(process: Process) -> FloatArray:
    """Of these the constants alone, which are the values of entropy."""
    return _exact(process, _of_entropy(process))


def _exact(process: Process, gains: FloatArray) -> FloatArray:
    chain = process.mean(process.reach.toarray())
    value = solve(np.eye(process.states) - process.gamma * chain, process.mean(gains))
    return np.asarray(gains + process.gamma * (process.reach @ value))


def learned_values(
    process: Process, visits: FloatArray, beta: float
) -> tuple[FloatArray, FloatArray]:
    """The mean of values learned from zero, in the form of `exact_values`.

    The exponential of the rates' matrix is a contour integral of its resolvents (the fixed Talbot
    method, Abate and Valko 2004), and these are solved for values of states.

    Parameters
    ----------
    visits
        How often each action was tried, (S, A_i).
    beta
        Step size, in (0, 1].
    """
    rates, gains, states = _rates(visits, beta), _gains(process), process.states
    chain = process.reach.toarray()
    angle = np.pi * np.arange(1, NODES) / NODES
    radius = 2 * NODES / 5
    cot = 1 / np.tan(angle)
    nodes = np.concatenate([[radius], radius * angle * (cot + 1j)])
    turns = np.concatenate([[0.5], 1 + 1j * (angle + (angle * cot - 1) * cot)])
    weights = radius / NODES * np.exp(nodes) * turns / nodes
    values = np.zeros_like(gains)
    for node, weight in zip(nodes, weights, strict=True):
        progress.advance()
        share = rates / (rates + node)
        system = np.eye(states) - process.gamma * process.mean(share[:, None] * chain)
        value = solve(system, process.mean(share[:, None] * gains))
        found = share[:, None] * (gains + process.gamma * (process.reach @ value))
        values += (weight * found).real
    return values[:, :-1], values[:, -1]


def learned_variances(
    process: Process,
    visits: FloatArray,
    beta: float,
    reward: FloatArray,
    rounds: int = ROUNDS,
) -> FloatArray:
    """Variances (S * A_i,) of learned values around their means, for a reward (K,).

    An update adds beta times what its target is off by. Errors of values that lead to each other
    are correlated: their covariance S solves the Lyapunov equation of the rates, by a fixed point
    in which each entry relaxes at the sum of two rates. What depends on when a seldom tried action
    was tried comes on top. In games of more than ``MOST_PAIRS`` pairs of state and action the
    correlations are left out.
    """
    beta = min(beta, FASTEST)
    rates, number = _rates(visits, beta), visits.ravel()
    spread, timing = _along_the_path(process, rates, beta, number, reward)
    per_visit = 2 * beta * -np.log1p(-beta) / (2 - beta) * number
    if rates.size > MOST_PAIRS:
        return np.asarray(per_visit * spread * _relaxed(2 * rates) + timing)
    relaxed = _relaxed(rates[:, None] + rates[None, :])
    covariance, reach = np.zeros_like(relaxed), process.reach
    given = (
        Reach(reach.indptr, reach.indices, reach.data), process.policy, rates, relaxed,
        per_visit * spread, per_visit * process.gamma**2, process.gamma, covariance,
    )  # fmt: skip
    for _ in range(rounds):
        progress.advance()
        if relax(*given) <= CLOSE * covariance.max():
            break
    return np.asarray(np.diagonal(covariance) + timing)


def _along_the_path(
    process: Process, rates: FloatArray, beta: float, visits: FloatArray, reward: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Targets' variances, and the variance for when visits came, both (S * A_i,).

    The mean values are followed in steps of time, each action's by its own exponential. What an
    action was off by fades at twice its rate until the end.
    """
    gamma, step = process.gamma, 1 / PATH_STEPS
    gains, bonus = process.own @ reward, process.bonus.ravel()
    steps_left = PATH_STEPS - 1 - np.arange(PATH_STEPS)
    once = np.exp(-rates * step)
    within, twice = step * _relaxed(rates * step), step * _relaxed(2 * rates * step)
    q = np.zeros_like(gains)
    variance, weight, first, second = (np.zeros_like(gains) for _ in range(4))
    for left in steps_left:
        mean, square = process.mean(q + bonus), process.mean((q + bonus) ** 2)
        target = gains + gamma * (process.reach @ mean)
        if process.joint is None:
            spread = gamma**2 * (process.reach @ square - (process.reach @ mean) ** 2)
        else:
            moves = process.joint.moves
            joint = reward + gamma * (moves @ mean)
            hidden = gamma**2 * (moves @ square - (moves @ mean) ** 2)
            spread = process.joint.others @ (joint**2 + hidden) - target**2
        off = (target - q) * np.sqrt(once)  # in the middle of the step
        fading = np.exp(-rates * step * left)
        variance += np.maximum(spread, 0.0) * twice * fading**2
        weight += twice * fading**2
        first += off * within * fading
        second += off**2 * twice * fading**2
        q += (1 - once) * (target - q)
    timing = visits * beta**2 * np.maximum(second - first**2, 0.0)
    return variance / np.maximum(weight, np.finfo(float).tiny), timing


def _relaxed(rates: FloatArray) -> FloatArray:
    """How far on its way something is in one unit of time, over its rate."""
    return np.where(rates > 0, -np.expm1(-rates) / np.where(rates > 0, rates, 1.0), 1.0)


def _rates(visits: FloatArray, beta: float) -> FloatArray:
    return np.asarray(-np.log1p(-min(beta, FASTEST)) * visits.ravel())


def _gains(process: Process) -> FloatArray:
    """What a target holds beside values of next actions: slopes and constants, (S * A_i, K + 1)."""
    return np.column_stack([process.own.toarray(), _of_entropy(process)])


def _of_entropy(process: Process) -> FloatArray:
    return np.asarray(process.gamma * (process.reach @ process.entropy))
