"""Splits into training and test rows, as functions of a row's position: no row is moved for them.

What others call a fold of cross-validation is a split here: a fold is a reduction over rows.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from flowml.kernels.permutation import permuted
from flowml.kernels.random_keys import uniforms
from flowml.kernels.rows import Array, Block, Matrix, Rows
from flowml.kernels.scratch import once
from flowml.kernels.strata import Strata

TRAIN, TEST, NEITHER = 0, 1, 2
MOST_RUNS = 4
"""Up to so many runs of consecutive rows are taken as they lie, without a copy."""


class Splits(Protocol):
    """Says which rows a split trains on and which it tests on."""

    @property
    def n_splits(self) -> int:
        """How many there are."""

    @property
    def is_partition(self) -> bool:
        """Whether each row is tested in one split and trained on in all others."""

    def sides(self, split: int, block: Block) -> Array:
        """Return TRAIN, TEST or NEITHER for each of a block's rows, as int8."""

    def count(self, split: int, side: int) -> int:
        """Count the rows of a side."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Each stratum in parts of given sizes, each of which is the test of one split.

    Parameters
    ----------
    strata : Strata
    ends : ndarray of shape (n_strata, n_splits)
        Ranks at which the parts end.
    seed : int or None
        Of the order that each stratum is brought into first; None leaves it as it is.
    """

    strata: Strata
    ends: Array
    seed: int | None = None
    is_partition = True

    @property
    def n_splits(self) -> int:
        """One for each part."""
        return int(self.ends.shape[1])

    def sides(self, split: int, block: Block) -> Array:
        """Test on the split's own part."""
        return (once(numbers, self, block) == split).astype(np.int8)

    def count(self, split: int, side: int) -> int:
        """Count from the parts' sizes."""
        sizes = np.diff(self.ends, axis=1, prepend=0).sum(axis=0)
        return int({TEST: sizes[split], TRAIN: sizes.sum() - sizes[split], NEITHER: 0}[side])


@dataclass(frozen=True, eq=False)
class Draws:
    """Test and training rows drawn at random, for each split anew.

    Parameters
    ----------
    strata : Strata
    ends : ndarray of shape (n_strata, 2)
        In the drawn order of each stratum, ranks at which the test and the training rows end.
    seeds : tuple of int
        One for each split.
    """

    strata: Strata
    ends: Array
    seeds: tuple[int, ...]
    is_partition = False

    @property
    def n_splits(self) -> int:
        """One for each seed."""
        return len(self.seeds)

    def sides(self, split: int, block: Block) -> Array:
        """Test on the first ranks, train on the next."""
        stratum, rank = self.strata.ranks(block)
        rank = permuted(rank, self.strata.sizes[stratum], self.seeds[split])
        test, train = self.ends[stratum].T
        return np.select([rank < test, rank < train], [TEST, TRAIN], NEITHER).astype(np.int8)

    def count(self, split: int, side: int) -> int:
        """Count from the ends."""
        test, train = self.ends.sum(axis=0)
        left = self.strata.sizes.sum() - train
        return int({TEST: test, TRAIN: train - test, NEITHER: left}[side])


@dataclass(frozen=True, eq=False)
class Thinned:
    """Splits that train on a random share of their training rows.

    Parameters
    ----------
    splits : Splits
    share : float
    seed : int
    """

    splits: Splits
    share: float
    seed: int
    is_partition = False

    @property
    def n_splits(self) -> int:
        """As many as before."""
        return self.splits.n_splits

    def sides(self, split: int, block: Block) -> Array:
        """Leave training rows out by their position."""
        sides = self.splits.sides(split, block)
        drawn = uniforms(self.seed, block.start, len(sides)) < self.share
        return np.where((sides == TEST) | drawn, sides, NEITHER).astype(np.int8)

    def count(self, split: int, side: int) -> int:
        """Count; how many training rows are left is expected, not known."""
        count, train = self.splits.count(split, side), self.splits.count(split, TRAIN)
        left = round(self.share * train)
        return {TEST: count, TRAIN: left, NEITHER: count + train - left}[side]


@dataclass(frozen=True, eq=False)
class Listed:
    """Sides that somebody else has decided, row by row.

    Parameters
    ----------
    strata : Strata
        Of all rows in one stratum.
    table : ndarray of shape (n_splits, n_rows)
        TRAIN, TEST or NEITHER, as int8.
    """

    strata: Strata
    table: Array

    @property
    def n_splits(self) -> int:
        """One for each row of the table."""
        return len(self.table)

    @property
    def is_partition(self) -> bool:
        """Whether each row is tested once and trained on otherwise."""
        tested = (self.table == TEST).sum(axis=0)
        return bool((tested == 1).all() and not (self.table == NEITHER).any())

    def sides(self, split: int, block: Block) -> Array:
        """Look them up."""
        _, rank = self.strata.ranks(block)
        side: Array = self.table[split, rank]
        return side

    def count(self, split: int, side: int) -> int:
        """Count in the table."""
        return int((self.table[split] == side).sum())


def numbers(parts: Parts, block: Block) -> Array:
    """Return the number of the part that each row is in."""
    stratum, rank = parts.strata.ranks(block)
    if parts.seed is not None:
        rank = permuted(rank, parts.strata.sizes[stratum], parts.seed)
    number = np.empty(len(rank), dtype=np.int64)
    for which, ends in enumerate(parts.ends):
        mine = slice(None) if len(parts.ends) == 1 else stratum == which
        number[mine] = _part(ends, rank[mine], parts.seed is None)
    return number


def _part(ends: Array, rank: Array, ascending: bool) -> Array:
    """Return the place of the first end above each rank."""
    if not ascending:
        return np.searchsorted(ends, rank, side="right")
    cuts = np.searchsorted(rank, ends)
    return np.repeat(np.arange(len(ends) + 1), np.diff(cuts, prepend=0, append=len(rank)))


@dataclass(frozen=True, eq=False)
class Subset:
    """One side of one split.

    Parameters
    ----------
    splits : Splits
    split : int
    side : int
        TRAIN or TEST.
    """

    splits: Splits
    split: int
    side: int

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.splits.count(self.split, self.side)

    def see(self, rows: Rows) -> Rows:
        """Return its rows."""
        return once(select, self, rows)


def select(subset: Subset, rows: Rows) -> Rows:
    """Return a subset's rows: views where they lie together, else copies."""
    selected = []
    for block in rows:
        chosen = subset.splits.sides(subset.split, block) == subset.side
        edges = np.flatnonzero(chosen[1:] != chosen[:-1]) + 1
        if len(edges) <= 2 * MOST_RUNS:
            runs = [slice(*run) for run in pairwise([0, *edges, len(chosen)])]
            mine = [run for run in runs if chosen[run][:1].any()]
            selected += [_run(block, run) for run in mine or [slice(0)]]
        else:
            selected.append(_run(block, np.flatnonzero(chosen)))
    return selected


def _run(block: Block, which: slice | Array) -> Block:
    """Return some of a block's rows; their positions stay unique."""
    y = None if block.y is None else block.y[which]
    weight = None if block.weight is None else block.weight[which]
    start = block.start + (which.start or 0 if isinstance(which, slice) else 0)
    return block._replace(X=_taken(block.X, which), y=y, weight=weight, start=start)


def _taken(X: Matrix, which: slice | Array) -> Matrix:
    """Return rows in the order in memory that they have."""
    if isinstance(which, slice) or not isinstance(X, np.ndarray):
        return X[which]
    by_columns = X.flags.f_contiguous and not X.flags.c_contiguous
    return X.T.take(which, axis=1).T if by_columns else X.take(which, axis=0)
