"""Adam, many steps at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import optax

from malfl import progress

Parameters = TypeVar("Parameters")
Loss = Callable[[Any, Any, jax.Array], jax.Array]
"""Of parameters, data and a key for what is drawn."""

RATE = 1e-3  # LfL, Section 6.3
AT_A_TIME = 50  # steps, between which it can be interrupted


def fitted(loss: Loss, start: Parameters, data: object, steps: int, key: jax.Array) -> Parameters:
    """Parameters after so many steps of Adam down a loss, a function of a module."""
    state = optax.adam(RATE).init(start)
    for first in range(0, steps, AT_A_TIME):
        keys = jax.random.split(jax.random.fold_in(key, first), min(AT_A_TIME, steps - first))
        start, state = _after(loss, start, state, data, keys)
        jax.block_until_ready(start)  # type: ignore[no-untyped-call]
        progress.advance()
    return start


@partial(jax.jit, static_argnums=0)
def _after(loss: Loss, start: Any, state: Any, data: Any, keys: jax.Array) -> tuple[Any, Any]:  # noqa: ANN401
    def step(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], None]:
        now, inner = carry
        change, inner = optax.adam(RATE).update(jax.grad(loss)(now, data, key), inner, now)
        return (optax.apply_updates(now, change), inner), None

    return jax.lax.scan(step, (start, state), keys)[0]
