"""Every kind of X trains the same model, and predictions keep its kind."""

import os
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from distributed import Client
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.model_selection import cross_val_score

import flowml
from flowml.data.adopt import adopt_lazy
from flowml.linear_model import LinearRegression, LogisticRegression
from flowml.prediction import apply
from flowml.preprocessing import StandardScaler

N, P, BLOCK = 90, 4, 25
NAMES = list("abcd")


def whole_numbers() -> tuple[np.ndarray, np.ndarray]:
    """Small integers: the same in float32, int, sparse and decimal text."""
    rng = np.random.default_rng(0)
    X = rng.integers(-3, 4, size=(N, P)).astype(float)
    return X, X @ [1.0, -2.0, 3.0, 0.5] + 4.0 + rng.integers(-1, 2, size=N)


X, Y = whole_numbers()
FRAME = pd.DataFrame(X, columns=NAMES, index=np.arange(N) * 2 + 1)


def lazy(array: Any, chunks: Any = None) -> Any:
    return da.from_array(array, chunks=chunks or (BLOCK, *array.shape[1:]))


def unknown(array: np.ndarray) -> Any:
    return lazy(array)[lazy(np.ones(len(array), bool))]


def parquet(folder: Path) -> flowml.Dataset:
    FRAME.assign(y=Y).to_parquet(folder / "rows.parquet", row_group_size=BLOCK)
    return flowml.read_parquet(folder / "rows.parquet", target="y")


def csv(folder: Path) -> flowml.Dataset:
    FRAME.assign(y=Y).to_csv(folder / "rows.csv", index=False)
    return flowml.read_csv(folder / "rows.csv", target="y")


KINDS: dict[str, Callable[[Path], tuple[Any, ...]]] = {
    "NumPy C": lambda folder: (X, Y),
    "NumPy Fortran": lambda folder: (np.asfortranarray(X), Y),
    "NumPy float32": lambda folder: (X.astype(np.float32), Y),
    "NumPy int": lambda folder: (X.astype(int), Y),
    "list": lambda folder: (X.tolist(), Y.tolist()),
    "pandas": lambda folder: (FRAME, pd.Series(Y, FRAME.index)),
    "CSR matrix": lambda folder: (sp.csr_matrix(X), Y),
    "CSR array": lambda folder: (sp.csr_array(X), Y),
    "Dask array": lambda folder: (lazy(X), lazy(Y)),
    "Dask array, y in memory": lambda folder: (lazy(X), Y),
    "Dask array, y cut otherwise": lambda folder: (lazy(X), lazy(Y, 40)),
    "Dask array, float32": lambda folder: (lazy(X.astype(np.float32)), lazy(Y)),
    "Dask array, column chunks": lambda folder: (lazy(X, (BLOCK, 3)), lazy(Y)),
    "Dask array, CSR": lambda folder: (lazy(X).map_blocks(sp.csr_matrix), lazy(Y)),
    "Dask array, unknown sizes": lambda folder: (unknown(X), unknown(Y)),
    "Dask dataframe": lambda folder: (
        dd.from_pandas(FRAME, npartitions=3),
        dd.from_pandas(pd.Series(Y, FRAME.index), npartitions=3),
    ),
    "Parquet": lambda folder: (parquet(folder),),
    "CSV": lambda folder: (csv(folder),),
}


def expected_kind(given: Any) -> type:
    if isinstance(given, flowml.Dataset | da.Array):
        return da.Array
    if isinstance(given, dd.DataFrame):
        return dd.Series
    return pd.Series if isinstance(given, pd.DataFrame) else np.ndarray


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [None, False])
def test_every_kind_of_input(tmp_path: Path, kind: str, keep: bool | None) -> None:
    arguments = KINDS[kind](tmp_path)
    with flowml.config_context(keep=keep):
        model = LinearRegression().fit(*arguments)
    exact = np.linalg.lstsq(np.c_[X, np.ones(N)], Y, rcond=None)[0]
    single = model.coef_.dtype == np.float32
    assert single == ("float32" in kind)
    tolerance = 1e-5 if single else 1e-11
    np.testing.assert_allclose(model.coef_, exact[:-1], rtol=tolerance)

    predicted = model.predict(arguments[0])
    assert isinstance(predicted, expected_kind(arguments[0]))
    assert predicted.dtype == model.coef_.dtype
    computed = predicted.compute() if dask.is_dask_collection(predicted) else predicted
    assert computed.shape == (N,)
    assert computed.dtype == predicted.dtype
    np.testing.assert_allclose(computed, X @ exact[:-1] + exact[-1], rtol=10 * tolerance)
    if isinstance(computed, pd.Series):
        pd.testing.assert_index_equal(computed.index, FRAME.index)


def both_signs(values: Any) -> np.ndarray:
    dense = values.toarray() if sp.issparse(values) else values
    return np.stack([dense[:, 0], -dense[:, 0]], axis=1)


