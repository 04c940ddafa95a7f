"""Anything with rows, as a Dataset."""

from typing import Any

from dask.base import is_dask_collection

from flowml.data.arrays import from_arrays
from flowml.data.dask_collections import describe, from_dask
from flowml.data.dataset import Dataset
from flowml.data.schema import Schema


def is_lazy(X: Any) -> bool:
    """Tell whether X is lazy: a Dask collection or a dataset, not arrays or frames in memory."""
    return isinstance(X, Dataset) or is_dask_collection(X)


def adopt_lazy(X: Any, y: Any = None, weight: Any = None) -> Dataset:
    """Make a Dataset of lazy input.

    Raises
    ------
    TypeError
        If X is a Dataset and y or weights are given beside it.
    """
    if not isinstance(X, Dataset):
        return from_dask(X, y, weight)
    if y is not None or weight is not None:
        raise TypeError(
            "a Dataset carries its own target and weights: name them with target= and weight= "
            "when it is read, and call fit(dataset)"
        )
    return X


def schema_of(X: Any) -> Schema:
    """Describe the features of lazy input.

    Raises
    ------
    TypeError
        If a column isn't numeric.
    """
    return X.schema if isinstance(X, Dataset) else describe(X)


__all__ = ["adopt_lazy", "from_arrays", "is_lazy", "schema_of"]
