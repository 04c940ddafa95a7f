"""Where leaves go when workers come or leave: purely decided, and no more moves than it takes."""

from collections.abc import Sequence
from dataclasses import replace

from flowml.data.dataset import Part
from flowml.runtimes.placement import Placement, ShardPlan, Worker, cut, leaf_weights


def rehouse(placement: Placement, parts: Sequence[Part], workers: Sequence[Worker]) -> Placement:
    """Return the placement for other workers: the same leaves, most of them where they are.

    Leaves of workers that are gone, and those by which others hold more than their share, go in
    runs to those that hold less. A shard is split for that: each thread of each worker has one of
    its own afterwards, as far as there are leaves.

    Parameters
    ----------
    placement : Placement
        On workers of which some may be gone.
    parts : sequence of Part
        The dataset's.
    workers : sequence of Worker
        Those there are now.

    Returns
    -------
    placement : Placement
        The same object where a move would help nobody.
    """
    weights = leaf_weights(placement.leaves, parts)
    holds = _held_by(placement, workers)
    if not any(shard.worker not in holds for shard in placement.shards):
        before = _longest(holds, workers, weights)
        holds = _evened(holds, range(0), workers, weights)
        if _longest(holds, workers, weights) >= before:
            return placement
    else:
        known = {leaf for leaves in holds.values() for leaf in leaves}
        homeless = [leaf for leaf in range(len(placement.leaves)) if leaf not in known]
        holds = _evened(holds, homeless, workers, weights)
    shards: list[ShardPlan] = []
    for worker in workers:
        mine = holds[worker.address]
        slots = [worker.address] * worker.n_threads
        shards += cut(mine, [weights[leaf] for leaf in mine], slots)
    return replace(placement, shards=tuple(shards))


def _held_by(placement: Placement, workers: Sequence[Worker]) -> dict[str, list[int]]:
    holds: dict[str, list[int]] = {worker.address: [] for worker in workers}
    for shard in placement.shards:
        if shard.worker in holds:
            holds[shard.worker] = sorted([*holds[shard.worker], *shard.leaves])
    return holds


def _evened(
    holds: dict[str, list[int]],
    homeless: Sequence[int],
    workers: Sequence[Worker],
    weights: Sequence[int],
) -> dict[str, list[int]]:
    """Share out the homeless leaves, and those by which some hold more than their threads' share.

    Each gives from its end, until less would be further from its share than more.
    """
    threads = sum(worker.n_threads for worker in workers)
    pool, kept, lacking = list(homeless), dict[str, list[int]](), list[float]()
    for worker in workers:
        share = sum(weights) * worker.n_threads / threads
        mine = list(holds[worker.address])
        load = float(sum(weights[leaf] for leaf in mine))
        while mine and load - weights[mine[-1]] / 2 > share:
            load -= weights[mine[-1]]
            pool.append(mine.pop())
        kept[worker.address] = mine
        lacking.append(max(0.0, share - load))
    pool.sort()
    addresses = [worker.address for worker in workers]
    for run in cut(pool, [weights[leaf] for leaf in pool], addresses, lacking):
        kept[run.worker] = sorted([*kept[run.worker], *run.leaves])
    return kept


def _longest(
    holds: dict[str, list[int]], workers: Sequence[Worker], weights: Sequence[int]
) -> float:
    """Return the load of a thread of the worker whose threads have the most to do."""
    loads = (sum(weights[leaf] for leaf in holds[w.address]) / w.n_threads for w in workers)
    return max(loads)
