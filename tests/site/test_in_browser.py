"""Every page opened in a browser: in light and dark, on a desk and on a telephone."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from built import HTML, PAGES
from playwright.sync_api import expect

SIZES = {"desk": {"width": 1280, "height": 900}, "telephone": {"width": 400, "height": 800}}
VIEWS = [
    # scheme, size, way: each page is seen in all schemes and sizes, over http and from the disk
    ("light", "desk", "http"),
    ("dark", "desk", "file"),
    ("light", "telephone", "file"),
    ("dark", "telephone", "http"),
]
FIRST_PAGE = 5e6  # bytes that the first page may take

UNRENDERED = """[...document.querySelectorAll(".math")].filter(
    (m) => !m.querySelector("mjx-container svg") || m.querySelector("[data-mml-node=merror]")
).map((m) => m.textContent)"""
CUT_OFF = """[...document.querySelectorAll("div.math mjx-container, .cell_output")].filter(
    (m) => m.scrollWidth > m.clientWidth + 1
).map((m) => m.textContent)"""
# What sticks out of the window to the right and cannot be scrolled to.
HIDDEN = """(() => {
    const scrolls = (e) => e && e !== document.body && e !== document.documentElement && (
        ["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
    return [...document.querySelectorAll("main *")].filter((e) => {
        const box = e.getBoundingClientRect();
        return box.width && box.height && box.right > innerWidth + 1 && !scrolls(e)
            && getComputedStyle(e).visibility === "visible" && !e.closest("mjx-assistive-mml, svg");
    }).map((e) => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 60)}`);
})()"""
MISSING_IMAGES = """[...document.images].filter(
    (i) => !i.complete || !i.naturalWidth
).map((i) => i.src)"""
# Without what it would fetch itself.
AXE = {"resultTypes": ["violations"], "preload": False}
# What Sphinx and its extensions leave, by rule and part of the selector.
RESIDUE = {
    "aria-required-children": [".citation-list"],  # sphinxcontrib-bibtex
    "definition-list": ["#malfl"],  # long signatures, an argument a line
}


@pytest.fixture
def see(visit, server):
    """Opens a page of the site in one of the views, and waits for its formulas."""

    def see(page, scheme="light", size="desk", way="http"):
        base = server if way == "http" else HTML.as_uri() + "/"
        tab = visit(base, page, color_scheme=scheme, viewport=SIZES[size])
        if page == "index.html":
            tab.wait_for_url(base + "book/index.html")
        if tab.locator(".math").count():
            tab.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
            tab.evaluate("MathJax.startup.promise")
        return tab

    return see


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(("scheme", "size", "way"), VIEWS)
def test_a_page_is_whole(see, page, scheme, size, way):
    """No errors, nothing from outside, formulas and images there, nothing hidden."""
    tab = see(page, scheme, size, way)
    assert tab.locator("html").get_attribute("data-theme") == scheme
    assert tab.evaluate(UNRENDERED) == []
    assert tab.evaluate(MISSING_IMAGES) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    assert tab.evaluate(HIDDEN) == []
    if size == "desk":
        assert tab.evaluate(CUT_OFF) == []
    if (scheme == "light") != (size == "desk"):
        return  # each scheme and each size is looked through once
    violations = Axe().run(tab, options=AXE).response["violations"]
    serious = [
        (rule["id"], target)
        for rule in violations
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
        for target in node["target"]
        if not any(part in json.dumps(target) for part in RESIDUE.get(rule["id"], ()))
    ]
    assert serious == []


def test_the_first_page_is_light(see, server):
    sizes = []
    tab = see("index.html")
    tab.on("response", lambda response: sizes.append(len(response.body())))
    tab.goto(server + "index.html", wait_until="networkidle")
    assert len(sizes) > 5
    assert sum(sizes) < FIRST_PAGE


def test_search_finds_a_theorem(see):
    tab = see("search.html")
    tab.locator("#search-input, input[name=q]").last.fill("Theorem 6.5")
    tab.keyboard.press("Enter")
    found = tab.locator("#search-results ul.search li a[href*='12-errors-bounded']")
    found.first.wait_for()  # results come in one by one


def test_the_scorecard_is_searched_and_sorted_by_keyboard(see):
    tab = see("book/scorecard.html", way="file")
    rows = tab.locator("table.scorecard tbody tr:visible")
    everything = rows.count()
    tab.get_by_label("Search the scorecard").fill("fails")
    assert 0 < rows.count() < everything
    assert all("fails" in row.inner_text() for row in rows.all())
    tab.get_by_label("Search the scorecard").fill("LfL, Table 1, score")
    head = tab.get_by_role("columnheader", name="published")
    for direction, sign in (("ascending", 1), ("descending", -1)):
        head.locator("[tabindex='0']").first.press("Enter")
        expect(head).to_have_attribute("aria-sort", direction)
        published = [row.locator("td").nth(2).inner_text() for row in rows.all()]
        values = [float(text.split()[0]) for text in published]  # "3.99 ± 0.88"
        assert values == sorted(values, key=lambda value: sign * value)
    assert {-19.7, 5.68} <= set(values)
