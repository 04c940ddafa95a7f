"""The loop on every worker, over a collective: no trip to the client between passes."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from distributed import Client, Future

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.pool import Pool
from flowml.runtimes.cluster import cluster_workers, connected, holders, place_on_cluster
from flowml.runtimes.gang import LOST
from flowml.runtimes.held import HeldShards
from flowml.runtimes.leaving import Change, Watch
from flowml.runtimes.lookout import in_words, moving
from flowml.runtimes.placement import Placement, Worker, place
from flowml.runtimes.rank_loop import FailedError, RankLoop
from flowml.runtimes.ranks import Ranks
from flowml.runtimes.rehousing import rehouse
from flowml.runtimes.ring_pass import SUM_ABOVE
from flowml.runtimes.runtime import Advance
from flowml.solvers.one_pass import OnePass
from flowml.solvers.solver import Solver, State

RESTARTS = 5
"""Times in a row that workers may be lost without a pass in between."""
NOTICED_WITHIN = 10.0
"""Seconds in which a scheduler notices that a worker is gone."""


class AllreduceRuntime:
    """Shards held by ranks that run the loop themselves, each the whole of it.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    client : distributed.Client
    workers : sequence of Worker
        A rank is on each; those of the placement are among them.
    pool : Pool or None
        Where ranks come from that have met before, and go to.
    sum_above : int
        Bytes of a rank's summaries above which they are added up as vectors.
    """

    def __init__(
        self,
        dataset: Dataset,
        placement: Placement,
        client: Client,
        workers: Sequence[Worker],
        pool: Pool | None = None,
        sum_above: int = SUM_ABOVE,
    ) -> None:
        self.dataset = dataset
        self.placement = placement
        self._client = client
        self._workers = list(workers)
        self._pool = pool
        self._sum_above = sum_above
        self._watch = Watch(client, dataset)
        self._ranks: Ranks | None = None
        self._held: HeldShards | None = None

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Summarise all rows once."""
        solver = OnePass(fold, ask)
        state = solver.init()
        for advance in self._iterate(solver, state):
            state = advance.state
        return state.summary

    def iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Have the ranks run the loop, and tell how far they are."""
        return self._iterate(solver, state)

    def close(self) -> None:
        """Let the ranks and the workers drop the rows."""
        ranks, held = self._ranks, self._held
        self._ranks = self._held = None
        if ranks is not None and held is not None:
            ranks.gang.drop(held.token)
        if held is not None:
            held.release()
        if ranks is not None:
            self._give_back(ranks)

    def _iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        failures = 0
        while not solver.done(state):
            try:
                for advance in self._run(solver, state):
                    state, failures = advance.state, 0
                    yield advance
            except LOST as error:
                failures += 1
                if failures > RESTARTS:
                    raise RuntimeError(
                        f"the cluster lost workers {failures} times without a pass in between: "
                        "see their logs (memory_limit is the usual cause)"
                    ) from error
                yield Advance(state, incidents=(self._recover(),))

    def _run(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Run the loop on all ranks until it is done, or has to go on among others."""
        ranks, fit = self._gathered()
        loop = RankLoop(ranks.gang, fit, solver, state, self._sum_above)
        change: Change | None = None
        try:
            for advance in loop.advances():
                yield advance
                if change is None:
                    change = self._watch.change(self._workers, self.placement)
                    if change is not None:
                        loop.stop()
        except FailedError as failed:
            if not loop.has_ended():
                self._part(ranks)
            raise failed.error from None
        finally:
            loop.stop()
        if change is not None and not solver.done(loop.state):
            yield Advance(loop.state, incidents=self._regroup(change))

    def _gathered(self) -> tuple[Ranks, str]:
        """Return the ranks, which hold the shards by the name that is returned too."""
        if self._held is None:
            self._held = HeldShards(self.dataset, self.placement, self._client)
        if self._ranks is None:
            self._ranks = self._borrow()
            shards: dict[str, list[Future[Any]]] = {}
            for plan, future in zip(
                self.placement.shards, self._held.futures.values(), strict=True
            ):
                shards.setdefault(plan.worker, []).append(future)
            self._ranks.gang.adopt(self._held.token, shards)
            self._watch.see_off()
        return self._ranks, self._held.token

    def _regroup(self, change: Change) -> tuple[str, ...]:
        """Have other workers go on, and the leaves that move with them; say so."""
        ranks, before, n_leaves = self._ranks, self._workers, len(self.placement.leaves)
        n_moving = moving(self.placement, change.placement)
        if ranks is not None:
            self._part(ranks)
        if self._held is not None:
            self._held.move(change.placement)
        self.placement, self._workers = change.placement, change.workers
        return in_words(before, change.workers, n_moving, n_leaves)

    def _recover(self) -> str:
        """Get ready to go on with the workers that are left, and say what happened."""
        connected(self._client)
        before, ranks = self._workers, self._ranks
        silent: set[str] = set()
        if ranks is not None:
            silent = ranks.gang.silent(NOTICED_WITHIN)
            self._part(ranks)
        self._workers = _without(silent, self._client)
        if self._held is not None and self._held.is_lost():
            self._held.release()
            self._held = None
            self.placement = place_on_cluster(self.dataset, self._client, self.placement.keep)
        placement = rehouse(self.placement, self.dataset.parts, self._workers)
        if self._held is not None and placement is not self.placement:
            self._held.move(placement)
        self.placement = placement
        gone = {worker.address for worker in before} - {w.address for w in self._workers}
        names = ", ".join(sorted(gone)) or "none for good"
        return (
            f"the allreduce broke (workers lost: {names}); it goes on from the last pass known "
            f"with {len(self._workers)} workers"
        )

    def _borrow(self) -> Ranks:
        if self._pool is None:
            return Ranks(self._client, self._workers)
        return self._pool.borrow(self._kind, lambda: Ranks(self._client, self._workers))

    def _give_back(self, ranks: Ranks) -> None:
        if self._pool is None:
            ranks.close()
        else:
            self._pool.give_back(self._kind, ranks)

    def _part(self, ranks: Ranks) -> None:
        """Dissolve ranks that can't be or aren't to be used again, and idle ones like them."""
        self._ranks = None
        if self._held is not None:
            ranks.gang.drop(self._held.token)
        ranks.close()
        if self._pool is not None:
            self._pool.discard(self._kind)

    @property
    def _kind(self) -> tuple[str, str, tuple[Worker, ...]]:
        return ("allreduce", self._client.id, tuple(self._workers))


