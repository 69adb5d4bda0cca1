import os
import signal
import threading
import time

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from malfl.parallel import cores, run


def counting(number, pause=0.0, fail=None, log=None):
    """Work of so many steps."""
    for k in range(number):
        time.sleep(pause)
        if log is not None:
            log.append(k)
        yield 1
    if fail:
        raise fail
    return number


def endless(log):
    while True:
        time.sleep(0.002)
        log.append(time.monotonic())
        yield 1


@pytest.mark.parametrize("threads", [1, 2, 5, 20])
def test_results_come_in_order(threads):
    numbers = [9, 1, 5, 0, 3, 7, 2]
    jobs = [counting(n, pause=0.001) for n in numbers]
    assert run(jobs, sum(numbers), threads) == numbers


@pytest.mark.parametrize("threads", [1, 2])
def test_linear_algebra_keeps_to_one_thread(threads):
    def blas():
        return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}

    def looking():
        yield 1
        return blas()

    with threadpool_limits(2, "blas"):
        assert run([looking(), looking()], 2, threads) == [{1}, {1}]
        assert blas() == {2}  # as it was


def test_nothing_to_run_is_no_result():
    assert run([], 0) == run([], 0, 3) == []


def test_jobs_run_at_the_same_time():
    meeting = threading.Barrier(3, timeout=5)

    def meet():
        meeting.wait()
        yield 1
        return "met"

    assert run([meet() for _ in range(3)], 3, threads=3) == ["met"] * 3


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
@pytest.mark.parametrize(("threads", "place"), [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_what_goes_wrong_in_one_job_stops_all(error, threads, place):
    log = []
    jobs = [counting(1000, pause=0.003, log=log) for _ in range(4)]
    jobs[place] = counting(2, fail=error)
    before = time.monotonic()
    with pytest.raises(type(error)):
        run(jobs, 4000, threads)
    assert time.monotonic() - before < 1.5
    seen = len(log)
    time.sleep(0.05)
    assert len(log) == seen < 500


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_stops_all(threads):
    log = []
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run([endless(log) for _ in range(4)], 10**9, threads)
    assert time.monotonic() - before < 1.5
    seen = len(log)
    time.sleep(0.05)
    assert len(log) == seen
    timer.join()


def test_jobs_that_wait_when_one_fails_never_begin():
    log = []
    jobs = [counting(1, fail=ValueError("broken")), *(counting(9, log=log) for _ in range(3))]
    with pytest.raises(ValueError, match="broken"):
        run(jobs, 30, threads=1)
    assert log == []


def test_there_is_a_processor():
    assert 1 <= cores() <= os.cpu_count()
