"""LfL with bodies (Section 6.2): tasks, learners, and what is recovered of a learner with a body.

One thread computes, so that results do not depend on how many processors there are. Runs with
different seeds belong into processes of their own.
"""

import os

try:
    import gymnasium  # noqa: F401
    import jax
    import mujoco.batch  # noqa: F401
    import optax  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"malfl.control needs {error.name}, which comes with: pip install 'malfl[control]'"
    ) from error

_before = os.environ.get("NPROC")
os.environ["NPROC"] = "1"  # how many threads JAX begins with
jax.devices("cpu")
del os.environ["NPROC"]
if _before is not None:
    os.environ["NPROC"] = _before
