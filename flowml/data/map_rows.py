"""A function of rows over lazy data: one task for each block, nothing computed."""

from collections.abc import Callable
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import scipy.sparse as sp
from dask.array.utils import meta_from_array
from dask.base import tokenize
from dask.dataframe import map_partitions
from dask.dataframe.utils import make_meta
from dask.highlevelgraph import HighLevelGraph
from dask.task_spec import Task, TaskRef
from dask.utils import is_dataframe_like

from flowml.data.block_source import as_argument, load
from flowml.data.dask_collections import one_chunk_of_columns
from flowml.data.dataset import Dataset
from flowml.data.no_rows import no_rows
from flowml.kernels.rows import Array, Block, Matrix, is_sparse

ChunkFunction = Callable[[Any], Any]
"""Takes a chunk of X (array, CSR or pandas frame, perhaps without rows) and returns an array, or
for a frame a Series or DataFrame; picklable."""


def map_rows(X: Any, function: ChunkFunction) -> Any:
    """Apply a function of rows to each block of a Dask collection or Dataset.

    Parameters
    ----------
    X : Dask array, Dask dataframe or Dataset
    function : callable ``chunk -> rows``
        Must take a chunk without rows: that is how the kind and dtype of the result are found.

    Returns
    -------
    Dask series or dataframe
        For a Dask dataframe, with its index and divisions.
    Dask array of shape (n_rows,) or (n_rows, n_columns)
        For anything else, with X's row chunks, unknown sizes staying unknown.
    """
    if isinstance(X, Dataset):
        return _map_dataset(X, function)
    if is_dataframe_like(X):
        return map_partitions(function, X, meta=function(make_meta(X)))
    X = one_chunk_of_columns(X)
    result = function(_without_rows(meta_from_array(X), X.shape[1]))
    return da.map_blocks(
        function,
        X,
        meta=result,
        dtype=result.dtype,
        drop_axis=1 if result.ndim == 1 else None,
        chunks=(X.chunks[0], *((columns,) for columns in result.shape[1:])),
    )


def map_blocks(dataset: Dataset, function: Callable[[Block], Any], meta: Any) -> Any:
    """Apply a function of rows to each block of a dataset, its target and weights included.

    Several functions of one dataset, computed together, load each block once.

    Parameters
    ----------
    dataset : Dataset
    function : callable ``block -> rows``
        Picklable.
    meta : ndarray of shape (0,) or (0, n_columns)
        What it returns for no rows.

    Returns
    -------
    Dask array of shape (n_rows,) or (n_rows, n_columns)
    """
    identity = dataset.identify()
    block, name = (
        f"flowml-block-{tokenize(identity)}",
        f"flowml-rows-{tokenize(identity, function)}",
    )
    rest = (0,) * (meta.ndim - 1)
    tasks: dict[Any, Task] = {}
    for number, part in enumerate(dataset.parts):
        held, key = (block, number), (name, number, *rest)
        tasks[held] = Task(held, load, as_argument(part.source))
        tasks[key] = Task(key, function, TaskRef(held))
    rows = tuple(np.nan if part.rows is None else part.rows for part in dataset.parts)
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=dataset.collections)
    chunks = (rows, *((columns,) for columns in meta.shape[1:]))
    return da.Array(graph, name, chunks=chunks, meta=meta)


def of_rows(dataset: Dataset, function: Callable[[Block], Array], meta: Array) -> Any:
    """Apply a function of rows to all blocks: here where all are here, else as `map_blocks` does.

    Parameters
    ----------
    dataset, function, meta : as for `map_blocks`

    Returns
    -------
    ndarray or Dask array of shape (n_rows,) or (n_rows, n_columns)
    """
    if dataset.is_lazy:
        return map_blocks(dataset, function, meta)
    blocks = [part.source for part in dataset.parts if isinstance(part.source, Block)]
    return np.concatenate([function(block) for block in blocks])


def _map_dataset(dataset: Dataset, function: ChunkFunction) -> Any:
    schema = dataset.schema
    return map_blocks(dataset, partial(_of_columns, function), function(no_rows(schema).X))


def _of_columns(function: ChunkFunction, block: Block) -> Any:
    return function(block.X)


def _without_rows(meta: Any, n_features: int) -> Matrix:
    empty = np.empty((0, n_features), meta.dtype)
    return sp.csr_array(empty) if is_sparse(meta) else empty
