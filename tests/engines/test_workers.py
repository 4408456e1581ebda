"""Worker processes: what becomes of tasks when one dies, and of workers without a parent."""

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import psutil
import pytest

from hpsearch.engines.workers import WORKER_ENVIRONMENT, LokyWorkers, Lost, policy
from hpsearch.engines.workers.environment import environment_like, one_core_seen
from hpsearch.errors import HpsearchError

ROOT = Path(__file__).parent.parent.parent


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
