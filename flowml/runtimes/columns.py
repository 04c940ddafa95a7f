"""Only the columns that some rows store: what travels of asks and summaries of wide CSR rows."""

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

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

    def of(array: Array) -> Array:
        return np.concatenate([array[..., places], array[..., n_columns:]], axis=-1)

    return _changed(value, names, of)


def spread(value: Any, names: frozenset[str], columns: Columns) -> Any:
    """Put back what `cut` has left of a value, among zeros.

    Examples
    --------
    >>> from flowml.penalties.elastic_net import ElasticNet
    >>> price, some = ElasticNet(l1=np.array([1.0, 3.0])), Columns(np.array([0, 2]), 3)
    >>> spread(price, frozenset({"l1"}), some).l1
    array([1., 0., 3.])
    """
    places, n_columns = columns
    few = len(places)

    def of(array: Array) -> Array:
        whole = np.zeros((*array.shape[:-1], n_columns + array.shape[-1] - few), array.dtype)
        whole[..., places] = array[..., :few]
        whole[..., n_columns:] = array[..., few:]
        return whole

    return _changed(value, names, of)


def _changed(value: Any, names: frozenset[str], of: Callable[[Array], Array]) -> Any:
    """Return a value with arrays of some names changed, wherever in it they are."""
    return _walked(value, names, _once(of))


def _once(of: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return a function that changes an array once: one that is named twice travels once."""
    changed: dict[int, Array] = {}

    def once(array: Array) -> Array:
        if id(array) not in changed:
            changed[id(array)] = of(array)
        return changed[id(array)]

    return once


def _walked(value: Any, names: frozenset[str], of: Callable[[Array], Array]) -> Any:
    if isinstance(value, tuple):
        named = getattr(value, "_fields", None)
        pairs = zip(named or [""] * len(value), value, strict=True)
        members = [_member(name, one, names, of) for name, one in pairs]
        return type(value)(*members) if named else tuple(members)
    if is_dataclass(value) and not isinstance(value, type):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
        changed = {name: _member(name, one, names, of) for name, one in held.items()}
        return replace(value, **changed)
    return value


def _member(name: str, value: Any, names: frozenset[str], of: Callable[[Array], Array]) -> Any:
    if isinstance(value, np.ndarray):
        return of(value) if name in names and value.ndim > 0 else value
    return _walked(value, names, of)
