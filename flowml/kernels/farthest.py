"""The rows farthest from their centres: where empty clusters are placed anew."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.distances import label_distances, plain, slice_rows
from flowml.kernels.rows import Array, Rows, is_sparse, n_features, slices


class Farthest(NamedTuple):
    """At most n rows with a weight above zero, the farthest first; ties in order of position.

    Attributes
    ----------
    distances : ndarray of shape (n,)
        Squared.
    rows : ndarray of shape (n, p)
    labels : ndarray of shape (n,)
    weights : ndarray of shape (n,)
    limit : int
        The n that was asked for.
    """

    distances: Array
    rows: Array
    labels: Array
    weights: Array
    limit: int


def no_candidates(p: int, limit: int) -> Farthest:
    """Return the candidates of no rows."""
    return Farthest(np.empty(0), np.empty((0, p)), np.empty(0, np.int32), np.empty(0), limit)


def farthest_of(rows: Rows, labels: Array, centers: Array, limit: int) -> Farthest:
    """Find the farthest rows of a leaf."""
    found = no_candidates(n_features(rows), limit)
    if limit == 0:
        return found
    low = 0
    for part in slices(rows, slice_rows(len(centers))):
        X, high = plain(part.X), low + part.X.shape[0]
        here = labels[low:high]
        weight = np.ones(len(here)) if part.weight is None else part.weight
        distances = np.where(weight > 0, label_distances(X, here, centers), -1.0)
        order = np.argsort(-distances, kind="stable")[:limit]
        order = order[distances[order] >= 0]
        chosen = X[order].toarray() if is_sparse(X) else X[order]
        part_found = Farthest(
            distances[order], chosen.astype(np.float64), here[order], weight[order], limit
        )
        found = merge_farthest(found, part_found)
        low = high
    return found


def merge_farthest(left: Farthest, right: Farthest) -> Farthest:
    """Keep the farthest of both."""
    if len(right.distances) == 0:
        return left
    distances = np.concatenate([left.distances, right.distances])
    order = np.argsort(-distances, kind="stable")[: left.limit]
    return Farthest(
        distances[order],
        np.concatenate([left.rows, right.rows])[order],
        np.concatenate([left.labels, right.labels])[order],
        np.concatenate([left.weights, right.weights])[order],
        left.limit,
    )
