"""One iteration of k-means: sums of the rows by nearest centre, with bounds that skip most rows.

Beside the rows a leaf remembers each row's label, an upper bound on the distance to its centre and
a lower bound on the distance to any other (Hamerly 2010, "Making k-means even faster"), and the
sums by label, which are brought up to date by the rows that moved. Labels are decided exactly
(`flowml.kernels.distances`) and the sums are exact (`flowml.kernels.exact_sums`), so the summary
has the same bits whether the memory was there, was lost, or was never kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from flowml.kernels.distances import (
    EPS,
    REORDER,
    Geometry,
    Nearest,
    Work,
    exact_rounding,
    label_distances,
    label_dtype,
    nearest_dense,
    nearest_space,
    nearest_sparse,
    plain,
    prepare,
    slice_rows,
    work_space,
)
from flowml.kernels.exact_sums import (
    ExactSums,
    column_maxima,
    dense_maxima,
    empty_sums,
    move_compiled_rows,
    move_rows,
    takes,
    weights_or_none,
)
from flowml.kernels.farthest import Farthest, farthest_of, merge_farthest
from flowml.kernels.fold import Fold, Memory
from flowml.kernels.rows import Array, Block, Rows, is_sparse, n_features
from flowml.kernels.scratch import once, scratch

MEMORY = "lloyd"
MEMORY_PER_ROW = 20
"""Bytes: a label and two bounds."""
MOST = 0.35
"""Share of open rows above which a leaf is taken whole."""
HEADROOM = 4.0
"""How much larger a leaf's values may be than its first rows' before its sums are made again."""
GROWTH = 1 + 4 * EPS
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
    upper : ndarray of shape (n,)
        At least the distance to the label's centre.
    lower : ndarray of shape (n,)
        At most the distance to any other centre.
    """

    labels: Array
    upper: Array
    lower: Array


@dataclass
class LeafState:
    """What a leaf remembers between passes; the labels are the nearest of `centers`.

    `reach` is the largest distance of a row to the shift.
    """

    centers: Array
    shift: Array
    rows: int
    scatter: float
    reach: float
    bounds: Bounds
    sums: ExactSums

    @property
    def labels(self) -> Array:
        """The nearest centre of each row."""
        return self.bounds.labels


class Drift(NamedTuple):
    """How far the centres moved since the bounds were made, rounded up, and how far apart they are.

    Attributes
    ----------
    each : ndarray of shape (k,)
    others : ndarray of shape (k,)
        The largest move of any other centre.
    gaps : ndarray of shape (k,)
        As in `LloydAsk`.
    """

    each: Array
    others: Array
    gaps: Array


