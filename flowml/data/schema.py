"""The schema: what all blocks of a dataset have in common."""

from dataclasses import dataclass
from typing import Any

import numpy as np

CODE_BYTES = 4


@dataclass(frozen=True)
class Schema:
    """What all blocks have in common.

    Parameters
    ----------
    n_features : int
    dtype : numpy.dtype
        float32 or float64: what X is computed in.
    feature_names : tuple of str, or None
    target_names : tuple of str, or None
    n_targets : int
        0 without y.
    y_is_1d : bool
    weighted : bool
    sparse : bool
    categorical : tuple of int
        Places of the features that hold labels.
    label_dtype : numpy.dtype or None
        What the one column of y holds as it comes: `str` of any width for text.
    labels : bool
        Whether blocks keep y as labels of that dtype; else as float64, unless it is text.
    n_rows : int or None
        How many there are, where a dataset has been asked for it (`Dataset.measured`).
    stored : float or None
        The same for the values that a row of CSR stores, on average.
    """

    n_features: int
    dtype: np.dtype[Any]
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None
    n_targets: int = 0
    y_is_1d: bool = True
    weighted: bool = False
    sparse: bool = False
    categorical: tuple[int, ...] = ()
    label_dtype: np.dtype[Any] | None = None
    labels: bool = False
    n_rows: int | None = None
    stored: float | None = None

    @property
    def is_text(self) -> bool:
        """Whether y can't be numbers."""
        return self.label_dtype is not None and self.label_dtype.kind == "U"

    @property
    def keeps_labels(self) -> bool:
        """Whether the blocks' y are labels."""
        return self.n_targets == 1 and (self.labels or self.is_text)

    @property
    def numeric_names(self) -> tuple[str, ...]:
        """Names, or else places, of the features that hold numbers."""
        return tuple(name for j, name in enumerate(self._names) if j not in self.categorical)

    @property
    def categorical_names(self) -> tuple[str, ...]:
        """Names, or else places, of the features that hold labels."""
        return tuple(self._names[place] for place in self.categorical)

    @property
    def _names(self) -> tuple[str, ...]:
        return self.feature_names or tuple(map(str, range(self.n_features)))

    @property
    def n_numeric(self) -> int:
        """Number of features that hold numbers."""
        return self.n_features - len(self.categorical)

    @property
    def row_bytes(self) -> int:
        """Bytes of a dense row of X."""
        return self.n_numeric * self.dtype.itemsize + CODE_BYTES * len(self.categorical)
