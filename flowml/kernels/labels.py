"""The labels that a classification target holds, with their weights, and their numbers."""

from typing import NamedTuple

import numba
import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Rows

MOST_LABELS = 10_000
FEW = 32
"""Labels that are found quicker one after the other than by sorting."""
COMPILED = (np.dtype(np.float64), np.dtype(np.int64))


class LabelWeights(NamedTuple):
    """The labels of the rows with a weight above zero, and those of the others.

    Attributes
    ----------
    labels : ndarray of shape (n_labels,)
        Sorted; where there are more than `MOST_LABELS`, only the first of them.
    weights : ndarray of shape (n_labels,)
    rows : ndarray of shape (n_labels,)
    idle : ndarray of shape (n_idle,)
        Labels of rows of weight zero, sorted, and as many of them at most.
    """

    labels: Array
    weights: Array
    rows: Array
    idle: Array = np.empty(0)

    @property
    def silenced(self) -> Array:
        """Labels of which no row counts; a NaN is none."""
        if len(self.idle) == 0:
            return self.idle
        found = np.setdiff1d(self.idle, self.labels)
        return found[found == found]


def summarise(ask: None, rows: Rows) -> LabelWeights:
    """Count each block."""
    summary = LabelWeights(np.empty(0), np.empty(0), np.empty(0))
    for block in rows:
        assert block.y is not None
        y, weight, idle = block.y, block.weight, np.empty(0)
        if weight is not None:
            counts_at_all = weight > 0
            idle = numbered(y[~counts_at_all])[0]
            y, weight = y[counts_at_all], weight[counts_at_all]
        labels, code = numbered(y)
        counts = np.bincount(code, minlength=len(labels)).astype(np.float64)
        weights = np.bincount(code, weights=weight, minlength=len(labels)).astype(np.float64)
        summary = merge(summary, LabelWeights(labels, weights, counts, idle))
    return summary


def merge(left: LabelWeights, right: LabelWeights) -> LabelWeights:
    """Join the labels of both."""
    idle = joined(left.idle, right.idle)
    if len(left.labels) == 0 or len(right.labels) == 0:
        return (left if len(right.labels) == 0 else right)._replace(idle=idle)
    labels, code = np.unique(np.concatenate([left.labels, right.labels]), return_inverse=True)
    weights = np.bincount(code, weights=np.concatenate([left.weights, right.weights]))
    rows = np.bincount(code, weights=np.concatenate([left.rows, right.rows]))
    most = slice(MOST_LABELS + 1)
    return LabelWeights(labels[most], weights[most], rows[most], idle)


def joined(left: Array, right: Array) -> Array:
    """Join two sorted sets of labels; an empty one may be of another type."""
    if len(left) == 0 or len(right) == 0:
        return left if len(right) == 0 else right
    return np.union1d(left, right)[: MOST_LABELS + 1]


def finite(summary: LabelWeights) -> bool:
    """Tell whether no label is NaN or infinite."""
    numeric = np.issubdtype(summary.labels.dtype, np.number)
    return not numeric or bool(np.isfinite(summary.labels).all())


LABEL_WEIGHTS = Fold(summarise, merge, finite=finite)


def unknown(y: Array, classes: Array) -> Array:
    """Return the labels that aren't among the sorted classes.

    Examples
    --------
    >>> unknown(np.array(["no", "what"]), np.array(["no", "yes"]))
    array(['what'], dtype='<U4')
    """
    return np.setdiff1d(numbered(y)[0], classes)


def check_known(strange: Array, classes: Array) -> None:
    """Refuse labels that a fit hasn't seen.

    Raises
    ------
    ValueError
        Naming the first of them.
    """
    if len(strange):
        raise ValueError(
            f"y holds the label {strange.tolist()[0]!r}, which fit hasn't seen: it knows "
            f"{', '.join(map(str, classes))}"
        )


def encode(y: Array, classes: Array) -> Array:
    """Return the number of each label among the sorted classes, as float64.

    Examples
    --------
    >>> encode(np.array([3.0, 5.0, 3.0]), np.array([3.0, 5.0]))
    array([0., 1., 0.])
    """
    if len(classes) == 2:
        return np.asarray(y == classes[1], dtype=np.float64)
    if len(classes) <= FEW and y.dtype == classes.dtype and y.dtype in COMPILED:
        found = np.empty(len(y))
        _encode_few(_constant(y), _constant(classes), found)
        return found
    return np.minimum(np.searchsorted(classes, y), len(classes) - 1).astype(np.float64)


def numbered(y: Array) -> tuple[Array, Array]:
    """Return the labels and each row's among them, without a sort where they are few."""
    if y.dtype in COMPILED:
        labels, code = np.empty(FEW, y.dtype), np.empty(len(y), dtype=np.intp)
        n_labels = _number_few(_constant(y), labels, code)
        if n_labels >= 0:
            order = np.argsort(labels[:n_labels])
            return labels[order], np.argsort(order)[code]
    labels, code = np.unique(y, return_inverse=True)
    return labels, code.astype(np.intp)


def are_few_numbers(y: Array) -> bool:
    """Tell whether y is one column of whole numbers, of which there are few: labels for certain.

    Examples
    --------
    >>> are_few_numbers(np.array([1.0, 0.0, 1.0, 1.0])), are_few_numbers(np.array([0.5, 1.0]))
    (True, False)
    """
    if y.ndim != 1 or y.dtype not in COMPILED:
        return False
    labels = np.empty(FEW, y.dtype)
    n_labels = _number_few(_constant(y), labels, np.empty(0, dtype=np.intp))
    return 0 < 2 * n_labels <= len(y) and all(label.is_integer() for label in labels[:n_labels])


def _constant(values: Array) -> Array:
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


@numba.njit(nogil=True, cache=True)
def _number_few(y: Array, labels: Array, code: Array) -> int:
    """Number labels in the order in which they come; -1 if they are too many, or one is NaN.

    Where there is no room for codes none are written.
    """
    n_labels = 0
    for i in range(len(y)):
        place = -1
        for known in range(n_labels):  # all of them: which it is can't be foreseen, this can
            place = known if labels[known] == y[i] else place
        if place < 0:
            if n_labels == len(labels) or y[i] != y[i]:
                return -1
            place = n_labels
            labels[place] = y[i]
            n_labels += 1
        if len(code):
            code[i] = place
    return n_labels


@numba.njit(nogil=True, cache=True)
def _encode_few(y: Array, classes: Array, found: Array) -> None:
    """Write the place of the first class that isn't below each label."""
    for i in range(len(y)):
        place = 0
        for below in range(len(classes) - 1):
            place += classes[below] < y[i]
        found[i] = place
