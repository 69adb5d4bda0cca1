"""What is built from what: chapters are executed, then the site is made of them.

`make book` runs this. PROFILE=paper (the default) or quick chooses the chapters' parameters;
everything lands in _build/<profile>/. WITH="03-agents-that-learn-together alpha=1.0 seeds=3" runs
one chapter with other parameters.
"""

import hashlib
import json
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import papermill
import yaml
from doit.tools import config_changed
from papermill.exceptions import PapermillExecutionError

from malfl import pages, scorecard
from malfl.artefacts import (
    Results,
    check_parameter,
    declared_parameters,
    default_parameters,
    processor,
    read_table,
)
from malfl.headlines import TELLERS, headlines
from malfl.scores import SCORECARD_TYPES
from malfl.statements.numbered import at_a_glance, counts_of_verdicts, statements
from malfl.statements.trial import SUMMARY_TYPES

ROOT = Path(__file__).parent
PROFILE = os.environ.get("PROFILE", "paper")
PROFILES = ("paper", "quick")
if PROFILE not in PROFILES:
    sys.exit(f"PROFILE must be one of {', '.join(PROFILES)}, got {PROFILE!r}")
BUILD = ROOT / "_build" / PROFILE
NOTEBOOKS = BUILD / "notebooks"
RESULTS = BUILD / "results"
MEMORY = BUILD / "memory"
# Begun first, since they take longest. What chapter 5 runs is found by chapters 4 and 7; should
# these begin before it is done, they make the rest themselves.
FIRST = (
    "05-where-the-printed-numbers-come-from",
    "12-errors-bounded",
    "15-learners-of-other-kinds",
    "08-while-they-learn",
    "07-how-much-must-be-seen",
    "04-reading-rewards-off-improvements",
    "16-when-the-model-is-wrong",
    "11-inverting-an-improvement",
)
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
HEADLINES = RESULTS / "headlines.json"
GATHERED = (
    HEADLINES.name,
    "scorecard.csv", "scorecard-page.csv", "scorecard-summary.csv",
    "statements.csv", "erratum.csv", "erratum-counts.csv",
)  # fmt: skip
FORWARD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=book/index.html">
<link rel="icon" href="_static/favicon.svg">
<title>Learning from learners</title>
</head>
<body><a href="book/index.html">Learning from learners</a></body>
</html>
"""
SHOWN = ("malfl", "numpy", "numba", "scipy", "pandas", "matplotlib", "seaborn", "papermill")

DOIT_CONFIG = {
    "dep_file": str(BUILD / "doit.json"),
    "backend": "json",
    "default_tasks": ["execute", "scorecard", "site"],
    "verbosity": 2,
    "continue": True,
}
BUILD.mkdir(parents=True, exist_ok=True)

# One BLAS thread: the same sums in the same order on any machine, and no more threads than cores.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
# The debugger has nothing to say about frozen modules here.
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"


def task_execute() -> Iterator[dict[str, Any]]:
    """Execute a chapter, unless it was with the same code, parameters and versions.

    A chapter that measures times waits until all others are done, and has the machine to itself.
    """
    timed = [chapter for chapter in CHAPTERS if "malfl.benchmarks" in chapter.read_text()]
    others = [f"execute:{chapter.stem}" for chapter in CHAPTERS if chapter not in timed]
    rank = {name: place for place, name in enumerate(FIRST)}
    for chapter in sorted(CHAPTERS, key=lambda one: rank.get(one.stem, len(FIRST))):
        changed = other_parameters(chapter)
        parameters = profile_parameters(chapter) | changed
        executed = NOTEBOOKS / chapter.name
        inputs = fingerprint(chapter, parameters)
        yield {
            "name": chapter.stem,
            "uptodate": [(is_current, [executed, inputs])],
            "task_dep": others if chapter in timed else [],
            "targets": [str(executed)],
            "actions": [(execute, [chapter, executed, parameters, changed, inputs])],
        }


def task_scorecard() -> dict[str, Any]:
    """Put what the chapters found of the papers into a scorecard and an erratum."""
    return {
        "file_dep": [str(NOTEBOOKS / chapter.name) for chapter in CHAPTERS],
        "targets": [str(RESULTS / name) for name in GATHERED],
        "actions": [gather],
    }


def task_readme() -> dict[str, Any]:
    """Put the scorecard's counts into the README; by hand, with `make readme`."""
    return {"task_dep": ["scorecard"], "actions": [tell_readme]}


