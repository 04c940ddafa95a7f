"""Runtimes whose loop runs on the members of a gang, among workers that come and go."""

import time
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, ClassVar

from distributed import Client, Future

from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.pool import Pool
from flowml.runtimes.cluster.held import HeldShards
from flowml.runtimes.cluster.workers import cluster_workers, connected, place_on_cluster
from flowml.runtimes.elastic.leaving import Change, Watch
from flowml.runtimes.elastic.lookout import in_words, moving, who_changed
from flowml.runtimes.elastic.rehousing import rehouse
from flowml.runtimes.gangs.gang import LOST, Gang
from flowml.runtimes.gangs.gang_loop import FailedError, GangLoop
from flowml.runtimes.placement import Placement, Worker
from flowml.runtimes.runtime import Advance
from flowml.solvers.one_pass import OnePass
from flowml.solvers.solver import Solver, State

RESTARTS = 5
"""Times in a row that workers may be lost without a pass in between."""
NOTICED_WITHIN = 10.0
"""Seconds in which a scheduler notices that a worker is gone."""


class GangedRuntime(ABC):
    """Shards held by the members of a gang, which run the loop; the client is told.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    client : distributed.Client
    workers : sequence of Worker
        A member is on each; those of the placement are among them.
    pool : Pool or None
        Where gangs come from that have met before, and go to.

    Attributes
    ----------
    name : str
        What it is, in words.

    Raises
    ------
    ValueError
        For the chunks of a Dask collection that aren't kept: nobody holds them between passes.
    """

    name: ClassVar[str]

    def __init__(
        self,
        dataset: Dataset,
        placement: Placement,
        client: Client,
        workers: Sequence[Worker],
        pool: Pool | None = None,
    ) -> None:
        if dataset.collections and not placement.keep:
            raise ValueError(
                f"{self.name} has workers hold the rows, and these chunks are streamed "
                f"({placement.reason}): give config_context(keep=True), or runtime='dataflow'"
            )
        self.dataset = dataset
        self.placement = placement
        self._client = client
        self._workers = list(workers)
        self._pool = pool
        self._watch = Watch(client, dataset)
        self._gang: Gang | None = None
        self._held: HeldShards | None = None

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Summarise all rows once."""
        solver = OnePass(fold, ask)
        state = solver.init()
        for advance in self._iterate(solver, state):
            state = advance.state
        return state.summary

    def iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Have the members run the loop, and tell how far they are."""
        return self._iterate(solver, state)

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

    def gather(self) -> None:
        """Bring members and shards together now, not with the first pass."""
        self._gathered()

    def take_over(self, held: HeldShards | None, placement: Placement) -> None:
        """Hold another runtime's shards, before the first pass."""
        self.placement = rehouse(placement, self.dataset.parts, self._workers)
        self._held = held
        if held is not None and self.placement is not placement:
            held.move(self.placement)

    def hand_over(self) -> tuple[HeldShards | None, Placement]:
        """Give the shards away, with where they are; this runtime holds none any more."""
        held, self._held = self._held, None
        return held, self.placement

    @abstractmethod
    def _open(self, client: Client, workers: Sequence[Worker]) -> Gang:
        """Bring members together, ready to begin."""

    @abstractmethod
    def _begin(self, gang: Gang, fit: str, solver: Solver, state: State) -> GangLoop:
        """Have a gang begin with a solver's loop."""

    def _iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        failures = 0
        while not solver.done(state):
            try:
                for advance in self._run(solver, state):
                    state, failures = advance.state, 0 if advance.turns else failures
                    yield advance
            except FailedError as failed:  # which may be of a kind that is in LOST
                raise failed.error from None
            except LOST as error:
                failures += 1
                if failures > RESTARTS:
                    raise RuntimeError(
                        f"the cluster lost workers {failures} times without a pass in between: "
                        "see their logs (memory_limit is the usual cause)"
                    ) from error
                yield Advance(state, incidents=(self._recover(error),))

    def _run(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Run the loop on the members until it is done, or has to go on among others."""
        gang, fit = self._gathered()
        loop = self._begin(gang, fit, solver, state)
        change: Change | None = None
        try:
            for advance in loop.advances():
                yield advance
                if change is None:
                    change = self._watch.change(self._workers, self.placement)
                    if change is not None:
                        loop.stop()
        except FailedError:
            if not loop.has_ended():
                self._part(gang)
            raise
        finally:
            loop.stop()
        if change is not None and not solver.done(loop.state):
            yield Advance(loop.state, incidents=self._regroup(change))

    def _gathered(self) -> tuple[Gang, str]:
        """Return the gang, which holds the shards by the name that is returned too."""
        if self._held is None:
            self._held = HeldShards(self.dataset, self.placement, self._client)
        if self._gang is None:
            self._gang = self._borrow()
            shards: dict[str, list[Future[Any]]] = {}
            for plan, future in zip(
                self.placement.shards, self._held.futures.values(), strict=True
            ):
                shards.setdefault(plan.worker, []).append(future)
            self._gang.adopt(self._held.token, shards)
            self._watch.see_off()
        return self._gang, self._held.token

    def _regroup(self, change: Change) -> tuple[str, ...]:
        """Have other workers go on, and the leaves that move with them; say so."""
        gang, before, n_leaves = self._gang, self._workers, len(self.placement.leaves)
        n_moving = moving(self.placement, change.placement)
        if gang is not None:
            self._part(gang)
        if self._held is not None:
            self._held.move(change.placement)
        self.placement, self._workers = change.placement, change.workers
        return in_words(before, change.workers, n_moving, n_leaves)

    def _recover(self, error: BaseException) -> str:
        """Get ready to go on with the workers that are left, and say what happened."""
        connected(self._client)
        before, gang = self._workers, self._gang
        why, silent = str(error).partition("\n")[0] or type(error).__name__, set[str]()
        if gang is not None:
            if gang.dropped:  # then what doesn't answer tells nothing of its worker
                why = "the client had lost its scheduler, which dropped the members"
            else:
                silent = gang.silent(NOTICED_WITHIN)
            self._part(gang)
        self._workers = _without(silent, self._client)
        if self._held is not None and self._held.is_lost():
            self._held.release()
            self._held = None
            self.placement = place_on_cluster(self.dataset, self._client, self.placement.keep)
        placement = rehouse(self.placement, self.dataset.parts, self._workers)
        if self._held is not None and placement is not self.placement:
            self._held.move(placement)
        self.placement = placement
        n_left = len(self._workers)
        what = who_changed(before, self._workers) or f"all workers are there, but {why}"
        return (
            f"the {self.name} broke: {what}; it goes on from the last pass known with "
            f"{n_left} worker{'s' * (n_left > 1)}"
        )

    def _borrow(self) -> Gang:
        if self._pool is None:
            return self._open(self._client, self._workers)
        return self._pool.borrow(self._kind, lambda: self._open(self._client, self._workers))

    def _give_back(self, gang: Gang) -> None:
        if self._pool is None:
            gang.close()
        else:
            self._pool.give_back(self._kind, gang)

    def _part(self, gang: Gang) -> None:
        """Dissolve a gang that can't be or isn't to be used again, and idle ones like it."""
        self._gang = None
        if self._held is not None:
            gang.drop(self._held.token)
        gang.close()
        if self._pool is not None:
            self._pool.discard(self._kind)

    @property
    def _kind(self) -> Hashable:
        return kind_of_gang(self.name, self._client, self._workers)


def kind_of_gang(name: str, client: Client, workers: Sequence[Worker]) -> Hashable:
    """Return by what a pool knows gangs that do for each other."""
    return (name, client.id, tuple(workers))


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
