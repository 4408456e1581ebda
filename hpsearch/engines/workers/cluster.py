"""Workers on a cluster: units are handed out from here, one for each free seat.

A *host* is a process that the cluster gives, with some seats: units that it takes at a time. Hosts
may come, and go with what they do, while a search works. A ``Connection`` knows the kind of
cluster: which hosts there are, and how to call them. Everything else is the same for all kinds and
is here: the data sent to each machine once, versions compared before anything is trained, units
handed out one for each seat, so that it is known which one a dead process had, and their results.

Single calls, which look at the space or make the final model, run on this machine: the files that
they write are for it.
"""

from __future__ import annotations

import math
import os
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

import cloudpickle

from hpsearch.engines.workers.environment import numerical_variables
from hpsearch.engines.workers.host import Answer, Facts, HostGoneError, Setup
from hpsearch.engines.workers.loky import LokyWorkers
from hpsearch.engines.workers.policy import MAX_ATTEMPTS, Begun, Failure, Value, Workers
from hpsearch.errors import HpsearchError, OptionError
from hpsearch.versions import versions

SECONDS_BETWEEN_LOOKS = 1.0
"""How often the parent looks which hosts there are."""

SECONDS_TO_FIND_HOSTS = 60.0
"""How long a cluster may have no host that works, at the start or later."""

SECONDS_TO_GATHER = 20.0
"""How long a search waits at the start for the slower ones of the hosts."""

T = TypeVar("T")
R = TypeVar("R")


class Connection(Protocol):
    """A session's link to a cluster.

    Attributes
    ----------
    where : the cluster in words, for messages.
    """

    where: str

    def look(self) -> Mapping[str, int]:
        """The hosts that are there, with their seats; asks for more where that is how it works.

        Raises
        ------
        HpsearchError
            If the cluster doesn't answer any more.
        """

    def call(self, host: str, method: str, *arguments: Any) -> Future[Any]:
        """Call a method of a ``Host``; fails with ``HostGoneError`` where it is gone."""

    def deliver(
        self, hosts: Sequence[str], folder: str, content: Mapping[str, bytes]
    ) -> list[tuple[str, Future[None]]]:
        """Have hosts receive the files of a folder, sent to all of them together.

        Raises
        ------
        HostGoneError
            If one of them is gone, and nothing was sent.
        """

    def forget(self, host: str) -> None:
        """Let a host go, and fail the calls that it has."""

    def close(self) -> None:
        """Let all hosts go, with what they left on their machines."""


@dataclass(eq=False)
class _Seats:
    """A host as the parent sees it: known, then admitted, then given units."""

    n: int
    facts: Future[Facts]
    admission: Future[None] | None = None
    is_admitted: bool = False
    taken: set[Future[Answer]] = field(default_factory=set)

    @property
    def n_free(self) -> int:
        return self.n - len(self.taken) if self.is_admitted else 0


