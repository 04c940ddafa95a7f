"""Find the first NaN or infinity: asked only after a summary has shown that there is one."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.mixed import Mixed
from flowml.kernels.rows import Array, Matrix, Rows, is_sparse

PARTS = ("X", "y", "sample_weight")


class FirstNonFinite(NamedTuple):
    """The first value that isn't finite, in the order of blocks, parts and rows.

    Attributes
    ----------
    block : int
        -1 where every value is finite.
    part : int
        Index into `PARTS`.
    row, column : int
        Row within the block; column of the part, of X among those that hold numbers.
    is_nan : bool
    """

    block: int
    part: int = 0
    row: int = 0
    column: int = 0
    is_nan: bool = False


def summarise(ask: bool, rows: Rows) -> FirstNonFinite:
    """Look through the blocks; `ask` tells whether NaN counts in X, or infinity only."""
    for block in rows:
        for part, values in enumerate((block.X, block.y, block.weight)):
            if values is None or values.shape[0] == 0:
                continue
            bad = _not_finite if ask or part > 0 else np.isinf
            dense = _numbers(values)
            if dense.dtype.kind not in "biuf":
                continue
            found = np.argwhere(bad(dense.reshape(len(dense), -1)))
            if len(found):
                row, column = (int(place) for place in found[0])
                value = dense.reshape(len(dense), -1)[row, column]
                return FirstNonFinite(block.number, part, row, column, bool(np.isnan(value)))
    return FirstNonFinite(-1)


def merge(left: FirstNonFinite, right: FirstNonFinite) -> FirstNonFinite:
    """Keep the earlier one."""
    return right if left.block < 0 else left


FIRST_NONFINITE = Fold(summarise, merge)


def _numbers(values: Matrix) -> Array:
    """Return what may not be finite; labels are."""
    if isinstance(values, Mixed):
        return values.dense
    dense: Array = values.toarray() if is_sparse(values) else values
    return dense


def _not_finite(values: Array) -> Array:
    return ~np.isfinite(values)
