"""Frames with categorical columns: numbers beside codes."""

from typing import Any

import numpy as np
import pandas as pd

from flowml.data.labels import fixed_width
from flowml.kernels.mixed import Mixed


def categorical_columns(frame: Any) -> tuple[int, ...]:
    """Return the places of a frame's categorical columns; also of a Dask frame's."""
    dtypes = enumerate(frame.dtypes)
    return tuple(place for place, dtype in dtypes if isinstance(dtype, pd.CategoricalDtype))


def to_mixed(frame: pd.DataFrame, dtype: Any) -> Mixed:
    """Return a frame's numbers, and its labels as codes.

    Parameters
    ----------
    frame : DataFrame
        Its columns are numeric or categorical.
    dtype : numpy.dtype
        Of the numbers.
    """
    places = categorical_columns(frame)
    numeric = [place for place in range(frame.shape[1]) if place not in places]
    dense = frame.iloc[:, numeric].to_numpy(dtype=dtype, na_value=np.nan)
    codes = np.empty((len(frame), len(places)), dtype=np.int32)
    levels = []
    for j, place in enumerate(places):
        column = frame.iloc[:, place].cat
        codes[:, j] = column.codes
        whose = f"the labels of column {frame.columns[place]!r}"
        levels.append(fixed_width(column.categories, whose))
    return Mixed(np.ascontiguousarray(dense), codes, tuple(levels))