class ClusterMachines:
    """The machines of a cluster, for one session; a context manager.

    Parameters
    ----------
    connect : opens the connection.
    jobs : units that run at the same time at most; None for one for each seat.
    note : takes a sentence for the user.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        jobs: int | None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._connect = connect
        self._limit = jobs
        self.note = note
        self._hosts: dict[str, _Seats] = {}
        self._refused: set[str] = set()
        self._folders: list[str] = []
        self._setups: list[Setup] = []
        self._processors: set[str] = set()
        self._looked = -math.inf
        self._has_begun = False

    def __enter__(self) -> ClusterMachines:
        self._connection = self._connect()
        self._admissions = ThreadPoolExecutor(1, "hpsearch-admissions")
        try:
            self._find_hosts()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._connection.close()  # first: what the admissions wait for fails then
        finally:
            self._admissions.shutdown(wait=True, cancel_futures=True)

    @property
    def jobs(self) -> int:
        """Units that run at the same time, with the hosts that there are now."""
        seats = sum(host.n for host in self._hosts.values() if host.is_admitted)
        return seats if self._limit is None else min(seats, self._limit)

    def start(
        self,
        warm_up: Callable[[], None] | None,
        *,
        environment: Mapping[str, str],
        pin: bool,
        timeout: float | None,
        forks: bool = False,
    ) -> ClusterWorkers:
        """Workers of one kind on all hosts; ``pin`` keeps the one on this machine on a core.

        ``forks`` is of no use: each host's children import while the driving process plans.
        """
        return ClusterWorkers(self, warm_up, environment=environment, pin=pin, timeout=timeout)

    def fresh(
        self, warm_up: Callable[[], None] | None, *, environment: Mapping[str, str]
    ) -> Workers:
        """One process on this machine."""
        return LokyWorkers(1, warm_up, environment=environment, note=self.note)

    def copies(self, warm_up: Callable[[], None] | None, timeout: float | None) -> Workers | None:
        """None: nothing is copied on a cluster."""
        return None

    def share(self, folder: Path) -> None:
        """Have every machine hold the files of a folder, under its path."""
        self._folders.append(str(folder))
        self._wait(self._admissions.submit(self._ship, None))

    # -- hosts come and go

    def look(self) -> None:
        """See which hosts there are, at most once in ``SECONDS_BETWEEN_LOOKS``."""
        now = time.monotonic()
        if now - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        there = self._connection.look()
        self._looked = time.monotonic()
        for name in self._hosts.keys() - there.keys():
            self.lose(name)
        for name in there.keys() - self._hosts.keys() - self._refused:
            self._hosts[name] = _Seats(there[name], self._connection.call(name, "facts"))
        self._admit_those_that_answered()

    def lose(self, name: str) -> None:
        """Take a host as gone: what it does fails, and if it is there again it is a new one."""
        if self._hosts.pop(name, None) is not None:
            self._connection.forget(name)

    def _find_hosts(self) -> None:
        """Wait for the hosts that are there at the start."""
        began = time.monotonic()
        while not self._are_found(waited := time.monotonic() - began):
            if waited > SECONDS_TO_FIND_HOSTS:
                raise OptionError(
                    f"A cluster must have a worker that is free; none of {self.where} answered "
                    f"within {SECONDS_TO_FIND_HOSTS:g} s. Start one, or end what keeps them busy."
                )
            time.sleep(0.02)
            self.look()
            self._admit_those_that_answered()
        self._has_begun = True
        if len(self._processors) > 1:
            self.note(
                "The workers have different processors, so last digits may depend on which one "
                f"trains a unit: {'; '.join(sorted(self._processors))}."
            )

    def _are_found(self, waited: float) -> bool:
        is_ready = [host.is_admitted for host in self._hosts.values()]
        return any(is_ready) and (all(is_ready) or waited > SECONDS_TO_GATHER)

    def _admit_those_that_answered(self) -> None:
        """Have hosts admitted that said what they are; refuse those that cannot be.

        At the start that is an error, later the search goes on without them.
        """
        for name, host in list(self._hosts.items()):
            if host.admission is None and host.facts.done():
                host.admission = self._admissions.submit(self._admit, name, host)
            elif host.admission is not None and host.admission.done() and not host.is_admitted:
                try:
                    host.admission.result()
                except OptionError as error:
                    if not self._has_begun:
                        raise
                    self.note(str(error))
                    self._refused.add(name)
                except HostGoneError:
                    pass
                self.lose(name)

    def _admit(self, name: str, host: _Seats) -> None:
        """Check a host, and give it what the others have; runs in the thread of admissions."""
        try:
            facts = host.facts.result()
            _check_versions(f"{name} ({facts.name})", facts.versions)
            self._processors.add(facts.processor)
            self._ship(name)
            for setup in self._setups:
                self._ask([name], "warm", setup, self._n_warm(host))
        except (HostGoneError, OptionError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise OptionError(
                f"Workers must have hpsearch installed and a folder for temporary files; {name} "
                f"of {self.where} answered: {reason}. See to that, or end that worker."
            ) from error
        host.is_admitted = True

    def _n_warm(self, host: _Seats) -> int:
        return host.n if self._limit is None else min(host.n, self._limit)

    def _ship(self, newcomer: str | None) -> None:
        """Send each folder to the machines that lack it, to one host of each; open the hosts."""
        hosts = {
            name: host
            for name, host in list(self._hosts.items())
            if host.is_admitted or name == newcomer
        }
        for folder in self._folders:
            for _ in range(MAX_ATTEMPTS):
                lacking = [n for n, holds in self._ask(hosts, "holds", folder) if not holds]
                if not lacking:
                    break
                one_of_each = {hosts[name].facts.result().machine: name for name in lacking}
                self._deliver(list(one_of_each.values()), folder)
        self._ask(hosts, "admit", tuple(self._folders))

    def _deliver(self, names: Sequence[str], folder: str) -> None:
        files = (path for path in Path(folder).iterdir() if path.is_file())
        content = {path.name: path.read_bytes() for path in files}
        with suppress(HostGoneError):
            try:
                self._answers(self._connection.deliver(names, folder, content))
            except OSError as error:
                raise HpsearchError(
                    "Workers must have room for the data in a folder for temporary files; one of "
                    f"{', '.join(names)} answered: {error}. Free some, or set TMPDIR there."
                ) from None

    def _ask(self, names: Iterable[str], method: str, *arguments: Any) -> list[tuple[str, Any]]:
        """Call a method of several hosts at once: the answers of those that are still there."""
        there = [name for name in names if name in self._hosts]
        call = self._connection.call
        return self._answers([(name, call(name, method, *arguments)) for name in there])

    def _answers(self, calls: Iterable[tuple[str, Future[R]]]) -> list[tuple[str, R]]:
        """The answers of hosts that are still there; they may go while this thread waits."""
        answers = []
        for name, call in calls:
            while name in self._hosts and not call.done():
                wait([call], timeout=SECONDS_BETWEEN_LOOKS)
            with suppress(HostGoneError):
                if call.done():
                    answers.append((name, call.result()))
        return [(name, answer) for name, answer in answers if name in self._hosts]

    def _wait(self, future: Future[R]) -> R:
        """Wait for work of the thread of admissions; it goes on where a host is found gone."""
        while not future.done():
            self.look()
            wait([future], timeout=0.05)
        return future.result()

    # -- kinds of workers

    def open(self, setup: Setup) -> None:
        """Start children of a kind on every host."""
        if setup not in self._setups:
            self._setups.append(setup)
            self._wait(self._admissions.submit(self._warm, setup))

    def drop(self, setup: Setup) -> None:
        """End the children of a kind on every host that does nothing."""
        if setup in self._setups:
            self._setups.remove(setup)
            idle = [name for name, host in self._hosts.items() if host.n_free == host.n]
            self._wait(self._admissions.submit(self._ask, idle, "drop", setup))

    def _warm(self, setup: Setup) -> None:
        for name, host in list(self._hosts.items()):
            if host.is_admitted:
                self._connection.call(name, "warm", setup, self._n_warm(host))

    # -- units

    def free_host(self) -> str | None:
        """The host with most free seats, or None where no seat is free."""
        hosts = self._hosts
        if self._limit is not None and sum(len(h.taken) for h in hosts.values()) >= self._limit:
            return None
        name = max(hosts, key=lambda name: hosts[name].n_free, default=None)
        return name if name is not None and hosts[name].n_free > 0 else None

    def run(self, name: str, setup: Setup, payload: bytes, limit: float | None) -> Future[Answer]:
        """Have a host's child make a call."""
        host = self._hosts[name]
        future: Future[Answer] = self._connection.call(name, "run", setup, payload, limit)
        host.taken.add(future)
        future.add_done_callback(host.taken.discard)
        return future

    @property
    def where(self) -> str:
        """The cluster, in words."""
        return self._connection.where


