"""Worker processes: what becomes of tasks when one dies, and of workers without a parent."""

import atexit
import ctypes
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import cloudpickle
import numpy as np
import psutil
import pytest

from hpsearch.engines.workers import (
    WORKER_ENVIRONMENT,
    LateCallError,
    LokyWorkers,
    Lost,
    machines,
    policy,
)
from hpsearch.engines.workers.environment import environment_like, one_core_seen
from hpsearch.errors import HpsearchError

ROOT = Path(__file__).parent.parent.parent

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import it


@pytest.fixture(scope="module")
def workers():
    """Two processes that import nothing, shared by the tests; those that die are replaced."""
    with LokyWorkers(2) as workers:
        yield workers


def test_every_task_gives_its_result(workers):
    def square(number):
        return number**2

    assert sorted(workers.map_unordered(square, list(range(20)))) == [n**2 for n in range(20)]


def test_a_result_is_let_go_once_the_next_is_there(workers):
    results = workers.map_unordered(np.zeros, [7, 8, 9])
    first = weakref.ref(next(results))
    for _ in results:
        assert first() is None


def test_an_exception_of_a_task_is_raised_in_the_parent(workers):
    def fail(number):
        raise LookupError(f"task {number}")

    with pytest.raises(LookupError, match="task 7"):
        list(workers.map_unordered(fail, [7]))


