"""The fork server: workers are copies of one process that has imported, and children of ours."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cloudpickle
import psutil
import pytest

from hpsearch.engines.workers import LokyWorkers, Lost, fork_server
from hpsearch.engines.workers.fork_server import ForkServer, expected, let_go, staying
from hpsearch.engines.workers.machines import ThisMachine

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "NAMED_FOR_WORKERS": "yes"}
WARMING = """
import threading, time

def warm_up():
    pass

def start_a_thread():
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

def fail():
    raise LookupError
"""

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers can't import it

pytestmark = pytest.mark.skipif(not ForkServer.is_possible(), reason="the system has none")


@pytest.fixture(scope="module")
def warming(tmp_path_factory):
    """A module whose functions servers can call first."""
    folder = tmp_path_factory.mktemp("warming")
    (folder / "warming.py").write_text(WARMING)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield "warming"


@pytest.fixture(scope="module")
def server(warming):
    server = ForkServer(ENVIRONMENT, f"{warming}:warm_up")
    yield server
    server.close()


@pytest.fixture
def workers(server):
    with LokyWorkers(2, environment=ENVIRONMENT, server=server) as workers:
        yield workers


def number_of(server):
    return server._process.pid


def test_workers_are_copies_of_the_server_and_children_of_this_process(workers, server):
    def facts(number):
        return os.getpid(), os.getppid(), "warming" in sys.modules, os.environ["NAMED_FOR_WORKERS"]

    found = set(workers.map_unordered(facts, range(20)))
    assert {fact[1:] for fact in found} == {(os.getpid(), True, "yes")}
    assert number_of(server) not in {fact[0] for fact in found}


def test_a_copy_that_dies_is_replaced_by_another_one(workers):
    def work(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return "warming" in sys.modules

    results = list(workers.map_unordered(work, range(6)))
    assert sorted(map(str, results)) == ["Lost(task=3, attempts=3, limit=None)", *["True"] * 5]
    assert Lost(3, attempts=3) in results


@pytest.mark.parametrize("warm_up", ["start_a_thread", "fail"])
def test_workers_start_by_themselves_where_a_server_cannot_be_copied(warming, warm_up):
    server = ForkServer(ENVIRONMENT, f"{warming}:{warm_up}")
    with LokyWorkers(1, environment=ENVIRONMENT, server=server) as workers:
        assert not workers.call(lambda: "warming" in sys.modules)
    assert server.is_closed


def test_workers_start_by_themselves_once_the_server_is_gone(warming):
    server = ForkServer(ENVIRONMENT, f"{warming}:warm_up")
    with LokyWorkers(1, environment=ENVIRONMENT, server=server) as workers:
        assert workers.call(lambda: "warming" in sys.modules)
        os.kill(number_of(server), signal.SIGKILL)
        assert list(workers.map_unordered(os.kill, [])) == []
        with pytest.raises(Exception, match="died"):
            workers.call(lambda: os.kill(os.getpid(), signal.SIGKILL))
        assert not workers.call(lambda: "warming" in sys.modules)
    server.close()


ORPHAN = """
import os, sys, time
if os.fork() == 0:
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(1)
    os._exit(0)
os.wait()
"""


def test_this_process_adopts_copies_of_the_server_alone(workers):
    workers.call(os.getpid)
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
        process.wait()
        assert psutil.Process(orphan).ppid() != os.getpid()


PARENT = """
import os, time
from hpsearch.engines.workers import LokyWorkers
from hpsearch.engines.workers.fork_server import ForkServer

server = ForkServer({}, "hpsearch.engines.workers.environment:default_jobs")
with LokyWorkers(1, server=server) as workers:
    print(workers.call(os.getpid), server._process.pid, flush=True)
    workers.submit(time.sleep, 60)
    time.sleep(60)
"""


def test_server_and_copies_end_with_their_parent_even_if_it_is_killed():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        numbers = [int(word) for word in parent.stdout.readline().split()]
        assert len(numbers) == 2
        parent.kill()
    late = time.monotonic() + 10
    while any(map(psutil.pid_exists, numbers)):
        assert time.monotonic() < late
        time.sleep(0.05)


@pytest.mark.parametrize("is_collected", [False, True])
def test_a_copy_whose_parent_has_ended_does_not_wait_for_it(is_collected):
    parent = subprocess.Popen(["true"])
    while parent.pid in psutil.pids() and psutil.Process(parent.pid).status() != "zombie":
        time.sleep(0.01)
    if is_collected:
        parent.wait()
    waiting = (
        "from hpsearch.engines.workers import fork_server; fork_server.SECONDS_TO_ADOPT = 600; "
        f"fork_server._wait_for({parent.pid})"
    )
    done = subprocess.run([sys.executable, "-c", waiting], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 1
    parent.wait()


def test_an_expected_server_is_taken_by_what_asks_for_it_and_else_ended(warming):
    import warming as module

    name = f"{warming}:warm_up"
    with expected(ENVIRONMENT, name), expected(ENVIRONMENT, name):
        [server] = fork_server._EXPECTED
        assert fork_server.fork_server(ENVIRONMENT, module.warm_up) is server
    assert not server.is_closed
    server.close()
    with expected(ENVIRONMENT, name):
        [server] = fork_server._EXPECTED
    assert server.is_closed
    assert fork_server._EXPECTED == []


def test_an_expected_server_ends_where_workers_of_another_kind_start(warming):
    with expected(ENVIRONMENT, f"{warming}:warm_up"), ThisMachine(1, print) as machine:
        [server] = fork_server._EXPECTED
        machine.start(None, environment={}, pin=False, timeout=None).close(at_once=True)
        assert server.is_closed


def test_a_server_that_is_let_go_waits_where_another_session_is_likely(warming):
    import warming as module

    with staying():
        with expected(ENVIRONMENT, f"{warming}:warm_up"):
            server = fork_server.fork_server(ENVIRONMENT, module.warm_up)
            let_go(server)
        assert not server.is_closed
        assert fork_server.fork_server(ENVIRONMENT, module.warm_up) is server
    let_go(server)
    assert server.is_closed


def test_a_server_that_waits_ends_after_a_while(warming, monkeypatch):
    import warming as module

    monkeypatch.setattr(fork_server, "SECONDS_TO_STAY", 0.01)
    with staying():
        server = fork_server.fork_server(ENVIRONMENT, module.warm_up)
        let_go(server)
        server.timer.join()
    assert server.is_closed
    assert fork_server._EXPECTED == []


def test_a_server_that_would_import_something_else_is_not_taken(warming, monkeypatch, tmp_path):
    import warming as module

    with staying():
        old = fork_server.fork_server(ENVIRONMENT, module.warm_up)
        let_go(old)
        monkeypatch.syspath_prepend(tmp_path)
        new = fork_server.fork_server(ENVIRONMENT, module.warm_up)
    assert old.is_closed
    assert new is not old
    new.close()
