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
    counts : ndarray of shape (k,)
        Rows of each cluster, those of weight zero included.
    labels : list of ndarray of int32
        One for each leaf, in order; empty where they weren't asked for.
    """

    inertia: float
    rows: int
    counts: Array
    labels: list[Array]


def summarise(ask: AssignmentAsk, rows: Rows, memory: Memory) -> Assignment:
    """Label rows and add their squared distances up, term by term."""
    leaf = assign(ask.lloyd, rows, memory)
    distances = distances_of_leaf(rows, leaf.labels, ask.lloyd.centers)
    if rows[0].weight is not None:
        distances *= np.concatenate([block.weight for block in rows])
    counts = np.bincount(leaf.labels, minlength=len(ask.lloyd.centers))
    labels = [leaf.labels.copy()] if ask.labels else []
    return Assignment(float(distances.sum()), leaf.rows, counts, labels)


def merge(left: Assignment, right: Assignment) -> Assignment:
    """Add two up."""
    inertia, rows = left.inertia + right.inertia, left.rows + right.rows
    return Assignment(inertia, rows, left.counts + right.counts, left.labels + right.labels)


def finite(summary: Assignment) -> bool:
    """Tell whether no row held a NaN or infinity."""
    return bool(np.isfinite(summary.inertia))


ASSIGNMENT = Fold(summarise, merge, uses_memory=True, finite=finite)
