"""The laws: what holds for every fold, every estimator and every runtime of the table."""

import copy
import operator
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st

import flowml
from flowml.kernels.fold import Fold
from flowml.kernels.rows import Block, Rows
from tests.table import ESTIMATORS, FOLDS, EstimatorRow, FoldRow, make_data

RTOL = 1e-9
N_ROWS = 240

folds = pytest.mark.parametrize("row", FOLDS, ids=lambda row: row.name)
estimators = pytest.mark.parametrize("row", ESTIMATORS, ids=lambda row: row.name)
exact = pytest.mark.parametrize(
    "row", [row for row in ESTIMATORS if row.in_the_mean is None], ids=lambda row: row.name
)
in_the_mean = pytest.mark.parametrize(
    "row", [row for row in ESTIMATORS if row.in_the_mean is not None], ids=lambda row: row.name
)
cuts = st.lists(st.integers(0, N_ROWS), max_size=12).map(sorted)
quickly = settings(max_examples=12, deadline=None)


# --- folds ---------------------------------------------------------------------------------------


def blocks(row: FoldRow, weighted: bool = True, bounds: Sequence[int] = ()) -> list[Block]:
    """Cut the data of the table at `bounds`; equal bounds make empty blocks."""
    X, y, weight = make_data(N_ROWS)
    y = y if row.target is None else row.target(y)
    edges = [0, *bounds, N_ROWS]
    return [
        Block(
            X[low:high],
            y[low:high] if row.with_y else None,
            weight[low:high] if weighted and row.weighted else None,
            low,
            number,
        )
        for number, (low, high) in enumerate(pairwise(edges))
    ]


def summarise(row: FoldRow, rows: Rows) -> Any:
    return row.fold(row.ask, rows, {})


def merged(fold: Fold, summaries: Sequence[Any]) -> Any:
    return reduce(fold.merge, summaries)


def assert_equal_summaries(
    row: FoldRow, left: Any, right: Any, but: Sequence[str] = (), rtol: float = RTOL
) -> None:
    found = row.view(right)
    for name, value in row.view(left).items():
        if name not in but:
            assert_close(found[name], value, name, rtol)


def assert_close(found: Any, expected: Any, name: str, rtol: float = RTOL) -> None:
    """Compare to rounding, in units of the largest of the values."""
    scale = np.abs(expected).max() if np.size(expected) else 0.0
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * scale, err_msg=name)


def assert_same_bits(row: FoldRow, left: Any, right: Any) -> None:
    found = row.view(right)
    for name, value in row.view(left).items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@folds
@quickly
@given(bounds=cuts)
def test_merging_summaries_of_blocks_summarises_them_all(row: FoldRow, bounds: list[int]) -> None:
    pieces = blocks(row, bounds=bounds)
    whole = summarise(row, blocks(row))
    assert_equal_summaries(row, whole, summarise(row, pieces))
    assert_equal_summaries(
        row, whole, merged(row.fold, [summarise(row, [piece]) for piece in pieces])
    )


@folds
def test_merging_is_associative(row: FoldRow) -> None:
    def parts() -> list[Any]:
        return [summarise(row, [piece]) for piece in blocks(row, bounds=[50, 51])]

    merge = row.fold.merge
    first, second, third = parts()
    leftwards = merge(merge(first, second), third)
    first, second, third = parts()
    assert_equal_summaries(row, leftwards, merge(first, merge(second, third)))


@pytest.mark.parametrize("row", [row for row in FOLDS if row.fold.additive], ids=lambda r: r.name)
def test_additive_folds_add(row: FoldRow) -> None:
    left, right = (summarise(row, [block]) for block in blocks(row, bounds=[90]))
    wanted = _added(left, right, row.fold.maxima)
    assert_equal_summaries(row, row.fold.merge(copy.deepcopy(left), right), wanted)


def _added(left: Any, right: Any, maxima: Sequence[str], name: str = "") -> Any:
    if left is None:
        return None
    if isinstance(left, tuple):
        names = getattr(left, "_fields", [name] * len(left))
        parts = (_added(*pair, maxima, n) for *pair, n in zip(left, right, names, strict=True))
        return type(left)(*parts) if hasattr(left, "_fields") else tuple(parts)
    return np.maximum(left, right) if name in maxima else left + right


