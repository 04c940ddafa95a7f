"""The graph of a pass: a task summarises each shard, and others merge along the fixed tree."""

from collections.abc import Sequence
from typing import NamedTuple

from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.task_spec import DataNode, List, Task, TaskRef

from flowml.kernels.fold import Ask, Fold, Summary
from flowml.runtimes.cluster.graphs import Key, pin, shard_key
from flowml.runtimes.packed import Packed, pack, unpack
from flowml.runtimes.placement import Placement
from flowml.runtimes.shard import summarise_shard
from flowml.runtimes.span import Spans
from flowml.runtimes.tree import join, root

MERGE_FAN_IN = 16
"""Shards whose subtrees one task merges."""


class Total(NamedTuple):
    """What a pass comes to.

    Attributes
    ----------
    summary : Summary
        Of all rows.
    spans : tuple of Span
        Who summarised which shard, and when.
    """

    summary: Summary
    spans: Spans


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
        layers[key] = MaterializedLayer({key: task}, annotations=pin(shard.worker))
        dependencies[key] = {name for name in (of, f"shards-{shards_token}") if name in layers}
        keys.append(key)
    merges, result = _merge_tasks(keys, token, fold)
    layers[result] = MaterializedLayer(merges)
    dependencies[result] = set(keys)
    return Delayed(result, HighLevelGraph(layers, dependencies))


def count_tasks(placement: Placement) -> int:
    """Count the tasks of a pass over shards that are there already."""
    width = len(placement.shards)
    tasks = width
    while width > MERGE_FAN_IN:
        width = -(-width // MERGE_FAN_IN)
        tasks += width
    return tasks + 1


def merge_nodes(parts: Sequence[Packed], fold: Fold) -> Packed:
    """Join the subtrees of several shards: a task."""
    return pack(join(map(unpack, parts), fold), _spans(parts))


def merge_root(parts: Sequence[Packed], fold: Fold) -> Total:
    """Join the last subtrees into the summary of the pass: a task."""
    return Total(root(join(map(unpack, parts), fold), fold), _spans(parts))


def _spans(parts: Sequence[Packed]) -> Spans:
    return tuple(span for part in parts for span in part.spans)


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
