r"""The weights of values in their order: exact while they fit, then by intervals.

A value's bits, read as an integer, are in the order of the values. Equal ones are joined. Where
more are left than a limit, the lowest bits are dropped, as few as will do: what remains is a
histogram whose intervals, of a relative width of :math:`2^{-52 + bits}`, depend on no data and are
therefore the same wherever the rows are.
"""

from typing import NamedTuple

import numpy as np

from flowml.kernels.rows import Array

MOST_VALUES = 1 << 22
"""About 100 MB with two columns of weights."""


class OrderedWeights(NamedTuple):
    """Weights by value.

    Attributes
    ----------
    keys : int64 ndarray of shape (n_values,)
        Ascending; of values, or with `shift` bits dropped of intervals.
    weights : ndarray of shape (n_values, n_columns)
    shift : int
        0 where every value has its own key.
    """

    keys: Array
    weights: Array
    shift: int


def order(values: Array, weights: Array, most: int = MOST_VALUES) -> OrderedWeights:
    """Sort values and add the weights of equal ones.

    Parameters
    ----------
    values : ndarray of shape (n,)
    weights : ndarray of shape (n, n_columns)
    most : int
        Values to keep apart.

    Examples
    --------
    >>> found = order(np.array([2.0, -1.0, 2.0]), np.ones((3, 1)))
    >>> values_of(found), found.weights.ravel()
    (array([-1.,  2.]), array([1., 2.]))
    """
    return _limited(_joined(keys_of(values), weights, 0), most)


def merge(left: OrderedWeights, right: OrderedWeights, most: int = MOST_VALUES) -> OrderedWeights:
    """Join two, at the coarser one's intervals."""
    shift = max(left.shift, right.shift)
    keys = [part.keys >> (shift - part.shift) for part in (left, right)]
    both = _joined(np.concatenate(keys), np.concatenate([left.weights, right.weights]), shift)
    return _limited(both, most)


def keys_of(values: Array) -> Array:
    """Return integers in the order of the values."""
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.int64)  # no negative zero
    keys: Array = np.where(bits < 0, bits ^ np.int64(0x7FFF_FFFF_FFFF_FFFF), bits)
    return keys


def values_of(ordered: OrderedWeights, end: bool = False) -> Array:
    """Return the values, or the beginnings (with `end`, the ends) of the intervals."""
    keys = ordered.keys << ordered.shift
    if end:
        keys = keys | np.int64((1 << ordered.shift) - 1)
    bits = np.where(keys < 0, keys ^ np.int64(0x7FFF_FFFF_FFFF_FFFF), keys)
    return bits.view(np.float64)


def _joined(keys: Array, weights: Array, shift: int) -> OrderedWeights:
    place = np.argsort(keys, kind="stable")
    return _added(keys[place], weights[place], shift)


def _added(keys: Array, weights: Array, shift: int) -> OrderedWeights:
    """Add the weights of equal keys, which lie together."""
    if len(keys) == 0:
        return OrderedWeights(keys, weights, shift)
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return OrderedWeights(keys[first], np.add.reduceat(weights, first, axis=0), shift)


def _limited(ordered: OrderedWeights, most: int) -> OrderedWeights:
    """Drop as few bits as leave at most so many values."""
    keys = ordered.keys
    if len(keys) <= most:
        return ordered
    low, high = 0, 63 - ordered.shift
    while low + 1 < high:
        middle = (low + high) // 2
        shifted = keys >> middle
        fits = np.count_nonzero(shifted[1:] != shifted[:-1]) < most
        low, high = (low, middle) if fits else (middle, high)
    return _added(keys >> high, ordered.weights, ordered.shift + high)
