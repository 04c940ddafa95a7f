"""One split into training and test rows, lazy for lazy rows."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_random_state

from flowml.data.adopt import is_lazy
from flowml.data.dataset import Dataset
from flowml.data.row_subsets import draw_rows
from flowml.kernels.block_draw import BlockDraw
from flowml.kernels.rows import Array
from flowml.splitters import SEEDS, side_sizes

TEST_SHARE = 0.25


def train_test_split(
    *arrays: Any,
    test_size: Any = None,
    train_size: Any = None,
    random_state: Any = None,
    shuffle: bool = True,
    stratify: Any = None,
) -> list[Any]:
    """Split rows at random into training and test rows, each in the order of the data.

    Lazy rows stay lazy, and each block is split by itself: nothing moves between blocks.

    Parameters
    ----------
    *arrays : arrays, lists, frames, Dask collections or Datasets of n_rows
        Split alike; all in memory, or all lazy and cut into the same blocks.
    test_size, train_size : int, float or None, default=None
        A number of rows (where it is known how many there are) or a share. The test takes a
        quarter where neither is given, and what one doesn't take belongs to the other.
    random_state : int, RandomState or None, default=None
    shuffle : bool, default=True
        Without, the test takes the last rows (of each block, for lazy data).
    stratify : array of shape (n_rows,), optional
        Labels of which both sides get the same shares; for lazy rows a Dask array, and of each
        block.

    Returns
    -------
    list
        Training and test rows of each of the arrays, as scikit-learn has it.

    Raises
    ------
    ValueError, TypeError
        If sizes are out of range, lengths differ, or lazy rows meet rows in memory.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.model_selection import train_test_split
    >>> train, test = train_test_split(np.arange(8), random_state=0)
    >>> len(train), len(test)
    (6, 2)
    """
    if not arrays:
        raise ValueError("At least one array required as input")
    if stratify is not None and not shuffle:
        raise ValueError("stratify needs shuffle=True")
    given = [*arrays, *(() if stratify is None else (stratify,))]
    lazy = [is_lazy(one) for one in given]
    if any(lazy) and not all(lazy):
        raise TypeError("train_test_split takes rows that are all lazy or all in memory")
    seed = int(check_random_state(random_state).randint(SEEDS)) if shuffle else None
    if not any(lazy):
        check_consistent_length(*given)
    n_rows = _n_rows(arrays[0])
    test, train = _shares(n_rows, test_size, train_size)
    sides = (BlockDraw(seed, test, test + train), BlockDraw(seed, 0.0, test))
    if not shuffle:
        sides = (BlockDraw(None, 0.0, train), BlockDraw(None, train, train + test))
    if any(lazy):
        return [draw_rows(one, side, stratify) for one in arrays for side in sides]
    assert n_rows is not None
    labels = None if stratify is None else np.asarray(stratify)
    rows = [side.rows(0, 0, n_rows, labels) for side in sides]
    return [_taken(one, which) for one in arrays for which in rows]


def _n_rows(X: Any) -> int | None:
    """Count rows, where that takes no work."""
    if isinstance(X, Dataset):
        return X.n_rows
    rows = X.shape[0] if hasattr(X, "shape") else len(X)
    known = isinstance(rows, int | np.integer) or (isinstance(rows, float) and not np.isnan(rows))
    return int(rows) if known else None


def _shares(n_rows: int | None, test_size: Any, train_size: Any) -> tuple[float, float]:
    if n_rows is not None:
        counts = side_sizes(n_rows, test_size, train_size, TEST_SHARE)
        return counts[0] / n_rows, counts[1] / n_rows
    for name, size in (("test_size", test_size), ("train_size", train_size)):
        if not (size is None or (isinstance(size, float) and 0 < size < 1)):
            raise ValueError(f"{name}={size!r}: where rows aren't counted yet, give a share")
    share = TEST_SHARE if train_size is None else 1.0 - train_size
    test = share if test_size is None else test_size
    return test, 1.0 - test if train_size is None else train_size


def _taken(X: Any, rows: Array) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return [X[row] for row in rows] if isinstance(X, list | tuple) else X[rows]
