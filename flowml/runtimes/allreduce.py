"""The loop on every worker, over a collective: no trip to the client between passes."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from distributed import Client, Future

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.pool import Pool
from flowml.runtimes.cluster import cluster_workers, place_on_cluster
from flowml.runtimes.gang import LOST
from flowml.runtimes.held import HeldShards
from flowml.runtimes.placement import Placement, Worker
from flowml.runtimes.rank import run, stop, tell
from flowml.runtimes.ranks import Ranks
from flowml.runtimes.runtime import Advance
from flowml.solvers.one_pass import OnePass
from flowml.solvers.solver import Solver, State

NEWS_EVERY = 0.2
"""Seconds between two looks at how far the ranks have come."""
NEWS_WITHIN = 30.0
"""Seconds that a rank may take to answer how far it is."""
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
    pool : Pool or None
        Where ranks come from that have met before, and go to.
    """

    def __init__(
        self, dataset: Dataset, placement: Placement, client: Client, pool: Pool | None
    ) -> None:
        self.dataset = dataset
        self.placement = placement
        self._client = client
        self._pool = pool
        self._workers = cluster_workers(client)
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
                ranks, fit = self._gathered()
                for advance in _follow(ranks, fit, solver, state):
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

    def _gathered(self) -> tuple[Ranks, str]:
        """Return the ranks, which hold the shards by the name that is returned too."""
        if self._ranks is None:
            self._ranks = self._borrow()
            self._hold(self._ranks)
        assert self._held is not None
        return self._ranks, self._held.token

    def _hold(self, ranks: Ranks) -> None:
        """Bring the shards to the ranks, those of workers that are gone to the others."""
        if self._held is None:
            self._held = HeldShards(self.dataset, self.placement, self._client)
        homes = house([shard.worker for shard in self.placement.shards], self._workers)
        shards: dict[str, list[Future[Any]]] = {}
        for home, future in zip(homes, self._held.futures.values(), strict=True):
            shards.setdefault(home, []).append(future)
        ranks.gang.adopt(self._held.token, shards)

    def _recover(self) -> str:
        """Get ready to go on with the workers that are left, and say what happened."""
        before, ranks = self._workers, self._ranks
        self._ranks = None
        silent: set[str] = set()
        if ranks is not None:
            silent = ranks.gang.silent(NOTICED_WITHIN)
            ranks.close()
        self._workers = _without(silent, self._client)
        if self._held is not None and self._held.is_lost():
            self._held.release()
            self._held = None
            self.placement = place_on_cluster(self.dataset, self._client, self.placement.keep)
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


def _follow(ranks: Ranks, fit: str, solver: Solver, state: State) -> Iterator[Advance]:
    """Start the loop on all ranks, and ask the first how far it is until it ends."""
    gang = ranks.gang
    first = gang.call_all(run, fit, solver, state)[0]
    try:
        while True:
            try:
                last: Advance = first.result(NEWS_EVERY)
            except TimeoutError:
                news = gang.ask(0, tell, fit).result(NEWS_WITHIN)
                if news is not None and news.turns:
                    yield news
            else:
                yield last
                return
    finally:
        if not first.done():
            gang.ask_all(stop, fit)


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
    placement = place_on_cluster(dataset, client, config.keep)
    return AllreduceRuntime(dataset, placement, client, config.pool)
