"""From what was seen of an agent to its reward (MA-LfL, Algorithm 2)."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Literal

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import chi2

from malfl import checks
from malfl.checks import FloatArray
from malfl.estimation import PolicyEstimates, estimate_policies
from malfl.logs import Observation
from malfl.parallel import run
from malfl.recovery.course import MODELS, model_of, recover_from_course
from malfl.recovery.diagnostics import NothingToLearnError, RewardClass
from malfl.recovery.from_policies import SOLVERS, Equations, Solver, recover_from_policies
from malfl.recovery.last_policy import causal_entropy, log_policy
from malfl.recovery.logit import AffineLogits, recover_from_logits
from malfl.recovery.replay import replayed_logits
from malfl.recovery.result import RecoveredReward
from malfl.recovery.structural import structural_logits

Unvisited = Literal["raise", "omit"]
Weighting = Literal["uniform", "visits", "overlap"]
LEAST_BETA = 0.005  # of those that are looked at if the learner's is not known

ENOUGH_VISITS = 50  # to a state in an iteration, to judge whether a policy changed there
CHANCE = 0.01  # how likely counts of one unchanging policy must be to be taken for that


def recover(
    seen: Observation,
    *,
    of: int,
    method: str = "structural",
    policies: PolicyEstimates | None = None,
    unvisited: Unvisited = "raise",
    **options: object,
) -> RecoveredReward:
    """Recover the reward of agent ``of`` from what another agent saw.

    Parameters
    ----------
    of
        The agent observed; not the observer itself.
    method
        ``"structural"``: a regression on the logits of improved policies, exact soft Q values
        assumed; needs counts only. ``"replay"``: the same with the learner's own updates made
        again; needs recorded trajectories. ``"course"``: the reward by which all that the agent did
        is the likeliest, if it is known how it learns; the result's ``misfit`` says if it learns in
        another way, or gets worse. ``"least_squares"``: the exact minimum of Eq. 12.
        ``"evidence"``: the same with a ridge chosen by the evidence. ``"adam"``: descent from
        zero, as in Table 3.

        And from the last policy alone, taken for the best one: ``"causal_entropy"``, the likeliest
        reward of the state (Ziebart 2010); ``"last_policy"``, the policy's logarithm (LfL, Section
        5.4).
    policies
        Estimates to work with; `estimate_policies` with smoothing by default.
    unvisited
        What to do if a state was not visited in some iteration: ``"raise"`` an error, or
        ``"omit"`` it. Then equations that need its policy are left out, and where structural
        estimator and replay need one, they take it to be uniform; the pairs are in ``unvisited``
        of the result.
    **options
        For ``"structural"``: ``least_visits``, how often a learner must have taken an action in a
        state for its value to be taken for exact (100).

        For ``"replay"``: ``beta``, the learner's step size (if left out, the likeliest);
        ``executed``, whether its updates used the action executed next (False); ``logits``, if
        `malfl.recovery.replay.replayed_logits` has made them before.

        For ``"causal_entropy"``: ``prior``, as for ``"course"``.

        For ``"course"``: ``learner``, ``"soft policy iteration"`` (with exact values),
        ``"soft value iteration"`` or ``"Q-learning"`` (needs recorded trajectories); if left out,
        the likeliest of them is taken, and ``misfit`` of the result tells whether it explains what
        was seen. ``beta``, the step size of Q-learning (0.1); ``prior``, the standard deviation of
        rewards in units of alpha (10).

        For the others: ``reward_class``, what the reward may depend on (``"state"``: R(s),
        ``"state-action"``: R(s, a^i), ``"joint-action"``: R(s, a); how much of it can be found,
        ``determination`` of the result says); ``weighting`` of the equations, ``"uniform"`` or
        by ``"visits"`` to (s, a^i) under the improved policy, which is the default for
        ``"evidence"``, or by ``"overlap"``, the harmonic mean of visits to (s, a^i) before an
        improvement and to s after it, one added to each; ``equations``, ``"theorem"`` for those of
        Theorem 5.1, ``"printed"`` for Eq. 12 at its word, ``"released"`` for those of the paper's
        program (of joint actions). For ``"adam"`` also ``steps`` (1000) and ``rate`` (0.01).

    Raises
    ------
    ValueError
        If fewer than two iterations were seen, one has no steps, an estimated policy has a zero
        (as maximum likelihood may), an option's value is unknown, or states were not visited.
    NothingToLearnError
        A ValueError as well: if the agent's policy does not change as far as can be seen, or
        nothing that was seen depends on its reward.
    TypeError
        If the method does not take an option.
    """
    checks.instance(seen, Observation, "seen", "see LearningLog.observed_by")
    of = seen.check_observed(of)
    checks.choice(method, "method", tuple(METHODS))
    by = METHODS[method]
    kept = GIVEN if method == "adam" else (*GIVEN, "steps", "rate")
    known = [name for name in signature(by).parameters if name not in kept]
    if strange := [name for name in options if name not in known]:
        raise TypeError(
            f"method {method!r} takes {', '.join(known) or 'no options'}; got {', '.join(strange)}"
        )
    checks.choice(unvisited, "unvisited", ("raise", "omit"))
    estimates = estimate_policies(seen) if policies is None else policies
    checks.instance(estimates, PolicyEstimates, "policies", "see estimate_policies")
    if len(estimates.visits) != seen.iterations:
        raise ValueError(
            f"policies must cover the {seen.iterations} iterations seen, got "
            f"{len(estimates.visits)}"
        )
    if method not in OF_LAST:
        check_improvements(seen, of, unvisited)
    return replace(by(seen, of, estimates, **options), unvisited=estimates.unvisited)


def check_improvements(seen: Observation, of: int, unvisited: Unvisited = "raise") -> None:
    """Raise unless there is something to learn from; see `recover`."""
    visits = seen.counts.sum(axis=2)
    if seen.iterations < 2:
        raise ValueError("seen must show at least one improvement, got 1 iteration")
    if (visits.sum(axis=1) == 0).any():
        raise ValueError(
            f"seen has no steps in iteration {checks.first(visits.sum(axis=1) == 0)[0]}"
        )
    if unvisited == "raise" and (visits == 0).any():
        h, state = checks.first(visits == 0)
        raise ValueError(
            f"state {state} was not visited in iteration {h}, one of {int((visits == 0).sum())} "
            f"such pairs out of {visits.size}; observe more episodes, or pass unvisited='omit' to "
            "do without"
        )
    # The likelihood ratio of a policy for each iteration against one for all of them, where enough
    # was seen for its distribution to be known.
    counts = seen.own_counts(of) * (visits >= ENOUGH_VISITS)[:, :, None]
    together = counts.sum(axis=0)
    ratio = 2 * (_likelihood_of_shares(counts) - _likelihood_of_shares(together))
    parameters = _parameters(counts) - _parameters(together)
    if parameters > 0 and chi2.sf(ratio, parameters) > CHANCE:
        raise NothingToLearnError(
            f"the policies of agent {of} do not change over the {seen.iterations} iterations as "
            "far as can be seen; there is no improvement to learn from"
        )


def _likelihood_of_shares(counts: FloatArray) -> float:
    """Of counts (..., A_i) under the shares seen."""
    return float(xlogy(counts, counts).sum() - xlogy(totals := counts.sum(axis=-1), totals).sum())


def _parameters(counts: FloatArray) -> int:
    """How many probabilities those shares are, beyond what sums to one."""
    return int((counts > 0).sum() - (counts.sum(axis=-1) > 0).sum())


def _by_consistency(
    seen: Observation,
    of: int,
    estimates: PolicyEstimates,
    method: Solver,
    equations: Equations = "theorem",
    reward_class: RewardClass = "state",
    weighting: Weighting | None = None,
    steps: int = 1000,
    rate: float = 0.01,
) -> RecoveredReward:
    if weighting is None:
        weighting = "visits" if method == "evidence" and equations == "theorem" else "uniform"
    checks.choice(weighting, "weighting", ("uniform", "visits", "overlap"))
    return recover_from_policies(
        seen.dynamics,
        estimates.policies,
        of=of,
        alpha=seen.alpha,
        method=method,
        equations=equations,
        reward_class=reward_class,
        weights=_weights(seen.own_counts(of), weighting),
        counts=seen.counts,
        steps=steps,
        rate=rate,
    )


def _weights(counts: FloatArray, weighting: Weighting) -> FloatArray | None:
    """Of the equations (h, s, a^i), from the agent's own counts (H + 1, S, A_i)."""
    if weighting == "uniform":
        return None
    if weighting == "visits":
        return counts[1:]
    before, after = 1 + counts[:-1], 1 + counts[1:].sum(axis=-1, keepdims=True)
    return np.asarray(before * after / (before + after))


