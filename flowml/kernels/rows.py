"""Blocks of rows, and the cache-sized slices that kernels walk over them in."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp

Array: TypeAlias = np.ndarray[Any, Any]
Matrix: TypeAlias = Any
"""A dense ``(n_rows, n_features)`` array or a SciPy CSR array of that shape."""

POSITION_BITS = 40
"""Where the row counts of the blocks before a block aren't known, block ``i`` starts at
``i << POSITION_BITS``: positions stay unique and keep their order."""


class Block(NamedTuple):
    """Some rows: what a Dask chunk or a Parquet row group becomes.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_rows, n_features)
        float32 or float64.
    y : ndarray of shape (n_rows,) or (n_rows, n_targets), or None
    weight : ndarray of shape (n_rows,) or None
        Sample weights, at least 0; None is a weight of one for each row.
    start : int
        The position of the block's first row in the whole data; random draws are functions of
        the position, so that they don't depend on who holds the block.
    number : int
        The block's place among the blocks, for messages.
    """

    X: Matrix
    y: Array | None = None
    weight: Array | None = None
    start: int = 0
    number: int = 0


Rows: TypeAlias = Sequence[Block]
"""The consecutive blocks that a kernel summarises in one call."""


class Slice(NamedTuple):
    """A view of a few consecutive rows of one block, small enough for the processor's cache."""

    X: Matrix
    y: Array | None
    weight: Array | None
    start: int


def slices(rows: Rows, size: int) -> Iterator[Slice]:
    """Cut blocks into slices of at most `size` rows, in order; empty blocks yield nothing."""
    for block in rows:
        if 0 < block.X.shape[0] <= size:  # as it is: a slice of CSR would be a copy
            yield Slice(block.X, block.y, block.weight, block.start)
            continue
        for low in range(0, block.X.shape[0], size):
            part = slice(low, low + size)
            yield Slice(
                rows_of(block.X, part),
                None if block.y is None else block.y[part],
                None if block.weight is None else block.weight[part],
                block.start + low,
            )


def rows_of(X: Matrix, part: slice) -> Matrix:
    """Return consecutive rows that share X's memory, CSR too."""
    if not is_sparse(X):
        return X[part]
    low, high, _ = part.indices(X.shape[0])
    starts = X.indptr[low : high + 1]
    values = slice(starts[0], starts[-1])
    rows = sp.csr_array((high - low, X.shape[1]), dtype=X.dtype)  # the constructor copies views
    rows.data, rows.indices, rows.indptr = X.data[values], X.indices[values], starts - starts[0]
    return rows


def is_sparse(X: Matrix) -> bool:
    """Tell a CSR block from a dense one."""
    return not isinstance(X, np.ndarray) and bool(sp.issparse(X))


def constant(values: Array) -> Array:
    """Return a read-only view: compiled loops are compiled for these only."""
    view = values.view()
    view.flags.writeable = False
    return view


def n_features(rows: Rows) -> int:
    """Count the columns of the blocks' X."""
    return int(rows[0].X.shape[1])
