"""Estimators by name."""

from typing import Literal

from malfl import checks
from malfl.recovery.auto import Auto
from malfl.recovery.descent import Adam
from malfl.recovery.estimator import Estimator
from malfl.recovery.evidence import EvidenceRidge
from malfl.recovery.last_policy import CausalEntropy, LastPolicy
from malfl.recovery.least_squares import LeastSquares
from malfl.recovery.path import PathLikelihood
from malfl.recovery.policies import Descended
from malfl.recovery.replay import Replay
from malfl.recovery.structural import Structural

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


def named(by: Estimator | Name) -> Estimator:
    """The estimator itself; raise ValueError, by ``by``, if there is none of that name."""
    return DEFAULTS[checks.choice(by, "by", tuple(DEFAULTS))] if isinstance(by, str) else by
