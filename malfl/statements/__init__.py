"""The papers' numbered statements, as functions that a machine can put to the test.

Each takes a `malfl.prediction.Prediction`, a game with policies, an agent and a guess at its
reward, and returns both sides of an inequality. An equation is one too: what is left over is at
most what rounding may leave. Where a statement does not apply, there is nothing to return.
"""
