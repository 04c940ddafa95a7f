"""What a clustering costs and how many rows each cluster holds; on request, each row's label."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold, Memory
from flowml.kernels.lloyd import LloydAsk, assign, distances_of_leaf
from flowml.kernels.rows import Array, Rows


class AssignmentAsk(NamedTuple):
    """Centres, and whether labels are wanted.

    Attributes
    ----------
    lloyd : LloydAsk
    labels : bool
        Only for rows that are in this process anyway: labels are as many as the rows.
    """

    lloyd: LloydAsk
    labels: bool


class Assignment(NamedTuple):
    """Cost and sizes of the clusters.

    Attributes
    ----------
    inertia : float
        Σ w |x - c|² over the rows and their nearest centres.
    rows : int
        Rows with a weight above zero.
    weights : ndarray of shape (k,)
        Weight of each cluster's rows.
    labels : ndarray of int32
        Of shape (n_rows,), in order; empty where they weren't asked for.
    """

    inertia: float
    rows: int
    weights: Array
    labels: Array


def summarise(ask: AssignmentAsk, rows: Rows, memory: Memory) -> Assignment:
    """Label rows and add their squared distances up, term by term."""
    leaf = assign(ask.lloyd, rows, memory)
    distances = distances_of_leaf(rows, leaf.labels, ask.lloyd.centers)
    if rows[0].weight is not None:
        distances *= np.concatenate([block.weight for block in rows])
    weights = leaf.sums.total()[:, -1].copy()
    labels = leaf.labels[: len(leaf.labels) if ask.labels else 0].copy()
    return Assignment(float(distances.sum()), leaf.rows, weights, labels)


def merge(left: Assignment, right: Assignment) -> Assignment:
    """Add two up."""
    inertia, rows = left.inertia + right.inertia, left.rows + right.rows
    labels = np.concatenate([left.labels, right.labels])
    return Assignment(inertia, rows, left.weights + right.weights, labels)


def finite(summary: Assignment) -> bool:
    """Tell whether no row held a NaN or infinity."""
    return bool(np.isfinite(summary.inertia))


ASSIGNMENT = Fold(summarise, merge, uses_memory=True, finite=finite)
