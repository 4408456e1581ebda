"""The machines of a session: this one, or those of a cluster that ``--address`` names."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, get_args

from hpsearch.engines.workers.environment import default_jobs
from hpsearch.engines.workers.loky import LokyWorkers
from hpsearch.engines.workers.policy import Workers
from hpsearch.errors import OptionError

Backend = Literal["loky", "dask", "ray"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

_PACKAGES: Mapping[str, str] = {"dask": "distributed", "ray": "ray"}


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
    ) -> Workers:
        """Workers of one kind; a context manager. The parameters are those of ``LokyWorkers``."""

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

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def __enter__(self) -> ThisMachine:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def start(
        self,
        warm_up: Callable[[], None] | None,
        *,
        environment: Mapping[str, str],
        pin: bool,
        timeout: float | None,
    ) -> Workers:
        """Workers of one kind; as ``LokyWorkers``."""
        return LokyWorkers(self.jobs, warm_up, environment=environment, pin=pin, timeout=timeout)

    def share(self, folder: Path) -> None:
        """Nothing: workers map the files."""


def machines(
    backend: Backend,
    address: str | None,
    jobs: int | None,
    note: Callable[[str], None] = lambda text: None,
) -> Machines:
    """The machines that are asked for; entering them connects.

    Parameters
    ----------
    backend, address, jobs : as in ``Search``.
    note : takes a sentence for the user.

    Raises
    ------
    OptionError
        If the options don't fit together, or a package is missing; on entering, if the cluster
        doesn't answer, has no worker, or one with other versions.

    Examples
    --------
    >>> machines("loky", None, 2).jobs
    2
    """
    check_backend(backend, address)
    if backend == "loky":
        return ThisMachine(jobs or default_jobs())
    from hpsearch.engines.workers.cluster import ClusterMachines

    if backend == "ray":
        from hpsearch.engines.workers.ray_cluster import RayConnection

        return ClusterMachines(lambda: RayConnection(address, jobs), jobs, note)
    from hpsearch.engines.workers.dask_cluster import DaskConnection

    return ClusterMachines(lambda: DaskConnection(str(address)), jobs, note)


def check_backend(backend: str, address: str | None) -> None:
    """Raise ``OptionError`` where backend and address are nothing to connect to."""
    if backend not in BACKENDS:
        raise OptionError(f"`backend` is one of {', '.join(BACKENDS)}; received {backend!r}.")
    if backend == "loky":
        if address is not None:
            raise OptionError(
                "`--address` names a cluster, and `--backend loky` works on this machine alone; "
                f"received {address!r}. Add --backend dask or --backend ray, or leave it out."
            )
        return
    package = _PACKAGES[backend]
    if importlib.util.find_spec(package) is None:
        raise OptionError(
            f"`--backend {backend}` needs the package {package}, which is not installed. "
            f"Run: pip install 'hpsearch[{backend}]'"
        )
    if backend == "dask" and address is None:
        raise OptionError(
            "`--backend dask` needs the address of a Dask scheduler; received none. "
            "Add --address tcp://HOST:8786."
        )
