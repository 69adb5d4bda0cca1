"""What the build is made of, piece by piece; `test_build` puts it to work."""

import errno
import json
import multiprocessing
import os
import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from test_build import SAVE, write_chapter, write_executed

from rules import chapters as of_chapters
from rules import execution, folder, gathering
from rules import site as of_site
from rules.chapters import Chapter, chapters, imported, listed, longest_first, module_of, number_of


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder of a book with two chapters, of which the one was executed."""
    (tmp_path / "book" / "profiles" / "quick").mkdir(parents=True)
    (tmp_path / "rules").mkdir()
    for name in of_chapters.RULES:
        (tmp_path / "rules" / name).write_text("")
    for name in ("one", "two"):
        write_chapter(tmp_path, name)
    for module in (of_chapters, gathering, of_site):
        monkeypatch.setattr(module, "ROOT", tmp_path)
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(of_chapters, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(of_chapters, "SECONDS", tmp_path / "rules" / "seconds.yaml")
    monkeypatch.setattr(gathering, "SECONDS", tmp_path / "rules" / "seconds.yaml")
    monkeypatch.setattr(of_chapters, "PROFILE", "quick")
    monkeypatch.delenv("WITH", raising=False)
    chapters.cache_clear()
    yield tmp_path
    chapters.cache_clear()


def one(root):
    return Chapter(root / "book" / "one.ipynb")


def profile(root, text):
    (root / "book" / "profiles" / "quick" / "one.yaml").write_text(text)


# Chapters.


def test_chapters_are_in_the_order_of_their_names(root):
    assert [chapter.name for chapter in chapters()] == ["one", "two"]
    assert one(root).executed == root / "notebooks" / "one.ipynb"
    assert [parameter.name for parameter in one(root).declared] == ["x", "results"]


def test_a_chapter_must_declare_parameters(root):
    nbformat.write(nbformat.v4.new_notebook(), root / "book" / "none.ipynb")
    with pytest.raises(ValueError, match=r"none\.ipynb has no cell tagged 'parameters'"):
        _ = Chapter(root / "book" / "none.ipynb").declared


@pytest.mark.parametrize(
    ("text", "found"), [("x: 5\n", {"x": 5}), ("", {}), ("{}", {}), ("# x: 3\n", {})]
)
def test_a_profile_changes_parameters(root, text, found):
    assert one(root).profiled == {}
    profile(root, text)
    assert one(root).profiled == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y: 5", "unknown parameter 'y'; this chapter takes x, results"),
        ("x: much", "parameter x must be int, got 'much'"),
        ("- x", r"a profile maps names to values, got \['x'\]"),
    ],
)
def test_a_profile_is_refused_with_its_file(root, text, message):
    profile(root, text)
    with pytest.raises(SystemExit, match=f"^book/profiles/quick/one.yaml: {message}"):
        _ = one(root).profiled


@pytest.mark.parametrize(
    ("text", "found"),
    [("", {}), ("one", {}), ("one x=3", {"x": 3}), ("one x=1", {}), ("two x=3", {}),
     ("one 'x=3'", {"x": 3})],
)  # fmt: skip
def test_changes_are_of_one_chapter(root, monkeypatch, text, found):
    monkeypatch.setenv("WITH", text)
    assert one(root).changed == found


def test_what_the_profile_says_anyhow_is_no_change(root, monkeypatch):
    profile(root, "x: 3")
    monkeypatch.setenv("WITH", "one x=3")
    assert one(root).changed == {}
    monkeypatch.setenv("WITH", "one x=1")
    assert one(root).changed == {"x": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("three x=1", "must begin with a chapter's name, such as one, got 'three'$"),
        ("one x=[1", "must list name=value after the chapter's name: while parsing"),
        ("one x", "must list name=value after the chapter's name: "),
        ("one x=1=2", ".*parameter x must be int, got '1=2'$"),
        ("one y=3", "must list name=value after the chapter's name: unknown parameter 'y'"),
        ("one results=x", ".*results are where the build looks for them; leave them there$"),
        ("one x='1", "must be a chapter's name and name=value for each change: No closing"),
    ],
)
def test_changes_are_refused_in_one_line(root, monkeypatch, text, message):
    monkeypatch.setenv("WITH", text)
    with pytest.raises(SystemExit, match=f"^WITH {message}"):
        _ = one(root).changed


def test_a_fingerprint_is_of_all_that_counts(root, monkeypatch):
    known = {one(root).fingerprint}

    def is_new():
        found = one(root).fingerprint
        assert found == one(root).fingerprint
        new = found not in known
        known.add(found)
        return new

    assert not is_new()
    profile(root, "x: 3")
    assert is_new()
    monkeypatch.setenv("WITH", "one x=4")
    assert is_new()
    for name in of_chapters.RULES:
        (root / "rules" / name).write_text("changed")
        assert is_new()
    write_chapter(root, "one", "import malfl\nmalfl.learn")
    assert is_new()
    monkeypatch.setattr(of_chapters, "versions", lambda: ["other"])
    assert is_new()
    write_chapter(root, "two", "1")
    assert not is_new()


def test_what_measures_time_is_known_by_what_it_imports(root):
    assert not one(root).measures_time
    write_chapter(root, "one", "from malfl.companion.benchmarks import contest")
    assert one(root).measures_time


def execute(root, name="one", **provenance):
    """As if a chapter had been."""
    made = {"fingerprint": Chapter(root / "book" / f"{name}.ipynb").fingerprint, "results": {}}
    write_executed(root / "notebooks" / f"{name}.ipynb", **made | provenance)


def test_a_chapter_is_current_as_long_as_nothing_changed(root):
    assert one(root).provenance == {}
    assert not one(root).is_current()
    execute(root)
    assert one(root).is_current()
    execute(root, fingerprint="0")
    assert not one(root).is_current()

    table = root / "results" / "one.csv"
    table.write_text("x\n")
    execute(root, results={"one.csv": of_chapters.checksum(table)})
    assert one(root).is_current()
    table.write_text("y\n")
    assert not one(root).is_current()
    table.unlink()
    assert not one(root).is_current()


def test_an_executed_notebook_that_was_edited_is_not_current(root):
    execute(root)
    path = root / "notebooks" / "one.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("new", id="new"))
    nbformat.write(notebook, path)
    assert one(root).provenance == {}
    assert not one(root).is_current()
    path.write_text(path.read_text()[:50])
    assert one(root).provenance == {}
    nbformat.write(nbformat.v4.new_notebook(), path)
    assert one(root).provenance == {}


def test_the_number_of_a_notebook_is_of_cells_and_outputs():
    cell = nbformat.v4.new_code_cell("1", id="a")
    first = number_of(nbformat.v4.new_notebook(cells=[cell]))
    assert number_of(nbformat.v4.new_notebook(cells=[cell], metadata={"x": 1})) == first
    cell.outputs = [nbformat.v4.new_output("stream", text="1")]
    assert number_of(nbformat.v4.new_notebook(cells=[cell])) != first


def test_the_longest_begins(root):
    assert [chapter.name for chapter in longest_first()] == ["one", "two"]
    for recorded in ("two: 0.5\n", "one: 3.0\ntwo: 5.0\n"):
        of_chapters.SECONDS.write_text(recorded)
        assert [chapter.name for chapter in longest_first()] == ["two", "one"]
    execute(root, seconds=9.0)
    assert [chapter.name for chapter in longest_first()] == ["one", "two"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import malfl\nmalfl.learn(1)", {"malfl.learners.learn"}),
        ("from malfl import learn, recover", {"malfl.learners.learn", "malfl.recovery.recover"}),
        ("import malfl\nmalfl.gridworlds.ma_lfl()", {"malfl.games"}),
        ("from malfl.companion import figures", {"malfl.companion.figures"}),
        ("from malfl.companion.figures.style import colour", {"malfl.companion.figures.style"}),
        ("import numpy\nnumpy.random.malfl\nfrom malflx import a\nfrom . import b", set()),
    ],
)
def test_the_modules_that_a_cell_imports(source, found):
    assert set(imported(source)) == found


def test_names_come_from_the_modules_that_the_stub_says():
    assert module_of("malfl", "learn") == "malfl.learners.learn"
    assert module_of("malfl.games", "soft") == "malfl.games.soft"
    assert module_of("malfl.values", "Value") == "malfl.values"
    assert listed("malfl.values") == {}
    assert listed("malfl")["RecoveredReward"] == "malfl.recovery.reward"
    assert listed("malfl")["gridworlds"] == "malfl.games"  # which imports it


def test_checksums(tmp_path):
    (tmp_path / "a").write_text("abc")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_text("")
    known = of_chapters.checksum(tmp_path / "a")
    assert known.startswith("ba7816bf")  # of "abc", by the standard's own example
    assert of_chapters.checksum(tmp_path / "nothing") is None
    found = folder.checksums((tmp_path / "a", tmp_path / "b"))
    assert list(found) == [str(tmp_path / "a"), str(tmp_path / "b" / "c")]
    assert found[str(tmp_path / "a")] == known


def test_versions_are_of_all_that_is_installed():
    installed, python = of_chapters.versions()
    assert any(one.startswith("numpy==") for one in installed)
    assert installed == sorted(installed)
    assert python.count(".") == 2


# Execution.


def test_only_what_cells_wrote_to_stderr_is_a_warning():
    streams = [("stdout", "fine"), ("stderr", "mind "), ("stderr", "the gap")]
    cell = nbformat.v4.new_code_cell("1", id="a")
    cell.outputs = [nbformat.v4.new_output("stream", name=n, text=t) for n, t in streams]
    cells = [nbformat.v4.new_markdown_cell("text", id="b"), cell]
    assert execution.warnings_in(nbformat.v4.new_notebook(cells=cells)) == "mind the gap"


def test_papermills_records_are_replaced(root):
    notebook = nbformat.read(root / "book" / "one.ipynb", as_version=4)
    notebook.metadata["papermill"] = {"path": "x"}
    notebook.cells[1].metadata.update({"papermill": 1, "execution": 2, "tags": ["other"]})
    notebook.cells[2].metadata["tags"] = ["injected-parameters"]
    chapter = one(root)
    made = execution.provenance(chapter, 1.26, {"one.csv": "0"})
    assert made["seconds"] == 1.3
    assert made["fingerprint"] == chapter.fingerprint
    assert (made["parameters"], made["changed"]) == ({"x": 1, "results": "results"}, {})
    assert {"python", *execution.SHOWN} == set(made["versions"])
    execution.add_provenance(chapter, notebook, made)
    assert "papermill" not in notebook.metadata
    assert notebook.cells[1].metadata == {"tags": ["other"]}
    assert [cell.id for cell in notebook.cells] == ["c0", "c1", "injected", "rerun"]
    assert notebook.metadata["provenance"] == made | {"cells": number_of(notebook)}

    execution.add_provenance(chapter, notebook, made | {"changed": {"x": 3}})
    assert [cell.id for cell in notebook.cells][:3] == ["c0", "changed", "c1"]


@pytest.fixture
def desk(root, monkeypatch):
    """A book that can be executed in this process."""
    for name, folder_of in (("BUILD", ""), ("RESULTS", "results"), ("STORE", "store")):
        monkeypatch.setattr(execution, name, root / folder_of)
    monkeypatch.setattr(execution, "ROOT", root)
    return root


def test_a_chapter_is_executed_at_a_desk_of_its_own(desk, capsys):
    assert execution.execute(one(desk))
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [f"one: cell {k} of 3" for k in (1, 2, 3)]
    assert re.fullmatch(r"one: done in \d+\.\d s", said[3])
    assert len(said) == 4
    assert (desk / "results" / "one.csv").read_text() == "x\n1\n"
    assert list(one(desk).provenance["results"]) == ["one.csv"]
    assert list((desk / "running").iterdir()) == []
    assert (desk / "store").is_dir()
    assert one(desk).is_current()

    profile(desk, "x: 5")
    assert execution.execute(one(desk))
    assert "one: cell 4 of 4\n" in capsys.readouterr().out
    assert (desk / "results" / "one.csv").read_text() == "x\n5\n"

    write_chapter(desk, "one", "from pathlib import Path\nPath('store', 'kept').write_text('1')")
    assert execution.execute(one(desk))
    assert (desk / "store" / "kept").exists()
    assert list((desk / "results").iterdir()) == []  # what it no longer writes goes


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("1 / 0", "one: FAILED, see failed/one.ipynb\n"),
        ("import warnings; warnings.warn('mind the gap')", "one: FAILED, see failed/one.ipynb\nit"),
        ("raise OSError(28, 'No space')", "left on device; free some space and build again\n"),
        ("raise PermissionError(13, 'No')", "; see to it that it can be written and build again\n"),
        ("raise FileNotFoundError(2, 'none')", "one: FAILED, see failed/one.ipynb\n"),
        ("import os; os.kill(os.getpid(), 9)", "its kernel was killed, maybe for want of memory"),
    ],
)
def test_a_chapter_that_fails_leaves_what_was_there(desk, capsys, body, said):
    assert execution.execute(one(desk))
    before = (desk / "notebooks" / "one.ipynb").read_bytes()
    write_chapter(desk, "one", f"{SAVE.replace('[x]', '[42]')}\n{body}")
    assert not execution.execute(one(desk))
    assert said in capsys.readouterr().out
    assert (desk / "failed" / "one.ipynb").exists() == ("build again\n" not in said)
    assert (desk / "notebooks" / "one.ipynb").read_bytes() == before
    assert (desk / "results" / "one.csv").read_text() == "x\n1\n"

    write_chapter(desk, "one")
    assert execution.execute(one(desk))
    assert not (desk / "failed" / "one.ipynb").exists()


def test_a_table_that_moved_to_another_chapter_stays(desk):
    write_chapter(
        desk, "one", "Results(results).save_json('a', 1)\nResults(results).save_json('b', 2)"
    )
    assert execution.execute(one(desk))
    execute(desk, "two", results={"a.json": "0"})
    write_chapter(desk, "one")
    (desk / "results" / "b.json").unlink()  # by hand
    assert execution.execute(one(desk))
    assert {file.name for file in (desk / "results").iterdir()} == {"a.json", "one.csv"}


# The folder.


def test_a_build_ends_when_a_worker_is_killed(monkeypatch, capsys):
    ended = threading.Event()
    codes = []
    monkeypatch.setattr(folder, "GLANCE", 0.01)
    monkeypatch.setattr(folder.os, "_exit", lambda code: (codes.append(code), ended.set()))
    spawn = multiprocessing.get_context("spawn")
    done = spawn.Process(target=int)
    killed = spawn.Process(target=time.sleep, args=(60,))
    done.start()
    killed.start()
    folder.end_with_workers()
    done.join()
    assert not ended.wait(0.2)
    killed.kill()
    assert ended.wait(10)
    killed.join()
    assert codes == [1]
    said = "FAILED, a worker was killed, maybe for want of memory; build again\n"
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("heir", [1, 80_000])
def test_a_worker_ends_with_its_build_and_takes_its_kernel_along(monkeypatch, heir):
    ended, events = threading.Event(), []
    parents = [int("70000") for _ in range(3)]
    monkeypatch.setattr(folder, "GLANCE", 0.01)
    monkeypatch.setattr(folder.os, "_exit", lambda code: (events.append(code), ended.set()))
    monkeypatch.setattr(folder.os, "getppid", lambda: parents.pop() if parents else heir)

    class Kernel:
        def __init__(self, name):
            self.name = name

        def kill(self):
            events.append(self.name)
            raise folder.psutil.NoSuchProcess(1)  # it may have ended by itself

    def children(recursive):
        assert recursive
        return [Kernel("a"), Kernel("b")]

    monkeypatch.setattr(folder.psutil, "Process", lambda: SimpleNamespace(children=children))
    folder.end_with_parent()
    assert ended.wait(10)
    assert events == ["a", "b", 1]
    assert parents == []


def test_what_a_task_made_is_as_it_was(tmp_path):
    (tmp_path / "a").write_text("a")
    unchanged, savers = folder.as_made(tmp_path / "a"), []
    task = SimpleNamespace(value_savers=savers)
    assert not unchanged(task, {})
    made = savers[0]()
    assert unchanged(task, made)
    (tmp_path / "a").write_text("b")
    assert not unchanged(task, made)
    (tmp_path / "a").unlink()
    assert not unchanged(task, made)


def test_what_cannot_be_written_says_what_to_do():
    full = OSError(errno.ENOSPC, "No space left on device", "page.html")
    assert folder.hint(full) == (
        "page.html: No space left on device; free some space and build again"
    )
    assert folder.hint(OSError(errno.EDQUOT, "Quota exceeded")).startswith("the build: Quota")
    for number in (errno.EACCES, errno.EPERM, errno.EROFS):
        said = folder.hint(OSError(number, "no", "x"))
        assert said == "x: no; see to it that it can be written and build again"
    with pytest.raises(FileNotFoundError):
        folder.hint(FileNotFoundError(errno.ENOENT, "none"))


def test_what_another_program_could_not_write_is_read_from_its_words():
    text = "Sphinx:\n[Errno 2] No such file\n[Errno 28] No space left on device: 'x'\n"
    with pytest.raises(OSError, match="No space left") as error:
        folder.raise_unwritable(text, Path("site"))
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, "site")
    folder.raise_unwritable("[Errno 2] No such file", Path("site"))


def test_a_state_that_is_broken_is_removed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(folder, "end_with_workers", lambda: None)
    monkeypatch.setattr(os, "register_at_fork", lambda **_: None)
    build = tmp_path / "new" / "build"
    state = build / "doit.json"
    folder.have_alone(build, state)
    assert capsys.readouterr().out == ""
    state.write_text("{}")
    folder.LOCKS.pop().close()
    folder.have_alone(build, state)
    assert state.exists()
    assert (build / "lock").read_text() == str(os.getpid())
    with pytest.raises(SystemExit, match=f"build: a build is at work, process {os.getpid()}; wait"):
        folder.have_alone(build, state)
    folder.LOCKS.pop().close()
    state.write_text('{"cut')
    folder.have_alone(build, state)
    folder.LOCKS.pop().close()
    assert not state.exists()
    assert "doit.json was broken; everything is looked at again" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="file must be a folder that can be written: "):
        folder.have_alone(tmp_path / "file", state)


# The site and the repository.


def test_pictures_data_become_scripts(tmp_path):
    (tmp_path / "a.json").write_text('{"x": [1, 2]}')
    assert of_site.as_script("a", tmp_path / "a.json") == b'explore.data["a"] = {"x":[1,2]};\n'


def test_a_repository_is_known_where_a_runner_tells_it(monkeypatch):
    monkeypatch.delenv("GITHUB_SERVER_URL", raising=False)
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    monkeypatch.setenv("GITHUB_REPOSITORY", "")
    assert of_site.known_repository() == {}
    monkeypatch.setenv("GITHUB_REPOSITORY", "a/b")
    known = of_site.known_repository()
    assert known["repository"] == {
        "url": "https://github.com/a/b", "path_to_book": "", "branch": "main"
    }  # fmt: skip
    assert known["launch_buttons"]["notebook_interface"] == "jupyterlab"


def test_what_the_site_is_made_of_is_laid_out(root, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    monkeypatch.setattr(of_site, "HEADLINES", root / "results" / "headlines.json")
    (root / "results" / "headlines.json").write_text('{"best": "0.9"}')
    (root / "_config.yml").write_text(yaml.safe_dump({"sphinx": {"config": {"a": 1}}}))
    (root / "_toc.yml").write_text("root: book/index\n")
    for name in ("one", "two"):
        execute(root, name)
    for name in ("index.md", ".hidden", "a.pyc", "profiles/quick/one.yaml"):
        (root / "book" / name).write_text("{}")
    for name in ("a.csv", "a.svg", "a.png", "explore_b.json"):
        (root / "results" / name).write_text("{}")
    source = root / "source"
    (source / "old").mkdir(parents=True)
    (source / "old" / "page.md").write_text("")
    of_site.lay_out(source)
    files = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert files == {
        "_config.yml", "_toc.yml", "book/index.md", "book/one.ipynb", "book/two.ipynb",
        "book/_static/explore/data/b.js", "results/a.csv", "results/a.svg",
        *(f"notebooks/{name}{end}.ipynb" for name in ("one", "two") for end in ("", "-executed")),
    }  # fmt: skip
    config = yaml.safe_load((source / "_config.yml").read_text())
    assert config["sphinx"]["config"] == {"a": 1, "myst_substitutions": {"best": "0.9"}}
    ran = (root / "notebooks" / "one.ipynb").read_bytes()
    assert (source / "book" / "one.ipynb").read_bytes() == ran
    assert (source / "notebooks" / "one-executed.ipynb").read_bytes() == ran
    written = (root / "book" / "one.ipynb").read_bytes()
    assert (source / "notebooks" / "one.ipynb").read_bytes() == written

    os.utime(source / "book" / "index.md", (1, 1))
    of_site.lay_out(source)
    assert (source / "book" / "index.md").stat().st_mtime == 1  # not written again
    (root / "book" / "index.md").write_text("new")
    of_site.lay_out(source)
    assert (source / "book" / "index.md").read_text() == "new"


@pytest.fixture
def builder(root, monkeypatch):
    """Stands for Jupyter Book, and says how it was called."""
    monkeypatch.setattr(of_site, "BUILD", root)
    monkeypatch.setattr(of_site, "HTML", root / "html")
    monkeypatch.setattr(of_site, "lay_out", lambda source: source.mkdir(exist_ok=True))
    monkeypatch.setattr(of_site, "versions", lambda: ["these"])
    (root / "book" / "_extensions").mkdir()
    (root / "book" / "_extensions" / "own.py").write_text("")
    seen = SimpleNamespace(read=[], status=0, said="", page="new", root=root)

    def run(command, cwd, **_):
        assert command[1:3] == ["build", str(root / "site-source")]
        assert {"--warningiserror", "--nitpick", "--keep-going"} <= set(command)
        assert cwd == root / "site-source"
        made = Path(command[command.index("--path-output") + 1]) / "_build"
        seen.read.append((made / ".doctrees").exists())
        for file in ("html/page.html", "html/index.html", ".doctrees/read"):
            (made / file).parent.mkdir(parents=True, exist_ok=True)
            (made / file).write_text(seen.page)
        return SimpleNamespace(returncode=seen.status, stdout=seen.said)

    monkeypatch.setattr(of_site.subprocess, "run", run)
    return seen


def test_a_site_takes_the_place_of_the_old_one(builder, capsys):
    html = builder.root / "html"
    assert of_site.make_site()
    assert capsys.readouterr().out == "site: builds\nsite: done, open html/index.html\n"
    assert (html / "index.html").read_text() == of_site.FORWARD
    (html / "old.html").write_text("")
    builder.page = "newer"
    assert of_site.make_site()
    assert {file.name for file in html.iterdir()} == {"index.html", "page.html"}
    assert (html / "page.html").read_text() == "newer"
    assert not (builder.root / "site-output").exists()
    assert builder.read == [False, True]  # what was read before is used
    (builder.root / "book" / "_extensions" / "own.py").write_text("changed")
    assert of_site.make_site()
    assert builder.read == [False, True, False]


def test_a_site_with_warnings_does_not(builder, capsys):
    assert of_site.make_site()
    builder.status, builder.said, builder.page = 1, "WARNING: so", "worse"
    assert not of_site.make_site()
    assert capsys.readouterr().out.endswith("WARNING: so site: FAILED\n")
    assert (builder.root / "html" / "page.html").read_text() == "new"
    assert not of_site.make_site()
    assert builder.read == [False, True, False]  # so that the warning comes again
    builder.said = "[Errno 28] No space left on device"
    with pytest.raises(OSError, match="No space left on device") as error:
        of_site.make_site()
    assert error.value.filename == str(builder.root / "site-output")


def test_the_readme_gets_the_numbers_of_a_build(root, monkeypatch):
    monkeypatch.setattr(gathering, "HEADLINES", root / "results" / "headlines.json")
    monkeypatch.setattr(gathering.pages, "readme_summary", lambda table, numbers: (
        f"{len(table)} rows, {numbers['best']}"
    ))  # fmt: skip
    (root / "results" / "headlines.json").write_text(json.dumps({"best": 0.9}))
    (root / "results" / "scorecard-summary.csv").write_text("a\n1\n2\n")
    before, after = "# Title\n<!-- scorecard -->\n", "<!-- end of scorecard -->\nMore.\n"
    (root / "README.md").write_text(f"{before}old\n{after}")
    for name, seconds in (("one", 3.0), ("two", 5.0)):
        execute(root, name, seconds=seconds)
    gathering.update_repository()
    assert (root / "README.md").read_text() == f"{before}\n2 rows, 0.9\n\n{after}"
    recorded = (root / "rules" / "seconds.yaml").read_text()
    assert recorded.startswith("# How long chapters took")
    assert yaml.safe_load(recorded) == {"one": 3.0, "two": 5.0}
