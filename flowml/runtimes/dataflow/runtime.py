"""Passes as lazy Dask graphs: summarise each shard, merge along the fixed tree, fetch one result.

The graph runs on whichever Dask scheduler is active: a distributed client's, or the threaded one.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from functools import partial

from dask.base import compute
from dask.delayed import Delayed
from distributed import Client, futures_of

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.runtimes.cluster.graphs import shard_graph, shard_key, unique_token
from flowml.runtimes.cluster.held import HeldShards, StreamedShards
from flowml.runtimes.cluster.workers import connected, fetch, place_on_cluster, reaches
from flowml.runtimes.dataflow.graphs import pass_graph
from flowml.runtimes.elastic.lookout import Lookout
from flowml.runtimes.passes import iterate
from flowml.runtimes.placement import Placement, place
from flowml.runtimes.runtime import Advance, Runtime
from flowml.runtimes.shard import Leaf, Shard
from flowml.runtimes.span import Spans
from flowml.runtimes.threads import ThreadsRuntime, this_process
from flowml.solvers.solver import Solver, State

RESTORES = 3
"""Times in a row that a pass may find rows lost which only this process has, before it gives up."""

CUT = "scheduler-connection-lost"
"""Dask's word for why it has cancelled a future."""
CUT_NOTICED_WITHIN = 0.2
"""Seconds after which a client knows that the scheduler is gone that doesn't answer."""


class StreamedRuntime:
    """The chunks of a Dask collection that isn't kept: its own graph runs in each pass.

    Without a cluster, on the active Dask scheduler.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    """

    def __init__(self, dataset: Dataset, placement: Placement) -> None:
        self.dataset = dataset
        self.placement = placement
        self._shards = StreamedShards(dataset, placement)
        self._passes = 0
        self._spans: Spans = ()

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Run one graph and fetch the merged summary."""
        self._passes += 1
        graph, token = self._shards.graph, self._shards.token
        result = pass_graph(graph, self.placement, token, f"{token}-{self._passes}", fold, ask)
        total = compute(result)[0]
        self._spans = total.spans
        return total.summary

    def iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Run the loop here, a graph for each pass."""
        return iterate(self.one_pass, solver, state, lambda: self._spans)

    def close(self) -> None:
        """Nothing is held between passes."""


class DataflowRuntime:
    """Shards on a cluster, held for the length of a fit where they aren't streamed, one graph for
    each pass over them.

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
        self._spans: Spans = ()
        self._incidents: tuple[str, ...] = ()
        self._held: HeldShards | StreamedShards | None = None
        self._lookout = Lookout(client, dataset)
        self._direct = False

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Run one graph and fetch the merged summary; the first pass brings the shards along.

        Shards made by a graph are made again by Dask where a worker was lost. Rows that came from
        this process can't be: they are sent again, and the pass starts over, as it does where the
        client lost its scheduler for a while, which drops all that it had there.

        Raises
        ------
        RuntimeError
            If the rows are lost time after time.
        """
        for _ in range(RESTORES):
            try:
                return self._one_pass(fold, ask)
            except (CancelledError, OSError) as error:
                self._restore(error)
        raise RuntimeError(
            f"the cluster lost its workers {RESTORES} times in one pass: see their logs "
            "(memory_limit is the usual cause)"
        )

    def iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Run the loop here, a graph for each pass, and look around after each."""
        for advance in iterate(self.one_pass, solver, state, lambda: self._spans):
            self._look_around(move=not solver.done(advance.state))
            incidents, self._incidents = self._incidents, ()
            yield advance._replace(incidents=incidents)

    def close(self) -> None:
        """Release the shards, even those that an exception's traceback still refers to."""
        if self._held is not None:
            self._held.release()
        self._held = None

    def take_over(self, held: HeldShards | None, placement: Placement) -> None:
        """Hold another runtime's shards."""
        self._held, self.placement = held, placement

    def hand_over(self) -> tuple[HeldShards | None, Placement]:
        """Give the shards away, with where they are; there are none where they are streamed."""
        held, self._held = self._held, None
        return held if isinstance(held, HeldShards) else None, self.placement

    def _one_pass(self, fold: Fold, ask: Ask) -> Summary:
        if self._held is None:
            self._held = self._brought()
            self._direct = reaches(self._client, self.placement.shards[0].worker)
        self._passes += 1
        token, held = f"{self._held.token}-{self._passes}", self._held
        result = pass_graph(held.graph, self.placement, held.token, token, fold, ask)
        total = fetch(self._client, result, self._direct)
        self._spans = total.spans
        return total.summary

    def _brought(self) -> HeldShards | StreamedShards:
        if self.dataset.collections and not self.placement.keep:
            return StreamedShards(self.dataset, self.placement)
        return HeldShards(self.dataset, self.placement, self._client)

    def _restore(self, error: Exception) -> None:
        """Get ready to bring the shards again, or raise where that can't be done."""
        if isinstance(error, OSError):
            time.sleep(CUT_NOTICED_WITHIN)
        was_cut = self._client.status != "running" or getattr(error, "reason", "") == CUT
        connected(self._client)
        own = [f for collection in self.dataset.collections for f in futures_of(collection)]
        is_lost = was_cut or (self._held is not None and self._held.is_lost())
        if not is_lost and isinstance(error, OSError):
            raise error
        if not is_lost or any(future.cancelled() for future in own):
            raise RuntimeError(
                f"pass {self._passes} was cancelled on the cluster ({error}): the data that it is "
                "to read were cancelled, or the client lost its scheduler and with it what was "
                "persisted: persist them again, and fit with resume=True if there is a checkpoint"
            ) from error
        self.close()
        self.placement = place_on_cluster(self.dataset, self._client, self.placement.keep)
        why = "the client lost its scheduler for a while" if was_cut else "workers were lost"
        self._incidents += (f"{why}: the rows are brought to the workers again",)

    def _look_around(self, move: bool) -> None:
        """Take note of workers that came and left, and move leaves because of it."""
        try:
            placement, incidents = self._lookout.news(self.placement, self._spans)
        except OSError as error:
            self._restore(error)
            return
        self._incidents += incidents
        if placement is self.placement or not move:
            return
        if self._held is not None and not self._held.is_lost():
            self._held.move(placement)
            self.placement = placement


def open_dataflow(dataset: Dataset, client: Client, config: Config) -> DataflowRuntime:
    """Place the data on the cluster and return the runtime."""
    return DataflowRuntime(dataset, place_on_cluster(dataset, client, config.keep), client)


def open_dataflow_here(dataset: Dataset, config: Config) -> Runtime:
    """Take a Dask collection without a cluster: kept, its blocks go to this process's threads."""
    worker = this_process(config)
    placement = place(dataset, [worker], config.keep)
    if not placement.keep:
        return StreamedRuntime(dataset, placement)
    load = partial(load_collection, dataset, placement)
    return ThreadsRuntime(dataset, placement, worker.n_threads, load)


def load_collection(dataset: Dataset, placement: Placement) -> list[Leaf]:
    """Load every leaf of a Dask collection on the active scheduler."""
    token = unique_token()
    graph = shard_graph(dataset, placement, token)
    keys = [shard_key(token, number) for number in range(len(placement.shards))]
    shards: Sequence[Shard] = compute(*(Delayed(key, graph) for key in keys))
    return sorted((leaf for shard in shards for leaf in shard.leaves), key=lambda f: f.number)
