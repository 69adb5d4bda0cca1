"""Promises that the files of the repository make to each other."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from pybtex.database import parse_string

import malfl
import malfl.companion
from malfl.companion.parameters import TYPES, check_parameter, declared, types_of

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines):
    plain = [line.partition(";")[0] for line in lines]  # on whatever system
    return {normal(n): v for n, v in (line.split("==") for line in plain if "==" in line)}


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


def program(code):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_learning_and_recovering_load_no_plotting_and_importing_compiles_nothing():
    shown = "print('matplotlib' in sys.modules, 'pandas' in sys.modules, len(f.signatures))"
    imports = "import sys, malfl; malfl.learn; malfl.recover; from malfl.kernels.walk import walk"
    assert program(f"{imports} as f; {shown}") == ["False", "False", "0"]


def test_importing_malfl_alone_imports_nothing_of_it():
    code = "import sys, malfl; print(*(name for name in sys.modules if name[:6] == 'malfl.'))"
    assert program(code) == []


def test_all_that_is_listed_is_there():
    for package in (malfl, malfl.companion):
        assert len(package.__all__) >= 10
        for name in package.__all__:
            assert getattr(package, name) is not None


def test_chapters_import_from_packages_and_not_from_deep_within():
    for chapter in CHAPTERS:
        for cell in nbformat.read(chapter, as_version=4).cells:
            tree = ast.parse(cell.source if cell.cell_type == "code" else "")
            modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            for module in (one for one in modules if one.startswith("malfl")):
                assert (ROOT / module.replace(".", "/")).is_dir(), (chapter.stem, module)


def test_no_chapter_is_named_outside_the_companion():
    names = [chapter.stem for chapter in CHAPTERS]
    for file in (ROOT / "malfl").rglob("*.py"):
        if "companion" not in file.parts:
            assert not [name for name in names if name in file.read_text()], file


def test_the_root_of_the_library_holds_little():
    files = [file for file in (ROOT / "malfl").iterdir() if file.suffix == ".py"]
    assert len(files) <= 8


def test_functions_can_be_held_in_the_head():
    for file in [*(ROOT / "malfl").rglob("*.py"), *(ROOT / "rules").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                first = node.body[0]
                documented = ast.get_docstring(node) is not None
                docstring = first.end_lineno - first.lineno + 1 if documented else 0
                length = node.end_lineno - node.lineno + 1 - docstring
                assert length <= 50, f"{file}: {node.name} has {length} lines"


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
        types = types_of(declared(code[0].source).values())
        assert len(types) == len(lines)
        assert set(types.values()) <= set(TYPES)
        assert types["results"] == "str"
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
            check_parameter(name, value, types_of(declared(source).values()))


def test_every_page_is_in_the_table_of_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [c["file"] for part in toc["parts"] for c in part["chapters"]]
    listed += [
        s["file"] for p in toc["parts"] for c in p["chapters"] for s in c.get("sections", [])
    ]
    pages = {page for kind in ("*.ipynb", "*.md") for page in (ROOT / "book").rglob(kind)}
    named = {str(page.relative_to(ROOT).with_suffix("")) for page in pages}
    assert sorted(listed) == sorted(named - {toc["root"]})


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


def supported_pythons():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = [re.fullmatch(r"Programming .* (3\.\d+)", one) for one in project["classifiers"]]
    return [version.group(1) for version in found if version]


def test_the_supported_pythons_are_said_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={supported_pythons()[0]}"
    conda, *_ = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert conda.removeprefix("python=") in supported_pythons()


class TestWorkflow:
    """What GitHub's runners are told to do."""

    @pytest.fixture
    def workflow(self):
        # YAML 1.1, which PyYAML reads, takes the key `on` for a truth value.
        text = (ROOT / ".github" / "workflows" / "book.yml").read_text()
        return yaml.load(text, Loader=yaml.BaseLoader)

    def steps(self, workflow):
        return [(job, step) for job, one in workflow["jobs"].items() for step in one["steps"]]

    def test_it_runs_the_makefiles_commands_and_no_others(self, workflow):
        commands = {(job, step["run"]) for job, step in self.steps(workflow) if "run" in step}
        assert commands == {("test", "make test"), ("book", "make book PROFILE=paper")}
        makefile = (ROOT / "Makefile").read_text()
        for _, command in commands:
            assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE)

    def test_it_tests_on_the_supported_pythons(self, workflow):
        matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
        assert matrix["python"] == supported_pythons()
        used = {
            step["with"]["python-version"]
            for _, step in self.steps(workflow)
            if "setup-python" in step.get("uses", "")
        }
        assert used <= {"${{ matrix.python }}", *supported_pythons()}

    def test_a_skipped_test_is_a_failure(self, workflow):
        (step,) = [step for _, step in self.steps(workflow) if step.get("run") == "make test"]
        assert step["env"] == {"MALFL_SKIP_NOTHING": "1"}

    def test_actions_are_pinned_by_their_major_version(self, workflow):
        used = [step["uses"] for _, step in self.steps(workflow) if "uses" in step]
        assert used
        assert all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in used)

    def test_it_may_do_no_more_than_it_must(self, workflow):
        assert set(workflow["on"]) == {"push", "pull_request"}
        assert workflow["permissions"] == {"contents": "read"}
        jobs = workflow["jobs"]
        own = {name: job["permissions"] for name, job in jobs.items() if "permissions" in job}
        assert own == {"publish": {"pages": "write", "id-token": "write"}}
        assert jobs["publish"]["needs"] == ["test", "book"]
        (upload,) = [s for _, s in self.steps(workflow) if "upload-pages" in s.get("uses", "")]
        assert upload["with"]["path"] == "_build/paper/html"
        for published in (jobs["publish"], upload):
            assert "github.event_name == 'push'" in published["if"]
            assert "github.ref_name == github.event.repository.default_branch" in published["if"]


