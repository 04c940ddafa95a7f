"""From columns to an array: where it lies row by row, a transposition that is paid for."""

from collections.abc import Sequence

from flowml.kernels.rows import Array
from flowml.kernels.scratch import scratch

TILE_BYTES = 400 << 10
"""A tile of about this size is filled by columns, then copied by rows: it stays in cache."""


def fill_rows(X: Array, columns: Sequence[Array]) -> None:
    """Write columns into an array.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Written to; row by row or column by column.
    columns : sequence of n_columns ndarrays of shape (n_rows,)

    Examples
    --------
    >>> import numpy as np
    >>> X = np.empty((3, 2))
    >>> fill_rows(X, [np.arange(3), np.ones(3)])
    >>> X.tolist()
    [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    """
    if not X.flags.c_contiguous:
        for place, column in enumerate(columns):
            X[:, place] = column
        return
    n_rows, n_columns = X.shape
    size = max(TILE_BYTES // max(n_columns * X.itemsize, 1), 64)
    tile = scratch("tile of columns", (n_columns, size), X.dtype)
    for low in range(0, n_rows, size):
        part = tile[:, : min(size, n_rows - low)]
        for row, column in zip(part, columns, strict=True):
            row[:] = column[low : low + size]
        X[low : low + size] = part.T
