"""What a pass sends from machine to machine, promised before the first one.

Sizes are those of pickles: what a network adds (headers, and a few kB that Dask's messages about a
task take) isn't in them.
"""

import pickle
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flowml.kernels.fold import Ask, Fold
from flowml.kernels.rows import Block
from flowml.runtimes.allreduce.ring import exchanged
from flowml.runtimes.allreduce.ring_pass import SUM_ABOVE
from flowml.runtimes.dataflow.graphs import MERGE_FAN_IN
from flowml.runtimes.packed import pack
from flowml.runtimes.parameter_server.server_loop import SERVER
from flowml.runtimes.placement import Placement
from flowml.runtimes.tree import Nodes, add_leaf


class Traffic(NamedTuple):
    """Bytes that a pass sends.

    Attributes
    ----------
    down : int
        From the client and the scheduler to the workers: asks.
    between : int
        From worker to worker: subtrees' summaries.
    up : int
        To the client: what the pass comes to.
    """

    down: int = 0
    between: int = 0
    up: int = 0


class Sizes(NamedTuple):
    """Bytes of what passes send.

    Attributes
    ----------
    ask : int
    summary : int
    additive : bool
        Whether large summaries are added up as vectors where that is less to send.
    """

    ask: int
    summary: int
    additive: bool = False


def measure(fold: Fold, ask: Ask, no_rows: Block) -> Sizes:
    """Return what an ask and a summary take, which doesn't depend on the number of rows."""
    packed = pack({(0, 0): fold(ask, [no_rows], {})})
    summary = len(packed.head) + packed.data.nbytes
    return Sizes(len(pickle.dumps(ask, 5)), summary, fold.additive)


def dataflow_traffic(placement: Placement, sizes: Sizes) -> Traffic:
    """Promise what a graph over shards sends: an ask for each, and subtrees to where they merge.

    A task that merges runs where most of them are.
    """
    groups = [(shard.worker, [*shard.leaves]) for shard in placement.shards]
    travelling = 0
    while len(groups) > 1:
        above = []
        for low in range(0, len(groups), MERGE_FAN_IN):
            group = groups[low : low + MERGE_FAN_IN]
            held: dict[str, int] = {}
            for worker, leaves in group:
                held[worker] = held.get(worker, 0) + count_subtrees(leaves)
            home = max(held, key=lambda worker: held[worker])
            travelling += sum(held.values()) - held[home]
            above.append((home, [leaf for _, leaves in group for leaf in leaves]))
        groups = above
    down = len(placement.shards) * sizes.ask
    return Traffic(down, travelling * sizes.summary, sizes.summary)


def allreduce_traffic(placement: Placement, workers: Sequence[str], sizes: Sizes) -> Traffic:
    """Promise what ranks send each other: room for the longest message of any, from each to all.

    Where that were too large, two short messages go ahead of a vector, which is summed on its way.
    Their client hears of them a few times a second, not in each pass.
    """
    longest = max(_subtrees(placement).values()) * sizes.summary
    if sizes.additive and longest > SUM_ABOVE:
        ahead = 2 * exchanged(len(workers), 0)
        return Traffic(between=ahead + (2 * len(workers) - 1) * sizes.summary)
    return Traffic(between=exchanged(len(workers), longest))


def parameter_server_traffic(
    placement: Placement, workers: Sequence[str], n_servers: int, sizes: Sizes
) -> Traffic:
    """Promise what a clock sends: asks from the servers to the other workers, and subtrees back.

    Each server has a range of the columns, and the first workers serve. For CSR rows it is the
    most: workers are sent the columns that theirs store, which nobody knows before they are there.
    The client hears of a clock a few times a second at most.
    """
    between, serving = 0, workers[SERVER : SERVER + n_servers]
    for worker, n_subtrees in _subtrees(placement).items():
        nbytes = sizes.ask + n_subtrees * sizes.summary
        between += nbytes - nbytes // n_servers * (worker in serving)
    return Traffic(between=between)


def _subtrees(placement: Placement) -> dict[str, int]:
    """Count the subtrees that each worker's leaves are merged into."""
    held: dict[str, list[int]] = {}
    for shard in placement.shards:
        held.setdefault(shard.worker, []).extend(shard.leaves)
    return {worker: count_subtrees(leaves) for worker, leaves in held.items()}


def count_subtrees(leaves: Iterable[int]) -> int:
    """Count the subtrees that leaves are merged into, none of which completes another.

    Examples
    --------
    >>> count_subtrees([0, 1, 2, 3, 4]), count_subtrees([1, 2, 3])
    (2, 2)
    """
    nodes: Nodes = {}
    for leaf in sorted(leaves):
        add_leaf(nodes, leaf, None, _NOTHING)
    return len(nodes)


def _nothing(*summaries: None) -> None:
    """Stand for summaries where only their places count."""


_NOTHING = Fold(_nothing, _nothing)
