"""Which centre is nearest to a row: by matrix products where these prove it, else term by term.

Conventions
-----------
X : (m, p) rows, float32 or float64, C-ordered or CSR; C : (k, p) centres, float64;
s : (p,) a point near the rows that keeps rounding small, zero for CSR; c' = c - s.

.. math:: \\|x - c\\|^2 = \\|x - s\\|^2 + (2 s \\cdot c' + \\|c'\\|^2) - 2 x \\cdot c'

The product :math:`x \\cdot c'` comes from BLAS, whose last bits depend on the shape of the call. So
a label is only taken from it where the gap to the second nearest centre is wider than twice what
rounding can do; the few other rows are decided by distances summed in a fixed order, the lower
label winning a tie. A label therefore depends on its row and the centres alone, and the product
may be made of single-precision copies of :math:`x - s`, in half the time, where rows are wide.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from flowml.kernels.rows import Array, Matrix, is_sparse
from flowml.kernels.scratch import scratch, scratch_scope

REORDER = {"reassoc", "contract"}
"""Lets the compiler add in vector lanes: for distances that are compared with a margin, or that
the same compiled loop computes every time."""

NARROW_FROM = 16
"""Features from which the product, made in single precision, is worth the copy of the rows."""

TIE_ELEMENTS = 1 << 20
"""Elements of CSR rows that are made dense at a time to settle ties."""


class Csr(NamedTuple):
    """CSR rows as compiled loops take them."""

    data: Array
    indices: Array
    indptr: Array


class Geometry(NamedTuple):
    """Centres, prepared for products with rows.

    Attributes
    ----------
    centers : ndarray of shape (k, p), float64
    shift : ndarray of shape (p,), float64
    scaled : ndarray of shape (k, p)
        -2 (c - s), in the dtype of the product.
    offsets : ndarray of shape (k,)
        2 s·c' + |c'|², in the dtype of the product; without the first term if `narrow`.
    slack, reach, lever : float
        Rounding moves a squared distance that comes from the product by at most
        ``slack * (r + reach) * (r + reach + lever)`` for a row with ``r = |x - s|``.
    exact_slack : float
        The same for a distance summed term by term in float64: ``exact_slack * (r + reach)**2``.
    narrow : bool
        Whether the product is made of float32 copies of the rows less the shift.
    """

    centers: Array
    shift: Array
    scaled: Array
    offsets: Array
    slack: float
    reach: float
    lever: float
    exact_slack: float
    narrow: bool


class Limits(NamedTuple):
    """What the products say of each row: smallest and second smallest of offset + product."""

    best: Array
    second: Array
    radius: Array


class Nearest(NamedTuple):
    """The nearest centre of each row, and what bounds its distances.

    Attributes
    ----------
    labels : ndarray of shape (m,), int32
    upper : ndarray of shape (m,), float64
        At least the distance to the nearest centre.
    lower : ndarray of shape (m,), float64
        At most the distance to any other centre.
    """

    labels: Array
    upper: Array
    lower: Array


def prepare(centers: Array, shift: Array, X: Matrix, label_only: bool = False) -> Geometry:
    """Prepare centres for the rows of X.

    With `label_only`, the product may be coarser than X's dtype: it proves labels, and the
    distances that it bounds are all the same correct bounds.
    """
    narrow = label_only and not is_sparse(X) and X.shape[1] >= NARROW_FROM
    dtype = np.dtype(np.float32) if narrow else X.dtype
    moved = centers - shift
    squares = np.einsum("ij,ij->i", moved, moved)
    offsets = squares if narrow else squares + 2 * (moved @ shift)
    terms = 2 * centers.shape[1] + 16
    return Geometry(
        centers=np.array(centers, np.float64, order="C"),
        shift=np.array(shift),
        scaled=np.ascontiguousarray(-2 * moved, dtype),
        offsets=offsets.astype(dtype),
        slack=terms * float(np.finfo(dtype).eps),
        reach=float(np.sqrt(squares.max(initial=0))),
        lever=0.0 if narrow else float(np.linalg.norm(shift)),
        exact_slack=terms * float(np.finfo(np.float64).eps),
        narrow=narrow,
    )


def slice_rows(n_centers: int) -> int:
    """Return how many rows to take at a time so that their products stay in the cache."""
    return int(np.clip((1 << 15) // n_centers, 128, 2048))


def plain(X: Matrix) -> Matrix:
    """Return rows as compiled loops take them: C-ordered and read-only, or CSR as it is."""
    if is_sparse(X):
        return X
    view = np.ascontiguousarray(X).view()
    view.flags.writeable = False
    return view


def csr(X: Matrix) -> Csr:
    """Return the arrays of CSR rows."""
    return Csr(X.data, X.indices, X.indptr)


def radii(X: Matrix, shift: Array) -> Array:
    """Return |x - s| of each row."""
    out = np.empty(X.shape[0])
    if is_sparse(X):
        _radii_csr(csr(X), out)
    else:
        _radii(X, shift, out)
    return out


def products(X: Matrix, geometry: Geometry) -> Array:
    """Return -2 x·c' of each centre (rows of the result) and row."""
    scaled = geometry.scaled
    if is_sparse(X):
        return np.ascontiguousarray((X @ scaled.T).T)
    if geometry.narrow:
        moved = scratch("narrow rows", X.shape, np.float32)
        _move_rows(X, geometry.shift, moved)
        X = moved
    shape = (scaled.shape[0], X.shape[0])
    return np.matmul(scaled, X.T, out=scratch("products", shape, scaled.dtype))


