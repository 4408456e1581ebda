"""Workers of a Dask and of a Ray cluster: the same promises, on real ones of two processes."""

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
from pandas.testing import assert_frame_equal

import hpsearch
from hpsearch.engines.workers import Cluster, Lost, machines
from hpsearch.engines.workers.files import SharedFolder, here
from hpsearch.errors import HpsearchError, OptionError
from hpsearch.scoring.observer import SilentObserver
from hpsearch.versions import versions

pytestmark = [
    pytest.mark.cluster,
    # Dask's and Ray's own, about sockets and files of processes that were killed
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).parent.parent.parent
KINDS = ("dask", "ray")


@pytest.fixture(scope="module")
def dask_address():
    """A scheduler and two worker processes of one thread each."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def ray_address():
    """Ray with two processors, started in this process."""
    os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "A worker died or was killed"
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False,
             logging_level=logging.CRITICAL, object_store_memory=10**8)  # fmt: skip
    yield "ray"
    ray.shutdown()


@pytest.fixture(params=KINDS)
def cluster(request):
    """A cluster of each kind, as it is named."""
    return request.getfixturevalue(f"{request.param}_address")


@contextmanager
def workers_on(cluster, *, jobs=None, timeout=None, environment=(), share=None):
    """Workers whose processes import nothing, and the machines that they are on."""
    with machines(Cluster.parse(cluster), jobs) as found:
        started = found.start(None, environment=dict(environment), pin=False, timeout=timeout)
        with started as workers:
            if share is not None:
                found.share(share)
            yield workers, found


def children():
    """Command lines of the child processes that hosts have started on this machine."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "engines.workers.child" in " ".join(process.info["cmdline"] or ()):
            found.append(process)
    return found


def scratch_folders():
    return {path.parent for path in Path(tempfile.gettempdir()).glob("hpsearch-*/.users")}