class ClusterWorkers(Workers):
    """Workers of one kind on all hosts of a cluster, and one on this machine for single calls."""

    company = 1  # a machine that goes away takes many units with it, seldom for the sake of one

    def __init__(
        self,
        machines: ClusterMachines,
        warm_up: Callable[[], None] | None,
        *,
        environment: Mapping[str, str],
        pin: bool = False,
        timeout: float | None = None,
    ) -> None:
        self.timeout = timeout
        self._machines = machines
        self._here = LokyWorkers(1, warm_up, environment=environment, pin=pin, note=machines.note)
        self._setup = Setup(
            environment=tuple(environment.items()),
            numerical=tuple(numerical_variables(os.environ).items()),
            warm_up=cloudpickle.dumps(warm_up),
        )
        self._machines.open(self._setup)

    @property
    def jobs(self) -> int:  # type: ignore[override]
        """Units that run at the same time, with the hosts that there are now."""
        return self._machines.jobs

    def close(self, *, at_once: bool) -> None:
        """End the processes; those that are busy end with the machines' session."""
        try:
            if not at_once:
                self._machines.drop(self._setup)
        finally:
            self._here.close(at_once=at_once)

    def begin(
        self, function: Callable[..., R], *arguments: Any, limit: float | None = None
    ) -> Begun[R]:
        """Begin a call on this machine."""
        return self._here.begin(function, *arguments, limit=limit)

    def round(
        self, function: Callable[[T], R], tasks: Mapping[int, T], numbers: Sequence[int]
    ) -> Iterator[tuple[int, Value[R] | Failure]]:
        """Results of the given tasks, each tried once."""
        machines = self._machines
        waiting = deque(numbers)
        running: dict[Future[Answer], tuple[int, str]] = {}
        arrived: queue.SimpleQueue[Future[Answer]] = queue.SimpleQueue()
        idle_since = time.monotonic()
        while waiting or running:
            machines.look()
            while waiting and (host := machines.free_host()) is not None:
                number = waiting.popleft()
                payload = cloudpickle.dumps((function, tasks[number]))
                future = machines.run(host, self._setup, payload, self.timeout)
                running[future] = number, host
                future.add_done_callback(arrived.put)
                del payload
            if running:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > SECONDS_TO_FIND_HOSTS:
                raise HpsearchError(
                    f"A cluster must have a worker; {machines.where} has had none for "
                    f"{SECONDS_TO_FIND_HOSTS:g} s. Start one, then resume the run."
                )
            with suppress(queue.Empty):
                future = arrived.get(timeout=SECONDS_BETWEEN_LOOKS if running else 0.05)
                number, host = running.pop(future)
                yield number, self._outcome(future, host)
                del future

    def _outcome(self, future: Future[Answer], host: str) -> Value[Any] | Failure:
        """What became of a unit."""
        try:
            kind, answer = future.result()
        except HostGoneError:
            self._machines.lose(host)
            return "died"
        if kind != "value":
            return kind
        is_value, value = cloudpickle.loads(answer)
        if is_value:
            return Value(value)
        if isinstance(value, MemoryError):
            return "died"
        raise value


def _check_versions(worker: str, theirs: Mapping[str, str]) -> None:
    """Raise ``OptionError`` where a worker has other versions than this process."""
    ours = versions()
    different = [
        f"{name} {theirs.get(name, 'none')} there, {ours[name]} here"
        for name in ours
        if theirs.get(name) != ours[name]
    ]
    if different:
        raise OptionError(
            "Workers must have the versions of the process that drives the search; "
            f"{worker} has {'; '.join(different)}. Install the same ones there."
        )