def _by_structure(
    seen: Observation, of: int, estimates: PolicyEstimates, least_visits: int = 100
) -> RecoveredReward:
    least = checks.count(least_visits, "least_visits")
    counts = seen.own_counts(of)
    before = [policies[:-1] for policies in estimates.policies]
    logits = structural_logits(seen.dynamics, before, of, seen.alpha, counts[:-1], least)
    return recover_from_logits(logits, counts[1:], seen.alpha)


def _by_replay(
    seen: Observation,
    of: int,
    estimates: PolicyEstimates,
    beta: float | None = None,
    executed: bool = False,
    logits: AffineLogits | None = None,
) -> RecoveredReward:
    counts = seen.own_counts(of)[1:]
    if not isinstance(executed, bool):
        raise TypeError(f"executed must be True or False, got {executed!r}")
    if logits is not None:
        return replace(recover_from_logits(logits, counts, seen.alpha), beta=beta)
    if seen.trajectories is None:
        raise ValueError(
            "seen has no trajectories to replay; learn with record=True, or use another method"
        )
    played = seen.trajectories[:-1]

    def replay(beta: float) -> RecoveredReward:
        work = replayed_logits(
            seen.dynamics, played, estimates.policies[of], seen.own_counts(of), of,
            alpha=seen.alpha, beta=beta, executed=executed,
        )  # fmt: skip
        logits = run([work], sum(part.steps.size for part in played))[0]
        return replace(recover_from_logits(logits, counts, seen.alpha), beta=beta)

    if beta is not None:
        return replay(checks.step_size(beta))
    best = minimize_scalar(
        lambda log_beta: replay(float(np.exp(log_beta))).convergence.loss,
        bounds=(np.log(LEAST_BETA), 0.0), method="bounded", options={"xatol": 1e-3},
    )  # fmt: skip
    return replay(float(np.exp(best.x)))


