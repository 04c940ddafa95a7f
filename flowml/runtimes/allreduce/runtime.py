"""The loop on every worker, over a collective: no trip to the client between passes."""

from collections.abc import Sequence

from distributed import Client

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.pool import Pool
from flowml.runtimes.allreduce.rank_loop import RankLoop
from flowml.runtimes.allreduce.ranks import Ranks
from flowml.runtimes.allreduce.ring_pass import SUM_ABOVE
from flowml.runtimes.cluster.workers import cluster_workers, holders
from flowml.runtimes.elastic.ganged import GangedRuntime
from flowml.runtimes.gangs.gang import Gang
from flowml.runtimes.gangs.gang_loop import GangLoop
from flowml.runtimes.placement import Placement, Worker, place
from flowml.solvers.solver import Solver, State


class AllreduceRuntime(GangedRuntime):
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

    name = "allreduce"

    def __init__(
        self,
        dataset: Dataset,
        placement: Placement,
        client: Client,
        workers: Sequence[Worker],
        pool: Pool | None = None,
        sum_above: int = SUM_ABOVE,
    ) -> None:
        super().__init__(dataset, placement, client, workers, pool)
        self._sum_above = sum_above

    def _open(self, client: Client, workers: Sequence[Worker]) -> Gang:
        return Ranks(client, workers)

    def _begin(self, gang: Gang, fit: str, solver: Solver, state: State) -> GangLoop:
        return RankLoop(gang, fit, solver, state, self._sum_above)


def open_allreduce(dataset: Dataset, client: Client, config: Config) -> AllreduceRuntime:
    """Place the data on the cluster's workers."""
    workers = cluster_workers(client)
    placement = place(dataset, workers, config.keep, holders(dataset, client))
    return AllreduceRuntime(dataset, placement, client, workers, config.pool)
