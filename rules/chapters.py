"""Chapters: their parameters, what they depend on, and how they were executed."""

import ast
import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import papermill
import yaml
from papermill.models import Parameter

from malfl.companion.parameters import check_parameter, defaults_of, types_of
from malfl.studies.store import closure, file_of

ROOT = Path(__file__).parents[1]
PROFILE = os.environ.get("PROFILE", "paper")
PROFILES = ("paper", "quick")
if PROFILE not in PROFILES:
    sys.exit(f"PROFILE must be one of {', '.join(PROFILES)}, got {PROFILE!r}")
BUILD = ROOT / "_build" / PROFILE
NOTEBOOKS = BUILD / "notebooks"
RESULTS = BUILD / "results"
STORE = BUILD / "store"
SECONDS = ROOT / "rules" / "seconds.yaml"
RULES = ("chapters.py", "execution.py")  # that decide what an executed chapter holds
RECORD = "malfl.companion.recorded"  # the module that reads recorded runs
#: Chapters that use runs of another one, and so come after it.
AFTER = {"07-how-much-must-be-seen": ["05-where-the-printed-numbers-come-from"]}


@dataclass(frozen=True)
class Chapter:
    """A notebook of the book."""

    path: Path

    @property
    def name(self) -> str:
        """Without extension."""
        return self.path.stem

    @property
    def executed(self) -> Path:
        """Where the executed notebook is."""
        return NOTEBOOKS / self.path.name

    @cached_property
    def declared(self) -> list[Parameter]:
        """The parameters that it declares."""
        found = papermill.inspect_notebook(str(self.path))
        if not found:
            raise ValueError(f"{self.path.name} has no cell tagged 'parameters'")
        return [Parameter(**one) for one in found.values()]

    @cached_property
    def profiled(self) -> dict[str, Any]:
        """What the profile changes of its parameters; refuse what it does not declare."""
        file = ROOT / "book" / "profiles" / PROFILE / f"{self.name}.yaml"
        parameters = (yaml.safe_load(file.read_text()) if file.exists() else None) or {}
        try:
            if not isinstance(parameters, dict):
                raise ValueError(f"a profile maps names to values, got {parameters!r}")
            for name, value in parameters.items():
                check_parameter(name, value, types_of(self.declared))
        except ValueError as error:
            sys.exit(f"{file.relative_to(ROOT)}: {error}")
        return parameters

    @cached_property
    def changed(self) -> dict[str, Any]:
        """What WITH changes of its parameters."""
        try:
            name, *pairs = shlex.split(os.environ.get("WITH", "")) or [""]
        except ValueError as error:
            sys.exit(f"WITH must be a chapter's name and name=value for each change: {error}")
        if name and name not in {one.name for one in chapters()}:
            example = chapters()[0].name
            sys.exit(f"WITH must begin with a chapter's name, such as {example}, got {name!r}")
        if name != self.name:
            return {}
        try:
            parsed = {key: yaml.safe_load(value) for key, value in (p.split("=", 1) for p in pairs)}
            for key, value in parsed.items():
                check_parameter(key, value, types_of(self.declared))
            if "results" in parsed:
                raise ValueError("results are where the build looks for them; leave them there")
        except (ValueError, yaml.YAMLError) as error:
            sys.exit(f"WITH must list name=value after the chapter's name: {error}")
        known = defaults_of(self.declared) | self.profiled
        return {key: value for key, value in parsed.items() if value != known[key]}

    @cached_property
    def modules(self) -> set[str]:
        """The modules of malfl that its cells import."""
        cells = nbformat.read(self.path, as_version=4).cells
        sources = [cell.source for cell in cells if cell.cell_type == "code"]
        return {module for source in sources for module in imported(source)}

    @cached_property
    def fingerprint(self) -> str:
        """One number for all that it depends on when it is executed."""
        inputs = [self.profiled | self.changed, *versions()]
        digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode())
        files = [self.path, *(ROOT / "rules" / name for name in RULES)]
        modules = closure(self.modules)
        files += [file_of(module) for module in sorted(modules)]
        if RECORD in modules:
            files += sorted(file_of(RECORD).with_name("recorded_runs").glob("*.*"))
        for file in files:
            digest.update(f"{file.name}\n".encode() + file.read_bytes())
        return digest.hexdigest()

    @property
    def measures_time(self) -> bool:
        """Whether it must have the machine to itself."""
        return any(module.startswith("malfl.companion.benchmarks") for module in self.modules)

    @property
    def provenance(self) -> dict[str, Any]:
        """How it was executed; empty if it was not, or its notebook is broken or edited."""
        try:
            notebook = nbformat.read(self.executed, as_version=4)
        except (FileNotFoundError, ValueError):
            return {}
        made = dict(notebook.metadata.get("provenance", {}))
        return made if made.get("cells") == number_of(notebook) else {}

    def is_current(self) -> bool:
        """Whether it was executed with these inputs, and its results are those it wrote.

        The notebook itself remembers, so a build that was killed still goes on where it was.
        """
        made = self.provenance
        return made.get("fingerprint") == self.fingerprint and all(
            checksum(RESULTS / name) == value for name, value in made["results"].items()
        )


def number_of(notebook: nbformat.NotebookNode) -> str:
    """One number for the cells of a notebook and their outputs."""
    return hashlib.sha256(json.dumps(notebook.cells, sort_keys=True).encode()).hexdigest()


@cache
def chapters() -> tuple[Chapter, ...]:
    """All of the book, by name."""
    return tuple(Chapter(path) for path in sorted((ROOT / "book").glob("*.ipynb")))


def longest_first() -> list[Chapter]:
    """Chapters by the seconds that they last took here, or by those that the repository records.

    So none that takes long begins last.
    """
    recorded = yaml.safe_load(SECONDS.read_text()) if SECONDS.exists() else {}

    def seconds(chapter: Chapter) -> float:
        return float(chapter.provenance.get("seconds", recorded.get(chapter.name, 0.0)))

    return sorted(chapters(), key=seconds, reverse=True)


def imported(source: str) -> Iterator[str]:
    """The modules of malfl that a cell imports, whatever name it uses of them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "malfl":
            for alias in node.names:
                yield module_of(str(node.module), alias.name)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "malfl":
            yield module_of("malfl", node.attr)


def module_of(package: str, name: str) -> str:
    """The module that a name of a package comes from."""
    public = listed(package)
    if name in public:
        return public[name]
    inside = f"{package}.{name}"
    return inside if file_of(inside).exists() else package


@cache
def listed(package: str) -> dict[str, str]:
    """By name, the modules of what a package lists in its stub."""
    stub = file_of(package).with_name("__init__.pyi")
    if file_of(package).name != "__init__.py" or not stub.exists():
        return {}
    return {
        alias.name: f"{package}.{node.module or alias.name}"
        for node in ast.parse(stub.read_text()).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@cache
def versions() -> list[Any]:
    """Of all that is installed, and of Python."""
    installed = sorted(f"{d.name}=={d.version}" for d in metadata.distributions())
    return [installed, platform.python_version()]


def checksum(file: Path) -> str | None:
    """SHA-256 of a file, or None if it does not exist."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None