class Space(NamedTuple):
    """Work space of a block of n rows, of which m at a time are compared with all centres.

    Attributes
    ----------
    todo : ndarray of shape (n,), int64
    found : Nearest
        Of shape (m,).
    work : Work
        For m rows.
    """

    todo: Array
    found: Nearest
    work: Work


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
    Without `ask.remember` the labels are only valid until the thread's next leaf.
    """
    leaf = memory.get(MEMORY)
    memory.clear()
    geometry = once(prepare, ask.centers, ask.shift, label_dtype(rows[0].X))
    if leaf is None or not _same_run(leaf, ask):
        leaf = _label(ask, rows, geometry)
    else:
        _relabel(leaf, ask, rows, geometry)
    if ask.remember:
        memory[MEMORY] = leaf
    return leaf


def _same_run(leaf: LeafState, ask: LloydAsk) -> bool:
    same_shift = leaf.shift is ask.shift or np.array_equal(leaf.shift, ask.shift)
    return leaf.centers.shape == ask.centers.shape and same_shift


def _blocks(rows: Rows, bounds: Bounds) -> Iterator[tuple[Block, Bounds]]:
    """Give each block with the bounds of its rows."""
    start = 0
    for block in rows:
        here = slice(start, start + block.X.shape[0])
        yield block, Bounds(*(values[here] for values in bounds))
        start = here.stop


def _label(ask: LloydAsk, rows: Rows, geometry: Geometry) -> LeafState:
    """Find a leaf's first labels.

    Its values are measured on the way. The sums' grids must be known by then, so they are chosen
    from the first rows, with room to spare, and the sums are made again if that wasn't enough.
    """
    n_rows, k = sum(block.X.shape[0] for block in rows), len(ask.centers)
    bounds = Bounds(
        np.empty(n_rows, np.int32) if ask.remember else scratch("labels", (n_rows,), np.int32),
        *(np.empty((2, n_rows)) if ask.remember else scratch("bounds", (2, n_rows))),
    )
    maxima = np.zeros(n_features(rows) + 1)
    sums = empty_sums(k, _expected_maxima(rows, slice_rows(k)), n_rows)
    count, scatter, reach = 0, 0.0, 0.0
    for block, mine in _blocks(rows, bounds):
        label = _label_sparse if is_sparse(block.X) else _label_dense
        more, far = label(block, mine, geometry, sums, maxima)
        count += len(mine.labels) if block.weight is None else int(np.count_nonzero(block.weight))
        scatter, reach = scatter + more, max(reach, far)
    if not takes(sums, maxima):
        sums = empty_sums(k, maxima, n_rows)
        for block, mine in _blocks(rows, bounds):
            nowhere = np.full_like(mine.labels, -1)
            every = np.arange(len(nowhere))
            move_rows(sums, plain(block.X), block.weight, every, nowhere, mine.labels)
    return LeafState(ask.centers, ask.shift, count, scatter, reach, bounds, sums)


def _expected_maxima(rows: Rows, size: int) -> Array:
    """Guess the largest values of a leaf from its first rows; of CSR rows, measure them."""
    maxima = np.zeros(n_features(rows) + 1)
    for block in rows:
        if is_sparse(block.X):
            column_maxima(block.X, block.weight, maxima)
        else:
            weight = None if block.weight is None else block.weight[:size]
            column_maxima(plain(block.X[:size]), weight, maxima)
    return maxima if is_sparse(rows[0].X) else maxima * HEADROOM


def _space(block: Block, geometry: Geometry) -> Space:
    n_rows, size = block.X.shape[0], slice_rows(len(geometry.centers))
    size = min(size, n_rows)
    todo = scratch("todo", (n_rows,), np.int64)
    return Space(todo, nearest_space(size), work_space(size, geometry))


def _label_dense(
    block: Block, bounds: Bounds, geometry: Geometry, sums: ExactSums, maxima: Array
) -> tuple[float, float]:
    """Find the first labels of dense rows; return their part of the scatter, and their reach."""
    X, weight = plain(block.X), weights_or_none(block.weight)
    space = _space(block, geometry)
    return _label_dense_rows(X, weight, bounds, geometry, space, sums, maxima)


def _label_sparse(
    block: Block, bounds: Bounds, geometry: Geometry, sums: ExactSums, maxima: Array
) -> tuple[float, float]:
    """Do the same for CSR rows."""
    size = slice_rows(len(geometry.centers))
    scatter, reach = 0.0, 0.0
    for low in range(0, block.X.shape[0], size):
        rows = np.arange(low, min(low + size, block.X.shape[0]))
        found = Nearest(*(values[rows[0] : rows[-1] + 1] for values in bounds))
        radius = nearest_sparse(block.X[rows], geometry, found)
        move_rows(sums, block.X, block.weight, rows, np.full(len(rows), -1, np.int32), found.labels)
        reach = max(reach, float(radius.max()))
        radius *= radius
        scatter += float(radius.sum() if block.weight is None else radius @ block.weight[rows])
    return scatter, reach


def _drift(before: Array, ask: LloydAsk) -> Drift:
    step = ask.centers - before
    each = np.sqrt(np.einsum("ij,ij->i", step, step))
    each *= 1 + (step.shape[1] + 8) * EPS
    others = np.full(len(each), each.max(initial=0.0))
    if len(each) > 1:
        others[np.argmax(each)] = np.partition(each, -2)[-2]
    return Drift(each, others, np.array(ask.gaps))


def _relabel(leaf: LeafState, ask: LloydAsk, rows: Rows, geometry: Geometry) -> None:
    """Move the bounds to the new centres and find the labels that they leave open."""
    drift = once(_drift, leaf.centers, ask)
    leaf.centers = ask.centers
    for block, bounds in _blocks(rows, leaf.bounds):
        if is_sparse(block.X):
            _relabel_sparse(block, bounds, drift, leaf.reach, geometry, leaf.sums)
            continue
        X, weight, space = plain(block.X), weights_or_none(block.weight), _space(block, geometry)
        _relabel_dense(X, weight, bounds, drift, leaf.reach, geometry, space, leaf.sums)


def _relabel_sparse(
    block: Block, bounds: Bounds, drift: Drift, reach: float, geometry: Geometry, sums: ExactSums
) -> None:
    size = slice_rows(len(geometry.centers))
    places = scratch("todo", (block.X.shape[0],), np.int64)
    places = places[: _screen(bounds, drift, reach, geometry, places)]
    for low in range(0, len(places), size):
        at = places[low : low + size]
        found = nearest_space(len(at))
        nearest_sparse(block.X[at], geometry, found)
        move_rows(sums, block.X, block.weight, at, bounds.labels[at], found.labels)
        bounds.labels[at], bounds.upper[at], bounds.lower[at] = found


@njit(cache=True, nogil=True)
def _label_dense_rows(
    X: Array,
    weight: Array,
    bounds: Bounds,
    geometry: Geometry,
    space: Space,
    sums: ExactSums,
    maxima: Array,
) -> tuple[float, float]:
    """Label dense rows slice by slice, without the interpreter: threads don't wait for it."""
    labels, upper, lower = bounds
    size = len(space.found.labels)
    nowhere = space.found.labels
    nowhere[:] = -1
    scatter, reach = 0.0, 0.0
    for low in range(0, len(X), max(1, size)):
        rows = np.arange(low, min(low + size, len(X)))
        here = slice(low, low + len(rows))
        found = Nearest(labels[here], upper[here], lower[here])
        radius = nearest_dense(X, rows, geometry, space.work, found)
        for i in range(len(rows)):
            square = radius[i] * radius[i]
            scatter += square * weight[rows[i]] if len(weight) else square
            reach = max(reach, radius[i])
        dense_maxima(X[here], weight[here], maxima)
        if takes(sums, maxima):
            move_compiled_rows(X, weight, rows, nowhere, found.labels, sums)
    return scatter, reach


