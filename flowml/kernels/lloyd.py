"""One iteration of k-means: sums of the rows by nearest centre, with bounds that skip most rows.

Beside the rows a leaf remembers each row's label, an upper bound on the distance to its centre and
a lower bound on the distance to any other (Hamerly 2010, "Making k-means even faster"), and the
sums by label, which are brought up to date by the rows that moved. Labels are decided exactly
(`flowml.kernels.distances`) and the sums are exact (`flowml.kernels.exact_sums`), so the summary
has the same bits whether the memory was there, was lost, or was never kept.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from flowml.kernels.distances import (
    REORDER,
    Geometry,
    Nearest,
    Work,
    exact_rounding,
    label_distances,
    label_dtype,
    nearest_dense,
    nearest_sparse,
    plain,
    prepare,
    radii,
    slice_rows,
    work_space,
)
from flowml.kernels.exact_sums import (
    ExactSums,
    column_maxima,
    empty_sums,
    move_dense_rows,
    move_rows,
    weights_or_none,
)
from flowml.kernels.farthest import Farthest, farthest_of, merge_farthest
from flowml.kernels.fold import Fold, Memory
from flowml.kernels.rows import Array, Block, Rows, is_sparse, n_features, slices
from flowml.kernels.scratch import once, scratch

MEMORY = "lloyd"
MEMORY_PER_ROW = 28
"""Bytes: a label, a radius and two bounds."""
MOST = 0.35
"""Share of open rows above which a leaf is taken whole."""
GROWTH = 1 + 4 * float(np.finfo(np.float64).eps)
"""Widens a bound by more than the rounding of one addition."""


class LloydAsk(NamedTuple):
    """Centres, and what the rows should know about them.

    Attributes
    ----------
    centers : ndarray of shape (k, p)
    shift : ndarray of shape (p,)
        Fixed for a run: a point near the rows.
    gaps : ndarray of shape (k,)
        At most half the distance from a centre to its nearest neighbour.
    remember : bool
        Keep bounds and sums beside the rows.
    n_far : int
        How many of the farthest rows to bring along, for clusters that are known to be empty.
    """

    centers: Array
    shift: Array
    gaps: Array
    remember: bool = True
    n_far: int = 0


class LloydSums(NamedTuple):
    """Sums over rows by nearest centre.

    Attributes
    ----------
    rows : int
        Rows with a weight above zero.
    weights : ndarray of shape (k,)
    sums : ndarray of shape (k, p)
    scatter : float
        Σ w |x - shift|².
    far : Farthest
    """

    rows: int
    weights: Array
    sums: Array
    scatter: float
    far: Farthest


class Bounds(NamedTuple):
    """What is known of each row of a leaf.

    Attributes
    ----------
    labels : ndarray of shape (n,), int32
        -1 before the first pass.
    radius : ndarray of shape (n,)
        Distance to the shift.
    upper : ndarray of shape (n,)
        At least the distance to the label's centre.
    lower : ndarray of shape (n,)
        At most the distance to any other centre.
    """

    labels: Array
    radius: Array
    upper: Array
    lower: Array


@dataclass
class LeafState:
    """What a leaf remembers between passes; the labels are the nearest of `centers`."""

    centers: Array
    shift: Array
    rows: int
    scatter: float
    bounds: Bounds
    sums: ExactSums

    @property
    def labels(self) -> Array:
        """The nearest centre of each row."""
        return self.bounds.labels


def summarise(ask: LloydAsk, rows: Rows, memory: Memory) -> LloydSums:
    """Sum rows by nearest centre."""
    leaf = assign(ask, rows, memory)
    total = leaf.sums.total()
    far = farthest_of(rows, leaf.labels, ask.centers, ask.n_far)
    return LloydSums(leaf.rows, total[:, -1].copy(), total[:, :-1].copy(), leaf.scatter, far)


def merge(left: LloydSums, right: LloydSums) -> LloydSums:
    """Add two up."""
    weights, sums = left.weights, left.sums
    weights += right.weights
    sums += right.sums
    far = merge_farthest(left.far, right.far)
    return LloydSums(left.rows + right.rows, weights, sums, left.scatter + right.scatter, far)


def finite(summary: LloydSums) -> bool:
    """Tell whether no row held a NaN or infinity."""
    return bool(
        np.isfinite(summary.scatter)
        and np.isfinite(summary.sums).all()
        and np.isfinite(summary.weights).all()
    )


LLOYD = Fold(summarise, merge, uses_memory=True, finite=finite)


def assign(ask: LloydAsk, rows: Rows, memory: Memory) -> LeafState:
    """Bring a leaf's labels and sums up to the centres that are asked about.

    The memory is taken out while it is worked on: a pass that fails half way leaves none behind.
    """
    leaf = memory.get(MEMORY)
    memory.clear()
    fresh = leaf is None or not _same_run(leaf, ask)
    if leaf is None or fresh:
        leaf = survey(ask, rows)
    geometry = once(prepare, ask.centers, ask.shift, label_dtype(rows[0].X))
    todo = None if fresh else _unsettled(leaf, ask, geometry)
    start = 0
    for block in rows:
        end = start + block.X.shape[0]
        mine = None
        if todo is not None:
            mine = todo[np.searchsorted(todo, start) : np.searchsorted(todo, end)] - start
        _relabel(leaf, start, block, geometry, mine)
        start = end
    leaf.centers = ask.centers
    if ask.remember:
        memory[MEMORY] = leaf
    return leaf


def survey(ask: LloydAsk, rows: Rows) -> LeafState:
    """Measure a leaf's rows once, before the first labels."""
    n_rows = sum(block.X.shape[0] for block in rows)
    radius = np.empty(n_rows)
    maxima = np.zeros(n_features(rows) + 1)
    count, scatter, low = 0, 0.0, 0
    for part in slices(rows, slice_rows(len(ask.centers))):
        X, high = plain(part.X), low + part.X.shape[0]
        radius[low:high] = distance = radii(X, ask.shift)
        column_maxima(X, part.weight, maxima)
        distance *= distance
        if part.weight is None:
            count += len(distance)
            scatter += float(distance.sum())
        else:
            count += int(np.count_nonzero(part.weight))
            scatter += float((distance * part.weight).sum())
        low = high
    return LeafState(
        centers=ask.centers,
        shift=ask.shift,
        rows=count,
        scatter=scatter,
        bounds=Bounds(np.full(n_rows, -1, np.int32), radius, np.empty(n_rows), np.empty(n_rows)),
        sums=empty_sums(len(ask.centers), maxima, n_rows),
    )


