"""A chapter's parameters, as papermill reads them from the cell that declares them."""

import ast
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from papermill.models import Parameter

TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
}
NOT_FINITE = (float("inf"), float("-inf"))


def declared(source: str) -> "dict[str, Parameter]":
    """Name, type, default and help of the parameters that a cell declares."""
    # Here, since a chapter that runs with its own parameters has no use for papermill.
    from nbformat.v4 import new_code_cell
    from papermill.translators import PythonTranslator

    return {one.name: one for one in PythonTranslator.inspect(new_code_cell(source))}


def types_of(parameters: "Iterable[Parameter]") -> dict[str, str]:
    """Types by name."""
    return {one.name: one.inferred_type_name for one in parameters}


def defaults_of(parameters: "Iterable[Parameter]") -> dict[str, object]:
    """Default values by name."""
    return {one.name: ast.literal_eval(one.default) for one in parameters}


def check_parameters(namespace: Mapping[str, object]) -> None:
    """Refuse parameters that a chapter does not declare, or of another type than it declares.

    Papermill itself only warns. Call it as ``check_parameters(globals())`` in the cell after the
    parameters: the first cell that ran declares them, and papermill's own cell begins with
    ``# Parameters``. Without such a cell there is nothing to refuse.

    Raises
    ------
    ValueError
        If a name is unknown or a value has the wrong type.
    """
    cells = namespace["In"]
    if not isinstance(cells, list):
        raise TypeError("namespace must be the globals of a notebook")
    for source in cells:
        if source.startswith("# Parameters\n"):
            types = types_of(declared(next(one for one in cells if one.strip())).values())
            for name in declared(source):
                check_parameter(name, namespace[name], types)


def check_parameter(name: str, value: object, types: Mapping[str, str]) -> None:
    """Refuse one parameter unless ``types`` has its name and its type fits."""
    if name not in types:
        raise ValueError(f"unknown parameter {name!r}; this chapter takes {', '.join(types)}")
    if type(value) not in TYPES[types[name]] or value in NOT_FINITE or value != value:
        raise ValueError(f"parameter {name} must be {types[name]}, got {value!r}")
