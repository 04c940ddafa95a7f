"""How rows are split for validation: scikit-learn's splitters, as functions of a row's position."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils.validation import check_random_state

from flowml.data.adopt import is_lazy
from flowml.kernels.rows import Array, Block
from flowml.kernels.splits import NEITHER, TEST, TRAIN, Draws, Listed, Parts, Splits
from flowml.kernels.strata import Strata, counted, rows_in_order, summarise
from flowml.parameters import check_flags, check_integer

SEEDS = 1 << 31


class Splitter(BaseCrossValidator):
    """A splitter whose sides are functions of the row's position and a seed.

    A subclass gives `splits`. `split` gives scikit-learn's index arrays, so that its own tools
    take these splitters too.
    """

    stratified = False
    n_splits: int

    def splits(self, strata: Strata) -> Splits:
        """Return the sides of rows that were counted, as they travel to the data.

        Parameters
        ----------
        strata : Strata
            By label where `stratified`, else of all rows.

        Raises
        ------
        ValueError
            If there are too few rows.
        """
        raise NotImplementedError

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits; arguments are there for scikit-learn."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        """Yield the numbers of the training and of the test rows, ascending.

        Parameters
        ----------
        X : any input whose number of rows is known
        y : array of shape (n_rows,), optional
            Needed where splits are stratified.
        groups : array of shape (n_rows,), optional
            Needed where groups stay together.

        Yields
        ------
        train, test : ndarray of int
        """
        block = Block(np.empty((_num_rows(X), 0)), np.asarray(y) if self.stratified else None)
        check_groups(groups, block.X.shape[0])
        splits = self.grouped(groups).splits(strata_of(block, self.stratified))
        for number in range(splits.n_splits):
            sides = splits.sides(number, block)
            yield np.flatnonzero(sides == TRAIN), np.flatnonzero(sides == TEST)

    def grouped(self, groups: Any) -> "Splitter":
        """Return the splitter for rows of these groups; most don't look at them."""
        return self


class KFold(Splitter):
    """Cut the rows into parts of equal size, each the test of one split.

    Without shuffling the parts are those of scikit-learn's `KFold`. With it, each row's part is
    a function of its position and the seed: parts are exactly as large, and no row is moved.

    Parameters
    ----------
    n_splits : int, default=5
        At least 2.
    shuffle : bool, default=False
    random_state : int, RandomState or None, default=None
        Of the shuffling.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.model_selection import KFold
    >>> for train, test in KFold(2).split(np.zeros((5, 1))):
    ...     print(train, test)
    [3 4] [0 1 2]
    [0 1 2] [3 4]
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, random_state: Any = None
    ) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def splits(self, strata: Strata) -> Parts:
        """Cut evenly, the first parts being one larger where it doesn't come out."""
        self._check(int(strata.sizes.sum()))
        sizes = np.array([self._even(int(size)) for size in strata.sizes])
        return Parts(strata, np.cumsum(sizes, axis=1), self._seed())

    def _even(self, n_rows: int) -> Array:
        return n_rows // self.n_splits + (np.arange(self.n_splits) < n_rows % self.n_splits)

    def _seed(self) -> int | None:
        if not self.shuffle:
            return None
        return int(check_random_state(self.random_state).randint(SEEDS))

    def _check(self, n_rows: int) -> None:
        check_integer(self, "n_splits", 2)
        check_flags(self, "shuffle")
        if n_rows < self.n_splits:
            raise ValueError(
                f"Cannot have number of splits n_splits={self.n_splits} greater than the number "
                f"of samples: n_samples={n_rows}"
            )


class StratifiedKFold(KFold):
    """Cut the rows of each class into parts of equal size.

    Without shuffling the parts are those of scikit-learn's `StratifiedKFold`.

    Parameters
    ----------
    n_splits : int, default=5
        At least 2, and at most the rows of a class.
    shuffle : bool, default=False
    random_state : int, RandomState or None, default=None
        Of the shuffling.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.model_selection import StratifiedKFold
    >>> for train, test in StratifiedKFold(2).split(np.zeros((6, 1)), [0, 0, 1, 1, 1, 1]):
    ...     print(train, test)
    [1 4 5] [0 2 3]
    [0 2 3] [1 4 5]
    """

    stratified = True

    def splits(self, strata: Strata) -> Parts:
        """Deal the rows of all classes, one class after the other, to the parts in turn."""
        self._check(int(strata.sizes.sum()))
        self._check_classes(strata)
        turns, dealt = np.arange(self.n_splits), 0
        sizes = np.empty((len(strata.sizes), self.n_splits), dtype=np.int64)
        for stratum in range(len(sizes)) if strata.order is None else strata.order:
            after = dealt + strata.sizes[stratum]
            sizes[stratum] = _in_turn(after, turns) - _in_turn(dealt, turns)
            dealt = after
        return Parts(strata, np.cumsum(sizes, axis=1), self._seed())

    def _check_classes(self, strata: Strata) -> None:
        least, most = strata.sizes.min(), strata.sizes.max()
        if most < self.n_splits:
            raise ValueError(
                f"n_splits={self.n_splits} cannot be greater than the number of members in each "
                f"class, of which the largest has {most}"
            )
        if least < self.n_splits:
            warnings.warn(
                f"The least populated class in y has only {least} members, which is less than "
                f"n_splits={self.n_splits}.",
                UserWarning,
                stacklevel=3,
            )