def task_site() -> dict[str, Any]:
    """Make the site of prose pages and executed chapters; a warning is an error."""
    pages = [path for path in (ROOT / "book").rglob("*") if path.is_file()]
    return {
        "file_dep": [
            str(ROOT / "dodo.py"),
            str(ROOT / "_config.yml"),
            str(ROOT / "_toc.yml"),
            *(str(path) for path in pages if path.suffix != ".ipynb"),
            *(str(NOTEBOOKS / chapter.name) for chapter in CHAPTERS),
            *(str(RESULTS / name) for name in GATHERED),
            *(str(path) for path in (ROOT / "malfl").rglob("*.py")),  # the API reference
        ],
        "uptodate": [config_changed(known_repository())],
        "targets": [str(BUILD / "html" / "index.html")],
        "actions": [make_site],
    }


def profile_parameters(chapter: Path) -> dict[str, Any]:
    """What a profile changes of a chapter's own parameters; refuse what it does not declare."""
    file = ROOT / "book" / "profiles" / PROFILE / f"{chapter.stem}.yaml"
    parameters = (yaml.safe_load(file.read_text()) if file.exists() else None) or {}
    try:
        if not isinstance(parameters, dict):
            raise ValueError(f"a profile maps names to values, got {parameters!r}")
        for name, value in parameters.items():
            check_parameter(name, value, declared_parameters(parameters_cell(chapter)))
    except ValueError as error:
        sys.exit(f"{file.relative_to(ROOT)}: {error}")
    return parameters


def other_parameters(chapter: Path) -> dict[str, Any]:
    """What WITH changes of a chapter's parameters."""
    name, *pairs = shlex.split(os.environ.get("WITH", "")) or [""]
    if name and name not in {one.stem for one in CHAPTERS}:
        sys.exit(f"WITH must begin with a chapter's name, such as {CHAPTERS[0].stem}, got {name!r}")
    if name != chapter.stem:
        return {}
    try:
        parsed = {key: yaml.safe_load(value) for key, value in (p.split("=", 1) for p in pairs)}
        for key, value in parsed.items():
            check_parameter(key, value, declared_parameters(parameters_cell(chapter)))
    except ValueError as error:
        sys.exit(f"WITH must list name=value after the chapter's name: {error}")
    known = default_parameters(parameters_cell(chapter)) | profile_parameters(chapter)
    return {key: value for key, value in parsed.items() if value != known[key]}


def parameters_cell(chapter: Path) -> str:
    """Source of the cell in which a chapter declares its parameters."""
    for cell in nbformat.read(chapter, as_version=4).cells:
        if "parameters" in cell.metadata.get("tags", []):
            return str(cell.source)
    raise ValueError(f"{chapter.name} has no cell tagged 'parameters'")


def fingerprint(chapter: Path, parameters: dict[str, Any]) -> str:
    """One number for all that an executed chapter depends on."""
    inputs = [parameters, *versions()]
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode())
    for path in [chapter, ROOT / "dodo.py", *sorted((ROOT / "malfl").rglob("*.py"))]:
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def versions() -> list[Any]:
    """Of all that is installed, and of Python."""
    installed = sorted(f"{d.name}=={d.version}" for d in metadata.distributions())
    return [installed, platform.python_version()]


def is_current(executed: Path, inputs: str) -> bool:
    """Whether a chapter was executed with these inputs, and its results are those it wrote.

    The notebook itself remembers, so a build that was killed still goes on where it was.
    """
    made = provenance_of(executed)
    return made.get("fingerprint") == inputs and all(
        checksum(RESULTS / name) == value for name, value in made["results"].items()
    )


def provenance_of(executed: Path) -> dict[str, Any]:
    """How an executed chapter was made; empty if there is none."""
    if not executed.exists():
        return {}
    return dict(nbformat.read(executed, as_version=4).metadata.get("provenance", {}))


