"""What a fit may not leave on a cluster."""

import threading
import time

from distributed import Client, Worker
from distributed.scheduler import Scheduler

OURS = "flowml"
"""How the names of all that a fit puts on a cluster begin."""
NAMED = (
    ("multi_locks", "locks"),
    ("semaphores", "max_leases"),
    ("queues", "queues"),
    ("variables", "variables"),
)
"""What a scheduler keeps by name, locks among it: its extension, and the table in that."""


def assert_clean(client: Client, within: float = 5.0) -> None:
    """Raise unless fits have left nothing on a cluster.

    Parameters
    ----------
    client : distributed.Client
    within : float
        Seconds that released things may take to go.

    Raises
    ------
    AssertionError
        If something is left, naming it.

    Examples
    --------
    >>> import flowml
    >>> import dask.array as da
    >>> from distributed import Client, LocalCluster
    >>> from flowml.preprocessing import StandardScaler
    >>> from flowml.testing import assert_clean
    >>> cluster = LocalCluster(n_workers=1, processes=False, dashboard_address=None)
    >>> with cluster, Client(cluster) as client:
    ...     scaler = StandardScaler().fit(da.ones((100, 2), chunks=50))
    ...     assert_clean(client)
    """
    deadline = time.monotonic() + within
    while left := leftovers(client):
        if time.monotonic() > deadline:
            raise AssertionError(f"left on the cluster: {', '.join(left)}")
        time.sleep(0.05)


def leftovers(client: Client) -> list[str]:
    """List what fits have left: the scheduler's tasks, actors, locks and the like, and what its
    workers hold and run.

    Returns
    -------
    left : list of str
        Such as ``"tcp://127.0.0.1:40001 holds flowml-shard-1"``.
    """
    try:
        left = list(client.run_on_scheduler(_left_on_scheduler))
    except OSError:  # the client has kept a connection that was cut, and makes another
        left = list(client.run_on_scheduler(_left_on_scheduler))
    for address, found in client.run(_left_on_worker, on_error="ignore").items():
        left += [f"{address} {what}" for what in found]
    return sorted(left)


def _left_on_scheduler(dask_scheduler: Scheduler) -> list[str]:
    left = [f"the scheduler knows {key}" for key in dask_scheduler.tasks if _ours(key)]
    for extension, table in NAMED:
        names = getattr(dask_scheduler.extensions.get(extension), table, ())
        left += [f"the scheduler's {extension} have {name}" for name in names if _ours(name)]
    return left


def _left_on_worker(dask_worker: Worker) -> list[str]:
    state = dask_worker.state
    left = [f"holds {key}" for key in dask_worker.data if _ours(key)]
    left += [f"has the actor {key}" for key in state.actors if _ours(key)]
    left += [f"has the task {key}" for key in state.tasks if _ours(key)]
    left += [f"runs {thread.name}" for thread in threading.enumerate() if _ours(thread.name)]
    return left


def _ours(name: object) -> bool:
    return str(name).startswith(OURS)
