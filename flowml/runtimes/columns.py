"""Only the columns that some rows store: what travels of asks and summaries of wide CSR rows."""

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from flowml.kernels.rows import Array, Block, is_sparse
from flowml.runtimes.shard import Leaf

WORTH = 0.75
"""Share of the columns up to which it pays to leave the others out."""


class Columns(NamedTuple):
    """Some of all columns.

    Attributes
    ----------
    places : ndarray of int
        Ascending.
    n_columns : int
        Of all.
    """

    places: Array
    n_columns: int


def stored_columns(leaves: Sequence[Leaf]) -> Columns | None:
    """Return the columns that leaves' rows store; None where it doesn't pay to tell them apart.

    That is where rows aren't CSR, are read anew in each pass, or store nearly all columns, or none.
    """
    sources = [source for leaf in leaves for source in leaf.sources]
    blocks = [source for source in sources if isinstance(source, Block) and is_sparse(source.X)]
    if not blocks or len(blocks) < len(sources):
        return None
    n_columns = blocks[0].X.shape[1]
    found = np.zeros(n_columns, dtype=bool)
    for block in blocks:
        found[block.X.indices] = True
    places = np.flatnonzero(found).astype(np.int32)
    return Columns(places, n_columns) if 0 < len(places) <= WORTH * n_columns else None


def cut(value: Any, names: frozenset[str], columns: Columns) -> Any:
    """Return a value of which arrays of some names keep a few columns.

    Parameters
    ----------
    value : NamedTuple, tuple or dataclass of arrays and of such
    names : frozenset of str
        Fields that run along the columns, in their last axis, with or without a few numbers more
        behind those; a plain number stands for all columns.
    columns : Columns

    Examples
    --------
    >>> from flowml.penalties.elastic_net import ElasticNet
    >>> price, some = ElasticNet(l1=np.array([1.0, 2.0, 3.0])), Columns(np.array([0, 2]), 3)
    >>> cut(price, frozenset({"l1"}), some).l1
    array([1., 3.])
    """
    places, n_columns = columns

    def of(arrays: Sequence[Array]) -> Array:
        (array,) = arrays
        return np.concatenate([array[..., places], array[..., n_columns:]], axis=-1)

    return _changed([value], names, of)


def spread(value: Any, names: frozenset[str], columns: Columns) -> Any:
    """Put back what `cut` has left of a value, among zeros.

    Examples
    --------
    >>> from flowml.penalties.elastic_net import ElasticNet
    >>> price, some = ElasticNet(l1=np.array([1.0, 3.0])), Columns(np.array([0, 2]), 3)
    >>> spread(price, frozenset({"l1"}), some).l1
    array([1., 0., 3.])
    """
    return joined([value], names, [columns])


def joined(values: Sequence[Any], names: frozenset[str], columns: Sequence[Columns]) -> Any:
    """Put back what several cuts have left of a value, among zeros.

    Examples
    --------
    >>> from flowml.penalties.elastic_net import ElasticNet
    >>> prices = [ElasticNet(l1=np.array([1.0])), ElasticNet(l1=np.array([3.0]))]
    >>> places = [Columns(np.array([place]), 3) for place in (0, 2)]
    >>> joined(prices, frozenset({"l1"}), places).l1
    array([1., 0., 3.])
    """

    def of(arrays: Sequence[Array]) -> Array:
        first, (some, n_columns) = arrays[0], columns[0]
        behind = first[..., len(some) :]
        whole = np.zeros((*first.shape[:-1], n_columns + behind.shape[-1]), first.dtype)
        for array, (places, _) in zip(arrays, columns, strict=True):
            whole[..., places] = array[..., : len(places)]
        whole[..., n_columns:] = behind
        return whole

    return _changed(values, names, of)


Change: TypeAlias = Callable[[Sequence[Array]], Array]


def _changed(values: Sequence[Any], names: frozenset[str], of: Change) -> Any:
    """Return one of like values, made of their arrays of some names, wherever in them they are."""
    return _walked(values, names, _once(of))


def _once(of: Change) -> Change:
    """Return a function that changes arrays once: one that is named twice travels once."""
    changed: dict[tuple[int, ...], Array] = {}

    def once(arrays: Sequence[Array]) -> Array:
        same = tuple(map(id, arrays))
        if same not in changed:
            changed[same] = of(arrays)
        return changed[same]

    return once


def _walked(values: Sequence[Any], names: frozenset[str], of: Change) -> Any:
    value = values[0]
    if isinstance(value, tuple):
        named = getattr(value, "_fields", None)
        triples = zip(named or [""] * len(value), *values, strict=True)
        members = [_member(name, those, names, of) for name, *those in triples]
        return type(value)(*members) if named else tuple(members)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            field.name: _member(field.name, [getattr(one, field.name) for one in values], names, of)
            for field in fields(value)
        }
        return replace(value, **changed)
    return value


def _member(name: str, values: Sequence[Any], names: frozenset[str], of: Change) -> Any:
    value = values[0]
    if isinstance(value, np.ndarray):
        return of(values) if name in names and value.ndim > 0 else value
    return _walked(values, names, of)
