"""Refusals: each names the argument, the offending entry and what would be right."""

import math
import operator
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import psutil

Name = TypeVar("Name", bound=str)
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]
WordArray = npt.NDArray[np.uint64 | np.uint32]

ROUNDING = 1e-9  # how far probabilities may stray from summing to one


def count(value: object, name: str, at_least: int = 1) -> int:
    """Return ``value`` as an int; raise unless it is a whole number of at least ``at_least``."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None
    if number < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {number}")
    return number


def index(value: object, name: str, size: int) -> int:
    """Return ``value`` as an int; raise unless it lies in ``0..size-1``."""
    number = count(value, name, at_least=0)
    if number >= size:
        raise ValueError(f"{name} must lie in 0..{size - 1}, got {number}")
    return number


def choice(value: Name, name: str, allowed: Sequence[str]) -> Name:
    """Return ``value``; raise unless it is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def real(value: float, name: str) -> float:
    """Return ``value`` as a finite float."""
    try:
        if isinstance(value, str):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number


def positive(value: float, name: str) -> float:
    """Return ``value`` as a float; raise unless it is finite and above zero."""
    number = real(value, name)
    if number <= 0:
        raise ValueError(f"{name} must be greater than 0, got {number}")
    return number


def discount(value: float, name: str = "gamma") -> float:
    """Return ``value`` as a float; raise unless it lies in [0, 1)."""
    number = real(value, name)
    if not 0 <= number < 1:
        raise ValueError(f"{name} must lie in [0, 1), got {number}")
    return number


def probability(value: float, name: str) -> float:
    """Return ``value`` as a float; raise unless it lies in [0, 1]."""
    number = real(value, name)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {number}")
    return number


def step_size(value: float, name: str = "beta") -> float:
    """Return ``value`` as a float; raise unless it lies in (0, 1]."""
    number = real(value, name)
    if not 0 < number <= 1:
        raise ValueError(f"{name} must lie in (0, 1], got {number}")
    return number


def generator(seed: int | np.random.Generator, name: str = "seed") -> np.random.Generator:
    """Return a Generator; raise unless ``seed`` is one, or a whole number of 0 or more."""
    return (
        seed
        if isinstance(seed, np.random.Generator)
        else np.random.default_rng(count(seed, name, 0))
    )


def sequence(values: object, name: str) -> None:
    """Raise unless ``values`` has a length and can be gone through."""
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str):
        raise TypeError(f"{name} must be a sequence with one entry for each agent, got {values!r}")


def one_per_agent(values: Sequence[object], name: str, agents: int) -> None:
    """Raise unless ``values`` is a sequence of one array for each agent."""
    sequence(values, name)
    if len(values) != agents:
        raise ValueError(
            f"{name} must hold one array for each of {agents} agents, got {len(values)}"
        )


def steps_played(episodes: object, steps: object) -> tuple[int, int]:
    """Return numbers of episodes and of steps; raise unless they and their product are counts."""
    numbers = count(episodes, "episodes"), count(steps, "steps")
    if math.prod(numbers) >= 2**63:
        raise ValueError(
            f"episodes * steps must be below 2 ** 63 to be counted, got {numbers[0]} * {numbers[1]}"
        )
    return numbers


def memory(size: int, what: str, instead: str) -> None:
    """Raise unless ``size`` bytes are free; ``instead`` says what to do without them."""
    free = psutil.virtual_memory().available
    if size > free:
        raise MemoryError(
            f"{what} would need {size / 2**30:.3g} GiB, and {free / 2**30:.3g} GiB are free; "
            f"{instead}"
        )


def instance(value: object, kind: type, name: str, hint: str) -> None:
    """Raise unless ``value`` is a ``kind``; ``hint`` says how to come by one."""
    if isinstance(value, type):
        a = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(
            f"{name} must be {a} {kind.__name__}, not a class of them: {value.__name__}()"
        )
    if not isinstance(value, kind):
        raise TypeError(
            f"{name} must be of type {kind.__name__} ({hint}), got {type(value).__name__}"
        )


def first(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Index of the first true entry of ``mask``."""
    return tuple(int(i) for i in np.argwhere(mask)[0])


def numbers(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as a float array of its own; raise if it is not numeric."""
    try:
        array = np.array(values)
    except ValueError as error:
        raise TypeError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of real numbers, got {array.dtype}")
    return array.astype(np.float64, copy=False)


def finite(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as a float array of its own; raise if an entry is NaN or infinite."""
    array = numbers(values, name)
    bad = ~np.isfinite(array)
    if bad.any():
        where = first(bad)
        raise ValueError(f"{name}{list(where)} is {array[where]}; every entry must be finite")
    return array


def counts(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as floats; raise if an entry is negative or fractional."""
    array = finite(values, name)
    bad = (array < 0) | (array != np.floor(array))
    if bad.any():
        where = first(bad)
        raise ValueError(
            f"{name}{list(where)} is {array[where]:g}; counts must be whole numbers, 0 or more"
        )
    return array


def whole(
    values: npt.ArrayLike, name: str, at_least: int = 0, at_most: int | None = None
) -> npt.NDArray[np.int64]:
    """Return ``values`` as integers of shape (n,); raise unless all lie between these bounds."""
    array = counts(values, name).astype(np.int64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (n,), got {array.shape}")
    bad = array < at_least
    if at_most is not None:
        bad |= array > at_most
    if bad.any():
        (where,) = first(bad)
        most = "" if at_most is None else f" and at most {at_most}"
        raise ValueError(f"{name}[{where}] is {array[where]}; it must be at least {at_least}{most}")
    return array


def distributions(values: npt.ArrayLike, name: str, shape: tuple[int, ...]) -> FloatArray:
    """Return ``values`` as floats of ``shape`` whose last axis is a probability distribution."""
    array = finite(values, name)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if (array < 0).any():
        where = first(array < 0)
        raise ValueError(
            f"{name}{list(where)} is {array[where]:g}; probabilities must be 0 or more"
        )
    sums = array.sum(axis=-1)
    bad = np.atleast_1d(np.abs(sums - 1) > ROUNDING)
    if bad.any():
        where = first(bad) if sums.ndim else ()
        raise ValueError(f"{name}{list(where)} sums to {sums[where]:.12g}; it must sum to 1")
    return array


def histories(
    values: Sequence[npt.ArrayLike], name: str, states: int, actions: Sequence[int]
) -> tuple[FloatArray, ...]:
    """Return policies over time as floats, one (n, S, A_i) array an agent.

    Each row is a probability distribution, or NaN throughout where the policy is unknown.
    """
    one_per_agent(values, name, len(actions))
    arrays = [numbers(policies, f"{name}[{i}]") for i, policies in enumerate(values)]
    times = {len(array) for array in arrays if array.ndim}
    for i, (array, own) in enumerate(zip(arrays, actions, strict=True)):
        if array.ndim != 3 or array.shape[1:] != (states, own) or len(times) > 1:
            raise ValueError(
                f"{name}[{i}] must have shape (n, {states}, {own}), n the same for all agents, "
                f"got {array.shape}"
            )
        unknown = np.isnan(array).all(axis=-1, keepdims=True)
        distributions(np.where(unknown, 1 / own, array), f"{name}[{i}]", array.shape)
    return tuple(arrays)
