"""Refusals: each names the argument, the offending entry and what would be right."""

import math
import operator
from collections.abc import Sequence
from numbers import Real
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import psutil

Name = TypeVar("Name", bound=str)
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]
WordArray = npt.NDArray[np.uint64 | np.uint32]

ROUNDING = 1e-9  # how far probabilities may stray from summing to one
NEAREST_TO_1 = 1 - 1e-12  # discount; nearer to 1, rounding outweighs what values differ by
LARGEST_ROOT = 1e140  # of a number that floats can hold many times over
DEEPEST = 64  # axes of an array of NumPy
MOST = 2.0**63  # that counts must stay below
LONGEST = 100  # characters of a value that an error shows


def count(value: object, name: str, at_least: int = 1) -> int:
    """Return ``value`` as an int; raise unless it is a whole number of at least ``at_least``."""
    try:
        if isinstance(value, bool | np.bool_ | np.timedelta64):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {shown(value)}") from None
    if number < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {shown(number)}")
    return number


def index(value: object, name: str, size: int) -> int:
    """Return ``value`` as an int; raise unless it lies in ``0..size-1``."""
    number = count(value, name, at_least=0)
    if number >= size:
        raise ValueError(f"{name} must lie in 0..{size - 1}, got {shown(number)}")
    return number


def boolean(value: bool, name: str) -> bool:
    """Return ``value``; raise unless it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return value


def choice(value: Name, name: str, allowed: Sequence[str]) -> Name:
    """Return ``value``; raise unless it is one of ``allowed``."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {shown(value)}")
    return value


def real(value: float, name: str) -> float:
    """Return ``value`` as a finite float; raise unless it is a real number."""
    single = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(single, bool | np.bool_ | np.timedelta64) or not isinstance(single, Real):
        raise TypeError(f"{name} must be a number, got {shown(value)}")
    try:
        number = float(single)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {shown(value)}")
    return number


def positive(value: float, name: str) -> float:
    """Return ``value`` as a float; raise unless it is finite and above zero."""
    number = real(value, name)
    if number <= 0:
        raise ValueError(f"{name} must be greater than 0, got {number}")
    return number


def not_negative(value: float, name: str) -> float:
    """Return ``value`` as a float; raise unless it is finite and at least zero."""
    number = real(value, name)
    if number < 0:
        raise ValueError(f"{name} must be 0 or more, got {number}")
    return number


def squarable(value: float, name: str) -> float:
    """Return ``value`` as a float; raise unless it is above zero and sums of its squares fit."""
    number = positive(value, name)
    if not 1 / LARGEST_ROOT <= number <= LARGEST_ROOT:
        raise ValueError(
            f"{name} must lie between {1 / LARGEST_ROOT:g} and {LARGEST_ROOT:g}, for its square to "
            f"be represented, got {number:g}"
        )
    return number


def discount(value: float, name: str = "gamma") -> float:
    """Return ``value`` as a float; raise unless it lies in [0, 1), not next to 1."""
    number = real(value, name)
    if not 0 <= number < 1:
        raise ValueError(f"{name} must lie in [0, 1), got {number}")
    if number > NEAREST_TO_1:
        raise ValueError(f"{name} must be at most 1 - 1e-12, got 1 - {1 - number:.3g}")
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


def sequence(values: object, name: str, of: str = "one entry for each agent") -> None:
    """Raise unless ``values`` has a length and can be gone through; ``of`` says what it holds."""
    single = isinstance(values, str | bytes) or (isinstance(values, np.ndarray) and not values.ndim)
    if single or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(f"{name} must be a sequence with {of}, got {shown(values)}")
    _unmasked(values, name)


def texts(values: object, name: str) -> tuple[str, ...]:
    """Return texts; raise unless that is what they are."""
    if not isinstance(values, tuple | list):
        raise TypeError(f"{name} must be a tuple of texts, got {shown(values)}")
    for k, text in enumerate(values):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{k}] must be a text, got {shown(text)}")
    return tuple(values)


