"""Labels seen as numbers: one class against the rest, or a column of signs for each class."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from flowml.kernels.labels import encode
from flowml.kernels.rows import Array, Rows


@dataclass(frozen=True, eq=False)
class OneAgainstRest:
    """A target of 1.0 for the rows of one class, and 0.0 for the others.

    Parameters
    ----------
    label : str or number
    """

    label: Any

    def see(self, rows: Rows) -> Rows:
        """Replace y."""
        return [block._replace(y=np.asarray(block.y == self.label, np.float64)) for block in rows]


@dataclass(frozen=True, eq=False)
class Signs:
    """A target with a column for each class: 1.0 for its rows, -1.0 for others.

    Two classes have one column, which is 1.0 for the second.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted.
    class_weights : ndarray of shape (n_classes,) or None
        By which the rows' weights are multiplied.
    """

    classes: Array
    class_weights: Array | None = None

    @property
    def n_columns(self) -> int:
        """One for each class, one for two."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def see(self, rows: Rows) -> Rows:
        """Replace y, and multiply weights."""
        seen = []
        for block in rows:
            assert block.y is not None
            code = encode(block.y, self.classes).astype(np.intp)
            weight = block.weight
            if self.class_weights is not None:
                weight = self.class_weights[code] * (1.0 if weight is None else weight)
            first = len(self.classes) - self.n_columns
            own = code[:, np.newaxis] == np.arange(first, len(self.classes))
            seen.append(block._replace(y=np.where(own, 1.0, -1.0), weight=weight))
        return seen
