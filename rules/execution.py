"""Chapters executed, each at a desk of its own."""

import logging
import platform
import shutil
import time
from importlib import metadata
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from malfl.companion import pages
from malfl.companion.artefacts import processor
from malfl.companion.parameters import defaults_of
from rules.chapters import (
    BUILD,
    PROFILE,
    RESULTS,
    ROOT,
    STORE,
    Chapter,
    chapters,
    checksum,
    number_of,
)
from rules.folder import hint, raise_unwritable

SHOWN = ("malfl", "numpy", "numba", "scipy", "pandas", "matplotlib", "seaborn", "papermill")


def execute(chapter: Chapter) -> bool:
    """Run a chapter in a folder of its own; only a success replaces earlier results."""
    try:
        return _executed(chapter)
    except OSError as error:
        say(chapter, f"FAILED, {hint(error)}")
        return False


def _executed(chapter: Chapter) -> bool:
    given = chapter.profiled | chapter.changed
    # papermill puts what is given into a cell of its own
    follow_cells(chapter, len(nbformat.read(chapter.path, as_version=4).cells) + bool(given))
    failed = BUILD / "failed" / chapter.path.name
    desk = BUILD / "running" / chapter.name
    shutil.rmtree(desk, ignore_errors=True)
    for folder in (chapter.executed.parent, failed.parent, desk, RESULTS, STORE):
        folder.mkdir(parents=True, exist_ok=True)
    (desk / STORE.name).symlink_to(STORE)  # chapters share their runs
    failed.unlink(missing_ok=True)
    running = desk / chapter.path.name
    began = time.perf_counter()
    problem = None
    try:
        papermill.execute_notebook(
            chapter.path, running, given, cwd=desk,
            kernel_name="python3", progress_bar=False, log_output=True,
        )  # fmt: skip
        notebook = nbformat.read(running, as_version=4)
        if warned := warnings_in(notebook):
            problem = f"it warns\n{warned}"
    except PapermillExecutionError as error:
        raise_unwritable(error.evalue, desk)
        problem = str(error)
    except DeadKernelError:
        problem = "its kernel was killed, maybe for want of memory; build again"
    if problem is not None:
        running.replace(failed)
        say(chapter, f"FAILED, see {failed.relative_to(ROOT)}\n{problem}")
        return False
    seconds = time.perf_counter() - began
    results = sorted((desk / "results").iterdir()) if (desk / "results").exists() else []
    made = {file.name: checksum(file) for file in results}
    add_provenance(chapter, notebook, provenance(chapter, seconds, made))
    nbformat.write(notebook, running)
    others = {
        name
        for other in chapters()
        if other != chapter
        for name in other.provenance.get("results", {})
    }
    for name in set(chapter.provenance.get("results", {})) - others:
        (RESULTS / name).unlink(missing_ok=True)
    for file in results:
        file.replace(RESULTS / file.name)
    running.replace(chapter.executed)
    shutil.rmtree(desk)
    say(chapter, f"done in {seconds:.1f} s")
    return True


def provenance(chapter: Chapter, seconds: float, results: dict[str, Any]) -> dict[str, Any]:
    """How a chapter was executed."""
    python = {"python": platform.python_version()}
    return {
        "profile": PROFILE,
        "changed": chapter.changed,
        "parameters": defaults_of(chapter.declared) | chapter.profiled | chapter.changed,
        "versions": python | {name: metadata.version(name) for name in SHOWN},
        "processor": processor(),
        "seconds": round(seconds, 1),
        "results": results,
        "fingerprint": chapter.fingerprint,
    }


def add_provenance(chapter: Chapter, notebook: nbformat.NotebookNode, made: dict[str, Any]) -> None:
    """Replace papermill's records, which hold paths and times, by how the page was made."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected"
    foot = pages.rerun(chapter.name, chapter.declared, made)
    notebook.cells.append(nbformat.v4.new_markdown_cell(foot, id="rerun"))
    if made["changed"]:
        note = pages.changed_note(made["changed"], PROFILE)
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(note, id="changed"))
    notebook.metadata["provenance"] = made | {"cells": number_of(notebook)}


def warnings_in(notebook: nbformat.NotebookNode) -> str:
    """Whatever the cells wrote to their error stream."""
    return "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    )


def follow_cells(chapter: Chapter, cells: int) -> None:
    """Print which cell runs, from papermill's log."""

    class Cells(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if message.startswith("Executing Cell "):
                say(chapter, f"cell {message.split()[2].rstrip('-')} of {cells}")

    logger = logging.getLogger("papermill")
    logger.handlers, logger.propagate = [Cells()], False
    logger.setLevel(logging.INFO)


def say(chapter: Chapter, message: str) -> None:
    """Print a line about a chapter at once."""
    print(f"{chapter.name}: {message}", flush=True)