def house(planned: Sequence[str], workers: Sequence[Worker]) -> list[str]:
    """Return where shards go: as planned, and to those with the fewest where the worker is gone.

    Examples
    --------
    >>> house(["a", "b", "b"], [Worker("a", 1, 0), Worker("c", 1, 0)])
    ['a', 'c', 'c']
    """
    load = {worker.address: planned.count(worker.address) for worker in workers}
    homes = []
    for address in planned:
        home = address
        if address not in load:
            home = min(load, key=lambda other: load[other])
            load[home] += 1
        homes.append(home)
    return homes


def _without(silent: set[str], client: Client) -> list[Worker]:
    """Return the workers but for the silent ones, once the scheduler has noticed, or long after."""
    deadline = time.monotonic() + NOTICED_WITHIN
    while True:
        workers = cluster_workers(client)
        left = [worker for worker in workers if worker.address not in silent]
        if left and (len(left) == len(workers) or time.monotonic() > deadline):
            return left
        if time.monotonic() > deadline:
            raise RuntimeError("no worker of the cluster answers: see their logs")
        time.sleep(0.05)


def open_allreduce(dataset: Dataset, client: Client, config: Config) -> AllreduceRuntime:
    """Place the data on the cluster's workers."""
    workers = cluster_workers(client)
    placement = place(dataset, workers, config.keep, holders(dataset, client))
    return AllreduceRuntime(dataset, placement, client, workers, config.pool)
