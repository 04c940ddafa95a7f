"""Passes on this process's threads: no scheduler round trip, for data in this process or files."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.kernels.scratch import keep_scratch
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.machine import available_memory
from flowml.runtimes.passes import iterate
from flowml.runtimes.placement import Placement, Worker, place
from flowml.runtimes.runtime import Advance
from flowml.runtimes.shard import Leaf, make_shard, summarise_leaves
from flowml.runtimes.span import Span, Spans, by_place, since
from flowml.runtimes.tree import Nodes, join, root
from flowml.solvers.solver import Solver, State

GROUPS_PER_THREAD = 8


class Crew:
    """Threads of this process that go over its leaves together.

    Parameters
    ----------
    leaves : list of Leaf
    n_threads : int

    Attributes
    ----------
    spans : list of Span
        Who went over which group in the last pass.
    """

    def __init__(self, leaves: list[Leaf], n_threads: int) -> None:
        self.spans: list[Span] = []
        self._groups = group(leaves, n_threads)
        self._pool: ThreadPoolExecutor | None = None
        if n_threads > 1 and len(self._groups) > 1:
            self._pool = ThreadPoolExecutor(n_threads, "flowml", keep_scratch)

    @property
    def leaves(self) -> list[Leaf]:
        """All of them, in order."""
        return [leaf for leaves in self._groups for leaf in leaves]

    def summarise(self, fold: Fold, ask: Ask) -> Nodes:
        """Summarise the groups of leaves on the threads, and join their subtrees."""
        self.spans = spans = []

        def summarise(leaves: list[Leaf]) -> Nodes:
            started = time.time()
            nodes = summarise_leaves(leaves, fold, ask)
            spans.append(since(started))
            return nodes

        run = map if self._pool is None else self._pool.map
        return join(run(summarise, self._groups), fold)

    def close(self) -> None:
        """Stop the threads and drop the blocks."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._groups = []


class ThreadsRuntime:
    """The leaves in this process, shared out among threads.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    n_threads : int
    load : callable ``() -> list of Leaf``
        Gives every leaf, once the first pass needs them.
    """

    def __init__(
        self,
        dataset: Dataset,
        placement: Placement,
        n_threads: int,
        load: Callable[[], list[Leaf]],
    ) -> None:
        self.dataset = dataset
        self.placement = placement
        self._n_threads = n_threads
        self._load = load
        self._crew: Crew | None = None

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Summarise the leaves on the threads, then merge along the fixed tree."""
        if self._crew is None:
            self._crew = Crew(self._load(), self._n_threads)
        with one_blas_thread():
            return root(self._crew.summarise(fold, ask), fold)

    def iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Run the loop here."""
        return iterate(self.one_pass, solver, state, self._worked)

    def close(self) -> None:
        """Stop the threads and drop the blocks."""
        if self._crew is not None:
            self._crew.close()
        self._crew = None

    def _worked(self) -> Spans:
        return () if self._crew is None else by_place(self._crew.spans)


def group(leaves: list[Leaf], n_threads: int) -> list[list[Leaf]]:
    """Cut leaves into groups of a power of two, a few for each thread: threads end together.

    Groups start at multiples of their size, so that each is a complete subtree where it can be.
    """
    size = 1
    while len(leaves) > 2 * size * GROUPS_PER_THREAD * n_threads:
        size *= 2
    return [leaves[low : low + size] for low in range(0, len(leaves), size)]


def n_threads(config: Config) -> int:
    """Return how many threads this process may use for a pass."""
    return config.n_threads or len(os.sched_getaffinity(0))


def this_process(config: Config) -> Worker:
    """Describe this process as a worker."""
    return Worker("", n_threads(config), available_memory())


def open_threads(dataset: Dataset, config: Config) -> ThreadsRuntime:
    """Return the runtime, which loads what is to be kept on its threads."""
    worker = this_process(config)
    placement = place(dataset, [worker], config.keep)
    load = partial(load_here, dataset, placement, worker.n_threads)
    return ThreadsRuntime(dataset, placement, worker.n_threads, load)


def load_here(dataset: Dataset, placement: Placement, n_threads: int) -> list[Leaf]:
    """Return all leaves, read on the threads where they are to be kept."""
    leaves = placement.sources(dataset, range(len(placement.leaves)))
    if not (placement.keep and dataset.is_lazy and n_threads > 1):
        return make_shard(leaves, True, placement.keep).leaves
    with ThreadPoolExecutor(n_threads, "flowml-load") as pool:
        return list(pool.map(lambda leaf: make_shard([leaf], True, True).leaves[0], leaves))
