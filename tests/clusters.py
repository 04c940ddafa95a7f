"""Clusters of worker processes that start quickly."""

import logging
import multiprocessing
from functools import cache

import dask
import pytest
from distributed import LocalCluster

IMPORTED = ("distributed", "flowml.linear_model", "flowml.cluster", "flowml.runtimes.choose")
CALM = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}
"""A worker that waits takes 0.6 % of a processor instead of 2.5 %: it watches itself less."""


def local_cluster(n_workers: int) -> LocalCluster:
    """Return worker processes with a thread each, to be closed."""
    _start_from_forks()
    return LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    )


@cache
def _start_from_forks() -> None:
    """Have Dask fork workers from a process that has imported what they need.

    A worker that starts with an interpreter of its own takes three seconds of a processor for
    imports. The command line's workers, and those of docs and notebooks, do, as a user's do.
    """
    dask.config.set(CALM | {"distributed.worker.multiprocessing-method": "forkserver"})
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(list(IMPORTED))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in dask.config.get("distributed.nanny.pre-spawn-environ").items():
            patch.setenv(name, str(value))
        forks.Process(target=int).start()