@folds
def test_no_rows_change_nothing(row: FoldRow) -> None:
    nothing = blocks(row, bounds=[0])[:1]
    whole = summarise(row, blocks(row))
    again = summarise(row, blocks(row))
    assert_same_bits(row, whole, row.fold.merge(again, summarise(row, nothing)))
    assert_same_bits(row, whole, row.fold.merge(summarise(row, nothing), again))
    assert row.fold.finite(summarise(row, nothing))


@pytest.mark.parametrize("row", [row for row in FOLDS if row.weighted], ids=lambda row: row.name)
def test_weights_repeat_rows(row: FoldRow) -> None:
    (block,) = blocks(row)
    times = block.weight.astype(int)
    repeated = Block(
        np.repeat(block.X, times, axis=0),
        None if block.y is None else np.repeat(block.y, times, axis=0),
    )
    found, expected = summarise(row, [block]), summarise(row, [repeated])
    assert_equal_summaries(row, expected, found, but=row.row_counts)


@folds
@pytest.mark.parametrize("weighted", [False, True])
def test_folds_write_to_no_argument(row: FoldRow, weighted: bool) -> None:
    pieces = blocks(row, weighted, bounds=[100])
    for piece in pieces:
        for part in (piece.X, piece.y, piece.weight):
            if part is not None:
                part.flags.writeable = False
    right = summarise(row, pieces[1:])
    before = copy.deepcopy(right)
    row.fold.merge(summarise(row, pieces[:1]), right)
    assert_same_bits(row, before, right)


@folds
@pytest.mark.parametrize("kind", ["Fortran", "float32", "CSR"])
def test_kinds_of_blocks_agree(row: FoldRow, kind: str) -> None:
    (block,) = blocks(row)
    small = np.where(np.abs(block.X) > 1, np.float32(np.round(block.X)), 0).astype(np.float64)
    other: Any = {
        "Fortran": np.asfortranarray,
        "float32": np.float32,
        "CSR": sp.csr_array,
    }[kind](small)
    expected, found = (summarise(row, [block._replace(X=X)]) for X in (small, other))
    rtol = row.float32_rtol if kind == "float32" else RTOL
    assert_equal_summaries(row, expected, found, rtol=rtol)


@folds
def test_memory_changes_no_bit(row: FoldRow) -> None:
    memory: dict[str, Any] = {}
    first, second = (row.fold(row.ask, blocks(row), memory) for _ in range(2))
    assert_same_bits(row, first, second)


# --- estimators ----------------------------------------------------------------------------------


def learned(row: EstimatorRow, estimator: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(getattr(estimator, name)) for name in row.learned}


def fit(row: EstimatorRow, X: Any, y: Any = None, weight: Any = None) -> dict[str, np.ndarray]:
    return learned(row, row.make().fit(X, y if row.with_y else None, sample_weight=weight))


