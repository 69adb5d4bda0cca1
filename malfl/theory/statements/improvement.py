"""Soft values and soft improvements: MA-LfL, Sections 3 and 4."""

import numpy as np
import pandas as pd

from malfl.checks import FloatArray
from malfl.games.soft import (
    dense_state_transitions,
    entropy,
    improve_all,
    joint_probabilities,
    marginal_soft_q,
    over_opponents,
    soft_return,
)
from malfl.theory.bounds import Bound
from malfl.theory.prediction import Prediction
from malfl.theory.random_games import random_predictions

LOSSES = ("some Q drops", "value drops in all states", "for all agents")
ROUNDING = 1e-10  # that an equation may be off by, relative to what it is about


def equation(off: FloatArray | float, size: float) -> Bound:
    """The largest entry of what is left of an equation, against rounding."""
    return Bound(float(np.abs(off).max()), ROUNDING * size)


def definition_3_2(p: Prediction) -> Bound:
    """The joint policy is a policy, with the agents' own as its marginals."""
    joint = joint_probabilities(p.game, p.policies)
    off = [
        joint[:, p.game.own_actions[i] == a].sum(axis=1) - policy[:, a]
        for i, policy in enumerate(p.policies)
        for a in range(policy.shape[1])
    ]
    return equation(np.array([*off, joint.sum(axis=1) - 1]), 1.0)


def equation_1(p: Prediction) -> Bound:
    """J_soft is the sum over time of discounted rewards and entropies."""
    sums = _summed(p)
    found = soft_return(p.game, p.policies, p.agent, p.alpha)
    return equation(found - float(p.game.start @ sums), _size(sums))


def equation_2(p: Prediction) -> Bound:
    """Soft Q is the reward now plus the discounted sum from the next step on."""
    sums = _summed(p)
    ahead = (p.game.transitions @ sums).reshape(p.game.n_states, -1)
    expected = p.game.joint_reward(p.agent) + p.game.gamma * ahead
    return equation(p.joint_q - expected, _size(sums))


def remark_3_8(p: Prediction) -> Bound:
    """Soft Q satisfies the Bellman equation (Eq. 3)."""
    q = p.joint_q
    value = (joint_probabilities(p.game, p.policies) * q).sum(axis=1) + p.alpha * entropy(p.policy)
    ahead = (p.game.transitions @ value).reshape(q.shape)
    return equation(q - p.game.joint_reward(p.agent) - p.game.gamma * ahead, _size(q))


def definition_4_3(p: Prediction) -> Bound:
    """With the sum over a^-i, the objective in the agent's process is that in the game."""
    there = soft_return(p.process, (p.policy,), 0, p.alpha)
    here = soft_return(p.game, p.policies, p.agent, p.alpha)
    return equation(there - here, _size(p.q) + p.alpha)


def definition_4_3_as_printed(p: Prediction) -> Bound | None:
    """Without the sum, ``P(s'|s, a) = P(s'|s, a^-i, a) pi^-i(a^-i)`` should add up to 1 over s'."""
    if p.game.n_agents == 1:
        return None
    others = joint_probabilities(p.game, p.policies, leave_out=p.agent)
    return equation(others - 1, 1.0)


def lemma_4_6(p: Prediction) -> Bound:
    """Soft Q of the agent's process is the expectation of its soft Q in the game."""
    expected = over_opponents(p.game, p.policies, p.agent, p.joint_q)
    return equation(expected - p.q, _size(p.q))


def theorem_4_1(p: Prediction) -> Bound | None:
    """A single agent's soft improvement lowers no soft Q value."""
    return theorem_4_7(p) if p.game.n_agents == 1 else None


def theorem_4_7(p: Prediction) -> Bound:
    """Nor does that of one agent among others who keep to their policies."""
    return _improves(p, p.soft_q(p.reward, np.exp(p.logs)))


