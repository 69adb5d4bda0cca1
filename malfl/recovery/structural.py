"""Logits of improved policies from exact soft Q values, affine in the reward of the states."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.linalg import solve

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics, Policies
from malfl.games.soft import (
    dense_own_transitions,
    dense_state_transitions,
    entropy,
    joint_probabilities,
    or_uniform,
)
from malfl.play.view import View
from malfl.recovery.estimator import Prepared
from malfl.recovery.logit import AffineLogits, recover_from_logits
from malfl.recovery.policies import PolicyFit, Smoothing, check_fit, estimate_policies
from malfl.recovery.reward import RecoveredReward
from malfl.values import Value, set_fields


@dataclass(frozen=True)
class Structural(Value):
    """A regression on the logits of improved policies, exact soft Q values assumed.

    Needs counts only.

    Parameters
    ----------
    least_visits
        How often a learner must have tried an action in a state for its value to count as exact: a
        learner that begins from zero has no exact value of what it hardly tried.
    policies
        How policies are estimated.

    Raises
    ------
    ValueError
        If ``least_visits`` is less than 1.
    """

    least_visits: int = 100
    policies: PolicyFit = Smoothing()

    needs_steps = False
    needs_improvements = True

    def __post_init__(self) -> None:
        set_fields(self, least_visits=checks.count(self.least_visits, "least_visits"))
        check_fit(self.policies)

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        return _Prepared(self, view, agent, estimate_policies(view, self.policies, rng))


class _Prepared:
    def __init__(self, estimator: Structural, view: View, agent: int, policies: Policies) -> None:
        self._view, self._agent = view, agent
        self._policies, self._counts = policies, view.own_counts(agent)
        self._least = estimator.least_visits
        self._logits = empty_logits(view.dynamics, len(self._counts), agent)
        self._done = 0

    def reward(self, improvements: int) -> RecoveredReward:
        logits = self._first(improvements)
        return recover_from_logits(logits, self._counts[1 : improvements + 1], self._view.alpha)

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        logits = self._first(improvements + 1)
        return np.asarray(logits.policies(np.nan_to_num(reward.values))[improvements])

    def _first(self, improvements: int) -> AffineLogits:
        view, agent = self._view, self._agent
        for h in range(self._done, improvements):
            now = [policies[h] for policies in self._policies]
            progress.advance()
            slopes, constants = exact_logits(view.dynamics, now, agent, view.alpha)
            self._logits.slopes[h], self._logits.constants[h] = slopes, constants
            self._logits.known[h] = self._counts[h] >= self._least
        self._done = max(self._done, improvements)
        return self._logits.first(improvements)


def empty_logits(dynamics: Dynamics, number: int, agent: int) -> AffineLogits:
    """Room for the logits of so many policies of an agent."""
    states, own = dynamics.n_states, dynamics.actions[agent]
    size = 8 * number * states * own * (states + 1)
    checks.memory(size, f"logits of {number} policies and {states} states", "use a smaller game")
    return AffineLogits(
        np.zeros((number, states, own, states)),
        np.zeros((number, states, own)),
        np.ones((number, states, own), dtype=bool),
        np.zeros((number, states, own)),
    )


def structural_logits(
    dynamics: Dynamics, policies: Sequence[FloatArray], agent: int, alpha: float
) -> AffineLogits:
    """How the improvements of pi_0..pi_n depend on the agent's reward, if it evaluates exactly.

    Parameters
    ----------
    policies
        pi_0..pi_n of every agent, one (n + 1, S, A_i) array each. Where one is unknown (NaN), a
        uniform one is used.

    Returns
    -------
    AffineLogits
        Of pi_1..pi_{n+1}, all known.
    """
    agent, alpha = dynamics.check_agent(agent), checks.positive(alpha, "alpha")
    histories = checks.histories(policies, "policies", dynamics.n_states, dynamics.actions)
    logits = empty_logits(dynamics, len(histories[agent]), agent)
    for h in range(len(histories[agent])):
        now = [history[h] for history in histories]
        logits.slopes[h], logits.constants[h] = exact_logits(dynamics, now, agent, alpha)
    return logits


def exact_logits(
    dynamics: Dynamics, policies: Sequence[FloatArray], agent: int, alpha: float
) -> tuple[FloatArray, FloatArray]:
    """Slopes (S, A_i, S) and constants (S, A_i) of the improvement of one joint policy.

    Soft values solve V = R + alpha H + gamma P V (Eq. 3), so Q = R + gamma E[V(s')] is affine in R.
    """
    states, own = dynamics.n_states, dynamics.actions[agent]
    now = [or_uniform(policy) for policy in policies]
    chain = dense_state_transitions(dynamics, joint_probabilities(dynamics, now))
    reach = dense_own_transitions(dynamics, now, agent)
    bonus = alpha * entropy(now[agent])
    value = solve(np.eye(states) - dynamics.gamma * chain, np.column_stack([np.eye(states), bonus]))
    q = dynamics.gamma * (reach @ value).reshape(states, own, states + 1)
    return (q[..., :-1] + np.eye(states)[:, None, :]) / alpha, q[..., -1] / alpha