class Drift(NamedTuple):
    """How far each centre moved since the bounds were made, rounded up.

    Attributes
    ----------
    each : ndarray of shape (k,)
    others : ndarray of shape (k,)
        The largest move of any other centre.
    """

    each: Array
    others: Array


def _drift(before: Array, after: Array) -> Drift:
    step = after - before
    each = np.sqrt(np.einsum("ij,ij->i", step, step))
    each *= 1 + (step.shape[1] + 8) * float(np.finfo(np.float64).eps)
    others = np.full(len(each), each.max(initial=0.0))
    if len(each) > 1:
        others[np.argmax(each)] = np.partition(each, -2)[-2]
    return Drift(each, others)


def _same_run(leaf: LeafState, ask: LloydAsk) -> bool:
    return leaf.centers.shape == ask.centers.shape and np.array_equal(leaf.shift, ask.shift)


def _unsettled(leaf: LeafState, ask: LloydAsk, geometry: Geometry) -> Array | None:
    """Move the bounds to the new centres and return the rows that they leave open.

    None where these are so many that taking all rows in order is cheaper than picking them.
    """
    n_rows = len(leaf.labels)
    rows = scratch("unsettled", (n_rows,), np.int64)
    drift = once(_drift, leaf.centers, ask.centers)
    count = _screen(leaf.bounds, drift, np.array(ask.gaps), geometry, rows)
    return None if count > MOST * n_rows else rows[:count]


