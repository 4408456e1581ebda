"""The process on a cluster's machine in which units run: it has the environment that they need.

Its host (``host``) starts it, sends it calls over a pipe, and ends it when one takes too long. When
the host ends, however that happens, the pipe does too, and so does this process.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from hpsearch.engines.workers.environment import (
    WORKER_GROWTH_BYTES,
    one_core_seen,
    tie_copies,
)
from hpsearch.engines.workers.files import lie_in
from hpsearch.system import Display, one_process, what_stays

READY = b"ready"


def main() -> None:
    """Answer calls until the pipe ends."""
    calls, answers = _take_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tie_copies()
    sys.stdout, sys.stderr = Display(sys.stdout), Display(sys.stderr)
    warm_up = cloudpickle.loads(calls.recv_bytes())
    received: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(calls, received), daemon=True).start()
    with one_core_seen(), what_stays():
        if warm_up is not None:
            warm_up()
    answers.send_bytes(READY)
    size = _size()
    while True:
        folders, payload = cloudpickle.loads(received.get())
        lie_in(folders)
        answer = answer_to(payload)
        answers.send_bytes(bytes([_size() - size > WORKER_GROWTH_BYTES]) + answer)
        del answer


def answer_to(payload: bytes) -> bytes:
    """What a pickled ``(function, argument)`` gives, pickled: ``(True, value)``, or its error."""
    try:
        function, argument = cloudpickle.loads(payload)
        with one_process():
            return dumped((True, function(argument)))
    except BaseException as error:
        return _dumped_error(error)


def dumped(value: Any) -> bytes:
    """A value as bytes, functions and classes of a user's own code included."""
    data: bytes = cloudpickle.dumps(value)
    return data


def _dumped_error(error: BaseException) -> bytes:
    try:
        data = dumped((False, error))
        cloudpickle.loads(data)  # an exception may refuse that, too
    except Exception:
        return dumped((False, RuntimeError(f"{type(error).__name__}: {error}")))
    return data


def _take_pipes() -> tuple[Connection, Connection]:
    """The pipes to the host, out of the way of code that reads standard input or prints."""
    calls, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    return Connection(calls, writable=False), Connection(answers, readable=False)


def _receive(calls: Connection, received: queue.SimpleQueue[bytes]) -> None:
    """Pass calls on; end the process with its host, in the middle of a call too."""
    try:
        while True:
            received.put(calls.recv_bytes())
    except (EOFError, OSError):
        os._exit(0)


def _size() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
