"""Which runtime a fit runs on: decided from where the data are and what the context says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from distributed import Client, default_client

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.runtimes.allreduce.runtime import open_allreduce
from flowml.runtimes.automatic import open_automatic
from flowml.runtimes.cluster.workers import cluster_workers, place_on_cluster
from flowml.runtimes.coded.runtime import open_coded
from flowml.runtimes.dataflow.runtime import open_dataflow, open_dataflow_here
from flowml.runtimes.parameter_server.runtime import open_parameter_server
from flowml.runtimes.placement import Placement, Worker, place
from flowml.runtimes.runtime import Runtime
from flowml.runtimes.threads import open_threads, this_process

THREADS, DATAFLOW, ALLREDUCE = "threads", "dataflow", "allreduce"
PARAMETER_SERVER, CODED, AUTO = "parameter_server", "coded", "auto"
ON_CLUSTER: Mapping[str, Callable[[Dataset, Client, Config], Runtime]] = {
    DATAFLOW: open_dataflow,
    ALLREDUCE: open_allreduce,
    PARAMETER_SERVER: open_parameter_server,
    CODED: open_coded,
    AUTO: open_automatic,
}
"""How each is opened whose passes run on a cluster."""

OVER = "starts on dataflow and goes over to allreduce where passes are short against their overhead"


@dataclass(frozen=True)
class Choice:
    """Where a fit runs, and what goes where there.

    Parameters
    ----------
    runtime : {"threads", "dataflow", "allreduce", "parameter_server", "coded"}
    reason : str
    client : distributed.Client or None
    workers : sequence of Worker
    placement : Placement
    """

    runtime: str
    reason: str
    client: Client | None
    workers: Sequence[Worker]
    placement: Placement


def choose(dataset: Dataset, config: Config) -> Choice:
    """Choose runtime and placement; moves and computes nothing.

    A client in the context always wins. Without one, lazy data go to the active client if there is
    one; data in this process stay on its threads.
    """
    client, reason = choose_client(dataset, config)
    if client is not None:
        placement = place_on_cluster(dataset, client, config.keep)
        runtime = config.runtime
        if runtime == AUTO:
            runtime, reason = DATAFLOW, f"{reason}; {OVER}"
        return Choice(runtime, reason, client, cluster_workers(client), placement)
    workers = [this_process(config)]
    placement = place(dataset, workers, config.keep)
    if dataset.collections and not placement.keep:
        reason = "a Dask collection that is streamed: its graph runs on Dask's own threads"
        return Choice(DATAFLOW, reason, None, workers, placement)
    return Choice(THREADS, reason, None, workers, placement)


def choose_client(dataset: Dataset, config: Config) -> tuple[Client | None, str]:
    """Choose between a cluster and this process, and say why."""
    if config.client is not None:
        return config.client, "config_context(client=...)"
    if config.runtime not in (DATAFLOW, AUTO):
        client = active_client()
        if client is None:
            raise ValueError(
                f"runtime={config.runtime!r} needs a Dask cluster: start a distributed.Client, or "
                "give one as config_context(client=...)"
            )
        return client, f"config_context(runtime={config.runtime!r})"
    if not dataset.is_lazy:
        return None, "the data are in this process"
    client = active_client()
    if client is None:
        return None, "no Dask client is active"
    return client, "a Dask client is active"


def open_runtime(dataset: Dataset, config: Config) -> Runtime:
    """Open the runtime for a fit."""
    client, _ = choose_client(dataset, config)
    if client is not None:
        return ON_CLUSTER[config.runtime](dataset, client, config)
    if dataset.collections:
        return open_dataflow_here(dataset, config)
    return open_threads(dataset, config)


def active_client() -> Client | None:
    """Return the client that is active in this process, None if there is none."""
    try:
        return default_client()
    except ValueError:
        return None
