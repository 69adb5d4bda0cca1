"""Tables of any origin as a stream of batches: files, data frames and whatever speaks Arrow."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from malfl import checks
from malfl.data import minari

BATCH_ROWS = 2**18  # some megabytes of each column
KINDS = {
    ".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow",
    ".ipc": "arrow",
}  # fmt: skip
Source = Any
"""A path, a data frame, a table of Arrow, a mapping from names to columns, a data set of Minari."""


class Table(NamedTuple):
    """Columns, and their rows in batches, which are read as they are asked for."""

    name: str  # for errors
    columns: Sequence[str]
    batches: Iterator[pa.RecordBatch]


def open_table(source: Source) -> Table:
    """Columns and rows of a table.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If it is no table.
    ValueError
        If a file is empty, damaged or of another kind than its name says.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.suffix.lower() not in KINDS:
            raise ValueError(
                f"source must be a file {', '.join(KINDS)}, or a data frame; got '{path.name}'"
            )
        if not path.is_file():
            raise FileNotFoundError(f"source must be a file, '{path}' is none")
        try:
            columns, batches = _of_file(path)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(path, error) from None
        return Table(f"'{path.name}'", columns, _told(batches, path))
    if minari.is_dataset(source):
        return Table("source", minari.COLUMNS, minari.rows_of(source))
    try:
        table = _of_object(source)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise TypeError(
            f"source must be a table that Arrow can read: {_first_line(error)}"
        ) from None
    return Table("source", table.column_names, iter(table.to_batches(BATCH_ROWS)))


def _of_object(source: Source) -> pa.Table:
    if isinstance(source, Mapping):
        return pa.table(dict(source))
    if not hasattr(source, "__arrow_c_stream__"):
        raise TypeError(f"got {checks.shown(source)}")
    return pa.table(source)


def _of_file(path: Path) -> tuple[Sequence[str], Iterator[pa.RecordBatch]]:
    kind = KINDS[path.suffix.lower()]
    if kind == "csv":
        checks.memory(2 * path.stat().st_size, f"'{path.name}'", "save it as Parquet")
        # An empty cell is empty, also among labels.
        empty = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
        table = pyarrow.csv.read_csv(path, convert_options=empty)
        return table.column_names, iter(table.to_batches(BATCH_ROWS))
    if kind == "parquet":
        file = pyarrow.parquet.ParquetFile(path)
        return file.schema_arrow.names, file.iter_batches(BATCH_ROWS)
    reader = pyarrow.ipc.open_file(pa.memory_map(str(path)))
    return reader.schema.names, (reader.get_batch(k) for k in range(reader.num_record_batches))


def _told(batches: Iterator[pa.RecordBatch], path: Path) -> Iterator[pa.RecordBatch]:
    """Batches that point to nothing outside of themselves, with errors that name the file."""
    try:
        for batch in batches:
            batch.validate(full=True)
            yield batch
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(f"source must be a whole {path.suffix} file, '{path.name}' is not: "
                      f"{_first_line(error)}")  # fmt: skip


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