def wait_until(is_so, seconds=20.0):
    """Whether something is so within some seconds."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def nothing_left():
    """Fails the test where it leaves processes or folders."""
    before = scratch_folders()
    yield
    assert wait_until(lambda: not children())
    assert wait_until(lambda: scratch_folders() <= before)


# -- what workers do


def test_every_task_gives_its_result_in_a_process_with_the_environment_asked_for(
    cluster, nothing_left
):
    def work(number):
        return number, os.environ["KERAS_BACKEND"], os.environ["XLA_FLAGS"], os.getpid()

    variables = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--one"}
    with workers_on(cluster, environment=variables) as (workers, _):
        assert workers.jobs == 2
        results = sorted(workers.map_unordered(work, range(8)))
        here = workers.call(os.getpid)
    assert [r[:3] for r in results] == [(n, "jax", "--one") for n in range(8)]
    assert len({pid for *_, pid in results}) == 2
    assert psutil.Process().pid != here  # single calls run beside this process, not on the cluster
    assert here not in {pid for *_, pid in results}


def test_no_more_tasks_run_at_the_same_time_than_jobs(cluster):
    def work(number):
        began = time.time()
        time.sleep(0.1)
        return began, time.time()

    with workers_on(cluster, jobs=1) as (workers, _):
        assert workers.jobs == 1
        spans = sorted(workers.map_unordered(work, range(4)))
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_data_are_sent_to_a_machine_once_and_lie_under_their_path(cluster, tmp_path, nothing_left):
    rows = np.arange(100_000.0)
    np.save(tmp_path / "rows.npy", rows)
    path = str(tmp_path / "rows.npy")

    def work(number):
        return here(path), float(np.load(here(path), mmap_mode="r")[number])

    with workers_on(cluster, share=tmp_path) as (workers, found):
        results = list(workers.map_unordered(work, range(10)))
        received = [n for _, n in found._ask(list(found._hosts), "n_received")]
    assert sorted(value for _, value in results) == [float(n) for n in range(10)]
    [place] = {place for place, _ in results}
    assert place != path  # a copy, as on another machine
    assert len(received) == 2
    assert sum(received) == 1  # both hosts are on this machine


def test_an_exception_of_a_task_is_raised_in_the_parent(cluster, nothing_left):
    class OddError(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} {two}")

    def fail(number):
        raise LookupError("task 7") if number == 7 else OddError(1, 2)

    with workers_on(cluster) as (workers, _):
        with pytest.raises(LookupError, match="task 7"):
            list(workers.map_unordered(fail, [7]))
        with pytest.raises(RuntimeError, match="OddError: 1 2"):  # it cannot be pickled
            list(workers.map_unordered(fail, [8]))


# -- when something dies or takes long


def test_a_task_that_kills_its_process_or_has_no_memory_is_tried_three_times(cluster, nothing_left):
    def work(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 5:
            raise MemoryError("no")
        return number

    with workers_on(cluster) as (workers, _):
        results = list(workers.map_unordered(work, range(8)))
    lost = sorted((r for r in results if isinstance(r, Lost)), key=lambda r: r.task)
    assert lost == [Lost(3, attempts=3), Lost(5, attempts=3)]
    assert sorted(r for r in results if r not in lost) == [0, 1, 2, 4, 6, 7]


def test_a_task_that_takes_too_long_is_tried_twice_and_the_others_complete(cluster, nothing_left):
    def work(number):
        time.sleep(60 if number == 1 else 0.1)
        return number

    with workers_on(cluster, timeout=1.0) as (workers, _):
        results = list(workers.map_unordered(work, range(6)))
    [lost] = [result for result in results if isinstance(result, Lost)]
    assert lost == Lost(1, attempts=2, limit=1.0)
    assert sorted(result for result in results if result != lost) == [0, 2, 3, 4, 5]


def test_tasks_of_a_cluster_process_that_is_killed_are_done_by_others(
    cluster, tmp_path, nothing_left
):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows").write_text("rows")
    path, flag = str(tmp_path / "data" / "rows"), tmp_path / "died"

    def work(number):
        if number == 1 and not flag.exists():
            flag.touch()
            os.kill(os.getppid(), signal.SIGKILL)  # the Dask worker, or the Ray actor
            time.sleep(60)
        return number, Path(here(path)).read_text()

    with workers_on(cluster, share=tmp_path / "data") as (workers, found):
        results = list(workers.map_unordered(work, range(6)))
        assert sorted(results) == [(number, "rows") for number in range(6)]

        def is_whole_again():
            found.look()
            return workers.jobs == 2

        assert wait_until(is_whole_again, 60)
        assert sorted(workers.map_unordered(work, range(4))) == results_of(4)


def results_of(n):
    return [(number, "rows") for number in range(n)]


def test_all_processes_of_a_cluster_may_be_killed(cluster, tmp_path, nothing_left):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows").write_text("rows")
    path = str(tmp_path / "data" / "rows")

    def work(number):
        flag = tmp_path / str(number)
        if number < 2 and not flag.exists():
            flag.touch()
            while not ((tmp_path / "0").exists() and (tmp_path / "1").exists()):
                time.sleep(0.01)
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        return number, Path(here(path)).read_text()

    with workers_on(cluster, share=tmp_path / "data") as (workers, _):
        assert sorted(workers.map_unordered(work, range(4))) == results_of(4)


# -- nothing is left


def test_a_search_that_stops_in_the_middle_ends_what_runs_at_once(cluster, nothing_left):
    began = time.monotonic()

    def stop():
        with workers_on(cluster, share=Path(__file__).parent) as (workers, _):
            results = workers.map_unordered(time.sleep, [0.01, 60, 60, 60])
            next(results)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert time.monotonic() - began < 30


DRIVER = """
import sys, time
from pathlib import Path
from hpsearch.engines.workers import Cluster, machines

def main():
    with machines(Cluster.parse(sys.argv[1]), None) as found:
        with found.start(None, environment={}, pin=False, timeout=None) as workers:
            found.share(Path(sys.argv[2]))
            results = workers.map_unordered(time.sleep, [0.01, 60, 60, 60])
            next(results)
            print("begun", flush=True)
            next(results)

