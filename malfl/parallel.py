"""Long work in the open: counted on a bar, stopped by Ctrl-C, spread over threads."""

import os
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from typing import TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

T = TypeVar("T")

Job = Generator[int, None, T]
"""Work that yields the number of steps done every few milliseconds, and returns its result."""


def run(jobs: Sequence[Job[T]], steps: int, threads: int = 1) -> list[T]:
    """Run all jobs and return their results in order; what they are does not depend on threads.

    A bar appears in a terminal after two seconds. An interrupt, or an error of any job, stops the
    others within milliseconds, and nothing is returned. Linear algebra keeps to one thread
    meanwhile: with small matrices more of them only wait for each other, and the last digits would
    depend on how many there are.

    Parameters
    ----------
    steps
        That all jobs do together.
    threads
        How many jobs run at the same time, at least 1.
    """
    stop, lock = threading.Event(), threading.Lock()
    # `disable=None` keeps the bar off anything but a terminal.
    with (
        tqdm(total=steps, unit="step", unit_scale=True, delay=2, disable=None, leave=False) as bar,
        threadpool_limits(1, "blas"),
    ):

        def drive(job: Job[T]) -> T:
            try:
                while not stop.is_set():
                    done = next(job)
                    with lock:
                        bar.update(done)
            except StopIteration as end:
                result: T = end.value
                return result
            raise CancelledError

        if threads == 1:
            return [drive(job) for job in jobs]
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(drive, job) for job in jobs]
            try:
                ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                stop.set()  # for those that are still at work, after an error or an interrupt
            for future in ended:
                future.result()
            return [future.result() for future in futures]


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
