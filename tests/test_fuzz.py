"""Whatever a public function is given, it refuses by name or gives a result.

`make test` draws a few hundred inputs. Many more, and a list of those that were taken, by hand:

    MALFL_FUZZ=5000 MALFL_FUZZ_TAKEN=taken.txt pytest tests/test_fuzz.py
"""

import decimal
import fractions
import inspect
import operator
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_gates import own, public, right

import malfl

EXAMPLES = int(os.environ.get("MALFL_FUZZ", "300"))
TAKEN = os.environ.get("MALFL_FUZZ_TAKEN")
HANGS = 10.0  # seconds
LONGEST_MESSAGE = 500

bounded = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize="MALFL_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip

#: How much work is asked for. A large number of these is a long call, and none to refuse.
WORK = {"episodes", "steps", "iterations", "number", "seed", "n", "rounds"}

EXTREMES = (
    0.0, -0.0, 1.0, -1.0, 0.5, 2.0, np.nan, np.inf, -np.inf, 5e-324, 1e-308, 1e308, -1e308, 1e16,
    1 - 1e-16, 1 + 1e-12, 1e-300, 1e300, 1e-12, 1 / 3,
)  # fmt: skip
NUMBERS = (
    -1, 0, 1, 2, 3, 16, 17, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**400, -(10**400), True,
    False, np.float32(0.1), np.float16(0.5), np.longdouble("1e400"), np.int8(3),
    np.uint64(2**64 - 1), np.bool_(True), np.array(1.0), np.array(2), np.array([1]), 1j,
    fractions.Fraction(1, 3),
    decimal.Decimal("0.5"), np.datetime64("2000-01-01"), np.timedelta64(3, "s"), *EXTREMES,
)  # fmt: skip
OBJECTS = (
    None, "", "1", "nonsense", b"1", object(), int, len, (), [], {}, {"a": 1}, {1, 2}, range(3),
    Ellipsis, NotImplemented, [None], ["a"], [[1.0], [1.0, 2.0]], [[]], np.ma.masked, pd.NA, pd.NaT,
    np.ma.array([1.0, 2.0], mask=[True, False]), np.array([], dtype=float), np.array(None),
    np.zeros((0, 3)), np.zeros((2, 0)), np.array(["a", "b"]), np.zeros(3, dtype="i4,f8"),
    scipy.sparse.csr_array(np.eye(3)), pd.Series([1.0, 2.0]), pd.DataFrame({"a": [1.0, 2.0]}),
    memoryview(b"123"), np.random.default_rng(0), np.random.RandomState(0), slice(3), "x" * 10_000,
)  # fmt: skip


def arrays() -> st.SearchStrategy:
    return hnp.arrays(
        dtype=st.sampled_from(
            ["f8", "f4", "f2", "i8", "i4", "u1", "u8", "?", "c16", "M8[s]", "S3"]
        ),
        shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=17),
    )


@st.composite
def changed(draw: st.DrawFn, before: object) -> object:
    """What a right argument becomes through a small change."""
    if isinstance(before, tuple | list) and len(before):
        several = list(before)
        k = draw(st.integers(0, len(several) - 1))
        what = draw(st.sampled_from(["one", "less", "more", "same"]))
        if what == "less":
            del several[k]
        elif what == "more":
            several.insert(k, several[k])
        else:
            several[k] = draw(changed(several[k]))
        return draw(st.sampled_from([list, tuple]))(several)
    if isinstance(before, dict) and before:
        several = dict(before)
        name = draw(st.sampled_from(list(several)))
        several[name] = draw(anything(several[name]))
        return several
    if isinstance(before, np.ndarray) and before.size:
        return draw(changed_array(before))
    return draw(st.sampled_from(NUMBERS + OBJECTS))


@st.composite
def changed_array(draw: st.DrawFn, before: np.ndarray) -> object:
    array = np.array(before)
    what = draw(
        st.sampled_from(["entry", "entry", "axis", "type", "shape", "scale", "mask", "list"])
    )
    if what == "entry":
        where = tuple(draw(st.integers(0, side - 1)) for side in array.shape)
        array = array.astype(float)
        array[where] = draw(st.sampled_from(EXTREMES))
    elif what == "axis":
        axis = draw(st.integers(0, array.ndim - 1)) if array.ndim else 0
        cut = draw(
            st.sampled_from([slice(1, None), slice(None, 1), slice(0), slice(None, None, -1)])
        )
        array = array[(slice(None),) * axis + (cut,)] if array.ndim else array
    elif what == "type":
        kind = draw(st.sampled_from(["f4", "f2", "i8", "u1", "?", "c16", "O", "U8", "S8", ">f8"]))
        array = array.astype(kind)
    elif what == "shape":
        change = draw(
            st.sampled_from([np.transpose, np.ravel, lambda a: a[None], lambda a: a[..., None]])
        )
        array = change(array)
    elif what == "scale":
        with np.errstate(all="ignore"):
            array = array * draw(st.sampled_from(EXTREMES))
    elif what == "mask":
        return np.ma.array(array, mask=draw(st.sampled_from([True, False])))
    else:
        return array.tolist()
    return array


def anything(before: object) -> st.SearchStrategy:
    pool = st.sampled_from([value for name, value in right().items() if name not in WORK])
    return st.one_of(
        st.sampled_from(NUMBERS + OBJECTS), changed(before), changed(before), pool, arrays()
    )


