"""Where a chapter leaves its tables and figures."""

import json
import os
import platform
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from malfl.values import writable_folder, write_whole


class Results:
    """A folder for what a chapter computes; every file appears whole or not at all.

    Parameters
    ----------
    folder
        Made if it does not exist.

    Raises
    ------
    TypeError, ValueError
        If the folder is no path, or cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = writable_folder(folder, "results")

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
        write_whole(self.folder / name, write)


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
