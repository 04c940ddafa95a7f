"""A state on a server or several, and workers that go over their rows on clocks of their own."""

from collections.abc import Iterator, Sequence

from distributed import Client

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.pool import Pool
from flowml.runtimes.cluster.workers import cluster_workers, holders
from flowml.runtimes.elastic.ganged import GangedRuntime
from flowml.runtimes.gangs.gang import Gang
from flowml.runtimes.gangs.gang_loop import GangLoop
from flowml.runtimes.parameter_server.server_loop import ServerLoop
from flowml.runtimes.placement import Placement, Worker, place
from flowml.runtimes.runtime import Advance
from flowml.solvers.solver import Solver, State


class ParameterServerRuntime(GangedRuntime):
    """Shards held by members of a gang, of which one has the state, or several a range of it each.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    client : distributed.Client
    workers : sequence of Worker
        A member is on each; those of the placement are among them.
    staleness : int
        Clocks that a member may be ahead of the slowest.
    pool : Pool or None
        Where gangs come from that were there before, and go to.
    """

    name = "parameter server"

    def __init__(
        self,
        dataset: Dataset,
        placement: Placement,
        client: Client,
        workers: Sequence[Worker],
        staleness: int,
        pool: Pool | None = None,
    ) -> None:
        super().__init__(dataset, placement, client, workers, pool)
        self._staleness = staleness

    def iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Have the members work, and tell how far the server is.

        Raises
        ------
        ValueError
            If the solver takes no mixed sums.
        """
        check_mixes(solver, self._staleness)
        return super().iterate(solver, state)

    def _open(self, client: Client, workers: Sequence[Worker]) -> Gang:
        return Gang(client, workers).gather()

    def _begin(self, gang: Gang, fit: str, solver: Solver, state: State) -> GangLoop:
        homes = {shard.worker for shard in self.placement.shards}
        sites = [n for n, worker in enumerate(gang.workers) if worker.address in homes]
        return ServerLoop(gang, fit, sites, solver, state, self._staleness)


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
        f"parameter server with staleness={staleness} gives: k-means (KMeans), stochastic "
        "gradients (SGDClassifier, SGDRegressor) and consensus ADMM (linear models with "
        "solver='admm') do. Use staleness=0, with which it gives the same bits as every other "
        "runtime"
    )


def open_parameter_server(
    dataset: Dataset, client: Client, config: Config
) -> ParameterServerRuntime:
    """Place the data on the cluster's workers."""
    workers = cluster_workers(client)
    placement = place(dataset, workers, config.keep, holders(dataset, client))
    return ParameterServerRuntime(
        dataset, placement, client, workers, config.staleness, config.pool
    )
