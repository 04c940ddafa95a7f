"""Offsets and exposures: a column beside the target, added to the predictor as it is."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from dask.utils import is_dataframe_like
from sklearn.utils.validation import check_array

from flowml.data.adopt import is_lazy
from flowml.data.beside import beside_target, two_columns
from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.estimator import adopt, refuse_nonfinite
from flowml.kernels.linear_loss import Offset
from flowml.kernels.rows import Array

OFFSET, EXPOSURE = "offset", "exposure"
"""What the column beside the target is called once the data are adopted."""


class Column(NamedTuple):
    """A column that rides beside the target.

    Attributes
    ----------
    kind : str
        `OFFSET` or `EXPOSURE`.
    values : array, Dask collection, or None
        None where it is among the targets already, as in a Dataset.
    """

    kind: str
    values: Any


def named_column(estimator: Any) -> tuple[str, str] | None:
    """Return kind and name of the column that an estimator's parameters name."""
    for kind in (OFFSET, EXPOSURE):
        if getattr(estimator, kind) is not None:
            return kind, getattr(estimator, kind)
    return None


def check_names(estimator: Any) -> None:
    """Check the names of an offset and an exposure.

    Raises
    ------
    TypeError, ValueError
        If a name isn't a string, or both are given.
    """
    for kind in (OFFSET, EXPOSURE):
        value = getattr(estimator, kind)
        if not (value is None or isinstance(value, str)):
            raise TypeError(
                f"{type(estimator).__name__}({kind}=...) names a column of y: give the values "
                f"themselves to fit, as fit(X, y, {kind}=...)"
            )
    if estimator.offset is not None and estimator.exposure is not None:
        raise ValueError(
            "give an offset or an exposure, not both: an exposure is an offset by its logarithm"
        )


def split_off(estimator: Any, y: Any, offset: Any, exposure: Any) -> tuple[Any, Column | None]:
    """Return the target alone, and the column that belongs beside it.

    Raises
    ------
    ValueError
        If a column is given twice, or a frame y hasn't the one that is named.
    """
    check_names(estimator)
    given = [Column(OFFSET, offset), Column(EXPOSURE, exposure)]
    given = [column for column in given if column.values is not None]
    named = named_column(estimator)
    if len(given) + (named is not None) > 1:
        raise ValueError("give one offset or exposure: as an argument of fit, or by its name in y")
    if named is None or not is_dataframe_like(y):
        return y, given[0] if given else None
    kind, name = named
    if name not in y.columns or len(y.columns) != 2:
        raise ValueError(_not_found(estimator, kind, name, tuple(map(str, y.columns))))
    other = next(column for column in y.columns if column != name)
    return y[other], Column(kind, y[name])


def adopt_beside(
    estimator: Any, X: Any, y: Any, sample_weight: Any, reset: bool, column: Column | None
) -> Dataset:
    """Validate input, and put the column beside the target.

    Raises
    ------
    ValueError, TypeError
        As `adopt`, or if the column doesn't fit the rows.
    """
    one, two = estimator.needs, replace(estimator.needs, one_target=False)
    named = named_column(estimator)
    if isinstance(X, Dataset) and named is not None:
        return rename_beside(estimator, adopt(estimator, X, y, sample_weight, two, reset))
    if named is not None and column is None:
        kind, name = named
        raise ValueError(_not_found(estimator, kind, name, ()))
    if column is None or y is None:
        return adopt(estimator, X, y, sample_weight, one, reset)
    if is_lazy(X):
        both = two_columns(X, y, column.values, column.kind)
        dataset = adopt(estimator, X, both, sample_weight, two, reset)
        schema = replace(dataset.schema, target_names=("y", column.kind))
        return replace(dataset, schema=schema)
    dataset = adopt(estimator, X, y, sample_weight, one, reset)
    n_rows = dataset.n_rows
    assert n_rows is not None
    return beside_target(dataset, check_column(column, n_rows), column.kind)


def rename_beside(estimator: Any, dataset: Dataset) -> Dataset:
    """Give the named column of a Dataset's targets the name of its kind.

    Raises
    ------
    ValueError
        If it isn't there, or there is not one target beside it.
    """
    column, logarithm = column_of(estimator, dataset)
    names = list(dataset.schema.target_names or ())
    if len(names) != 2:
        raise ValueError(
            f"the dataset has {len(names)} targets, {', '.join(names)}: read it with two, of which "
            f"{names[column]!r} is one"
        )
    names[column] = EXPOSURE if logarithm else OFFSET
    return replace(dataset, schema=replace(dataset.schema, target_names=tuple(names)))


def offset_of(schema: Schema) -> Offset | None:
    """Return where the offset is in y, None where there is none.

    Examples
    --------
    >>> names = ("claims", "exposure")
    >>> offset_of(Schema(3, np.dtype(float), target_names=names, n_targets=2))
    Offset(column=1, logarithm=True)
    """
    names = schema.target_names or ()
    for kind in (OFFSET, EXPOSURE):
        if schema.n_targets == 2 and kind in names:
            return Offset(names.index(kind), kind == EXPOSURE)
    return None


def column_of(estimator: Any, dataset: Dataset) -> Offset:
    """Return where the column that an estimator's parameters name is among a Dataset's targets.

    Raises
    ------
    ValueError
        If it isn't there.
    """
    named = named_column(estimator)
    assert named is not None
    kind, name = named
    names = dataset.schema.target_names or ()
    if name not in names:
        raise ValueError(_not_found(estimator, kind, name, names))
    return Offset(names.index(name), kind == EXPOSURE)


def check_column(column: Column, n_rows: int) -> Array:
    """Return an offset or exposure in memory as float64.

    Raises
    ------
    ValueError
        If its length isn't that of the rows, or a value is NaN or infinite.
    """
    refuse_nonfinite(column.values, column.kind)
    values = check_array(column.values, ensure_2d=False, dtype=np.float64, input_name=column.kind)
    if values.ndim > 1 and values.shape[1] != 1:
        raise ValueError(f"{column.kind} must be one column, but has {values.shape[1]}")
    values = values.reshape(-1)
    if len(values) != n_rows:
        raise ValueError(
            f"X has {n_rows} rows and {column.kind} has {len(values)}: they must be the same"
        )
    if column.kind == EXPOSURE and len(values) and values.min() <= 0:
        row = int(np.argmin(values))
        raise ValueError(f"exposure holds {values[row]:g} in row {row}: it must be above 0")
    return values


def check_beside(estimator: Any, schema: Schema) -> None:
    """Refuse targets without the column that an estimator's parameters name.

    Raises
    ------
    ValueError
    """
    named = named_column(estimator)
    if named is not None and offset_of(schema) is None:
        raise ValueError(_not_found(estimator, *named, schema.target_names or ()))


def _not_found(estimator: Any, kind: str, name: str, names: tuple[str, ...]) -> str:
    found = f"it has {', '.join(names)}" if names else "it has no column names"
    return (
        f"{type(estimator).__name__}({kind}={name!r}): y must be two columns, the target and "
        f"{name!r}, but {found}. Read a Dataset with target=[..., {name!r}], or give "
        f"fit(X, y, {kind}=...) the values"
    )
