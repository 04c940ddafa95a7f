"""A column beside the target: y becomes two columns, the target's and this one."""

from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize

from flowml.data.assemble import to_floats
from flowml.data.dask_collections import aligned, optimized
from flowml.data.dataset import Dataset, Part
from flowml.kernels.rows import Array, Block


def beside_target(dataset: Dataset, column: Array, name: str) -> Dataset:
    """Put a column in memory beside the target of blocks in memory.

    Parameters
    ----------
    dataset : Dataset
        With one target.
    column : ndarray of shape (n_rows,)
    name : str
    """
    parts, low = [], 0
    for part in dataset.parts:
        block = part.source
        assert isinstance(block, Block)
        assert block.y is not None
        high = low + block.X.shape[0]
        y = np.column_stack([block.y, column[low:high]])
        parts.append(Part(block._replace(y=y), part.rows, part.nbytes))
        low = high
    names = ((dataset.schema.target_names or ("y",))[0], name)
    schema = replace(dataset.schema, target_names=names, n_targets=2, y_is_1d=False)
    return replace(
        dataset,
        schema=schema,
        parts=tuple(parts),
        identify=lambda: tokenize(dataset.identify(), column),
    )


def two_columns(X: Any, y: Any, column: Any, name: str) -> Any:
    """Put two columns beside each other lazily, cut as X is cut.

    Parameters
    ----------
    X : Dask array or dataframe
    y, column : Dask array, series or frame of one column, or arrays in memory
    name : str
        The column's, for messages.

    Returns
    -------
    Dask array of shape (n_rows, 2)

    Raises
    ------
    ValueError
        If one is more than a column, or row counts or numbers of chunks differ; where they are
        unknown, when it is computed.
    """
    for values, label in ((y, "y"), (column, name)):
        if np.ndim(values) > 1 and values.shape[1] != 1:
            raise ValueError(f"{label} must be one column, but has {values.shape[1]}")
    X, y, column = optimized(X, y, column)
    first, second = (
        as_array(aligned(values, X, label)) for values, label in ((y, "y"), (column, name))
    )
    return da.blockwise(
        _stack,
        "ij",
        first,
        "i" if first.ndim == 1 else "ik",
        second,
        "i" if second.ndim == 1 else "il",
        new_axes={"j": 2},
        align_arrays=False,
        concatenate=True,
        dtype=np.float64,
        meta=np.empty((0, 2)),
        name=f"flowml-beside-{tokenize(first, second)}",
        label=name,
    )


def as_array(values: Any) -> Any:
    """Return a Dask series or frame as a Dask array."""
    return values if isinstance(values, da.Array) else values.values


def _stack(first: Any, second: Any, label: str) -> Array:
    columns = [to_floats(values).reshape(-1) for values in (first, second)]
    if len(columns[0]) != len(columns[1]):
        raise ValueError(
            f"y and {label} differ in their number of rows in a block: {len(columns[0])} and "
            f"{len(columns[1])}"
        )
    return np.column_stack(columns)
