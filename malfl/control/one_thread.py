"""JAX with one thread, so that results do not depend on how many processors there are.

A sum over many rows has other last digits when several threads share it. The number is read when
JAX is first used in a process; a program that has used it before keeps what it has.
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

THREADS = "NPROC"  # by which JAX's compiler is told the number

_before = os.environ.get(THREADS)
os.environ[THREADS] = "1"
jax.devices("cpu")
os.environ.pop(THREADS)
if _before is not None:
    os.environ[THREADS] = _before
