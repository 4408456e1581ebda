"""What runs in a cluster's own process: the data's files, and the child processes that train.

A Dask worker or a Ray actor may have imported Keras with any backend and any number of threads, so
nothing is trained in it. Units run in child processes that are started with the right environment
and end with it. Light on purpose: no numerical library is imported here.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from hpsearch.engines.workers.child import READY, dumped
from hpsearch.engines.workers.environment import environment_like
from hpsearch.engines.workers.files import SharedFolder
from hpsearch.engines.workers.watch import SECONDS_TO_START
from hpsearch.errors import HpsearchError
from hpsearch.versions import versions

_CHILD = (
    "import sys; sys.path[:] = {path!r}; from hpsearch.engines.workers.child import main; main()"
)


class HostGoneError(Exception):
    """A process of the cluster has ended, or has begun anew and knows nothing of the session."""


class _LateError(Exception):
    """A call takes longer than is allowed."""


@dataclass(frozen=True)
class Facts:
    """What the driving process wants to know of a host.

    Attributes
    ----------
    machine : the same for hosts that share a scratch folder.
    name, processor : for people. versions : as ``hpsearch.versions`` gives them.
    """

    machine: tuple[Any, ...]
    name: str
    processor: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Setup:
    """What child processes of one kind are started with.

    Attributes
    ----------
    environment : what they need; numerical : variables of the driving process that libraries read.
    warm_up : a pickled function that each calls first, or None, pickled.
    """

    environment: tuple[tuple[str, str], ...]
    numerical: tuple[tuple[str, str], ...]
    warm_up: bytes


Answer = tuple[Literal["value", "died", "late"], bytes]


class Host:
    """Child processes and files of one session in one process of a cluster.

    Parameters
    ----------
    session : its name.
    """

    def __init__(self, session: str) -> None:
        self._folder = SharedFolder(session)
        self._lock = threading.Lock()
        self._children: dict[Setup, list[_Child]] = {}
        self._idle: dict[Setup, list[_Child]] = {}
        self._folders: dict[str, str] = {}
        self._is_open = False
        self._n_received = 0

    def facts(self) -> Facts:
        """What this machine is."""
        name = socket.gethostname()
        return Facts((name, *self._folder.identity), name, _processor(), versions())

    def holds(self, folder: str) -> bool:
        """Whether the files of a folder of the driving process are on this machine."""
        return self._folder.holds(_name_of(folder))

    def receive(self, folder: str, content: Mapping[str, bytes]) -> None:
        """Write a folder of the driving process for all hosts of this machine."""
        self._n_received += 1
        self._folder.write(_name_of(folder), content)

    def n_received(self) -> int:
        """How many folders were sent to this process."""
        return self._n_received

    def admit(self, folders: tuple[str, ...]) -> None:
        """Take units from now on, that read these folders; not if one is not here."""
        self._folders = {f: str(self._folder.path / _name_of(f)) for f in folders}
        self._is_open = all(self.holds(folder) for folder in folders)

    def warm(self, setup: Setup, n_children: int) -> None:
        """Have so many children, so that they import while the driving process plans."""
        n_missing = n_children - len(self._children.get(setup, ()))
        children = [self._start(setup) for _ in range(n_missing)]
        with self._lock:
            self._idle.setdefault(setup, []).extend(children)

    def run(self, setup: Setup, payload: bytes, limit: float | None) -> Answer:
        """Have a child make a call: its answer, or that it died, or took too long and was ended.

        Raises
        ------
        HostGoneError
            If this process has begun anew since the driving process looked.
        """
        if not self._is_open:
            raise HostGoneError
        child = self._idle_child(setup)
        try:
            is_grown, answer = child.ask(dumped((self._folders, payload)), limit)
        except _LateError:
            self._end(setup, child)
            return "late", b""
        except (EOFError, OSError):
            self._end(setup, child)
            return "died", b""
        if is_grown:
            self._end(setup, child)
        else:
            with self._lock:
                if child in self._children.get(setup, ()):
                    self._idle.setdefault(setup, []).append(child)
        return "value", answer

    def drop(self, setup: Setup) -> None:
        """End all children of a kind."""
        with self._lock:
            children = self._children.pop(setup, [])
            self._idle.pop(setup, None)
        for child in children:
            child.end()

    def close(self) -> None:
        """End all children and leave the scratch folder; safe to call twice."""
        self._is_open = False
        for setup in list(self._children):
            self.drop(setup)
        self._folder.leave()

    def _idle_child(self, setup: Setup) -> _Child:
        with self._lock:
            idle = self._idle.setdefault(setup, [])
            if idle:
                return idle.pop()
        return self._start(setup)

    def _start(self, setup: Setup) -> _Child:
        child = _Child(setup)
        with self._lock:
            self._children.setdefault(setup, []).append(child)
        return child

    def _end(self, setup: Setup, child: _Child) -> None:
        with self._lock, suppress(KeyError, ValueError):
            self._children[setup].remove(child)
        child.end()


class _Child:
    """A child process, and the pipes to it."""

    def __init__(self, setup: Setup) -> None:
        calls_end, calls = os.pipe()
        answers, answers_end = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD.format(path=sys.path)],
            stdin=calls_end,
            stdout=answers_end,
            env=environment_like(os.environ, dict(setup.numerical), dict(setup.environment)),
            start_new_session=True,
        )
        os.close(calls_end)
        os.close(answers_end)
        self._calls, self._answers = (
            Connection(calls, readable=False),
            Connection(answers, writable=False),
        )
        self._closing = threading.Lock()
        self._is_ready = False
        with suppress(OSError):  # it is dead already, which the first call will find
            self._calls.send_bytes(setup.warm_up)

    def ask(self, call: bytes, limit: float | None) -> tuple[bool, bytes]:
        """Send a call and wait for the answer; whether the process has grown too much since."""
        if not self._is_ready:
            if not self._answers.poll(SECONDS_TO_START):
                raise HpsearchError(
                    f"Training processes must be ready within {SECONDS_TO_START:g} s, and one on "
                    f"{socket.gethostname()} is not: what it imports hangs. See to that machine, "
                    "then resume the run."
                )
            self._is_ready = self._answers.recv_bytes() == READY
        self._calls.send_bytes(call)
        if not self._answers.poll(limit):
            raise _LateError
        answer = self._answers.recv_bytes()
        return bool(answer[0]), answer[1:]

    def end(self) -> None:
        """End the process."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # with what a space started in it
        self._process.wait()
        with self._closing:  # whoever waits for its answer ends it too, at the same moment
            self._calls.close()