def test_a_task_that_kills_its_worker_is_tried_three_times_and_the_others_complete(workers):
    def work(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    results = list(workers.map_unordered(work, list(range(8))))
    assert [r for r in results if isinstance(r, Lost)] == [Lost(3, attempts=3)]
    assert sorted(r for r in results if r != Lost(3, 3)) == [0, 1, 2, 4, 5, 6, 7]


def test_a_task_whose_worker_dies_once_is_done_by_another(workers, tmp_path):
    def work(number):
        flag = tmp_path / "died"
        if number == 1 and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert sorted(workers.map_unordered(work, [0, 1, 2])) == [0, 1, 2]


def test_a_call_whose_worker_dies_each_time_ends_with_one_clear_line(workers, monkeypatch):
    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(policy, "MAX_ATTEMPTS", 1)
    with pytest.raises(HpsearchError, match=r"died 1 times in die: .*memory ran out.*--jobs"):
        workers.call(die)
    assert workers.call(abs, -1) == 1


def test_workers_run_one_thread_each(workers):
    environment = workers.call(lambda: dict(os.environ))
    assert WORKER_ENVIRONMENT.items() <= environment.items()
    threads = [value for name, value in WORKER_ENVIRONMENT.items() if "THREADS" in name]
    assert set(threads) == {"1"}


def test_a_worker_elsewhere_has_the_variables_of_the_driver_that_change_numbers():
    ours = {"PATH": "/bin", "JAX_ENABLE_X64": "1", "KERAS_HOME": "/there", "OMP_NUM_THREADS": "8"}
    theirs = {"PATH": "/here", "TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_HOME": "/here"}
    assert environment_like(ours, theirs, {"OMP_NUM_THREADS": "1"}) == {
        "PATH": "/bin",
        "KERAS_HOME": "/there",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "OMP_NUM_THREADS": "1",
    }


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no such call")
def test_few_workers_are_kept_on_any_of_the_cores_one_each(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    workers = LokyWorkers.__new__(LokyWorkers)
    workers.jobs, workers._pin = 2, True
    drawn = [workers._cores() for _ in range(20)]
    assert all(len(set(cores)) == 2 for cores in drawn)
    assert len(set(drawn)) > 1


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no such call")
def test_a_process_sees_one_core_while_it_starts_and_all_of_its_threads_get_back_the_others():
    cores = os.sched_getaffinity(0)
    go_on = threading.Event()
    with one_core_seen():
        seen = os.sched_getaffinity(0)
        thread = threading.Thread(target=go_on.wait)
        thread.start()
    of_thread = os.sched_getaffinity(thread.native_id or 0)
    go_on.set()
    thread.join()
    assert len(seen) == 1
    assert of_thread == os.sched_getaffinity(0) == cores


def test_a_task_that_takes_too_long_is_tried_twice_and_the_others_complete(tmp_path):
    def work(number):
        with open(tmp_path / str(number), "a") as stream:
            stream.write("x")
        if number == 1:
            time.sleep(60)
        return number

    with LokyWorkers(2, timeout=1.0) as workers:
        results = list(workers.map_unordered(work, [0, 1, 2, 3]))
    [lost] = [result for result in results if isinstance(result, Lost)]
    assert lost == Lost(1, attempts=2, limit=1.0)
    assert lost.reason == "it took longer than --trial-timeout 1, 2 times"
    assert sorted(result for result in results if result != lost) == [0, 2, 3]
    assert (tmp_path / "1").read_text() == "xx"


def test_time_in_the_queue_does_not_count():
    def work(number):
        time.sleep(0.3)
        return number

    with LokyWorkers(1, timeout=1.0) as workers:
        assert sorted(workers.map_unordered(work, list(range(6)))) == list(range(6))


def test_a_task_without_memory_is_tried_three_times_and_the_others_complete(workers):
    def work(number):
        if number == 2:
            raise MemoryError("no")
        return number

    results = list(workers.map_unordered(work, list(range(5))))
    assert [r for r in results if isinstance(r, Lost)] == [Lost(2, attempts=3)]
    assert sorted(r for r in results if r != Lost(2, 3)) == [0, 1, 3, 4]


PARENT = """
import os, time
from hpsearch.engines.workers import LokyWorkers

with LokyWorkers(1) as workers:
    print(workers.call(os.getpid), flush=True)
    workers.submit(time.sleep, 60)
    time.sleep(60)
"""


def test_workers_end_with_their_parent_even_if_it_is_killed():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, _ = psutil.wait_procs([worker], timeout=10)
    assert gone == [worker]


def test_a_pool_that_broke_while_tasks_were_handed_out_is_replaced(workers):
    workers._executor._flags.flag_as_broken(BrokenProcessPool("a worker died"))
    assert sorted(workers.map_unordered(lambda number: number**2, [1, 2, 3])) == [1, 4, 9]


# -- what a space may leave running


def leave_a_thread():
    threading.Thread(target=time.sleep, args=(600,)).start()
    return os.getpid()


def leave_an_exit_handler():
    atexit.register(time.sleep, 600)
    return os.getpid()


def leave_a_process():
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
    return os.getpid()


@pytest.mark.parametrize("leave", [leave_a_thread, leave_an_exit_handler, leave_a_process])
def test_what_a_space_left_running_holds_no_worker(leave):
    said = []
    with LokyWorkers(1, note=said.append) as workers:
        worker = psutil.Process(workers.call(leave))
        children = worker.children()
    gone, left = psutil.wait_procs([worker, *children], timeout=5)
    assert worker in gone
    assert left == []
    assert said == []


def test_a_worker_that_does_not_end_is_ended_after_some_seconds_with_a_word(monkeypatch):
    monkeypatch.setattr("hpsearch.engines.workers.loky.SECONDS_TO_CLOSE", 0.5)
    said = []
    began = time.monotonic()
    with LokyWorkers(1, note=said.append) as workers:
        worker = psutil.Process(workers.call(os.getpid))
        workers.submit(time.sleep, 600)
    assert time.monotonic() - began < 60
    assert not worker.is_running()
    assert said == [
        "A worker process did not end within 0.5 s, since something that the space started may "
        "wait in it; it was ended."
    ]


def fork(number):
    """A copy of the worker comes back from its task, as one that a space forgot would."""
    return number, os.fork() and os.getpid()


def test_a_copy_that_a_task_makes_of_its_worker_is_ended(workers):
    results = list(workers.map_unordered(fork, range(6)))
    assert sorted(number for number, _ in results) == list(range(6))
    assert all(pid for _, pid in results)


def fork_for_ever():
    if not os.fork():
        time.sleep(600)
    return [child.pid for child in psutil.Process().children()]


def test_a_copy_that_never_ends_ends_with_its_worker():
    with LokyWorkers(1) as workers:
        [copy] = map(psutil.Process, workers.call(fork_for_ever))
        assert copy.is_running()
    assert psutil.wait_procs([copy], timeout=5)[1] == []


def die_behind_an_unseen_copy(number):
    """Die with the pipe open that would tell the pool: a copy unknown to Python has it."""
    if number == 0 and not ctypes.CDLL(None).fork():
        time.sleep(30)
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="the system has no such call")
def test_a_death_that_the_pool_does_not_notice_is_noticed(monkeypatch):
    monkeypatch.setattr("hpsearch.engines.workers.watch.SECONDS_UNTIL_NOTICED", 0.3)
    monkeypatch.setattr(policy, "MAX_ATTEMPTS", 1)
    with LokyWorkers(2) as workers:
        results = list(workers.map_unordered(die_behind_an_unseen_copy, [0, 1, 2]))
    assert Lost(0, attempts=1) in results
    assert {1, 2} <= set(results)


def test_a_call_that_takes_too_long_is_ended_and_the_next_one_works():
    with LokyWorkers(1) as workers:
        assert workers.call(abs, -1, limit=30.0) == 1
        with pytest.raises(LateCallError, match=r"sleep took longer than 0.3 s"):
            workers.call(time.sleep, 600, limit=0.3)
        assert workers.call(abs, -2, limit=30.0) == 2


def test_workers_that_never_get_ready_are_an_error_after_a_word(monkeypatch):
    monkeypatch.setattr("hpsearch.engines.workers.watch.SECONDS_TO_START_IN_SILENCE", 0.1)
    monkeypatch.setattr("hpsearch.engines.workers.watch.SECONDS_TO_START", 1.0)
    said = []

    def call():
        with LokyWorkers(1, partial(time.sleep, 600), note=said.append) as workers:
            workers.call(abs, -1)

    with pytest.raises(HpsearchError, match=r"must be ready within 1 s, and none is: what they"):
        call()
    assert said == ["Waiting for worker processes, which import Keras since 0 s."]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EAGAIN, errno.EMFILE])
