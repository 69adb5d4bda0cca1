"""How long a call takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def timed(function: Callable[..., T], *given: object, **options: object) -> tuple[T, float]:
    """What a function returns, and seconds."""
    began = time.perf_counter()
    return function(*given, **options), time.perf_counter() - began
