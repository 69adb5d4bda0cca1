"""A chapter's parameters, and what is refused."""

import pytest

from malfl.companion.parameters import (
    check_parameter,
    check_parameters,
    declared,
    defaults_of,
    types_of,
)

DECLARED = "alpha: float = 3.0  # entropy\nseeds: int = 5\nkind: str = 'hom'\nfast: bool = False"


def namespace(cells):
    """The globals of a notebook in which these cells ran."""
    names = {"In": cells}
    for cell in cells:
        if "check" not in cell:
            exec(cell, names)
    return names


def test_declared_parameters_and_their_types():
    assert types_of(declared(DECLARED).values()) == {
        "alpha": "float", "seeds": "int", "kind": "str", "fast": "bool"
    }  # fmt: skip


@pytest.mark.parametrize(
    "given", ["alpha = 2", "alpha = 2.5\nseeds = 1", "fast = True", "kind='x'"]
)
def test_good_parameters_pass(given):
    check_parameters(namespace(["", DECLARED, f"# Parameters\n{given}\n", "check_parameters(...)"]))


def test_no_parameters_pass():
    check_parameters(namespace(["", DECLARED, "check_parameters(globals())"]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("alhpa = 2.0", "unknown parameter 'alhpa'; this chapter takes alpha, seeds, kind, fast"),
        ("seeds = 2.5", "parameter seeds must be int, got 2.5"),
        ("seeds = True", "parameter seeds must be int, got True"),
        ("alpha = 'high'", "parameter alpha must be float, got 'high'"),
        ("alpha = float('nan')", "parameter alpha must be float, got nan"),
        ("alpha = float('-inf')", "parameter alpha must be float, got -inf"),
        ("alpha = 1.0\nkind = None", "parameter kind must be str, got None"),
    ],
)
def test_bad_parameters_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        check_parameters(namespace(["", DECLARED, f"# Parameters\n{given}\n", "check"]))


def test_a_notebook_can_be_worked_with_by_hand():
    cells = ["", DECLARED, "check_parameters(globals())", "%matplotlib inline", "own = [1]"]
    check_parameters({"In": [*cells, "alpha: float = f(2)", "check_parameters(globals())"]})


def test_default_parameters():
    expected = {"alpha": 3.0, "seeds": 5, "kind": "hom", "fast": False}
    assert defaults_of(declared(DECLARED).values()) == expected


def test_profiles_are_checked_the_same_way():
    with pytest.raises(ValueError, match="unknown parameter 'x'"):
        check_parameter("x", 1, {"alpha": "float"})


def test_parameters_say_what_they_mean():
    cell = 'x: int = 3  # a # number\ny: str = "é"  # é text\nz: bool = True'
    helps = {name: one.help for name, one in declared(cell).items()}
    assert helps == {"x": "a # number", "y": "é text", "z": ""}
