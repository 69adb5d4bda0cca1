"""The papers' numbered statements, as functions that a machine can put to the test.

Each takes a `malfl.theory.Prediction`, a game with policies, an agent and a guess at its reward,
and returns both sides of an inequality. An equation is one too: what is left over is at most what
rounding may leave. Where a statement does not apply, there is nothing to return.
"""

from malfl.theory.statements import counterexamples, improvement, inversion, misprints, trial
from malfl.theory.statements.counterexamples import COUNTEREXAMPLES, prisoners_dilemma

__all__ = [
    "COUNTEREXAMPLES",
    "counterexamples",
    "improvement",
    "inversion",
    "misprints",
    "prisoners_dilemma",
    "trial",
]