def checksum(file: Path) -> str | None:
    """SHA-256 of a file, or None if it does not exist."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None


def execute(
    chapter: Path, executed: Path, parameters: dict[str, Any], changed: dict[str, Any], inputs: str
) -> bool:
    """Run a chapter in a folder of its own; only a success replaces earlier results."""
    follow_cells(chapter, len(nbformat.read(chapter, as_version=4).cells))
    failed = BUILD / "failed" / chapter.name
    desk = BUILD / "running" / chapter.stem
    shutil.rmtree(desk, ignore_errors=True)
    for folder in (executed.parent, failed.parent, desk, RESULTS):
        folder.mkdir(parents=True, exist_ok=True)
    MEMORY.mkdir(exist_ok=True)
    (desk / MEMORY.name).symlink_to(MEMORY)  # chapters share their runs
    failed.unlink(missing_ok=True)
    running = desk / chapter.name
    began = time.perf_counter()
    problem = None
    try:
        papermill.execute_notebook(
            chapter, running, parameters, cwd=desk, kernel_name="python3",
            progress_bar=False, log_output=True,
        )  # fmt: skip
        notebook = nbformat.read(running, as_version=4)
        if warned := warnings_in(notebook):
            problem = f"it warns\n{warned}"
    except PapermillExecutionError as error:
        problem = str(error)
    if problem is not None:
        running.replace(failed)
        say(chapter, f"FAILED, see {failed.relative_to(ROOT)}\n{problem}")
        return False
    seconds = time.perf_counter() - began
    results = sorted((desk / "results").iterdir()) if (desk / "results").exists() else []
    add_provenance(
        chapter,
        notebook,
        {
            "profile": PROFILE,
            "changed": changed,
            "parameters": default_parameters(parameters_cell(chapter)) | parameters,
            "versions": {"python": platform.python_version()}
            | {name: metadata.version(name) for name in SHOWN},
            "processor": processor(),
            "seconds": round(seconds, 1),
            "results": {file.name: checksum(file) for file in results},
            "fingerprint": inputs,
        },
    )
    nbformat.write(notebook, running)
    others = {
        name
        for other in CHAPTERS
        if other != chapter
        for name in provenance_of(NOTEBOOKS / other.name).get("results", {})
    }
    for name in set(provenance_of(executed).get("results", {})) - others:
        (RESULTS / name).unlink(missing_ok=True)
    for file in results:
        file.replace(RESULTS / file.name)
    running.replace(executed)
    shutil.rmtree(desk)
    say(chapter, f"done in {seconds:.1f} s")
    return True


def warnings_in(notebook: nbformat.NotebookNode) -> str:
    """Whatever the cells wrote to their error stream."""
    return "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    )


def follow_cells(chapter: Path, cells: int) -> None:
    """Print which cell runs, from papermill's log."""

    class Cells(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if message.startswith("Executing Cell "):
                say(chapter, f"cell {message.split()[2].rstrip('-')} of {cells}")

    logger = logging.getLogger("papermill")
    logger.handlers, logger.propagate = [Cells()], False
    logger.setLevel(logging.INFO)


def say(chapter: Path, message: str) -> None:
    """Print a line about a chapter at once."""
    print(f"{chapter.stem}: {message}", flush=True)


def add_provenance(
    chapter: Path, notebook: nbformat.NotebookNode, provenance: dict[str, Any]
) -> None:
    """Replace papermill's records, which hold paths and times, by how the page was made."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected"
    notebook.metadata["provenance"] = provenance
    foot = pages.rerun(chapter.stem, parameters_cell(chapter), provenance)
    notebook.cells.append(nbformat.v4.new_markdown_cell(foot, id="rerun"))
    if provenance["changed"]:
        note = pages.changed_note(provenance["changed"], PROFILE)
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(note, id="changed"))


def gather() -> bool:
    """Write the scorecard and the erratum; stop at results that are missing or malformed."""
    told_of = {chapter for chapter, _ in TELLERS.values()}
    left_out = {*scorecard.STATED_BY, *scorecard.COMPARED_BY, *told_of} - {c.stem for c in CHAPTERS}
    left_out |= {c.stem for c in CHAPTERS if provenance_of(NOTEBOOKS / c.name).get("changed")}
    found = [name for name in scorecard.STATED_BY if name not in left_out]
    compared = [name for name in scorecard.COMPARED_BY if name not in left_out]
    try:
        stated = [read_table(RESULTS / f"statements-{n}.csv", SUMMARY_TYPES) for n in found]
        cards = [read_table(RESULTS / f"scorecard-{n}.csv", SCORECARD_TYPES) for n in compared]
        table = statements(stated, left_out)
        card = scorecard.scorecard(cards, table, left_out)
        told = headlines(RESULTS, card, left_out) | {"profile": PROFILE}
    except ValueError as error:
        print(f"scorecard: FAILED, {error}", flush=True)
        return False
    results = Results(RESULTS)
    results.save_table("statements", table)
    results.save_table("erratum", at_a_glance(table))
    results.save_table("erratum-counts", counts_of_verdicts(table))
    results.save_table("scorecard", card)
    results.save_table("scorecard-page", scorecard.for_page(card))
    results.save_table("scorecard-summary", scorecard.summary(card))
    results.save_json(HEADLINES.stem, told)
    return True


def tell_readme() -> None:
    """Replace what stands between the README's marks."""
    file = ROOT / "README.md"
    summary = pd.read_csv(RESULTS / "scorecard-summary.csv")
    text = pages.readme_summary(summary, json.loads(HEADLINES.read_text()))
    before, begin, rest = file.read_text().partition("<!-- scorecard -->\n")
    _, end, after = rest.partition("<!-- end of scorecard -->\n")
    whole = "".join([before, begin, "\n", text, "\n\n", end, after])
    draft = file.with_suffix(".new")
    draft.write_text(whole)
    draft.replace(file)


def as_script(name: str, file: Path) -> bytes:
    """Data of one of Explore's pictures as a script, since pages on disk may not fetch JSON."""
    values = json.dumps(json.loads(file.read_text()), separators=(",", ":"))
    return f'explore.data["{name}"] = {values};\n'.encode()


def known_repository() -> dict[str, Any]:
    """Settings by which chapters link to Binder and Colab, where the build knows an address.

    GitHub's runners tell it. The links are to the very commit that the pages were made from.
    """
    name = os.environ.get("GITHUB_REPOSITORY")
    if not name:
        return {}
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    return {
        "repository": {
            "url": f"{server}/{name}",
            "path_to_book": "",
            "branch": os.environ.get("GITHUB_SHA", "main"),
        },
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }


def lay_out(source: Path) -> None:
    """Put all that the site is made of into a folder.

    Files that did not change stay as they are: Sphinx knows pages that it has read by their time.
    """
    config = yaml.safe_load((ROOT / "_config.yml").read_text()) | known_repository()
    config["sphinx"]["config"]["myst_substitutions"] = json.loads(HEADLINES.read_text())
    wanted = {
        source / "_config.yml": yaml.safe_dump(config).encode(),
        source / "_toc.yml": (ROOT / "_toc.yml").read_bytes(),
    }
    for path in (ROOT / "book").rglob("*"):
        inside = path.relative_to(ROOT)
        leave = inside.parts[1] == "profiles" or path.suffix in (".ipynb", ".pyc")
        if path.is_file() and not leave and not path.name.startswith("."):
            wanted[source / inside] = path.read_bytes()
    for chapter in CHAPTERS:
        executed = (NOTEBOOKS / chapter.name).read_bytes()
        wanted[source / "book" / chapter.name] = executed
        wanted[source / "notebooks" / f"{chapter.stem}-executed.ipynb"] = executed
        wanted[source / "notebooks" / chapter.name] = chapter.read_bytes()
    for made in (*RESULTS.glob("*.csv"), *RESULTS.glob("*.svg")):
        wanted[source / "results" / made.name] = made.read_bytes()
    for made in RESULTS.glob("explore_*.json"):
        name = made.stem.removeprefix("explore_")
        wanted[source / "book/_static/explore/data" / f"{name}.js"] = as_script(name, made)
    for path in source.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()
    for path, content in wanted.items():
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def make_site() -> bool:
    """Build beside the old site and swap, so that no page of an old build stays.

    What Sphinx has read is kept, for the next build to read only pages that changed, as long as
    nothing else did. A failed build keeps nothing: its warnings are to come again.
    """
    print("site: builds", flush=True)
    source, output, kept = BUILD / "site-source", BUILD / "site-output", BUILD / "site-read"
    extensions = [path.read_text() for path in sorted((ROOT / "book/_extensions").glob("*.py"))]
    tools = hashlib.sha256(json.dumps([*versions(), extensions]).encode()).hexdigest()
    shutil.rmtree(output, ignore_errors=True)
    lay_out(source)
    if (kept / tools).exists():
        (output / "_build").mkdir(parents=True)
        (kept / tools).replace(output / "_build" / ".doctrees")
    shutil.rmtree(kept, ignore_errors=True)
    command = [
        str(Path(sys.executable).with_name("jupyter-book")), "build", str(source),
        "--path-output", str(output), "--quiet", "--warningiserror", "--nitpick", "--keep-going",
    ]  # fmt: skip
    run = subprocess.run(
        command, cwd=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if run.returncode:
        print(run.stdout, "site: FAILED", flush=True)
        return False
    # Jupyter Book's own forwarding page names no icon, and browsers then ask for one in vain.
    (output / "_build" / "html" / "index.html").write_text(FORWARD)
    html = BUILD / "html"
    shutil.rmtree(html, ignore_errors=True)
    (output / "_build" / "html").replace(html)
    kept.mkdir()
    (output / "_build" / ".doctrees").replace(kept / tools)
    shutil.rmtree(output)
    print(f"site: done, open {(html / 'index.html').relative_to(ROOT)}", flush=True)
    return True
