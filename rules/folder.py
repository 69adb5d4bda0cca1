"""The folder of a build: one build at a time, and files that are as they were made."""

import fcntl
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from rules.chapters import checksum

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
    if multiprocessing.parent_process() is None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            sys.exit(f"{folder}: a build is at work, process {lock.read()}; wait until it ends")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        LOCKS.append(lock)
    try:
        json.loads(state.read_bytes())
    except FileNotFoundError:
        pass
    except ValueError:
        state.unlink()
        print(f"{state} was broken; everything is looked at again", flush=True)


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