def test_workers_that_the_system_refuses_are_one_line(number, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("joblib.externals.loky.ProcessPoolExecutor", refuse)
    with pytest.raises(HpsearchError, match=rf"/dev/shm.*{os.strerror(number)}.*--jobs"):
        LokyWorkers(1)


PRINTING = """
import sys
from hpsearch.engines.workers import LokyWorkers

def talk():
    print("a space that prints")
    sys.stdout.flush()
    return 7

with LokyWorkers(1) as workers:
    number = workers.call(talk)
open("found", "w").write(str(number))
"""


def test_a_space_may_print_where_nobody_reads(tmp_path):
    command = f'"{sys.executable}" -c "$PROGRAM" | true'
    environment = {**os.environ, "PROGRAM": PRINTING, "PYTHONPATH": str(ROOT)}
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "found").read_text() == "7"


# -- how many work


@pytest.mark.parametrize(
    ("jobs", "n_trainings", "n", "why"),
    [
        (None, None, 4, None),
        (None, 2, 2, None),
        (3, 100, 3, None),
        (4, 4, 4, None),
        (12, 2, 2, "trainings"),
        (12, 100, 4, "cores"),
        (12, None, 4, "cores"),
    ],
)
def test_no_more_processes_than_have_something_to_do(jobs, n_trainings, n, why, monkeypatch):
    home = sys.modules["hpsearch.engines.workers.machines"]  # a function has this name too
    monkeypatch.setattr(home, "default_jobs", lambda: 4)
    said = []
    assert machines(None, jobs, said.append, n_trainings).jobs == n
    expected = f"--jobs {jobs} is more than there are {why}; as many processes are started: {n}."
    assert said == ([expected] if why else [])
