"""The k-means kernels: exact labels, exact sums, and bounds that change no bit."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

from flowml.kernels.assignment import ASSIGNMENT, AssignmentAsk
from flowml.kernels.distances import center_distances, label_rows
from flowml.kernels.exact_sums import column_maxima, empty_sums, move_rows
from flowml.kernels.lloyd import LLOYD, MEMORY
from flowml.kernels.rows import Block
from flowml.solvers.lloyd import ask_about


def nearest_exactly(X, centers):
    """Label rows in rational arithmetic, the lower label winning a tie."""
    rows = [[Fraction(float(v)) for v in row] for row in X]
    points = [[Fraction(float(v)) for v in row] for row in centers]
    return [
        min(
            range(len(points)),
            key=lambda j: (sum((a - b) ** 2 for a, b in zip(row, points[j], strict=True)), j),
        )
        for row in rows
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("sparse", [False, True])
def test_labels_are_exact_even_in_ties(dtype, offset, sparse):
    random = np.random.default_rng(0)
    X = (random.integers(0, 4, (300, 3)) + offset).astype(dtype)
    centers = random.integers(0, 4, (6, 3)) + offset
    labels = label_rows(sp.csr_array(X) if sparse else X, centers)
    np.testing.assert_array_equal(labels, nearest_exactly(X, centers))


@pytest.mark.parametrize("scale", [1e-30, 3e-22, 1e19, 1e30])
@pytest.mark.parametrize("p", [3, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_and_distances_where_single_precision_squares_over_or_underflow(scale, p, dtype):
    X = (np.random.default_rng(0).standard_normal((300, p)) * scale).astype(dtype)
    centers = X[:6].astype(np.float64)
    squares = ((X[:, np.newaxis].astype(np.float64) - centers) ** 2).sum(axis=2)
    np.testing.assert_array_equal(label_rows(X, centers), squares.argmin(axis=1))
    np.testing.assert_allclose(center_distances(X, centers), np.sqrt(squares), rtol=1e-3)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_moved_rows_leave_no_trace_in_the_sums(sparse, weighted):
    random = np.random.default_rng(0)
    X = random.standard_normal((500, 4)) * [1, 1e-9, 1e12, 0] + [0, 1, 0, 0]
    weight = random.random(500) if weighted else None
    rows, k = np.arange(500), 5
    data = sp.csr_array(X) if sparse else X
    maxima = np.zeros(5)
    column_maxima(data, weight, maxima)
    wandered, direct = (empty_sums(k, maxima, 500) for _ in range(2))
    labels = np.full(500, -1, np.int32)
    for _ in range(20):
        after = random.integers(0, k, 500).astype(np.int32)
        move_rows(wandered, data, weight, rows, labels, after)
        labels = after
    nowhere = np.full(500, -1, np.int32)
    move_rows(direct, data, weight, rows[::-1].copy(), nowhere, labels[::-1].copy())
    np.testing.assert_array_equal(wandered.total(), direct.total())
    weights = np.ones(500) if weight is None else weight
    for label in range(k):
        mine = labels == label
        exact = [float(sum(map(Fraction, weights[mine] * X[mine, j]))) for j in range(4)]
        np.testing.assert_allclose(direct.total()[label, :4], exact, rtol=1e-15, atol=1e-300)


def wandering_centers(X, k, steps):
    random = np.random.default_rng(1)
    centers = X[random.choice(len(X), k, replace=False)].astype(np.float64)
    for step in range(steps):
        yield centers
        centers = centers + random.standard_normal(centers.shape) * 0.5**step


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["dense", "fortran", "csr"])
@pytest.mark.parametrize("weighted", [False, True])
def test_bounds_change_no_bit(dtype, kind, weighted):
    random = np.random.default_rng(0)
    X = (random.standard_normal((3000, 5)) + 3).astype(dtype)
    make = {"dense": np.ascontiguousarray, "fortran": np.asfortranarray, "csr": sp.csr_array}[kind]
    weight = random.random(3000) if weighted else None
    cuts = [0, 700, 700, 2900, 3000]
    rows = [
        Block(make(X[a:b]), weight=None if weight is None else weight[a:b], start=a)
        for a, b in pairwise(cuts)
    ]
    memory = {}
    shift = np.zeros(5) if kind == "csr" else np.full(5, 2.5)
    for centers in wandering_centers(X, 7, 12):
        kept = LLOYD(ask_about(centers, shift, True), rows, memory)
        anew = LLOYD(ask_about(centers, shift, False), rows, {})
        repeated = LLOYD(ask_about(centers, shift, True), rows, memory)
        for other in (anew, repeated):
            np.testing.assert_array_equal(kept.sums, other.sums)
            np.testing.assert_array_equal(kept.weights, other.weights)
            assert kept.scatter == other.scatter
        np.testing.assert_array_equal(memory[MEMORY].labels, label_rows(X, centers))


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_right_where_later_rows_are_far_larger_than_the_first(weighted):
    random = np.random.default_rng(0)
    X = random.standard_normal((6000, 3)) * np.repeat([1.0, 1e9], [5000, 1000])[:, np.newaxis]
    weight = random.random(6000) if weighted else None
    centers = np.array([[-1.0, 0, 0], [1.0, 0, 0]])
    found = LLOYD(ask_about(centers, np.zeros(3), True), [Block(X, weight=weight)], {})
    labels = label_rows(X, centers)
    weights = np.ones(6000) if weight is None else weight
    for label in range(2):
        mine = labels == label
        exact = [float(sum(map(Fraction, weights[mine] * X[mine, j]))) for j in range(3)]
        np.testing.assert_allclose(found.sums[label], exact, rtol=1e-15)
        np.testing.assert_allclose(found.weights[label], weights[mine].sum(), rtol=1e-13)


def test_bounds_skip_rows_once_the_centres_hardly_move():
    X = (
        np.random.default_rng(0).standard_normal((5000, 3))
        + np.repeat(np.eye(3) * 20, 5000, 0)[
            np.random.default_rng(1).choice(15000, 5000, replace=False)
        ]
    )
    centers, memory, rows = np.eye(3) * 20, {}, [Block(X)]
    LLOYD(ask_about(centers, np.zeros(3), True), rows, memory)
    lower = memory[MEMORY].bounds.lower.copy()
    LLOYD(ask_about(centers + 1e-6, np.zeros(3), True), rows, memory)
    moved = memory[MEMORY].bounds.lower - lower
    assert (np.abs(moved + np.sqrt(3) * 1e-6) < 1e-9).all()  # drifted, none measured again


def test_assignment_of_no_rows_is_the_identity():
    X = np.random.default_rng(0).random((50, 2))
    ask = AssignmentAsk(ask_about(X[:3], X[:3].mean(axis=0), False), True)
    some, none = ASSIGNMENT(ask, [Block(X)], {}), ASSIGNMENT(ask, [Block(X[:0])], {})
    for merged in (ASSIGNMENT.merge(some, none), ASSIGNMENT.merge(none, some)):
        assert merged.inertia == some.inertia
        np.testing.assert_array_equal(merged.labels, some.labels)
        np.testing.assert_array_equal(merged.weights, some.weights)
