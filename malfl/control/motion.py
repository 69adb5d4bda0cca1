"""Rewards by how a policy moves: towards actions of greater advantage (structural)."""

from dataclasses import dataclass

import numpy as np

from malfl import progress
from malfl.checks import BoolArray, FloatArray
from malfl.control.clones import pooled_clones
from malfl.control.policy import Policy
from malfl.control.ppo import GAMMA, LAMBDA
from malfl.control.rewards import QuadraticReward, inputs_of, quadratic, scaled
from malfl.control.rollout import Rollout, RolloutView

RIDGE = 1e-5  # share of the mean square; weights that the data leave open are small


@dataclass(frozen=True)
class Motion:
    """A reward by whose advantages the policies move.

    Soft policy improvement says ln pi_k+1(a|s) - ln pi_k(a|s) = A_k(s, a) / alpha + c_k(s).
    Policies are those of `pooled_clones`. Advantages are linear in the weights of a reward that is
    quadratic in (s, a); those of each of its terms are estimated along the rollout (GAE), with
    values that are quadratic in s (LSTD). Weights are found by least squares.
    """

    @progress.interruptible
    def reward(self, view: RolloutView, seed: int = 0) -> QuadraticReward:
        """The reward of the learner in a view, in units that are arbitrary."""
        policies = pooled_clones(view, seed)
        inputs = np.concatenate([inputs_of(r.before, r.actions) for r in view.rollouts])
        center, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-4
        number = quadratic(center[None]).shape[1]
        normal, right = np.zeros((number, number)), np.zeros(number)
        for one, other, rollout in zip(policies, policies[1:], view.rollouts, strict=False):
            terms = quadratic(scaled(inputs_of(rollout.before, rollout.actions), center, spread))
            moved, advantages = motion_and_advantages(one, other, rollout, terms)
            normal += advantages.T @ advantages
            right += advantages.T @ moved
            progress.advance()
        size = RIDGE * np.trace(normal) / len(normal)
        weights = np.linalg.solve(normal + size * np.eye(len(normal)), right)
        return QuadraticReward(weights, center, spread)


def motion_and_advantages(
    one: Policy, other: Policy, rollout: Rollout, terms: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """How a policy moved along its rollout, and the advantages of what it earned there.

    Parameters
    ----------
    one, other
        The policy that acted, and the next.
    terms
        (T, terms), what each step earned by each term of a reward.

    Returns
    -------
    moved, advantages
        (T,) and (T, terms), both less what the state explains.
    """
    moved = other.log_density(rollout.before, rollout.actions) - one.log_density(
        rollout.before, rollout.actions
    )
    seen, then = (
        np.column_stack([np.ones(rollout.steps), quadratic(one.scaled(part))])
        for part in (rollout.before, rollout.after)
    )
    advantages = advantages_of(terms, seen, then, rollout.fell, rollout.broke_off)
    both = np.column_stack([moved, advantages])
    both = both - seen @ np.linalg.lstsq(seen, both, rcond=None)[0]
    return both[:, 0], both[:, 1:]


def advantages_of(
    terms: FloatArray, seen: FloatArray, then: FloatArray, fell: BoolArray, broke_off: BoolArray
) -> FloatArray:
    """Generalised advantages (T, terms), with values linear in ``seen`` (T, features), by LSTD."""
    onward = GAMMA * np.where(fell[:, None], 0.0, then)
    ridge = 1e-6 * len(seen) * np.eye(seen.shape[1])
    values = np.linalg.solve(seen.T @ (seen - onward) + ridge, seen.T @ terms)
    found = terms + (onward - seen) @ values
    for t in range(len(found) - 2, -1, -1):
        if not broke_off[t]:
            found[t] += GAMMA * LAMBDA * found[t + 1]
    return found
