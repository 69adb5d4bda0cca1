"""The site of a small book: what an edit shows, what is kept, links where there is an address."""

import json
import os
import shutil
import subprocess
import sys
from typing import ClassVar

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from test_build import ROOT, Book

INDEX = "# A small book\n\nA page of {doc}`the chapter <one>`.\n"
TOC = """\
format: jb-book
root: book/index
chapters:
  - file: book/one
  - file: book/more
"""


class Site(Book):
    """A small book with all that a site needs, built."""

    runner: ClassVar[dict[str, str]] = {}

    def __init__(self, folder):
        super().__init__(folder)
        (folder / "book" / "two.ipynb").unlink()
        chapter = folder / "book" / "one.ipynb"
        notebook = nbformat.read(chapter, as_version=4)
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# One", id="title"))
        nbformat.write(notebook, chapter)
        shutil.copy(ROOT / "_config.yml", folder)
        for part in ("_static", "_extensions"):
            shutil.copytree(ROOT / "book" / part, folder / "book" / part)
        (folder / "book" / "references.bib").write_text("")
        (folder / "_toc.yml").write_text(TOC)
        self.write("index", INDEX)
        self.write("more", "# More\n")
        assert self.build()[0] == 0

    def write(self, page, text):
        (self.folder / "book" / f"{page}.md").write_text(text)

    def command(self):
        return [*super().command(), "site"]

    def environment(self):
        """Not of the runner on which these tests may run."""
        own = {k: v for k, v in super().environment().items() if not k.startswith("GITHUB_")}
        return own | self.runner

    def ask(self, question, **environment):
        run = subprocess.run(
            [sys.executable, "-c", f"import json, rules.site; print(json.dumps({question}))"],
            cwd=self.folder, env=self.environment() | environment, text=True, capture_output=True,
            check=True,
        )  # fmt: skip
        return json.loads(run.stdout)

    def page(self, name):
        return (self.out / "html" / "book" / f"{name}.html").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"))


def test_an_edit_shows_and_what_is_gone_goes(site):
    assert "the chapter" in site.page("index")
    assert "mybinder" not in site.page("one")

    site.write("index", "# A small book\n\nAn edit.\n")
    (site.folder / "_toc.yml").write_text(TOC.replace("  - file: book/more\n", ""))
    (site.folder / "book" / "more.md").unlink()
    assert site.build()[0] == 0
    assert "An edit." in site.page("index")
    assert not (site.out / "html" / "book" / "more.html").exists()
    (site.folder / "_toc.yml").write_text(TOC)


def test_a_page_that_is_put_back_with_its_old_time_is_read(site):
    """Sphinx takes a page for read if it is older than the reading."""
    site.write("index", INDEX)
    site.write("more", "# More\n")
    page = site.folder / "book" / "index.md"
    os.utime(page, (1e9, 1e9))
    assert site.build()[0] == 0
    assert "the chapter" in site.page("index")


def test_a_warning_comes_again_until_it_is_dealt_with(site):
    site.write("more", "# More\n\n### A level is missing\n")
    for _ in range(2):
        status, _, output = site.build()
        assert status != 0
        assert "site: FAILED" in output
        assert "Non-consecutive header level" in output
    site.write("more", "# More\n\n## None is missing\n")
    assert site.build()[0] == 0
    assert "None is missing" in site.page("more")


def test_chapters_link_to_binder_and_colab_where_the_build_knows_an_address(site):
    assert site.ask("rules.site.known_repository()") == {}
    runner = {"GITHUB_REPOSITORY": "example/malfl", "GITHUB_SHA": "0123abc"}
    known = site.ask("rules.site.known_repository()", **runner)
    assert known["repository"]["url"] == "https://github.com/example/malfl"
    own = {"GITHUB_SERVER_URL": "https://git.example"}
    known = site.ask("rules.site.known_repository()", **runner, **own)
    assert known["repository"]["url"] == "https://git.example/example/malfl"

    site.runner = runner
    assert site.build()[0] == 0
    links = [a["href"] for a in BeautifulSoup(site.page("one"), "html.parser").select("a[href]")]
    file = "example/malfl/blob/0123abc/book/one.ipynb"
    assert f"https://colab.research.google.com/github/{file}" in links
    lab = "example/malfl/0123abc?urlpath=lab/tree/book/one.ipynb"
    assert f"https://mybinder.org/v2/gh/{lab}" in links
    assert "mybinder" not in site.page("index")
    config = yaml.safe_load((site.out / "site-source" / "_config.yml").read_text())
    assert config["html"] == yaml.safe_load((ROOT / "_config.yml").read_text())["html"]
