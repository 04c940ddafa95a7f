"""Work space that kernels reuse from leaf to leaf.

A Dask worker's allocator gives freed memory back to the system at once, so that a fresh work array
costs its page faults again in every call: more than the arithmetic on a leaf of 1,000 rows.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from flowml.kernels.rows import Array


class _Local(threading.local):
    buffers: dict[str, Array] | None = None


_local = _Local()


@contextmanager
def scratch_scope() -> Iterator[None]:
    """Let this thread's kernels share work space until the block ends, then free it."""
    _local.buffers = {}
    try:
        yield
    finally:
        _local.buffers = None


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
    if _local.buffers is None:
        return np.empty(shape, dtype)
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = _local.buffers.get(name)
    if buffer is None or buffer.nbytes < nbytes:
        buffer = _local.buffers[name] = np.empty(nbytes, np.uint8)
    return buffer[:nbytes].view(dtype).reshape(shape)