main()
"""


def test_what_runs_on_a_dask_cluster_ends_with_a_driver_that_is_killed(
    dask_address, tmp_path, nothing_left
):
    """Ray ends the actors of such a driver itself."""
    (tmp_path / "rows").write_text("rows")
    command = [sys.executable, "-c", DRIVER, dask_address, tmp_path]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "begun\n"
        assert len(children()) == 2
        driver.kill()


def test_a_shared_folder_is_removed_after_the_last_has_left():
    folders = [SharedFolder("test-of-leaving") for _ in range(3)]
    folders[0].write("data", {"rows": b"rows"})
    folders[1].write("data", {"rows": b"rows"})  # another was faster
    assert folders[2].holds("data")
    assert len({folder.identity for folder in folders}) == 1
    threads = [threading.Thread(target=folder.leave) for folder in folders[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (folders[2].path / "data" / "rows").read_bytes() == b"rows"
    folders[2].leave()
    folders[2].leave()
    assert wait_until(lambda: not folders[2].path.exists())


# -- who may connect


LISTENERS = """
import psutil
from hpsearch.engines.workers import Cluster, machines

with machines(Cluster.parse("ray"), 1):
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                print(connection.laddr.ip.removeprefix("::ffff:"))
"""


def test_a_ray_that_starts_here_takes_connections_of_this_machine_alone():
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", LISTENERS],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    addresses = done.stdout.split()
    assert len(addresses) > 3
    assert set(addresses) == {"127.0.0.1"}


# -- refusals, before any training


def test_workers_with_other_versions_are_refused_by_name(cluster, monkeypatch, nothing_left):
    now = {**versions(), "keras": "3.0.0"}
    monkeypatch.setattr("hpsearch.engines.workers.cluster.versions", lambda: now)
    with pytest.raises(OptionError, match=r"must have the versions .*keras 3\.\d+\.\d+ there, 3.0.0 here"):  # fmt: skip  # noqa: E501
        machines(Cluster.parse(cluster), None).__enter__()


@pytest.mark.parametrize("kind", KINDS)
def test_an_address_that_nobody_answers_is_refused_within_bounds(kind, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # nobody listens
        address = f"tcp://127.0.0.1:{port}" if kind == "dask" else f"ray://127.0.0.1:{port}"
        monkeypatch.setattr("hpsearch.engines.workers.dask_cluster.SECONDS_TO_CONNECT", 1.0)
        began = time.monotonic()
        if kind == "ray":
            import ray

            monkeypatch.setattr(ray, "is_initialized", lambda: False)
        with pytest.raises(
            OptionError, match=rf"needs the address .*; received .*{port}"
        ) as raised:
            machines(Cluster.parse(address), None).__enter__()
    assert time.monotonic() - began < 15
    assert "\n" not in str(raised.value)


def test_a_cluster_without_workers_is_refused_within_bounds(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr("hpsearch.engines.workers.cluster.SECONDS_TO_FIND_HOSTS", 0.5)
    with LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=logging.CRITICAL) as empty:
        address = empty.scheduler_address
        with pytest.raises(OptionError, match=rf"none of the Dask cluster at {address} answered"):
            machines(Cluster.parse(address), None).__enter__()


def test_a_machine_without_room_for_the_data_is_named(tmp_path, monkeypatch, nothing_left):
    from distributed import LocalCluster

    def write(folder, name, content):
        raise OSError(28, "No space left on device")

    def share():
        with workers_on(cluster.scheduler_address, share=tmp_path):
            pass

    monkeypatch.setattr(SharedFolder, "write", write)
    here = {"n_workers": 1, "processes": False}  # so that it has that function
    with (
        LocalCluster(**here, dashboard_address=":0", silence_logs=logging.CRITICAL) as cluster,
        pytest.raises(HpsearchError, match=r"room for the data .*No space left"),
    ):
        share()


def test_a_scheduler_that_goes_away_ends_the_search_with_one_line(monkeypatch, nothing_left):
    from distributed import LocalCluster

    monkeypatch.setattr("hpsearch.engines.workers.dask_cluster.SECONDS_TO_CLOSE", 1.0)
    cluster = LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
    )

    def search():
        with workers_on(cluster.scheduler_address) as (workers, _):
            for _ in workers.map_unordered(time.sleep, [0.01, 5, 5, 5]):
                cluster.close()

    with pytest.raises(HpsearchError, match=r"A cluster must answer .*Resume the run"):
        search()


def test_what_is_no_cluster_is_refused():
    with pytest.raises(OptionError, match=r"`cluster` is .*; received 'spark'\."):
        hpsearch.Search(cluster="spark")
    with pytest.raises(OptionError, match=r"`cluster` is .*; received 'spark'\."):
        hpsearch.cross_validate("mlp", "sklearn:iris", cluster="spark")


# -- whole searches


SPACE = """
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

