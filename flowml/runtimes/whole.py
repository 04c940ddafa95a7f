"""Functions of all rows at once, where the rows are: for what can't go block by block."""

from collections.abc import Callable, Sequence
from typing import Any

from dask.base import compute
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from dask.task_spec import DataNode, List, Task, TaskRef

from flowml.config import Config
from flowml.data.assemble import join_blocks
from flowml.data.block_source import as_argument
from flowml.data.dataset import Dataset
from flowml.kernels.rows import Block
from flowml.runtimes.choose import choose_client
from flowml.runtimes.cluster.graphs import unique_token


def run_on_rows(
    dataset: Dataset,
    function: Callable[[Block, Any], Any],
    arguments: Sequence[Any],
    config: Config,
) -> list[Any]:
    """Return ``function(rows, argument)`` for each argument, each in a task of its own.

    The rows are put together on one worker, which must have room for them, and travel to others as
    tasks need them there. Without a cluster the tasks run on Dask's threads in this process.
    """
    token = unique_token()
    rows = f"flowml-rows-{token}"
    sources = List(*(as_argument(part.source) for part in dataset.parts))
    tasks: dict[Any, Task] = {rows: Task(rows, _joined, sources)}
    for number, argument in enumerate(arguments):
        key = f"flowml-apart-{token}-{number}"
        tasks[key] = Task(key, function, TaskRef(rows), DataNode(None, argument))
    graph = HighLevelGraph.from_collections(rows, tasks, dependencies=dataset.collections)
    lazy = [Delayed(key, graph, layer=rows) for key in list(tasks)[1:]]
    client, _ = choose_client(dataset, config)
    if client is None:
        return list(compute(*lazy))
    return list(client.gather(client.compute(lazy)))


def _joined(sources: Sequence[Any]) -> Block:
    return join_blocks([source if isinstance(source, Block) else source() for source in sources])
