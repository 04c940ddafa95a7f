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
    """

    features: tuple[str, ...]
    targets: tuple[str, ...] = ()
    weight: str | None = None
    y_is_1d: bool = True

    @property
    def beside_X(self) -> tuple[str, ...]:  # noqa: N802 - X is the field's own name
        """The columns of y, then the weights'."""
        return self.targets if self.weight is None else (*self.targets, self.weight)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that are read."""
        return (*self.features, *self.beside_X)

    def schema(self, dtype: Any) -> Schema:
        """Describe blocks of these columns."""
        return Schema(
            n_features=len(self.features),
            dtype=np.dtype(dtype),
            feature_names=self.features,
            target_names=self.targets or None,
            n_targets=len(self.targets),
            y_is_1d=self.y_is_1d,
            weighted=self.weight is not None,
        )


def choose_columns(
    available: Sequence[str],
    where: str,
    target: Names,
    weight: str | None,
    features: Names,
    index: Sequence[str] = (),
) -> Columns:
    """Sort a table's columns into features, targets and weight.

    Parameters
    ----------
    available : sequence of str
        The table's columns.
    where : str
        The table's name, for messages.
    target : str or list of str, optional
    weight : str, optional
    features : str or list of str, optional
        By default all columns that are neither target, weight nor index.
    index : sequence of str
        Columns that only number or name the rows.

    Raises
    ------
    ValueError
        If a column doesn't exist, serves twice, or no feature is left.
    """
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
    return Columns(chosen, targets, weight, target is None or isinstance(target, str))


def not_numeric(name: str, where: str, found: str) -> TypeError:
    """Return the error for a column that doesn't hold numbers."""
    return TypeError(
        f"column {name!r} of {where} holds {found}, not numbers: encode it as numbers first, or "
        "leave it out by naming the other columns with features="
    )


def _as_names(names: Names) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)