FLAG = Path(tempfile.gettempdir(), f"hpsearch-test-of-clusters-{os.getuid()}")


def declare(hp, problem):
    hp.Float("learning_rate", 1e-3, 1e-1, sampling="log", default=1e-2)


def is_to_kill():
    # the flag is for one process, though two may look at once
    try:
        FLAG.unlink()
    except FileNotFoundError:
        return False
    return True


def build(hp, problem):
    import keras

    if sys.argv[0] == "-c" and is_to_kill():  # a process of the cluster's: kill its parent
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    declare(hp, problem)
    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(6, "relu"),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(hp.get("learning_rate")), problem.loss)
    return model
"""
FLAG = Path(tempfile.gettempdir(), f"hpsearch-test-of-clusters-{os.getuid()}")
BUDGET = {"folds": 2, "repeats": 2, "epochs": 4, "engine": "fused"}
VALIDATION = {"cv": 2, "epochs": 3, "engine": "fused"}
SAME = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv", "run.json", "best.json")


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """A space that kills a process of the cluster's where ``FLAG`` is there."""
    path = tmp_path_factory.mktemp("space") / "space.py"
    path.write_text(SPACE)
    yield path
    FLAG.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def on_this_machine(space, tmp_path_factory):
    """The folder of a search of five trials with loky."""
    out = tmp_path_factory.mktemp("loky") / "run"
    hpsearch.Search(str(space), trials=5, out=out, jobs=1, **BUDGET).run("sklearn:iris")
    return out


@pytest.fixture(scope="module")
def validated(space):
    """A cross-validation with loky."""
    return hpsearch.cross_validate(str(space), "sklearn:iris", jobs=1, **VALIDATION)


class Killer(SilentObserver):
    """Has a process of the cluster's killed once the second trial is done."""

    n_done = 0

    def trial_done(self, row):
        self.n_done += 1
        if self.n_done == 2:
            FLAG.touch()


def different_from(folder, other):
    return [name for name in SAME if (folder / name).read_bytes() != (other / name).read_bytes()]


def test_a_search_whose_cluster_loses_a_process_gives_the_same_bytes(
    dask_address, space, on_this_machine, tmp_path, nothing_left
):
    killer = Killer()
    hpsearch.Search(str(space), trials=5, out=tmp_path / "run", observer=killer,
                    cluster=dask_address, **BUDGET).run("sklearn:iris")  # fmt: skip
    assert not FLAG.exists()  # it was killed
    assert killer.n_done == 5
    assert different_from(tmp_path / "run", on_this_machine) == []


def test_a_search_begun_here_goes_on_on_a_cluster_that_loses_a_process(
    ray_address, space, on_this_machine, tmp_path, nothing_left
):
    out, killer = tmp_path / "run", Killer()
    hpsearch.Search(str(space), trials=1, out=out, jobs=1, **BUDGET).run("sklearn:iris")
    hpsearch.resume(out, trials=5, observer=killer, cluster=ray_address)
    assert not FLAG.exists()
    assert killer.n_done == 5
    assert different_from(out, on_this_machine) == []


def test_a_cross_validation_on_a_cluster_gives_the_same_tables(cluster, space, validated):
    there = hpsearch.cross_validate(str(space), "sklearn:iris", cluster=cluster, **VALIDATION)
    for table in ("folds", "curves", "predictions"):
        assert_frame_equal(getattr(there, table), getattr(validated, table), check_exact=True)
