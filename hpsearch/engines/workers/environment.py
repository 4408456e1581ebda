"""What fixes a worker's bytes and its life: threads, Keras's backend, cores, and its parent."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing.util
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

_NO_NNX = {"KERAS_NNX_ENABLED": "false"}  # whatever keras.json says
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

WORKER_ENVIRONMENTS = {
    "tensorflow": {
        **_ONE_THREAD,
        **_NO_NNX,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "-1",
    },
    "jax": {
        **_ONE_THREAD,
        **_NO_NNX,
        "KERAS_BACKEND": "jax",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    },
}
"""Threads of a worker by Keras backend, recorded in run.json: part of what fixes the bytes."""

WORKER_ENVIRONMENT = WORKER_ENVIRONMENTS["tensorflow"]

SECONDS_TO_END = 2.0
"""How long something that a space left running may hold a worker that is done."""

WORKER_GROWTH_BYTES = 2**30
"""A worker that grew by this much is replaced between two tasks; loky's own limit is 300 MB,
which a few compiled programs reach."""

_NUMERICAL = ("JAX_", "XLA_", "TF_", "KERAS_", "OMP_", "OPENBLAS_", "MKL_")


def default_jobs() -> int:
    """Workers by default: the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def return_freed_memory() -> None:
    """Give the system what this process has freed; glibc would keep much of it for later."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def end_with_parent(parent: int) -> None:
    """Have the system end this process when its parent ends, however that happens (on Linux)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def end_soon_when_done() -> None:
    """Have this worker end soon after its last task, whatever a space left running in it.

    Python would wait for threads that are no daemons, for processes and for every exit handler.
    """

    def end() -> None:
        time.sleep(SECONDS_TO_END)
        os._exit(0)

    def begin() -> None:
        gc.freeze()  # the end of a process needs no look for garbage
        threading.Thread(target=end, daemon=True).start()

    multiprocessing.util.Finalize(None, begin, exitpriority=1000)


def tie_copies() -> None:
    """Have copies that foreign code makes of this process (``os.fork``) end with it (on Linux)."""
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    prctl = ctypes.CDLL(None).prctl  # loaded here: a copy may wait for the loader for ever
    os.register_at_fork(after_in_child=lambda: prctl(pr_set_pdeathsig, signal.SIGKILL))


def numerical_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that numerical libraries read, those that name a folder of a machine aside.

    Examples
    --------
    >>> numerical_variables({"JAX_ENABLE_X64": "0", "KERAS_HOME": "/home/a", "HOME": "/home/a"})
    {'JAX_ENABLE_X64': '0'}
    """
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_NUMERICAL) and not name.endswith(("_DIR", "_HOME", "_PATH"))
    }


def environment_like(
    ours: Mapping[str, str], theirs: Mapping[str, str], of_workers: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a worker on another machine, equal in all that changes a number.

    Parameters
    ----------
    ours : of a process on that machine; theirs : of the process that drives the search.
    of_workers : what a worker needs.
    """
    other = {name: value for name, value in ours.items() if name not in numerical_variables(ours)}
    return {**other, **numerical_variables(theirs), **of_workers}


@contextmanager
def one_core_seen() -> Iterator[None]:
    """Have libraries count one core while they start, so that each makes one thread, no more.

    Afterwards all of the process's threads may use the cores that they could before: on a machine
    with several processes that don't know of each other, the system deals them best.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), cores)