def assert_equal_models(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    for name, value in left.items():
        assert_close(right[name], value, name)


def assert_same_models(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    for name, value in left.items():
        np.testing.assert_array_equal(right[name], value, err_msg=name)


def chunked(*arrays: np.ndarray, sizes: Sequence[int], known: bool = True) -> list[da.Array]:
    """Cut arrays into Dask chunks of the given numbers of rows."""
    result = []
    for array in arrays:
        lazy = da.from_array(array, chunks=(tuple(sizes), *array.shape[1:]))
        if not known:
            chunks = ((np.nan,) * len(sizes), *lazy.chunks[1:])
            lazy = da.Array(lazy.dask, lazy.name, chunks, dtype=lazy.dtype)
        result.append(lazy)
    return result


@exact
@quickly
@given(bounds=cuts, known=st.booleans())
def test_blocks_dont_matter(row: EstimatorRow, bounds: list[int], known: bool) -> None:
    X, y, weight = row.data(N_ROWS)
    sizes = np.diff([0, *bounds, N_ROWS])
    lazy = chunked(X, y, weight, sizes=sizes, known=known)
    with dask.config.set(scheduler="synchronous"), flowml.config_context(n_threads=1):
        assert_equal_models(fit(row, X, y, weight), fit(row, *lazy))


@estimators
def test_kinds_of_blocks_give_one_model(row: EstimatorRow) -> None:
    X, y, weight = row.data(N_ROWS)
    X = np.where(np.abs(X) > 1, np.float32(np.round(X)), 0).astype(np.float64)
    expected = fit(row, X, y, weight)
    assert_equal_models(expected, fit(row, np.asfortranarray(X), y, weight))
    if row.sparse and not row.in_the_mean:
        assert_equal_models(expected, fit(row, sp.csr_array(X), y, weight))


@exact
def test_weights_are_repetitions(row: EstimatorRow) -> None:
    X, y, weight = row.data(N_ROWS)
    times = weight.astype(int)
    repeated = fit(row, np.repeat(X, times, axis=0), np.repeat(y, times))
    assert_equal_models(repeated, fit(row, X, y, weight))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@in_the_mean
def test_blocks_and_repetitions_matter_little(row: EstimatorRow) -> None:
    X, y, weight = row.data(2000)
    times = weight.astype(int)
    repeated = row.make().fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    models = [row.make().fit(X, y, sample_weight=weight), repeated]
    for sizes in ([500] * 4, [1, 0, 1499, 500], [100] * 20):
        lazy = chunked(X, y, weight, sizes=sizes)
        models.append(row.make().fit(lazy[0], lazy[1], sample_weight=lazy[2]))
    if row.sparse:
        models.append(row.make().fit(sp.csr_array(X), y, sample_weight=weight))
    scores = [model.score(X, y, sample_weight=weight) for model in models]
    assert np.ptp(scores) < 0.02
    assert min(scores) > 0.5


@estimators
def test_threads_and_workers_change_no_bit(row: EstimatorRow, request: Any) -> None:
    sizes = (300, 1, 0, 699, 100, 500, 150, 250)
    lazy = chunked(*row.data(sum(sizes)), sizes=sizes)
    models = []
    for n_threads in (1, 2, 4):
        with flowml.config_context(n_threads=n_threads):
            models.append(fit(row, *lazy))
    client: Client = request.getfixturevalue("client")
    workers = sorted(client.scheduler_info()["workers"])
    models.append(fit(row, *lazy))
    for homes in (workers[:1], workers[1:], workers):
        models.append(fit(row, *client.persist(lazy, workers=homes)))
    with flowml.config_context(keep=False):
        models.append(fit(row, *lazy))
    for model in models[1:]:
        assert_same_models(models[0], model)


@estimators
@pytest.mark.parametrize("keep", [True, False])
def test_a_step_is_a_pass(row: EstimatorRow, keep: bool) -> None:
    X, y, weight = row.data(N_ROWS)
    reads: list[int] = []

    def read(block: np.ndarray) -> np.ndarray:
        reads.append(len(block))
        return block

    lazy, *others = chunked(X, y, weight, sizes=[100, 100, 40])
    counted = lazy.map_blocks(read, dtype=X.dtype, meta=np.empty((0, 0)))
    estimator = row.make()
    with flowml.config_context(keep=keep), dask.config.set(scheduler="threads"):
        estimator.fit(counted, others[0] if row.with_y else None, sample_weight=others[1])
    assert sum(reads) == N_ROWS * (1 if keep else estimator.n_passes_)
    assert len(estimator.history_) == estimator.n_passes_


@estimators
def test_no_argument_is_modified(row: EstimatorRow) -> None:
    arguments = row.data(N_ROWS)
    for argument in arguments:
        argument.flags.writeable = False
    fit(row, *arguments)
    for argument, original in zip(arguments, row.data(N_ROWS), strict=True):
        np.testing.assert_array_equal(argument, original)


@estimators
@pytest.mark.parametrize("where", ["in process", "on the cluster"])
def test_a_failed_fit_changes_nothing(row: EstimatorRow, where: str, request: Any) -> None:
    X, y, weight = row.data(N_ROWS)
    estimator = row.make().fit(X, y, sample_weight=weight)
    before = dict(vars(estimator))
    broken = X.copy()
    broken[150, 2] = np.inf
    arguments: list[Any] = [broken, y, weight]
    if where == "on the cluster":
        request.getfixturevalue("client")
        arguments = chunked(*arguments, sizes=[100, 100, 40])
    with pytest.raises(ValueError, match=r"infinity.*column 2"):
        fit_again(row, estimator, arguments)
    assert vars(estimator).keys() == before.keys()
    assert all(map(operator.is_, vars(estimator).values(), before.values()))


def fit_again(row: EstimatorRow, estimator: Any, arguments: Sequence[Any]) -> None:
    X, y, weight = arguments
    estimator.fit(X, y if row.with_y else None, sample_weight=weight)