def theorem_4_7_simultaneous(p: Prediction) -> Bound | None:
    """What its proof needs of Assumption 4.5: nor does an improvement of everyone."""
    if p.game.n_agents == 1:
        return None
    return _improves(p, marginal_soft_q(p.game, p.everyone_after, p.agent, p.alpha))


def remark_4_8(p: Prediction) -> Bound:
    """With the entropy, no policy has a greater E[Q] + alpha H than pi_new: least room in a state.

    Compared with the policy before, the greedy one, the uniform one, and pi_new shifted by a tenth
    towards each action.
    """
    return _greedy(p, p.alpha)


def remark_4_8_as_printed(p: Prediction) -> Bound:
    """Without the entropy, the same."""
    return _greedy(p, 0.0)


def worse_off(p: Prediction) -> tuple[bool, bool, bool]:
    """Who loses by a simultaneous improvement.

    Returns
    -------
    (bool, bool, bool)
        Whether some soft Q value of the agent drops, its value in every state, and every agent's
        value in every state.
    """
    q, after = improve_all(p.game, p.policies, p.alpha)
    now, _ = improve_all(p.game, after, p.alpha)
    drops = []
    for i, (before, later) in enumerate(zip(q, now, strict=True)):
        room = ROUNDING * (_size(before) + p.alpha)
        old, new = (_value(x[i], y[i], p.alpha) for x, y in ((q, p.policies), (now, after)))
        drops.append(((later < before - room).any(), (new < old - room).all()))
    some, everywhere = drops[p.agent]
    return bool(some), bool(everywhere), all(bool(one) for _, one in drops)


def random_losses(number: int, seed: int) -> pd.DataFrame:
    """`worse_off` in so many random games, a row each, columns ``LOSSES``."""
    drawn = random_predictions(number, seed=seed)
    return pd.DataFrame([worse_off(p) for p in drawn], columns=LOSSES)


def _value(q: FloatArray, policy: FloatArray, alpha: float) -> FloatArray:
    return np.asarray((policy * q).sum(axis=1) + alpha * entropy(policy))


def _improves(p: Prediction, now: FloatArray) -> Bound:
    """Soft Q before and now, above the least it could be, where the agent gains least."""
    least = float(p.game.joint_reward(p.agent).min()) / (1 - p.game.gamma)
    worst = np.unravel_index(np.argmax(p.q - now), now.shape)
    size = _size(p.q) + _size(now)
    return Bound(float(p.q[worst] - least), float(now[worst] - least), size)


def _greedy(p: Prediction, weight: float) -> Bound:
    q, own = p.q, p.policy.shape[1]
    new = np.exp(p.logs)
    others = [p.policy, np.eye(own)[q.argmax(axis=1)], np.full_like(q, 1 / own)]
    others += [0.9 * new + 0.1 * np.eye(own)[a] for a in range(own)]

    def worth(policy: FloatArray) -> FloatArray:
        # Above the least Q of the state, so that neither side is negative.
        height = q - q.min(axis=1, keepdims=True)
        return np.asarray((policy * height).sum(axis=1) + weight * entropy(policy))

    best = np.max([worth(policy) for policy in others], axis=0)
    reached = worth(new)
    worst = int(np.argmax(best - reached))
    return Bound(float(best[worst]), float(reached[worst]), _size(q))


def _summed(p: Prediction) -> FloatArray:
    """Discounted sums of rewards and entropies from each state, added up step by step.

    The first 2^k terms are known; so are the powers of the chain that give the next 2^k.
    """
    joint = joint_probabilities(p.game, p.policies)
    gains = (joint * p.game.joint_reward(p.agent)).sum(axis=1) + p.alpha * entropy(p.policy)
    power = p.game.gamma * dense_state_transitions(p.game, joint)
    sums = gains
    while np.abs(power).max() > 1e-18:
        sums = sums + power @ sums
        power = power @ power
    return np.asarray(sums)


def _size(values: FloatArray) -> float:
    return float(np.abs(values).max()) + 1.0