def defaults(function: Callable) -> dict[str, object]:
    """Right arguments for a function, by parameter."""
    known = own(function.__name__)
    if not inspect.isclass(function):
        known = right() | known
    given = {}
    for name, parameter in inspect.signature(function).parameters.items():
        required = parameter.default is inspect.Parameter.empty
        given[name] = known.get(name, right().get(name) if required else parameter.default)
    return given


def sensible(name: str, value: object) -> bool:
    """Whether a call with it cannot be a long one, which is right."""
    with suppress(TypeError):
        return name not in WORK or operator.index(value) <= 1000
    return True


def attempt(function: Callable, arguments: dict[str, object], names: list[str]) -> None:
    begun = time.monotonic()
    outcome = "taken"
    try:
        result = function(**arguments)
        if inspect.isgenerator(result):
            result = list(result)
        outcome = repr(result)
    except malfl.recovery.NothingToLearnError:
        pass  # which is about what the data say, not about an argument
    except (TypeError, ValueError, MemoryError) as error:
        message = str(error)
        # One argument that changed can make another wrong beside it.
        assert any(re.search(rf"\b{name}\b", message) for name in arguments), message
        assert len(message) < LONGEST_MESSAGE
    else:
        note_taken(function, {name: arguments[name] for name in names}, outcome)
    assert time.monotonic() - begun < HANGS


def note_taken(function: Callable, changed_ones: dict[str, object], outcome: str) -> None:
    if TAKEN:
        with Path(TAKEN).open("a") as file:
            one_line = " ".join(f"{function.__name__} {changed_ones!r}".split())
            print(one_line[:400], "->", " ".join(outcome.split())[:300], file=file)


@pytest.mark.parametrize("several", [1, 2])
@bounded
@given(data=st.data())
def test_whatever_is_given_is_refused_by_name_or_right(several, data):
    function = public()[data.draw(st.sampled_from(sorted(public())))]
    arguments = defaults(function)
    if not arguments:
        return
    names = data.draw(
        st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=several, unique=True)
    )
    for name in names:
        value = data.draw(anything(arguments[name]), label=name)
        if not sensible(name, value):
            return
        arguments[name] = value
    attempt(function, arguments, names)


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def spread_out(array: np.ndarray) -> np.ndarray:
    """Not next to each other in memory."""
    return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array


def backwards(array: np.ndarray) -> np.ndarray:
    return array[::-1].copy()[::-1] if array.ndim else array


def pandas(array: np.ndarray) -> object:
    return {1: pd.Series, 2: pd.DataFrame}.get(array.ndim, np.copy)(array)


def test_files_that_coverage_leads_to_are_refused_by_name(tmp_path):
    """A minute or more of it, by hand: see `fuzz_files`."""
    pytest.importorskip("atheris")
    program = [sys.executable, Path(__file__).with_name("fuzz_files.py"), tmp_path]
    options = ["-seed=1", "-runs=1000", "-timeout=10", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run([*program, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 1000 runs" in done.stderr


#: The same numbers, held otherwise.
DRESSES = (
    np.asfortranarray, np.ndarray.tolist, lambda a: a.astype(np.longdouble),
    lambda a: a.astype(">f8"), lambda a: np.ma.array(a, mask=False), read_only, spread_out,
    backwards, pandas,
)  # fmt: skip


def dress(value: object, how: Callable[[np.ndarray], object], kinds: str = "f") -> object:
    """A value whose arrays, of numbers of these kinds, are held otherwise."""
    if isinstance(value, np.ndarray) and value.dtype.kind in kinds:
        return how(value)
    if isinstance(value, tuple | list) and any(isinstance(part, np.ndarray) for part in value):
        parts = [dress(part, how, kinds) for part in value]
        if any(new is not old for new, old in zip(parts, value, strict=True)):
            return type(value)(parts)
    return value


def arrays_in(function: Callable, kinds: str = "f") -> list[str]:
    def other(array: np.ndarray) -> object:
        return array.tolist()

    plain = defaults(function)
    return [name for name, value in plain.items() if dress(value, other, kinds) is not value]


@pytest.mark.parametrize("how", DRESSES, ids=lambda how: how.__name__)
@pytest.mark.parametrize("function", [f for f in public().values() if arrays_in(f)])
def test_how_numbers_are_held_does_not_matter(function, how):
    plain = defaults(function)
    expected = function(**plain)
    for name in arrays_in(function):
        again = function(**plain | {name: dress(plain[name], how)})
        assert_same(expected, again)


def assert_same(one: object, other: object) -> None:
    """The same to the last digit, arrays inside included."""
    assert pickle.dumps(one) == pickle.dumps(other)


@pytest.mark.parametrize("function", [f for f in public().values() if arrays_in(f, "fb")])
def test_results_do_not_follow_what_was_given(function):
    """Changing an argument's arrays afterwards changes nothing that was made of them."""
    plain = defaults(function)
    for name in arrays_in(function, "fb"):
        own_copy = dress(plain[name], np.copy, "fb")
        result = function(**plain | {name: own_copy})
        before = pickle.dumps(result)
        for array in own_copy if isinstance(own_copy, tuple | list) else [own_copy]:
            array[...] = ~array if array.dtype == np.bool_ else 77.0
        assert pickle.dumps(result) == before
