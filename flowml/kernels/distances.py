"""Which centre is nearest to a row: by matrix products where these prove it, else term by term.

Conventions
-----------
X : (m, p) rows, float32 or float64, C-ordered or CSR; C : (k, p) centres, float64;
s : (p,) a point near the rows that keeps rounding small, zero for CSR; c' = c - s.

.. math:: \\|x - c\\|^2 = \\|x'\\|^2 + \\|c'\\|^2 - 2 x' \\cdot c', \\quad x' = x - s

The product :math:`x' \\cdot c'` comes from BLAS, whose last bits depend on the shape of the call.
So a label is only taken from it where the gap to the second nearest centre is wider than twice what
rounding can do; the few other rows are decided by distances summed in a fixed order, the lower
label winning a tie. A label therefore depends on its row and the centres alone, and the product
may be made in single precision, in half the time, where rows are wide.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from flowml.kernels.rows import Array, Matrix, is_sparse
from flowml.kernels.scratch import scratch, scratch_scope

REORDER = {"reassoc", "contract"}
"""Lets the compiler add in vector lanes: for distances that are compared with a margin, or that
the same compiled loop computes every time."""

NARROW_FROM = 16
"""Features from which the product, made in single precision, is worth its coarser bounds."""

EPS = float(np.finfo(np.float64).eps)

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
        |c'|², in the dtype of the product.
    slack, reach : float
        Rounding moves a squared distance that comes from the product by at most
        ``slack * (r + reach)**2`` for a row with ``r = |x - s|``.
    limit : float
        Where ``(r + reach)**2`` is larger, the product may overflow.
    exact_slack : float
        The same as `slack` for a distance summed term by term in float64.
    """

    centers: Array
    shift: Array
    scaled: Array
    offsets: Array
    slack: float
    reach: float
    limit: float
    exact_slack: float


class Work(NamedTuple):
    """Work space for the nearest centres of a slice of m rows.

    Attributes
    ----------
    moved : ndarray of shape (m * p,)
        Rows less the shift.
    radius : ndarray of shape (m,), float64
        Their lengths.
    product : ndarray of shape (k * m,)
    best, second : ndarray of shape (m,)
        The smallest and second smallest of offset + product.
    ties : ndarray of shape (m,), int64
        Rows that these don't settle.
    """

    moved: Array
    radius: Array
    product: Array
    best: Array
    second: Array
    ties: Array


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


class Precision(NamedTuple):
    """What a dtype can hold: below `smallest` the rounding of a square isn't relative to it."""

    eps: float
    smallest: float
    largest: float


@cache
def _precision(dtype: np.dtype[Any]) -> Precision:
    number = np.finfo(dtype)
    smallest = float(np.sqrt(number.tiny / number.eps))
    return Precision(float(number.eps), smallest, float(number.max))


@np.errstate(over="ignore")  # beyond the limit the product isn't relied upon
def prepare(centers: Array, shift: Array, dtype: np.dtype[Any]) -> Geometry:
    """Prepare centres for products of a dtype."""
    moved = centers - shift
    squares = np.einsum("ij,ij->i", moved, moved)
    terms, number = 2 * centers.shape[1] + 16, _precision(dtype)
    return Geometry(
        centers=np.array(centers, np.float64, order="C"),
        shift=np.array(shift),
        scaled=np.ascontiguousarray(-2 * moved, dtype),
        offsets=squares.astype(dtype),
        slack=terms * number.eps,
        reach=float(np.sqrt(squares.max(initial=0))) + number.smallest,
        limit=number.largest / 4,
        exact_slack=terms * EPS,
    )


def label_dtype(X: Matrix) -> np.dtype[Any]:
    """Return the dtype of products that are to prove labels: coarser than wide rows' own."""
    narrow = not is_sparse(X) and X.shape[1] >= NARROW_FROM
    return np.dtype(np.float32) if narrow else np.dtype(X.dtype)


