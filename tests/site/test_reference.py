"""The API reference of the built site has what users and chapters call."""

import ast
import os
from importlib import import_module
from types import ModuleType

import nbformat
import pytest
from bs4 import BeautifulSoup
from built import HTML, ROOT
from sphinx.util.inventory import InventoryFile

import malfl

CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))


def find(name):
    """What a dotted name stands for."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:k]))
        except ModuleNotFoundError:
            continue
        for part in parts[k:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


@pytest.fixture(scope="module")
def inventory():
    if not (HTML / "objects.inv").exists():
        pytest.skip(f"no site in {HTML}; build one with `make book PROFILE=quick`")
    with (HTML / "objects.inv").open("rb") as file:
        return InventoryFile.load(file, "", os.path.join)


@pytest.fixture(scope="module")
def documented(inventory):
    kinds = ("py:function", "py:class", "py:exception", "py:data")
    names = [name for kind in kinds for name in inventory.get(kind, {})]
    aliases = (
        "malfl.checks",
        "malfl.games.markov.Policies",
        "malfl.control.policy.Floats",
    )  # of types
    return {id(find(name)) for name in names if not name.startswith(aliases)}


def called(chapter):
    """Functions and classes of malfl that a chapter's cells name."""
    cells = [c.source for c in nbformat.read(chapter, as_version=4).cells if c.cell_type == "code"]
    tree, names = ast.parse("\n".join(cells)), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("malfl"):
            for alias in node.names:
                try:
                    names[alias.asname or alias.name] = find(f"{node.module}.{alias.name}")
                except AttributeError as error:
                    raise AssertionError(chapter) from error
        elif isinstance(node, ast.Import) and any(a.name == "malfl" for a in node.names):
            names["malfl"] = malfl
    for node in ast.walk(tree):
        parts, inner = [], node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in names:
            found = names[inner.id]
            while parts and isinstance(found, ModuleType):
                found = getattr(found, parts.pop())
            if callable(found) and found.__module__ != "malfl.checks":
                yield found


def test_all_that_malfl_hands_out_is_there(documented):
    for name in malfl.__all__:
        found = getattr(malfl, name)
        assert isinstance(found, ModuleType) or id(found) in documented, name


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_all_that_a_chapter_calls_is_there(documented, chapter):
    used = list(called(chapter))
    assert used
    missing = {f"{one.__module__}.{one.__qualname__}" for one in used if id(one) not in documented}
    assert missing == set()


def test_signatures_name_types_as_the_code_does(inventory):
    page = BeautifulSoup((HTML / "book/reference/observing.html").read_text(), "html.parser")
    text = page.find(id="malfl.recovery.policies.additive_smoothing").get_text()
    assert "counts: ArrayLike" in text
    assert "FloatArray" in text
    for page in (HTML / "book" / "reference").glob("*.html"):
        shown = BeautifulSoup(page.read_text(), "html.parser").select("dt.sig")
        assert not [
            one.get_text()
            for one in shown
            if "dtype[" in one.get_text() and "bool" not in one.get_text()
        ]
