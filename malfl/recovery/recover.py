"""From what was seen of an agent to its reward (MA-LfL, Algorithm 2)."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from malfl import checks
from malfl.checks import FloatArray, IntArray
from malfl.estimation import PolicyEstimates, estimate_policies
from malfl.games import Dynamics
from malfl.logs import Observation
from malfl.recovery.consistency import ConsistencySystem, adam, consistency_system
from malfl.recovery.diagnostics import Convergence, Determination, RewardClass
from malfl.recovery.least_squares import determination, least_squares

Method = Literal["least_squares", "adam"]
Weighting = Literal["uniform", "visits"]


@dataclass(frozen=True, eq=False)
class RecoveredReward:
    """An agent's reward as recovered, up to what its class leaves open.

    Entries that no equation touches, because too little was seen, are NaN.
    """

    values: FloatArray  # (S,), (S, A_i) or (S, A)
    reward_class: RewardClass
    shapings: FloatArray  # (H, S), g_h of Section 5.2
    convergence: Convergence
    system: ConsistencySystem  # the equations that were solved
    unvisited: IntArray | None = None  # (k, 2), pairs (iteration, state) without data, if data

    @cached_property
    def determination(self) -> Determination:
        """How well the equations determine the reward; a singular value decomposition.

        Raises
        ------
        ValueError
            If the game is too large for one; ``convergence`` is always known.
        """
        return determination(self.system)

    def over_states(self) -> FloatArray:
        """The reward averaged uniformly over actions, as the paper compares it, shape (S,).

        NaN where one of the averaged entries is.
        """
        return self.values if self.values.ndim == 1 else np.asarray(self.values.mean(axis=1))


def recover(
    seen: Observation,
    *,
    of: int,
    method: Method = "least_squares",
    reward_class: RewardClass = "state",
    weighting: Weighting = "uniform",
    policies: PolicyEstimates | None = None,
    steps: int = 1000,
    rate: float = 0.01,
) -> RecoveredReward:
    """Recover the reward of agent ``of`` from what another agent saw.

    Parameters
    ----------
    of
        The agent observed; not the observer itself.
    method
        ``"least_squares"``: the exact minimum of Eq. 12. ``"adam"``: descent from zero, as in
        Table 3.
    reward_class
        What the reward may depend on. ``"state"``: R(s). ``"state-action"``: R(s, a^i).
        ``"joint-action"``: R(s, a). How much of it can be found depends on the game and on how
        the opponents change; ``determination`` of the result says so.
    weighting
        Of the equations (h, s, a^i): all alike, or by how often a^i was seen in s under pi_h.
    policies
        Estimates to work with; `estimate_policies` with smoothing by default.
    steps, rate
        Number and size of Adam's steps.

    Warns
    -----
    UserWarning
        If a policy is unknown in some state for want of visits. The equations that need it are
        left out; the pairs are in ``unvisited`` of the result.

    Raises
    ------
    ValueError
        If fewer than two iterations were seen, an estimated policy has a zero (as maximum
        likelihood may), no equation is left, or an option is unknown.
    """
    checks.instance(seen, Observation, "seen", "see LearningLog.observed_by")
    of = seen.dynamics.check_agent(of, "of")
    if of == seen.observer:
        raise ValueError(f"of must be another agent than the observer, both are {of}")
    checks.choice(weighting, "weighting", ("uniform", "visits"))
    estimates = estimate_policies(seen) if policies is None else policies
    checks.instance(estimates, PolicyEstimates, "policies", "see estimate_policies")
    if len(estimates.visits) != seen.iterations:
        raise ValueError(
            f"policies must cover the {seen.iterations} iterations seen, got "
            f"{len(estimates.visits)}"
        )
    unvisited = estimates.unvisited
    if len(unvisited):
        warnings.warn(
            f"{len(unvisited)} of {estimates.visits.size} pairs (iteration, state) were never "
            f"visited, the first is {tuple(unvisited[0].tolist())}; equations that need a policy "
            "there are left out",
            stacklevel=2,
        )
    found = recover_from_policies(
        seen.dynamics,
        estimates.policies,
        of=of,
        alpha=seen.alpha,
        method=method,
        reward_class=reward_class,
        weights=seen.own_counts(of)[1:] if weighting == "visits" else None,
        steps=steps,
        rate=rate,
    )
    return replace(found, unvisited=unvisited)


def recover_from_policies(
    dynamics: Dynamics,
    policies: Sequence[FloatArray],
    *,
    of: int,
    alpha: float,
    method: Method = "least_squares",
    reward_class: RewardClass = "state",
    weights: FloatArray | None = None,
    steps: int = 1000,
    rate: float = 0.01,
) -> RecoveredReward:
    """Recover the reward of agent ``of`` from policies, known or estimated.

    Parameters
    ----------
    policies
        pi_0..pi_H of every agent, one (H + 1, S, A_i) array each; NaN where unknown.
    weights
        Of the equations, shape (H, S, A_i), 0 or more; all 1 by default.
    alpha, method, reward_class, steps, rate
        As for `recover`.

    Raises
    ------
    ValueError
        As `recover` does.
    """
    of = dynamics.check_agent(of, "of")
    checks.choice(method, "method", ("least_squares", "adam"))
    system = consistency_system(dynamics, policies, of, alpha, reward_class, weights)
    if len(system.targets) == 0:
        raise ValueError(
            "policies and weights leave no equation: every one meets a state never visited or has "
            "weight 0; observe more episodes, or weigh differently"
        )
    fit = least_squares(system) if method == "least_squares" else adam(system, steps, rate)
    return RecoveredReward(
        values=np.where(system.touched, fit.reward, np.nan).reshape(system.shape),
        reward_class=reward_class,
        shapings=fit.shapings.reshape(-1, system.states),
        convergence=fit.convergence,
        system=system,
    )
