"""How far a recovered reward depends on what the observer assumed."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from malfl import checks, progress
from malfl.play.view import View
from malfl.recovery.auto import Auto
from malfl.recovery.by_prefix import innermost
from malfl.recovery.estimator import Estimator
from malfl.recovery.likeliest import brief
from malfl.recovery.logit import LogitFit
from malfl.recovery.named import Name, named
from malfl.recovery.path import PathFit, PathLikelihood
from malfl.recovery.recovery import Recovery
from malfl.recovery.replay import Replay
from malfl.recovery.reward import NothingToLearnError, Promising, RecoveredReward
from malfl.recovery.shown import Classed, identified_part, likeness
from malfl.recovery.structural import Structural
from malfl.recovery.verdict import shortened
from malfl.values import Value, set_fields

ALPHAS = (0.5, 2.0)  # times the entropy coefficient assumed
STEP_SIZES = (0.8, 1.2)  # times the learner's step size
HORIZONS = (0.8, 1.2)  # times 1 / (1 - gamma)


@dataclass(frozen=True)
class Sensitivity(Value):
    """What becomes of a recovered reward if one assumption is changed; see `malfl.sensitivity`.

    Raises
    ------
    ValueError
        If there is not one correlation and one error for each assumption.
    """

    estimator: str  #: that recovered the reward, with the step size and the model it settled for
    assumptions: tuple[str, ...]  #: as they were changed, such as "gamma 0.875 instead of 0.9"
    correlations: tuple[float, ...]  #: of the identified parts of the new reward and the old one
    errors: tuple[float, ...]  #: variances of logits that remain unexplained; NaN if not known

    def __post_init__(self) -> None:
        for name in ("correlations", "errors"):
            numbers = checks.numbers(getattr(self, name), name)
            if numbers.shape != (len(self.assumptions),):
                raise ValueError(
                    f"{name} must hold a number for each of {len(self.assumptions)} assumptions, "
                    f"got shape {numbers.shape}"
                )
            set_fields(self, **{name: tuple(numbers.tolist())})

    @property
    def least(self) -> tuple[str, float] | None:
        """The assumption whose change matters most, and the correlation; None if none was made."""
        pairs = zip(self.assumptions, self.correlations, strict=True)
        return min(pairs, key=lambda each: each[1], default=None)

    def summary(self) -> str:
        """The changes as a table, a line for each."""
        width = max(map(len, ("changed to", *self.assumptions)))
        rows = zip(self.assumptions, self.correlations, self.errors, strict=True)
        return "\n".join([
            f"Recovered by {shortened(self.estimator)}",
            f"{'changed to':{width}}  correlation  unexplained",
            *(f"{one:{width}}  {like:11.3f}  {error**0.5:11.3g}" for one, like, error in rows),
        ])  # fmt: skip


@progress.interruptible
def sensitivity(
    view: View,
    *,
    of: int,
    by: Estimator | Name = "auto",
    seed: int | np.random.Generator = 0,
) -> Sensitivity:
    """How far a recovered reward depends on alpha, on the step size and on gamma.

    The reward is recovered as `malfl.recover` does, states that were not visited omitted, and then
    once more for each changed assumption: alpha halved and doubled, the step size and the horizon
    1 / (1 - gamma) a fifth lower and higher. Where several estimators are compared, the likeliest
    recovers it again, with the step size that it found.

    What is compared is the part of a reward that improvements show, by the rules and the discount
    of ``view``. Alpha is the unit of rewards: it changes no more than their scale, unless the
    estimator begins somewhere or ends before it has converged, as `malfl.Adam` does.

    Parameters
    ----------
    view, of, by, seed
        As for `malfl.recover`. Alpha is changed if ``view`` names one, and the step size if the
        estimator is `malfl.Replay` or `malfl.Structural` and found or was given one.

    Raises
    ------
    TypeError, ValueError, NothingToLearnError
        As `malfl.recover` does; also if the reward is too large to tell its identified part.
    """
    rng = checks.generator(seed)
    by, again = named(by), deepcopy(rng)
    found = Recovery(view, of=of, by=by, unvisited="omit", seed=rng).reward()
    return sensitivity_of(found, view, of, by, again)


def sensitivity_of(
    found: RecoveredReward, view: View, of: int, by: Estimator, rng: np.random.Generator
) -> Sensitivity:
    """Of a reward that an estimator found in a view; see `sensitivity`."""
    by, view, of = innermost(by, view, of)
    by, old = _settled(by, found), (np.nan_to_num(found.values), found.reward_class)
    identified_part(old[0], view.dynamics, of, found.reward_class)  # refuses what is too large
    rows = [
        (name, *_refit(one, changed, view, of, old, rng))
        for name, one, changed in _changes(by, view)
    ]
    names, correlations, errors = zip(*rows, strict=True) if rows else ((), (), ())
    return Sensitivity(brief(by), names, correlations, errors)


def _refit(
    by: Estimator, changed: View, view: View, of: int, old: Classed, rng: np.random.Generator
) -> tuple[float, float]:
    """How the reward by a changed view correlates with the old one, and its unexplained error."""
    try:
        found = by.prepare(changed, of, deepcopy(rng)).reward(view.iterations - 1)
    except NothingToLearnError:
        return 0.0, np.nan
    new, fit = (np.nan_to_num(found.values), found.reward_class), found.diagnostics
    error = fit.evidence.error if isinstance(fit, Promising) else np.nan
    return likeness(old, new, view.dynamics, of), error


def _settled(by: Estimator, found: RecoveredReward) -> Estimator:
    """The estimator that found a reward, with the step size and the model that it settled for."""
    compares = isinstance(by, Auto | Replay | Structural | PathLikelihood)
    one, fit = by, found.diagnostics
    if compares and isinstance(found.likeliest, Estimator):
        one = found.likeliest
    if isinstance(one, Replay) and isinstance(fit, LogitFit):
        return replace(one, beta=fit.beta)
    if isinstance(one, Structural) and isinstance(fit, LogitFit):
        return replace(one, beta=fit.beta, evaluation="exact" if fit.beta is None else "td")
    if isinstance(one, PathLikelihood) and isinstance(fit, PathFit) and fit.learner:
        return replace(one, learners=(fit.learner,))
    return one


def _changes(by: Estimator, view: View) -> Iterator[tuple[str, Estimator, View]]:
    """Each changed assumption in words, with the estimator and the view that make it."""
    if view.alpha is not None:
        for factor in ALPHAS:
            alpha = factor * view.alpha
            yield f"alpha {alpha:.4g} instead of {view.alpha:.4g}", by, replace(view, alpha=alpha)
    if isinstance(by, Replay | Structural) and by.beta is not None:
        for factor in STEP_SIZES:
            beta = min(factor * by.beta, 1.0)
            if beta != by.beta:
                name = f"step size {beta:.4g} instead of {by.beta:.4g}"
                yield name, replace(by, beta=beta), view
    gamma = view.dynamics.gamma
    for factor in HORIZONS:
        other = 1 - (1 - gamma) / factor
        if gamma > 0 and 0 < other <= checks.NEAREST_TO_1:
            dynamics = replace(view.dynamics, gamma=other)
            name = f"gamma {other:.4g} instead of {gamma:.4g}"
            yield name, by, replace(view, dynamics=dynamics)
