"""loky's processes as copies of a fork server: what of loky has to be told so."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

from joblib.externals.loky.backend import fork_exec as starting
from joblib.externals.loky.backend.context import LokyContext
from joblib.externals.loky.backend.popen_loky_posix import Popen
from joblib.externals.loky.backend.process import LokyProcess

from hpsearch.engines.workers.fork_server import ForkServer

_BY_ITSELF = starting.fork_exec
_lock = threading.Lock()


def forking(server: ForkServer) -> Any:
    """A context of loky whose processes are copies of a server; where it can't, they start anew."""
    return _Context(server)


class _Context(LokyContext):  # type: ignore[misc]
    def __init__(self, server: ForkServer) -> None:
        self._server = server

    def Process(self, *arguments: Any, **options: Any) -> Any:  # noqa: N802
        process = _Process(*arguments, **options)
        process.server = self._server
        return process


class _Process(LokyProcess):  # type: ignore[misc]
    server: ForkServer | None = None

    @staticmethod
    def _Popen(process: Any) -> Any:  # noqa: N802
        return _Start(process)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "server"}


class _Start(Popen):  # type: ignore[misc]
    """What loky starts a process by: it has one function that does it, looked up as it is used."""

    __module__ = Popen.__module__  # which loky has the new process run

    def _launch(self, process: Any) -> None:
        def start(words: Sequence[str], files: Sequence[int], env: Any = None) -> int:
            number: int | None = None
            if env is process.env:  # else another thread has loky start another process
                environment = {**os.environ, **env}
                number = process.server.fork(words[2:], sorted(map(int, files)), environment)
            return number or int(_BY_ITSELF(words, files, env=env))

        with _lock:
            starting.fork_exec = start
            try:
                super()._launch(process)
            finally:
                starting.fork_exec = _BY_ITSELF