def nearest(X: Matrix, radius: Array, geometry: Geometry, found: Nearest) -> None:
    """Find the nearest centre of each row.

    Parameters
    ----------
    X : ndarray or CSR array of shape (m, p), as `plain` returns it
    radius : ndarray of shape (m,)
        From `radii`.
    geometry : Geometry
    found : Nearest
        Written to.
    """
    m = X.shape[0]
    product = products(X, geometry)
    best, second = scratch("two nearest", (2, m), product.dtype)
    ties = scratch("ties", (m,), np.int64)
    _two_nearest(product, geometry.offsets, best, second, found.labels)
    limits = Limits(best, second, radius)
    count = _bounds(limits, geometry, found.upper, found.lower, ties)
    if count:
        _settle(X, ties[:count], product, limits, geometry, found.labels)


def _settle(
    X: Matrix,
    ties: Array,
    product: Array,
    limits: Limits,
    geometry: Geometry,
    labels: Array,
) -> None:
    step = max(1, TIE_ELEMENTS // max(1, X.shape[1])) if is_sparse(X) else len(ties)
    for low in range(0, len(ties), step):
        rows = ties[low : low + step]
        dense = X[rows].toarray() if is_sparse(X) else X[rows]
        _settle_ties(plain(dense), rows, product, limits, geometry, labels)


def label_distances(X: Matrix, labels: Array, centers: Array) -> Array:
    """Return the squared distance of each row to the centre that its label names."""
    out = np.empty(X.shape[0])
    if is_sparse(X):
        squares = np.einsum("ij,ij->i", centers, centers)
        _label_distances_csr(csr(X), labels, centers, squares, out)
    else:
        _label_distances(X, labels, centers, out)
    return out


def label_rows(X: Matrix, centers: Array) -> Array:
    """Return the nearest centre of each row of a block: of shape (n_rows,), int32."""
    shift = common_point(centers, is_sparse(X))
    geometry = prepare(centers, shift, X, label_only=True)
    size, out = slice_rows(len(centers)), np.empty(X.shape[0], np.int32)
    with scratch_scope():
        for low in range(0, X.shape[0], size):
            part = plain(X[low : low + size])
            bounds = scratch("bounds", (2, part.shape[0]))
            found = Nearest(out[low : low + size], bounds[0], bounds[1])
            nearest(part, radii(part, shift), geometry, found)
    return out


def center_distances(X: Matrix, centers: Array) -> Array:
    """Return the distance of each row of a block to each centre: of shape (n_rows, k)."""
    shift = common_point(centers, is_sparse(X))
    geometry = prepare(centers, shift, X)
    size, out = slice_rows(len(centers)), np.empty((X.shape[0], len(centers)), X.dtype)
    for low in range(0, X.shape[0], size):
        part = plain(X[low : low + size])
        radius = radii(part, shift)[:, np.newaxis]
        squares = products(part, geometry).T + geometry.offsets + radius**2
        # what may be zero but for rounding is measured term by term
        rows, near = np.nonzero(squares <= 4 * rounding.py_func(radius, geometry))
        squares[rows, near] = label_distances(plain(part[rows]), near, geometry.centers)
        out[low : low + size] = np.sqrt(squares)
    return out


def common_point(centers: Array, sparse: bool) -> Array:
    """Return a point near the rows; zero for sparse rows, which stay sparse."""
    return np.zeros(centers.shape[1]) if sparse else centers.mean(axis=0, dtype=np.float64)


@njit(cache=True, nogil=True, fastmath=REORDER)
def _radii(X: Array, shift: Array, out: Array) -> None:
    for i in range(X.shape[0]):
        total = 0.0
        for j in range(X.shape[1]):
            d = X[i, j] - shift[j]
            total += d * d
        out[i] = np.sqrt(total)


@njit(cache=True, nogil=True)
def _move_rows(X: Array, shift: Array, out: Array) -> None:
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            out[i, j] = X[i, j] - shift[j]


@njit(cache=True, nogil=True)
def _radii_csr(X: Csr, out: Array) -> None:
    for i in range(len(out)):
        total = 0.0
        for at in range(X.indptr[i], X.indptr[i + 1]):
            total += np.float64(X.data[at]) * X.data[at]
        out[i] = np.sqrt(total)


@njit(cache=True, nogil=True)
def _two_nearest(product: Array, offsets: Array, best: Array, second: Array, labels: Array) -> None:
    """Find the smallest and second smallest of offsets[j] + product[j, i] over j."""
    k, m = product.shape
    for i in range(m):
        best[i] = product[0, i] + offsets[0]
        second[i] = np.inf
        labels[i] = 0
    for j in range(1, k):
        offset = offsets[j]
        for i in range(m):
            value = product[j, i] + offset
            nearest = best[i]
            closer = value < nearest
            worse = nearest if closer else value
            second[i] = worse if worse < second[i] else second[i]
            best[i] = value if closer else nearest
            labels[i] = j if closer else labels[i]


@njit(cache=True, nogil=True)
def rounding(radius: Any, geometry: Geometry) -> Any:
    """Bound the rounding error of a squared distance."""
    near = radius + geometry.reach
    return geometry.slack * near * (near + geometry.lever)


@njit(cache=True, nogil=True)
def exact_rounding(radius: Any, geometry: Geometry) -> Any:
    """Bound the rounding error of a squared distance that is summed term by term."""
    near = radius + geometry.reach
    return geometry.exact_slack * near * near


@njit(cache=True, nogil=True)
def _bounds(limits: Limits, geometry: Geometry, upper: Array, lower: Array, ties: Array) -> int:
    """Bound the distances of each row and list the rows whose label isn't proven."""
    best, second, radius = limits
    for i in range(len(best)):
        error = rounding(radius[i], geometry)
        square = radius[i] * radius[i]
        near = square + best[i] + error
        far = square + second[i] - error
        upper[i] = np.sqrt(near if near > 0.0 else 0.0)
        lower[i] = np.sqrt(far if far > 0.0 else 0.0)
    count = 0
    for i in range(len(best)):
        gap = np.float64(second[i]) - best[i]
        if gap <= 2 * rounding(radius[i], geometry):
            ties[count] = i
            count += 1
    return count


@njit(cache=True, nogil=True)
def _settle_ties(
    X: Array, ties: Array, product: Array, limits: Limits, geometry: Geometry, labels: Array
) -> None:
    """Decide rows by distances summed in a fixed order; X holds the tied rows only."""
    best, _, radius = limits
    centers, offsets = geometry.centers, geometry.offsets
    for at in range(len(ties)):
        i = ties[at]
        allowed = best[i] + 2 * rounding(radius[i], geometry)
        smallest = np.inf
        for j in range(centers.shape[0]):
            if product[j, i] + offsets[j] > allowed:
                continue
            total = 0.0
            for column in range(X.shape[1]):
                d = X[at, column] - centers[j, column]
                total += d * d
            if total < smallest:
                smallest = total
                labels[i] = j


@njit(cache=True, nogil=True, fastmath=REORDER)
def _label_distances(X: Array, labels: Array, centers: Array, out: Array) -> None:
    for i in range(X.shape[0]):
        label = labels[i]
        total = 0.0
        for j in range(X.shape[1]):
            d = X[i, j] - centers[label, j]
            total += d * d
        out[i] = total


@njit(cache=True, nogil=True)
def _label_distances_csr(X: Csr, labels: Array, centers: Array, squares: Array, out: Array) -> None:
    for i in range(len(out)):
        label = labels[i]
        total = squares[label]
        for at in range(X.indptr[i], X.indptr[i + 1]):
            value = np.float64(X.data[at])
            total += value * (value - 2 * centers[label, X.indices[at]])
        out[i] = total if total > 0.0 else 0.0
