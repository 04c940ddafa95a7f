"""How much a loss bends along each column by itself: the diagonal of its curvature."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from flowml.kernels.linear_loss import Point, predictor, weighed
from flowml.kernels.one_hot import OneHot
from flowml.kernels.rows import Array, Rows, slices

SLICE_ROWS = 1 << 14


class ColumnCurvature(NamedTuple):
    r"""Sums over rows whose X holds labels, with the loss's curvature h by one predictor.

    Attributes
    ----------
    rows : int
    weight : ndarray of shape (n_columns,)
        :math:`\sum_i w_i z_{ij}^2`, with z less the center.
    bend : ndarray of shape (n_outputs, n_columns)
        :math:`\sum_i w_i h_i z_{ij}^2`
    total_weight : float
        :math:`\sum_i w_i`
    total : ndarray of shape (n_outputs,)
        :math:`\sum_i w_i h_i`
    """

    rows: int
    weight: Array
    bend: Array
    total_weight: float
    total: Array


def column_curvature(point: Point, rows: Rows) -> ColumnCurvature:
    """Sum up rows with categorical columns, whose center is zero."""
    outputs, n_columns = point.coef.shape
    sums, total = np.zeros((n_columns, outputs + 1)), np.zeros(outputs + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        for part in slices(rows, SLICE_ROWS):
            X, (y, weight) = point.columns(part.X), point.target.read(part)
            assert isinstance(X, OneHot)
            center = point.center[: X.dense.shape[1]]
            squares = replace(X, dense=np.square(X.dense - center))
            bend = weighed(point.loss, y, predictor(point, X, part), weight).curvature
            if bend.ndim > 1:
                bend = bend.diagonal(axis1=1, axis2=2)
            of_rows = weight[:, np.newaxis] * np.column_stack([bend, np.ones(len(y))])
            sums += squares.T @ of_rows
            total += of_rows.sum(axis=0)
    n_rows = sum(len(block.X) for block in rows)
    return ColumnCurvature(n_rows, sums[:, -1], sums[:, :-1].T, float(total[-1]), total[:-1])
