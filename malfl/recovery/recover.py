"""From what was seen of an agent to its reward (MA-LfL, Algorithm 2)."""

import warnings
from copy import deepcopy
from dataclasses import replace

import numpy as np

from malfl import checks, progress
from malfl.play.view import View
from malfl.recovery.doubts import with_doubts
from malfl.recovery.estimator import Estimator
from malfl.recovery.named import Name, named
from malfl.recovery.recovery import Recovery, Unvisited
from malfl.recovery.reward import RecoveredReward
from malfl.recovery.sensitivity import sensitivity_of
from malfl.recovery.verdict import DoubtfulRewardWarning


def recover(
    view: View,
    *,
    of: int,
    by: Estimator | Name = "auto",
    unvisited: Unvisited = "raise",
    seed: int | np.random.Generator = 0,
    sensitivity: bool = False,
) -> RecoveredReward:
    """Recover the reward of agent ``of`` from what was seen.

    Parameters
    ----------
    view
        Of an agent or a bystander; see `malfl.LearningLog.seen_by`.
    of
        The agent observed; not the observer itself.
    by
        An estimator, such as ``Structural()``, or the name of one in
        `malfl.recovery.named.DEFAULTS`. By default several are compared, and the likeliest is
        taken; see `malfl.Auto`.
    unvisited
        What to do if a state was not visited in some iteration: ``"raise"`` an error, or
        ``"omit"`` it. Then equations that need its policy are left out. Where structural estimator
        and replay need one, they assume it to be uniform, and path likelihoods take the last one
        known. The pairs are in ``unvisited`` of the result.
    seed
        Of estimators that draw something: those that fit policies by descent.
    sensitivity
        Whether to recover it again under changed assumptions; the verdict then takes into account
        how far the reward depends on them, see `malfl.sensitivity`. Takes up to six more fits.

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
        (as maximum likelihood may), a name is unknown, states were not visited, or the reward is
        too large to tell its sensitivity.
    NothingToLearnError
        A ValueError as well: if the agent's policy does not change as far as can be seen, or
        nothing that was seen depends on its reward.
    """
    checks.boolean(sensitivity, "sensitivity")
    found = _recover(view, of, named(by), unvisited, checks.generator(seed), sensitivity)
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
    of: int,
    by: Estimator,
    unvisited: Unvisited,
    rng: np.random.Generator,
    sensitivity: bool,
) -> RecoveredReward:
    again = deepcopy(rng)
    recovery = Recovery(view, of=of, by=by, unvisited=unvisited, seed=rng)
    found = with_doubts(recovery.reward(), view, recovery.of, by, again)
    if not sensitivity:
        return found
    told = sensitivity_of(found, view, of, by, again)
    return replace(found, sensitive=tuple(zip(told.assumptions, told.correlations, strict=True)))
