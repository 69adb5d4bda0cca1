"""Frozen values that travel: read-only after a pickle too, and saved to one file without pickle.

A file is NumPy's npz: the arrays as they are, and beside them one text in JSON that says which
value they make up. Loading makes values of this library's own classes by their constructors, which
check what they are given; nothing in a file is executed.
"""

import hashlib
import importlib
import json
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from malfl import checks

T = TypeVar("T")
FORMAT = 1  # raised whenever older programs could not read what newer ones write
NUMBERS_OR_TEXT = "biufU"  # kinds of NumPy's types
PLAIN = (type(None), bool, int, float, str)


class Value:
    """A frozen dataclass whose arrays are read-only, also in copies and after a pickle."""

    known: ClassVar[dict[str, type["Value"]]] = {}  # what a file may hold, by name

    def __init_subclass__(cls) -> None:
        if cls.__module__.startswith("malfl."):
            Value.known[cls.__name__] = cls

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        freeze(*state.values())
        self.__dict__.update(state)

    def is_known(self) -> bool:
        """Whether a file may hold it: its class is one of this library's."""
        return Value.known.get(type(self).__name__) is type(self)

    def parts(self) -> dict[str, object]:
        """What the constructor needs to make this value again, by the names of its arguments."""
        return {part.name: getattr(self, part.name) for part in fields(self)}  # type: ignore[arg-type]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the value to one file, whole or not at all; see `load`."""
        if not self.is_known():
            name = type(self).__name__
            raise TypeError(f"only values of malfl's own classes are saved, got a {name}")
        write_whole(Path(path), lambda file: _write(self, file))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file is damaged, foreign, of another version, or holds another kind of value.
        """
        value = read(path)
        if not isinstance(value, cls):
            raise ValueError(f"{path} must hold a {cls.__name__}, got a {type(value).__name__}")
        return value


def freeze(*values: object) -> None:
    """Make arrays read-only in place, those in tuples and sparse matrices too."""
    for value in values:
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        elif isinstance(value, csr_array):
            freeze(value.data, value.indices, value.indptr)
        elif isinstance(value, tuple):
            freeze(*value)


def set_fields(value: object, **fields: object) -> None:
    """Set fields of a frozen value, as its constructor may: to what was checked and converted."""
    for name, field in fields.items():
        object.__setattr__(value, name, field)


def writable_folder(folder: str | os.PathLike[str], name: str) -> Path:
    """The folder, made if it does not exist; raise, by ``name``, unless it can be written."""
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"{name} must be the path of a folder, got {checks.shown(folder)}")
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except (OSError, ValueError) as error:  # a ValueError if the path holds a null character
        said = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"{name} must be a folder that can be written, '{folder}' is not: {said}"
        ) from None
    return path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file that then takes the place of ``path``, whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=f"-{path.name}")
    os.close(handle)
    draft = Path(name)
    try:
        write(draft)
        draft.chmod(0o644)
        draft.replace(path)
    except BaseException:
        draft.unlink()
        raise


def read(path: str | os.PathLike[str]) -> object:
    """Whatever value a file holds; see `Value.load`."""
    try:
        if not zipfile.is_zipfile(path):
            with Path(path).open("rb"):  # a missing file says so itself
                raise ValueError("it is no npz archive, or not whole")
        # Opened here: NumPy leaves open what it cannot read.
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            size = sum(part.file_size for part in file.zip.infolist())
            checks.memory(size, "what it says it holds", "it may be damaged")
            text = json.loads(file["value"].tobytes())
            if (version := text["malfl"]) == FORMAT:
                return _unpack(text["value"], [file[str(k)] for k in range(len(file.files) - 1)])
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever can go wrong in NumPy, JSON, pandas and constructors
        kind = MemoryError if isinstance(error, MemoryError) else ValueError
        raise kind(f"{path} must be a file that malfl saved: {error}") from None
    raise ValueError(f"{path} is of version {version!r}; this malfl reads version {FORMAT}")


def write(value: object, path: Path) -> None:
    """Write a value, or a table, list, tuple or dictionary of values, to a file, whole or not."""
    write_whole(path, lambda file: _write(value, file))


def _write(value: object, file: Path) -> None:
    packed = _Packed(loose=True)
    text = json.dumps({"malfl": FORMAT, "value": packed.tree(value)})
    named = {str(k): array for k, array in enumerate(packed.arrays)}
    with file.open("wb") as opened:
        np.savez(opened, value=np.frombuffer(text.encode(), np.uint8), **named)  # type: ignore[arg-type]


def digest(value: object, *, loose: bool = False) -> tuple[str, set[str]]:
    """One number for a value, and the modules of the classes and functions in it.

    If ``loose``, what `write` puts down by its text counts by its text.

    Raises
    ------
    TypeError
        If something in it is neither plain, an array or a table, nor a dataclass or a function of a
        module.
    """
    packed = _Packed(loose)
    found = hashlib.sha256(json.dumps(packed.tree(value)).encode())
    for array in packed.arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest(), packed.modules


class _Packed:
    """A value as a tree for JSON, in which arrays are numbered.

    If ``loose``, what a value of this library holds of an unknown kind, such as a learner of
    somebody else's, is put down by its text, which is what comes back.
    """

    def __init__(self, loose: bool) -> None:
        self.loose, self.inside = loose, 0
        self.arrays: list[npt.NDArray[Any]] = []
        self.modules: set[str] = set()

    def tree(self, value: object) -> object:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, PLAIN):
            return value
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in NUMBERS_OR_TEXT:
                raise TypeError(f"an array must hold numbers or text, got {value.dtype}")
            self.arrays.append(value)
            return {"array": len(self.arrays) - 1}
        if isinstance(value, csr_array):
            parts = (value.data, value.indices, value.indptr, value.shape)
            return {"sparse": [self.tree(part) for part in parts]}
        if isinstance(value, list | tuple | range):
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [self.tree(one) for one in value]}
        if isinstance(value, Mapping):
            return {"dict": [[self.tree(k), self.tree(one)] for k, one in value.items()]}
        if (pandas := sys.modules.get("pandas")) and isinstance(value, pandas.DataFrame):
            return {"table": self._table(value)}
        return self._object(value)

    def _table(self, table: Any) -> list[object]:  # noqa: ANN401
        names = list(table.columns)
        if table.index.nlevels > 1 or not all(isinstance(name, str) for name in names):
            raise TypeError(f"a table must have one index and text as names, got {names}")
        if len(set(names)) < len(names):
            raise TypeError(f"a table must have different names of columns, got {names}")
        rows = table.index.to_series()
        return [
            [name, str(of.dtype), self.tree(of.astype(object).where(of.notna(), None).tolist())]
            for name, of in [(table.index.name, rows), *table.items()]
        ]

    def _object(self, value: object) -> object:
        kind = value if isinstance(value, FunctionType) else type(value)
        where = f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(value, FunctionType) and "<" not in where:
            self.modules.add(kind.__module__)
            return {"function": where}
        if is_dataclass(value):
            self.modules.add(kind.__module__)
            given = value.parts() if isinstance(value, Value) else vars(value)
            if not self.loose or (isinstance(value, Value) and value.is_known()):
                self.inside += 1
                parts = {name: self.tree(part) for name, part in given.items()}
                self.inside -= 1
                return {"value": where, "parts": parts}
        if self.loose and self.inside:
            return repr(value)
        raise TypeError(
            f"{value!r} must be a frozen dataclass, a function of a module or plain data to be "
            "known again"
        )


def _unpack(tree: Any, arrays: list[npt.NDArray[Any]]) -> Any:  # noqa: ANN401
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = [(k, v) for k, v in tree.items() if k != "parts"]
    if kind == "array":
        array = arrays[content]
        if array.dtype.kind not in NUMBERS_OR_TEXT:
            raise ValueError(f"an array must hold numbers or text, got {array.dtype}")
        freeze(array)
        return array
    if kind == "sparse":
        data, indices, indptr, shape = (_unpack(part, arrays) for part in content)
        matrix = csr_array((data, indices, indptr), shape=shape)
        checks.sparse(matrix, "a matrix")
        freeze(matrix)
        return matrix
    if kind in ("list", "tuple"):
        found = [_unpack(one, arrays) for one in content]
        return found if kind == "list" else tuple(found)
    if kind == "dict":
        return {_unpack(key, arrays): _unpack(one, arrays) for key, one in content}
    if kind == "table":
        import pandas as pd

        (name, dtype, rows), *columns = content
        made = {n: pd.Series(_unpack(values, arrays), dtype=d) for n, d, values in columns}
        table = pd.DataFrame(made)
        table.index = pd.Index(_unpack(rows, arrays), dtype=dtype, name=name)
        return table
    parts = {name: _unpack(part, arrays) for name, part in tree["parts"].items()}
    module, _, name = content.rpartition(".")
    if name not in Value.known and re.fullmatch(r"malfl(\.[a-z][a-z_]*)+", module):
        importlib.import_module(module)
    return Value.known[name](**parts)
