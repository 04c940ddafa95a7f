"""Labels: the one column of a classification's y, and what of it isn't a label."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import (
    infer_dtype,
    is_any_real_numeric_dtype,
    is_bool_dtype,
    is_string_dtype,
)

from flowml.kernels.rows import Array

TEXT = np.dtype(str)


def label_dtype(dtype: Any) -> np.dtype[Any] | None:
    """Return what labels of a NumPy or pandas dtype become: `str` of any width for text.

    Categories that aren't known yet count as text; None is for what can't be a label.

    Examples
    --------
    >>> label_dtype(np.dtype("int64")), label_dtype(pd.CategoricalDtype(["a", "b"]))
    (dtype('int64'), dtype('<U'))
    """
    if isinstance(dtype, pd.CategoricalDtype):
        known = dtype.categories
        return TEXT if known is None else label_dtype(known.dtype)
    if is_bool_dtype(dtype):
        return np.dtype(bool)
    if is_any_real_numeric_dtype(dtype):
        return np.dtype(getattr(dtype, "numpy_dtype", dtype))
    return TEXT if is_string_dtype(dtype) else None


def to_labels(values: Any, block: int) -> Array:
    """Return a chunk of y as labels: numbers with their dtype, text with a fixed width.

    Parameters
    ----------
    values : array, series or frame of one column
    block : int
        The chunk's place among the blocks, for messages.

    Raises
    ------
    ValueError
        If a label is missing.

    Examples
    --------
    >>> to_labels(pd.Series(["no", "yes"], dtype="category"), 0)
    array(['no', 'yes'], dtype='<U3')
    """
    if isinstance(values, pd.DataFrame):
        values = values.iloc[:, 0]
    if isinstance(values, pd.Series):
        check_present(values.isna().to_numpy(), block)
        if isinstance(values.dtype, pd.CategoricalDtype):
            return fixed_width(values.cat.categories)[values.cat.codes.to_numpy()]
        values = values.to_numpy()
    values = np.asarray(values).reshape(-1)
    if values.dtype.kind in "OT":
        check_present(pd.isna(values), block)
    return np.ascontiguousarray(fixed_width(values))


def fixed_width(labels: Any, what: str = "y's labels") -> Array:
    """Return labels as numbers, or as strings of a fixed width.

    Parameters
    ----------
    labels : array
    what : str
        Whose they are, for messages.

    Raises
    ------
    TypeError
        If some are text and some are not: as text 1 and "1" would be one.
    """
    values = np.asarray(labels)
    if values.dtype == object and infer_dtype(values, skipna=True).startswith("mixed"):
        raise TypeError(f"{what} are neither all text nor all numbers: make them one or the other")
    return values if values.dtype.kind in "biufU" else values.astype(object).astype(str)


def check_present(missing: Array, block: int) -> None:
    """Refuse labels of which one is missing.

    Raises
    ------
    ValueError
        Naming the first.
    """
    if missing.any():
        raise ValueError(
            f"Input y contains a missing label: block {block}, row {int(missing.argmax())} of the "
            "block. Drop such rows or fill them in before fit."
        )
