"""The build itself, on a small book: what runs again, what fails, what an interruption costs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from test_scorecard import some_cards

from malfl.companion.numbered import ITEMS
from malfl.companion.scorecard import FIGURES, STATED_BY, TABLES
from malfl.theory.statements.trial import SUMMARY
from rules.chapters import number_of

ROOT = Path(__file__).parents[1]
FIRST = """\
x: int = 1  # a number
results: str = "results"  # folder for tables and figures"""
CHECK = "from malfl.companion import Results, check_parameters\ncheck_parameters(globals())"
SAVE = "import pandas as pd\nResults(results).save_table('NAME', pd.DataFrame({'x': [x]}))"


def write_chapter(folder, name, body=SAVE):
    cells = [nbformat.v4.new_code_cell(s, id=f"c{k}") for k, s in enumerate((FIRST, CHECK))]
    cells[0].metadata["tags"] = ["parameters"]
    cells.append(nbformat.v4.new_code_cell(body.replace("NAME", name), id="c2"))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / "book" / f"{name}.ipynb")


class Book:
    """A copy of the build's rules with two small chapters."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "book" / "profiles" / "quick").mkdir(parents=True)
        for file in ("dodo.py", "pyproject.toml"):
            shutil.copy(ROOT / file, folder)
        for package in ("malfl", "rules"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / package, folder / package, ignore=ignored)
        for name in ("one", "two"):
            write_chapter(folder, name)
        self.out = folder / "_build" / "quick"
        self.changes = ""

    def command(self):
        return [sys.executable, "-m", "doit", "run", "-n", "2", "execute"]

    def environment(self):
        return os.environ | {"PROFILE": "quick", "WITH": self.changes}

    def build(self):
        run = subprocess.run(
            self.command(), env=self.environment(), cwd=self.folder,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        print(run.stdout)  # which is shown if the test fails
        ran = {name for name in ("one", "two") if f"{name}: done" in run.stdout}
        return run.returncode, ran, run.stdout

    def edit(self, file):
        """Change a file of the library or the rules, to no effect."""
        with (self.folder / file).open("a") as opened:
            opened.write("# changed\n")

    def value(self, name):
        return (self.out / "results" / f"{name}.csv").read_text()


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


def test_only_what_changed_runs_again(book):
    assert book.build()[:2] == (0, {"one", "two"})
    assert book.value("one") == "x\n1\n"
    assert book.build()[:2] == (0, set())

    (book.folder / "book" / "profiles" / "quick" / "one.yaml").write_text("x: 5\n")
    assert book.build()[:2] == (0, {"one"})
    assert book.value("one") == "x\n5\n"

    write_chapter(book.folder, "two", SAVE.replace("[x]", "[x + 1]"))
    assert book.build()[:2] == (0, {"two"})
    assert book.value("two") == "x\n2\n"

    for file in ("malfl/companion/artefacts.py", "malfl/values.py", "rules/execution.py"):
        book.edit(file)  # which both import, directly or not
        assert book.build()[:2] == (0, {"one", "two"})
    for file in ("malfl/companion/figures/style.py", "malfl/kernels/walk.py", "rules/site.py"):
        book.edit(file)
        assert book.build()[:2] == (0, set())

    for lost in ("notebooks/one.ipynb", "results/one.csv"):
        (book.out / lost).unlink()
        assert book.build()[:2] == (0, {"one"})

    (book.folder / "versions").mkdir()
    info = book.folder / "versions" / "newcomer-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: newcomer\nVersion: 1.0\n")
    book.environment = lambda: os.environ | {
        "PROFILE": "quick", "PYTHONPATH": str(book.folder / "versions")
    }  # fmt: skip
    assert book.build()[:2] == (0, {"one", "two"})


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("figures", "from malfl.companion import figures"),
        ("kernels", "import malfl\nmalfl.sample_counts"),
        ("kernels", "from malfl import learn"),
        ("kernels", "from malfl.learners import learn_all"),
    ],
)
def test_a_chapter_depends_on_what_it_imports(book, name, line):
    write_chapter(book.folder, "two", f"{line}\n{SAVE}")
    assert book.build()[:2] == (0, {"one", "two"})
    files = {"figures": "malfl/companion/figures/style.py", "kernels": "malfl/kernels/walk.py"}
    book.edit(files[name])
    assert book.build()[:2] == (0, {"two"})


def test_chapters_share_a_store_and_the_longest_begins(book):
    (book.folder / "rules" / "seconds.yaml").write_text("one: 3.0\ntwo: 5.0\n")
    begin = "from pathlib import Path\nshared = Path('store') / 'shared'\n"
    write_chapter(book.folder, "two", begin + "shared.write_text('1')\n" + SAVE)
    write_chapter(book.folder, "one", begin + "x = int(shared.read_text())\n" + SAVE)
    book.command = lambda: [sys.executable, "-m", "doit", "execute"]  # one at a time
    assert book.build()[:2] == (0, {"one", "two"})
    assert (book.out / "store" / "shared").exists()
    assert not (book.out / "running" / "one").exists()


def test_the_order_follows_the_seconds_that_were_measured(book):
    (book.folder / "rules" / "seconds.yaml").write_text("one: 3.0\ntwo: 5.0\n")
    write_chapter(book.folder, "one", "import time\ntime.sleep(5)\n" + SAVE)
    book.command = lambda: [sys.executable, "-m", "doit", "execute"]
    for first, second in (("two", "one"), ("one", "two")):
        book.edit("malfl/companion/artefacts.py")
        output = book.build()[2]
        assert output.index(f"{first}: cell 1") < output.index(f"{second}: cell 1")


def test_executed_chapters_say_how_they_were_made_and_hold_no_paths(book):
    book.build()
    text = (book.out / "notebooks" / "one.ipynb").read_text()
    provenance = nbformat.reads(text, as_version=4).metadata["provenance"]
    assert set(provenance) == {
        "profile", "parameters", "changed", "versions", "processor", "seconds", "fingerprint",
        "results", "cells",
    }  # fmt: skip
    assert provenance["versions"]["numba"]
    assert provenance["parameters"] == {"x": 1, "results": "results"}
    assert str(book.folder) not in text


def test_a_failing_cell_fails_the_build_and_spares_the_others(book):
    write_chapter(book.folder, "one", "1 / 0")
    status, ran, output = book.build()
    assert status != 0
    assert ran == {"two"}
    assert "one: FAILED, see _build/quick/failed/one.ipynb" in output
    assert "ZeroDivisionError" in output
    assert book.value("two") == "x\n1\n"
    assert not (book.out / "notebooks" / "one.ipynb").exists()

    write_chapter(book.folder, "one")
    assert book.build()[:2] == (0, {"one"})
    assert not (book.out / "failed" / "one.ipynb").exists()


def test_a_failing_chapter_leaves_its_earlier_results(book):
    book.build()
    write_chapter(book.folder, "one", SAVE.replace("[x]", "[42]") + "\n1 / 0")
    assert book.build()[0] != 0
    assert book.value("one") == "x\n1\n"
    write_chapter(book.folder, "one")
    assert book.build()[:2] == (0, set())

    write_chapter(book.folder, "one", SAVE.replace("'NAME'", "'renamed'"))
    assert book.build()[:2] == (0, {"one"})
    assert book.value("renamed") == "x\n1\n"
    assert not (book.out / "results" / "one.csv").exists()


def test_a_warning_on_a_page_fails_the_build(book):
    write_chapter(book.folder, "one", "import warnings\nwarnings.warn('mind the gap')")
    status, _, output = book.build()
    assert status != 0
    assert "one: FAILED" in output
    assert "it warns" in output
    assert "mind the gap" in output


def test_an_unknown_parameter_stops_the_build_before_anything_runs(book):
    (book.folder / "book" / "profiles" / "quick" / "two.yaml").write_text("y: 5\n")
    status, ran, output = book.build()
    assert (status != 0, ran) == (True, set())
    assert "two.yaml: unknown parameter 'y'; this chapter takes x, results" in output
    (book.folder / "book" / "profiles" / "quick" / "two.yaml").write_text("- x\n")
    assert "two.yaml: a profile maps names to values, got ['x']" in book.build()[2]


def test_files_that_a_task_made_are_made_again_once_they_changed(tmp_path):
    (tmp_path / "dodo.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\nfrom rules.folder import as_made\n"
        "def make():\n    print('made')\n    Path('site').mkdir(exist_ok=True)\n"
        "    [Path('site', name).write_text(name) for name in 'ab']\n"
        "def task_site():\n"
        "    return {'actions': [make], 'uptodate': [as_made(Path('site'))], 'verbosity': 2}\n"
    )

    def made():
        command = [sys.executable, "-m", "doit", "run", "-n", "2"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return "made" in run.stdout

    assert made()
    assert not made()
    (tmp_path / "site" / "a").write_text("x")
    assert made()
    assert not made()
    (tmp_path / "site" / "b").unlink()
    assert made()
    assert not made()


def test_an_executed_chapter_that_was_edited_is_made_again(book):
    book.build()
    path = book.out / "notebooks" / "one.ipynb"
    text = path.read_text()
    for edit in (
        text.replace("x: int = 1", "x: int = 2"),
        text.replace('"cells": "', '"cells": "0'),
    ):
        assert edit != text
        path.write_text(edit)
        assert book.build()[:2] == (0, {"one"})
        assert book.build()[:2] == (0, set())


def test_papermill_by_hand_refuses_what_a_chapter_does_not_declare(book):
    def run(*parameters):
        command = [Path(sys.executable).with_name("papermill"), "book/one.ipynb", "out.ipynb"]
        return subprocess.run(
            [*command, "--no-progress-bar", *parameters], cwd=book.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"PROFILE": "quick"},
        )  # fmt: skip

    good = run("-p", "x", "7", "-p", "results", "elsewhere")
    assert good.returncode == 0, good.stdout
    assert (book.folder / "elsewhere" / "one.csv").read_text() == "x\n7\n"
    bad = run("-p", "y", "7")
    assert bad.returncode != 0
    assert "unknown parameter 'y'; this chapter takes x, results" in bad.stdout
    blocked = run("-p", "results", "book/one.ipynb")
    assert blocked.returncode != 0
    assert "results must be a folder that can be written" in blocked.stdout


def test_a_table_that_moves_to_another_chapter_stays(book):
    """The chapter that had it may be executed after the one that has it now."""
    book.build()
    write_chapter(book.folder, "one", SAVE.replace("NAME", "moved"))
    assert book.build()[:2] == (0, {"one"})
    assert not (book.out / "results" / "one.csv").exists()
    write_chapter(book.folder, "one", SAVE.replace("NAME", "one") + "\nimport time; time.sleep(4)")
    write_chapter(book.folder, "two", SAVE.replace("NAME", "moved"))
    assert book.build()[:2] == (0, {"one", "two"})
    assert (book.out / "results" / "moved.csv").exists()
    assert book.build()[:2] == (0, set())


def executed_text(book, name):
    notebook = nbformat.read(book.out / "notebooks" / f"{name}.ipynb", as_version=4)
    return notebook.metadata["provenance"], [cell.source for cell in notebook.cells]


def test_a_chapter_runs_with_other_parameters_and_says_so(book):
    book.build()
    book.changes = "one x=3"
    assert book.build()[:2] == (0, {"one"})
    assert book.value("one") == "x\n3\n"
    made, cells = executed_text(book, "one")
    assert made["changed"] == {"x": 3}
    assert "`x = 3`, other than in the profile *quick*" in cells[1]
    assert "papermill book/one.ipynb out.ipynb -p x 3" in cells[-1]
    assert book.build()[:2] == (0, set())

    book.changes = ""
    assert book.build()[:2] == (0, {"one"})
    made, cells = executed_text(book, "one")
    assert made["changed"] == {}
    assert not any("other than in the profile" in cell for cell in cells)

    book.changes = "one x=1"  # as it would be anyhow
    assert book.build()[:2] == (0, set())


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ("three x=1", "WITH must begin with a chapter's name, such as one, got 'three'"),
        ("one y=1", "unknown parameter 'y'; this chapter takes x, results"),
        ("one x=many", "parameter x must be int, got 'many'"),
        ("one x", "WITH must list name=value after the chapter's name"),
        ("one x=[1", "WITH must list name=value after the chapter's name: while parsing"),
        ("one results=elsewhere", "results are where the build looks for them; leave them there"),
        ("one x='1", "WITH must be a chapter's name and name=value for each change: No closing"),
    ],
)
def test_changes_that_cannot_be_made_stop_the_build(book, changes, complaint):
    book.changes = changes
    status, ran, output = book.build()
    assert (status != 0, ran) == (True, set())
    assert complaint in output


def write_executed(path, **provenance):
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["provenance"] = provenance | {"cells": number_of(notebook)}
    nbformat.write(notebook, path)


@pytest.fixture
def gathering(tmp_path, monkeypatch):
    """The module that gathers, with results of a whole book."""
    from rules import chapters, gathering

    monkeypatch.setattr(gathering, "PROFILE", "quick")
    monkeypatch.setattr(gathering, "RESULTS", tmp_path)
    monkeypatch.setattr(chapters, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(gathering, "headlines", lambda *_: {"found": "much"})
    cards = pd.concat(some_cards())
    of_places = {cell.place: p.chapter for p, _, cells in TABLES.values() for cell in cells}
    chapters = cards["item"].map(of_places | {name: p.chapter for name, (p, _) in FIGURES.items()})
    for chapter, part in cards.groupby(chapters):
        part.to_csv(tmp_path / f"scorecard-{chapter}.csv", index=False)
    for chapter in STATED_BY:
        keys = [i.key for i in ITEMS if i.kind != "no claim" and i.chapter == chapter]
        rows = [(key, 5000, 0, 0.1, 0.5, 0.9) for key in keys]
        part = pd.DataFrame(rows, columns=SUMMARY)
        part.to_csv(tmp_path / f"statements-{chapter}.csv", index=False)
    return gathering


def test_the_scorecard_is_made_of_the_chapters_results(gathering, tmp_path):
    assert gathering.gather()
    card = pd.read_csv(tmp_path / "scorecard.csv")
    assert {cell.place for _, _, cells in TABLES.values() for cell in cells} <= set(card["item"])
    assert set(gathering.GATHERED) <= {file.name for file in tmp_path.iterdir()}
    numbers = json.loads((tmp_path / "headlines.json").read_text())
    assert numbers == {"found": "much", "profile": "quick"}


@pytest.mark.parametrize("spoil", ["lose", "cut", "rename", "mistype"])
@pytest.mark.parametrize("kind", ["scorecard", "statements"])
def test_results_that_are_missing_or_malformed_stop_the_scorecard(
    gathering, tmp_path, capsys, kind, spoil
):
    file = max(tmp_path.glob(f"{kind}-*.csv"))
    text = file.read_text()
    number = "5000" if kind == "statements" else "0.5"
    changes = {
        "cut": text[: text.index("\n") // 2],
        "rename": text.replace("item", "thing").replace("statement", "thing"),
        "mistype": text.replace(number, "many", 1),
    }
    file.unlink()
    if spoil != "lose":
        file.write_text(changes[spoil])
    assert not gathering.gather()
    assert f"scorecard: FAILED, results file {file.name}" in capsys.readouterr().out
    assert not (tmp_path / "scorecard.csv").exists()


def test_two_chapters_that_write_one_file_are_named(gathering, tmp_path, capsys):
    for chapter in ("14-a-learner-alone", "12-errors-bounded"):
        write_executed(tmp_path / f"{chapter}.ipynb", results={"same.csv": "0"})
    assert not gathering.gather()
    message = "results file same.csv is written by 12-errors-bounded and by 14-a-learner-alone"
    assert message in capsys.readouterr().out


def test_a_chapter_with_other_parameters_is_left_out_of_the_scorecard(gathering, tmp_path):
    for chapter in ("14-a-learner-alone", "12-errors-bounded"):
        write_executed(tmp_path / f"{chapter}.ipynb", changed={"alpha": 9.0})
    assert gathering.gather()
    card = pd.read_csv(tmp_path / "scorecard.csv").set_index("item")
    assert card.loc["LfL, Table 1, optimal, score", "verdict"] == "left out"
    assert card.loc["MA-LfL, Theorem 6.5", "verdict"] == "left out"
    assert card.loc["MA-LfL, Theorem 4.1", "verdict"] == "holds"
    out = card[card["verdict"] == "left out"]
    assert set(out["chapter"]) == {"14-a-learner-alone", "12-errors-bounded"}
    assert out["ours"].isna().all()
    erratum = pd.read_csv(tmp_path / "erratum.csv").set_index("item")
    assert erratum.loc["Theorem 6.5", "verdict"] == "left out"