@njit(cache=True, nogil=True)
def _relabel_dense(  # noqa: PLR0913 - a compiled inner loop, its arguments are what it walks
    X: Array,
    weight: Array,
    bounds: Bounds,
    drift: Drift,
    reach: float,
    geometry: Geometry,
    space: Space,
    sums: ExactSums,
) -> None:
    """Bring dense rows' bounds and labels up to date, without the interpreter."""
    labels, upper, lower = bounds
    todo, size = space.todo, len(space.found.labels)
    count = _screen(bounds, drift, reach, geometry, todo)
    if count > MOST * len(X):  # taking all in order is cheaper than picking them
        count = len(X)
        todo[:] = np.arange(count)
    else:
        count = _tighten(X, bounds, reach, geometry, todo[:count])
    for low in range(0, count, max(1, size)):
        rows = todo[low : min(low + size, count)]
        m = len(rows)
        found = Nearest(space.found.labels[:m], space.found.upper[:m], space.found.lower[:m])
        nearest_dense(X, rows, geometry, space.work, found)
        move_compiled_rows(X, weight, rows, labels[rows], found.labels, sums)
        for i in range(m):
            row = rows[i]
            labels[row] = found.labels[i]
            upper[row] = found.upper[i]
            lower[row] = found.lower[i]


@njit(cache=True, nogil=True)
def _screen(bounds: Bounds, drift: Drift, reach: float, geometry: Geometry, rows: Array) -> int:
    """Move the bounds along with the centres and list the rows that they no longer settle."""
    labels, upper, lower = bounds
    error = 2 * exact_rounding(reach, geometry)
    count = 0
    for i in range(len(labels)):
        label = labels[i]
        up = (upper[i] + drift.each[label]) * GROWTH
        low = lower[i] - drift.others[label]
        low -= abs(low) * (GROWTH - 1)
        upper[i] = up
        lower[i] = low
        apart = 2 * drift.gaps[label] - up
        apart = low if low > apart else apart
        proven = apart > 0.0 and apart * apart - up * up > error
        rows[count] = i
        count += 0 if proven else 1
    return count


@njit(cache=True, nogil=True, fastmath=REORDER)
def _tighten(X: Array, bounds: Bounds, reach: float, geometry: Geometry, rows: Array) -> int:
    """Measure the distance to the row's own centre, and keep the rows that it doesn't settle."""
    labels, upper, lower = bounds
    error = exact_rounding(reach, geometry)
    count = 0
    for at in range(len(rows)):
        i = rows[at]
        row, center = X[i], geometry.centers[labels[i]]
        total = 0.0
        for j in range(len(row)):
            d = row[j] - center[j]
            total += d * d
        upper[i] = np.sqrt(total + error)
        settled = lower[i] > 0.0 and lower[i] * lower[i] - total > 3 * error
        rows[count] = i  # without a branch, so that the next rows are fetched meanwhile
        count += 0 if settled else 1
    return count


def distances_of_leaf(rows: Rows, labels: Array, centers: Array) -> Array:
    """Return the squared distance of each of a leaf's rows to the centre that its label names."""
    out = np.empty(len(labels))
    low = 0
    for block in rows:
        high = low + block.X.shape[0]
        out[low:high] = label_distances(plain(block.X), labels[low:high], centers)
        low = high
    return out
