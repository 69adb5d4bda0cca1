"""Rewards from the last policy seen, as if learning were over: what one would try first."""

from dataclasses import dataclass, replace

import numpy as np

from malfl import checks
from malfl.checks import BoolArray, FloatArray
from malfl.games.markov import Policies
from malfl.play.view import View
from malfl.recovery.estimator import Prepared
from malfl.recovery.learner_models import best_response, face
from malfl.recovery.next_policy import exact_next_policy
from malfl.recovery.path import PathFit, recover_from_path
from malfl.recovery.policies import PolicyFit, Smoothing, check_fit, estimate_policies
from malfl.recovery.reward import NoFit, RecoveredReward
from malfl.values import Value, set_fields


@dataclass(frozen=True)
class LastPolicy(Value):
    """Alpha ln pi of the last policy, the reward that LfL begins with (Section 5.4).

    Parameters
    ----------
    policies
        How policies are estimated.
    """

    policies: PolicyFit = Smoothing()

    needs_steps = False
    needs_improvements = False

    def __post_init__(self) -> None:
        check_fit(self.policies)

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        return _Prepared(view, agent, estimate_policies(view, self.policies, rng))


@dataclass(frozen=True)
class CausalEntropy(Value):
    """Maximum causal entropy (Ziebart 2010): the last policy is the best one among the others'.

    The likeliest reward of the state, with a normal prior.

    Parameters
    ----------
    prior
        Standard deviation of rewards, in units of alpha.
    policies
        How policies are estimated.
    """

    prior: float = 10.0
    policies: PolicyFit = Smoothing()

    needs_steps = False
    needs_improvements = False

    def __post_init__(self) -> None:
        set_fields(self, prior=checks.squarable(self.prior, "prior"))
        check_fit(self.policies)

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        return _Prepared(view, agent, estimate_policies(view, self.policies, rng), self.prior)


class _Prepared:
    """Estimated policies, of which the last counts; with a prior, causal entropy."""

    def __init__(
        self, view: View, agent: int, policies: Policies, prior: float | None = None
    ) -> None:
        self._view, self._agent, self._policies, self._prior = view, agent, policies, prior

    def reward(self, improvements: int) -> RecoveredReward:
        view = self._view
        seen = np.flatnonzero(view.counts[: improvements + 1].any(axis=(1, 2)))
        h = int(seen[-1]) if seen.size else improvements
        if self._prior is None:
            legal = view.dynamics.legal[self._agent]
            return log_policy(self._policies[self._agent][h], view.unit, legal)
        last = slice(h, h + 1)
        faced = face(view.dynamics, [policies[last] for policies in self._policies], self._agent)
        model = best_response(faced, view.dynamics.ends, view.unit, view.dynamics.gamma)
        counts = view.own_counts(self._agent)[last]
        found = recover_from_path(model, counts, view.unit, self._prior)
        assert isinstance(found.diagnostics, PathFit)
        # One policy cannot show whether learning is over.
        return replace(found, diagnostics=replace(found.diagnostics, promise=None))

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        now = [policies[improvements] for policies in self._policies]
        return exact_next_policy(self._view.dynamics, now, self._agent, self._view.unit, reward)


def log_policy(policy: FloatArray, alpha: float, legal: BoolArray | None = None) -> RecoveredReward:
    """Alpha ln pi. By LfL's Theorem 2 it is the reward, shaped, if the policy no longer changes.

    Parameters
    ----------
    policy
        The last one, (S, A_i); NaN where unknown.
    legal
        Which actions are legal, (S, A_i), by default all; there is no reward of others.

    Raises
    ------
    ValueError
        If the probability of a legal action is 0.
    """
    if legal is not None:
        policy = np.where(legal, policy, np.nan)
    if (policy <= 0).any():
        where = checks.first(policy <= 0)
        raise ValueError(
            f"policy{list(where)} is {policy[where]:g}, and its logarithm is needed; smoothed "
            "estimates have no zeros"
        )
    return RecoveredReward(
        values=alpha * np.log(policy), reward_class="state-action", diagnostics=NoFit()
    )
