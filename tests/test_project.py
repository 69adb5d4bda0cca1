"""Promises that the files of the repository make to each other."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from malfl.artefacts import TYPES, check_parameter, declared_parameters

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines):
    return {normal(n): v for n, v in (line.split("==") for line in lines if "==" in line)}


def constraints():
    return pins((ROOT / "constraints.txt").read_text().split())


def direct_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    listed = [*project["dependencies"], *(d for extra in extras for d in extra)]
    return {normal(re.match(r"[\w.-]+", d).group()) for d in listed}


def test_conda_has_the_same_pins():
    *_, pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    versions = constraints()
    assert "--constraint constraints.txt" in pip["pip"]  # and so the pins of what these need
    assert pins(pip["pip"]) == {name: versions[name] for name in direct_dependencies()}


def test_constraints_pin_every_line_and_name_no_address():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", line) for line in lines)


def test_jupyter_book_stays_below_2():
    assert int(constraints()["jupyter-book"].split(".")[0]) == 1


def test_importing_malfl_loads_no_plotting_and_compiles_nothing():
    code = (
        "import sys, malfl; from malfl.kernels.walk import walk as f;"
        "print('matplotlib' in sys.modules, 'pandas' in sys.modules, len(f.signatures))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False", "0"]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
class TestChapters:
    def cells(self, chapter):
        return nbformat.read(chapter, as_version=4).cells

    def test_is_stripped(self, chapter):
        notebook = nbformat.read(chapter, as_version=4)
        nbformat.validate(notebook)
        assert set(notebook.metadata) == {"kernelspec", "language_info"}
        for cell in notebook.cells:
            assert set(cell.metadata) <= {"tags", "mystnb"}
            if cell.cell_type == "code":
                assert not cell.outputs
                assert cell.execution_count is None

    def test_declares_its_parameters_first_and_once(self, chapter):
        code = [cell for cell in self.cells(chapter) if cell.cell_type == "code"]
        tagged = ["parameters" in cell.metadata.get("tags", []) for cell in code]
        assert tagged == [True] + [False] * (len(code) - 1)
        lines = code[0].source.splitlines()
        assert all(re.fullmatch(r"\w+: \w+ = .+  # .+", line) for line in lines)
        declared = declared_parameters(code[0].source)
        assert len(declared) == len(lines)
        assert set(declared.values()) <= set(TYPES)
        assert declared["results"] == "str"
        assert "check_parameters(globals())" in code[1].source

    def test_keeps_its_cells_short(self, chapter):
        for cell in self.cells(chapter):
            if cell.cell_type == "code":
                assert cell.source.count("\n") < 25

    def test_describes_its_figures(self, chapter):
        for cell in self.cells(chapter):
            if "save_figure" in cell.source or cell.source.startswith("show("):
                shown = cell.metadata["mystnb"]
                assert len(shown["figure"]["caption"]) > 20
                assert len(shown["image"]["alt"]) > 40


PAGES = [*CHAPTERS, *sorted((ROOT / "book").glob("[0-9]*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_chapter_begins_with_its_question_and_ends_with_its_answer(page):
    if page.suffix == ".ipynb":
        cells = nbformat.read(page, as_version=4).cells
        first, last = cells[0].source, cells[-1].source
    else:
        first = last = page.read_text()
    assert re.search(r"\*\*[^*]+\?[^*]*\*\*", first)
    _, heading, answer = last.rpartition("## The answer\n")
    assert heading
    assert "##" not in answer
    assert 1 <= len(re.findall(r"\.(?= [A-Z]|\s*$)", answer)) <= 2


def test_profiles_set_only_parameters_that_exist():
    files = sorted((ROOT / "book" / "profiles").rglob("*.yaml"))
    assert len(files) >= len(CHAPTERS)
    for file in files:
        notebook = nbformat.read(ROOT / "book" / f"{file.stem}.ipynb", as_version=4)
        source = next(cell.source for cell in notebook.cells if cell.cell_type == "code")
        for name, value in yaml.safe_load(file.read_text()).items():
            check_parameter(name, value, declared_parameters(source))


def test_every_chapter_is_in_the_table_of_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [c["file"] for part in toc["parts"] for c in part["chapters"]]
    assert {f"book/{c.stem}" for c in CHAPTERS} <= set(listed)


def test_readme_commands_are_targets_of_the_makefile():
    commands = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert {"book", "test"} <= set(commands)
    for command in commands:
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)


def test_the_two_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == project["version"]


def test_the_readmes_programs_run():
    programs = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(programs) == 2
    for program in programs:
        names = {}
        exec("import malfl\n" + program, names)
        assert names["game"].n_agents == 2