class GroupKFold(Splitter):
    """Keep the rows of a group together: each group is in the test of one split.

    Groups are dealt out from the largest to the smallest, each to the part with the fewest rows,
    as by scikit-learn's `GroupKFold`. The rows' groups are brought to this process, and a byte a
    row for each split travels to the data.

    Parameters
    ----------
    n_splits : int, default=5
        At least 2, and at most the number of groups.
    shuffle : bool, default=False
        Whether groups are dealt out in a random order instead, as many to each part.
    random_state : int, RandomState or None, default=None
        Only with `shuffle`.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.model_selection import GroupKFold
    >>> for train, test in GroupKFold(2).split(np.zeros((4, 1)), groups=["a", "b", "a", "b"]):
    ...     print(train, test)
    [0 2] [1 3]
    [1 3] [0 2]
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, random_state: Any = None
    ) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def splits(self, strata: Strata) -> Splits:
        """Refuse rows without groups."""
        raise ValueError("The 'groups' parameter should not be None: GroupKFold needs groups=")

    def grouped(self, groups: Any) -> "Splitter":
        """Deal the groups out."""
        if groups is None:
            return self
        check_integer(self, "n_splits", 2)
        names, code = np.unique(np.asarray(groups), return_inverse=True)
        if len(names) < self.n_splits:
            raise ValueError(
                f"Cannot have number of splits n_splits={self.n_splits} greater than the number "
                f"of groups: {len(names)}"
            )
        tested = self._deal(np.bincount(code))[code] == np.arange(self.n_splits)[:, np.newaxis]
        return ListedSplits(np.where(tested, TEST, TRAIN).astype(np.int8))

    def _deal(self, rows: Array) -> Array:
        """Return each group's part, given how many rows it has."""
        part = np.empty(len(rows), dtype=np.int64)
        if self.shuffle:
            order = check_random_state(self.random_state).permutation(len(rows))
            for number, groups in enumerate(np.array_split(order, self.n_splits)):
                part[groups] = number
            return part
        filled = np.zeros(self.n_splits, dtype=np.int64)
        for group in np.argsort(rows, kind="stable")[::-1]:
            part[group] = filled.argmin()
            filled[part[group]] += rows[group]
        return part


class ShuffleSplit(Splitter):
    """Draw test and training rows at random, for each split anew.

    Parameters
    ----------
    n_splits : int, default=10
    test_size, train_size : int, float or None, default=None
        A number of rows, or a share of all. The test takes a tenth where neither is given, and
        what one doesn't take belongs to the other.
    random_state : int, RandomState or None, default=None

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.model_selection import ShuffleSplit
    >>> splitter = ShuffleSplit(3, test_size=0.25, random_state=0)
    >>> [len(test) for _, test in splitter.split(np.zeros((8, 1)))]
    [2, 2, 2]
    """

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: Any = None,
        train_size: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.test_size = test_size
        self.train_size = train_size
        self.random_state = random_state

    def splits(self, strata: Strata) -> Draws:
        """Draw a seed for each split."""
        check_integer(self, "n_splits", 1)
        n_rows = int(strata.sizes.sum())
        test, train = side_sizes(n_rows, self.test_size, self.train_size, 0.1)
        random = check_random_state(self.random_state)
        seeds = tuple(random.randint(SEEDS, size=self.n_splits).tolist())
        return Draws(strata, np.array([[test, test + train]]), seeds)


class ListedSplits(Splitter):
    """Splits that are given row by row.

    Parameters
    ----------
    table : ndarray of shape (n_splits, n_rows)
        TRAIN, TEST or NEITHER of `flowml.kernels.splits`.
    """

    def __init__(self, table: Array) -> None:
        self.table = table
        self.n_splits = len(table)

    def splits(self, strata: Strata) -> Listed:
        """Look the rows up."""
        n_rows = int(strata.sizes.sum())
        if n_rows != self.table.shape[1]:
            raise ValueError(f"the splits are of {self.table.shape[1]} rows, the data has {n_rows}")
        return Listed(strata, self.table)


def check_groups(groups: Any, n_rows: Any) -> None:
    """Refuse groups of another number of rows than X has, where that is known."""
    if groups is not None and isinstance(n_rows, Integral) and len(groups) != n_rows:
        raise ValueError(f"X has {n_rows} rows and groups has {len(groups)}: they must be the same")