def _relabel(
    leaf: LeafState, start: int, block: Block, geometry: Geometry, todo: Array | None
) -> None:
    """Find the labels of some rows of a block from all distances, and move what changed.

    Parameters
    ----------
    leaf : LeafState
    start : int
        The place in the leaf of the block's first row.
    block : Block
    geometry : Geometry
    todo : ndarray of int64, or None
        The rows' places in the block; None for all.
    """
    here = slice(start, start + block.X.shape[0])
    bounds = Bounds(*(values[here] for values in leaf.bounds))
    X, size = plain(block.X), slice_rows(len(geometry.centers))
    if is_sparse(X):
        _relabel_sparse(leaf.sums, bounds, block, geometry, todo)
        return
    rows = np.arange(len(X)) if todo is None else todo[: _tighten(X, bounds, geometry, todo)]
    size = min(size, len(rows))
    upper, lower = scratch("found bounds", (2, size))
    found = Nearest(scratch("found", (size,), np.int32), upper, lower)
    weight = weights_or_none(block.weight)
    _relabel_dense(X, weight, rows, bounds, geometry, work_space(size, geometry), found, leaf.sums)


def _relabel_sparse(
    sums: ExactSums, bounds: Bounds, block: Block, geometry: Geometry, todo: Array | None
) -> None:
    size = slice_rows(len(geometry.centers))
    places = np.arange(block.X.shape[0]) if todo is None else todo
    for low in range(0, len(places), size):
        at = places[low : low + size]
        X, labels = block.X[at], bounds.labels[at]
        found = Nearest(np.empty(len(at), np.int32), np.empty(len(at)), np.empty(len(at)))
        nearest_sparse(X, bounds.radius[at], geometry, found)
        move_rows(sums, block.X, block.weight, at, labels, found.labels)
        bounds.labels[at], bounds.upper[at], bounds.lower[at] = found


@njit(cache=True, nogil=True)
def _relabel_dense(  # noqa: PLR0913 - a compiled inner loop, its arguments are what it walks
    X: Array,
    weight: Array,
    todo: Array,
    bounds: Bounds,
    geometry: Geometry,
    work: Work,
    found: Nearest,
    sums: ExactSums,
) -> None:
    """Relabel dense rows slice by slice, without the interpreter: threads don't wait for it."""
    labels, radius, upper, lower = bounds
    size = len(found.labels)
    for low in range(0, len(todo), max(1, size)):
        rows = todo[low : low + size]
        m = len(rows)
        part = Nearest(found.labels[:m], found.upper[:m], found.lower[:m])
        nearest_dense(X, rows, radius[rows], geometry, work, part)
        move_dense_rows(X, weight, rows, labels[rows], part.labels, sums)
        for i in range(m):
            row = rows[i]
            labels[row] = part.labels[i]
            upper[row] = part.upper[i]
            lower[row] = part.lower[i]


@njit(cache=True, nogil=True)
def _screen(bounds: Bounds, drift: Drift, gaps: Array, geometry: Geometry, rows: Array) -> int:
    """Move the bounds along with the centres and list the rows that they no longer settle."""
    labels, radius, upper, lower = bounds
    each, others = drift
    count = 0
    for i in range(len(labels)):
        label = labels[i]
        up = (upper[i] + each[label]) * GROWTH
        low = lower[i] - others[label]
        low -= abs(low) * (GROWTH - 1)
        upper[i] = up
        lower[i] = low
        apart = 2 * gaps[label] - up
        apart = low if low > apart else apart
        error = 2 * exact_rounding(radius[i], geometry)
        proven = apart > 0.0 and apart * apart - up * up > error
        rows[count] = i
        count += 0 if proven else 1
    return count


@njit(cache=True, nogil=True, fastmath=REORDER)
def _tighten(X: Array, bounds: Bounds, geometry: Geometry, rows: Array) -> int:
    """Measure the distance to the row's own centre, and keep the rows that it doesn't settle."""
    labels, radius, upper, lower = bounds
    centers = geometry.centers
    count = 0
    for i in rows:
        row, center = X[i], centers[labels[i]]
        total = 0.0
        for j in range(len(row)):
            d = row[j] - center[j]
            total += d * d
        error = exact_rounding(radius[i], geometry)
        upper[i] = np.sqrt(total + error)
        if lower[i] > 0.0 and lower[i] * lower[i] - total > 3 * error:
            continue
        rows[count] = i
        count += 1
    return count


def distances_of_leaf(rows: Rows, labels: Array, centers: Array) -> Array:
    """Return the squared distance of each of a leaf's rows to the centre that its label names."""
    out = np.empty(len(labels))
    low = 0
    for part in slices(rows, slice_rows(len(centers))):
        high = low + part.X.shape[0]
        out[low:high] = label_distances(plain(part.X), labels[low:high], centers)
        low = high
    return out
