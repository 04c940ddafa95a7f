"""Where a command runs: a cluster that is there, one that it starts, or this process."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from distributed import Client, LocalCluster  # the command line starts and names clusters

CONNECT_SECONDS = 10


@contextmanager
def connection(scheduler: str | None, workers: int | None) -> Iterator[Client | None]:
    """Connect to a cluster for the length of a command; None runs it on this process's threads.

    Parameters
    ----------
    scheduler : str, optional
        Address of a running cluster.
    workers : int, optional
        Start a local cluster of so many processes, which share the processors.

    Raises
    ------
    ConnectionError
        If no scheduler answers within ten seconds.
    ValueError
        If the cluster's workers have another flowml, or none.
    """
    if scheduler is not None:
        with _connect(scheduler) as client:
            _check_workers(client, scheduler)
            yield client
    elif workers is not None:
        with _local_cluster(workers) as cluster, Client(cluster) as client:
            yield client
    else:
        yield None


def _local_cluster(workers: int) -> LocalCluster:
    """Start a cluster whose processes leave Ctrl-C, which a terminal sends to all, to this one."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=max(1, len(os.sched_getaffinity(0)) // workers),
            dashboard_address=":0",
            silence_logs=logging.ERROR,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def _connect(scheduler: str) -> Client:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        return Client(scheduler, timeout=CONNECT_SECONDS)
    except OSError as error:
        raise ConnectionError(
            f"no Dask scheduler answered at {scheduler} within {CONNECT_SECONDS} s: "
            "check that it runs, and that this machine reaches its address"
        ) from error


def _check_workers(client: Client, scheduler: str) -> None:
    """Find out at once what would otherwise fail obscurely in the first pass."""
    here = version("flowml")
    try:
        found = set(client.run(version, "flowml").values())
    except PackageNotFoundError as error:
        raise ValueError(
            f"the workers of {scheduler} don't have flowml: install {here} there"
        ) from error
    if found - {here}:
        raise ValueError(f"the workers of {scheduler} have flowml {', '.join(found)}, not {here}")