def as_splitter(cv: Any, X: Any, y: Any, groups: Any, stratified: bool) -> Splitter:
    """Return a splitter for what scikit-learn takes as ``cv``.

    Parameters
    ----------
    cv : None, int, splitter, or iterable of pairs of index arrays
    X, y, groups : the rows
    stratified : bool
        Whether a number of splits means `StratifiedKFold`.

    Raises
    ------
    ValueError, TypeError
        If it is none of these, or a splitter of scikit-learn's meets lazy rows.
    """
    if cv is None or (isinstance(cv, Integral) and not isinstance(cv, bool)):
        n_splits = 5 if cv is None else int(cv)
        return StratifiedKFold(n_splits) if stratified else KFold(n_splits)
    if isinstance(cv, Splitter):
        check_groups(groups, np.shape(X)[0] if hasattr(X, "shape") else None)
        return cv.grouped(groups)
    if hasattr(cv, "split") and not isinstance(cv, str):
        if X is None or is_lazy(X):
            raise TypeError(
                f"cv={cv!r} needs the rows in memory, and they are lazy or shared by several fits: "
                "take a splitter of flowml.model_selection"
            )
        return _listed(list(cv.split(X, y, groups)), _num_rows(X))
    if isinstance(cv, Iterable) and not isinstance(cv, str):
        if X is None:
            raise TypeError(
                "cv gives rows by their numbers, and several fits share rows, of which each sees a "
                "part: take a splitter of flowml.model_selection"
            )
        pairs = list(cv)
        if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
            raise ValueError(f"cv={pairs!r:.80}: give pairs of training and test rows, or a number")
        return _listed([(np.asarray(a), np.asarray(b)) for a, b in pairs], _num_rows(X))
    raise ValueError(
        "Expected `cv` as an integer, a cross-validation object (from "
        f"flowml.model_selection), or an iterable yielding (train, test) splits. Got {cv!r}."
    )


def side_sizes(n_rows: int, test_size: Any, train_size: Any, default: float) -> tuple[int, int]:
    """Return the numbers of test and training rows.

    Raises
    ------
    ValueError
        If a size is out of range, or one side is left without rows.

    Examples
    --------
    >>> side_sizes(10, None, None, 0.25), side_sizes(10, 3, 0.5, 0.25)
    ((3, 7), (3, 5))
    """
    sizes = {"test_size": test_size, "train_size": train_size}
    counts = {name: _count(name, size, n_rows) for name, size in sizes.items()}
    test, train = counts["test_size"], counts["train_size"]
    if test is None:
        test = int(np.ceil(default * n_rows)) if train is None else n_rows - train
    train = n_rows - test if train is None else train
    if test + train > n_rows or test < 1 or train < 1:
        raise ValueError(
            f"With n_samples={n_rows}, test_size={test_size} and train_size={train_size}, the "
            f"test would have {test} rows and the training {train}: adjust the sizes"
        )
    return test, train


def strata_of(block: Block, labelled: bool) -> Strata:
    """Count the strata of rows in memory."""
    if not labelled:
        return rows_in_order(block.X.shape[0])
    return counted(summarise(labelled, [block]), labelled)


def _num_rows(X: Any) -> int:
    rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if rows is None or np.isnan(rows):
        raise ValueError("the number of rows isn't known: call X.compute_chunk_sizes() first")
    return int(rows)


def _count(name: str, size: Any, n_rows: int) -> int | None:
    if size is None:
        return None
    if isinstance(size, Integral) and 0 < int(size) < n_rows:
        return int(size)
    if isinstance(size, float) and 0 < size < 1:
        return int(np.ceil(size * n_rows) if name == "test_size" else np.floor(size * n_rows))
    raise ValueError(
        f"{name}={size!r} should be either positive and smaller than the number of samples "
        f"{n_rows} or a float in the (0, 1) range"
    )


def _listed(pairs: Sequence[tuple[Array, Array]], n_rows: int) -> ListedSplits:
    if not pairs:
        raise ValueError("cv yields no split: give at least one pair of training and test rows")
    table = np.full((len(pairs), n_rows), NEITHER, dtype=np.int8)
    for number, (sides, pair) in enumerate(zip(table, pairs, strict=True)):
        for name, side, rows in zip(("training", "test"), (TRAIN, TEST), pair, strict=True):
            what = f"split {number} of cv: its {name} rows"
            sides[_row_numbers(rows, sides != NEITHER, what)] = side
    return ListedSplits(table)


def _row_numbers(rows: Array, taken: Array, what: str) -> Array:
    """Return a side's row numbers, of which none may be taken."""
    rows = np.flatnonzero(rows) if rows.dtype == bool else rows
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
        raise ValueError(f"{what} must be an array of row numbers, and at least one")
    if rows.min() < -len(taken) or rows.max() >= len(taken):
        raise ValueError(f"{what} go up to {rows.max()}, and X has {len(taken)} rows")
    counts = np.bincount(rows % len(taken), minlength=len(taken))
    if (again := np.flatnonzero(counts + taken > np.maximum(counts > 0, taken))).size:
        raise ValueError(
            f"{what} hold row {again[0]} a second time: a row is on one side of a split, once; "
            "weigh it by sample_weight"
        )
    return rows


def _in_turn(dealt: int, turns: Array) -> Array:
    """Count what each of several has got when so many were dealt to them in turn."""
    counts: Array = (dealt - turns + len(turns) - 1) // len(turns)
    return counts
