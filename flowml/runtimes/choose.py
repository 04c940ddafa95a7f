"""Which runtime a fit runs on: decided from where the data are and what the context says."""

from distributed import Client, default_client

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.runtimes.dataflow import open_dataflow, open_dataflow_here
from flowml.runtimes.runtime import Runtime
from flowml.runtimes.threads import open_threads


def open_runtime(dataset: Dataset, config: Config) -> Runtime:
    """Open the runtime for a fit.

    A client in the context always wins. Without one, lazy data go to the active client if there is
    one; data in this process stay on its threads.
    """
    client = config.client
    if client is None and dataset.is_lazy:
        client = active_client()
    if client is not None:
        return open_dataflow(dataset, client, config)
    if dataset.collections:
        return open_dataflow_here(dataset, config)
    return open_threads(dataset, config)


def active_client() -> Client | None:
    """Return the client that is active in this process, None if there is none."""
    try:
        return default_client()
    except ValueError:
        return None
