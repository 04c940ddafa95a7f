"""Arrow columns of labels: codes and dictionaries, never a string for each row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from flowml.data.columns import Columns, not_numeric
from flowml.data.labels import TEXT, check_present, fixed_width
from flowml.kernels.mixed import MISSING, Mixed
from flowml.kernels.rows import Array, Matrix


def is_text(kind: pa.DataType) -> bool:
    """Tell whether an Arrow type holds text, perhaps as a dictionary."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_numeric(kind: pa.DataType) -> bool:
    """Tell whether values of an Arrow type can be read as numbers."""
    types = pa.types
    return bool(
        types.is_floating(kind)
        or types.is_integer(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
    )


def check_kind(kind: pa.DataType, name: str, columns: Columns, where: str) -> None:
    """Refuse a column of a type that can't serve as what it was chosen for.

    Raises
    ------
    TypeError
    """
    can_be_labels = is_text(kind) or pa.types.is_dictionary(kind)
    takes_labels = name in columns.categorical or columns.targets == (name,)
    if not (is_numeric(kind) or pa.types.is_null(kind) or (takes_labels and can_be_labels)):
        raise not_numeric(name, where, str(kind), can_be_labels and name in columns.features)


def target_dtype(
    kinds: Sequence[Mapping[str, pa.DataType]], columns: Columns
) -> np.dtype[Any] | None:
    """Return what labels the one target holds, `str` of any width for text; else None.

    Parameters
    ----------
    kinds : sequence of mapping of str to pyarrow.DataType
        For each file.
    columns : Columns

    Raises
    ------
    TypeError
        If it is text in one file and numbers in another.
    """
    if len(columns.targets) != 1:
        return None
    found = {_label_dtype(of[columns.targets[0]]) for of in kinds}
    if TEXT in found and len(found) > 1:
        raise TypeError(
            f"the target {columns.targets[0]!r} is text in one file and numbers in another: write "
            "it as one type"
        )
    return np.result_type(*found)


def _label_dtype(kind: pa.DataType) -> np.dtype[Any]:
    if pa.types.is_dictionary(kind):
        return _label_dtype(kind.value_type)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype())
    return TEXT if is_text(kind) else np.dtype(np.float64)


def codes_of(chunks: Sequence[pa.Array]) -> tuple[Array, Array]:
    """Return a column's codes and the labels that they stand for.

    Parameters
    ----------
    chunks : sequence of pyarrow.Array
        Dictionaries may differ from chunk to chunk.

    Returns
    -------
    codes : int32 ndarray of shape (n_rows,)
        `MISSING` where there is no label.
    labels : ndarray

    Examples
    --------
    >>> codes_of([pa.array(["b", None, "a"])])
    (array([ 0, -1,  1], dtype=int32), array(['b', 'a'], dtype='<U1'))
    """
    if not chunks:
        return np.empty(0, np.int32), np.empty(0, str)
    coded = [c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in chunks]
    whole = pa.chunked_array(coded).unify_dictionaries()
    dictionary = whole.chunk(0).dictionary
    parts = [
        part.indices.fill_null(MISSING).to_numpy(zero_copy_only=False) for part in whole.chunks
    ]
    codes = np.concatenate(parts, dtype=np.int32, casting="unsafe")
    absent = np.flatnonzero(dictionary.is_null().to_numpy(zero_copy_only=False))
    if len(absent):
        codes[np.isin(codes, absent)] = MISSING
        dictionary = dictionary.fill_null("" if is_text(dictionary.type) else 0)
    return codes, fixed_width(dictionary.to_numpy(zero_copy_only=False))


def with_labels(
    X: Array,
    y: Array | None,
    labels: Mapping[str, Sequence[pa.Array]],
    columns: Columns,
    block: int,
) -> tuple[Matrix, Array | None]:
    """Put columns of labels beside numbers, and the target's in place of y.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_numeric)
    y : ndarray of shape (n_rows, n_targets), or None
    labels : mapping of str to sequence of pyarrow.Array
        By column.
    columns : Columns
    block : int
        The block's number, for messages.
    """
    if columns.targets and columns.targets[0] in labels:
        y = _values(labels[columns.targets[0]], block)
    if not columns.categorical:
        return X, y
    codes = np.empty((len(X), len(columns.categorical)), dtype=np.int32)
    levels = []
    for j, name in enumerate(columns.categorical):
        codes[:, j], found = codes_of(labels[name])
        levels.append(found)
    return Mixed(X, codes, tuple(levels)), y


def _values(chunks: Sequence[pa.Array], block: int) -> Array:
    """Return a column's labels, row by row."""
    if not chunks:
        return np.empty(0)
    if is_text(chunks[0].type) or pa.types.is_dictionary(chunks[0].type):
        codes, labels = codes_of(chunks)
        check_present(codes == MISSING, block)
        return labels[codes]
    column = pa.chunked_array(chunks)
    check_present(column.is_null().to_numpy(), block)
    return column.to_numpy()