def bibliography(text):
    return parse_string(text, "bibtex").entries


def people(entry):
    """Family and given names as CITATION.cff has them."""
    return [
        (" ".join(p.last_names), " ".join(p.first_names + p.middle_names))
        for p in entry.persons["author"]
    ]


def test_every_reference_is_complete_cited_and_there():
    entries = bibliography((ROOT / "book" / "references.bib").read_text())
    needed = {
        "inproceedings": {"title", "booktitle", "year"},
        "article": {"title", "journal", "volume", "number", "pages", "year"},
        "phdthesis": {"title", "school", "year"},
    }
    for key, entry in entries.items():
        assert needed[entry.type] <= set(entry.fields), key
        assert people(entry), key
    pages = [*(ROOT / "book").glob("*.md"), *CHAPTERS]
    found = re.findall(r"\{cite:\w+\}`([^`]+)`", "".join(page.read_text() for page in pages))
    cited = {key.strip() for one in found for key in one.split(",")}
    assert cited == set(entries)


def test_all_ways_to_cite_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    page = (ROOT / "book" / "how-to-cite.md").read_text()
    papers = bibliography((ROOT / "book" / "references.bib").read_text())
    (software,) = bibliography(
        re.search(r"```\{code-block\} bibtex\n(.*?)```", page, re.DOTALL).group(1)
    ).values()
    bare = {name: value.strip("{}") for name, value in software.fields.items()}
    for name in ("title", "version", "license"):
        assert bare[name] == citation[name]
    assert software.persons["author"][0].last_names == ["{" + citation["authors"][0]["name"] + "}"]

    (start,) = re.findall(r':start-at: "(.*?)"', page)
    (end,) = re.findall(r':end-before: "(.*?)"', page)
    shown = (ROOT / "book" / "references.bib").read_text().split(start)[1].split(end)[0]
    shown = bibliography(start + shown)
    assert set(shown) == {"caliskan2023", "jacq2019"}
    for paper, entry in zip(citation["references"], shown.values(), strict=True):
        assert entry == papers[entry.key]
        names = [(one["family-names"], one["given-names"]) for one in paper["authors"]]
        assert people(entry) == names
        expected = {
            "title": paper["title"],
            "booktitle": paper["collection-title"],
            "volume": str(paper["volume"]),
            "year": str(paper["year"]),
        }
        if "start" in paper:
            expected["pages"] = f"{paper['start']}--{paper['end']}"
        assert {name: entry.fields.get(name) for name in expected} == expected
        assert ("pages" in entry.fields) == ("start" in paper)


def test_the_changelog_begins_with_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "book" / "changelog.md").read_text()
    assert re.findall(r"^## ([\d.]+)", text, re.MULTILINE)[0] == project["version"]