def test_results_of_several_columns_keep_their_kind() -> None:
    model = StandardScaler().fit(FRAME)
    options: dict[str, Any] = {"names": ["up", "down"], "n_columns": 2, "dtype": np.float32}
    eager = apply(model, FRAME, both_signs, **options)
    assert list(eager.columns) == ["up", "down"]
    assert (eager.dtypes == np.float32).all()
    pd.testing.assert_index_equal(eager.index, FRAME.index)

    source = dd.from_pandas(FRAME, npartitions=3)
    frame = apply(model, source, both_signs, **options)
    assert frame.divisions == source.divisions
    pd.testing.assert_frame_equal(frame.compute(), eager)

    model = StandardScaler().fit(X)
    array = apply(model, unknown(X), both_signs, **options)
    assert np.isnan(array.chunks[0]).all()
    assert array.chunks[1] == (2,)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array.compute(), eager.to_numpy())
    sparse = apply(model, lazy(X).map_blocks(sp.csr_matrix), both_signs, **options)
    np.testing.assert_array_equal(sparse.compute(), eager.to_numpy())


def test_datasets_give_arrays_whose_chunks_are_known_where_rows_are(tmp_path: Path) -> None:
    dataset = parquet(tmp_path)
    model = LinearRegression().fit(dataset)
    assert model.predict(dataset).chunks == ((25, 25, 25, 15),)
    assert np.isnan(model.predict(csv(tmp_path)).chunks[0]).all()


def test_prediction_before_fit_and_of_values_that_are_not_finite() -> None:
    with pytest.raises(NotFittedError):
        apply(LinearRegression(), lazy(X), both_signs)
    model = LinearRegression().fit(X, Y)
    bad = X.copy()
    bad[30, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.predict(bad)
    with pytest.raises(ValueError, match="NaN"):
        model.predict(lazy(bad)).compute()


def test_predictions_on_a_cluster(client: Client, tmp_path: Path) -> None:
    dataset = parquet(tmp_path)
    model = LinearRegression().fit(dataset)
    here = X @ model.coef_ + model.intercept_
    np.testing.assert_allclose(model.predict(dataset).compute(), here, rtol=1e-12)


@pytest.mark.parametrize(("keep", "reads"), [(None, 1), (True, 1), (False, 3)])
def test_an_unpersisted_array_is_read_once_or_once_a_pass(keep: bool | None, reads: int) -> None:
    counts: Counter[int] = Counter()
    lock = Lock()

    def source(block: np.ndarray, block_id: Any = None) -> np.ndarray:
        with lock:
            counts[block_id[0]] += 1
        return block

    counted = lazy(X).map_blocks(source, dtype=float, meta=np.empty((0, 0)))
    counts.clear()
    with flowml.config_context(keep=keep):
        n_passes = 0
        for _ in range(3 if keep is False else 1):
            n_passes += StandardScaler().fit(counted).n_passes_
    assert n_passes == reads
    assert counts == dict.fromkeys(range(4), reads)


def note(block: np.ndarray, folder: str = "", block_id: Any = None) -> np.ndarray:
    """Leave a mark in a file: the workers are other processes."""
    if block_id is not None and len(block):
        with open(os.path.join(folder, str(block_id[0])), "a") as file:
            file.write("x")
    return block


@pytest.mark.parametrize("keep", [None, False])
def test_a_cluster_reads_once_or_once_a_pass(
    client: Client, tmp_path: Path, keep: bool | None
) -> None:
    # A target that is met exactly makes LinearRegression look at the rows more than once.
    exact = X @ [1.0, -2.0, 3.0, 0.5]
    counted = lazy(X).map_blocks(
        note, folder=str(tmp_path), dtype=float, meta=np.empty((0, 0)), name=f"noted-{keep}"
    )
    with flowml.config_context(keep=keep):
        model = LinearRegression().fit(counted, lazy(exact))
    assert model.n_passes_ > 1
    marks = [len((tmp_path / str(block)).read_text()) for block in range(4)]
    assert marks == [1 if keep is None else model.n_passes_] * 4


def test_many_chunks_are_described_quickly() -> None:
    """A thousand chunks cost one task each in the user's own graph, and next to nothing here."""
    many = da.zeros((100_000, 10), chunks=(100, 10))
    dataset = adopt_lazy(many)
    assert len(dataset.parts) == 1000
    assert len(pickle.dumps([part.source for part in dataset.parts])) < 1000 * 300


def test_probabilities_of_a_frame_are_an_array_that_scikit_learns_scorers_take() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.standard_normal((120, 2)), columns=["a", "b"])
    y = np.where(frame["a"] + random.standard_normal(120) > 0, "yes", "no")
    model = LogisticRegression(tol=1e-8).fit(frame, y)
    assert isinstance(model.predict_proba(frame), np.ndarray)
    scores = cross_val_score(model, frame, y, scoring="neg_log_loss", cv=3)
    exact = SklearnLogisticRegression(solver="newton-cholesky", tol=1e-10)
    peer = cross_val_score(exact, frame, y, scoring="neg_log_loss", cv=3)
    np.testing.assert_allclose(scores, peer, atol=1e-8)
    lazy = model.predict_proba(dd.from_pandas(frame, npartitions=2))
    assert list(lazy.columns) == ["no", "yes"]
