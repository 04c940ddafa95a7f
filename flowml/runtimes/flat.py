"""Summaries of additive folds as vectors: for whoever adds numbers and knows no more of them."""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from flowml.kernels.fold import Fold, Summary
from flowml.kernels.rows import Array


class Numbers(NamedTuple):
    """The form of an array or a number.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
    kind : type
        ndarray, or float or int.
    is_maximum : bool
        Whether merging keeps the larger one instead of adding.
    """

    shape: tuple[int, ...]
    dtype: str
    kind: type
    is_maximum: bool


class Record(NamedTuple):
    """The form of a tuple.

    Attributes
    ----------
    kind : type
        tuple or a NamedTuple.
    members : tuple of Form
    """

    kind: type
    members: tuple["Form", ...]


Form: TypeAlias = Numbers | Record | None
"""What a summary is made of, without its numbers; None is None."""


class Flat(NamedTuple):
    """A summary as two vectors and the form that they are put back into.

    Attributes
    ----------
    sums : ndarray of float64
        All that merging adds up, end to end.
    maxima : ndarray of float64
        Of which merging keeps the larger one.
    form : Form
    """

    sums: Array
    maxima: Array
    form: Form


def flatten(summary: Summary, fold: Fold) -> Flat:
    """Return an additive fold's summary as vectors.

    Whole numbers above 2^53 lose digits: there are none in summaries that add up.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> class Sums(NamedTuple):
    ...     rows: int
    ...     total: np.ndarray
    ...     largest: float
    >>> fold = Fold(None, None, additive=True, maxima=("largest",))
    >>> flat = flatten(Sums(3, np.array([[1.0, 2.0]]), 9.0), fold)
    >>> flat.sums, flat.maxima
    (array([3., 1., 2.]), array([9.]))
    >>> unflatten(flat._replace(sums=2 * flat.sums))
    Sums(rows=6, total=array([[2., 4.]]), largest=9.0)
    """
    form = _form(summary, fold.maxima)
    pairs = list(zip(_numbers(form), _values(summary), strict=True))
    sums = [value for numbers, value in pairs if not numbers.is_maximum]
    maxima = [value for numbers, value in pairs if numbers.is_maximum]
    return Flat(_joined(sums), _joined(maxima), form)


def unflatten(flat: Flat) -> Summary:
    """Return the summary, in memory of its own."""
    return _built(flat.form, Reader(flat.sums), Reader(flat.maxima))


class Reader:
    """Takes numbers off a vector.

    Parameters
    ----------
    vector : ndarray
    """

    def __init__(self, vector: Array) -> None:
        self._vector = vector
        self._read = 0

    def take(self, shape: tuple[int, ...]) -> Array:
        """Return the next numbers, in a shape."""
        first = self._read
        self._read += int(np.prod(shape))
        return self._vector[first : self._read].reshape(shape)


def _form(value: Any, maxima: tuple[str, ...], is_maximum: bool = False) -> Form:
    if value is None:
        return None
    if isinstance(value, tuple):
        names = getattr(value, "_fields", [""] * len(value))
        pairs = zip(names, value, strict=True)
        members = (_form(one, maxima, is_maximum or name in maxima) for name, one in pairs)
        return Record(type(value), tuple(members))
    array = np.asarray(value)
    kind = (
        np.ndarray if isinstance(value, np.ndarray) else int if array.dtype.kind in "iu" else float
    )
    return Numbers(array.shape, array.dtype.str, kind, is_maximum)


def _numbers(form: Form) -> Iterator[Numbers]:
    if isinstance(form, Numbers):
        yield form
    elif form is not None:
        for member in form.members:
            yield from _numbers(member)


def _values(value: Any) -> Iterator[Array]:
    if isinstance(value, tuple):
        for member in value:
            yield from _values(member)
    elif value is not None:
        yield np.asarray(value, dtype=np.float64).ravel()


def _joined(values: list[Array]) -> Array:
    return np.concatenate(values) if values else np.empty(0)


def _built(form: Form, sums: Reader, maxima: Reader) -> Any:
    if form is None:
        return None
    if isinstance(form, Record):
        members = [_built(member, sums, maxima) for member in form.members]
        return tuple(members) if form.kind is tuple else form.kind(*members)
    numbers = (maxima if form.is_maximum else sums).take(form.shape)
    if np.dtype(form.dtype).kind in "iu":
        numbers = np.rint(numbers)
    if form.kind is np.ndarray:
        return numbers.astype(form.dtype)
    return form.kind(numbers)
