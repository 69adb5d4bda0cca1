"""What is built from what: chapters are executed, then the site is made of them.

`make book` runs this. PROFILE=paper (the default) or quick chooses the chapters' parameters;
everything lands in _build/<profile>/. WITH="03-agents-that-learn-together alpha=1.0 seeds=3" runs
one chapter with other parameters. How it is done is in `rules/`.
"""

import os
from collections.abc import Iterator
from typing import Any

from doit.tools import config_changed

from rules.chapters import AFTER, BUILD, RESULTS, ROOT, chapters, longest_first
from rules.execution import execute
from rules.folder import as_made, have_alone, in_one_line
from rules.gathering import GATHERED, gather, update_repository
from rules.site import HTML, known_repository, make_site

STATE = BUILD / "doit.json"
DOIT_CONFIG = {
    "dep_file": str(STATE),
    "backend": "whole",
    "default_tasks": ["execute", "scorecard", "site"],
    "verbosity": 2,
    "continue": True,
}
have_alone(BUILD, STATE)

# One BLAS thread: the same sums in the same order on any machine, and no more threads than cores.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
# The debugger has nothing to say about frozen modules here.
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"


def task_execute() -> Iterator[dict[str, Any]]:
    """Execute a chapter, unless it was with the same code, parameters and versions.

    A chapter that measures times waits until all others are done, and has the machine to itself;
    one that uses runs of another waits until these are stored.
    """
    others = [one.name for one in chapters() if not one.measures_time]
    for chapter in chapters():
        _ = chapter.fingerprint  # which refuses unknown parameters, before anything runs
    for chapter in longest_first():
        first = others if chapter.measures_time else AFTER.get(chapter.name, [])
        yield {
            "name": chapter.name,
            "uptodate": [chapter.is_current],
            "task_dep": [f"execute:{name}" for name in first],
            "targets": [str(chapter.executed)],
            "actions": [(execute, [chapter])],
        }


def task_scorecard() -> dict[str, Any]:
    """Put what the chapters found of the papers into a scorecard and an erratum."""
    return {
        "file_dep": [str(chapter.executed) for chapter in chapters()],
        "targets": [str(RESULTS / name) for name in GATHERED],
        "uptodate": [as_made(*(RESULTS / name for name in GATHERED))],
        "actions": [in_one_line(gather)],
    }


def task_readme() -> dict[str, Any]:
    """Put numbers of the build into the repository; by hand, with `make readme`."""
    return {"task_dep": ["scorecard"], "actions": [update_repository]}


def task_site() -> dict[str, Any]:
    """Make the site of prose pages and executed chapters; a warning is an error."""
    pages = [path for path in (ROOT / "book").rglob("*") if path.is_file()]
    return {
        "file_dep": [
            str(ROOT / "rules" / "site.py"),
            str(ROOT / "_config.yml"),
            str(ROOT / "_toc.yml"),
            *(str(path) for path in pages if path.suffix != ".ipynb"),
            *(str(chapter.executed) for chapter in chapters()),
            *(str(RESULTS / name) for name in GATHERED),
            *(str(path) for path in (ROOT / "malfl").rglob("*.py")),  # the API reference
            *(str(path) for path in (ROOT / "malfl").rglob("*.pyi")),
        ],
        "uptodate": [config_changed(known_repository()), as_made(HTML)],
        "targets": [str(HTML / "index.html")],
        "actions": [in_one_line(make_site)],
    }
