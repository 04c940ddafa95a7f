"""Fits that lose a worker half-way, beside fits that don't."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client, LocalCluster, wait
from sklearn.base import clone

import flowml
from benchmarks.contenders.inputs import chunked, start
from benchmarks.contenders.results import centres
from benchmarks.contenders.turn import Run, Turn, Work
from flowml.cluster import KMeans
from flowml.testing import Faults, assert_clean

CHUNKS = 20


@contextmanager
def k_means(work: Work) -> Iterator[Run]:
    """Fit rows that the workers read; with ``options["killed"]``, one is killed for good half-way.

    The seconds are without those that it takes to read a worker's share of the rows, which the
    others do again.
    """
    X, first = chunked(work.folder / "X.npy", CHUNKS), start(work)
    n_workers, passes = work.options["workers"], work.options["passes"]
    model = KMeans(len(first), init=first, n_init=1, max_iter=passes, tol=0.0, algorithm="lloyd")
    short = clone(model).set_params(max_iter=1)

    def run() -> Turn:
        faults.settle(n_workers)
        with flowml.config_context(client=client, runtime=work.options["runtime"]):
            short.fit(X)  # one of the workers may have just started
        reading = time.perf_counter()
        share = X[: len(X) // n_workers].persist()
        wait(share)
        reading = time.perf_counter() - reading
        del share
        killing = faults.at(f"in pass {passes // 2}", faults.kill, for_good=True)
        callbacks = [killing] if work.options["killed"] else []
        settings = {"client": client, "runtime": work.options["runtime"], "callbacks": callbacks}
        started = time.perf_counter()
        with flowml.config_context(**settings):
            model.fit(X)
        seconds = time.perf_counter() - started
        assert killing.happened == work.options["killed"]
        assert_clean(client)
        again = reading if work.options["killed"] else 0.0
        return Turn(seconds - again, centres(model), {"whole": seconds, "read again": again})

    options = {"threads_per_worker": 1, "silence_logs": logging.CRITICAL}
    with (
        LocalCluster(n_workers=n_workers, dashboard_address=":0", **options) as cluster,
        Client(cluster) as client,
        Faults(cluster) as faults,
    ):
        yield run
