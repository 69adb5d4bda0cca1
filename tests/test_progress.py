import io
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import contextmanager

import pytest
from threadpoolctl import threadpool_info, threadpool_limits
from tqdm import tqdm

from malfl import progress
from malfl.progress import advance, bar, cores, run

SOON = 1.5  # seconds, on a busy machine


class Bar:
    """What tqdm would be asked to show."""

    def __init__(self, **options):
        self.options, self.updates, self.open = options, [], False

    def __enter__(self):
        self.open = True
        return self

    def __exit__(self, *error):
        self.open = False

    def update(self, steps=1):
        assert self.open
        self.updates.append(steps)


@pytest.fixture
def bars(monkeypatch):
    shown = []

    def show(**options):
        shown.append(Bar(**options))
        return shown[-1]

    monkeypatch.setattr(progress, "tqdm", show)
    return shown


class ThreadForEach(Executor):
    """An executor that knows nothing of pools."""

    def submit(self, function, /, *given, **options):
        future = Future()

        def work():
            future.set_running_or_notify_cancel()
            try:
                future.set_result(function(*given, **options))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work).start()
        return future


class AtOnce(Executor):
    """An executor that calls in the thread of who submits."""

    def submit(self, function, /, *given, **options):
        future = Future()
        try:
            future.set_result(function(*given, **options))
        except Exception as error:
            future.set_exception(error)
        return future


def blas_on_two_threads():
    import numpy  # noqa: F401

    threadpool_limits(2, "blas")


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=blas_on_two_threads) as pool:
        list(pool.map(time.sleep, [0.1] * 2))
        yield pool


@pytest.fixture(params=["default", "threads", "processes", "a thread for each", "at once"])
def executor(request, monkeypatch):
    monkeypatch.setattr(progress, "cores", lambda: 2)
    if request.param == "default":
        yield None
    elif request.param == "threads":
        with ThreadPoolExecutor(2) as threads:
            yield threads
    elif request.param == "processes":
        yield request.getfixturevalue("processes")
    else:
        yield {"a thread for each": ThreadForEach, "at once": AtOnce}[request.param]()


@pytest.fixture(params=["default", "processes", "a thread for each"])
def several_at_once(request, monkeypatch):
    monkeypatch.setattr(progress, "cores", lambda: 3)
    if request.param == "processes":
        return request.getfixturevalue("processes")
    return {"default": None, "a thread for each": ThreadForEach()}[request.param]


# Calls, which processes find by their names.


def squared_after(number, pause):
    time.sleep(pause)
    advance(1)
    return number**2


def counted(steps):
    with bar(steps):
        for _ in range(steps):
            advance(1)
    return steps


def endless(file):
    while True:
        time.sleep(0.002)
        with file.open("a") as log:
            log.write("x")
        advance(1)


def fail_or_go_on(number, failing, error, folder):
    if number == failing:
        while not list(folder.glob("log-*")):
            time.sleep(0.002)
        raise error
    endless(folder / f"log-{number}")


def end_after_the_one_before(number, folder):
    before = time.monotonic()
    while number and not (folder / f"{number - 1} is known").exists():
        time.sleep(0.005)
        assert time.monotonic() - before < 20
    return -number


def blas_threads():
    import numpy  # noqa: F401

    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def die(number):
    if number:
        os._exit(1)
    time.sleep(0.2)


# The bar.


def test_every_step_is_counted_once(bars):
    with bar(10):
        for steps in (3, 0, 7):
            advance(steps)
        assert bars[0].open
    (shown,) = bars
    assert shown.options["total"] == 10
    assert shown.options["unit"] == "step"
    assert sum(shown.updates) == 10
    assert not shown.open


def test_a_bar_says_what_it_counts(bars):
    with bar(3, "page"):
        advance(1)
    assert bars[0].options["unit"] == "page"


def test_work_within_work_moves_the_same_bar(bars):
    with bar(10):
        advance(2)
        with bar(5, "another"):
            advance(3)
            with bar(1):
                advance(4)
        advance(1)
    assert len(bars) == 1
    assert sum(bars[0].updates) == 10
    with bar(2):
        advance(2)
    assert [sum(shown.updates) for shown in bars] == [10, 2]


