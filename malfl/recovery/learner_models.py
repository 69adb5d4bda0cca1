"""What an agent's policies are for a reward, if it learns in a known way.

A model turns a reward into the logits of pi_1..pi_H, and says how these change with the reward.
Only the agent's first policy and what the others play come from what was seen.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.linalg import inv
from scipy.sparse import csr_array
from scipy.special import logsumexp, softmax

from malfl import checks, progress
from malfl.checks import BoolArray, FloatArray
from malfl.games.legal import or_uniform
from malfl.games.markov import Dynamics, MarkovGame
from malfl.games.soft import entropy, soft_optimum
from malfl.kernels.q_learning import q_learning_with_slopes
from malfl.kernels.steps import Learner as Codes
from malfl.learners.q_learning import first_values
from malfl.play.episodes import Episodes
from malfl.recovery.classes import earned_by_code, entries
from malfl.recovery.learned_values import process_of
from malfl.recovery.reward import RewardClass

NEVER = -1e30  # logit of what is not legal
CALL_STEPS = 2**15  # in one call of a kernel, some milliseconds

Path = tuple[FloatArray, FloatArray]
"""Logits of pi_1..pi_H, (H, S, A_i), and their derivatives by the reward, (H, S, A_i, K)."""

Model = Callable[[FloatArray], Path]
"""From the K entries of a reward to the path of learning."""


class Faced(NamedTuple):
    """What the agent's actions bring among the others' policies, one after the other."""

    moves: FloatArray  # (H, S, A_i, S), where they lead
    gains: list[csr_array]  # H times (S * A_i, K), the expected reward in each of its entries
    legal: BoolArray  # (S, A_i)

    def earned(self, h: int, reward: FloatArray) -> FloatArray:
        """The expected reward of each action, (S, A_i)."""
        return np.asarray(self.gains[h] @ reward).reshape(self.moves.shape[1:3])

    def slopes(self, h: int) -> FloatArray:
        """Its derivatives by the reward, (S, A_i, K)."""
        return np.asarray(self.gains[h].toarray().reshape(*self.moves.shape[1:3], -1))


def face(
    dynamics: Dynamics,
    policies: Sequence[FloatArray],
    agent: int,
    reward_class: RewardClass = "state",
) -> Faced:
    """What the agent faces while the others play as they do.

    Parameters
    ----------
    policies
        Everyone's, one (H, S, A_i) array an agent. Where one is unknown (NaN) it counts as the
        last one known there, or as uniform if there is none.
    """
    states, own = dynamics.n_states, dynamics.actions[agent]
    rounds, numbers = len(policies[0]), entries(dynamics, agent, reward_class)
    size = 8 * rounds * states * own * (states + numbers)
    checks.memory(size, "transitions and slopes", "use a smaller game")
    moves = np.empty((rounds, states, own, states))
    gains = []
    known = [
        last_known(policy, legal) for policy, legal in zip(policies, dynamics.legal, strict=True)
    ]
    for h in range(rounds):
        now = [policy[h] for policy in known]
        process = process_of(dynamics, now, agent, 1.0, reward_class)
        moves[h] = process.reach.toarray().reshape(states, own, states)
        gains.append(process.own)
    return Faced(moves, gains, dynamics.legal[agent])


def last_known(policies: FloatArray, legal: BoolArray) -> FloatArray:
    """Policies (H, S, A_i) in which a state's unknown ones (NaN) are the last one known there.

    Where none is known before, the policy is uniform over what is legal.
    """
    filled = np.empty_like(policies)
    now = np.full(policies.shape[1:], np.nan)
    for h, policy in enumerate(policies):
        now = np.where(np.isnan(policy), now, policy)
        filled[h] = or_uniform(now, legal)
    return filled


def soft_policy_iteration(faced: Faced, first: FloatArray, alpha: float, gamma: float) -> Model:
    """Exact soft policy iteration from the policy ``first`` (S, A_i).

    The derivative of a policy's value by that policy is its advantage (policy gradient theorem).
    """
    moves = faced.moves
    unit = np.eye(moves.shape[-1])

    def path(reward: FloatArray) -> Path:
        logits = np.empty(moves.shape[:-1])
        slopes = np.empty((*moves.shape[:-1], len(reward)))
        policy, policy_slopes = first, np.zeros(slopes.shape[1:])
        for h, move in enumerate(moves):
            progress.advance()
            earned, gains = faced.earned(h, reward), faced.slopes(h)
            occupancy = inv(unit - gamma * (policy[:, None, :] @ move)[:, 0])
            value = occupancy @ ((policy * earned).sum(axis=1) + alpha * entropy(policy))
            q = earned + gamma * (move @ value)
            surplus = q - alpha * np.log(policy, where=policy > 0, out=np.zeros_like(policy))
            by_reward = (policy[:, None, :] @ gains)[:, 0]
            by_policy = (surplus[:, None, :] @ policy_slopes)[:, 0]
            value_slopes = occupancy @ (by_reward + by_policy)
            logits[h] = np.where(faced.legal, q / alpha, NEVER)
            slopes[h] = (gains + gamma * (move @ value_slopes)) / alpha
            policy = softmax(logits[h], axis=-1)
            mean = policy[:, None, :] @ slopes[h]
            policy_slopes = policy[..., None] * (slopes[h] - mean)
        return logits, slopes

    return path


def soft_value_iteration(faced: Faced, alpha: float, gamma: float) -> Model:
    """Soft value iteration from values of zero."""
    moves = faced.moves

    def path(reward: FloatArray) -> Path:
        logits = np.zeros((len(moves) + 1, *moves.shape[1:-1]))
        logits[0] = np.where(faced.legal, 0.0, NEVER)
        slopes = np.zeros((len(moves) + 1, *moves.shape[1:-1], len(reward)))
        for h, move in enumerate(moves):
            value = logsumexp(logits[h], axis=-1)
            value_slopes = (softmax(logits[h], axis=-1)[:, None, :] @ slopes[h])[:, 0]
            now = faced.earned(h, reward) / alpha + gamma * (move @ value)
            logits[h + 1] = np.where(faced.legal, now, NEVER)
            slopes[h + 1] = faced.slopes(h) / alpha + gamma * (move @ value_slopes)
        return logits[1:], slopes[1:]

    return path


def best_response(faced: Faced, ends: BoolArray, alpha: float, gamma: float) -> Model:
    """A single policy, the soft optimum among others who do not learn.

    The likeliest reward of this model is what maximum causal entropy inverse reinforcement
    learning (Ziebart 2010) finds. A reward's worth is how often its state will be visited.
    """
    transitions = faced.moves[0]
    states, own, _ = transitions.shape
    unit = np.eye(states)

    def path(reward: FloatArray) -> Path:
        process = MarkovGame(
            actions=(own,), transitions=transitions, rewards=[reward], start=int(ends.argmin()),
            gamma=gamma, ends=ends, legal=[faced.legal],
        )  # fmt: skip
        best = soft_optimum(process, alpha)
        occupancy = inv(unit - gamma * (best.policy[:, None, :] @ transitions)[:, 0])
        slopes = unit[:, None, :] + gamma * (transitions @ occupancy)
        return np.where(faced.legal, best.q / alpha, NEVER)[None], slopes[None] / alpha

    return path


def q_learning(
    dynamics: Dynamics,
    played: Sequence[Episodes],
    agent: int,
    alpha: float,
    beta: float,
    reward_class: RewardClass = "state",
) -> Model:
    """Q-learning from values of zero, made again along the steps that were played.

    The actions that look best depend on the reward, so values are linear in it only piecewise.
    """
    states, own = dynamics.n_states, dynamics.actions[agent]
    codes, gamma = Codes(*dynamics.code_parts(agent)), dynamics.gamma
    earned = earned_by_code(dynamics, agent, reward_class)
    numbers = entries(dynamics, agent, reward_class)
    legal, ended = dynamics.legal[agent], np.flatnonzero(dynamics.ends)
    final_entries = earned[ended * dynamics.n_joint_actions]

    def path(reward: FloatArray) -> Path:
        logits = np.empty((len(played), states, own))
        slopes = np.empty((len(played), states, own, numbers))
        final = np.zeros(states)
        final[ended] = reward[final_entries]
        q, q_slopes = first_values(legal, final), np.zeros((states * own, numbers))
        q_slopes[ended * own, final_entries] = 1.0
        for h, part in enumerate(played):
            piece = max(1, CALL_STEPS * len(part) // max(part.steps, 1))
            for begin in range(0, len(part), piece):
                end = min(begin + piece, len(part))
                q_learning_with_slopes(
                    part.packed, codes, earned, begin, end, reward, gamma, beta, q, q_slopes
                )
                progress.advance()
            logits[h] = np.where(legal, np.where(legal, q, 0.0) / alpha, NEVER)
            slopes[h] = q_slopes.reshape(slopes[h].shape) / alpha
        return logits, slopes

    return path
