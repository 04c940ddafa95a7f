"""Dask arrays and dataframes: each row of chunks is one block."""

from typing import Any

import dask.array as da
import numpy as np
from dask.array.utils import meta_from_array
from dask.base import is_dask_collection, tokenize
from dask.utils import is_dataframe_like, is_series_like
from pandas.api.types import is_any_real_numeric_dtype, is_bool_dtype

from flowml.data.assemble import Assemble
from flowml.data.block_source import DaskKeys
from flowml.data.dataset import Dataset, Part, starts
from flowml.data.frames import categorical_columns
from flowml.data.labels import label_dtype
from flowml.data.schema import Schema


def from_dask(X: Any, y: Any = None, weight: Any = None) -> Dataset:
    """Make a dataset of Dask collections without computing anything.

    Parameters
    ----------
    X : dask array or dataframe of shape (n_rows, n_features)
        Chunk sizes may be unknown, and columns may be cut into chunks.
    y, weight : dask array, series or frame, or arrays in memory, optional

    Raises
    ------
    ValueError
        If row counts or numbers of chunks differ.
    TypeError
        If a column isn't numeric.
    """
    X, y, weight = optimized(X, y, weight)
    X = one_chunk_of_columns(X)
    y = None if y is None else aligned(y, X, "y")
    weight = None if weight is None else aligned(weight, X, "sample_weight")
    schema = describe(X, y, weight)
    rows = block_rows(X)
    keys = [row_keys(collection) for collection in (X, y, weight)]
    row_bytes = schema.row_bytes
    sparse = schema.sparse
    parts = tuple(
        Part(
            DaskKeys(
                Assemble(schema, start, index), *(None if k is None else k[index] for k in keys)
            ),
            rows[index],
            None if rows[index] is None or sparse else (rows[index] or 0) * row_bytes,
        )
        for index, start in enumerate(starts(rows))
    )
    collections = tuple(c for c in (X, y, weight) if c is not None)
    kind = "Dask dataframe" if is_dataframe_like(X) else "Dask array"
    return Dataset(schema, parts, kind, lambda: tokenize(*collections), collections)


def optimized(*collections: Any) -> tuple[Any, ...]:
    """Optimise frames: columns that aren't needed aren't read.

    Dask then joins partitions of those of which few columns are left. Where they no longer fit
    each other, they stay as they were.
    """
    frames = [is_dask_frame(values) for values in collections]
    optimized = tuple(
        values.optimize() if frame else values
        for values, frame in zip(collections, frames, strict=True)
    )
    counts = {values.npartitions for values, frame in zip(optimized, frames, strict=True) if frame}
    return optimized if len(counts) <= 1 else collections


def is_dask_frame(values: Any) -> bool:
    """Tell whether something is a Dask dataframe or series."""
    return is_dask_collection(values) and (is_dataframe_like(values) or is_series_like(values))


def one_chunk_of_columns(X: Any) -> Any:
    """Join the chunks of an array's columns.

    Raises
    ------
    ValueError
        If it isn't two-dimensional.
    """
    if is_dataframe_like(X):
        return X
    if X.ndim != 2:
        raise ValueError(f"Expected 2D array, got {X.ndim}D array instead: reshape X")
    return X.rechunk({1: -1}) if X.numblocks[1] > 1 else X


def block_rows(X: Any) -> list[int | None]:
    """Return the rows of each block, None where only computing tells."""
    if is_dataframe_like(X) or is_series_like(X):
        return [None] * X.npartitions
    return [None if np.isnan(rows) else int(rows) for rows in X.chunks[0]]


def row_keys(collection: Any) -> list[Any] | None:
    """Return one key for each block of rows."""
    if collection is None:
        return None
    keys = collection.__dask_keys__()
    return [key[0] if isinstance(key, list) else key for key in keys]


