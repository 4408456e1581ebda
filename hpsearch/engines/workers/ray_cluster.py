"""The connection to a Ray cluster.

A host is an actor, which Ray gives one processor and ends with the process that drives the search,
however that ends. There is one for each processor of the cluster, or fewer with ``--jobs``; one
that dies is replaced by a new one.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from typing import Any

from hpsearch.engines.workers.host import Host, HostGoneError
from hpsearch.engines.workers.policy import SECONDS_TO_CLOSE
from hpsearch.errors import HpsearchError, OptionError

SECONDS_TO_CONNECT = 10.0

_HERE = "local"  # Ray's word for one that it is to start


class RayConnection:
    """A session's link to Ray.

    Parameters
    ----------
    address : of a cluster: ``HOST:PORT``, ``ray://HOST:PORT`` or ``auto``; None for the one that
        ``RAY_ADDRESS`` names, else this process starts one. A Ray that this process uses already
        is taken whatever the address.
    jobs : actors at most; None for one for each processor.

    Raises
    ------
    OptionError
        If nothing answers there.
    """

    def __init__(self, address: str | None, jobs: int | None) -> None:
        ray = _import_ray(address)
        self.where = f"the Ray cluster at {address}" if address else "Ray on this machine"
        self._ray = ray
        self._jobs = jobs
        self._session = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._actors: dict[str, Any] = {}
        self._calls: dict[str, set[Future[Any]]] = {}
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            _initialise(address)
        self._host_class = ray.remote(num_cpus=1, max_restarts=0, max_concurrency=2)(Host)

    def look(self) -> Mapping[str, int]:
        """The actors, one for each processor; new ones take the place of those that are gone."""
        try:
            n_processors = int(self._ray.cluster_resources().get("CPU", 0))
        except Exception as error:  # whatever ends a connection
            raise HpsearchError(
                f"A cluster must answer while a search works; {self.where} does no more "
                f"({type(error).__name__}). Resume the run when it does."
            ) from None
        wanted = n_processors if self._jobs is None else min(self._jobs, n_processors)
        for _ in range(wanted - len(self._actors)):
            name = f"actor {next(self._numbers)}"
            self._actors[name] = self._host_class.remote(self._session)
        return dict.fromkeys(self._actors, 1)

    def call(self, host: str, method: str, *arguments: Any) -> Future[Any]:
        """Call a method of an actor."""
        result: Future[Any] = Future()
        if host not in self._actors:
            result.set_exception(HostGoneError())
            return result
        calls = self._calls.setdefault(host, set())
        calls.add(result)
        answer = getattr(self._actors[host], method).remote(*arguments).future()
        answer.add_done_callback(partial(_settle, calls, result))
        return result

    def deliver(
        self, hosts: Sequence[str], folder: str, content: Mapping[str, bytes]
    ) -> list[tuple[str, Future[None]]]:
        """Have actors receive files, which Ray brings to each machine once."""
        sent = self._ray.put(dict(content))
        return [(host, self.call(host, "receive", folder, sent)) for host in hosts]

    def forget(self, host: str) -> None:
        """Let an actor go, and fail the calls that it has."""
        actor = self._actors.pop(host, None)
        for result in list(self._calls.pop(host, ())):
            _fail(result, HostGoneError())
        if actor is not None:
            with suppress(Exception):  # it is gone already
                self._ray.kill(actor)

    def close(self) -> None:
        """End all actors; beside what each does, it is asked to clear up."""
        closing = [self.call(host, "close") for host in self._actors]
        wait(closing, timeout=SECONDS_TO_CLOSE)
        for host in list(self._actors):
            self.forget(host)
        if self._is_ours:
            self._ray.shutdown()


def _initialise(address: str | None) -> None:
    """Connect to a cluster, or start Ray on this machine, and leave signals as they were."""
    import ray

    _check_answers(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    place = address or os.environ.get("RAY_ADDRESS", _HERE)
    if place == _HERE:
        options["include_dashboard"] = False
    with _signals_kept():
        try:
            ray.init(address=place, **options)
        except (OSError, RuntimeError, ValueError) as error:
            raise OptionError(_no_answer(address, " ".join(str(error).split()))) from None
    if place == _HERE and not ip_address(ray.util.get_node_ip_address()).is_loopback:
        ray.shutdown()
        raise OptionError(
            "Ray must listen on this machine alone where it is started for a search; this version "
            "of it, or this process, has it listen on others. Start it with `ray start --head` as "
            "you want it, and write --cluster ray:auto."
        )


def _import_ray(address: str | None) -> Any:
    """Ray; one that starts here will take connections of this machine alone."""
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "A worker died or was killed")
    if (address or os.environ.get("RAY_ADDRESS", _HERE)) == _HERE:
        # Read when Ray is imported: its way to be on one machine only, on Linux too.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    return ray


def _check_answers(address: str | None) -> None:
    """Raise ``OptionError`` unless an address takes connections: Ray itself would wait long."""
    place = (address or "").removeprefix("ray://")
    if address in (None, "auto"):
        return
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, ValueError, OverflowError) as error:
        reason = f"within {SECONDS_TO_CONNECT:g} s nothing answered ({type(error).__name__})"
        raise OptionError(_no_answer(address, reason)) from None


def _no_answer(address: str | None, reason: str) -> str:
    return (
        "`--cluster ray:ADDRESS` needs the address of a Ray cluster that answers, such as "
        f"ray:10.0.0.1:6379, ray://10.0.0.1:10001 or ray:auto; received {address!r}: {reason}. "
        "Start one with `ray start --head`, or write --cluster ray."
    )


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep what this process does on a signal; Ray would end it in its own way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _settle(calls: set[Future[Any]], result: Future[Any], answer: Future[Any]) -> None:
    """Pass an answer or an error on; runs in a thread of Ray's."""
    from ray.exceptions import RayActorError

    calls.discard(result)
    error = answer.exception()
    if error is None:
        with suppress(InvalidStateError):
            result.set_result(answer.result())
        return
    cause = getattr(error, "cause", error)
    if isinstance(cause, RayActorError) and "creation task" not in str(cause):
        cause = HostGoneError()
    _fail(result, cause)


def _fail(result: Future[Any], error: BaseException) -> None:
    with suppress(InvalidStateError):
        result.set_exception(error)
