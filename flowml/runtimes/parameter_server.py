"""A state on a server, and workers that go over their rows on clocks of their own."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from distributed import Client, Future

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.pool import Pool
from flowml.runtimes.allreduce import house
from flowml.runtimes.cluster import cluster_workers, place_on_cluster
from flowml.runtimes.gang import LOST, Answer, Gang
from flowml.runtimes.graphs import unique_token
from flowml.runtimes.held import HeldShards
from flowml.runtimes.placement import Placement, Worker
from flowml.runtimes.runtime import Advance
from flowml.runtimes.server import close_server, open_server, tell, work
from flowml.solvers.one_pass import OnePass
from flowml.solvers.solver import Solver, State

NEWS_EVERY = 0.2
"""Seconds between two looks at how far the server has come."""
NEWS_WITHIN = 30.0
"""Seconds that the server may take to answer how far it is."""
RESTARTS = 5
"""Times in a row that workers may be lost without a pass in between."""
NOTICED_WITHIN = 10.0
"""Seconds in which a scheduler notices that a worker is gone."""
SERVER = 0
"""The member that serves."""


class ParameterServerRuntime:
    """Shards held by members of a gang, of which one has the state.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    client : distributed.Client
    staleness : int
        Clocks that a member may be ahead of the slowest.
    pool : Pool or None
        Where gangs come from that were there before, and go to.
    """

    def __init__(
        self,
        dataset: Dataset,
        placement: Placement,
        client: Client,
        staleness: int,
        pool: Pool | None,
    ) -> None:
        self.dataset = dataset
        self.placement = placement
        self._client = client
        self._staleness = staleness
        self._pool = pool
        self._workers = cluster_workers(client)
        self._gang: Gang | None = None
        self._held: HeldShards | None = None

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Summarise all rows once."""
        solver = OnePass(fold, ask)
        state = solver.init()
        for advance in self.iterate(solver, state):
            state = advance.state
        return state.summary

    def iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Have the members work for the one that serves, and tell how far it is."""
        check_mixes(solver, self._staleness)
        failures = 0
        while not solver.done(state):
            try:
                gang, fit, sites = self._gathered()
                for advance in _follow(gang, fit, sites, solver, state, self._staleness):
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

    def close(self) -> None:
        """Let the members and the workers drop the rows."""
        gang, held = self._gang, self._held
        self._gang = self._held = None
        if gang is not None and held is not None:
            gang.drop(held.token)
        if held is not None:
            held.release()
        if gang is not None:
            self._give_back(gang)

    def _gathered(self) -> tuple[Gang, str, list[int]]:
        """Return the gang, the name by which it holds the shards, and which members hold any."""
        if self._gang is None:
            self._gang = self._borrow()
            self._hold(self._gang)
        assert self._held is not None
        homes = self._homes()
        sites = [n for n, worker in enumerate(self._gang.workers) if worker.address in homes]
        return self._gang, self._held.token, sites

    def _homes(self) -> list[str]:
        return house([shard.worker for shard in self.placement.shards], self._workers)

    def _hold(self, gang: Gang) -> None:
        """Bring the shards to the members, those of workers that are gone to the others."""
        if self._held is None:
            self._held = HeldShards(self.dataset, self.placement, self._client)
        shards: dict[str, list[Future[Any]]] = {}
        for home, future in zip(self._homes(), self._held.futures.values(), strict=True):
            shards.setdefault(home, []).append(future)
        gang.adopt(self._held.token, shards)

    def _recover(self) -> str:
        """Get ready to go on with the workers that are left, and say what happened."""
        before, gang = self._workers, self._gang
        self._gang = None
        silent: set[str] = set()
        if gang is not None:
            silent = gang.silent(NOTICED_WITHIN)
            gang.close()
        self._workers = _without(silent, self._client)
        if self._held is not None and self._held.is_lost():
            self._held.release()
            self._held = None
            self.placement = place_on_cluster(self.dataset, self._client, self.placement.keep)
        gone = {worker.address for worker in before} - {w.address for w in self._workers}
        names = ", ".join(sorted(gone)) or "none for good"
        server = " the one that served among them," if before[SERVER].address in gone else ""
        return (
            f"the parameter server lost workers ({names}),{server} and goes on from the last state "
            f"known with {len(self._workers)}"
        )

    def _borrow(self) -> Gang:
        if self._pool is None:
            return Gang(self._client, self._workers)
        return self._pool.borrow(self._kind, lambda: Gang(self._client, self._workers))

    def _give_back(self, gang: Gang) -> None:
        if self._pool is None:
            gang.close()
        else:
            self._pool.give_back(self._kind, gang)

    @property
    def _kind(self) -> tuple[str, str, tuple[Worker, ...]]:
        return ("gang", self._client.id, tuple(self._workers))


def check_mixes(solver: Solver, staleness: int) -> None:
    """Refuse a solver that takes no sums of summaries with different asks.

    Raises
    ------
    ValueError
        Saying which do, and what to do.
    """
    if staleness == 0 or solver.max_passes == 1 or hasattr(solver, "mixes"):
        return
    raise ValueError(
        f"{type(solver).__name__} takes no sum of answers to different questions, which is what a "
        f"parameter server with staleness={staleness} gives: k-means (KMeans) and stochastic "
        "gradients (SGDClassifier, SGDRegressor) do. Use staleness=0, with which it gives the same "
        "bits as every other runtime"
    )


def _follow(
    gang: Gang, fit: str, sites: Sequence[int], solver: Solver, state: State, staleness: int
) -> Iterator[Advance]:
    """Have the members work, and ask the one that serves how far it is until it is done."""
    name = f"server-{unique_token()}"
    server = gang.members[SERVER]
    gang.ask(SERVER, open_server, name, solver, state, len(sites), staleness).result(NEWS_WITHIN)
    answers = [
        gang.call(member, work, name, fit, site, server, solver.fold)
        for site, member in enumerate(sites)
    ]
    try:
        while waiting := _unfinished(answers):
            with suppress(TimeoutError):
                waiting[0].result(NEWS_EVERY)
            news = gang.meet(SERVER, tell, name).result(NEWS_WITHIN)
            if news.turns:
                yield news
    finally:
        gang.ask(SERVER, close_server, name)


def _unfinished(answers: Sequence[Answer]) -> list[Answer]:
    """Return those that aren't there yet; one that is an error is raised."""
    for answer in answers:
        if answer.done():
            answer.result(0.0)
    return [answer for answer in answers if not answer.done()]


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


def open_parameter_server(
    dataset: Dataset, client: Client, config: Config
) -> ParameterServerRuntime:
    """Place the data on the cluster's workers."""
    placement = place_on_cluster(dataset, client, config.keep)
    return ParameterServerRuntime(dataset, placement, client, config.staleness, config.pool)
