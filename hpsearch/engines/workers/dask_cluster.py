"""The connection to a Dask cluster, with ``dask.distributed`` directly.

A host is a Dask worker process, its seats are its threads: each waits for the child process that
trains. Every call names the worker that is to make it. The scheduler holds a session's lease on
each worker, and lets it go when this client is gone, however it ended; that closes the host.
"""

from __future__ import annotations

import itertools
import logging
import uuid
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any

from hpsearch.engines.workers.host import HostGoneError, Lease, call_host, close_host
from hpsearch.engines.workers.policy import SECONDS_TO_CLOSE
from hpsearch.errors import HpsearchError, OptionError

SECONDS_TO_CONNECT = 10.0


class DaskConnection:
    """A session's link to a Dask scheduler.

    Parameters
    ----------
    address : the scheduler's, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    OptionError
        If nothing answers there.
    """

    def __init__(self, address: str) -> None:
        self.where = f"the Dask cluster at {address}"
        self._session = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._leases: dict[str, Any] = {}
        self._calls: dict[str, dict[Future[Any], Any]] = {}
        self._logger = logging.getLogger("distributed")
        self._level = self._logger.level
        self._logger.setLevel(logging.CRITICAL)  # what it warns of is seen to here
        try:
            self._client = _client(address)
        except BaseException:
            self._logger.setLevel(self._level)
            raise

    def look(self) -> Mapping[str, int]:
        """The scheduler's workers, with their threads."""
        try:
            seats: dict[str, int] = self._client.nthreads()
        except Exception as error:  # whatever ends a connection
            raise HpsearchError(
                f"A cluster must answer while a search works; {self.where} does no more "
                f"({type(error).__name__}). Resume the run when it does."
            ) from None
        return seats

    def call(self, host: str, method: str, *arguments: Any) -> Future[Any]:
        """Call a method of a host, as a task of that worker; the first call is made alone."""
        calls = self._calls.setdefault(host, {})
        after = None
        if host not in self._leases:
            after = self._leases[host] = self._submit(host, Lease, self._session)
        task = self._submit(host, _call, after, self._session, method, *arguments)
        result: Future[Any] = Future()
        calls[result] = task
        task.add_done_callback(partial(_settle, calls, result))
        return result

    def deliver(
        self, hosts: Sequence[str], folder: str, content: Mapping[str, bytes]
    ) -> list[tuple[str, Future[None]]]:
        """Have hosts receive files, which go from one host to the next."""
        try:
            [sent] = self._client.scatter(
                [dict(content)], workers=list(hosts), broadcast=True, hash=False
            )
        except (OSError, ValueError) as error:  # one has just gone
            raise HostGoneError from error
        return [(host, self.call(host, "receive", folder, sent)) for host in hosts]

    def forget(self, host: str) -> None:
        """Let a host go, and fail the calls that it has."""
        self._leases.pop(host, None)
        tasks = []
        for result, task in list(self._calls.pop(host, {}).items()):
            tasks.append(task)
            _fail(result, HostGoneError())
        with suppress(Exception):  # the scheduler may be gone as well
            self._client.cancel(tasks, force=True)

    def close(self) -> None:
        """Close the hosts of all workers, and this client."""
        for host in list(self._calls):
            for result in list(self._calls[host]):
                _fail(result, HostGoneError())
        closing = Thread(target=self._close_hosts, daemon=True)
        closing.start()
        closing.join(SECONDS_TO_CLOSE)
        self._leases.clear()
        self._calls.clear()
        self._client.close(timeout=SECONDS_TO_CLOSE)
        self._logger.setLevel(self._level)

    def _close_hosts(self) -> None:
        with suppress(Exception):  # workers that are gone, or a scheduler
            self._client.run(close_host, self._session, on_error="ignore")

    def _submit(self, host: str, function: Any, *arguments: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self._client.submit(
                function,
                *arguments,
                key=f"hpsearch-{self._session}-{next(self._numbers)}",
                workers=[host],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )


def _client(address: str) -> Any:
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port, normalize_address

    try:
        if not address.startswith("inproc://"):  # of this process: no host, no port
            get_address_host_port(normalize_address(address))  # a client of a wrong one can't close
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other versions: ours are compared apart
            return Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise OptionError(
            "`--cluster` needs the address of a Dask scheduler that answers within "
            f"{SECONDS_TO_CONNECT:g} s, such as tcp://10.0.0.1:8786; received {address!r} "
            f"({type(error).__name__}). Start one with `dask scheduler`."
        ) from None


def _call(after: object, session: str, method: str, *arguments: Any) -> Any:
    return call_host(session, method, *arguments)


def _settle(calls: dict[Future[Any], Any], result: Future[Any], task: Any) -> None:
    """Pass a task's result or error on; runs in a thread of the client's."""
    calls.pop(result, None)
    try:
        value = task.result()
    except BaseException as error:
        from distributed.scheduler import KilledWorker

        is_gone = isinstance(error, CancelledError | KilledWorker | HostGoneError)
        _fail(result, HostGoneError() if is_gone else error)
        return
    with suppress(InvalidStateError):
        result.set_result(value)


def _fail(result: Future[Any], error: BaseException) -> None:
    with suppress(InvalidStateError):
        result.set_exception(error)
