"""Where the site is that the tests of this folder look at."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / os.environ.get("MALFL_SITE", "_build/quick")
HTML = BUILD / "html"
PAGES = sorted(
    str(page.relative_to(HTML)) for page in HTML.rglob("*.html") if page.parent.name != "_static"
)