def _by_course(
    seen: Observation,
    of: int,
    estimates: PolicyEstimates,
    learner: str | None = None,
    beta: float = 0.1,
    prior: float = 10.0,
) -> RecoveredReward:
    counts, beta = seen.own_counts(of)[1:], checks.step_size(beta)
    possible = [one for one in MODELS if one != "Q-learning" or seen.trajectories is not None]
    found, nothing = [], None
    for one in possible if learner is None else [learner]:
        model = model_of(one, seen, of, estimates, beta)
        try:
            fit = recover_from_course(model, counts, seen.alpha, prior)
        except NothingToLearnError as error:
            nothing = error
        else:
            found.append(replace(fit, learner=one))
    if nothing and not found:
        raise nothing
    return min(found, key=lambda one: one.convergence.loss)


def _by_last_policy(seen: Observation, of: int, estimates: PolicyEstimates) -> RecoveredReward:
    return log_policy(estimates.policies[of][-1], seen.alpha)


OF_LAST = ("causal_entropy", "last_policy")
GIVEN = ("seen", "of", "estimates", "method")
METHODS: dict[str, Callable[..., RecoveredReward]] = {
    "structural": _by_structure,
    "replay": _by_replay,
    "course": _by_course,
    "causal_entropy": causal_entropy,
    "last_policy": _by_last_policy,
    **{name: partial(_by_consistency, method=name) for name in SOLVERS},
}
