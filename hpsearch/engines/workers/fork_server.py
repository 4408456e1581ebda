"""A fork server: a process that imports what workers need, and copies itself for each of them.

Keras takes seconds to import, in every process anew. Here one process does it, while the parent
still reads the data, and is copied (``os.fork``) when a worker is asked for: that takes
milliseconds, and the copies share the memory of what was imported. Nothing is computed in the
server, and it has one thread, so that a copy is whole. Where it has more, or the system lacks what
this takes (Linux has it), workers start and import by themselves.

A copy is a child of the driving process, as any other worker is: the process between the two ends
at once, and the driving process adopts what it leaves (``PR_SET_CHILD_SUBREAPER``).
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import os
import pickle
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from hpsearch.engines.workers.environment import end_with_parent
from hpsearch.system import signals_held_back, what_stays

MOST_FILES: Final = 200
"""Open files that one worker may be given."""

SECONDS_TO_ADOPT: Final = 5.0
"""How long a copy may be without the parent that it is made for."""

SECONDS_TO_STAY: Final = 60.0
"""How long a server waits for another session, where one is likely to follow."""

IMPORTED_LATER: Final = ("scipy.stats", "sklearn.base", "sklearn.ensemble", "sklearn.linear_model")
"""What a server imports when it has nothing else to do, piece by piece, for tasks at the end of a
search."""

_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; "
    "from hpsearch.engines.workers.fork_server import main; "
    "main({parent}, {number}, {warm_up!r}, {later!r})"
)
_READY, _NUMBER, _SIZE = b"r", struct.Struct("<q"), struct.Struct("<q")
_REFUSED = 0


class ForkServer:
    """A process that has imported, or is about to.

    Parameters
    ----------
    environment : its environment variables, beside those of this process.
    warm_up : what it calls first: ``"module:function"``.

    Attributes
    ----------
    timer : ends it, where it was let go and waits for another session.
    """

    timer: threading.Timer | None = None

    def __init__(self, environment: Mapping[str, str], warm_up: str) -> None:
        self.key = warm_up, tuple(sorted(environment.items()))
        self._path, self._owner = list(sys.path), os.getpid()
        self._lock = threading.Lock()
        self._is_ready = False
        self._connection, theirs = socket.socketpair()
        program = _PROGRAM.format(
            path=sys.path,
            parent=os.getpid(),
            number=theirs.fileno(),
            warm_up=warm_up,
            later=IMPORTED_LATER,
        )
        with theirs, signals_held_back():
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                env=os.environ | environment,
                pass_fds=[theirs.fileno()],
            )

    @staticmethod
    def is_possible() -> bool:
        """Whether the system has what this takes."""
        return sys.platform == "linux"

    def done(self) -> bool:
        """Whether it has imported, or has failed to."""
        return self.wait(0.0)

    def wait(self, seconds: float) -> bool:
        """Wait until it is done, but no longer than so many seconds; whether it is."""
        if not (self._is_ready or self.is_closed) and _is_readable(self._connection, seconds):
            self._is_ready = self._connection.recv(1) == _READY
            if not self._is_ready:
                self.close()
        return self._is_ready or self.is_closed

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._connection.fileno() < 0

    @property
    def is_of_use(self) -> bool:
        """Whether it is alive, this process's own, and would import what this process would."""
        is_ours = self._owner == os.getpid() and self._path == sys.path
        return is_ours and not self.is_closed and self._process.poll() is None

    def fork(
        self, words: Sequence[str], files: Sequence[int], environment: Mapping[str, str]
    ) -> int | None:
        """Have a copy of it run a module of Python's, as ``python -m`` does.

        Parameters
        ----------
        words : the module's name and its arguments.
        files : the numbers of open files, which the copy has under the same numbers.
        environment : all its environment variables.

        Returns
        -------
        The number of the new process, a child of this one; None where there can be none.
        """
        with self._lock, _adopting():
            if not self.done() or self.is_closed:
                return None
            try:
                request = pickle.dumps((list(words), list(files), dict(environment)))
                socket.send_fds(self._connection, [_SIZE.pack(len(request))], list(files))
                self._connection.sendall(request)
                [number] = _NUMBER.unpack(_received(self._connection, _NUMBER.size))
            except (OSError, EOFError):  # it was killed
                self.close()
                return None
        return number if number != _REFUSED else None

    def close(self) -> None:
        """End it; its copies stay. Safe to call twice."""
        self._connection.close()
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()


# -- those that are started before it is known whether they are needed, or wait for the next session

_EXPECTED: list[ForkServer] = []
_likely_to_follow = 0


@contextmanager
def staying() -> Iterator[None]:
    """Within the block, have a server that a session is done with wait for the next, for a while.

    For programs that fit one model after the other: each would wait for the import anew.
    """
    global _likely_to_follow
    _likely_to_follow += 1
    try:
        yield
    finally:
        _likely_to_follow -= 1


def let_go(server: ForkServer) -> None:
    """End a server that a session is done with, or have it wait for the next one."""
    if not _likely_to_follow or not server.is_of_use:
        server.close()
        return

    def end() -> None:
        with suppress(ValueError):  # a session has it, or had it since
            _EXPECTED.remove(server)
            server.close()

    _EXPECTED.append(server)
    if server.timer is not None:
        server.timer.cancel()
    server.timer = threading.Timer(SECONDS_TO_STAY, end)
    server.timer.daemon = True
    server.timer.start()


