"""The worked examples of the page for those who carry on, taken from it and executed."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import nbformat
import pytest
import test_every_estimator
import test_every_learner
import yaml
from test_build import Book
from test_project import TestChapters as Demands

import malfl

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book" / "contributing.md").read_text()
BLOCKS = dict(re.findall(r"```\{code-block\} \w+\n:caption: (.+?)\n\n(.*?)```", PAGE, re.DOTALL))
CHAPTER = "17-one-step-of-everyone"
Demands.__test__ = False  # run below for one chapter, where they stand for all


def module(path, monkeypatch):
    """The block of that name, imported as the module that it is meant to be."""
    name = path.removesuffix(".py").replace("/", ".")
    made = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, made)  # dataclasses look there
    exec(compile(BLOCKS[path], path, "exec"), made.__dict__)
    return vars(made)


def stated(what):
    """The least correlation that the page states."""
    return float(re.search(rf"{what}[^.]*? correlation [^.]*?at least (0\.\d+)", PAGE).group(1))


@pytest.fixture
def estimator(monkeypatch):
    return module("malfl/recovery/ridge.py", monkeypatch)


@pytest.fixture
def learner(monkeypatch):
    return module("malfl/learners/modified_policy_iteration.py", monkeypatch)


def test_all_code_on_the_page_is_tested_here():
    used = ast.parse(Path(__file__).read_text())
    strings = {node.value for node in ast.walk(used) if isinstance(node, ast.Constant)}
    assert len(BLOCKS) == PAGE.count("```{code-block}") == 9
    assert {name.replace(CHAPTER, "CHAPTER") for name in BLOCKS} <= strings | {
        f"book/profiles/quick/{'CHAPTER'}.yaml",
        f"a program that writes book/{'CHAPTER'}.ipynb",
    }


def test_the_code_has_the_style_of_the_house(tmp_path):
    for name, block in BLOCKS.items():
        if name.startswith(("malfl/", "tests/")) and name.endswith(".py"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
    (tmp_path / "ruff.toml").write_text(
        f'extend = "{ROOT / "book" / "ruff.toml"}"\n'
        '[lint.isort]\nknown-first-party = ["malfl"]\n'
        '[lint.per-file-ignores]\n"tests/**" = ["ANN", "D"]\n'
    )
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["check"], ["format", "--check"]):
        run = subprocess.run([ruff, *command, "."], cwd=tmp_path, text=True, capture_output=True)
        assert run.returncode == 0, run.stdout + run.stderr


class TestEstimator:
    def test_it_recovers_a_reward_as_well_as_the_page_says(self, estimator):
        names = estimator | {"malfl": malfl}
        exec(BLOCKS["the estimator at work"], names)
        assert names["found"].states == 81
        assert names["found"].pearson >= stated("At the paper's settings its") >= 0.9

    def test_its_own_tests_pass(self, estimator, hom, hom_log):
        names = {}
        exec(BLOCKS["tests/recovery/test_ridge.py"], names)
        tests = [name for name in names if name.startswith("test_")]
        assert len(tests) == 3
        for name in tests:
            code = names[name].__code__
            given = {"hom": hom, "hom_log": hom_log}
            names[name](*(given[one] for one in code.co_varnames[: code.co_argcount]))

    def test_an_option_that_it_does_not_have_is_refused(self, estimator):
        with pytest.raises(TypeError, match="rigde"):
            estimator["Ridge"](rigde=1.0)

    @pytest.mark.parametrize("check", test_every_estimator.CHECKS, ids=lambda one: one.__name__)
    def test_it_is_what_tests_demand_of_an_estimator(self, estimator, check):
        check(estimator["Ridge"]())


class TestLearner:
    def test_it_learns_and_is_recovered_from_as_well_as_the_page_says(self, learner):
        names = learner | {"malfl": malfl}
        exec(BLOCKS["the learner at work"], names)
        assert names["after"] > names["before"] + 5
        assert names["found"].pearson >= stated("finds its reward with a") >= 0.95
        assert names["path"].diagnostics.misfit == pytest.approx(1, abs=0.1)
        assert names["wrong"].diagnostics.misfit > 2

    def test_between_two_kinds_of_iteration(self, learner, hom):
        own = learner["ModifiedPolicyIteration"]
        few = {"iterations": 2, "episodes": 1, "steps": 1, "seed": 0}
        long = malfl.learn(hom, own(backups=400), **few)
        exact = malfl.learn(hom, malfl.SoftPolicyIteration(evaluation="exact"), **few)
        for one, other in zip(long.policies, exact.policies, strict=True):
            assert abs(one - other).max() < 1e-9
        first = malfl.learn(hom, own(backups=1), **few).q[0][0]
        entropy = hom.gamma * 3 * malfl.soft.entropy(hom.uniform_policies()[0])
        assert abs(first - entropy[:, None] - hom.rewards[0][:, None]).max() < 1e-12

    @pytest.mark.parametrize("check", test_every_learner.CHECKS, ids=lambda one: one.__name__)
    def test_it_is_what_tests_demand_of_a_learner(self, learner, check):
        check(learner["ModifiedPolicyIteration"]())

    def test_a_number_of_backups_is_refused(self, learner):
        with pytest.raises(ValueError, match="backups must be at least 1, got 0"):
            learner["ModifiedPolicyIteration"](backups=0)


class TestChapter:
    @pytest.fixture
    def book(self, tmp_path, monkeypatch):
        book = Book(tmp_path)
        monkeypatch.chdir(tmp_path)
        exec(BLOCKS[f"a program that writes book/{CHAPTER}.ipynb"], {})
        profile = f"book/profiles/quick/{CHAPTER}.yaml"
        (tmp_path / profile).write_text(BLOCKS[profile])
        return book

    def test_it_is_what_tests_demand_of_a_chapter(self, book):
        demands = [name for name in vars(Demands) if name.startswith("test_")]
        assert len(demands) >= 4
        for name in demands:
            getattr(Demands(), name)(book.folder / "book" / f"{CHAPTER}.ipynb")

    def test_the_build_executes_it_with_its_profile(self, book):
        status, _, output = book.build()
        assert status == 0, output
        assert f"{CHAPTER}: done" in output
        lines = book.value("one_step").splitlines()
        assert lines[0] == "alpha,divergence"
        assert [line.split(",")[0] for line in lines[1:]] == ["0.75", "1.5", "3.0"]
        moved = [float(line.split(",")[1]) for line in lines[1:]]
        assert moved == sorted(moved, reverse=True)

    def test_it_runs_by_hand_and_refuses_a_misspelt_parameter(self, book):
        def run(line):
            program, *arguments = shlex.split(line, comments=True)
            command = [Path(sys.executable).with_name(program), *arguments, "--no-progress-bar"]
            # Beside the small book's own folder `malfl` the real one must be found.
            environment = book.environment() | {"PYTHONPATH": str(ROOT)}
            return subprocess.run(
                command, cwd=book.folder, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip

        good, misspelt, wrong = (run(line) for line in BLOCKS["rerun it"].splitlines())
        assert good.returncode == 0, good.stdout
        assert (book.folder / "results" / "one_step.csv").exists()
        assert misspelt.returncode != 0
        assert (
            "unknown parameter 'alhpa'; this chapter takes kind, alpha, results" in misspelt.stdout
        )
        assert wrong.returncode != 0
        assert "alpha must be a number, got 'high'" in wrong.stdout

    def test_its_place_in_the_table_of_contents(self):
        (entry,) = yaml.safe_load(BLOCKS["_toc.yml, a line more in a part's chapters"])
        assert entry == {"file": f"book/{CHAPTER}"}

    def test_its_formula_is_one(self, book):
        notebook = nbformat.read(book.folder / "book" / f"{CHAPTER}.ipynb", as_version=4)
        assert "$\\alpha$" in notebook.cells[-1].source


def test_the_map_has_the_rooms_in_the_order_that_the_contract_holds():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE.split("## How a page")[0], re.MULTILINE)
    shown = [set(re.findall(r"\w+", row)) for row in rows]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    place = {room: k for k, one in enumerate(layers) for room in re.findall(r"\w+", one)}
    assert set.union(*shown) == set(place)
    order = [place[room] for row in shown for room in sorted(row, key=place.get, reverse=True)]
    assert order == sorted(order, reverse=True)
    parts = {path.stem for path in (ROOT / "malfl").iterdir() if not path.stem.startswith("_")}
    assert set(place) == parts - {"py"}