def aligned(values: Any, X: Any, name: str) -> Any:
    """Cut y or the weights as X is cut."""
    rows = block_rows(X)
    if not is_dask_collection(values):
        values = np.asarray(values)
        if None in rows:
            raise ValueError(
                f"{name} is in memory while X has chunks of unknown size: call "
                f"X.compute_chunk_sizes() (or to_dask_array(lengths=True)), or give {name} lazily"
            )
        _check_rows(name, sum(row or 0 for row in rows), len(values))
        return da.from_array(values, chunks=(tuple(rows), *values.shape[1:]))
    if is_dask_frame(values):
        count = values.npartitions
    else:
        if values.ndim == 2 and values.numblocks[1] > 1:
            values = values.rechunk({1: -1})
        known = None not in rows and not np.isnan(values.chunks[0]).any()
        if known:
            _check_rows(name, sum(row or 0 for row in rows), values.shape[0])
            values = values.rechunk({0: tuple(rows)})
        count = values.numblocks[0]
    if count != len(rows):
        raise ValueError(f"X has {len(rows)} blocks of rows and {name} {count}: repartition one")
    return values


def _check_rows(name: str, wanted: int, found: int) -> None:
    if wanted != found:
        raise ValueError(f"X has {wanted} rows and {name} has {found}: they must be the same")


def describe(X: Any, y: Any = None, weight: Any = None) -> Schema:
    """Tell what all blocks of Dask collections have in common, from their metadata alone.

    Raises
    ------
    TypeError
        If a column of X is neither numeric nor categorical, or y can't be numbers or labels.
    """
    names = tuple(str(column) for column in X.columns) if is_dataframe_like(X) else None
    places = categorical_columns(X) if is_dataframe_like(X) else ()
    dtypes = [dtype for place, (_, dtype) in enumerate(_dtypes(X)) if place not in places]
    _check_numeric(X, "X", places)
    if weight is not None:
        _check_numeric(weight, "sample_weight")
        if weight.ndim > 1 and weight.shape[1] != 1:
            raise ValueError(f"sample_weight must be 1D, but has {weight.shape[1]} columns")
    narrow = bool(dtypes) and all(dtype == np.float32 for dtype in dtypes)
    is_1d = y is None or y.ndim == 1
    return Schema(
        n_features=X.shape[1],
        dtype=np.dtype(np.float32 if narrow else np.float64),
        feature_names=names,
        target_names=_target_names(y),
        n_targets=0 if y is None else 1 if is_1d else y.shape[1],
        y_is_1d=is_1d,
        weighted=weight is not None,
        sparse=not is_dataframe_like(X) and hasattr(meta_from_array(X), "indptr"),
        categorical=places,
        label_dtype=None if y is None else _label_dtype(y),
    )


def _dtypes(values: Any) -> list[tuple[str, Any]]:
    """Return the dtypes of the columns, or of the array, with what they are called."""
    if is_dataframe_like(values):
        return [(f"column {column!r} of ", dtype) for column, dtype in values.dtypes.items()]
    return [("", values.dtype)]


def _check_numeric(values: Any, name: str, but: tuple[int, ...] = ()) -> None:
    for place, (column, dtype) in enumerate(_dtypes(values)):
        if place in but or is_any_real_numeric_dtype(dtype) or is_bool_dtype(dtype):
            continue
        is_text = column and label_dtype(dtype) is not None
        hint = ", make it categorical with astype('category')" if is_text else ""
        raise TypeError(
            f"{column}{name} has dtype {dtype}, not real numbers: encode it as numbers first"
            f"{hint}, or leave it out"
        )


def _label_dtype(y: Any) -> np.dtype[Any] | None:
    """Return what labels y may hold; None for several columns, which are to be numbers."""
    several = y.ndim == 2 and y.shape[1] != 1
    found = None if several else label_dtype(_dtypes(y)[0][1])
    if found is None:
        _check_numeric(y, "y")
    return found


def _target_names(y: Any) -> tuple[str, ...] | None:
    if y is None:
        return None
    if is_dataframe_like(y):
        return tuple(str(column) for column in y.columns)
    if is_series_like(y) and y.name is not None:
        return (str(y.name),)
    return None
