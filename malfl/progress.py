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
from contextvars import copy_context
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from malfl import checks

P = ParamSpec("P")
T = TypeVar("T")

GLANCE = 0.05  # seconds between looks at whether to stop
PATIENCE = 0.5  # seconds that stopped work has to end
APART = "malfl: work apart"  # name of threads that are waited for
HERE = threading.local()  # .work: what this thread works for; .apart: whether another waits for it


class _Work:
    """What `advance` tells: a sign to stop, a bar of this process, and the work this is part of."""

    def __init__(
        self,
        stopped: Callable[[], bool] = lambda: False,
        bar: "tqdm[Any] | None" = None,
        within: "_Work | None" = None,
        counted: bool = True,
    ) -> None:
        self.stopped, self.bar, self.within = stopped, bar, within
        self.counted = counted  # whether a bar shows how far it is
        self.looked = 0.0
        self.lock = threading.Lock()

    def advance(self, steps: int) -> None:
        if self.bar is not None:
            with self.lock:
                self.bar.update(steps)
        now = time.monotonic()
        if now - self.looked > GLANCE:
            self.looked = now
            if self.stopped():
                raise CancelledError("the work was stopped")
        if self.within is not None:
            self.within.advance(steps)


def _here() -> _Work | None:
    return getattr(HERE, "work", None)


def advance(steps: int = 0) -> None:
    """Tell that so many steps are done; raises CancelledError if they are no longer wanted."""
    if (work := _here()) is not None:
        work.advance(steps)


@contextmanager
def _working(work: _Work) -> Iterator[None]:
    before = _here()
    HERE.work = work
    try:
        yield
    finally:
        HERE.work = before


def interruptible(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function be interrupted at once, whatever it is busy with.

    Python hears an interrupt between steps of its own, so never in the middle of a decomposition.
    The function is called in another thread, which ends at its next `advance` if it is stopped.
    """

    @wraps(function)
    def call(*given: P.args, **options: P.kwargs) -> T:
        if getattr(HERE, "apart", False):
            return function(*given, **options)
        return _apart(partial(function, *given, **options))

    return call


def _apart(function: Callable[[], T]) -> T:
    """Call a function in another thread and wait for it, an interrupt, or a sign to stop."""
    within, stopped, context = _here(), threading.Event(), copy_context()
    work = _Work(stopped.is_set, within=within, counted=within is not None and within.counted)
    results: list[T] = []
    errors: list[BaseException] = []
    # A plain lock: an interrupt may leave a future's locked, and the other thread waits for ever.
    at_work = threading.Lock()
    at_work.acquire()

    def call() -> None:
        HERE.apart = True
        try:
            with _working(work):
                results.append(context.run(function))
        except BaseException as error:
            errors.append(error)
        finally:
            at_work.release()

    thread = threading.Thread(target=call, name=APART, daemon=True)
    try:
        thread.start()  # an interrupt may come while it does
        while not at_work.acquire(timeout=GLANCE):
            advance()
    except BaseException:
        stopped.set()
        at_work.acquire(timeout=PATIENCE)
        raise
    if errors:
        raise errors.pop()
    return results.pop()


@contextmanager
def bar(total: int, unit: str = "step") -> Iterator[None]:
    """A bar that `advance` moves. It appears in a terminal after two seconds.

    Inside other work that has a bar, or is one of several calls, there is no second one. Linear
    algebra keeps to one thread meanwhile: with small matrices more of them only wait for each
    other, and the last digits would depend on how many there are.
    """
    within = _here()
    if within is not None and within.counted:
        yield
        return
    # `disable=None` keeps the bar off anything but a terminal.
    shown = tqdm(total=total, unit=unit, unit_scale=True, delay=2, disable=None, leave=False)
    with shown, threadpool_limits(1, "blas"), _working(_Work(bar=shown, within=within)):
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
        raise TypeError(f"executor must be one of concurrent.futures, got {checks.shown(executor)}")
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
                    result = _apart(partial(function, *call))
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
    near = stop.parent.exists()  # where the caller's folder is seen, it goes when the caller does

    def stopped() -> bool:
        return stop.exists() or (near and not stop.parent.exists())

    with _working(_Work(stopped)):
        if os.getpid() == caller:  # linear algebra already keeps to one thread
            return _apart(partial(function, *given))
        with threadpool_limits(1, "blas"):
            return _apart(partial(function, *given))


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
