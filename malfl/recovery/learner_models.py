"""What an agent's policies are for a reward of the state, if it learns in a known way.

A model turns a reward into the logits of pi_1..pi_H, and says how these change with the reward.
Only the agent's first policy and what the others play come from what was seen.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.linalg import inv
from scipy.special import logsumexp, softmax

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics, MarkovGame
from malfl.games.soft import dense_own_transitions, entropy, or_uniform, soft_optimum
from malfl.kernels.q_learning import q_learning_with_slopes
from malfl.kernels.steps import Learner as Codes
from malfl.play.episodes import Episodes

CALL_STEPS = 2**15  # in one call of a kernel, some milliseconds

Path = tuple[FloatArray, FloatArray]
"""Logits of pi_1..pi_H, (H, S, A_i), and their derivatives by the rewards, (H, S, A_i, S)."""

Model = Callable[[FloatArray], Path]
"""From a reward (S,) to the path of learning."""


def reach(dynamics: Dynamics, policies: Sequence[FloatArray], agent: int) -> FloatArray:
    """Where the agent's actions lead among the others' policies, (H, S, A_i, S).

    Parameters
    ----------
    policies
        Everyone's, one (H, S, A_i) array an agent; NaN, where one is unknown, stands for uniform.
    """
    states, own = dynamics.n_states, dynamics.actions[agent]
    rounds = len(policies[0])
    checks.memory(8 * rounds * states * own * states, "transitions", "use a smaller game")
    moves = np.empty((rounds, states, own, states))
    for h in range(rounds):
        now = [or_uniform(p[h]) for p in policies]
        moves[h] = dense_own_transitions(dynamics, now, agent).reshape(states, own, states)
    return moves


def soft_policy_iteration(
    moves: FloatArray, first: FloatArray, alpha: float, gamma: float
) -> Model:
    """Exact soft policy iteration from the policy ``first`` (S, A_i); ``moves`` as `reach` gives.

    The derivative of a policy's value by that policy is its advantage (policy gradient theorem).
    """
    states = moves.shape[-1]
    unit = np.eye(states)

    def path(reward: FloatArray) -> Path:
        logits = np.empty(moves.shape[:-1])
        slopes = np.empty(moves.shape)
        policy, policy_slopes = first, np.zeros(moves.shape[1:])
        for h, move in enumerate(moves):
            progress.advance()
            occupancy = inv(unit - gamma * (policy[:, None, :] @ move)[:, 0])
            value = occupancy @ (reward + alpha * entropy(policy))
            q = reward[:, None] + gamma * (move @ value)
            surplus = q - alpha * np.log(policy, where=policy > 0, out=np.zeros_like(policy))
            by_policy = (surplus[:, None, :] @ policy_slopes)[:, 0]
            value_slopes = occupancy @ (unit + by_policy)
            logits[h] = q / alpha
            slopes[h] = (unit[:, None, :] + gamma * (move @ value_slopes)) / alpha
            policy = softmax(logits[h], axis=-1)
            mean = policy[:, None, :] @ slopes[h]
            policy_slopes = policy[..., None] * (slopes[h] - mean)
        return logits, slopes

    return path


def soft_value_iteration(moves: FloatArray, alpha: float, gamma: float) -> Model:
    """Soft value iteration from values of zero; ``moves`` as `reach` gives them."""
    unit = np.eye(moves.shape[-1])

    def path(reward: FloatArray) -> Path:
        logits = np.zeros((len(moves) + 1, *moves.shape[1:-1]))
        slopes = np.zeros((len(moves) + 1, *moves.shape[1:]))
        for h, move in enumerate(moves):
            value = logsumexp(logits[h], axis=-1)
            value_slopes = (softmax(logits[h], axis=-1)[:, None, :] @ slopes[h])[:, 0]
            logits[h + 1] = reward[:, None] / alpha + gamma * (move @ value)
            slopes[h + 1] = unit[:, None, :] / alpha + gamma * (move @ value_slopes)
        return logits[1:], slopes[1:]

    return path


def best_response(moves: FloatArray, alpha: float, gamma: float) -> Model:
    """A single policy, the soft optimum among others who play as in ``moves`` (1, S, A_i, S).

    The likeliest reward of this model is what maximum causal entropy inverse reinforcement
    learning (Ziebart 2010) finds. A reward's worth is how often its state will be visited.
    """
    states = moves.shape[-1]
    unit, transitions = np.eye(states), moves[0]

    def path(reward: FloatArray) -> Path:
        process = MarkovGame(
            actions=(moves.shape[2],), transitions=transitions, rewards=[reward], start=0,
            gamma=gamma,
        )  # fmt: skip
        best = soft_optimum(process, alpha)
        occupancy = inv(unit - gamma * (best.policy[:, None, :] @ transitions)[:, 0])
        slopes = unit[:, None, :] + gamma * (transitions @ occupancy)
        return best.q[None] / alpha, slopes[None] / alpha

    return path


def q_learning(
    dynamics: Dynamics,
    played: Sequence[Episodes],
    agent: int,
    alpha: float,
    beta: float,
) -> Model:
    """Q-learning from values of zero, made again along the steps that were played.

    The actions that look best depend on the reward, so values are linear in it only piecewise.
    """
    states, own = dynamics.n_states, dynamics.actions[agent]
    codes, gamma = Codes(*dynamics.code_parts(agent)), dynamics.gamma

    def path(reward: FloatArray) -> Path:
        logits = np.empty((len(played), states, own))
        slopes = np.empty((len(played), states, own, states))
        q, q_slopes = np.zeros((states, own)), np.zeros((states * own, states))
        for h, part in enumerate(played):
            piece = max(1, CALL_STEPS * len(part) // max(part.steps, 1))
            for begin in range(0, len(part), piece):
                end = min(begin + piece, len(part))
                q_learning_with_slopes(
                    part.packed, codes, begin, end, reward, gamma, beta, q, q_slopes
                )
                progress.advance()
            logits[h] = q / alpha
            slopes[h] = q_slopes.reshape(slopes[h].shape) / alpha
        return logits, slopes

    return path
