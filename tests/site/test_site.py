"""The built pages: opened in a browser, over http and as files, and their links followed."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

from malfl.published import TABLE_1
from malfl.scores import SCORECARD, table_1_for_print
from malfl.statements.numbered import COLUMNS

ROOT = Path(__file__).parents[2]
BUILD = ROOT / os.environ.get("MALFL_SITE", "_build/quick")
HTML = BUILD / "html"
PAGES = sorted(
    str(page.relative_to(HTML)) for page in HTML.rglob("*.html") if page.parent.name != "_static"
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run",
]  # fmt: skip

UNRENDERED = """[...document.querySelectorAll(".math")].filter(
    (m) => !m.querySelector("mjx-container svg") || m.querySelector("[data-mml-node=merror]")
).map((m) => m.textContent)"""
CUT_OFF = """[...document.querySelectorAll("div.math mjx-container, .cell_output")].filter(
    (m) => m.scrollWidth > m.clientWidth + 1
).map((m) => m.textContent)"""
MISSING_IMAGES = """[...document.images].filter(
    (i) => !i.complete || !i.naturalWidth
).map((i) => i.src)"""


def skip(reason):
    if os.environ.get("MALFL_SKIP_NOTHING"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True, scope="module")
def _site():
    if not (HTML / "index.html").exists():
        skip(f"no site in {HTML}; build one with `make book PROFILE=quick`")


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        skip("no browser; install Chromium, on Debian with `apt-get install chromium`")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(HTML))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
        thread.join()


def soup(page):
    return BeautifulSoup((HTML / page).read_text(), "html.parser")


@functools.cache
def anchors(page):
    """What links may point to; the index of names has hundreds to the same pages."""
    return {one.get(key) for one in soup(page).find_all(True) for key in ("id", "name")}


def test_the_site_is_whole():
    assert {"index.html", "search.html", "book/index.html", "book/references.html"} <= set(PAGES)
    chapters = {p.stem for p in (ROOT / "book").glob("[0-9]*")}
    assert chapters == {Path(p).stem for p in PAGES if p.startswith("book/") and p[5].isdigit()}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("way", ["http", "file"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_opens_without_errors_and_without_the_network(browser, server, page, way, scheme):
    base = server if way == "http" else HTML.as_uri() + "/"
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    outside, errors = [], []

    def note_request(request):
        if not request.url.startswith((base, "data:", "blob:")):
            outside.append(request.url)

    def note_response(response):
        if response.status >= 400:
            errors.append(f"{response.status}: {response.url}")

    def note_console(line):
        if line.type == "error":
            errors.append(line.text)

    def note_failure(request):
        if request.failure != "net::ERR_ABORTED":  # by a page that forwards at once
            errors.append(f"failed: {request.url}")

    tab.on("request", note_request)
    tab.on("response", note_response)
    tab.on("console", note_console)
    tab.on("requestfailed", note_failure)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(base + page, wait_until="load")
    if page == "index.html":
        tab.wait_for_url(base + "book/index.html")
    formulas = tab.locator(".math")
    if formulas.count():
        tab.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
        tab.evaluate("MathJax.startup.promise")
        assert tab.evaluate(UNRENDERED) == []
    assert tab.evaluate(CUT_OFF) == []
    assert tab.evaluate(MISSING_IMAGES) == []
    context.close()
    assert outside == []
    assert errors == []


@pytest.mark.parametrize("page", PAGES)
def test_every_internal_link_leads_somewhere(page):
    broken = []
    for link in soup(page).select("a[href], img[src], script[src], link[href]"):
        address = link.get("href") or link.get("src")
        if urlparse(address).scheme or address.startswith("//"):
            continue
        path, anchor = urldefrag(address)
        target = (HTML / page).parent / unquote(path.split("?")[0]) if path else HTML / page
        if target.is_dir():
            target /= "index.html"
        if not target.exists():
            broken.append(address)
        elif anchor and target.suffix == ".html":
            found = anchors(target.resolve().relative_to(HTML.resolve()))
            if unquote(anchor) not in found:
                broken.append(address)
    assert broken == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("book/0")])
def test_figures_carry_a_description(page):
    images = soup(page).select("article img")
    assert images
    for image in images:
        assert len(image.get("alt", "")) > 40


def test_no_page_tells_of_the_machine_that_made_it():
    for page in PAGES:
        assert str(ROOT) not in (HTML / page).read_text()


def test_table_1_on_the_page_is_table_1_in_the_file():
    table = pd.read_csv(BUILD / "results" / "table1.csv", dtype={"agent": str})
    table = table[table["metric"].isin(["PCC", "SCC"])]
    text = soup("book/05-where-the-printed-numbers-come-from.html")
    shown = [
        [[cell.get_text(strip=True) for cell in row.select("th, td")] for row in t.select("tr")]
        for t in text.select("table.dataframe")
    ]
    for game in ("hom", "het"):
        printed = table_1_for_print(table[table["game"] == game]).reset_index()
        rows = printed.to_numpy().tolist()
        assert any(all(row in cells for row in rows) for cells in shown)


def test_the_scorecard_compares_every_cell_of_table_1():
    card = pd.read_csv(BUILD / "results" / "scorecard.csv")
    assert tuple(card.columns) == SCORECARD
    assert {cell.place for cell in TABLE_1.values()} <= set(card["item"])
    assert set(card["verdict"]) <= {
        "reproduced", "differs", "holds", "fails", "corrected", "beyond"
    }  # fmt: skip


def test_every_numbered_item_has_a_verdict_and_a_link_to_its_check():
    table = pd.read_csv(BUILD / "results" / "statements.csv")
    assert tuple(table.columns) == COLUMNS
    page = soup("book/13-erratum-at-a-glance.html")
    rows = page.select("table#tab-erratum tbody tr")
    shown = [[cell.get_text(strip=True) for cell in row.select("td")] for row in rows]
    expected = table[["paper", "statement", "verdict"]].to_numpy().tolist()
    curly = "\N{RIGHT SINGLE QUOTATION MARK}"
    assert [[t.replace(curly, "'") for t in row[:3]] for row in shown] == expected
    assert all(row.select_one("td:last-child a[href]") for row in rows)


def test_nothing_that_is_said_to_hold_is_violated_by_any_game():
    table = pd.read_csv(BUILD / "results" / "statements.csv")
    holds = table[table["verdict"].isin(["holds", "corrected", "checked", "vacuous"])]
    assert (holds["violations"] == 0).all()
    assert (holds["max_ratio"] < 1 + 1e-6).all()
    false = table[table["verdict"].isin(["fails", "misprint"])]
    assert (false["violations"].gt(0) | false["counterexample"].notna()).all()
    proven = table["statement"].str.match("Theorem|Lemma|Corollary|T[1-4]")
    if BUILD.name == "paper":
        assert (table.loc[proven, "instances"] >= 5000).all()
    sharp = pd.read_csv(BUILD / "results" / "attained.csv").set_index("statement")["ratio"]
    assert {"T1, above", "T1, below", "T2", "T3", "T4"} <= set(sharp[sharp > 0.999].index)


def test_results_are_written_beside_the_site():
    results = BUILD / "results"
    figures = {file.stem for file in results.glob("*.png")}
    assert {"game_board", "reward_maps", "returns", "figure3", "figure4", "figure5"} <= figures
    tables = {"table1", "table2", "identifiability", "data_frontier", "semi_online"}
    assert tables <= {file.stem for file in results.glob("*.csv")}
    for stem in figures:
        assert (results / f"{stem}.svg").stat().st_size > 1000
        assert stem == "game_board" or len(pd.read_csv(results / f"{stem}.csv")) > 0
