"""A second execution of every chapter gives the same files and outputs, byte for byte."""

import hashlib

import nbformat
import papermill
import pytest
import yaml
from built import BUILD, ROOT

CHAPTERS = [
    chapter
    for chapter in sorted((ROOT / "book").glob("*.ipynb"))
    if "malfl.companion.benchmarks" not in chapter.read_text()  # measured times differ
]


def outputs(notebook):
    """Of every cell, without the counts of executions."""
    return [
        [(o.output_type, o.get("text"), o.get("data")) for o in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_gives_the_same_again(chapter, tmp_path, monkeypatch):
    if BUILD.name != "quick":
        pytest.skip("the paper profile takes minutes; two builds of it are compared by hand")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    first = nbformat.read(BUILD / "notebooks" / chapter.name, as_version=4)
    profile = ROOT / "book" / "profiles" / "quick" / chapter.with_suffix(".yaml").name
    parameters = yaml.safe_load(profile.read_text()) if profile.exists() else {}
    papermill.execute_notebook(
        chapter, tmp_path / "again.ipynb", parameters, cwd=tmp_path, progress_bar=False
    )
    again = nbformat.read(tmp_path / "again.ipynb", as_version=4)
    assert outputs(again) == outputs(first)
    files = sorted((tmp_path / "results").iterdir())
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert found == first.metadata["provenance"]["results"]
