"""Totals over columns that have the same bits whoever holds which columns."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from flowml.kernels.rows import Array

BLOCK = 1024
"""Columns that are summed up at a time: ranges of columns begin at multiples of it."""


class Totals(NamedTuple):
    """What a step must know of a range of columns that another range's step needs too.

    Attributes
    ----------
    sums : ndarray of shape (n_sums, n_outputs, n_blocks)
        One for each block of columns.
    largest : ndarray of shape (n_maxima,)
    """

    sums: Array
    largest: Array


def block_sums(values: Array) -> Array:
    """Sum up along the last axis, `BLOCK` columns at a time.

    Examples
    --------
    >>> block_sums(np.ones(2 * BLOCK + 3))
    array([1024., 1024.,    3.])
    """
    return np.add.reduceat(values, np.arange(0, values.shape[-1], BLOCK), axis=-1)


def combined(parts: Sequence[Totals]) -> Totals:
    """Return the totals of ranges that follow on each other."""
    sums = np.concatenate([part.sums for part in parts], axis=-1)
    return Totals(sums, np.max([part.largest for part in parts], axis=0))
