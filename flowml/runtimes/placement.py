"""Who holds what: decided here, purely, from sizes and workers; acted on by the runtimes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flowml.data.block_source import BlockSource, DaskKeys
from flowml.data.dataset import Dataset, Part
from flowml.kernels.rows import Block

LEAF_BYTES = 8 << 20
LEAF_ROWS = 1 << 16
FEW_LEAVES, LEAST_LEAF = 8, LEAF_BYTES // 4
"""Data that would make less than so many leaves have smaller ones, so that there is one for each
of a few workers, but none of less than so many bytes."""
KEEP_FRACTION = 0.5
"""Share of the workers' memory that kept data may take: Dask spills from 0.6 of it on."""
PROCESS_BYTES = 256 << 20
"""What a worker's process takes before any data: the interpreter, libraries, compiled kernels."""


@dataclass(frozen=True)
class Worker:
    """A place that can hold shards.

    Parameters
    ----------
    address : str
        Empty for this process.
    n_threads : int
    memory : int
        Bytes it may use; 0 for no limit.
    """

    address: str
    n_threads: int
    memory: int


@dataclass(frozen=True)
class ShardPlan:
    """Which leaves one worker's thread takes.

    Parameters
    ----------
    worker : str
    leaves : tuple of int
        Ascending.
    """

    worker: str
    leaves: tuple[int, ...]


@dataclass(frozen=True)
class Placement:
    """What goes where, and whether it stays.

    Parameters
    ----------
    leaves : tuple of tuple of int
        The parts of each leaf. A function of the parts alone, so that the merge tree, and with it
        every bit of the result, doesn't depend on the workers.
    shards : tuple of ShardPlan
    keep : bool
        Loaded once and kept for the length of the fit; else read again each pass.
    reason : str
        Why, for the plan.
    """

    leaves: tuple[tuple[int, ...], ...]
    shards: tuple[ShardPlan, ...]
    keep: bool
    reason: str

    def sources(
        self, dataset: Dataset, leaves: Iterable[int]
    ) -> list[tuple[int, list[BlockSource]]]:
        """Return the numbers of some leaves with where their blocks come from."""
        parts = dataset.parts
        return [(leaf, [parts[part].source for part in self.leaves[leaf]]) for leaf in leaves]


def place(
    dataset: Dataset,
    workers: Sequence[Worker],
    keep: bool | None = None,
    holders: Mapping[int, str] | None = None,
) -> Placement:
    """Decide leaves, shards and whether to keep.

    Parameters
    ----------
    dataset : Dataset
    workers : sequence of Worker
    keep : bool, optional
        The user's own decision.
    holders : mapping of part number to worker address, optional
        Where parts that are in memory already sit.
    """
    leaves = group_leaves(dataset.parts, dataset.many_passes)
    kept, reason = decide_keep(dataset, workers, keep, resident=bool(holders))
    if dataset.collections and not kept:
        # The chunks come and go with the graph, so each leaf is scheduled by itself.
        shards = tuple(ShardPlan("", (leaf,)) for leaf in range(len(leaves)))
    else:
        shards = spread(leaves, dataset.parts, workers, holders or {})
    return Placement(leaves, shards, kept, reason)


