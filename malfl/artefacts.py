"""Where a chapter takes its parameters from and leaves its tables and figures."""

import ast
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
}


class Results:
    """A folder for what a chapter computes; every file appears whole or not at all.

    Parameters
    ----------
    folder
        Made if it does not exist.
    name
        Of the parameter that tells the folder.

    Raises
    ------
    ValueError
        If the folder cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str = "results") -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        except OSError as error:
            raise ValueError(
                f"{name} must be a folder that can be written, '{folder}' is not: {error.strerror}"
            ) from None

    def save_table(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """Write ``name``.csv with all digits and return the table."""
        self._write(f"{name}.csv", lambda path: table.to_csv(path, index=False))
        return table

    def save_json(self, name: str, values: object) -> None:
        """Write ``name``.json."""
        self._write(
            f"{name}.json", lambda path: path.write_text(json.dumps(values, indent=2) + "\n")
        )

    def save_figure(self, name: str, figure: Figure, data: pd.DataFrame | None = None) -> Figure:
        """Write ``name``.png, ``name``.svg and what is drawn, and return the closed figure.

        Parameters
        ----------
        data
            The numbers that the figure shows, written to ``name``.csv.
        """
        if data is not None:
            self.save_table(name, data)
        with plt.rc_context({"svg.hashsalt": name}):
            save = partial(figure.savefig, bbox_inches="tight")
            self._write(f"{name}.png", partial(save, format="png", metadata={"Software": None}))
            self._write(f"{name}.svg", partial(save, format="svg", metadata={"Date": None}))
        plt.close(figure)
        return figure

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=f"-{name}")
        os.close(handle)
        path = Path(temporary)
        try:
            write(path)
            path.chmod(0o644)
            path.replace(self.folder / name)
        except BaseException:
            path.unlink()
            raise


def read_table(file: Path, types: Mapping[str, str]) -> pd.DataFrame:
    """Read a table that a chapter wrote, or say what is wrong with the file.

    Parameters
    ----------
    types
        The columns that are needed, with their types: "text", "number" or "count". Others that it
        has are left out.

    Raises
    ------
    ValueError
        If the file is missing or no table, or a column is missing or of another type.
    """
    try:
        table = pd.read_csv(file)
    except FileNotFoundError:
        raise ValueError(f"results file {file.name} is missing") from None
    except (ValueError, OSError) as error:  # pandas' own errors of parsing are ValueErrors
        raise ValueError(f"results file {file.name} cannot be read: {error}") from None
    if missing := [column for column in types if column not in table.columns]:
        raise ValueError(
            f"results file {file.name} must have a column {missing[0]!r}, got "
            f"{', '.join(map(str, table.columns))}"
        )
    for column, kind in types.items():
        values = table[column]
        if kind != "text" and not pd.api.types.is_numeric_dtype(values):
            wrong = values[pd.to_numeric(values, errors="coerce").isna() & values.notna()]
            raise ValueError(
                f"results file {file.name} must have numbers in column {column}, got "
                f"{wrong.iloc[0]!r} in row {wrong.index[0]}"
            )
        if kind == "text" and values.isna().any():
            row = values.index[values.isna()][0]
            raise ValueError(f"results file {file.name} has no {column} in row {row}")
    counts = {column: "Int64" for column, kind in types.items() if kind == "count"}
    return table[list(types)].astype(counts)


def processor() -> str:
    """The processor's name, as far as the system tells, and its cores."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


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
    declared = next(source for source in cells if source.strip())
    for source in cells:
        if source.startswith("# Parameters\n"):
            types = declared_parameters(declared)
            for statement in ast.parse(source).body:
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                    check_parameter(statement.targets[0].id, _value(statement.value), types)


def _value(expression: ast.expr) -> object:
    """A literal, or the source of what is none (papermill writes NaN as ``float('nan')``)."""
    try:
        return ast.literal_eval(expression)
    except ValueError:
        return expression


def check_parameter(name: str, value: object, types: Mapping[str, str]) -> None:
    """Refuse one parameter unless ``types`` has its name and its type fits."""
    if name not in types:
        raise ValueError(f"unknown parameter {name!r}; this chapter takes {', '.join(types)}")
    if type(value) not in TYPES[types[name]]:
        shown = ast.unparse(value) if isinstance(value, ast.expr) else repr(value)
        raise ValueError(f"parameter {name} must be {types[name]}, got {shown}")


def default_parameters(source: str) -> dict[str, object]:
    """Names and values of the parameters that a cell declares."""
    return {
        name: ast.literal_eval(declaration.value)
        for name, declaration in _declarations(source)
        if declaration.value is not None
    }


def declared_parameters(source: str) -> dict[str, str]:
    """Names and annotated types of the parameters that a cell declares."""
    return {name: ast.unparse(found.annotation) for name, found in _declarations(source)}


def meanings(source: str) -> dict[str, str]:
    """Names of the parameters that a cell declares, and the comments that say what they are."""
    lines = source.splitlines()
    return {
        name: lines[(found.end_lineno or 1) - 1]
        .encode()[found.end_col_offset :]
        .decode()
        .lstrip(" #")
        for name, found in _declarations(source)
    }


def _declarations(source: str) -> Iterator[tuple[str, ast.AnnAssign]]:
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, statement
