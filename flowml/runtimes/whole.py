"""Functions of all rows at once, where the rows are: for what can't go block by block."""

from collections.abc import Callable, Sequence
from typing import Any

from dask.base import compute
from dask.callbacks import Callback
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from dask.task_spec import DataNode, List, Task, TaskRef
from distributed import Client, as_completed

from flowml.config import Config
from flowml.data.assemble import join_blocks
from flowml.data.block_source import as_argument
from flowml.data.dataset import Dataset
from flowml.kernels.rows import Block
from flowml.runtimes.choose import choose_client
from flowml.runtimes.cluster.graphs import unique_token

Done = Callable[[int, Any], None]


def run_on_rows(
    dataset: Dataset,
    function: Callable[[Block, Any], Any],
    arguments: Sequence[Any],
    config: Config,
    done: Done,
) -> None:
    """Compute ``function(rows, argument)`` for each argument, each in a task of its own.

    The rows are put together on one worker, which must have room for them, and travel to others as
    tasks need them there. Without a cluster the tasks run on Dask's threads in this process.

    Parameters
    ----------
    dataset : Dataset
    function : callable
    arguments : sequence
    config : Config
    done : callable ``(number, result)``
        Called with each result as it is there.
    """
    if not arguments:
        return
    token = unique_token()
    rows = f"flowml-rows-{token}"
    sources = List(*(as_argument(part.source) for part in dataset.parts))
    tasks: dict[Any, Task] = {rows: Task(rows, _joined, sources)}
    numbers: dict[Any, int] = {}
    for number, argument in enumerate(arguments):
        key = f"flowml-apart-{token}-{number}"
        tasks[key] = Task(key, function, TaskRef(rows), DataNode(None, argument))
        numbers[key] = number
    graph = HighLevelGraph.from_collections(rows, tasks, dependencies=dataset.collections)
    lazy = [Delayed(key, graph, layer=rows) for key in numbers]
    client, _ = choose_client(dataset, config)
    if client is None:
        _run_here(lazy, numbers, done)
    else:
        _run_there(client, lazy, done)


def _run_here(lazy: Sequence[Delayed], numbers: dict[Any, int], done: Done) -> None:
    def finished(key: Any, result: Any, *_: Any) -> None:
        if key in numbers:
            done(numbers[key], result)

    with Callback(posttask=finished):
        compute(*lazy, optimize_graph=False)


def _run_there(client: Client, lazy: Sequence[Delayed], done: Done) -> None:
    futures = client.compute(list(lazy))
    numbers = {future.key: number for number, future in enumerate(futures)}
    try:
        for future, result in as_completed(futures, with_results=True):
            done(numbers[future.key], result)
    except BaseException:
        client.cancel(futures)
        raise


def _joined(sources: Sequence[Any]) -> Block:
    return join_blocks([source if isinstance(source, Block) else source() for source in sources])