def _name_of(folder: str) -> str:
    """A folder name for a path of another machine."""
    return folder.strip("/").replace("/", "-")


def _processor() -> str:
    """The processor's model, where the system tells it."""
    with suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# -- hosts of processes that take functions, not objects: Dask's workers


_HOSTS: dict[str, Host] = {}


class Lease:
    """Keeps a session's host open in this process; letting go of it closes the host.

    A cluster holds it as a task's result, and drops it when its client leaves, however that ends.
    """

    def __init__(self, session: str) -> None:
        host = Host(session)
        _HOSTS[session] = host
        weakref.finalize(self, _close, session, host)

    def __reduce__(self) -> Any:
        raise TypeError("a lease stays in its process")


def _close(session: str, host: Host) -> None:
    if _HOSTS.get(session) is host:
        del _HOSTS[session]
    host.close()


def close_host(session: str) -> None:
    """Close a session's host, if it is open in this process."""
    host = _HOSTS.get(session)
    if host is not None:
        _close(session, host)


def call_host(session: str, method: str, *arguments: Any) -> Any:
    """Call a method of the session's host in this process.

    Raises
    ------
    HostGoneError
        If it has none, since it began anew.
    """
    host = _HOSTS.get(session)
    if host is None:
        raise HostGoneError
    return getattr(host, method)(*arguments)
