"""Rewards recovered while agents learn, and their next improvements foretold (Section 5.3)."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

from malfl import checks
from malfl.checks import FloatArray
from malfl.estimation import estimate_policies
from malfl.logs import Observation
from malfl.parallel import Job, run
from malfl.recovery.consistency import consistency_system
from malfl.recovery.descent import descend
from malfl.recovery.diagnostics import NothingToLearnError
from malfl.recovery.logit import recover_from_logits
from malfl.recovery.recover import check_improvements
from malfl.recovery.replay import replayed_logits
from malfl.recovery.structural import structural_logits

Method = Literal["replay", "structural", "gradient"]
METHODS: tuple[Method, ...] = ("replay", "structural", "gradient")


@dataclass(frozen=True, eq=False)
class Foretold:
    """An observer's estimates after each iteration, made from what it had seen by then."""

    rewards: FloatArray  #: (n - 1, S), after the iterations 1..n-1; NaN where nothing is known
    policies: FloatArray  #: (n - 1, S, A_i), what the agent was expected to play in 2..n


def foretell(
    seen: Observation,
    *,
    of: int,
    method: Method = "replay",
    beta: float | None = None,
    steps: int = 1000,
    rate: float = 0.01,
) -> Foretold:
    """Go through what was seen, iteration by iteration, as semi-online MA-LfL does.

    After each, the reward of agent ``of`` is estimated anew and its next policy predicted by Eq. 6:
    a softmax of its soft Q values under the estimated reward.

    Parameters
    ----------
    of
        The agent observed; not the observer itself.
    method
        ``"replay"`` and ``"structural"``: rewards as `malfl.recover` finds them, Q values as the
        method has them. ``"gradient"``: the paper's way; Adam moves one reward R(s) on, after each
        iteration on the loss of the newest improvement alone, and Q values are exact ones.
    beta
        The learner's step size, which replay needs, and only replay.
    steps, rate
        Of Adam, after each iteration.

    Raises
    ------
    ValueError
        As `malfl.recover` does, but states may remain unvisited.
    """
    checks.instance(seen, Observation, "seen", "see LearningLog.observed_by")
    work = foretelling(seen, of=of, method=method, beta=beta, steps=steps, rate=rate)
    return run([work], int(seen.counts.sum()) if method == "replay" else 0)[0]


def foretelling(
    seen: Observation,
    *,
    of: int,
    method: Method,
    beta: float | None = None,
    steps: int = 1000,
    rate: float = 0.01,
) -> Job[Foretold]:
    """The work that `foretell` is."""
    checks.choice(method, "method", METHODS)
    of = seen.check_observed(of)
    check_improvements(seen, of, "omit")
    estimates = estimate_policies(seen).policies
    counts = seen.own_counts(of)
    if method == "replay":
        if seen.trajectories is None or beta is None:
            raise ValueError("replay needs trajectories (learn with record=True) and beta")
        logits = yield from replayed_logits(
            seen.dynamics, seen.trajectories, estimates[of], counts, of,
            alpha=seen.alpha, beta=checks.step_size(beta), executed=False,
        )  # fmt: skip
    else:
        logits = structural_logits(seen.dynamics, estimates, of, seen.alpha, counts)
    rewards: list[FloatArray] = []
    reward = np.zeros(seen.dynamics.n_states)
    touched = np.zeros(seen.dynamics.n_states, dtype=bool)
    for h in range(1, seen.iterations):
        if method == "gradient":
            newest = [policies[h - 1 : h + 1] for policies in estimates]
            system = consistency_system(seen.dynamics, newest, of, seen.alpha, "state")
            reward = descend(system, steps, rate, start=reward).reward
            touched |= system.touched
            rewards.append(np.where(touched, reward, np.nan))
        else:
            reward = np.full(seen.dynamics.n_states, np.nan)
            with suppress(NothingToLearnError):
                found = recover_from_logits(logits.first(h), counts[1 : h + 1], seen.alpha)
                reward = found.values
            rewards.append(reward)
        yield 0
    predicted = [
        logits.policies(np.nan_to_num(reward))[h] for h, reward in enumerate(rewards, start=1)
    ]
    return Foretold(np.array(rewards), np.array(predicted))


def prediction_error(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> FloatArray:
    """KL divergence of what was predicted from what happened, per state, shape (..., S).

    Parameters
    ----------
    actual, predicted
        Policies of shape (..., S, A_i); NaN rows give NaN.
    """
    p, q = checks.numbers(actual, "actual"), checks.numbers(predicted, "predicted")
    if p.shape != q.shape:
        raise ValueError(f"actual and predicted must have one shape, got {p.shape} and {q.shape}")
    return np.asarray(rel_entr(p, q).sum(axis=-1))
