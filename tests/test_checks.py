"""Refusals, word for word, on both sides of every limit."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse

from malfl import checks

NAN, INF = math.nan, math.inf


def refusal(error: type[Exception], message: str, check, *given, **options) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        check(*given, **options)


@pytest.mark.parametrize("value", [1, np.int8(1), np.array(1, dtype=np.uint8)])
def test_a_count_is_a_whole_number_of_python(value):
    assert type(checks.count(value, "n")) is int
    assert checks.count(value, "n") == 1


def test_counts_begin_at_one_unless_said_otherwise():
    assert checks.count(0, "n", 0) == 0
    refusal(ValueError, "n must be at least 1, got 0", checks.count, 0, "n")
    refusal(ValueError, "n must be at least 3, got 2", checks.count, 2, "n", at_least=3)


@pytest.mark.parametrize("value", [1.0, "1", None, True, np.bool_(True), np.timedelta64(1, "s")])
def test_what_is_no_count(value):
    refusal(TypeError, f"n must be a whole number, got {value!r}", checks.count, value, "n")


def test_an_index_is_below_the_size():
    assert checks.index(0, "agent", 2) == 0
    assert checks.index(1, "agent", 2) == 1
    refusal(ValueError, "agent must lie in 0..1, got 2", checks.index, 2, "agent", 2)
    refusal(ValueError, "agent must be at least 0, got -1", checks.index, -1, "agent", 2)


def test_truth_values_are_no_numbers_and_no_texts():
    assert checks.boolean(True, "record") is True
    assert checks.boolean(False, "record") is False
    refusal(TypeError, "record must be True or False, got 1", checks.boolean, 1, "record")


def test_a_choice_is_one_of_those_allowed():
    assert checks.choice("b", "kind", ("a", "b")) == "b"
    for wrong in ("c", 1, ["a"]):
        message = f"kind must be one of a, b, got {wrong!r}"
        refusal(ValueError, message, checks.choice, wrong, "kind", ("a", "b"))


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), Fraction(1), np.array(1.0)])
def test_a_real_number_is_a_float_of_python(value):
    assert type(checks.real(value, "x")) is float
    assert checks.real(value, "x") == 1.0


@pytest.mark.parametrize(
    "value", ["1", None, True, np.bool_(True), 1j, b"1", np.timedelta64(1, "s"), np.array([1.0])]
)
def test_what_is_no_real_number(value):
    refusal(TypeError, f"x must be a number, got {value!r}", checks.real, value, "x")


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_what_is_no_finite_number(value):
    refusal(ValueError, f"x must be finite, got {value!r}", checks.real, value, "x")


def test_a_number_too_large_for_a_float_is_not_finite():
    refusal(ValueError, f"x must be finite, got {'1' + 99 * '0'}...", checks.real, 10**400, "x")


#: (check, what passes, what does not, message)
LIMITS = [
    (checks.positive, [5e-324, 1e308], [0.0, -1.0], "x must be greater than 0, got {}"),
    (checks.not_negative, [0.0, 5e-324, 1e308], [-5e-324, -1.0], "x must be 0 or more, got {}"),
    (checks.probability, [0.0, 0.5, 1.0], [-5e-324, 1 + 1e-15, 2.0],
     "x must lie in [0, 1], got {}"),
    (checks.step_size, [5e-324, 0.5, 1.0], [0.0, -1.0, 1 + 1e-15], "x must lie in (0, 1], got {}"),
    (checks.discount, [0.0, 0.5, 1 - 1e-12], [-5e-324, 1.0, 2.0], "x must lie in [0, 1), got {}"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "right", "wrong", "message"), LIMITS)
def test_limits(check, right, wrong, message):
    for value in right:
        assert check(value, "x") == value
    for value in wrong:
        refusal(ValueError, message.format(value), check, value, "x")
    refusal(TypeError, "x must be a number, got 'a'", check, "a", "x")


def test_a_discount_is_called_gamma_and_not_next_to_1():
    message = "gamma must be at most 1 - 1e-12, got 1 - 9.99e-13"
    refusal(ValueError, message, checks.discount, 1 - 9.99e-13)
    refusal(ValueError, "beta must lie in (0, 1], got 2.0", checks.step_size, 2)


def test_a_number_whose_square_fits():
    for value in (1e-140, 1.0, 1e140):
        assert checks.squarable(value, "x") == value
    limits = "x must lie between 1e-140 and 1e+140, for its square to be represented, got "
    refusal(ValueError, limits + "9.9e-141", checks.squarable, 9.9e-141, "x")
    refusal(ValueError, limits + "1.1e+140", checks.squarable, 1.1e140, "x")
    refusal(ValueError, "x must be greater than 0, got 0.0", checks.squarable, 0, "x")


def test_a_generator_or_a_seed():
    rng = np.random.default_rng(3)
    assert checks.generator(rng) is rng
    assert checks.generator(3).random() == rng.random()
    assert checks.generator(0).random() == np.random.default_rng(0).random()
    refusal(ValueError, "seed must be at least 0, got -1", checks.generator, -1)
    refusal(TypeError, "s must be a whole number, got 1.5", checks.generator, 1.5, "s")


def test_a_sequence_has_a_length():
    for value in ([], (), range(2), np.zeros(2), np.zeros((0, 3))):
        checks.sequence(value, "x")
    for value in ("ab", b"ab", {1}, {1: 2}, 3, None, np.array(1.0), iter([1])):
        message = f"x must be a sequence with one entry for each agent, got {checks.shown(value)}"
        refusal(TypeError, message, checks.sequence, value, "x")
    refusal(TypeError, "x must be a sequence with words, got 1", checks.sequence, 1, "x", "words")
    masked = np.ma.array([1.0, 2.0], mask=[True, False])
    refusal(ValueError, MASK.format("x"), checks.sequence, masked, "x")


MASK = "{} has masked entries; fill them, or leave them out"


def test_one_array_an_agent():
    checks.one_per_agent([1, 2], "x", 2)
    message = "x must hold one array for each of 2 agents, got 3"
    refusal(ValueError, message, checks.one_per_agent, [1, 2, 3], "x", 2)
    message = "x must be a sequence with one entry for each agent, got 1"
    refusal(TypeError, message, checks.one_per_agent, 1, "x", 2)


def test_steps_are_counted_in_63_bits():
    assert checks.steps_played(2**31, 2**32 - 1) == (2**31, 2**32 - 1)
    message = f"episodes * steps must be below 2 ** 63 to be counted, got {2**31} * {2**32}"
    refusal(ValueError, message, checks.steps_played, 2**31, 2**32)
    refusal(ValueError, "episodes must be at least 1, got 0", checks.steps_played, 0, 1)
    refusal(ValueError, "steps must be at least 1, got 0", checks.steps_played, 1, 0)


class Free:
    available = 3 * 2**30


@pytest.fixture
def three_gib(monkeypatch):
    monkeypatch.setattr(checks.psutil, "virtual_memory", Free)


def test_memory_that_is_there_is_given(three_gib):
    checks.memory(3 * 2**30, "it", "take less")
    message = "it would need 3.5 GiB, and 3 GiB are free; take less"
    refusal(MemoryError, message, checks.memory, 7 * 2**29, "it", "take less")
    message = "it would need 3 GiB, and 3 GiB are free; take less"
    refusal(MemoryError, message, checks.memory, 3 * 2**30 + 1, "it", "take less")


def test_memory_beyond_what_floats_hold(three_gib):
    message = "it would need more than 1e200 GiB, and 3 GiB are free; take less"
    refusal(MemoryError, message, checks.memory, 2**1000, "it", "take less")
    refusal(MemoryError, message, checks.memory, 10**400, "it", "take less")
    message = f"it would need {2**999 / 2**30:.3g} GiB, and 3 GiB are free; take less"
    refusal(MemoryError, message, checks.memory, 2**999, "it", "take less")


class Apple:
    pass


class Pear(Apple):
    pass


def test_an_instance_and_not_its_class():
    checks.instance(Pear(), Apple, "fruit", "from a tree")
    message = "fruit must be of type Pear (from a tree), got Apple"
    refusal(TypeError, message, checks.instance, Apple(), Pear, "fruit", "from a tree")
    message = "fruit must be an Apple, not a class of them: Pear()"
    refusal(TypeError, message, checks.instance, Pear, Apple, "fruit", "from a tree")
    message = "fruit must be a Pear, not a class of them: Pear()"
    refusal(TypeError, message, checks.instance, Pear, Pear, "fruit", "from a tree")


class Unspeakable:
    def __repr__(self):
        raise RuntimeError


def test_what_an_error_shows_is_cut():
    assert checks.shown("a" * 98) == repr("a" * 98)
    assert checks.shown("a" * 99) == "'" + "a" * 99 + "..."
    assert checks.shown(Unspeakable()) == "of type Unspeakable"
    assert checks.shown(10**5000) == "of type int"


def test_the_first_true_entry():
    assert checks.first(np.array([[False, False], [False, True]])) == (1, 1)
    assert checks.first(np.array([False, True, True])) == (1,)


@pytest.mark.parametrize(
    "values", [[1, 2], (1.0, 2.0), np.array([1, 2], dtype=np.int8), np.array([1, 2], dtype=">f4")]
)
def test_numbers_become_floats_of_their_own(values):
    array = checks.numbers(values, "x")
    assert array.dtype == np.float64
    assert array.dtype.isnative
    assert array.flags.c_contiguous
    assert array.flags.owndata
    assert array.tolist() == [1.0, 2.0]


def test_numbers_lie_row_by_row_in_memory():
    assert checks.numbers(np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]), "x").flags.c_contiguous


@pytest.mark.parametrize(
    ("check", "others"),
    [
        (checks.numbers, ()), (checks.finite, ()), (checks.counts, ()), (checks.whole, ()),
        (checks.distributions, ((1,),)), (checks.policies, ()),
    ],
)  # fmt: skip
def test_every_check_names_what_is_no_array_of_numbers(check, others):
    message = "x must be an array of real numbers, got <U1"
    refusal(TypeError, message, check, ["a"], "x", *others)


def test_what_are_no_numbers():
    for values, kind in (
        (["a"], "<U1"), ([None], "object"), (np.array([True]), "bool"), ([1j], "complex128"),
        (b"a", "|S1"),
    ):  # fmt: skip
        message = f"x must be an array of real numbers, got {kind}"
        refusal(TypeError, message, checks.numbers, values, "x")
    message = "x must be an array of real numbers, got True in it"
    refusal(TypeError, message, checks.numbers, [True], "x")
    refusal(TypeError, message, checks.numbers, [1.0, True], "x")
    refusal(TypeError, message, checks.numbers, ([1.0], [True]), "x")
    message = "x must be an array of real numbers, got array([ True]) in it"
    refusal(TypeError, message, checks.numbers, [np.ones(1), np.ones(1, dtype=bool)], "x")
    endless: list = []
    endless.append(endless)
    with pytest.raises(TypeError, match=r"^x must be an array of "):
        checks.numbers(endless, "x")
    with pytest.raises(TypeError, match=r"^x must be an array of numbers: .*inhomogeneous"):
        checks.numbers([[1.0], [1.0, 2.0]], "x")


def test_masks():
    masked = np.ma.array([1.0, 2.0], mask=[True, False])
    refusal(ValueError, MASK.format("x"), checks.numbers, masked, "x")
    refusal(ValueError, MASK.format("x"), checks.numbers, [np.zeros(2), masked], "x")
    refusal(ValueError, MASK.format("x"), checks.numbers, [1.0, np.ma.masked], "x")
    assert checks.numbers(np.ma.array([1.0], mask=[False]), "x").tolist() == [1.0]


def test_every_entry_is_finite():
    assert checks.finite([1.0, -1e308], "x").tolist() == [1.0, -1e308]
    for wrong in (NAN, INF, -INF):
        message = f"x[1, 0] is {wrong}; every entry must be finite"
        refusal(ValueError, message, checks.finite, [[1.0], [wrong]], "x")
    message = "x[0] is inf; every entry must be finite"
    refusal(ValueError, message, checks.finite, np.array([np.longdouble("1e400")]), "x")


def broken(kind: str, part: str, at: int, number: int) -> object:
    matrix = scipy.sparse.eye_array(4, format=kind)
    found = getattr(matrix, part)
    (found[0] if part == "coords" else found)[at] = number
    return matrix


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr", "coo", "lil", "dok", "dia"])
def test_a_sparse_matrix_that_is_whole(kind):
    checks.sparse(scipy.sparse.eye_array(4, format=kind), "x")
    checks.sparse(scipy.sparse.csr_array((4, 4)).asformat(kind), "x")


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr"])
@pytest.mark.parametrize(
    ("part", "at", "number"),
    [("indptr", 2, -7), ("indptr", 2, 9), ("indptr", 4, -1), ("indptr", 0, -1), ("indptr", 4, 0),
     ("indptr", 4, 9), ("indices", 0, 4), ("indices", 0, -1)],
)  # fmt: skip
def test_a_sparse_matrix_whose_pointers_leave_it(kind, part, at, number):
    with pytest.raises(ValueError, match=r"^x must be a sparse matrix that is whole: "):
        checks.sparse(broken(kind, part, at, number), "x")


@pytest.mark.parametrize("number", [4, -1])
def test_a_sparse_matrix_whose_coordinates_leave_it(number):
    message = "x must be a sparse matrix that is whole: coords must lie in 0..3"
    refusal(ValueError, message, checks.sparse, broken("coo", "coords", 1, number), "x")


def test_counts_are_whole_and_fit_63_bits():
    assert checks.counts([0, 1.0, 2**62], "x").tolist() == [0.0, 1.0, 2.0**62]
    message = "x[1] is -1; counts must be whole numbers, 0 or more"
    refusal(ValueError, message, checks.counts, [0, -1], "x")
    message = "x[0] is 0.5; counts must be whole numbers, 0 or more"
    refusal(ValueError, message, checks.counts, [0.5, -1], "x")
    message = "x[1] is 9.22337e+18; counts must be whole numbers, less than 2 ** 63"
    refusal(ValueError, message, checks.counts, [0.0, 2.0**63], "x")
    refusal(ValueError, "x[0] is nan; every entry must be finite", checks.counts, [NAN], "x")


def test_whole_numbers_between_bounds():
    found = checks.whole([0.0, 2.0], "x", 0, 2)
    assert found.dtype == np.int64
    assert found.tolist() == [0, 2]
    assert checks.whole([10**9], "x").tolist() == [10**9]
    message = "x[1] is 3; it must be at least 1 and at most 2"
    refusal(ValueError, message, checks.whole, [1, 3, 0], "x", 1, 2)
    refusal(ValueError, "x[0] is 0; it must be at least 1", checks.whole, [0], "x", 1)
    message = "x[0] is 0; it must be at least 1 and at most 2"
    refusal(ValueError, message, checks.whole, [0], "x", 1, 2)
    assert checks.whole([0], "x").tolist() == [0]
    refusal(ValueError, "x must have shape (n,), got (1, 1)", checks.whole, [[1]], "x")


def test_distributions():
    given = np.array([[0.25, 0.75], [1.0, 0.0]])
    assert (checks.distributions(given, "p", (2, 2)) == given).all()
    almost = np.array([0.5, 0.5 + 0.9e-9])
    assert (checks.distributions(almost, "p", (2,)) == almost).all()
    message = "p must have shape (2,), got (2, 2)"
    refusal(ValueError, message, checks.distributions, given, "p", (2,))
    message = "p[0, 1] is -0.5; probabilities must be 0 or more"
    refusal(ValueError, message, checks.distributions, [[1.5, -0.5]], "p", (1, 2))
    message = "p[1, 1] is -0.5; probabilities must be 0 or more"
    refusal(ValueError, message, checks.distributions, [[0, 1], [1.5, -0.5]], "p", (2, 2))
    message = "p[1] sums to 0.9; it must sum to 1"
    refusal(ValueError, message, checks.distributions, [[1, 0], [0.4, 0.5]], "p", (2, 2))
    message = "p[] sums to 1.000000002; it must sum to 1"
    refusal(ValueError, message, checks.distributions, [0.5, 0.500000002], "p", (2,))
    message = "p[0] is nan; every entry must be finite"
    refusal(ValueError, message, checks.distributions, [NAN, 1.0], "p", (2,))
    refusal(ValueError, "p[] sums to inf; it must sum to 1", checks.distributions, [1e308] * 2,
            "p", (2,))  # fmt: skip


def test_distributions_of_narrow_floats_are_put_right():
    narrow = np.array([[0.1, 0.2, 0.7]], dtype=np.float32)
    found = checks.distributions(narrow, "p", (1, 3))
    assert found.sum() == pytest.approx(1.0, abs=1e-15)
    assert found[0] == pytest.approx([0.1, 0.2, 0.7], abs=1e-7)
    for kind, rounding in ((np.float16, 4 * 2**-10), (np.float32, 4 * 2**-23)):
        assert checks.rounding_of(np.dtype(kind)) == rounding
    for kind in (np.float64, np.longdouble, np.int32, np.int8):
        assert checks.rounding_of(np.dtype(kind)) == 1e-9
    off = np.array([0.5, 0.501], dtype=np.float32)
    with pytest.raises(ValueError, match=r"^p\[\] sums to 1.00099998713; it must sum to 1$"):
        checks.distributions(off, "p", (2,))


def test_policies_are_distributions_or_unknown():
    given = np.array([[NAN, NAN], [0.25, 0.75]])
    assert np.array_equal(checks.policies(given, "p"), given, equal_nan=True)
    assert checks.policies([0.25, 0.75], "p").tolist() == [0.25, 0.75]
    message = "p[0, 0] is nan; every entry must be finite"
    refusal(ValueError, message, checks.policies, [[NAN, 1.0]], "p")
    refusal(ValueError, "p[0] sums to 2; it must sum to 1", checks.policies, [[1.0, 1.0]], "p")
    message = "p must have shape (..., A_i) with A_i >= 1, got {}"
    refusal(ValueError, message.format("()"), checks.policies, 1.0, "p")
    refusal(ValueError, message.format("(2, 0)"), checks.policies, np.zeros((2, 0)), "p")
    narrow = checks.policies(np.array([[0.1, 0.2, 0.7]], dtype=np.float32), "p")
    assert narrow.sum() == pytest.approx(1.0, abs=1e-15)


def test_histories_are_of_one_length():
    one, two = np.full((4, 2, 3), 1 / 3), np.full((4, 2, 1), 1.0)
    two[1, 1] = NAN
    found = checks.histories([one, two], "p", 2, (3, 1))
    assert np.array_equal(found[0], one)
    assert np.array_equal(found[1], two, equal_nan=True)
    message = "p must hold one array for each of 2 agents, got 1"
    refusal(ValueError, message, checks.histories, [one], "p", 2, (3, 1))
    message = "p[{}] must have shape (n, 2, {}), n the same for all agents, got {}"
    for k, own, wrong in ((1, 1, two[0]), (1, 1, two[:, :1]), (1, 1, np.array(1.0))):
        refusal(ValueError, message.format(k, own, wrong.shape), checks.histories, [one, wrong],
                "p", 2, (3, 1))  # fmt: skip
    refusal(ValueError, message.format(1, 1, (3, 2, 1)), checks.histories, [one, two[:3]], "p", 2,
            (3, 1))  # fmt: skip
    message = "p[0] must be an array of real numbers, got <U1"
    refusal(TypeError, message, checks.histories, [["a"], two], "p", 2, (3, 1))
    wrong = one.copy()
    wrong[2, 1, 0] = 0.5
    message = f"p[0][2, 1] sums to {0.5 + 2 / 3:.12g}; it must sum to 1"
    refusal(ValueError, message, checks.histories, [wrong, two], "p", 2, (3, 1))