def slice_rows(n_centers: int) -> int:
    """Return how many rows to take at a time so that their products stay in the cache."""
    return max(128, min(2048, (1 << 15) // n_centers))


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


def work_space(n_rows: int, geometry: Geometry) -> Work:
    """Return work space for slices of at most `n_rows` rows."""
    k, p = geometry.scaled.shape
    dtype = geometry.scaled.dtype
    best, second = scratch("two nearest", (2, n_rows), dtype)
    return Work(
        moved=scratch("moved rows", (n_rows * p,), dtype),
        radius=scratch("radii", (n_rows,)),
        product=scratch("products", (k * n_rows,), dtype),
        best=best,
        second=second,
        ties=scratch("ties", (n_rows,), np.int64),
    )


def nearest_space(n_rows: int) -> Nearest:
    """Return work space for the nearest centres of `n_rows` rows."""
    upper, lower = scratch("found bounds", (2, n_rows))
    return Nearest(scratch("found", (n_rows,), np.int32), upper, lower)


def products(X: Matrix, geometry: Geometry) -> Array:
    """Return -2 x'·c' of each centre (rows of the result) and row."""
    scaled = geometry.scaled
    if is_sparse(X):  # then the shift is zero
        return np.ascontiguousarray((X @ scaled.T).T)
    moved = np.subtract(X, geometry.shift, out=scratch("moved rows", X.shape, scaled.dtype))
    return np.matmul(scaled, moved.T, out=scratch("products", (len(scaled), len(X)), scaled.dtype))


def nearest_sparse(X: Matrix, geometry: Geometry, found: Nearest) -> Array:
    """Find the nearest centre of each CSR row.

    Parameters
    ----------
    X : CSR array of shape (m, p)
    geometry : Geometry
    found : Nearest
        Written to.

    Returns
    -------
    ndarray of shape (m,)
        |x - s| of each row.
    """
    product = products(X, geometry)
    work = work_space(X.shape[0], geometry)
    _radii_csr(csr(X), work.radius)
    _two_nearest(product, geometry.offsets, work.best, work.second, found.labels)
    count = _bounds(work.radius, geometry, work, found)
    step = max(1, TIE_ELEMENTS // max(1, X.shape[1]))
    for low in range(0, count, step):
        ties = work.ties[low : min(low + step, count)]
        dense = plain(X[ties].toarray())
        _settle(dense, np.arange(len(ties)), ties, product, geometry, work, found.labels)
    return work.radius


@njit(cache=True, nogil=True)
def nearest_dense(X: Array, rows: Array, geometry: Geometry, work: Work, found: Nearest) -> Array:
    """Find the nearest centre of some dense rows.

    Parameters
    ----------
    X : ndarray of shape (n, p), as `plain` returns it
    rows : ndarray of shape (m,), int64
        Which rows of X.
    geometry : Geometry
    work : Work
        For at least m rows.
    found : Nearest
        Of shape (m,); written to.

    Returns
    -------
    ndarray of shape (m,)
        |x - s| of each row.
    """
    m, p = len(rows), X.shape[1]
    moved, radius = work.moved[: m * p].reshape(m, p), work.radius[:m]
    _less_shift(X, rows, geometry.shift, moved, radius)
    product = work.product[: len(geometry.scaled) * m].reshape(len(geometry.scaled), m)
    np.dot(geometry.scaled, moved.T, product)
    _two_nearest(product, geometry.offsets, work.best[:m], work.second[:m], found.labels)
    count = _bounds(radius, geometry, work, found)
    if count:
        ties = work.ties[:count]
        _settle(X, rows[ties], ties, product, geometry, work, found.labels)
    return radius


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
    geometry = prepare(centers, shift, label_dtype(X))
    size, out = slice_rows(len(centers)), np.empty(X.shape[0], np.int32)
    with scratch_scope():
        for low in range(0, X.shape[0], size):
            part = plain(X[low : low + size])
            upper, lower = scratch("bounds", (2, part.shape[0]))
            found = Nearest(out[low : low + size], upper, lower)
            if is_sparse(part):
                nearest_sparse(part, geometry, found)
            else:
                work = work_space(len(part), geometry)
                nearest_dense(part, np.arange(len(part)), geometry, work, found)
    return out


@np.errstate(over="ignore", invalid="ignore")
def center_distances(X: Matrix, centers: Array) -> Array:
    """Return the distance of each row of a block to each centre: of shape (n_rows, k)."""
    shift = common_point(centers, is_sparse(X))
    geometry = prepare(centers, shift, X.dtype)
    size, out = slice_rows(len(centers)), np.empty((X.shape[0], len(centers)), X.dtype)
    for low in range(0, X.shape[0], size):
        part = plain(X[low : low + size])
        radius = radii(part, shift)[:, np.newaxis]
        squares = products(part, geometry).T + geometry.offsets + radius**2
        # what may be zero but for rounding, or overflowed, is measured term by term
        margin = 4 * geometry.slack * (radius + geometry.reach) ** 2
        rows, near = np.nonzero((squares <= margin) | ~np.isfinite(squares))
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


@njit(cache=True, nogil=True, fastmath=REORDER)
def _less_shift(X: Array, rows: Array, shift: Array, moved: Array, radius: Array) -> None:
    for i in range(len(rows)):
        row, out = X[rows[i]], moved[i]  # as rows, so that the inner loop runs in vector lanes
        total = 0.0
        for j in range(len(row)):
            d = row[j] - shift[j]
            out[j] = d
            total += d * d
        radius[i] = np.sqrt(total)


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
    """Bound the rounding error of a squared distance that comes from the product."""
    span = (radius + geometry.reach) ** 2
    return geometry.slack * span if span < geometry.limit else np.inf


@njit(cache=True, nogil=True)
def exact_rounding(radius: Any, geometry: Geometry) -> Any:
    """Bound the rounding error of a squared distance that is summed term by term."""
    return geometry.exact_slack * (radius + geometry.reach) ** 2


@njit(cache=True, nogil=True)
def _bounds(radius: Array, geometry: Geometry, work: Work, found: Nearest) -> int:
    """Bound the distances of each row and list the rows whose label isn't proven."""
    best, second = work.best, work.second
    for i in range(len(radius)):
        error = rounding(radius[i], geometry)
        square = radius[i] * radius[i]
        near = square + best[i] + error
        far = square + second[i] - error
        found.upper[i] = np.sqrt(0.0 if near <= 0.0 else near)  # NaN settles nothing
        found.lower[i] = np.sqrt(far if far > 0.0 else 0.0)
    count = 0
    for i in range(len(radius)):
        gap = np.float64(second[i]) - best[i]
        if not gap > 2 * rounding(radius[i], geometry):
            work.ties[count] = i
            count += 1
    return count


@njit(cache=True, nogil=True)
def _settle(
    X: Array,
    rows: Array,
    ties: Array,
    product: Array,
    geometry: Geometry,
    work: Work,
    labels: Array,
) -> None:
    """Decide tied rows, `rows` of X, by distances summed in a fixed order."""
    centers, offsets = geometry.centers, geometry.offsets
    for at in range(len(ties)):
        i, row = ties[at], rows[at]
        allowed = work.best[i] + 2 * rounding(work.radius[i], geometry)
        smallest = np.inf
        for j in range(centers.shape[0]):
            if product[j, i] + offsets[j] > allowed:
                continue
            total = 0.0
            for column in range(X.shape[1]):
                d = X[row, column] - centers[j, column]
                total += d * d
            if total < smallest:
                smallest = total
                labels[i] = j


@njit(cache=True, nogil=True, fastmath=REORDER)
def _label_distances(X: Array, labels: Array, centers: Array, out: Array) -> None:
    for i in range(X.shape[0]):
        row, center = X[i], centers[labels[i]]
        total = 0.0
        for j in range(len(row)):
            d = row[j] - center[j]
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
