"""Shards made of the leaves of others: split where they are, and joined where they are to be."""

from collections.abc import Sequence
from typing import NamedTuple

from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.task_spec import List, Task, TaskRef

from flowml.runtimes.cluster.graphs import pin, shard_key
from flowml.runtimes.placement import Placement
from flowml.runtimes.shard import Leaf, Shard


class SomeLeaves(NamedTuple):
    """Some of a shard's leaves, on their way to another shard.

    Attributes
    ----------
    leaves : list of Leaf
    owned : bool
        As for the shard.
    """

    leaves: list[Leaf]
    owned: bool


def take_leaves(shard: Shard, numbers: Sequence[int]) -> SomeLeaves:
    """Take some leaves of a shard: a task, that runs where the shard is."""
    wanted = set(numbers)
    return SomeLeaves([leaf for leaf in shard.leaves if leaf.number in wanted], shard.owned)


def join_leaves(parts: Sequence[SomeLeaves], travelled: bool) -> Shard:
    """Make a shard of leaves of others: a task, that runs where the shard is to be."""
    leaves = sorted((leaf for part in parts for leaf in part.leaves), key=lambda leaf: leaf.number)
    return Shard(leaves, travelled or any(part.owned for part in parts))


def moved_graph(
    shards: HighLevelGraph,
    sites: Sequence[str],
    before: tuple[Placement, str],
    after: tuple[Placement, str],
) -> HighLevelGraph:
    """Build the graph that makes shards of the leaves of others.

    Parameters
    ----------
    shards : HighLevelGraph
        The others.
    sites : sequence of str
        The worker that each of them is on; empty where it is being made.
    before, after : tuple of Placement and str
        Of which the token is in the shards' names.
    """
    layers = dict(shards.layers)
    dependencies = {name: set(names) for name, names in shards.dependencies.items()}
    origin = {leaf: n for n, shard in enumerate(before[0].shards) for leaf in shard.leaves}

    def add(task: Task, worker: str, needs: set[str]) -> str:
        key = str(task.key)
        layers[key] = MaterializedLayer({key: task}, annotations=pin(worker))
        dependencies[key] = needs
        return key

    for number, shard in enumerate(after[0].shards):
        pieces: dict[int, list[int]] = {}
        for leaf in shard.leaves:
            pieces.setdefault(origin[leaf], []).append(leaf)
        parts = []
        for piece, leaves in pieces.items():
            name, whole = f"flowml-part-{after[1]}-{number}-{piece}", shard_key(before[1], piece)
            task = Task(name, take_leaves, TaskRef(whole), List(*leaves))
            parts.append(add(task, sites[piece], set(shards.layers)))
        travelled = any(sites[piece] != shard.worker for piece in pieces)
        refs = List(*map(TaskRef, parts))
        joined = Task(shard_key(after[1], number), join_leaves, refs, travelled)
        add(joined, shard.worker, set(parts))
    return HighLevelGraph(layers, dependencies)
