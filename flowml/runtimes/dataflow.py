"""Passes as lazy Dask graphs: summarise each shard, merge along the fixed tree, fetch one result.

The graph runs on whichever Dask scheduler is active: a distributed client's, or the threaded one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from dask.base import compute, tokenize
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.task_spec import DataNode, List, Task, TaskRef
from distributed import Client, futures_of

from flowml.config import Config
from flowml.data.block_source import DaskKeys, as_argument
from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.runtimes.placement import Placement, Worker, place
from flowml.runtimes.runtime import Runtime
from flowml.runtimes.shard import Shard, make_shard, summarise_shard
from flowml.runtimes.threads import ThreadsRuntime, this_process
from flowml.runtimes.tree import Nodes, join, root

Key: TypeAlias = Any
MERGE_FAN_IN = 16
"""Shards whose subtrees one task merges."""


class DataflowRuntime:
    """Shards held by a cluster (or by Dask's threaded scheduler), one graph for each pass.

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
        self._passes = 0
        self._shards: HighLevelGraph | None = shard_graph(dataset, placement, self._token)
        if client is not None and (placement.keep or not dataset.collections):
            self._shards = self._persist(self._shards, client)

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Run one graph and fetch the merged summary."""
        if self._shards is None:
            raise RuntimeError("this runtime is closed")
        self._passes += 1
        token = f"{self._token}-{self._passes}"
        result = pass_graph(self._shards, self.placement, self._token, token, fold, ask)
        if self._client is None:
            return compute(result)[0]
        future = self._client.compute(result)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Release the shards on the workers."""
        self._shards = None

    def _persist(self, graph: HighLevelGraph, client: Client) -> HighLevelGraph:
        """Load the shards onto their workers; the graph then holds futures."""
        keys = [shard_key(self._token, number) for number in range(len(self.placement.shards))]
        futures: dict[Key, Any] = {}
        for persisted in client.persist([Delayed(key, graph) for key in keys]):
            futures.update({future.key: future for future in futures_of(persisted)})
        layers: dict[str, Mapping[Key, Any]] = {f"shards-{self._token}": futures}
        return HighLevelGraph(layers, {f"shards-{self._token}": set()})


def unique_token() -> str:
    """Return a name that no other fit on the cluster has."""
    return tokenize(object())


def shard_key(token: str, number: int) -> Key:
    """Name a shard."""
    return f"flowml-shard-{token}-{number}"


def shard_graph(dataset: Dataset, placement: Placement, token: str) -> HighLevelGraph:
    """Build the graph that makes the shards: one task for each, whatever its number of blocks."""
    owned = not any(futures_of(collection) for collection in dataset.collections)
    layers: dict[str, Mapping[Key, Any]] = {}
    dependencies: dict[str, set[str]] = {}
    upstream = HighLevelGraph.merge(
        *(collection.__dask_graph__() for collection in dataset.collections)
    )
    layers.update(upstream.layers)
    dependencies.update({name: set(names) for name, names in upstream.dependencies.items()})
    for number, shard in enumerate(placement.shards):
        key = shard_key(token, number)
        leaves = [
            List(
                leaf,
                List(*(as_argument(dataset.parts[part].source) for part in placement.leaves[leaf])),
            )
            for leaf in shard.leaves
        ]
        task = Task(key, make_shard, List(*leaves), owned, placement.keep)
        layers[key] = MaterializedLayer({key: task}, annotations=_pin(shard.worker))
        dependencies[key] = set(upstream.layers)
    return HighLevelGraph(layers, dependencies)


def pass_graph(
    shards: HighLevelGraph,
    placement: Placement,
    shards_token: str,
    token: str,
    fold: Fold,
    ask: Ask,
) -> Delayed:
    """Build the lazy graph of one pass over shards."""
    layers = dict(shards.layers)
    dependencies = {name: set(names) for name, names in shards.dependencies.items()}
    keys: list[Key] = []
    for number, shard in enumerate(placement.shards):
        key = f"flowml-summarise-{token}-{number}"
        of = shard_key(shards_token, number)
        task = Task(key, summarise_shard, TaskRef(of), DataNode(None, fold), DataNode(None, ask))
        layers[key] = MaterializedLayer({key: task}, annotations=_pin(shard.worker))
        dependencies[key] = {name for name in (of, f"shards-{shards_token}") if name in layers}
        keys.append(key)
    merges, result = _merge_tasks(keys, token, fold)
    layers[result] = MaterializedLayer(merges)
    dependencies[result] = set(keys)
    return Delayed(result, HighLevelGraph(layers, dependencies))


def merge_nodes(parts: Sequence[Nodes], fold: Fold) -> Nodes:
    """Join the subtrees of several shards: a task."""
    return join(parts, fold)


def merge_root(parts: Sequence[Nodes], fold: Fold) -> Summary:
    """Join the last subtrees into the summary of the pass: a task."""
    return root(join(parts, fold), fold)


def _merge_tasks(keys: list[Key], token: str, fold: Fold) -> tuple[dict[Key, Task], Key]:
    tasks: dict[Key, Task] = {}
    level = 0
    while len(keys) > MERGE_FAN_IN:
        above: list[Key] = []
        for low in range(0, len(keys), MERGE_FAN_IN):
            key = f"flowml-merge-{token}-{level}-{low}"
            group = [TaskRef(below) for below in keys[low : low + MERGE_FAN_IN]]
            tasks[key] = Task(key, merge_nodes, List(*group), DataNode(None, fold))
            above.append(key)
        keys, level = above, level + 1
    result = f"flowml-pass-{token}"
    group = [TaskRef(below) for below in keys]
    tasks[result] = Task(result, merge_root, List(*group), DataNode(None, fold))
    return tasks, result


def _pin(worker: str) -> dict[str, Any]:
    """Prefer one worker, but outlive it."""
    return {"workers": [worker], "allow_other_workers": True} if worker else {}


def cluster_workers(client: Client) -> list[Worker]:
    """Describe the cluster's workers, in a fixed order."""
    info = client.scheduler_info(n_workers=-1)["workers"]
    return [
        Worker(address, facts["nthreads"], facts["memory_limit"])
        for address, facts in sorted(info.items())
    ]


def _holders(dataset: Dataset, client: Client) -> dict[int, str]:
    """Tell where the parts are whose X is in the workers' memory already."""
    futures = {f.key: f for c in dataset.collections[:1] for f in futures_of(c)}
    if not futures:
        return {}
    where = client.who_has(list(futures.values()))
    holders = {}
    for number, part in enumerate(dataset.parts):
        if isinstance(part.source, DaskKeys) and (sites := where.get(part.source.X)):
            holders[number] = min(sites)
    return holders


def open_dataflow(dataset: Dataset, client: Client, config: Config) -> DataflowRuntime:
    """Place the data on the cluster and return the runtime."""
    workers = cluster_workers(client)
    if not workers:
        client.wait_for_workers(1, timeout=60)
        workers = cluster_workers(client)
    placement = place(dataset, workers, config.keep, _holders(dataset, client))
    return DataflowRuntime(dataset, placement, client)


def open_dataflow_here(dataset: Dataset, config: Config) -> Runtime:
    """Take a Dask collection without a cluster: kept, its blocks go to this process's threads."""
    worker = this_process(config)
    placement = place(dataset, [worker], config.keep)
    if not placement.keep:
        return DataflowRuntime(dataset, placement, None)
    token = unique_token()
    graph = shard_graph(dataset, placement, token)
    keys = [shard_key(token, number) for number in range(len(placement.shards))]
    shards: Sequence[Shard] = compute(*(Delayed(key, graph) for key in keys))
    leaves = sorted((leaf for shard in shards for leaf in shard.leaves), key=lambda f: f.number)
    return ThreadsRuntime(dataset, placement, Shard(leaves), worker.n_threads)
