"""Results of runs that were made before, so that nobody has to make them again."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import grimp

from malfl import values

T = TypeVar("T")


class Store:
    """A folder with a file for each result, named by all that the result depends on.

    That is what was called with which arguments, the code of all modules that these import, and
    the libraries that do the computing. So a stopped study goes on where it was, several studies
    can share runs, and a change in the code runs again what it concerns.

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
        self.folder = values.writable_folder(folder, "store")

    def get(self, key: str) -> tuple[Any, ...] | None:
        """The result of this key, or None if there is none.

        Raises
        ------
        ValueError
            If its file is not as `put` wrote it. A forger who makes the seal anew is not noticed.
        """
        file = self.folder / f"{key}.npz"
        if not file.exists():
            return None
        try:
            match values.read(file):
                case (str(seal), tuple(found)) if seal == _seal(key, found):
                    return found
            raise ValueError(f"{file} does not hold what was stored there")
        except ValueError as error:
            raise ValueError(f"store has a file that is no result, remove it: {error}") from None

    def put(self, key: str, result: tuple[object, ...]) -> None:
        """Write a result, in place of one that is there: whole or not at all."""
        values.write((_seal(key, result), result), self.folder / f"{key}.npz")

    def call(
        self, function: Callable[..., T], *given: object, also: object = None, **options: object
    ) -> T:
        """What a function returns for these arguments, computed unless it is stored.

        Parameters
        ----------
        function, given, options
            Of a module, with plain data, frozen dataclasses or functions of modules as arguments.
            It returns plain data, tables, or values of this library.
        also
            What else the result depends on, such as the machine.

        Raises
        ------
        TypeError
            If the function or an argument is not such a one.
        """
        key = key_of(function, *given, also, options)
        if (known := self.get(key)) is not None:
            return known[0]  # type: ignore[no-any-return]
        self.put(key, (result := function(*given, **options),))
        return result


def _seal(key: str, result: tuple[object, ...]) -> str:
    """By which a result that was changed, or stored for another key, is noticed."""
    return values.digest((key, result), loose=True)[0]


def key_of(*given: object) -> str:
    """One number for functions and arguments, the code they depend on included."""
    number, modules = values.digest(given)
    return hashlib.sha256((number + code_of(modules)).encode()).hexdigest()


def code_of(modules: Iterable[str]) -> str:
    """One number for modules, those of this library that they import, and what these compute with.

    Modules of other packages count with their own file only.
    """
    ours = {name for name in modules if name.partition(".")[0] == "malfl"}
    return _digest(frozenset(closure(ours)), frozenset(set(modules) - ours))


def closure(modules: Iterable[str]) -> set[str]:
    """These modules of this library and all that they import, directly or not."""
    graph = _graph()
    found = set(modules)
    for name in set(found):
        found |= graph.find_upstream_modules(name)
    return found


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("malfl", exclude_type_checking_imports=True, cache_dir=None)


@cache
def _digest(ours: frozenset[str], others: frozenset[str]) -> str:
    versions = [metadata.version(name) for name in ("numba", "numpy", "scipy")]
    digest = hashlib.sha256(repr(versions).encode())
    for name in sorted(ours):
        digest.update(f"{name}\n".encode() + file_of(name).read_bytes())
    for name in sorted(others):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or not Path(file).exists():
            raise TypeError(f"{name} has no file to know its code by; put it into a module")
        digest.update(f"{name}\n".encode() + Path(file).read_bytes())
    return digest.hexdigest()


def file_of(module: str) -> Path:
    """The file of a module of this library."""
    path = Path(values.__file__).parents[1].joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