def test_without_a_bar_nothing_is_counted(bars):
    advance(5)
    with bar(1):
        pass
    advance(5)
    assert [sum(shown.updates) for shown in bars] == [0]


def break_after_a_step():
    with bar(3):
        advance(1)
        raise ValueError("broken")


def test_after_an_error_there_are_bars_again(bars):
    with pytest.raises(ValueError, match="broken"):
        break_after_a_step()
    assert not bars[0].open
    with bar(3):
        advance(2)
    assert [sum(shown.updates) for shown in bars] == [1, 2]


def test_another_threads_steps_move_no_bar_of_this_one(bars):
    def elsewhere():
        advance(100)
        with bar(7):
            advance(7)

    with bar(3):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        advance(3)
    assert [sum(shown.updates) for shown in bars] == [3, 7]


class Screen(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("work", ["bar", "run"])
def test_bars_are_for_terminals(monkeypatch, terminal, work):
    screen = Screen(terminal)
    delays = []

    def at_once(**options):
        delays.append(options.pop("delay"))
        return tqdm(**options, file=screen, mininterval=0, miniters=1)

    monkeypatch.setattr(progress, "tqdm", at_once)
    if work == "bar":
        with bar(1000):
            advance(500)
    else:
        run(squared_after, [(number, 0) for number in range(10)])
    assert delays == [2]
    written = screen.getvalue()
    if terminal:
        assert ("500/1.00k" if work == "bar" else "10/10") in written
        assert written.endswith("\r")  # and nothing stays
    else:
        assert written == ""


@pytest.mark.parametrize("number", [2, 5])
def test_calls_share_one_bar_that_counts_them(bars, executor, number):
    calls = [(steps,) for steps in range(10, 10 + number)]
    assert run(counted, calls, executor) == list(range(10, 10 + number))
    (shown,) = bars
    assert shown.options["total"] == number
    assert shown.options["unit"] == "run"
    assert shown.updates == [1] * number
    assert not shown.open


@pytest.mark.parametrize(("processors", "number"), [(1, 4), (2, 1)])
def test_calls_one_after_the_other_share_one_bar_too(bars, monkeypatch, processors, number):
    monkeypatch.setattr(progress, "cores", lambda: processors)
    assert run(counted, [(10,)] * number) == [10] * number
    assert [shown.options["unit"] for shown in bars] == ["run"]
    assert bars[0].updates == [1] * number


def test_the_bar_of_calls_moves_as_they_end(bars, several_at_once, tmp_path):
    seen = []

    def ended(number, result):
        seen.append(len(bars[0].updates))
        (tmp_path / f"{number} is known").touch()

    run(
        end_after_the_one_before,
        [(number, tmp_path) for number in range(2)],
        several_at_once,
        ended,
    )
    assert seen == [1, 2]


def test_after_calls_in_this_thread_there_are_bars_again(bars):
    run(counted, [(3,), (4,)], AtOnce())
    with bar(2):
        advance(2)
    assert [sum(shown.updates) for shown in bars] == [2, 2]


# Calls and their results.


def test_results_come_in_the_order_of_the_calls(executor):
    pauses = [0.09, 0.01, 0.05, 0.0, 0.03, 0.07, 0.02]
    calls = list(enumerate(pauses))
    assert run(squared_after, calls, executor) == [number**2 for number in range(7)]


@pytest.mark.parametrize("processors", [1, 2, 5, 20])
def test_results_do_not_depend_on_the_number_of_processors(monkeypatch, processors):
    monkeypatch.setattr(progress, "cores", lambda: processors)
    calls = [(number, 0.001 * (7 - number)) for number in range(7)]
    assert run(squared_after, calls) == [number**2 for number in range(7)]


def test_nothing_to_call_is_no_result(executor):
    ended = []
    assert run(squared_after, [], executor, lambda *one: ended.append(one)) == []
    assert ended == []


def test_calls_run_at_the_same_time(monkeypatch):
    monkeypatch.setattr(progress, "cores", lambda: 3)
    meeting = threading.Barrier(3, timeout=5)

    def meet():
        meeting.wait()
        return "met"

    assert run(meet, [()] * 3) == ["met"] * 3


def test_each_result_is_handed_on_once_in_the_callers_thread(executor):
    ended = []

    def note(number, result):
        ended.append((number, result, threading.get_ident()))

    calls = [(number, 0.01 * (3 - number)) for number in range(4)]
    run(squared_after, calls, executor, note)
    here = threading.get_ident()
    assert sorted(ended) == [(number, number**2, here) for number in range(4)]


def test_results_are_handed_on_while_others_still_run(several_at_once, tmp_path):
    known = []

    def ended(number, result):
        known.append((number, result))
        (tmp_path / f"{number} is known").touch()

    run(
        end_after_the_one_before,
        [(number, tmp_path) for number in range(4)],
        several_at_once,
        ended,
    )
    assert known == [(0, 0), (1, -1), (2, -2), (3, -3)]


def test_one_processor_hands_on_each_result_before_the_next_call(monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "cores", lambda: 1)
    known = []

    def ended(number, result):
        known.append((number, result))
        (tmp_path / f"{number} is known").touch()

    run(end_after_the_one_before, [(number, tmp_path) for number in range(3)], None, ended)
    assert known == [(0, 0), (1, -1), (2, -2)]


# What goes wrong.


def still(folder):
    """Whether nothing is written any more, and what was."""
    before = {file.name: file.stat().st_size for file in folder.glob("log-*")}
    time.sleep(0.1)
    assert {file.name: file.stat().st_size for file in folder.glob("log-*")} == before
    return before


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("failing", [0, 1])
def test_what_goes_wrong_in_one_call_stops_all(several_at_once, error, failing, tmp_path):
    calls = [(number, failing, error, tmp_path) for number in range(6)]
    before = time.monotonic()
    with pytest.raises(type(error)):
        run(fail_or_go_on, calls, several_at_once)
    assert time.monotonic() - before < SOON
    assert still(tmp_path)


@contextmanager
def interrupt_once_begun(folder):
    """Ctrl-C as soon as a call has written to its log; the list gets the moment of it."""
    moments = []

    def wait_and_interrupt():
        give_up = time.monotonic() + 60
        while not any(file.stat().st_size for file in folder.glob("log-*")):
            if time.monotonic() > give_up:
                break  # the interrupt ends the calls; the test sees that nothing was written
            time.sleep(0.01)
        moments.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait_and_interrupt)
    thread.start()
    yield moments
    thread.join()