def group_leaves(parts: Sequence[Part], gathered: bool) -> tuple[tuple[int, ...], ...]:
    """Group consecutive parts until a leaf is worth a kernel call.

    A block in this process is a leaf as it was cut. So is a Dask chunk, unless `gathered`: it is
    summed where it is, and neighbours may be elsewhere.
    """
    sizes = [_leaf_bytes(part) for part in parts]
    enough = min(LEAF_BYTES, max(LEAST_LEAF, sum(sizes) // FEW_LEAVES))
    leaves: list[tuple[int, ...]] = []
    current: list[int] = []
    nbytes = 0
    for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        current.append(number)
        nbytes += size
        alone = isinstance(part.source, Block if gathered else Block | DaskKeys)
        if alone or nbytes >= enough:
            leaves.append(tuple(current))
            current, nbytes = [], 0
    if current:
        leaves.append(tuple(current))
    return tuple(leaves)


def _leaf_bytes(part: Part) -> int:
    """Return a part's share of a leaf in bytes: those of unknown size or many rows fill one."""
    rows = 0 if part.rows is None else part.rows
    return max(LEAF_BYTES if part.nbytes is None else part.nbytes, rows * LEAF_BYTES // LEAF_ROWS)


def decide_keep(
    dataset: Dataset, workers: Sequence[Worker], keep: bool | None, resident: bool
) -> tuple[bool, str]:
    """Decide whether blocks are loaded once, and say why."""
    if not dataset.is_lazy:
        return True, "in memory already"
    if resident:
        return True, "in the workers' memory already"
    if keep is not None:
        return keep, f"config_context(keep={keep})"
    if not (dataset.many_passes or dataset.collections):
        return False, "a pass or two of files: reading again costs less than keeping"
    if dataset.nbytes is None:
        return True, "size unknown before it is loaded; config_context(keep=False) streams it"
    if any(worker.memory == 0 for worker in workers):
        return True, "the workers' memory is not limited"
    room = sum(room_of(worker) for worker in workers)
    sizes = f"{dataset.nbytes / 1e9:.2f} GB of data, room for {room / 1e9:.2f} GB"
    if dataset.nbytes <= room:
        return True, f"fits the workers' memory: {sizes}"
    return False, f"doesn't fit the workers' memory: {sizes}"


def room_of(worker: Worker) -> int:
    """Count the bytes of kept data that a worker has room for.

    Memory that this process could still take is free; a worker's limit holds its own needs too.
    """
    own = PROCESS_BYTES if worker.address else 0
    return max(0, int(KEEP_FRACTION * worker.memory) - own)


def spread(
    leaves: Sequence[Sequence[int]],
    parts: Sequence[Part],
    workers: Sequence[Worker],
    holders: Mapping[int, str],
) -> tuple[ShardPlan, ...]:
    """Give each leaf to the worker that holds most of it, or else cut evenly by bytes."""
    weights = leaf_weights(leaves, parts)
    if holders:
        homes = [_home(leaf, parts, holders, workers) for leaf in leaves]
        shards = []
        for worker in workers:
            mine = [number for number, home in enumerate(homes) if home == worker.address]
            shards += cut(mine, [weights[n] for n in mine], [worker.address] * worker.n_threads)
        return tuple(shards)
    slots = [worker.address for worker in workers for _ in range(worker.n_threads)]
    return tuple(cut(range(len(leaves)), weights, slots))


def _home(
    leaf: Sequence[int],
    parts: Sequence[Part],
    holders: Mapping[int, str],
    workers: Sequence[Worker],
) -> str:
    held = {worker.address: 0 for worker in workers}
    for number in leaf:
        if holders.get(number) in held:
            held[holders[number]] += parts[number].nbytes or 1
    return max(held, key=lambda address: held[address])


def leaf_weights(leaves: Sequence[Sequence[int]], parts: Sequence[Part]) -> list[int]:
    """Return how much there is to do for each leaf: its bytes, where they are known."""
    return [sum(parts[number].nbytes or 1 for number in leaf) for leaf in leaves]


def cut(
    leaves: Sequence[int],
    weights: Sequence[int],
    slots: Sequence[str],
    shares: Sequence[float] | None = None,
) -> list[ShardPlan]:
    """Cut leaves in their order into a run per slot; empty runs drop.

    The runs' weights are about equal, or as the shares.
    """
    total = sum(weights)
    ends = np.cumsum(np.ones(len(slots)) if shares is None else shares)
    runs: list[list[int]] = [[] for _ in slots]
    before = 0
    for leaf, weight in zip(leaves, weights, strict=True):
        middle = (before + weight / 2) / total * ends[-1]
        runs[min(int(np.searchsorted(ends, middle, "right")), len(slots) - 1)].append(leaf)
        before += weight
    return [ShardPlan(slot, tuple(run)) for slot, run in zip(slots, runs, strict=True) if run]
