"""Which columns of a table become X, y and the weights."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from flowml.data.schema import Schema

Names: TypeAlias = str | Sequence[str] | None


class Columns(NamedTuple):
    """Column names by their part.

    Attributes
    ----------
    features, targets : tuple of str
    weight : str or None
    y_is_1d : bool
        Whether the target was given as one name, not as a list.
    categorical : tuple of str
        Features that hold labels.
    """

    features: tuple[str, ...]
    targets: tuple[str, ...] = ()
    weight: str | None = None
    y_is_1d: bool = True
    categorical: tuple[str, ...] = ()

    @property
    def numeric(self) -> tuple[str, ...]:
        """Features that hold numbers."""
        return tuple(name for name in self.features if name not in self.categorical)

    @property
    def beside_X(self) -> tuple[str, ...]:  # noqa: N802 - X is the field's own name
        """The columns of y, then the weights'."""
        return self.targets if self.weight is None else (*self.targets, self.weight)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that are read."""
        return (*self.features, *self.beside_X)

    def labels(self, schema: Schema) -> tuple[str, ...]:
        """Columns that are read as labels: the categorical ones, and perhaps the target."""
        return (*self.categorical, *(self.targets if schema.keeps_labels else ()))

    def schema(self, dtype: Any, label_dtype: np.dtype[Any] | None) -> Schema:
        """Describe blocks of these columns, with what labels the one target holds."""
        return Schema(
            n_features=len(self.features),
            dtype=np.dtype(dtype),
            feature_names=self.features,
            target_names=self.targets or None,
            n_targets=len(self.targets),
            y_is_1d=self.y_is_1d,
            weighted=self.weight is not None,
            categorical=tuple(map(self.features.index, self.categorical)),
            label_dtype=label_dtype,
        )


class Choice(NamedTuple):
    """What a caller wants of a table.

    Attributes
    ----------
    target : str or list of str, optional
    weight : str, optional
    features : str or list of str, optional
        By default all columns that are neither target, weight nor index.
    categorical : str or list of str, optional
        Features that hold labels.
    """

    target: Names = None
    weight: str | None = None
    features: Names = None
    categorical: Names = None


def choose_columns(
    available: Sequence[str], where: str, choice: Choice, index: Sequence[str] = ()
) -> Columns:
    """Sort a table's columns into features, targets and weight.

    Parameters
    ----------
    available : sequence of str
        The table's columns.
    where : str
        The table's name, for messages.
    choice : Choice
    index : sequence of str
        Columns that only number or name the rows.

    Raises
    ------
    ValueError
        If a column doesn't exist, serves twice, or no feature is left.
    """
    target, weight, features, labels = choice
    targets = _as_names(target)
    beside = targets if weight is None else (*targets, weight)
    if features is None:
        chosen = tuple(name for name in available if name not in (*beside, *index))
    else:
        chosen = _as_names(features)
    for name in (*beside, *chosen):
        if name not in available:
            raise ValueError(f"{where} has no column {name!r}; it has {', '.join(available)}")
        if (*beside, *chosen).count(name) > 1 or list(available).count(name) > 1:
            raise ValueError(f"column {name!r} of {where} appears more than once in the choice")
    if not chosen:
        raise ValueError(f"{where} leaves no column for the features: X would have zero columns")
    categorical = _as_names(labels)
    for name in categorical:
        if name not in chosen:
            raise ValueError(f"categorical names {name!r}, which isn't a feature of {where}")
    y_is_1d = target is None or isinstance(target, str)
    return Columns(chosen, targets, weight, y_is_1d, categorical)


def not_numeric(name: str, where: str, found: str, is_text: bool = False) -> TypeError:
    """Return the error for a column that doesn't hold numbers."""
    hint = f"read its labels with categorical=[{name!r}]" if is_text else "encode it as numbers"
    return TypeError(
        f"column {name!r} of {where} holds {found}, not numbers: {hint}, or leave it out by naming "
        "the other columns with features="
    )


def _as_names(names: Names) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)