def test_an_interrupt_stops_all(several_at_once, tmp_path):
    calls = [(tmp_path / f"log-{number}",) for number in range(4)]
    with interrupt_once_begun(tmp_path) as moments, pytest.raises(KeyboardInterrupt):
        run(endless, calls, several_at_once)
    assert time.monotonic() - moments[0] < SOON
    assert still(tmp_path)


def test_an_interrupt_stops_a_single_call(tmp_path):
    with interrupt_once_begun(tmp_path), pytest.raises(KeyboardInterrupt):
        run(endless, [(tmp_path / "log-0",)])
    assert still(tmp_path)


def test_an_interrupt_while_a_call_begins_stops_it(monkeypatch, tmp_path):
    start, log = threading.Thread.start, tmp_path / "log-0"

    def start_and_interrupt(thread):
        start(thread)
        if thread.name == progress.APART:
            while not log.exists():
                time.sleep(0.001)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(endless, [(log,)])
    assert still(tmp_path)


def end_or_go_on(number, folder):
    if number:
        endless(folder / f"log-{number}")


def test_an_error_on_hearing_of_a_result_stops_all(several_at_once, tmp_path):
    def ended(number, result):
        raise OSError("disk full")

    before = time.monotonic()
    with pytest.raises(OSError, match="disk full"):
        run(end_or_go_on, [(number, tmp_path) for number in range(4)], several_at_once, ended)
    assert time.monotonic() - before < SOON
    still(tmp_path)


