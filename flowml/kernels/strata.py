"""Strata of the rows, and each row's rank in its own: what splits of the rows are functions of."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.labels import encode, numbered
from flowml.kernels.rows import Array, Block, Rows


class StratumCounts(NamedTuple):
    """How many rows of each label the blocks hold, zero weights included.

    Attributes
    ----------
    starts : ndarray of shape (n_counts,)
        The block that a count is of, by its first row's position.
    labels : ndarray of shape (n_counts,)
        The label that it is of; 0 where labels aren't asked for.
    firsts : ndarray of shape (n_counts,)
        The position of the first such row.
    counts : ndarray of shape (n_counts,)
    """

    starts: Array
    labels: Array
    firsts: Array
    counts: Array


def summarise(ask: bool, rows: Rows) -> StratumCounts:
    """Count each block's rows, by label where `ask` says so."""
    parts = []
    for block in rows:
        n_rows = block.X.shape[0]
        y = block.y if ask and block.y is not None else np.zeros(n_rows)
        labels, code = numbered(y)
        counts = np.bincount(code, minlength=len(labels))
        firsts = [block.start + int(np.argmax(code == number)) for number in range(len(labels))]
        starts = np.full(len(labels), block.start)
        parts.append(StratumCounts(starts, labels, np.array(firsts, dtype=np.int64), counts))
    return _joined(parts)


def merge(left: StratumCounts, right: StratumCounts) -> StratumCounts:
    """Put the right counts behind the left ones."""
    return _joined([left, right])


def finite(summary: StratumCounts) -> bool:
    """Tell whether no label is NaN or infinite."""
    numeric = np.issubdtype(summary.labels.dtype, np.number)
    return not numeric or bool(np.isfinite(summary.labels).all())


STRATUM_COUNTS = Fold(summarise, merge, finite=finite)


def _joined(parts: list[StratumCounts]) -> StratumCounts:
    parts = [part for part in parts if len(part.counts)] or parts[:1]
    return StratumCounts(*(np.concatenate(field) for field in zip(*parts, strict=True)))


@dataclass(frozen=True, eq=False)
class Strata:
    """Numbers the rows of each stratum from 0, in the order of the data.

    Parameters
    ----------
    sizes : ndarray of shape (n_strata,)
        Rows of each.
    labels : ndarray of shape (n_strata,) or None
        Their labels, sorted; None is one stratum of all rows.
    starts : ndarray of shape (n_blocks,) or None
        The blocks' first positions; None where positions are ranks.
    before : ndarray of shape (n_blocks, n_strata) or None
        Rows of each stratum before the block.
    order : ndarray of shape (n_strata,) or None
        Strata in the order in which they first appear.
    """

    sizes: Array
    labels: Array | None = None
    starts: Array | None = None
    before: Array | None = None
    order: Array | None = None

    def ranks(self, block: Block) -> tuple[Array, Array]:
        """Return the stratum of each of a block's rows, and its rank there."""
        n_rows = block.X.shape[0]
        stratum = np.zeros(n_rows, dtype=np.int64)
        if self.labels is not None and len(self.labels) > 1:
            assert block.y is not None
            stratum = encode(block.y, self.labels).astype(np.int64)
        if self.starts is None or self.before is None or n_rows == 0:
            return stratum, block.start + np.arange(n_rows)
        before = self.before[np.searchsorted(self.starts, block.start)]
        rank = np.empty(n_rows, dtype=np.int64)
        for number, first in enumerate(before):
            mine = np.flatnonzero(stratum == number)
            rank[mine] = first + np.arange(len(mine))
        return stratum, rank


def rows_in_order(n_rows: int) -> Strata:
    """Return the one stratum of rows whose positions are their ranks."""
    return Strata(np.array([n_rows]))


def counted(counts: StratumCounts, labelled: bool) -> Strata:
    """Return the strata that were counted.

    Examples
    --------
    >>> starts, labels = np.array([0, 0, 5]), np.array([3, 4, 4])
    >>> counts = StratumCounts(starts, labels, np.array([1, 0, 5]), np.array([2, 3, 1]))
    >>> strata = counted(counts, labelled=True)
    >>> strata.sizes, strata.before
    (array([2, 4]), array([[0, 0],
           [2, 3]]))
    """
    labels, column = np.unique(counts.labels, return_inverse=True)
    starts, row = np.unique(counts.starts, return_inverse=True)
    table = np.zeros((len(starts), len(labels)), dtype=np.int64)
    table[row, column] = counts.counts
    before = np.cumsum(table, axis=0) - table
    firsts = np.full(len(labels), np.iinfo(np.int64).max)
    np.minimum.at(firsts, column, counts.firsts)
    sizes = table.sum(axis=0)
    return Strata(sizes, labels if labelled else None, starts, before, np.argsort(firsts))
