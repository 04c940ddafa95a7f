"""Arrays in this process: cut into blocks that share their memory."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from dask.base import tokenize

from flowml.data.dataset import Dataset, Part
from flowml.data.schema import Schema
from flowml.kernels.rows import Array, Block, Matrix, is_sparse, rows_of

BLOCK_BYTES = 8 << 20
BLOCK_ROWS = 1 << 16


def from_arrays(
    X: Matrix,
    y: Array | None = None,
    weight: Array | None = None,
    feature_names: tuple[str, ...] | None = None,
    target_names: tuple[str, ...] | None = None,
    categorical: tuple[int, ...] = (),
) -> Dataset:
    """Make a dataset of arrays that are validated already.

    Parameters
    ----------
    X : ndarray, CSR array or Mixed of shape (n_rows, n_features)
        float32 or float64.
    y : ndarray of shape (n_rows,) or (n_rows, n_targets), optional
    weight : ndarray of shape (n_rows,), optional
    feature_names, target_names : tuple of str, optional
    categorical : tuple of int
        Places of the features that hold labels, where X is `Mixed`.
    """
    X = sp.csr_array(X) if is_sparse(X) else X
    schema = Schema(
        n_features=X.shape[1],
        dtype=X.dtype,
        feature_names=feature_names,
        target_names=target_names,
        n_targets=count_targets(y),
        y_is_1d=y is None or y.ndim == 1,
        weighted=weight is not None,
        sparse=is_sparse(X),
        categorical=categorical,
    )
    parts = tuple(_parts(X, y, weight))
    kind = "SciPy CSR" if schema.sparse else "frame" if categorical else "NumPy array"
    return Dataset(schema, parts, kind, lambda: tokenize(X, y, weight))


def count_targets(y: Any) -> int:
    """Count the columns of y; 0 without y."""
    if y is None:
        return 0
    return 1 if y.ndim == 1 else int(y.shape[1])


def _parts(X: Matrix, y: Array | None, weight: Array | None) -> list[Part]:
    n_rows = X.shape[0]
    row_bytes = bytes_of_a_row(X)
    size = int(np.clip(BLOCK_BYTES // row_bytes, 1, BLOCK_ROWS))
    parts = []
    for index, low in enumerate(range(0, max(n_rows, 1), size)):
        rows = slice(low, min(low + size, n_rows))
        block = Block(
            rows_of(X, rows),
            None if y is None else y[rows],
            None if weight is None else weight[rows],
            low,
            index,
        )
        parts.append(Part(block, rows.stop - low, (rows.stop - low) * row_bytes))
    return parts


def bytes_of_a_row(X: Matrix) -> int:
    """Return how many bytes a row takes, of CSR on average.

    Examples
    --------
    >>> bytes_of_a_row(np.zeros((2, 3))), bytes_of_a_row(sp.eye_array(4, format="csr"))
    (24, 12)
    """
    n_rows, n_features = X.shape
    if is_sparse(X):
        return max(1, (X.data.nbytes + X.indices.nbytes) // max(n_rows, 1))
    return max(1, n_features) * int(X.dtype.itemsize)
