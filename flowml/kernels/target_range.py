"""Find the first row whose target is none that a family of distributions can have."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import Target
from flowml.kernels.rows import Rows
from flowml.losses.families import POSITIVE, Interval


class TargetRange(NamedTuple):
    """What is allowed.

    Attributes
    ----------
    target : Target
        How y is read; an exposure must be above zero.
    allowed : Interval
        What the target may be.
    """

    target: Target
    allowed: Interval


class FirstOutside(NamedTuple):
    """The first row outside, in the order of blocks and rows.

    Attributes
    ----------
    block : int
        -1 where all are inside.
    row : int
        Within the block.
    column : int
        Of y: 0 for the target, 1 for the exposure.
    value : float
    """

    block: int
    row: int = 0
    column: int = 0
    value: float = 0.0


def summarise(ask: TargetRange, rows: Rows) -> FirstOutside:
    """Look through the blocks; rows of weight zero and NaN, which another pass names, don't count.

    The target comes before the exposure.
    """
    offset = ask.target.offset
    for block in rows:
        y, weight = ask.target.read(block)
        columns = [(y, ask.allowed)]
        if offset is not None and offset.logarithm and block.y is not None:
            columns.append((block.y[:, offset.column], POSITIVE))
        for place, (values, allowed) in enumerate(columns):
            outside = ~allowed.holds(values) & (weight > 0) & ~np.isnan(values)
            if outside.any():
                row = int(np.argmax(outside))
                return FirstOutside(block.number, row, place, float(values[row]))
    return FirstOutside(-1)


def merge(left: FirstOutside, right: FirstOutside) -> FirstOutside:
    """Keep the earlier one."""
    return right if left.block < 0 else left


def finite(summary: FirstOutside) -> bool:
    """Tell whether the value that was found is finite."""
    return bool(np.isfinite(summary.value))


FIRST_OUTSIDE = Fold(summarise, merge, finite=finite)