@contextmanager
def expected(environment: Mapping[str, str], warm_up: str) -> Iterator[None]:
    """Start a server that the block is likely to ask for, and end it there if it didn't."""
    key = warm_up, tuple(sorted(environment.items()))
    there = any(server.key == key and server.is_of_use for server in _EXPECTED)
    if there or not ForkServer.is_possible():
        yield
        return
    server = ForkServer(environment, warm_up)
    _EXPECTED.append(server)
    try:
        yield
    finally:
        if server in _EXPECTED and server.timer is None:
            _EXPECTED.remove(server)
            server.close()


def dismiss_expected() -> None:
    """End the servers that were expected to be of use, and are not."""
    while _EXPECTED:
        _EXPECTED.pop().close()


atexit.register(dismiss_expected)


def fork_server(environment: Mapping[str, str], warm_up: Callable[[], None]) -> ForkServer | None:
    """A server that is expected, or a new one; None where the system can't have it.

    Parameters
    ----------
    warm_up : a function of a module.
    """
    if not ForkServer.is_possible():
        return None
    name = f"{warm_up.__module__}:{warm_up.__qualname__}"
    key = name, tuple(sorted(environment.items()))
    for server in [server for server in _EXPECTED if server.key == key]:
        with suppress(ValueError):  # another thread has it
            _EXPECTED.remove(server)
            if server.is_of_use:
                return server
            server.close()
    return ForkServer(environment, name)


# -- the server's half


def main(parent: int, number: int, warm_up: str, later: Sequence[str]) -> None:
    """Import, then answer requests until the connection ends; a copy does what it is asked for."""
    end_with_parent(parent)
    for each in (signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    connection = socket.socket(fileno=number)
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # Arrow's allocator has one
    try:
        with what_stays():  # of which no copy touches, and thereby copies, anything
            module, _, name = warm_up.partition(":")
            getattr(importlib.import_module(module), name)()
            import joblib.externals.loky.process_executor  # noqa: F401  (each worker needs it)
    except BaseException:  # workers that import by themselves say what is wrong
        os._exit(1)
    if _n_threads() > 1:
        os._exit(1)
    connection.sendall(_READY)
    waiting = list(later)
    while True:
        while waiting and not _is_readable(connection, 0.0):
            with what_stays(), suppress(Exception):
                importlib.import_module(waiting.pop(0))
        if (words := _next(connection, parent)) is None:
            return
        if words:
            connection.close()
            sys.argv[:] = words
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
            return


def _next(connection: socket.socket, parent: int) -> list[str] | None:
    """Answer a request; in the copy what to run, empty in the server, None at the end."""
    size, received, _, _ = socket.recv_fds(connection, _SIZE.size, MOST_FILES)
    if len(size) < _SIZE.size:
        return None
    words, wanted, environment = pickle.loads(_received(connection, *_SIZE.unpack(size)))
    taken = any(map(_is_open, set(wanted) - {connection.fileno(), *received}))
    if taken or _n_threads() > 1:
        connection.sendall(_NUMBER.pack(_REFUSED))
        return []
    number = _forked()
    if number:
        for file in received:
            os.close(file)
        connection.sendall(_NUMBER.pack(number))
        return []
    _wait_for(parent)
    connection.close()
    _move(received, wanted)
    os.environ.clear()
    os.environ.update(environment)
    return list(words)


def _n_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _forked() -> int:
    """Copy this process twice, and end the copy between: 0 in the last, its number here."""
    ours, theirs = os.pipe()
    between = os.fork()
    if between == 0:
        number = os.fork()
        if number == 0:
            os.close(ours)
            os.close(theirs)
            return 0
        os.write(theirs, _NUMBER.pack(number))
        os._exit(0)
    os.close(theirs)
    os.waitpid(between, 0)
    with os.fdopen(ours, "rb") as stream:
        [number] = _NUMBER.unpack(stream.read(_NUMBER.size))
    return int(number)


def _wait_for(parent: int) -> None:
    """Wait until a process is this one's parent; end where it is gone, or takes too long."""
    late = time.monotonic() + SECONDS_TO_ADOPT
    while os.getppid() != parent:
        if _is_gone(parent) or time.monotonic() > late:
            os._exit(1)
        time.sleep(0.001)


def _is_gone(process: int) -> bool:
    """Whether a process has ended, be it that nobody has asked how."""
    with suppress(OSError), open(f"/proc/{process}/stat") as stream:
        state = stream.read().rpartition(")")[2].split()[0]
        return state in ("Z", "X")
    return True


def _move(files: Sequence[int], wanted: Sequence[int]) -> None:
    """Give open files other numbers."""
    import fcntl

    beyond = max((*files, *wanted), default=0) + 1
    moved = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, beyond) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(moved, wanted, strict=True):
        os.dup2(file, number, inheritable=False)
        os.close(file)


def _is_open(file: int) -> bool:
    with suppress(OSError):
        os.fstat(file)
        return True
    return False


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(1000.0 * seconds))


def _received(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


@contextmanager
def _adopting() -> Iterator[None]:
    """Have this process become the parent of those whose parent ends, among its descendants."""
    set_subreaper, get_subreaper = 36, 37
    prctl = ctypes.CDLL(None).prctl
    before = ctypes.c_int(0)
    prctl(get_subreaper, ctypes.byref(before), 0, 0, 0)
    prctl(set_subreaper, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(set_subreaper, before.value, 0, 0, 0)
