"""Predicted means of rows with an offset or exposure."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from flowml.data.adopt import adopt_lazy, is_lazy
from flowml.data.dask_collections import aligned
from flowml.data.dataset import Dataset
from flowml.data.map_rows import map_blocks
from flowml.estimator import validate_schema
from flowml.kernels.linear_loss import Offset, Target
from flowml.kernels.rows import Array, Block
from flowml.linear_model.base import linear
from flowml.linear_model.offsets import EXPOSURE, Column, check_column, column_of
from flowml.losses.links import Link
from flowml.prediction import Rows, apply


@dataclass(frozen=True)
class OffsetMean:
    """The function of blocks as it travels to them.

    Parameters
    ----------
    predictor : Rows
        The linear predictor, of shape (n_rows,).
    target : Target
        How the offset is read from y.
    link : Link
    """

    predictor: Rows
    target: Target
    link: Link

    def __call__(self, block: Block) -> Array:
        """Return the mean of each row."""
        eta: Array = self.predictor(block.X) + np.reshape(self.target.added(block), -1)
        return self.link.inverse(eta)


def predict_with_offset(
    model: Any, X: Any, column: Column | None, parameters: tuple[Array, Array], link: Link
) -> Any:
    """Return the means of rows with an offset.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : any input of shape (n_rows, n_features)
    column : Column or None
        None for a Dataset that brings its own.
    parameters : pair of ndarray
        Coefficients and intercepts.
    link : Link

    Returns
    -------
    array or Series of shape (n_rows,)
        A Dask array where X is lazy.
    """
    function = partial(linear, *parameters)
    if is_lazy(X):
        dataset = X if column is None else _beside(X, column)
        offset = column_of(model, X) if column is None else Offset(0, column.kind == EXPOSURE)
        return _lazy_means(model, dataset, function, offset, link)
    assert column is not None
    eta = apply(model, X, function)
    values = check_column(column, len(eta))
    added = np.log(values) if column.kind == EXPOSURE else values
    means = link.inverse(np.asarray(eta) + added)
    return pd.Series(means, index=eta.index) if isinstance(eta, pd.Series) else means


def _beside(X: Any, column: Column) -> Dataset:
    """Return the rows with the column in the place of a target."""
    values = column.values
    return adopt_lazy(X, values if isinstance(X, Dataset) else aligned(values, X, column.kind))


def _lazy_means(model: Any, dataset: Dataset, function: Any, offset: Offset, link: Link) -> Any:
    dtype = dataset.schema.dtype
    validate_schema(model, dataset.schema, reset=False)
    rows = Rows(function, dtype, dtype, None, None, False, getattr(model, "encoding_", None))
    return map_blocks(dataset, OffsetMean(rows, Target(offset=offset), link), np.empty(0))
