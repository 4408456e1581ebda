"""The machines of a session: this one, or those of the cluster that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol

from hpsearch.engines.workers.address import Cluster
from hpsearch.engines.workers.environment import default_jobs
from hpsearch.engines.workers.fork_server import (
    ForkServer,
    dismiss_expected,
    fork_server,
    let_go,
)
from hpsearch.engines.workers.loky import LokyWorkers
from hpsearch.engines.workers.policy import Workers


class Machines(Protocol):
    """Where the workers of a session are; a context manager.

    Attributes
    ----------
    jobs : units that run at the same time.
    """

    @property
    def jobs(self) -> int:
        """Units that run at the same time."""

    def start(
        self,
        warm_up: Callable[[], None] | None,
        *,
        environment: Mapping[str, str],
        pin: bool,
        timeout: float | None,
        forks: bool = False,
    ) -> Workers:
        """Workers of one kind; a context manager. The parameters are those of ``LokyWorkers``.

        Parameters
        ----------
        forks : whether they may be copies of one process that has warmed up, where that can be.
        """

    def fresh(
        self, warm_up: Callable[[], None] | None, *, environment: Mapping[str, str]
    ) -> Workers:
        """One more process on the machine that drives the search, which no task has run in."""

    def copies(self, warm_up: Callable[[], None] | None, timeout: float | None) -> Workers | None:
        """As many workers as there are, for tasks of another kind than training; None for the same.

        They are copies of a server that has meanwhile imported what such tasks need.
        """

    def share(self, folder: Path) -> None:
        """Have all workers find the files of a folder that units read."""

    def __enter__(self) -> Machines: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class ThisMachine:
    """Processes on this machine, which read files where they are."""

    def __init__(self, jobs: int, note: Callable[[str], None]) -> None:
        self.jobs = jobs
        self._note = note
        self._exit = ExitStack()
        self._servers: dict[Callable[[], None] | None, ForkServer] = {}

    def __enter__(self) -> ThisMachine:
        return self

    def __exit__(self, *error: object) -> None:
        self._exit.close()

    def start(
        self,
        warm_up: Callable[[], None] | None,
        *,
        environment: Mapping[str, str],
        pin: bool,
        timeout: float | None,
        forks: bool = False,
    ) -> Workers:
        """Workers of one kind; as ``LokyWorkers``."""
        server = fork_server(environment, warm_up) if forks and warm_up is not None else None
        if server is None:
            dismiss_expected()
        else:
            self._servers[warm_up] = server
            self._exit.callback(let_go, server)
        return LokyWorkers(
            self.jobs,
            warm_up,
            environment=environment,
            pin=pin,
            timeout=timeout,
            note=self._note,
            server=server,
        )

    def fresh(
        self, warm_up: Callable[[], None] | None, *, environment: Mapping[str, str]
    ) -> Workers:
        """One more process; it is a copy of the server that those of its kind are copies of."""
        server = self._servers.get(warm_up)
        return LokyWorkers(1, warm_up, environment=environment, note=self._note, server=server)

    def copies(self, warm_up: Callable[[], None] | None, timeout: float | None) -> Workers | None:
        """As many more processes, where the system can copy one and there is more than one."""
        server = self._servers.get(warm_up)
        if server is None or server.is_closed or self.jobs == 1:
            return None
        environment = dict(server.key[1])
        return LokyWorkers(
            self.jobs,
            warm_up,
            environment=environment,
            timeout=timeout,
            note=self._note,
            server=server,
        )

    def share(self, folder: Path) -> None:
        """Nothing: workers map the files."""


def machines(
    cluster: Cluster | None,
    jobs: int | None,
    note: Callable[[str], None] = lambda text: None,
    n_trainings: int | None = None,
) -> Machines:
    """The machines that are asked for; entering them connects.

    Parameters
    ----------
    cluster : whose workers train; None for processes on this machine.
    jobs : as in ``Search``.
    note : takes a sentence for the user.
    n_trainings : how many there are at most; no more units run at the same time, and on this
        machine no more than it has cores.

    Raises
    ------
    OptionError
        If a package is missing; on entering, if the cluster doesn't answer, has no worker, or one
        with other versions.

    Examples
    --------
    >>> machines(None, 2).jobs
    2
    """
    if cluster is None:
        return ThisMachine(_usable(jobs, n_trainings, note), note)
    cluster.check_installed()
    if n_trainings is not None:
        jobs = min(jobs or n_trainings, n_trainings)
    from hpsearch.engines.workers.cluster import ClusterMachines, Connection

    def connect() -> Connection:
        note(f"Connecting to the cluster {cluster}.")
        if cluster.kind == "ray":
            from hpsearch.engines.workers.ray_cluster import RayConnection

            return RayConnection(cluster.address, jobs)
        from hpsearch.engines.workers.dask_cluster import DaskConnection

        return DaskConnection(str(cluster.address))

    return ClusterMachines(connect, jobs, note)


def _usable(jobs: int | None, n_trainings: int | None, note: Callable[[str], None]) -> int:
    """Processes on this machine: those that are asked for, but for some that had nothing to do."""
    cores = default_jobs()
    trainings = cores if n_trainings is None else n_trainings
    most = min(cores, trainings)
    if jobs is None or jobs <= most:
        return jobs or most
    why = "trainings" if trainings < cores else "cores"
    note(f"--jobs {jobs} is more than there are {why}; as many processes are started: {most}.")
    return most