def test_calls_that_wait_when_one_fails_never_begin(monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "cores", lambda: 1)
    with pytest.raises(ValueError, match="broken"):
        run(fail_or_begin, [(number, tmp_path) for number in range(3)])
    assert not list(tmp_path.iterdir())


def fail_or_begin(number, folder):
    if number == 0:
        raise ValueError("broken")
    (folder / str(number)).touch()


def test_calls_that_wait_for_a_thread_when_one_fails_never_begin(tmp_path):
    with ThreadPoolExecutor(1) as thread, pytest.raises(ValueError, match="broken"):
        run(fail_or_take_long, [(number, tmp_path) for number in range(20)], thread)
    assert len(list(tmp_path.iterdir())) <= 2  # one had begun before the error was seen


def fail_or_take_long(number, folder):
    time.sleep(0.1)
    if number == 0:
        raise ValueError("broken")
    (folder / str(number)).touch()


def test_a_stopped_call_is_told_so_at_its_next_step(monkeypatch):
    monkeypatch.setattr(progress, "cores", lambda: 2)
    errors = []

    def heard(number):
        if number == 0:
            time.sleep(0.1)
            raise ValueError("broken")
        try:
            while True:
                time.sleep(0.002)
                advance()
        except CancelledError as error:
            errors.append(str(error))
            raise

    with pytest.raises(ValueError, match="broken"):
        run(heard, [(0,), (1,)])
    assert errors == ["the work was stopped"]


def test_a_pool_goes_on_after_an_error(several_at_once, tmp_path):
    calls = [(number, 0, ValueError("broken"), tmp_path) for number in range(4)]
    with pytest.raises(ValueError, match="broken"):
        run(fail_or_go_on, calls, several_at_once)
    assert run(squared_after, [(3, 0), (4, 0)], several_at_once) == [9, 16]
    advance(1)


def test_workers_that_die_are_reported():
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(2, context) as pool,
        pytest.raises(RuntimeError, match="executor ProcessPoolExecutor died: "),
    ):
        run(die, [(0,), (1,), (0,)], pool)


def test_an_executor_that_takes_no_more_calls_is_reported():
    class Full(ThreadForEach):
        left = 2

        def submit(self, function, /, *given, **options):
            self.left -= 1
            if self.left < 0:
                raise BrokenExecutor("out of order")
            return super().submit(function, *given, **options)

    with pytest.raises(RuntimeError, match="executor Full died: out of order"):
        run(squared_after, [(number, 0.01) for number in range(4)], Full())


# Linear algebra.


def test_linear_algebra_of_calls_keeps_to_one_thread(executor):
    with threadpool_limits(2, "blas"):
        assert run(blas_threads, [()] * 3, executor) == [{1}] * 3
        assert blas_threads() == {2}  # as it was


@pytest.mark.parametrize(("processors", "number"), [(1, 2), (2, 1)])
def test_linear_algebra_of_calls_in_turn_keeps_to_one_thread(monkeypatch, processors, number):
    monkeypatch.setattr(progress, "cores", lambda: processors)
    with threadpool_limits(2, "blas"):
        assert run(blas_threads, [()] * number) == [{1}] * number
        assert blas_threads() == {2}


def test_processes_get_their_threads_back(processes):
    run(blas_threads, [()] * 3, processes)
    assert processes.submit(blas_threads).result() == {2}


def test_linear_algebra_within_a_bar_keeps_to_one_thread():
    with threadpool_limits(2, "blas"):
        with bar(1):
            assert blas_threads() == {1}
            with bar(1):
                assert blas_threads() == {1}
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def test_there_is_a_processor():
    assert 1 <= cores() <= os.cpu_count()


def test_what_is_no_executor_is_named():
    with pytest.raises(TypeError, match="executor must be one of concurrent"):
        run(abs, [(1,)], executor="threads")
