"""What runtimes ask of a Dask cluster: who is there, who holds what, and one result."""

import socket
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from dask.delayed import Delayed
from distributed import Client, Future, futures_of

from flowml.data.block_source import DaskKeys
from flowml.data.dataset import Dataset
from flowml.runtimes.cluster.graphs import unique_token
from flowml.runtimes.placement import Placement, Worker, place

WAIT_FOR_WORKERS = 60.0
"""Seconds."""
RECONNECTED_WITHIN = 120.0
"""Seconds, less than which Dask's `distributed.comm.timeouts.connect` mostly is."""
REACHED_WITHIN = 0.5
"""Seconds in which a worker takes a connection, where the network lets it."""
TAKEN_IN_AFTER = 1.0
"""Seconds within which a scheduler has taken in the graph of a pass: milliseconds, if not busy."""


LOOK_EVERY = 2.0
"""Seconds between two looks at who is there."""
LEAVING = ("closing", "closing_gracefully", "closed")
"""What Dask says of a worker that takes no more work."""


class Roster:
    """Looks every so often whether workers came or left.

    Parameters
    ----------
    client : distributed.Client
    workers : sequence of Worker
        Those known.
    every : float
        Seconds between two looks, which cost a round trip to the scheduler each.
    """

    def __init__(
        self, client: Client, workers: Sequence[Worker], every: float = LOOK_EVERY
    ) -> None:
        self._client = client
        self._known = set(workers)
        self._every = every
        self._next = time.monotonic() + every

    def changed(self, now: bool = False) -> list[Worker] | None:
        """Return the workers where they are others than those known, which they are from then on.

        None where they aren't, or where it isn't time to look and needn't be done now.
        """
        if not now and time.monotonic() < self._next:
            return None
        workers = cluster_workers(self._client)
        self._next = time.monotonic() + self._every
        if set(workers) == self._known:
            return None
        self._known = set(workers)
        return workers


def cluster_workers(client: Client) -> list[Worker]:
    """Describe the cluster's workers, in a fixed order, waiting for the first if there is none.

    Those that are about to leave don't count, unless there are no others.

    Raises
    ------
    TimeoutError
        If none comes.
    """
    while not (info := _identities(client)):
        _call_for_one(client)
    staying = {address: f for address, f in info.items() if f["status"] not in LEAVING}
    return [
        Worker(address, facts["nthreads"], facts["memory_limit"])
        for address, facts in sorted((staying or info).items())
    ]


def quiet_workers(client: Client, seconds: float) -> set[str]:
    """Return the workers that the scheduler hasn't heard of for some seconds: they are stopped.

    By the latest that it heard of any, so that no clocks are compared.
    """
    seen = {address: facts["last_seen"] for address, facts in _identities(client).items()}
    latest = max(seen.values(), default=0.0)
    return {address for address, when in seen.items() if when < latest - seconds}


def _call_for_one(client: Client) -> None:
    """Wait for a worker to run a task: a cluster that adapts to its load starts none for less."""
    called = client.submit(bool, key=f"flowml-call-{unique_token()}")
    try:
        called.result(WAIT_FOR_WORKERS)
    except TimeoutError:
        raise TimeoutError(
            f"the cluster has no worker, and none came within {WAIT_FOR_WORKERS:g} s: start some "
            "(cluster.scale, or cluster.adapt with a maximum), or see why they don't reach it"
        ) from None
    finally:
        forget(client, [called])


def _identities(client: Client) -> dict[str, Any]:
    """Ask the scheduler who is there, once it can be reached.

    `Client.scheduler_info` isn't used: every two seconds the client asks for no workers at all, and
    that answer may be the one that it returns.
    """
    deadline = time.monotonic() + RECONNECTED_WITHIN
    while True:
        connected(client)
        scheduler: Any = client.scheduler
        try:
            info: dict[str, Any] = client.sync(scheduler.identity, n_workers=-1)["workers"]
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return info


def holders(dataset: Dataset, client: Client) -> dict[int, str]:
    """Tell where the parts are whose X is in the workers' memory already."""
    futures = {f.key: f for c in dataset.collections[:1] for f in futures_of(c)}
    if not futures:
        return {}
    where = client.who_has(list(futures.values()))
    found = {}
    for number, part in enumerate(dataset.parts):
        if isinstance(part.source, DaskKeys) and (sites := where.get(part.source.X)):
            found[number] = min(sites)
    return found


def connected(client: Client) -> None:
    """Wait until a client that has lost its scheduler has it again.

    Raises
    ------
    RuntimeError
        If it doesn't find it.
    """
    deadline = time.monotonic() + RECONNECTED_WITHIN
    while client.status == "connecting" and time.monotonic() < deadline:
        time.sleep(0.02)
    if client.status != "running":
        raise RuntimeError(
            "the client lost its scheduler and didn't find it again: "
            "connect another one and fit again, with resume=True if there is a checkpoint"
        )


def place_on_cluster(dataset: Dataset, client: Client, keep: bool | None) -> Placement:
    """Decide what goes where on the workers that there are now."""
    return place(dataset, cluster_workers(client), keep, holders(dataset, client))


def reaches(client: Client, address: str) -> bool:
    """Tell whether a client may connect to a worker: by its own setting, or by trying it.

    A client outside of the cluster's network would wait half a minute for every result.
    """
    if client.direct_to_workers is not None:
        return bool(client.direct_to_workers)
    place = urlsplit(address)
    if place.hostname is None or place.port is None:
        return False
    try:
        socket.create_connection((place.hostname, place.port), REACHED_WITHIN).close()
    except OSError:
        return False
    return True


def fetch(client: Client, result: Delayed, direct: bool) -> Any:
    """Compute one result on the cluster; whatever interrupts that cancels it there.

    The key is named first: an interrupt may come before `Client.compute` returns its future.

    Parameters
    ----------
    client : distributed.Client
    result : Delayed
    direct : bool
        Whether the worker that has it hands it over; by way of the scheduler, 20 MB take five
        times as long.
    """
    named: Future[Any] = Future(result.key, client)
    try:
        return client.gather(client.compute(result), direct=direct)
    except BaseException:
        forget(client, [named])
        raise
    finally:
        named.release()


def forget(client: Client, futures: Sequence[Future[Any]], asked: float | None = None) -> None:
    """Cancel what a client has asked for, even where an exception's traceback refers to it.

    A scheduler takes graphs in on the side. Cancelling sooner would miss their keys, which then
    stayed: hence the wait, for as long as they aren't done anyway.

    Parameters
    ----------
    client : distributed.Client
    futures : sequence of Future
    asked : float, optional
        When, by `time.monotonic`; now if it isn't known.
    """
    deadline = (time.monotonic() if asked is None else asked) + TAKEN_IN_AFTER
    try:
        while time.monotonic() < deadline and not all(future.done() for future in futures):
            time.sleep(0.01)
    finally:
        client.cancel(list(futures))
