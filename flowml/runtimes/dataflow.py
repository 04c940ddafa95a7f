"""Passes as lazy Dask graphs: summarise each shard, merge along the fixed tree, fetch one result.

The graph runs on whichever Dask scheduler is active: a distributed client's, or the threaded one.
"""

import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

from dask.base import compute
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from distributed import Client, Future, futures_of

from flowml.config import Config
from flowml.data.block_source import DaskKeys
from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.runtimes.graphs import Key, pass_graph, shard_graph, shard_key, unique_token
from flowml.runtimes.placement import Placement, Worker, place
from flowml.runtimes.runtime import Runtime
from flowml.runtimes.shard import Leaf, Shard, make_shard
from flowml.runtimes.threads import ThreadsRuntime, this_process

RESTORES = 3
"""Times in a row that a pass may find rows lost which only this process has, before it gives up."""
WAIT_FOR_WORKERS = 60
"""Seconds."""
TAKEN_IN_AFTER = 1.0
"""Seconds within which a scheduler has taken in the graph of a pass: milliseconds, if not busy."""


class StreamedRuntime:
    """The chunks of a Dask collection that isn't kept: its own graph runs in each pass.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    client : distributed.Client or None
        None runs the graphs on the active Dask scheduler.
    """

    def __init__(self, dataset: Dataset, placement: Placement, client: Client | None) -> None:
        self.dataset = dataset
        self.placement = placement
        self._client = client
        self._token = unique_token()
        self._shards = shard_graph(dataset, placement, self._token)
        self._passes = 0

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Run one graph and fetch the merged summary."""
        self._passes += 1
        token = f"{self._token}-{self._passes}"
        result = pass_graph(self._shards, self.placement, self._token, token, fold, ask)
        return compute(result)[0] if self._client is None else fetch(self._client, result)

    def close(self) -> None:
        """Nothing is held between passes."""


class DataflowRuntime:
    """Shards held by a cluster for the length of a fit, one graph for each pass over them.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    client : distributed.Client
    """

    def __init__(self, dataset: Dataset, placement: Placement, client: Client) -> None:
        self.dataset = dataset
        self.placement = placement
        self._client = client
        self._passes = 0
        self._token = ""
        self._shards: dict[Key, Future[Any]] = {}

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Run one graph and fetch the merged summary; the first pass brings the shards along.

        Shards made by a graph are made again by Dask where a worker was lost. Rows that came from
        this process can't be: they are sent again, and the pass starts over.

        Raises
        ------
        RuntimeError
            If the rows are lost time after time.
        """
        for _ in range(RESTORES):
            if not self._shards:
                self._hold()
            self._passes += 1
            token = f"{self._token}-{self._passes}"
            layer = f"shards-{self._token}"
            shards = HighLevelGraph({layer: self._shards}, {layer: set()})
            try:
                result = pass_graph(shards, self.placement, self._token, token, fold, ask)
                return fetch(self._client, result)
            except CancelledError as error:
                if self.dataset.is_lazy or not self._is_lost():
                    raise RuntimeError(
                        f"pass {self._passes} was cancelled on the cluster ({error}): its data "
                        "were cancelled, or held by a worker that is gone and can't be made again"
                    ) from error
            self.close()
            self.placement = place_on_cluster(self.dataset, self._client, self.placement.keep)
        raise RuntimeError(
            f"the cluster lost its workers {RESTORES} times in one pass: see their logs "
            "(memory_limit is the usual cause)"
        )

    def close(self) -> None:
        """Release the shards, even those that an exception's traceback still refers to."""
        for future in self._shards.values():
            future.release()
        self._shards = {}

    def _hold(self) -> None:
        """Bring the shards to the workers."""
        self._token = unique_token()
        keys = [shard_key(self._token, number) for number in range(len(self.placement.shards))]
        self._shards = {key: Future(key, self._client) for key in keys}
        try:
            if self.dataset.is_lazy:
                graph = shard_graph(self.dataset, self.placement, self._token)
                self._client.persist([Delayed(key, graph) for key in keys])
            else:
                self._send(keys)
        except BaseException:
            forget(self._client, list(self._shards.values()))
            raise

    def _send(self, keys: Sequence[Key]) -> None:
        """Send rows that are in this process, which no graph could hold without a copy."""
        for key, plan in zip(keys, self.placement.shards, strict=True):
            shard = make_shard(self.placement.sources(self.dataset, plan.leaves), True, True)
            self._client.scatter({key: shard}, workers=[plan.worker])

    def _is_lost(self) -> bool:
        return any(future.cancelled() for future in self._shards.values())


def fetch(client: Client, result: Delayed) -> Any:
    """Compute one result on the cluster; whatever interrupts that cancels it there.

    The key is named first: an interrupt may come before `Client.compute` returns its future.
    """
    named: Future[Any] = Future(result.key, client)
    try:
        return client.compute(result).result()
    except BaseException:
        forget(client, [named])
        raise
    finally:
        named.release()


def forget(client: Client, futures: Sequence[Future[Any]]) -> None:
    """Cancel what a client has asked for, even where an exception's traceback refers to it.

    A scheduler takes graphs in on the side. Cancelling sooner would miss their keys, which then
    stayed: hence the wait, for as long as they aren't done anyway.
    """
    deadline = time.monotonic() + TAKEN_IN_AFTER
    try:
        while time.monotonic() < deadline and not all(future.done() for future in futures):
            time.sleep(0.01)
    finally:
        client.cancel(list(futures))


def cluster_workers(client: Client) -> list[Worker]:
    """Describe the cluster's workers, in a fixed order, waiting for the first if there is none.

    Raises
    ------
    TimeoutError
        If none comes.
    """
    client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
    info = client.scheduler_info(n_workers=-1)["workers"]
    return [
        Worker(address, facts["nthreads"], facts["memory_limit"])
        for address, facts in sorted(info.items())
    ]


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


def open_dataflow(dataset: Dataset, client: Client, config: Config) -> Runtime:
    """Place the data on the cluster and return the runtime."""
    placement = place_on_cluster(dataset, client, config.keep)
    if dataset.collections and not placement.keep:
        return StreamedRuntime(dataset, placement, client)
    return DataflowRuntime(dataset, placement, client)


def place_on_cluster(dataset: Dataset, client: Client, keep: bool | None) -> Placement:
    """Decide what goes where on the workers that there are now."""
    return place(dataset, cluster_workers(client), keep, holders(dataset, client))


def open_dataflow_here(dataset: Dataset, config: Config) -> Runtime:
    """Take a Dask collection without a cluster: kept, its blocks go to this process's threads."""
    worker = this_process(config)
    placement = place(dataset, [worker], config.keep)
    if not placement.keep:
        return StreamedRuntime(dataset, placement, None)
    load = partial(load_collection, dataset, placement)
    return ThreadsRuntime(dataset, placement, worker.n_threads, load)


def load_collection(dataset: Dataset, placement: Placement) -> list[Leaf]:
    """Load every leaf of a Dask collection on the active scheduler."""
    token = unique_token()
    graph = shard_graph(dataset, placement, token)
    keys = [shard_key(token, number) for number in range(len(placement.shards))]
    shards: Sequence[Shard] = compute(*(Delayed(key, graph) for key in keys))
    return sorted((leaf for shard in shards for leaf in shard.leaves), key=lambda f: f.number)
