"""What a build leaves when it is killed, has no room, or is not alone: the next one is right.

MALFL_KILLS says how many builds are killed at a random moment, and how many meet a full disk or
another build, by hand; `make test` does one of each.
"""

import errno
import os
import random
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial

import psutil
import pytest
from test_build import Book, write_chapter
from test_make_site import Site

from rules.folder import in_one_line

SECONDS = rb'Wall-clock: [\d.]+ s|"seconds": [\d.]+|"cells": "\w+"'  # and what depends on them
TRIALS = range(int(os.environ.get("MALFL_KILLS", "1")))


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"))


def begin(book):
    """A build in a session of its own."""
    return subprocess.Popen(
        book.command(), env=book.environment(), cwd=book.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def lines_until(process, sign):
    """The lines of a build up to one that holds a sign."""
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if sign in line:
            return lines
    raise AssertionError("\n".join(lines))


def crashed(output):
    """Whether it shows a traceback; kernels may print one of ZeroMQ's when they end."""
    return "Traceback" in re.sub(
        r"ERROR:tornado.*?zmq\.error\.ZMQError: .*?\n", "", output, flags=re.S
    )


def at_work(book):
    """The processes of a book's builds that did not end, by where they work; kernels, too."""
    found = []
    for one in psutil.process_iter():
        with suppress(psutil.Error):
            inside = one.cwd().startswith(str(book.folder))
            if inside and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
    return found


def wait_until_nobody_is_left(book):
    give_up = time.monotonic() + 30
    while running := at_work(book):
        assert time.monotonic() < give_up, running
        time.sleep(0.1)


def made(book):
    """All files of results and of the site, without the seconds that chapters took."""
    folders = (book.out / "results", book.out / "html")
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {
        str(file.relative_to(book.out)): re.sub(SECONDS, b"", file.read_bytes())
        for file in files
        if file.name != "searchindex.js"  # which holds the seconds as words
    }


@pytest.mark.parametrize("seed", TRIALS)
def test_after_a_kill_at_any_moment_the_next_build_is_right(site, seed):
    draw = random.Random(seed)
    whole = made(site)
    shutil.rmtree(site.out / "notebooks")
    began = time.monotonic()
    assert site.build()[0] == 0
    took = time.monotonic() - began
    assert made(site) == whole

    shutil.rmtree(site.out / "notebooks")
    process = begin(site)
    time.sleep(draw.uniform(0, took))
    victim = draw.choice(["everybody", "the build", "a child"])
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        if victim == "everybody":
            os.killpg(process.pid, signal.SIGKILL)
        elif victim == "the build":
            process.kill()
        else:
            draw.choice(at_work(site)).kill()
    output, _ = process.communicate(timeout=60)
    assert not crashed(output)
    wait_until_nobody_is_left(site)
    status, _, output = site.build()
    assert status == 0, output
    assert made(site) == whole


@pytest.mark.parametrize("seed", TRIALS)
def test_of_two_builds_at_once_one_is_right_and_the_other_leaves(site, seed):
    whole = made(site)
    shutil.rmtree(site.out / "notebooks")
    first = begin(site)
    time.sleep(random.Random(seed).uniform(0, 3))
    second = begin(site)
    outputs = [process.communicate(timeout=120)[0] for process in (first, second)]
    left = [process.returncode != 0 for process in (first, second)]
    assert sum(left) == 1
    other = (first, second)[left.index(False)].pid
    assert f"a build is at work, process {other}; wait until" in outputs[left.index(True)]
    assert not crashed("".join(outputs))
    assert made(site) == whole


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_goes_on_where_it_was(book, how):
    write_chapter(book.folder, "two", "import time\ntime.sleep(60)")
    process = begin(book)
    awaited = {"one: done", "two: cell 3"}
    for line in process.stdout:
        awaited -= {sign for sign in awaited if sign in line}
        if not awaited:
            break
    os.killpg(process.pid, how)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert (book.out / "notebooks" / "one.ipynb").exists()
    assert not (book.out / "notebooks" / "two.ipynb").exists()
    write_chapter(book.folder, "two")
    assert book.build()[:2] == (0, {"two"})


def test_what_a_full_disk_cuts_short_is_made_again(book):
    book.build()
    for file, ran in (("doit.json", set()), ("notebooks/one.ipynb", {"one"})):
        path = book.out / file
        path.write_bytes(path.read_bytes()[:100])
        assert book.build()[:2] == (0, ran)
        assert book.build()[:2] == (0, set())
    (book.out / "doit.json").write_text("")
    status, ran, output = book.build()
    assert (status, ran) == (0, set())
    assert "doit.json was broken; everything is looked at again" in output


def test_a_folder_is_built_by_one_build_at_a_time(book):
    write_chapter(book.folder, "two", "import time\ntime.sleep(60)")
    first = begin(book)
    lines_until(first, "two: cell 3")
    status, ran, output = book.build()
    assert (status != 0, ran) == (True, set())
    assert f"a build is at work, process {first.pid}; wait until it ends" in output
    assert not crashed(output)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=30)
    write_chapter(book.folder, "two")
    assert book.build()[0] == 0


@pytest.fixture
def disk():
    """Lets a book's folder of builds be on a disk of its own, of a size, to be read only or not."""
    mounted = []

    def mount(book, options):
        folder = book.folder / "_build"
        folder.mkdir(exist_ok=True)
        again = "remount," if folder in mounted else ""
        command = ["mount", "-t", "tmpfs", "-o", again + options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("only root can mount a small disk")
        mounted.append(folder)

    yield mount
    for folder in set(mounted):
        subprocess.run(["umount", "-l", str(folder)], capture_output=True)


@pytest.mark.parametrize("size", ["8k", "16k"])
def test_a_full_disk_ends_the_build_in_one_line(book, disk, size):
    disk(book, f"size={size}")
    status, _, output = book.build()
    assert status != 0
    assert "No space left on device; free some space and build again" in output
    assert not crashed(output)
    disk(book, "size=9m")
    assert book.build()[0] == 0
    assert (book.value("one"), book.value("two")) == ("x\n1\n", "x\n1\n")


@pytest.mark.parametrize("seed", TRIALS)
def test_after_a_disk_that_was_full_at_any_moment_the_next_build_is_right(site, disk, seed):
    whole = made(site)
    used = sum(file.stat().st_size for file in site.out.rglob("*") if file.is_file())
    size = int(4096 * (used / 4096) ** random.Random(seed).random())
    disk(site, f"size={size}")
    status, _, output = site.build()
    assert status != 0
    assert "No space left on device; free some space and build again" in output
    assert not crashed(output)
    disk(site, f"size={10 * used}")
    status, _, output = site.build()
    assert status == 0, output
    assert made(site) == whole


def test_a_cell_that_fills_the_disk_is_said_to(book, disk):
    disk(book, "size=200k")
    write_chapter(book.folder, "two", "open('large', 'wb').write(bytes(10**6))")
    status, _, output = book.build()
    assert status != 0
    assert "two: FAILED, " in output
    assert "No space left on device; free some space and build again" in output
    assert not crashed(output)


def test_a_disk_that_is_read_only_ends_the_build_in_one_line(book, disk):
    disk(book, "size=9m")
    assert book.build()[0] == 0
    disk(book, "ro")
    status, ran, output = book.build()
    assert (status != 0, ran) == (True, set())
    assert "_build/quick must be a folder that can be written: Read-only file system" in output
    assert not crashed(output)
    disk(book, "rw")
    assert book.build()[:2] == (0, set())


def test_an_action_that_cannot_write_fails_in_one_line(capsys):
    def act(number=errno.EROFS):
        raise OSError(number, os.strerror(number), "page.html")

    assert in_one_line(act)() is False
    assert capsys.readouterr().out == (
        "FAILED, page.html: Read-only file system; see to it that it can be written and build "
        "again\n"
    )
    with pytest.raises(FileNotFoundError):
        in_one_line(partial(act, errno.ENOENT))()
    assert in_one_line(lambda: "done")() == "done"


def test_nobody_is_left_running_when_only_the_build_is_killed(book):
    write_chapter(book.folder, "two", "import time\ntime.sleep(60)")
    process = begin(book)
    lines_until(process, "two: cell 3")
    process.kill()
    wait_until_nobody_is_left(book)
    process.communicate()
    write_chapter(book.folder, "two")
    assert book.build()[0] == 0


@pytest.mark.parametrize(
    ("victim", "said"),
    [
        ("worker", "FAILED, a worker was killed, maybe for want of memory; build again"),
        ("kernel", "its kernel was killed, maybe for want of memory; build again"),
    ],
)
def test_who_is_killed_is_said_in_one_line(book, victim, said):
    write_chapter(book.folder, "two", "import time\ntime.sleep(60)")
    process = begin(book)
    lines = lines_until(process, "two: cell 3 of 3")
    desk = str(book.out / "running" / "two")
    here = [one for one in at_work(book) if one.cwd() == desk]
    (kernel,) = [one for one in here if "ipykernel_launcher" in one.cmdline()]
    (kernel if victim == "kernel" else kernel.parent()).kill()
    lines += process.communicate(timeout=60)[0].splitlines()
    assert process.returncode != 0
    assert said in lines
    assert not crashed("\n".join(lines))
    wait_until_nobody_is_left(book)


def test_a_folder_that_cannot_be_written_is_named(book):
    (book.folder / "_build").write_text("not a folder")
    status, ran, output = book.build()
    assert (status != 0, ran) == (True, set())
    assert "_build/quick must be a folder that can be written" in output
    assert not crashed(output)
