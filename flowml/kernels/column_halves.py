"""A pass over columns in two halves: what they add to the predictors, then their derivatives.

Where columns and not rows are cut, a gradient takes two trips: the predictors are a sum over all
columns, and only then is known what the loss tells of each row.
"""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Rows


class Product(NamedTuple):
    """A product of some columns of all rows. The one for predictors is as long as these.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_outputs) or (n_columns, n_outputs)
    """

    values: Array


def summarise_predictors(ask: Array, rows: Rows) -> Product:
    r"""Return :math:`X b`, leaving out columns at both ends that don't count.

    Parameters
    ----------
    ask : ndarray of shape (n_columns, n_outputs)
    rows : one Block
        In the order of columns, so that some of them lie together.
    """
    X = rows[0].X
    counting = np.flatnonzero(ask.any(axis=1))
    some = slice(counting[0], counting[-1] + 1) if len(counting) else slice(0)
    return Product(X[:, some] @ ask[some])


def summarise_derivatives(ask: Array, rows: Rows) -> Product:
    r"""Return :math:`X^\top r`.

    Parameters
    ----------
    ask : ndarray of shape (n_rows, n_outputs)
        The loss's derivatives by the predictors, times the rows' weights.
    rows : one Block
    """
    return Product(rows[0].X.T @ ask)


def merge(left: Product, right: Product) -> Product:
    """Add two up."""
    return Product(left.values + right.values)


PREDICTORS = Fold(summarise_predictors, merge, additive=True)
DERIVATIVES = Fold(summarise_derivatives, merge, additive=True)
