"""Worker processes: on this machine, or on the machines of a Dask or a Ray cluster.

The one package that knows about processes. Engines see ``Workers``: a call, and a map whose
results come as they are there. What becomes of a task whose worker dies or takes too long is one
policy (``policy``), whoever runs the processes:

- ``loky``: joblib's executor, on this machine; the default.
- ``cluster``: units are handed out to the processes of a cluster, one for each free seat, over a
  connection (``dask_cluster``, ``ray_cluster``) that knows what a cluster offers and no more.
- ``host``: what runs in a cluster's process; it keeps the data's files, and the child processes
  (``child``) that train, each with the environment that fixes the bytes.
- ``machines`` makes the one that is asked for, for a whole session; ``address`` says which.
- ``environment``: threads, cores and lives of any worker; ``watch``: what takes too long or hangs;
  ``scratch``: folders for files that nobody keeps.

joblib's own backends for Dask and Ray are not used. They run a task wherever the cluster's process
is, whose Keras may already have another backend or other threads; a task that takes a cluster's
worker down is tried again by the cluster, unseen and with its neighbours blamed, and under Ray ends
the whole ``Parallel``; and neither can end a task that takes too long.
"""

from hpsearch.engines.workers.address import Cluster, check_cluster
from hpsearch.engines.workers.environment import (
    WORKER_ENVIRONMENT,
    WORKER_ENVIRONMENTS,
    default_jobs,
    end_with_parent,
    return_freed_memory,
)
from hpsearch.engines.workers.loky import LokyWorkers
from hpsearch.engines.workers.machines import Machines, machines
from hpsearch.engines.workers.policy import Begun, LateCallError, Lost, Workers, limit_of_call
from hpsearch.engines.workers.scratch import ScratchFolder, sweep

__all__ = [
    "WORKER_ENVIRONMENT",
    "WORKER_ENVIRONMENTS",
    "Begun",
    "Cluster",
    "LateCallError",
    "LokyWorkers",
    "Lost",
    "Machines",
    "ScratchFolder",
    "Workers",
    "check_cluster",
    "default_jobs",
    "end_with_parent",
    "limit_of_call",
    "machines",
    "return_freed_memory",
    "sweep",
]
