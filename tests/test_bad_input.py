"""What bad input gets: an error that names what, where and what to do; the estimator unchanged."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

import flowml
from flowml.linear_model import (
    ElasticNet,
    ElasticNetCV,
    GammaRegressor,
    GeneralizedLinearRegressor,
    HuberRegressor,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
    TweedieRegressor,
)
from flowml.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from flowml.multiclass import OneVsRestClassifier
from flowml.preprocessing import MinMaxScaler, StandardScaler
from flowml.svm import LinearSVC, LinearSVR

N, P, BLOCK = 60, 3, 20


def data() -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(N, P))
    return X, X @ [1.0, 2.0, 3.0] + 4.0


def frame() -> pd.DataFrame:
    X, y = data()
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y, "w": np.ones(N)})


def write(folder: Path, rows: pd.DataFrame, name: str = "rows.parquet", groups: int = BLOCK) -> str:
    path = folder / name
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), path, row_group_size=groups)
    return str(path)


def refused(error: type[Exception], words: list[str], *fit_arguments: Any) -> None:
    """Fitting must raise, with these words, and leave a fitted estimator as it was."""
    model = LinearRegression().fit(*data())
    before = dict(vars(model))
    with pytest.raises(error) as caught:
        model.fit(*fit_arguments)
    for word in words:
        assert word in str(caught.value)
    assert vars(model) == before


def refused_reading(error: type[Exception], words: list[str], read: Callable[[], Any]) -> None:
    with pytest.raises(error) as caught:
        read()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["X", "y", "sample_weight"])
@pytest.mark.parametrize("lazy", [False, True])
def test_values_that_are_not_finite_are_named(value: float, part: str, lazy: bool) -> None:
    X, y = data()
    weight = np.ones(N)
    {"X": X[:, 1], "y": y, "sample_weight": weight}[part][BLOCK + 5] = value
    words = ["NaN" if np.isnan(value) else "infinity", part if lazy or part != "y" else "y"]
    if lazy:
        words += ["block 1", "row 5"] + (["column 1"] if part == "X" else [])
        X, y, weight = (da.from_array(a, chunks=(BLOCK, *a.shape[1:])) for a in (X, y, weight))
    refused(ValueError, words, X, y, weight)


@pytest.mark.parametrize("column", ["b", "y", "w"])
def test_values_that_are_missing_in_parquet_are_named(tmp_path: Path, column: str) -> None:
    rows = frame()
    rows.loc[BLOCK + 5, column] = np.nan
    dataset = flowml.read_parquet(write(tmp_path, rows), target="y", weight="w")
    words = ["NaN", "block 1", "row group 1", "rows.parquet", "row 5"]
    refused(ValueError, words + (["column b"] if column == "b" else []), dataset)


@pytest.mark.parametrize("lazy", [False, True])
def test_rows_that_differ_in_number(lazy: bool) -> None:
    X, y = data()
    arrays = (da.from_array(X, chunks=(BLOCK, P)), da.from_array(y[:-1])) if lazy else (X, y[:-1])
    refused(ValueError, ["60", "59"], *arrays)


def test_rows_that_differ_in_a_block_of_unknown_size() -> None:
    X, y = (da.from_array(a, chunks=(BLOCK, *a.shape[1:])) for a in data())
    some = da.from_array(np.arange(N) != BLOCK, chunks=BLOCK)
    refused(ValueError, ["block 1", "19", "20"], X[some], y)


@pytest.mark.parametrize("lazy", [False, True])
def test_weights_below_zero(lazy: bool) -> None:
    X, y = data()
    weight = np.ones(N)
    weight[BLOCK + 5] = -1
    arrays = (X, y, weight)
    if lazy:
        arrays = tuple(da.from_array(a, chunks=(BLOCK, *a.shape[1:])) for a in arrays)
    refused(ValueError, ["negative weight", "block 1" if lazy else "row 25"], *arrays)


@pytest.mark.parametrize("lazy", [False, True])
def test_weights_that_are_all_zero(lazy: bool) -> None:
    X, y = data()
    arrays = (X, y, np.zeros(N))
    if lazy:
        arrays = tuple(da.from_array(a, chunks=(BLOCK, *a.shape[1:])) for a in arrays)
    refused(ValueError, ["zero", "nothing to fit"], *arrays)
    for scaler in (StandardScaler(), MinMaxScaler()):
        with pytest.raises(ValueError, match="nothing to fit"):
            scaler.fit(arrays[0], sample_weight=arrays[2])


def test_no_rows() -> None:
    X, y = data()
    refused(ValueError, ["0 sample"], X[:0], y[:0])
    refused(ValueError, ["0 rows"], da.zeros((0, P)), da.zeros(0))
    lazy = da.from_array(X, chunks=(BLOCK, P))
    none = lazy[:, 0] > 100
    refused(ValueError, ["nothing to fit", "no row"], lazy[none], da.from_array(y, BLOCK)[none])


def test_no_columns(tmp_path: Path) -> None:
    X, y = data()
    refused(ValueError, ["0 feature"], X[:, :0], y)
    refused(ValueError, ["0 feature"], da.from_array(X[:, :0]), da.from_array(y))
    path = write(tmp_path, frame()[["y"]])
    refused_reading(ValueError, ["zero columns"], lambda: flowml.read_parquet(path, target="y"))


@pytest.mark.parametrize("kind", [complex, object, str])
def test_values_that_are_not_real_numbers(kind: type) -> None:
    X, y = data()
    bad = X.astype(kind) if kind is complex else np.full(X.shape, "text", kind)
    with pytest.raises((TypeError, ValueError)):
        LinearRegression().fit(bad, y)
    lazy_bad, lazy_X, lazy_y = (da.from_array(a, chunks=(BLOCK, *a.shape[1:])) for a in (bad, X, y))
    refused(TypeError, ["X has dtype", "numbers"], lazy_bad, lazy_y)
    refused(TypeError, ["y has dtype"], lazy_X, lazy_bad[:, 0])


def test_columns_of_frames_that_are_not_numbers() -> None:
    rows = frame()
    for column in (rows.a.astype(str), pd.to_datetime(rows.a)):
        lazy = dd.from_pandas(rows.assign(a=column), npartitions=3)
        refused(TypeError, ["'a'", "numbers"], lazy[["a", "b"]], lazy["y"])


def test_names_that_differ_from_those_of_the_fit() -> None:
    rows = frame()
    model = LinearRegression().fit(rows[["a", "b"]], rows["y"])
    for other in (rows[["a", "c"]], dd.from_pandas(rows[["a", "c"]], npartitions=2)):
        with pytest.raises(ValueError, match=r"(?s)feature names.*c.*b"):
            model.predict(other)
    three = da.from_array(data()[0])
    with (
        pytest.warns(UserWarning, match="valid feature names"),
        pytest.raises(ValueError, match=r"3 features.*2 features"),
    ):
        model.predict(three)


def test_no_target() -> None:
    X, _ = data()
    for some in (X, da.from_array(X)):
        refused(ValueError, ["requires y"], some)


def test_a_target_beside_a_dataset(tmp_path: Path) -> None:
    dataset = flowml.read_parquet(write(tmp_path, frame()), target="y")
    refused(TypeError, ["target="], dataset, data()[1])


READERS = [flowml.read_parquet, flowml.read_csv, flowml.read_npy, flowml.read_zarr]


@pytest.mark.parametrize("read", READERS)
def test_files_that_are_not_there(tmp_path: Path, read: Callable[[Any], Any]) -> None:
    refused_reading(ValueError, ["nowhere"], lambda: read(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("read", READERS[:3])
def test_patterns_that_match_nothing(tmp_path: Path, read: Callable[[Any], Any]) -> None:
    refused_reading(ValueError, ["no file matches", "*.dat"], lambda: read(tmp_path / "*.dat"))
    refused_reading(ValueError, ["the folder", "holds no"], lambda: read(tmp_path))
    refused_reading(ValueError, ["empty list"], lambda: read([]))


def test_a_parquet_file_cut_short(tmp_path: Path) -> None:
    path = Path(write(tmp_path, frame()))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    refused_reading(ValueError, [str(path), "cut short"], lambda: flowml.read_parquet(path))
    path.write_bytes(whole[:4] + bytes(200) + whole[204:])
    dataset = flowml.read_parquet(path, target="y")
    refused(ValueError, [str(path), "row group 0"], dataset)


def test_parquet_files_that_differ(tmp_path: Path) -> None:
    rows = frame()
    write(tmp_path, rows, "1.parquet")
    cases = [
        (rows.drop(columns="b"), ValueError, ["2.parquet", "no column 'b'"]),
        (rows.assign(d=1.0), ValueError, ["2.parquet", "'d'", "features="]),
        (rows.assign(b="text"), TypeError, ["2.parquet", "'b'", "string"]),
    ]
    for other, error, words in cases:
        write(tmp_path, other, "2.parquet")
        refused_reading(error, words, lambda: flowml.read_parquet(tmp_path, target="y"))


def test_csv_files_that_differ(tmp_path: Path) -> None:
    rows = frame()
    rows.to_csv(tmp_path / "1.csv", index=False)
    cases = [
        (rows.drop(columns="b"), ValueError, ["2.csv", "no column 'b'"]),
        (rows.assign(d=1.0), ValueError, ["2.csv", "'d'", "features="]),
        (rows.assign(b="text"), TypeError, ["2.csv", "'b'", "string"]),
    ]
    for other, error, words in cases:
        other.to_csv(tmp_path / "2.csv", index=False)
        refused_reading(error, words, lambda: flowml.read_csv(tmp_path, target="y"))


def test_text_far_down_in_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n" + "1.5,2\n" * 100_000 + "text,3\n")
    refused(ValueError, [str(path), "text"], flowml.read_csv(path, target="y"))


@pytest.mark.parametrize("where", ["target", "weight", "features"])
def test_columns_that_are_not_there(tmp_path: Path, where: str) -> None:
    path = write(tmp_path, frame())
    words = ["'z'", "it has a, b, c, y, w"]
    refused_reading(ValueError, words, lambda: flowml.read_parquet(path, **{where: "z"}))


def test_a_column_that_serves_twice(tmp_path: Path) -> None:
    path = write(tmp_path, frame())
    refused_reading(
        ValueError,
        ["'a'", "more than once"],
        lambda: flowml.read_parquet(path, target="a", features=["a", "b"]),
    )


def test_npy_files_that_do_not_fit(tmp_path: Path) -> None:
    X, y = data()
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y[:-1])
    np.save(tmp_path / "text.npy", np.full(X.shape, "text"))
    at = {name: tmp_path / f"{name}.npy" for name in ("X", "y", "text", "cut")}
    at["cut"].write_bytes(at["X"].read_bytes()[:-8])
    refused_reading(ValueError, ["60", "59"], lambda: flowml.read_npy(at["X"], target=at["y"]))
    refused_reading(TypeError, ["text.npy", "numbers"], lambda: flowml.read_npy(at["text"]))
    refused_reading(ValueError, ["cut.npy", "cut short"], lambda: flowml.read_npy(at["cut"]))
    refused_reading(ValueError, ["y.npy", "(59,)"], lambda: flowml.read_npy(at["y"]))


@pytest.mark.parametrize("chunks", [(1,) * N, (0, N, 0), (1, 0, 57, 2), (N,)])
@pytest.mark.parametrize("known", [False, True])
def test_empty_single_and_uneven_blocks_are_not_bad_input(
    chunks: tuple[int, ...], known: bool
) -> None:
    X, y = data()
    lazy = [da.from_array(a, chunks=(chunks, *((n,) for n in a.shape[1:]))) for a in (X, y)]
    if not known:
        every = da.from_array(np.ones(N, bool), chunks=(chunks,))
        lazy = [a[every] for a in lazy]
    model = LinearRegression().fit(*lazy)
    np.testing.assert_allclose(model.coef_, [1, 2, 3], rtol=1e-12)
    np.testing.assert_allclose(model.predict(lazy[0]).compute(), y, rtol=1e-12)


# --- what labels, families and splits can't be ---------------------------------------------------

CLASSIFIERS = {
    "LogisticRegression": LogisticRegression,
    "LogisticRegressionCV": lambda: LogisticRegressionCV(Cs=[1.0], cv=2),
    "RidgeClassifier": RidgeClassifier,
    "SGDClassifier": lambda: SGDClassifier(max_iter=100),
    "LinearSVC": LinearSVC,
    "LinearSVC, hinge": lambda: LinearSVC(loss="hinge"),
    "OneVsRestClassifier": lambda: OneVsRestClassifier(LogisticRegression()),
}
REGRESSORS = {
    "LinearRegression": LinearRegression,
    "Ridge": Ridge,
    "RidgeCV": RidgeCV,
    "Lasso": Lasso,
    "ElasticNet": ElasticNet,
    "ElasticNetCV": lambda: ElasticNetCV(cv=2),
    "LassoCV": lambda: LassoCV(cv=2),
    "PoissonRegressor": PoissonRegressor,
    "GammaRegressor": GammaRegressor,
    "TweedieRegressor": lambda: TweedieRegressor(power=1.5),
    "HuberRegressor": HuberRegressor,
    "QuantileRegressor": QuantileRegressor,
    "GeneralizedLinearRegressor": GeneralizedLinearRegressor,
    "SGDRegressor": lambda: SGDRegressor(max_iter=100),
    "LinearSVR": LinearSVR,
}
ALL = CLASSIFIERS | REGRESSORS
KINDS = ["dense", "CSR", "categorical", "one block", "many blocks", "uneven and empty blocks"]
CUTS = {
    "one block": (N,),
    "many blocks": (6,) * 10,
    "uneven and empty blocks": (0, 1, 30, 0, 29),
}


def rows_of(kind: str, *more: np.ndarray) -> list[Any]:
    """Return X of a kind, and columns that go with it."""
    X, _ = data()
    if kind in CUTS:
        chunks = [(CUTS[kind], *((n,) for n in a.shape[1:])) for a in (X, *more)]
        return [da.from_array(a, chunks=c) for a, c in zip((X, *more), chunks, strict=True)]
    labels = pd.Categorical(np.where(X[:, 1] > 0, "up", "down"))
    inputs = {
        "dense": X,
        "CSR": sp.csr_array(X),
        "categorical": pd.DataFrame({"a": X[:, 0], "b": labels}),
    }
    return [inputs[kind], *more]


def three_labels() -> np.ndarray:
    labels = labels_of()
    labels[::4] = "maybe"
    return labels


def labels_of() -> np.ndarray:
    X, _ = data()
    return np.where(X[:, 0] + np.sin(50 * X[:, 1]) > 0, "yes", "no").astype("<U5")


def place(kind: str, row: int) -> str:
    """Say how a row is called in blocks of a kind."""
    ends = np.cumsum(CUTS.get(kind, (N,)))
    block = int(np.searchsorted(ends, row, side="right"))
    return f"block {block}, row {row - (ends[block - 1] if block else 0)}"


kinds = pytest.mark.parametrize("kind", KINDS)
classifiers = pytest.mark.parametrize("name", CLASSIFIERS)


@kinds
@classifiers
def test_one_class_is_named(name: str, kind: str) -> None:
    X, y = rows_of(kind, np.full(N, "yes"))
    with pytest.raises(ValueError, match="one class only, 'yes'"):
        CLASSIFIERS[name]().fit(X, y)


@kinds
@classifiers
def test_weights_that_silence_a_class_are_named(name: str, kind: str) -> None:
    labels = labels_of()
    X, y, weight = rows_of(kind, labels, (labels == "no").astype(float))
    with pytest.raises(ValueError, match=r"one class only, 'no' \(rows of weight zero don't count"):
        CLASSIFIERS[name]().fit(X, y, sample_weight=weight)


@kinds
@classifiers
def test_weights_that_silence_one_of_three_classes_are_named(name: str, kind: str) -> None:
    labels = three_labels()
    X, y, weight = rows_of(kind, labels, (labels != "maybe").astype(float))
    with pytest.raises(ValueError, match="sample_weight is 0 in every row of class 'maybe', so"):
        CLASSIFIERS[name]().fit(X, y, sample_weight=weight)


def test_a_batch_of_many_may_lack_a_class() -> None:
    labels = three_labels()
    X, y, weight = rows_of("dense", labels, (labels != "maybe").astype(float))
    model = SGDClassifier().partial_fit(X, y, classes=np.unique(labels), sample_weight=weight)
    assert model.classes_.tolist() == ["maybe", "no", "yes"]


@pytest.mark.parametrize("model", [LogisticRegression(), RidgeClassifier(), LinearSVC()])
@pytest.mark.parametrize("weight", ["much", 0.0, -1.0, np.inf])
def test_class_weights_that_silence_a_class_are_named(model: Any, weight: float) -> None:
    X, y = rows_of("dense", labels_of())
    with pytest.raises(ValueError, match=r"the weight of 'no' is .*, but must be a number above 0"):
        model.set_params(class_weight={"no": weight}).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@kinds
@classifiers
def test_a_label_that_fit_never_saw_is_named_by_score(name: str, kind: str) -> None:
    seen, unseen = labels_of(), labels_of()
    unseen[31] = "maybe"
    X, y, other = rows_of(kind, seen, unseen)
    model = CLASSIFIERS[name]().fit(X, y)
    with pytest.raises(ValueError, match="the label 'maybe', which fit hasn't seen: it knows no"):
        model.score(X, other)


FAMILIES = {
    "Poisson": (PoissonRegressor, -2.0, "at least 0"),
    "Gamma": (GammaRegressor, 0.0, "above 0"),
    "Binomial": (lambda: GeneralizedLinearRegressor(family="binomial"), 1.5, "between 0 and 1"),
    "InverseGaussian": (
        lambda: GeneralizedLinearRegressor(family="inverse_gaussian"),
        0.0,
        "above 0",
    ),
}


@kinds
@pytest.mark.parametrize("family", FAMILIES)
def test_targets_outside_a_family_are_named_by_fit_and_score(family: str, kind: str) -> None:
    make, bad, needs = FAMILIES[family]
    inside = 0.5 + 0.4 * np.sin(np.arange(N))
    outside = inside.copy()
    outside[31] = bad
    X, y, wrong = rows_of(kind, inside, outside)
    words = f"y holds {bad:g} in {place(kind, 31)} of the block: .*{family} family must be {needs}"
    with pytest.raises(ValueError, match=words):
        make().fit(X, wrong)
    model = make().fit(X, y)
    with pytest.raises(ValueError, match=words):
        model.score(X, wrong)


@kinds
def test_an_offset_of_the_wrong_length_is_named(kind: str) -> None:
    X, y = rows_of(kind, np.ones(N))
    model = GeneralizedLinearRegressor(family="poisson")
    for column in ("offset", "exposure"):
        with pytest.raises(ValueError, match=f"X has 60 rows and {column} has 7"):
            model.fit(X, y, **{column: np.ones(7)})


def test_groups_that_are_missing_or_too_few_are_named() -> None:
    X, y = data()
    for fit in (
        lambda groups: cross_val_score(LinearRegression(), X, y, cv=GroupKFold(3), groups=groups),
        lambda groups: next(GroupKFold(3).split(X, y, groups)),
        lambda groups: GridSearchCV(
            LinearRegression(), {"fit_intercept": [True]}, cv=GroupKFold(3)
        ).fit(X, y, groups=groups),
    ):
        with pytest.raises(ValueError, match="needs groups="):
            fit(None)
        with pytest.raises(ValueError, match="X has 60 rows and groups has 7"):
            fit(np.arange(7))


@kinds
def test_a_split_without_one_of_the_classes_is_named(kind: str) -> None:
    y = np.full(N, "yes")
    y[:3] = "no"
    X, y = rows_of(kind, y)
    with pytest.raises(ValueError, match="split 0 of 4 has no row of class 'no' to train on"):
        cross_val_score(LogisticRegression(), X, y, cv=KFold(4), error_score="raise")


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(l1_ratio=0.5, solver="lbfgs"),
        ElasticNet(solver="lbfgs"),
        GeneralizedLinearRegressor(alpha=1.0, l1_ratio=0.5, solver="lbfgs"),
        GeneralizedLinearRegressor(lower_bounds=0.0, solver="lbfgs"),
    ],
)
@kinds
def test_an_absolute_penalty_with_a_solver_that_cant_is_named(model: Any, kind: str) -> None:
    X, y = rows_of(kind, (labels_of() == "yes").astype(float))
    with pytest.raises(ValueError, match=r"solver='lbfgs' can't take .* give solver='auto' or"):
        model.fit(X, y)


def test_a_label_of_a_categorical_column_that_fit_never_saw_is_named() -> None:
    frame, y = rows_of("categorical", labels_of())
    other = frame.assign(b=pd.Categorical(["sideways"] * N))
    model = LogisticRegression().fit(frame, y)
    for use in (model.predict, model.predict_proba, lambda X: model.score(X, y)):
        with pytest.raises(ValueError, match="sideways"):
            use(other)


# --- every linear model, in memory and lazily ----------------------------------------------------


def changed(values: np.ndarray, place: Any, value: Any) -> np.ndarray:
    """Return a copy with another value in one place."""
    values = values.astype(float)
    values[place] = value
    return values


def numbers_of(y: np.ndarray) -> np.ndarray:
    """Return labels, or the target, as numbers."""
    return (y == "yes").astype(float) if y.dtype.kind == "U" else y


OVERFLOW = "columns that overflow"
Fit = tuple[np.ndarray, Any, Any]
BROKEN: dict[str, tuple[Callable[[np.ndarray, np.ndarray, np.ndarray], Fit], str, str]] = {
    "a NaN in X": (
        lambda X, y, w: (changed(X, (25, 1), np.nan), y, w),
        "X contains NaN: block 0, row 25 of the block, column 1",
        "X contains NaN: block 1, row 5 of the block, column 1",
    ),
    "infinity in X": (
        lambda X, y, w: (changed(X, (25, 1), np.inf), y, w),
        "X contains infinity: block 0, row 25 of the block, column 1",
        "X contains infinity: block 1, row 5 of the block, column 1",
    ),
    "a NaN in y": (
        lambda X, y, w: (X, changed(numbers_of(y), 25, np.nan), w),
        "y contains NaN: row 25",
        "y contains NaN: block 1, row 5",
    ),
    "a NaN in the weights": (
        lambda X, y, w: (X, y, changed(w, 25, np.nan)),
        "sample_weight contains NaN: row 25",
        "sample_weight contains NaN: block 1, row 5",
    ),
    "a negative weight": (
        lambda X, y, w: (X, y, changed(w, 25, -1.0)),
        "negative weight: -1.0 in row 25",
        "negative weight: -1.0 in block 1, row 5",
    ),
    "weights of zero": (lambda X, y, w: (X, y, 0 * w), "nothing to fit", "nothing to fit"),
    "two columns of weights": (
        lambda X, y, w: (X, y, np.column_stack([w, w])),
        "sample_weight must be 1D",
        "sample_weight must be 1D",
    ),
    "too few targets": (lambda X, y, w: (X, y[:-1], w), "60.*59", "X has 60 rows and y has 59"),
    "too few weights": (
        lambda X, y, w: (X, y, w[:-1]),
        "60.*59",
        "X has 60 rows and sample_weight has 59",
    ),
    "no target": (lambda X, y, w: (X, None, w), "requires y", "requires y"),
    "no rows": (lambda X, y, w: (X[:0], y[:0], None), "0 sample", "0 rows: there is nothing"),
    "no columns": (lambda X, y, w: (X[:, :0], y, w), "0 feature", "0 feature"),
    OVERFLOW: (
        lambda X, y, w: (X * 1e200, y, w),
        "overflow float64: scale the columns down",
        "overflow float64: scale the columns down",
    ),
    "text": (lambda X, y, w: (X.astype(str).astype("U1"), y, w), "could not convert", "dtype <U1"),
}
TAKES_LARGE = {"QuantileRegressor", "LinearSVR", "LinearSVC, hinge", "RidgeCV"}
"""Those that square no column."""


def target_for(name: str) -> np.ndarray:
    return labels_of() if name in CLASSIFIERS else np.exp(0.1 * data()[1])


def lazily(*arrays: Any) -> list[Any]:
    return [None if a is None else da.from_array(a, chunks=(BLOCK, *a.shape[1:])) for a in arrays]


@pytest.mark.parametrize("lazy", [False, True], ids=["in memory", "lazy"])
@pytest.mark.parametrize(
    ("name", "case"),
    [pair for pair in product(ALL, BROKEN) if pair not in product(TAKES_LARGE, [OVERFLOW])],
)
def test_every_linear_model_names_what_is_broken(name: str, case: str, lazy: bool) -> None:
    breaking, here, lazy_words = BROKEN[case]
    X, y, weight = breaking(data()[0], target_for(name), np.ones(N))
    if lazy:
        X, y, weight = lazily(X, y, weight)
    model = ALL[name]()
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError), match=lazy_words if lazy else here):
        model.fit(X, y, sample_weight=weight)
    assert vars(model) == before


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("lazy", [False, True], ids=["in memory", "lazy"])
@pytest.mark.parametrize("name", ALL)
def test_every_linear_model_names_what_it_cannot_score(name: str, lazy: bool) -> None:
    X, y, weight = data()[0], target_for(name), np.ones(N)
    model = ALL[name]().fit(X, y)
    make = lazily if lazy else lambda *arrays: list(arrays)
    for arrays, words in (
        ((X, None, None), "without y|requires y"),
        ((X, y[:-1], None), "59.*60|60.*59"),
        ((X, y, 0 * weight), "there is nothing to"),
        ((X, y, -weight), "negative weight"),
        ((X[:, :2], y, None), "X has 2 features, but .* is expecting 3 features"),
    ):
        rows, target, weights = make(*arrays)
        with pytest.raises(ValueError, match=words):
            model.score(rows, target, sample_weight=weights)


@pytest.mark.parametrize("lazy", [False, True], ids=["in memory", "lazy"])
@classifiers
def test_fractions_and_mixtures_are_no_labels(name: str, lazy: bool) -> None:
    X, y = data()
    mixed = np.array(["yes", 1] * (N // 2), dtype=object)
    if name == "LogisticRegressionCV" and lazy:  # whose splits come first, and need two of a kind
        y = np.where(y > 4, 0.5, 1.5)
    for target, error, words in (
        (y, ValueError, "Unknown label type: continuous"),
        (mixed, TypeError, "neither all text nor all numbers"),
    ):
        rows = lazily(X, target) if lazy else [X, target]
        with pytest.raises(error, match=words):
            CLASSIFIERS[name]().fit(*rows)


@pytest.mark.parametrize("name", ALL)
def test_a_column_in_memory_that_is_not_numeric_is_named(name: str) -> None:
    for column in (["text"] * N, pd.Timestamp("2020-01-01"), [{}] * N):
        rows = frame()[["a", "b"]].assign(c=column)
        with pytest.raises(TypeError, match=r"column 'c' has dtype .*, not real numbers"):
            ALL[name]().fit(rows, target_for(name))
    numbers = frame()[["a", "b"]].astype(object)
    assert ALL[name]().fit(numbers, target_for(name)).n_features_in_ == 2


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (GeneralizedLinearRegressor(family=1), ValueError, r"\(family=1\): family must be 'gauss"),
        (GeneralizedLinearRegressor(link=1), ValueError, r"\(link=1\): link must be 'auto'"),
        (GeneralizedLinearRegressor(alpha="a"), TypeError, r"\(alpha='a'\): alpha must be a num"),
        (GeneralizedLinearRegressor(l1_ratio=None), TypeError, "l1_ratio must be a number"),
        (GeneralizedLinearRegressor(lower_bounds="a"), TypeError, "lower_bounds must be numbers"),
        (GeneralizedLinearRegressor(lower_bounds=np.inf), ValueError, "nothing lies between"),
        (HuberRegressor(epsilon="a"), TypeError, r"\(epsilon='a'\): epsilon must be a number"),
        (LogisticRegression(l1_ratio=2.0), ValueError, "l1_ratio must be at most 1"),
        (SGDClassifier(l1_ratio=2.0), ValueError, "l1_ratio must be at most 1"),
        (LogisticRegressionCV(Cs=[]), ValueError, r"\(Cs=\[\]\): Cs must be numbers, at least one"),
        (LogisticRegressionCV(Cs=["a"]), TypeError, r"\(Cs=\['a'\]\): Cs must be numbers"),
        (
            LogisticRegressionCV(l1_ratios=[2.0]),
            ValueError,
            "l1_ratios must be numbers from 0 to 1",
        ),
        (LogisticRegressionCV(scoring=[]), ValueError, r"\[\] is no scorer"),
        (LogisticRegressionCV(cv=[]), ValueError, "cv yields no split"),
        (ElasticNetCV(alphas=[]), ValueError, r"\(alphas=\[\]\): alphas must be numbers, at least"),
        (ElasticNetCV(l1_ratio=[]), ValueError, r"\(l1_ratio=\[\]\): l1_ratio must be numbers"),
        (LassoCV(eps=0), ValueError, r"\(eps=0\): eps must be above 0"),
        (OneVsRestClassifier(LogisticRegression), TypeError, "must be an estimator: a classifier"),
        (OneVsRestClassifier(StandardScaler()), TypeError, "must be an estimator: a classifier"),
    ],
    ids=lambda value: repr(value)[:40] if hasattr(value, "fit") else "",
)
def test_parameters_of_a_wrong_kind_are_named(model: Any, error: Any, words: str) -> None:
    X, y = rows_of("dense", (labels_of() == "yes").astype(float))
    with pytest.raises(error, match=words):
        model.fit(X, y)


def test_offsets_that_are_no_column_are_named() -> None:
    X, y = rows_of("dense", np.ones(N))
    model = GeneralizedLinearRegressor(family="poisson")
    with pytest.raises(ValueError, match="offset contains NaN: row 25"):
        model.fit(X, y, offset=changed(np.ones(N), 25, np.nan))
    lazy_X, lazy_y, lazy_offset = lazily(X, y, X)
    for rows in ((X, y, X), (lazy_X, lazy_y, lazy_offset)):
        with pytest.raises(ValueError, match="offset must be one column, but has 3"):
            model.fit(*rows[:2], offset=rows[2])
    model.fit(X, y, offset=0.1 * X[:, 0])
    for rows in (X, lazy_X):
        with pytest.raises(ValueError, match="X has 60 rows and offset has 7"):
            model.predict(rows, offset=np.ones(7))


@pytest.mark.parametrize("lazy", [False, True], ids=["in memory", "lazy"])
@pytest.mark.parametrize("kind", ["HC1", "cluster"])
def test_summaries_name_labels_that_fit_never_saw(kind: str, lazy: bool) -> None:
    X, y, other = data()[0], labels_of(), three_labels()
    model = LogisticRegression(C=np.inf).fit(X, y)
    groups = np.arange(N) % 7 if kind == "cluster" else None
    expected = model.summary(X, y, cov_type=kind, groups=groups).coefficients
    if lazy:
        X, y, other, groups = lazily(X, y, other, groups)
        found = model.summary(X, y, cov_type=kind, groups=groups).coefficients
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    with pytest.raises(ValueError, match="the label 'maybe', which fit hasn't seen: it knows no"):
        model.summary(X, other, cov_type=kind, groups=groups)
    if lazy and kind == "HC1":
        with pytest.raises(ValueError, match="nothing to measure"):
            model.summary(X, y, cov_type=kind, sample_weight=da.zeros(N, chunks=BLOCK))
