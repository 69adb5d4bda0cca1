"""A browser and a server for the built site."""

import functools
import http.server
import os
import shutil
import threading

import pytest
from built import HTML
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run",
]  # fmt: skip


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


@pytest.fixture
def visit(browser):
    """Opens a page; in the end nothing may have gone wrong or been asked for outside."""
    contexts, wrong = [], []

    def visit(base, page, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(60_000)

        def note_request(request):
            if not request.url.startswith((base, "data:", "blob:")):
                wrong.append(f"outside: {request.url}")

        def note_response(response):
            if response.status >= 400:
                wrong.append(f"{response.status}: {response.url}")

        def note_console(line):
            if line.type == "error":
                wrong.append(line.text)

        def note_failure(request):
            if request.failure != "net::ERR_ABORTED":  # by a page that forwards at once
                wrong.append(f"failed: {request.url}")

        tab.on("request", note_request)
        tab.on("response", note_response)
        tab.on("console", note_console)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        if options.get("java_script_enabled", True):  # without, what is preloaded of them fails
            tab.on("requestfailed", note_failure)
        tab.goto(base + page, wait_until="load")
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []
