"""The folder of a build: one build at a time, and files that are as they were made."""

import errno
import fcntl
import json
import multiprocessing
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import IO, Any

import psutil
from doit.dependency import JsonDB

from malfl.values import write_whole
from rules.chapters import checksum

UNWRITABLE = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space") | dict.fromkeys(
    (errno.EACCES, errno.EPERM, errno.EROFS), "see to it that it can be written"
)
GLANCE = 0.5  # seconds between looks at whether the build is still there
LOCKS: list[IO[str]] = []  # held until this process and those it started have ended


def have_alone(folder: Path, state: Path) -> None:
    """Make the folder of a build, or stop if it cannot be written or another build is at work.

    A ``state`` that a full disk or a killed build left broken is removed: then all is looked at.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        sys.exit(f"{folder} must be a folder that can be written: {error.strerror}")
    if multiprocessing.parent_process() is not None:
        end_with_parent()
    else:
        os.register_at_fork(after_in_child=end_with_parent)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with lock:
                lock.seek(0)
                other = lock.read()
            sys.exit(f"{folder}: a build is at work, process {other}; wait until it ends")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        LOCKS.append(lock)
        end_with_workers()
    try:
        json.loads(state.read_bytes())
    except FileNotFoundError:
        pass
    except ValueError:
        state.unlink()
        print(f"{state} was broken; everything is looked at again", flush=True)


def end_with_parent() -> None:
    """Let this process and those it starts end soon after the build does, however that ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(GLANCE)
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def end_with_workers() -> None:
    """Let this build end soon after a worker is killed; doit would wait for it forever."""

    def watch() -> None:
        workers = set(multiprocessing.active_children())
        while not any(worker.exitcode for worker in workers):
            time.sleep(GLANCE)
            workers |= set(multiprocessing.active_children())
        print("FAILED, a worker was killed, maybe for want of memory; build again", flush=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class WholeState(JsonDB):  # type: ignore[misc]
    """What doit remembers, written whole or not at all; `pyproject.toml` names it to doit."""

    def dump(self) -> None:
        """Write it."""
        text = self.codec.encode(self._db)
        try:
            write_whole(Path(self.name), lambda draft: draft.write_text(text))
        except OSError as error:
            sys.exit(hint(error))


def in_one_line(action: Callable[[], object]) -> Callable[[], object]:
    """An action for doit that fails with one line if it cannot write."""

    @wraps(action)
    def act() -> object:
        try:
            return action()
        except OSError as error:
            print(f"FAILED, {hint(error)}", flush=True)
            return False

    return act


def hint(error: OSError) -> str:
    """What to do where nothing can be written; raises the error if it is another one."""
    if error.errno not in UNWRITABLE:
        raise error
    todo = UNWRITABLE[error.errno]
    return f"{error.filename or 'the build'}: {error.strerror}; {todo} and build again"


def raise_unwritable(text: str, path: Path) -> None:
    """Raise why another program could not write to a path, if what it printed says so."""
    for number in map(int, re.findall(r"\[Errno (\d+)\]", text)):
        if number in UNWRITABLE:
            raise OSError(number, os.strerror(number), str(path))


def as_made(*paths: Path) -> Callable[..., bool]:
    """A rule for doit: files, and all files of folders, are as the task left them."""

    def unchanged(task: Any, values: dict[str, Any]) -> bool:  # noqa: ANN401
        task.value_savers.append(lambda: {"made": checksums(paths)})
        return values.get("made") == checksums(paths)

    return unchanged


def checksums(paths: tuple[Path, ...]) -> dict[str, str | None]:
    """SHA-256 of files, and of all files of folders, by their names."""
    files = [
        file
        for path in paths
        for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
        if file.is_file()
    ]
    return {str(file): checksum(file) for file in files}
