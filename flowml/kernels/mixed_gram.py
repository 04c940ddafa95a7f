"""The Gram matrix of numeric and categorical columns: categorical blocks are counts."""

from dataclasses import replace

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.gram import Gram, merge, n_targets, nothing
from flowml.kernels.one_hot import Encoding
from flowml.kernels.rows import Array, Rows, slices

SLICE_ROWS = 4096


def summarise(ask: Encoding, rows: Rows) -> Gram:
    """Sum the cross products of ``[X, y]``, X's labels as the columns that they stand for.

    Numbers and y are shifted near their means first; a share of ones needs no shift.
    """
    targets, n_numeric = n_targets(rows), ask.n_numeric
    n_columns = ask.n_columns + targets
    first = next((block for block in rows if block.X.shape[0] > 0), None)
    if first is None:
        return nothing(n_columns)
    shift = np.zeros(n_columns)
    shift[: n_numeric + targets] = _beside(first.X.dense, first.y).mean(axis=0)
    products = np.zeros((n_columns + 1, n_columns + 1))
    count, log_weight = 0.0, 0.0
    for part in slices(rows, SLICE_ROWS):
        X = ask.apply(part.X)
        weight = np.ones(len(X)) if part.weight is None else part.weight
        behind = np.where(X.columns >= 0, X.columns + np.int32(targets), X.columns)
        dense = _beside(X.dense, part.y)
        columns = replace(X, dense=dense, columns=behind, n_columns=n_columns)
        columns.add_products(weight, shift, products)
        count += float(np.count_nonzero(weight))
        log_weight += float(np.log(weight[weight > 0]).sum())
    total = float(products[-1, -1])
    if total == 0:
        return nothing(n_columns)
    offset = products[-1, :-1] / total
    scatter = products[:-1, :-1] - total * np.outer(offset, offset)
    order = _targets_last(n_numeric, targets, n_columns)
    mean = (shift + offset)[order]
    return Gram(count, total, log_weight, mean, scatter[np.ix_(order, order)])


MIXED_GRAM = Fold(summarise, merge)


def _beside(X: Array, y: Array | None) -> Array:
    """Put y's columns behind the numeric ones."""
    targets = np.empty((len(X), 0)) if y is None else y.reshape(len(X), -1)
    return np.column_stack([X, targets])


def _targets_last(n_numeric: int, targets: int, n_columns: int) -> Array:
    """Return the order in which y's columns stand behind those of the labels."""
    places = np.arange(n_columns)
    y = slice(n_numeric, n_numeric + targets)
    return np.concatenate([np.delete(places, y), places[y]])
