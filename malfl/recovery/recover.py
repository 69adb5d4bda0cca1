"""From what was seen of an agent to its reward (MA-LfL, Algorithm 2)."""

import warnings
from typing import Literal

import numpy as np

from malfl import checks, progress
from malfl.play.view import View
from malfl.recovery.auto import Auto
from malfl.recovery.descent import Adam
from malfl.recovery.estimator import Estimator
from malfl.recovery.evidence import EvidenceRidge
from malfl.recovery.last_policy import CausalEntropy, LastPolicy
from malfl.recovery.least_squares import LeastSquares
from malfl.recovery.path import PathLikelihood
from malfl.recovery.policies import Descended
from malfl.recovery.recovery import Recovery, Unvisited
from malfl.recovery.replay import Replay
from malfl.recovery.reward import RecoveredReward
from malfl.recovery.structural import Structural
from malfl.recovery.verdict import DoubtfulRewardWarning

Name = Literal[
    "auto", "structural", "replay", "path likelihood", "least squares", "evidence ridge", "adam",
    "as printed", "as released", "last policy", "causal entropy",
]  # fmt: skip

DEFAULTS: dict[Name, Estimator] = {
    "auto": Auto(),
    "structural": Structural(),
    "replay": Replay(),
    "path likelihood": PathLikelihood(),
    "least squares": LeastSquares(),
    "evidence ridge": EvidenceRidge(),
    "adam": Adam(),
    "as printed": Adam("joint-action", equations="printed", policies=Descended()),
    "as released": Adam("joint-action", equations="released", policies=Descended()),
    "last policy": LastPolicy(),
    "causal entropy": CausalEntropy(),
}
"""Estimators with their defaults, by name."""


def recover(
    view: View,
    *,
    of: int,
    by: Estimator | Name = "auto",
    unvisited: Unvisited = "raise",
    seed: int | np.random.Generator = 0,
) -> RecoveredReward:
    """Recover the reward of agent ``of`` from what was seen.

    Parameters
    ----------
    view
        Of an agent or a bystander; see `malfl.LearningLog.seen_by`.
    of
        The agent observed; not the observer itself.
    by
        An estimator, such as ``Structural()``, or the name of one in `DEFAULTS`. By default
        several are compared, and the likeliest is taken; see `malfl.Auto`.
    unvisited
        What to do if a state was not visited in some iteration: ``"raise"`` an error, or
        ``"omit"`` it. Then equations that need its policy are left out, and where structural
        estimator and replay need one, they assume it to be uniform; the pairs are in ``unvisited``
        of the result.
    seed
        Of estimators that draw something: those that fit policies by descent.

    Warns
    -----
    DoubtfulRewardWarning
        If the ``verdict`` of the result is not ``"sound"``.

    Raises
    ------
    TypeError
        If ``view`` is no View or ``by`` no estimator.
    ValueError
        If fewer than two iterations were seen, one has no steps, an estimated policy has a zero
        (as maximum likelihood may), a name is unknown, or states were not visited.
    NothingToLearnError
        A ValueError as well: if the agent's policy does not change as far as can be seen, or
        nothing that was seen depends on its reward.
    """
    if isinstance(by, str):
        by = DEFAULTS[checks.choice(by, "by", tuple(DEFAULTS))]
    found = _recover(view, of=of, by=by, unvisited=unvisited, seed=seed)
    judged = found.judgement
    if judged.verdict != "sound":
        warnings.warn(
            f"the recovered reward is {judged.verdict}: {'; '.join(judged.reasons)}; "
            "see its summary()",
            DoubtfulRewardWarning, stacklevel=2,
        )  # fmt: skip
    return found


@progress.interruptible
def _recover(
    view: View,
    *,
    of: int,
    by: Estimator,
    unvisited: Unvisited,
    seed: int | np.random.Generator,
) -> RecoveredReward:
    return Recovery(view, of=of, by=by, unvisited=unvisited, seed=seed).reward()
