"""Whether a recovered reward can be relied on, why not, and often what would help."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from malfl.recovery.trust import Promise
from malfl.values import Value

Verdict = Literal["sound", "doubtful", "undetermined"]

SOUND = 0.9  # correlation that a sound result has at least, with 95 % probability
MOST_ERROR = 3e-3  # variance of logits that a sound result may leave unexplained
NEARLY = 5.0  # nats of log-evidence: models nearer than this count as equally likely
UNDETERMINED = 0.5  # correlation to expect, below which a result is worth nothing
NAMED = 10  # weak entries that are named


class DoubtfulRewardWarning(UserWarning):
    """A reward was recovered that should not be relied on; its summary says why."""


@dataclass(frozen=True)
class Judgement(Value):
    """Whether to rely on a reward.

    The verdict is ``"sound"`` if all of this holds:

    - If the model is right, the reward found correlates with the true one at ``SOUND`` or more
      with a probability of 95 %. What is compared, here and below, is the part of a reward that
      improvements show.
    - The model of the learner explains what was seen, up to an error of ``MOST_ERROR``.
    - Other models that are about as likely, or likelier, find rewards that correlate with it that
      well.
    - The fit converged.
    - The rewards under changed assumptions, if these were asked for, correlate with it that well.
    - A learner is much likelier than an agent whose policy stays as it is.
    - Recorded moves, if there are any, agree with the rules.

    The last two, and models that were not compared before, are looked at by `malfl.recover` alone,
    and where that takes little time. The verdict is ``"undetermined"`` if what was seen says
    little, and ``"doubtful"`` otherwise.
    """

    verdict: Verdict
    reasons: tuple[str, ...]  #: why it is not sound; empty if it is
    advice: tuple[str, ...]  #: what would help

    def lines(self) -> list[str]:
        """For a summary."""
        why = [f"- {reason}" for reason in self.reasons]
        return [f"Verdict: {self.verdict}", *why, *(f"- to do: {one}" for one in self.advice)]


def judge(
    *,
    converged: bool,
    promise: Promise | None,
    error: float,
    rivals: tuple[tuple[str, float], ...] = (),
    doubts: tuple[str, ...] = (),
    sensitive: tuple[tuple[str, float], ...] = (),
    names: tuple[str, ...],
) -> Judgement:
    """Judge a reward by what its fit says of itself.

    Parameters
    ----------
    promise
        None if the estimator promises nothing.
    error
        Variance of logits that the model leaves unexplained; NaN if there is nothing to tell it by.
    rivals
        Other models that are about as likely, or likelier, and how far their rewards correlate with
        this one.
    doubts
        What else speaks against what was assumed.
    sensitive
        Changed assumptions, and how far the rewards by them correlate with this one.
    names
        Of the reward's entries.
    """
    reasons = _dependences(sensitive)
    advice = ["make sure of what was assumed"] if reasons else []
    if not converged:
        reasons.append("the fit did not come to rest")
    if promise is None:
        reasons.append("this estimator cannot tell how far its reward may be off")
        advice.append("recover with by='auto', which can")
        return Judgement("doubtful", tuple(reasons), tuple(advice))
    if promise.at_least < SOUND:
        reasons.append(_shortfall(promise))
        advice.append(f"observe more episodes, or more improvements{_weak(promise, names)}")
    if not error <= MOST_ERROR:
        reasons.append(
            "the agent does not learn as was assumed: the model leaves errors of "
            f"{np.sqrt(error):.2g} in the logits of its policies unexplained"
            if error == error
            else "too little was seen to tell whether the agent learns as was assumed"
        )
        advice.append("try other models of the learner, or a reward of actions")
    apart = [(name, correlation) for name, correlation in rivals if correlation < SOUND]
    if apart:
        name, correlation = min(apart, key=lambda each: each[1])
        reasons.append(
            f"{shortened(name)} is about as likely or likelier, and its reward correlates with "
            f"this one at {correlation:.2f} only"
        )
    reasons += doubts
    if not reasons:
        return Judgement("sound", (), ())
    low = promise.correlation < UNDETERMINED
    return Judgement("undetermined" if low else "doubtful", tuple(reasons), tuple(advice))


def shortened(text: str) -> str:
    """A text with numbers of many digits cut to four."""
    return re.sub(r"\d+\.\d{5,}", lambda number: f"{float(number[0]):.4g}", text)


def _dependences(sensitive: tuple[tuple[str, float], ...]) -> list[str]:
    return [
        f"with {one} the reward correlates with this one at {correlation:.2f} only"
        for one, correlation in sensitive
        if correlation < SOUND
    ]


def _shortfall(promise: Promise) -> str:
    """Why a promise is not enough."""
    determined = f"{promise.determined} of {promise.directions} directions are determined"
    if promise.correlation < UNDETERMINED:
        return (
            f"what was seen says little about the reward: {determined}, and a correlation of "
            f"{promise.correlation:.2f} with the true reward is to be expected"
        )
    return (
        f"the correlation with the true reward may be as low as {promise.at_least:.2f} "
        f"({promise.correlation:.2f} is to be expected): {determined}"
    )


def _weak(promise: Promise, names: tuple[str, ...]) -> str:
    """The entries that are hardly known, some of them by name."""
    if not promise.weak.size:
        return ""
    more = f" and {promise.weak.size - NAMED} more" if promise.weak.size > NAMED else ""
    return f"; hardly known: {', '.join(names[k] for k in promise.weak[:NAMED])}{more}"
