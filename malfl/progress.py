"""Long work in the open: a bar, an interrupt that is heard, and calls spread over an executor.

Work is a plain function that calls `advance` every few milliseconds. What it is called by decides
what that does: count on a bar, or end the work because something else has gone wrong.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

T = TypeVar("T")

GLANCE = 0.05  # seconds between looks at whether to stop
HERE = threading.local()  # .work: what this thread works for


class _Work:
    """What `advance` tells: a bar of this process, if there is one, and a sign to stop."""

    def __init__(self, stop: Path | None = None, bar: "tqdm[Any] | None" = None) -> None:
        self.stop, self.bar, self.looked = stop, bar, 0.0
        # Where the caller's folder is seen, it goes when the caller does.
        self.near = stop is not None and stop.parent.exists()
        self.lock = threading.Lock()

    def advance(self, steps: int) -> None:
        if self.bar is not None:
            with self.lock:
                self.bar.update(steps)
        now = time.monotonic()
        if self.stop is not None and now - self.looked > GLANCE:
            self.looked = now
            if self.stop.exists() or (self.near and not self.stop.parent.exists()):
                raise CancelledError("the work was stopped")


def advance(steps: int = 0) -> None:
    """Tell that so many steps are done; raises CancelledError if they are no longer wanted."""
    if (work := getattr(HERE, "work", None)) is not None:
        work.advance(steps)


@contextmanager
def _working(work: _Work) -> Iterator[None]:
    before = getattr(HERE, "work", None)
    HERE.work = work
    try:
        yield
    finally:
        HERE.work = before


@contextmanager
def bar(total: int, unit: str = "step") -> Iterator[None]:
    """A bar that `advance` moves. It appears in a terminal after two seconds.

    Inside other work that has a bar, or is one of several calls, there is no second one. Linear
    algebra keeps to one thread meanwhile: with small matrices more of them only wait for each
    other, and the last digits would depend on how many there are.
    """
    if getattr(HERE, "work", None) is not None:
        yield
        return
    # `disable=None` keeps the bar off anything but a terminal.
    shown = tqdm(total=total, unit=unit, unit_scale=True, delay=2, disable=None, leave=False)
    with shown, threadpool_limits(1, "blas"), _working(_Work(bar=shown)):
        yield


def run(
    function: Callable[..., T],
    calls: Sequence[tuple[Any, ...]],
    executor: Executor | None = None,
    ended: Callable[[int, T], object] | None = None,
) -> list[T]:
    """Call a function once for each tuple of arguments, several at a time, with a bar.

    An interrupt, or an error of any call, stops the others within a fraction of a second, wherever
    they run on this machine; nothing is returned then.

    Parameters
    ----------
    executor
        Of ``concurrent.futures``, or one like it, such as Dask's. By default threads, as many as
        there are processors. Results do not depend on it. For processes the function and its
        arguments must be picklable.
    ended
        Is told the number and the result of each call as it ends, in this thread.

    Returns
    -------
    list
        Results in the order of the calls.

    Raises
    ------
    TypeError
        If ``executor`` is none.
    RuntimeError
        If it dies.
    """
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must be one of concurrent.futures, got {executor!r}")
    results: dict[int, T] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=len(calls), unit="run", delay=2, disable=None, leave=False) as shown,
        threadpool_limits(1, "blas"),
    ):

        def take(number: int, result: T) -> None:
            results[number] = result
            shown.update()
            if ended is not None:
                ended(number, result)

        if executor is not None:
            _spread(function, calls, executor, Path(folder) / "stop", take)
        elif len(calls) < 2 or cores() == 1:
            for number, call in enumerate(calls):
                with _working(_Work()):
                    result = function(*call)
                take(number, result)
        else:
            with ThreadPoolExecutor(cores()) as threads:
                _spread(function, calls, threads, Path(folder) / "stop", take)
    return [results[number] for number in range(len(calls))]


def _spread(
    function: Callable[..., T],
    calls: Sequence[tuple[Any, ...]],
    executor: Executor,
    stop: Path,
    take: Callable[[int, T], None],
) -> None:
    futures: dict[Future[T], int] = {}
    try:
        for number, call in enumerate(calls):
            futures[executor.submit(_call, function, call, stop, os.getpid())] = number
        left = set(futures)
        while left:
            done, left = wait(left, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=futures.__getitem__):
                take(futures[future], future.result())
    except BaseException as error:
        stop.touch()
        wait([future for future in futures if not future.cancel()], timeout=10)
        if isinstance(error, BrokenExecutor):
            raise RuntimeError(f"executor {type(executor).__name__} died: {error}") from error
        raise


def _call(function: Callable[..., T], given: tuple[Any, ...], stop: Path, caller: int) -> T:
    """Call a function in whatever thread or process this is."""
    with _working(_Work(stop)):
        if os.getpid() == caller:  # linear algebra already keeps to one thread
            return function(*given)
        with threadpool_limits(1, "blas"):
            return function(*given)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
