"""The site, made of prose pages and executed chapters."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from rules.chapters import BUILD, RESULTS, ROOT, chapters, versions
from rules.folder import raise_unwritable
from rules.gathering import HEADLINES

HTML = BUILD / "html"
FORWARD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=book/index.html">
<link rel="icon" href="_static/favicon.svg">
<title>Learning from learners</title>
</head>
<body><a href="book/index.html">Learning from learners</a></body>
</html>
"""


def as_script(name: str, file: Path) -> bytes:
    """Data of one of Explore's pictures as a script, since pages on disk may not fetch JSON."""
    values = json.dumps(json.loads(file.read_text()), separators=(",", ":"))
    return f'explore.data["{name}"] = {values};\n'.encode()


def known_repository() -> dict[str, Any]:
    """Settings by which chapters link to Binder and Colab, where the build knows an address.

    GitHub's runners tell it. The links are to the very commit that the pages were made from.
    """
    name = os.environ.get("GITHUB_REPOSITORY")
    if not name:
        return {}
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    return {
        "repository": {
            "url": f"{server}/{name}",
            "path_to_book": "",
            "branch": os.environ.get("GITHUB_SHA", "main"),
        },
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }


def lay_out(source: Path) -> None:
    """Put all that the site is made of into a folder.

    Files that did not change stay as they are: Sphinx knows pages that it has read by their time.
    """
    config = yaml.safe_load((ROOT / "_config.yml").read_text()) | known_repository()
    config["sphinx"]["config"]["myst_substitutions"] = json.loads(HEADLINES.read_text())
    wanted = {
        source / "_config.yml": yaml.safe_dump(config).encode(),
        source / "_toc.yml": (ROOT / "_toc.yml").read_bytes(),
    }
    for path in (ROOT / "book").rglob("*"):
        inside = path.relative_to(ROOT)
        leave = inside.parts[1] == "profiles" or path.suffix in (".ipynb", ".pyc")
        if path.is_file() and not leave and not path.name.startswith("."):
            wanted[source / inside] = path.read_bytes()
    for chapter in chapters():
        executed = chapter.executed.read_bytes()
        wanted[source / "book" / chapter.path.name] = executed
        wanted[source / "notebooks" / f"{chapter.name}-executed.ipynb"] = executed
        wanted[source / "notebooks" / chapter.path.name] = chapter.path.read_bytes()
    for made in (*RESULTS.glob("*.csv"), *RESULTS.glob("*.svg")):
        wanted[source / "results" / made.name] = made.read_bytes()
    for made in RESULTS.glob("explore_*.json"):
        name = made.stem.removeprefix("explore_")
        wanted[source / "book/_static/explore/data" / f"{name}.js"] = as_script(name, made)
    for path in source.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()
    for path, content in wanted.items():
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def make_site() -> bool:
    """Build beside the old site and swap, so that no page of an old build stays.

    What Sphinx has read stays, for the next build to read only pages that changed, as long as
    nothing else did. A failed build keeps nothing: its warnings are to come again.
    """
    print("site: builds", flush=True)
    source, output, kept = BUILD / "site-source", BUILD / "site-output", BUILD / "site-read"
    extensions = [path.read_text() for path in sorted((ROOT / "book/_extensions").glob("*.py"))]
    tools = hashlib.sha256(json.dumps([*versions(), extensions]).encode()).hexdigest()
    shutil.rmtree(output, ignore_errors=True)
    lay_out(source)
    if (kept / tools).exists():
        (output / "_build").mkdir(parents=True)
        (kept / tools).replace(output / "_build" / ".doctrees")
    shutil.rmtree(kept, ignore_errors=True)
    command = [
        str(Path(sys.executable).with_name("jupyter-book")), "build", str(source),
        "--path-output", str(output), "--quiet", "--warningiserror", "--nitpick", "--keep-going",
    ]  # fmt: skip
    run = subprocess.run(
        command, cwd=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if run.returncode:
        raise_unwritable(run.stdout, output)
        print(run.stdout, "site: FAILED", flush=True)
        return False
    # Jupyter Book's own forwarding page names no icon, and browsers then ask for one in vain.
    (output / "_build" / "html" / "index.html").write_text(FORWARD)
    shutil.rmtree(HTML, ignore_errors=True)
    (output / "_build" / "html").replace(HTML)
    kept.mkdir()
    (output / "_build" / ".doctrees").replace(kept / tools)
    shutil.rmtree(output)
    print(f"site: done, open {(HTML / 'index.html').relative_to(ROOT)}", flush=True)
    return True
