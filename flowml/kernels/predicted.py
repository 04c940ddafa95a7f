"""A view of rows as targets beside what a model says of them: what metrics are computed from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from flowml.kernels.rows import Array, Block, Matrix, Rows
from flowml.kernels.scratch import once


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions behind the targets in y, or scores in place of X.

    Parameters
    ----------
    function : callable ``X -> array``
        Of shape (n_rows,) or (n_rows, n_columns); picklable.
    as_scores : bool
        Whether the result takes the place of X.
    """

    function: Callable[[Matrix], Array]
    as_scores: bool

    def see(self, rows: Rows) -> Rows:
        """Return the blocks without their features."""
        return once(_predicted, self, rows)


@dataclass(frozen=True, eq=False)
class PredictedBySeveral:
    """The predictions of several models behind the targets in y.

    Parameters
    ----------
    functions : sequence of callables ``X -> array of shape (n_rows,)``
    """

    functions: Sequence[Callable[[Matrix], Array]]

    def see(self, rows: Rows) -> Rows:
        """Return the blocks without their features."""
        return [self._block(block) for block in rows]

    def _block(self, block: Block) -> Block:
        assert block.y is not None
        found = [function(block.X) for function in self.functions]
        y = np.column_stack([block.y, *found])
        return block._replace(X=np.empty((len(y), 0)), y=y)


def _predicted(view: Predicted, rows: Rows) -> Rows:
    return [_block(view, block) for block in rows]


def _block(view: Predicted, block: Block) -> Block:
    assert block.y is not None
    y, result = _columns(block.y), _columns(np.asarray(view.function(block.X)))
    if view.as_scores:
        return block._replace(X=result, y=y)
    return block._replace(X=np.empty((len(y), 0)), y=np.concatenate([y, result], axis=1))


def _columns(values: Array) -> Array:
    return values if values.ndim == 2 else values[:, np.newaxis]
