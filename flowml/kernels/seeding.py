"""Draws of rows far from the centres chosen so far: what k-means++ and k-means|| ask the data.

Rows are drawn without replacement with probabilities in proportion to w d², d being the distance
to the nearest candidate: each row gets the key E / (w d²) with E exponential, and the rows with
the smallest keys are drawn (Efraimidis & Spirakis 2006). So a summary needs room for the drawn
rows only, and merging keeps the smallest keys. E is a function of the seed and of the row's
position in the whole data: who holds the row doesn't matter.

Distances to candidates are found group by group, in the groups in which the candidates came, and
summed term by term where a new candidate may be nearer: they have the same bits whether a leaf
remembers its distances or finds them all anew, and whatever the blocks.
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
    label_distances,
    label_dtype,
    nearest_dense,
    nearest_space,
    nearest_sparse,
    plain,
    prepare,
    rounding,
    slice_rows,
    work_space,
)
from flowml.kernels.exact_sums import weights_or_none
from flowml.kernels.fold import Fold, Memory
from flowml.kernels.rows import Array, Block, Rows, is_sparse, n_features

MEMORY = "seeding"
MEMORY_PER_ROW = 12
"""Bytes: a squared distance and the number of the nearest candidate."""


class SeedingAsk(NamedTuple):
    """Candidates so far, and what to draw.

    Attributes
    ----------
    candidates : ndarray of shape (m, p)
        Without any, every row counts as at distance one.
    groups : tuple of int
        Sizes of the groups that the candidates came in.
    trials : ndarray of shape (t, p)
        Draws are made once for each trial, as if it were a candidate too.
    n_draws : int
    seed : int
        Another one for each pass.
    remember : bool
    sparse : bool
    """

    candidates: Array
    groups: tuple[int, ...]
    trials: Array
    n_draws: int
    seed: int
    remember: bool
    sparse: bool


class Draws(NamedTuple):
    """Rows with the smallest keys, smallest first.

    Attributes
    ----------
    keys : ndarray of shape (n,)
    rows : ndarray of shape (n, p)
    limit : int
    """

    keys: Array
    rows: Array
    limit: int


class Seeding(NamedTuple):
    """What the candidates attract and the rows that were drawn.

    Attributes
    ----------
    rows : int
        Rows with a weight above zero.
    weights : ndarray of shape (m,)
        Weight of the rows nearest to each candidate.
    potentials : ndarray of shape (t or 1,)
        Σ w d², for each trial.
    draws : tuple of Draws, one for each trial or one
    """

    rows: int
    weights: Array
    potentials: Array
    draws: tuple[Draws, ...]


@dataclass
class LeafDistances:
    """What a leaf remembers: each row's distance to the candidates seen so far."""

    squares: Array
    labels: Array
    candidates: Array


def summarise(ask: SeedingAsk, rows: Rows, memory: Memory) -> Seeding:
    """Measure rows against the candidates and the trials, and draw."""
    leaf = _measured(ask, rows, memory)
    weighted = rows[0].weight is not None
    weight = np.concatenate([b.weight for b in rows]) if weighted else np.ones(len(leaf.squares))
    squares = _with_trials(ask, rows, leaf)
    draws = tuple(_draw(ask, rows, weight, row) for row in squares)
    attracted = np.bincount(leaf.labels, weight, len(ask.candidates))[: len(ask.candidates)]
    return Seeding(int(np.count_nonzero(weight)), attracted, squares @ weight, draws)


def merge(left: Seeding, right: Seeding) -> Seeding:
    """Add weights and potentials, and keep the smallest keys of both."""
    draws = tuple(map(merge_draws, left.draws, right.draws))
    return Seeding(
        left.rows + right.rows,
        left.weights + right.weights,
        left.potentials + right.potentials,
        draws,
    )


def merge_draws(left: Draws, right: Draws) -> Draws:
    """Keep the smallest keys of both."""
    if len(right.keys) == 0:
        return left
    keys = np.concatenate([left.keys, right.keys])
    order = np.argsort(keys, kind="stable")[: left.limit]
    return Draws(keys[order], np.concatenate([left.rows, right.rows])[order], left.limit)


def finite(summary: Seeding) -> bool:
    """Tell whether no row held a NaN or infinity."""
    return bool(np.isfinite(summary.potentials).all())


SEEDING = Fold(summarise, merge, uses_memory=True, finite=finite)


def _measured(ask: SeedingAsk, rows: Rows, memory: Memory) -> LeafDistances:
    """Bring a leaf's distances up to the candidates that are asked about."""
    leaf = memory.get(MEMORY)
    memory.clear()
    if leaf is None or not _continues(leaf, ask):
        n_rows = sum(block.X.shape[0] for block in rows)
        none = ask.candidates[:0]
        far = np.inf if ask.groups else 1.0
        leaf = LeafDistances(np.full(n_rows, far), np.zeros(n_rows, np.int32), none)
    shift, first = shift_of(ask), len(leaf.candidates)
    for start, size in zip(_starts(ask.groups), ask.groups, strict=True):
        if start >= first:
            group = ask.candidates[start : start + size]
            geometry = prepare(group, shift, label_dtype(rows[0].X))
            _approach(rows, geometry, start, leaf.squares, leaf.labels)
    leaf.candidates = ask.candidates
    if ask.remember:
        memory[MEMORY] = leaf
    return leaf


