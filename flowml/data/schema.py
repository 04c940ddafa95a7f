"""The schema: what all blocks of a dataset have in common."""

from dataclasses import dataclass
from typing import Any

import numpy as np


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
