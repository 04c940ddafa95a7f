"""Targets beside predictions: the dataset that metrics pass over."""

from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from dask.base import is_dask_collection, tokenize
from dask.utils import is_series_like

from flowml.data.arrays import from_arrays
from flowml.data.assemble import Assemble, to_floats
from flowml.data.beside import as_array
from flowml.data.block_source import DaskKeys
from flowml.data.dask_collections import aligned, block_rows, optimized, row_keys
from flowml.data.dataset import Dataset, Part, starts
from flowml.data.map_rows import map_blocks
from flowml.data.schema import Schema
from flowml.kernels.rows import Array, Block


def pair(y: Any, predicted: Any = None, scores: Any = None, weight: Any = None) -> Dataset:
    """Make a dataset whose y is targets and predictions beside each other, and whose X is scores.

    Parameters
    ----------
    y, predicted : array, series, frame or Dask collection of shape (n_rows,) or (n_rows, n_outputs)
        Numbers or labels.
    scores : array, frame or Dask collection of shape (n_rows,) or (n_rows, n_columns), optional
    weight : array or Dask collection of shape (n_rows,), optional

    Raises
    ------
    ValueError
        If numbers of rows, or of chunks, differ.
    """
    given = {"y_true": y, "y_pred": predicted, "y_score": scores, "sample_weight": weight}
    given = {name: values for name, values in given.items() if values is not None}
    if any(map(is_dask_collection, given.values())):
        return _lazy(given)
    arrays = {name: _values(values) for name, values in given.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {n} rows" for name, n in lengths.items())
        raise ValueError(f"{found}: they must be the same")
    n_rows = lengths["y_true"]
    X = _columns(arrays.get("y_score", np.empty((n_rows, 0)))).astype(np.float64, copy=False)
    return from_arrays(X, beside(arrays["y_true"], arrays.get("y_pred")), _weight(arrays))


def targets_of(dataset: Dataset) -> tuple[Any, Any]:
    """Return a dataset's targets and weights lazily; None for weights that it hasn't."""
    schema = dataset.schema
    shape = (0,) if schema.y_is_1d else (0, schema.n_targets)
    dtype = schema.label_dtype if schema.keeps_labels else np.float64
    y = map_blocks(dataset, _target, np.empty(shape, dtype))
    return y, map_blocks(dataset, _block_weight, np.empty(0)) if schema.weighted else None


def beside(y: Array, predicted: Array | None) -> Array:
    """Put predictions behind targets, as columns of one kind.

    Raises
    ------
    ValueError
        If they differ in their number of columns, or one holds strings and the other numbers.
    """
    y = _columns(y)
    if predicted is None:
        return y
    predicted = _columns(predicted)
    if y.shape[1] != predicted.shape[1]:
        raise ValueError(f"y_true has {y.shape[1]} columns and y_pred {predicted.shape[1]}")
    kinds = {values.dtype.kind in "US" for values in (y, predicted)}
    if len(kinds) > 1:
        raise ValueError("one of y_true and y_pred holds strings, the other numbers")
    return np.concatenate([y, predicted], axis=1)


@dataclass(frozen=True)
class AssemblePairs(Assemble):
    """Turns chunks of scores, of targets beside predictions and of weights into a Block."""

    def __call__(self, X: Any, y: Any = None, weight: Any = None) -> Block:
        """Return the block; without scores, X stands for y."""
        columns = _columns(_values(X if y is None else y))
        scores = np.empty((len(columns), 0)) if y is None else _columns(to_floats(X))
        weights = None if weight is None else _checked(to_floats(weight).reshape(-1))
        for name, values in (("y_score", scores), ("sample_weight", weights)):
            if values is not None and len(values) != len(columns):
                raise ValueError(
                    f"y_true and {name} differ in their number of rows in block {self.number}: "
                    f"{len(columns)} and {len(values)}"
                )
        return Block(scores, columns, weights, self.start, self.number)


def _lazy(given: dict[str, Any]) -> Dataset:
    given = dict(zip(given, optimized(*given.values()), strict=True))
    first = next(values for values in given.values() if is_dask_collection(values))
    arrays = {name: _array(aligned(values, first, name)) for name, values in given.items()}
    both = arrays["y_true"]
    if "y_pred" in arrays:
        both = _blocks_beside(both, arrays["y_pred"])
    scores, weight = arrays.get("y_score"), arrays.get("sample_weight")
    rows = block_rows(first)
    width = 0 if scores is None else 1 if scores.ndim == 1 else scores.shape[1]
    schema = Schema(
        width,
        np.dtype(np.float64),
        n_targets=1 if both.ndim == 1 else both.shape[1],
        y_is_1d=False,
        weighted=weight is not None,
    )
    X, y = (both, None) if scores is None else (scores, both)
    keys = [row_keys(collection) for collection in (X, y, weight)]
    parts = tuple(
        Part(
            DaskKeys(
                AssemblePairs(schema, start, number),
                *(None if k is None else k[number] for k in keys),
            ),
            rows[number],
            None,
        )
        for number, start in enumerate(starts(rows))
    )
    collections = tuple(c for c in (X, y, weight) if c is not None)
    return Dataset(schema, parts, "predictions", lambda: tokenize(*collections), collections)


def _array(values: Any) -> Any:
    """Return a Dask array; strings of a series as Python's own."""
    if is_series_like(values) and not isinstance(values.dtype, np.dtype):
        values = values.astype(object)
    return as_array(values)


def _blocks_beside(y: Any, predicted: Any) -> Any:
    """Put the columns of two lazy collections beside each other, chunk by chunk."""
    width = 2 * (1 if y.ndim == 1 else y.shape[1])
    return da.blockwise(
        _chunks_beside,
        "ij",
        y,
        "i" if y.ndim == 1 else "ik",
        predicted,
        "i" if predicted.ndim == 1 else "il",
        new_axes={"j": width},
        align_arrays=False,
        concatenate=True,
        meta=np.empty((0, width)),
        name=f"flowml-pairs-{tokenize(y, predicted)}",
    )


def _chunks_beside(y: Any, predicted: Any) -> Array:
    first, second = _values(y), _values(predicted)
    if len(first) != len(second):
        raise ValueError(
            f"y_true and y_pred differ in their number of rows in a block: {len(first)} and "
            f"{len(second)}"
        )
    return beside(first, second)


def _values(values: Any) -> Array:
    """Return numbers as float64, and labels as they are or as strings of a fixed width."""
    array = np.asarray(values)
    if array.dtype.kind in "OT":
        array = np.asarray(values, dtype=object)
        is_text = any(isinstance(value, str) for value in array.ravel()[:1])
        return array.astype(str) if is_text else array.astype(np.float64)
    return array if array.dtype.kind in "US" else to_floats(array)


def _columns(values: Array) -> Array:
    return values if values.ndim == 2 else values.reshape(len(values), 1)


def _weight(arrays: dict[str, Array]) -> Array | None:
    weight = arrays.get("sample_weight")
    return None if weight is None else _checked(weight.reshape(-1))


def _checked(weight: Array) -> Array:
    if weight.min(initial=0.0) < 0:
        raise ValueError("sample_weight holds a negative weight")
    return weight


def _target(block: Block) -> Array:
    assert block.y is not None
    return block.y


def _block_weight(block: Block) -> Array:
    assert block.weight is not None
    return block.weight