def names(values: object, name: str, size: int) -> tuple[str, ...]:
    """Return so many texts; raise unless that is what they are."""
    found = texts(values, name)
    if len(found) != size:
        raise ValueError(f"{name} must be {size} names, got {len(found)}")
    return found


def action_names(values: object, shape: tuple[int, ...]) -> tuple[str, ...] | None:
    """Return names for the actions of a reward of this shape, if there are any."""
    if values is None:
        return None
    if len(shape) == 1:
        raise ValueError(f"actions must be None for a reward of the state, got {shown(values)}")
    return names(values, "actions", shape[1])


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
        needed = f"{size / 2**30:.3g}" if size < 2**1000 else "more than 1e200"
        raise MemoryError(
            f"{what} would need {needed} GiB, and {free / 2**30:.3g} GiB are free; {instead}"
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


def shown(value: object) -> str:
    """``repr(value)`` for an error, cut where it is long."""
    try:
        text = repr(value)
    except Exception:  # such as of an integer of more than 4300 digits
        text = f"of type {type(value).__name__}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def first(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Index of the first true entry of ``mask``."""
    return tuple(int(i) for i in np.argwhere(mask)[0])


def numbers(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as a float array of its own; raise if it is not numeric."""
    return _as_floats(any_numbers(values, name))


def _as_floats(array: npt.NDArray[Any]) -> FloatArray:
    with np.errstate(over="ignore"):  # of wider floats: `finite` names the entry
        return array.astype(np.float64, copy=False)


def any_numbers(values: object, name: str) -> npt.NDArray[Any]:
    """Return ``values`` as an array of its own, row by row in memory, of whatever real type.

    Raises if anything in it is no number, or masked.
    """
    _unmasked(values, name)
    if isinstance(values, list | tuple):
        _parts_are_numbers(values, name)
    try:
        array = np.array(values, order="C")
    except (ValueError, TypeError, OverflowError) as error:
        raise TypeError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of real numbers, got {array.dtype}")
    return array


def _parts_are_numbers(
    values: list[object] | tuple[object, ...], name: str, depth: int = 1
) -> None:
    """Raise if a list holds a mask or a truth value, which NumPy would make numbers."""
    for part in values:
        if type(part) in (float, int):
            continue
        _unmasked(part, name)
        if isinstance(part, list | tuple):
            if depth < DEEPEST:
                _parts_are_numbers(part, name, depth + 1)
        elif isinstance(part, bool) or getattr(part, "dtype", None) == np.bool_:
            raise TypeError(f"{name} must be an array of real numbers, got {shown(part)} in it")


def _unmasked(values: object, name: str) -> None:
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked entries; fill them, or leave them out")


def finite(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as a float array of its own; raise if an entry is NaN or infinite."""
    array = numbers(values, name)
    _all_finite(array, name)
    return array


def _all_finite(array: FloatArray, name: str) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        where = first(bad)
        raise ValueError(f"{name}{list(where)} is {array[where]}; every entry must be finite")


def sparse(matrix: Any, name: str) -> None:  # noqa: ANN401
    """Raise unless a sparse matrix of SciPy points into itself only."""
    try:
        if hasattr(matrix, "check_format"):
            matrix.check_format()
    except ValueError as error:
        raise ValueError(f"{name} must be a sparse matrix that is whole: {error}") from None
    # SciPy's own check leaves out all the rest where the last pointer is not above zero.
    ends = getattr(matrix, "indptr", np.zeros(1))
    if ends[0] != 0 or (ends[1:] < ends[:-1]).any():
        raise ValueError(f"{name} must be a sparse matrix that is whole: indptr must not descend")
    for places, size in zip(getattr(matrix, "coords", ()), matrix.shape, strict=False):
        if len(places) and not 0 <= places.min() <= places.max() < size:
            raise ValueError(
                f"{name} must be a sparse matrix that is whole: coords must lie in 0..{size - 1}"
            )


def counts(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as floats; raise unless all are whole, 0 or more and below 2 ** 63."""
    array = finite(values, name)
    bad = ~((array >= 0) & (array < MOST)) | (array != np.floor(array))
    if bad.any():
        where = first(bad)
        limit = "less than 2 ** 63" if array[where] >= MOST else "0 or more"
        raise ValueError(
            f"{name}{list(where)} is {array[where]:g}; counts must be whole numbers, {limit}"
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


def truths(values: npt.ArrayLike, name: str, shape: tuple[int, ...]) -> BoolArray:
    """Return ``values`` as an array of its own; raise unless they are truth values of ``shape``."""
    _unmasked(values, name)
    mask = np.array(values)
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise ValueError(
            f"{name} must be truth values of shape {shape}, got {mask.dtype} of shape {mask.shape}"
        )
    return mask


def distributions(values: npt.ArrayLike, name: str, shape: tuple[int, ...]) -> FloatArray:
    """Return ``values`` as floats of ``shape`` whose last axis is a probability distribution.

    Floats of less than eight bytes may stray from summing to 1 by more, and are put right.
    """
    given = any_numbers(values, name)
    array = _as_floats(given)
    _all_finite(array, name)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return _summing_to_1(array, name, rounding_of(given.dtype))


def _summing_to_1(array: FloatArray, name: str, rounding: float) -> FloatArray:
    if (array < 0).any():
        where = first(array < 0)
        raise ValueError(
            f"{name}{list(where)} is {array[where]:g}; probabilities must be 0 or more"
        )
    with np.errstate(over="ignore"):
        sums = array.sum(axis=-1)
    bad = np.atleast_1d(np.abs(sums - 1) > rounding)
    if bad.any():
        where = first(bad) if sums.ndim else ()
        raise ValueError(f"{name}{list(where)} sums to {sums[where]:.12g}; it must sum to 1")
    return array if rounding == ROUNDING else array / sums[..., None]


def rounding_of(kind: np.dtype[Any]) -> float:
    """How far probabilities of this type may stray from summing to one."""
    narrow = kind.kind == "f" and kind.itemsize < 8
    return 4 * float(np.finfo(kind).eps) if narrow else ROUNDING


def histories(
    values: Sequence[npt.ArrayLike], name: str, states: int, actions: Sequence[int]
) -> tuple[FloatArray, ...]:
    """Return policies over time as floats, one (n, S, A_i) array an agent.

    Each row is a probability distribution, or NaN throughout where the policy is unknown.
    """
    one_per_agent(values, name, len(actions))
    given = [any_numbers(policies, f"{name}[{i}]") for i, policies in enumerate(values)]
    checked = []
    for i, (array, own) in enumerate(zip(given, actions, strict=True)):
        if array.ndim != 3 or array.shape != (len(given[0]), states, own):
            raise ValueError(
                f"{name}[{i}] must have shape (n, {states}, {own}), n the same for all agents, "
                f"got {array.shape}"
            )
        checked.append(_distributions_or_nan(array, f"{name}[{i}]"))
    return tuple(checked)


def policies(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return policies (..., A_i) as floats, each a distribution, or NaN throughout if unknown."""
    array = any_numbers(values, name)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have shape (..., A_i) with A_i >= 1, got {array.shape}")
    return _distributions_or_nan(array, name)


def _distributions_or_nan(array: npt.NDArray[Any], name: str) -> FloatArray:
    given = _as_floats(array)
    unknown = np.isnan(given).all(axis=-1, keepdims=True)
    known = np.where(unknown, 1 / given.shape[-1], given)
    _all_finite(known, name)
    known = _summing_to_1(known, name, rounding_of(array.dtype))
    return np.where(unknown, np.nan, known)
