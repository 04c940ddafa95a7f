"""Work space that kernels reuse from leaf to leaf.

A Dask worker's allocator gives freed memory back to the system at once, so that a fresh work array
costs its page faults again in every call: more than the arithmetic on a leaf of 1,000 rows.
"""

import math
import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from flowml.kernels.rows import Array

Made = TypeVar("Made")


class _Local(threading.local):
    views: dict[str, Array] | None = None
    made: dict[Callable[..., Any], tuple[tuple[Any, ...], Any]] | None = None
    place = 0


_local = _Local()


@contextmanager
def scratch_scope() -> Iterator[None]:
    """Let this thread's kernels share work space until the outermost such block ends."""
    if _local.views is not None:
        yield
        return
    keep_scratch()
    try:
        yield
    finally:
        _local.views = _local.made = None


def keep_scratch() -> None:
    """Let this thread's kernels share work space for as long as the thread lives."""
    _local.views, _local.made = {}, {}


def scratch(name: str, shape: tuple[int, ...], dtype: Any = np.float64) -> Array:
    """Return an array with arbitrary contents, the same memory for the same name within a scope.

    Parameters
    ----------
    name : str
        Which work space: two arrays used at the same time need two names.
    shape : tuple of int
    dtype : dtype, default=float64

    Examples
    --------
    >>> with scratch_scope():
    ...     first = scratch("work", (4, 2))
    ...     np.shares_memory(first, scratch("work", (2, 2)))
    True
    """
    views = _local.views
    if views is None:
        return np.empty(shape, dtype)
    view = views.get(name)
    if view is None or view.shape != shape or view.dtype != dtype:
        view = views[name] = _carve(view, shape, np.dtype(dtype))
    return view


def once(function: Callable[..., Made], *arguments: Any) -> Made:
    """Return ``function(*arguments)``, made once for all leaves that call with the same objects.

    Only the last result is held, until the scope ends. It must not be written to.
    """
    made = _local.made
    if made is None:
        return function(*arguments)
    known = made.get(function)
    if known is not None and all(map(operator.is_, known[0], arguments)):
        return known[1]
    result = function(*arguments)
    made[function] = arguments, result
    return result


def place_block(place: int) -> None:
    """Say which block of a leaf this thread reads next: each has its own `row_space`."""
    _local.place = place


def row_space(n_rows: int, n_columns: int, dtype: Any, by_columns: bool) -> Array:
    """Return memory for the rows of a block that a reader makes, row by row or column by column.

    Within a scope it is the same for the blocks at the same place of each leaf, as a leaf that is
    streamed is gone once it is summarised; elsewhere it is new.
    """
    name = f"rows of block {_local.place}"
    if by_columns:
        return scratch(name, (n_columns, n_rows), dtype).T
    return scratch(name, (n_rows, n_columns), dtype)


def _carve(earlier: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Cut an array out of an earlier one's memory, or out of new memory if that is too small."""
    nbytes = math.prod(shape) * dtype.itemsize
    buffer = None if earlier is None else earlier.base
    if buffer is None or buffer.nbytes < nbytes:
        buffer = np.empty(nbytes, np.uint8)
    return buffer[:nbytes].view(dtype).reshape(shape)