def _continues(leaf: LeafDistances, ask: SeedingAsk) -> bool:
    known = len(leaf.candidates)
    return 0 < known <= len(ask.candidates) and np.array_equal(
        leaf.candidates, ask.candidates[:known]
    )


def shift_of(ask: SeedingAsk) -> Array:
    """Return a point near the rows: the first candidate; zero for rows that stay sparse."""
    if ask.sparse or len(ask.candidates) == 0:
        return np.zeros(ask.candidates.shape[1])
    return ask.candidates[0]


def _starts(groups: tuple[int, ...]) -> list[int]:
    return [sum(groups[:number]) for number in range(len(groups))]


def _approach(rows: Rows, geometry: Geometry, start: int, squares: Array, labels: Array) -> None:
    """Lower a leaf's squared distances to those of a group of candidates where these are nearer."""
    low = 0
    for block in rows:
        here = slice(low, low + block.X.shape[0])
        if is_sparse(block.X):
            _approach_sparse(block, geometry, start, squares[here], labels[here])
        else:
            size = min(slice_rows(len(geometry.centers)), block.X.shape[0])
            work, found = work_space(size, geometry), nearest_space(size)
            X = plain(block.X)
            _approach_dense(X, geometry, work, found, start, squares[here], labels[here])
        low = here.stop


def _approach_sparse(
    block: Block, geometry: Geometry, start: int, squares: Array, labels: Array
) -> None:
    size = slice_rows(len(geometry.centers))
    for low in range(0, len(squares), size):
        X, here = block.X[low : low + size], slice(low, low + size)
        found = nearest_space(X.shape[0])
        nearest_sparse(X, geometry, found)
        exact = label_distances(X, found.labels, geometry.centers)
        nearer = exact < squares[here]
        squares[here][nearer] = exact[nearer]
        labels[here][nearer] = found.labels[nearer] + start


def _with_trials(ask: SeedingAsk, rows: Rows, leaf: LeafDistances) -> Array:
    """Return the squared distances for each trial; the leaf's own without any."""
    if len(ask.trials) == 0:
        return leaf.squares[np.newaxis]
    squares = np.tile(leaf.squares, (len(ask.trials), 1))
    if len(ask.candidates) == 0:
        squares[:] = np.inf
    shift = shift_of(ask)
    unused = np.empty(len(leaf.labels), np.int32)
    for row, trial in zip(squares, ask.trials, strict=True):
        geometry = prepare(trial[np.newaxis], shift, label_dtype(rows[0].X))
        _approach(rows, geometry, 0, row, unused)
    return squares


def _draw(ask: SeedingAsk, rows: Rows, weight: Array, squares: Array) -> Draws:
    """Draw rows of a leaf."""
    found = Draws(np.empty(0), np.empty((0, n_features(rows))), ask.n_draws)
    if ask.n_draws == 0:
        return found
    low = 0
    for block in rows:
        high = low + block.X.shape[0]
        keys = np.empty(high - low)
        _keys(squares[low:high], weights_or_none(weight[low:high]), block.start, ask.seed, keys)
        order = np.argpartition(keys, min(ask.n_draws, len(keys)) - 1) if len(keys) else keys
        order = np.sort(order[: ask.n_draws]).astype(np.int64)
        order = order[np.argsort(keys[order], kind="stable")]
        order = order[keys[order] < np.inf]
        chosen = block.X[order].toarray() if is_sparse(block.X) else block.X[order]
        part = Draws(keys[order], chosen.astype(np.float64), ask.n_draws)
        found = merge_draws(found, part)
        low = high
    return found


@njit(cache=True, nogil=True, fastmath=REORDER)
def _approach_dense(
    X: Array,
    geometry: Geometry,
    work: Work,
    found: Nearest,
    start: int,
    squares: Array,
    labels: Array,
) -> None:
    """Find the nearest of the group's candidates, and how near where it may be nearer."""
    for low in range(0, len(X), max(1, len(found.labels))):
        rows = np.arange(low, min(low + len(found.labels), len(X)))
        m = len(rows)
        part = Nearest(found.labels[:m], found.upper[:m], found.lower[:m])
        radius = nearest_dense(X, rows, geometry, work, part)
        for at in range(m):
            i, label = rows[at], part.labels[at]
            least = part.upper[at] * part.upper[at] - 3 * rounding(radius[at], geometry)
            if least >= squares[i]:
                continue
            row, center = X[i], geometry.centers[label]
            total = 0.0
            for j in range(len(row)):
                d = row[j] - center[j]
                total += d * d
            if total < squares[i]:
                squares[i] = total
                labels[i] = label + start


@njit(cache=True, nogil=True)
def _keys(squares: Array, weight: Array, start: int, seed: int, keys: Array) -> None:
    """Draw E / (w d²) for each row: infinite where w d² is zero."""
    for i in range(len(keys)):
        mass = squares[i] * weight[i]
        keys[i] = np.inf
        if mass > 0.0:
            # splitmix64 (Steele, Lea & Flood 2014) of the seed and the row's position
            mixed = np.uint64(seed) + np.uint64(start + i + 1) * np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
            uniform = (np.float64(mixed >> np.uint64(11)) + 0.5) / 9007199254740992.0
            keys[i] = -np.log(uniform) / mass
