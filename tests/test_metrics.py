"""Metrics against scikit-learn: of arrays and lazy collections, weighted, in one pass."""

import functools

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression as PeerLogisticRegression

import flowml
from flowml import metrics
from flowml.kernels import ordered_weights
from flowml.kernels.mixed import Mixed
from flowml.kernels.ordered_weights import keys_of, order, values_of
from flowml.kernels.ranking import RANKING, summarise
from flowml.kernels.rows import Block
from flowml.linear_model import LinearRegression, LogisticRegression
from flowml.metrics.curves import curve_of
from flowml.metrics.fit_scores import Answers
from flowml.metrics.rankings import area, average_precision

N = 1000
LAZY = ("NumPy", "pandas", "Dask array", "Dask series")
AVERAGES = ("macro", "micro", "weighted", None)


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def weight(rng):
    found = rng.uniform(0.2, 3, N)
    found[::10] = 0.0
    return found


@pytest.fixture(scope="module")
def labels(rng):
    true = rng.integers(0, 4, N)
    return true, np.where(rng.uniform(size=N) < 0.6, true, rng.integers(0, 4, N))


@pytest.fixture(scope="module")
def binary(rng):
    true = rng.integers(0, 2, N)
    return true, np.round(rng.normal(size=N) + true, 1)  # with ties


@pytest.fixture(scope="module")
def probabilities(rng, labels):
    odds = rng.uniform(0.1, 1, (N, 4)) + (np.arange(4) == labels[0][:, np.newaxis])
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def numbers(rng):
    true = rng.gamma(2, 2, N)
    return true, true * rng.uniform(0.5, 1.5, N)


def as_kind(values, kind):
    if values is None or kind == "NumPy":
        return values
    if kind == "pandas":
        return pd.Series(values)
    if kind == "Dask array":
        return da.from_array(values, chunks=170)
    return dd.from_pandas(pd.Series(values), npartitions=4)


LABEL_METRICS = [
    ("accuracy_score", {}),
    ("accuracy_score", {"normalize": False}),
    ("balanced_accuracy_score", {}),
    ("balanced_accuracy_score", {"adjusted": True}),
    ("matthews_corrcoef", {}),
    ("confusion_matrix", {}),
    ("confusion_matrix", {"normalize": "true"}),
    *[
        (f"{name}_score", {"average": a})
        for name in ("precision", "recall", "f1")
        for a in AVERAGES
    ],
    ("fbeta_score", {"beta": 2.0, "average": "macro"}),
]


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_labels(labels, weight, kind, weighted):
    w = weight if weighted else None
    given = [as_kind(values, kind) for values in labels]
    for name, options in LABEL_METRICS:
        found = getattr(metrics, name)(*given, sample_weight=as_kind(w, kind), **options)
        wanted = getattr(reference, name)(*labels, sample_weight=w, **options)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, err_msg=f"{name} {options}")


@pytest.mark.parametrize("kind", LAZY)
def test_labels_may_be_strings(labels, kind):
    names = np.array(["ant", "bee", "cicada", "dragonfly"])
    true, predicted = (names[values] for values in labels)
    given = [as_kind(values, kind) for values in (true, predicted)]
    found = metrics.confusion_matrix(*given)
    np.testing.assert_array_equal(found, reference.confusion_matrix(true, predicted))
    assert found.dtype == np.int64
    chosen = ["bee", "ant"]
    np.testing.assert_array_equal(
        metrics.confusion_matrix(*given, labels=chosen),
        reference.confusion_matrix(true, predicted, labels=chosen),
    )
    two = np.where(true == "ant", "ant", "bee"), np.where(predicted == "ant", "ant", "bee")
    assert metrics.f1_score(*two, pos_label="ant") == reference.f1_score(*two, pos_label="ant")


def test_a_label_in_one_block_only(labels):
    true, predicted = (np.sort(values) for values in labels)
    lazy = [da.from_array(values, chunks=100) for values in (true, predicted)]
    wanted = reference.f1_score(true, predicted, average=None)
    np.testing.assert_allclose(metrics.f1_score(*lazy, average=None), wanted, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_probabilities(labels, binary, probabilities, weight, weighted):
    w = weight if weighted else None
    one = 1 / (1 + np.exp(-binary[1]))
    lazy = da.from_array(labels[0], chunks=170), da.from_array(probabilities, chunks=(170, 4))
    lazy_weight = None if w is None else da.from_array(w, chunks=170)
    for name in ("log_loss", "brier_score_loss", "d2_log_loss_score", "d2_brier_score"):
        ours, theirs = getattr(metrics, name), getattr(reference, name)
        wanted = theirs(labels[0], probabilities, sample_weight=w)
        found = ours(labels[0], probabilities, sample_weight=w)
        assert found == pytest.approx(wanted, rel=1e-10), name
        assert ours(*lazy, sample_weight=lazy_weight) == pytest.approx(wanted, rel=1e-10), name
        wanted = theirs(binary[0], one, sample_weight=w)
        assert ours(binary[0], one, sample_weight=w) == pytest.approx(wanted, rel=1e-10), name


def test_certain_mistakes_cost_as_in_scikit_learn():
    y, p = np.array([0, 1, 1]), np.array([0.0, 0.0, 0.5])
    assert metrics.log_loss(y, p) == pytest.approx(reference.log_loss(y, p), rel=1e-12)
    narrow = p.astype(np.float32)
    assert metrics.log_loss(y, narrow) == pytest.approx(reference.log_loss(y, narrow), rel=1e-6)


def test_labels_that_do_not_occur():
    y, P = np.array([0, 2]), np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    wanted = reference.log_loss(y, P, labels=[0, 1, 2])
    assert metrics.log_loss(y, P, labels=[0, 1, 2]) == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(ValueError, match=r"of 3 classes, but 2 labels were found: 0\.0, 2\.0"):
        metrics.log_loss(y, P)


RANKING_METRICS = ("roc_auc_score", "average_precision_score")


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("weighted", [False, True])
def test_rankings_of_two_classes(binary, weight, kind, weighted):
    w = weight if weighted else None
    given = [as_kind(values, kind) for values in binary]
    for name in RANKING_METRICS:
        found = getattr(metrics, name)(*given, sample_weight=as_kind(w, kind))
        wanted = getattr(reference, name)(*binary, sample_weight=w)
        assert found == pytest.approx(wanted, rel=1e-12), name
        assert found.error_bound == 0
    found = metrics.roc_auc_score(*given, sample_weight=as_kind(w, kind), max_fpr=0.2)
    wanted = reference.roc_auc_score(*binary, sample_weight=w, max_fpr=0.2)
    assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("name", ["roc_curve", "precision_recall_curve"])
@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("weighted", [False, True])
def test_curves_are_scikit_learns(binary, weight, kind, weighted, name, drop):
    y, score = binary[0], np.round(binary[1], 2)  # scores that occur more than once
    w = weight if weighted else None
    lazy = [as_kind(values, kind) for values in (y, score, w)]
    found = getattr(metrics, name)(*lazy[:2], sample_weight=lazy[2], drop_intermediate=drop)
    wanted = getattr(reference, name)(y, score, sample_weight=w, drop_intermediate=drop)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_curves_of_named_labels_and_what_they_cannot_take(binary, rng):
    y, score = binary
    named = np.where(y == 1, "ill", "well")
    found = metrics.roc_curve(named, score, pos_label="ill")
    np.testing.assert_allclose(found[1], reference.roc_curve(y, score)[1], rtol=1e-12)
    with pytest.raises(ValueError, match="pos_label=1 isn't a label: these are"):
        metrics.roc_curve(named, score)
    with pytest.raises(ValueError, match="3 labels, but a curve is of two"):
        metrics.roc_curve(rng.integers(0, 3, len(score)), score)
    with pytest.raises(ValueError, match="2 columns: give that of"):
        metrics.precision_recall_curve(y, np.column_stack([score, score]))


def test_points_of_more_scores_than_fit_lie_on_the_curve(rng):
    true = rng.integers(0, 2, 20_000).astype(float)
    score = 1 / (1 + np.exp(-rng.normal(size=len(true)) - true))
    few = summarise(200, [Block(score[:, np.newaxis], true[:, np.newaxis])])
    for curve in (reference.roc_curve, reference.precision_recall_curve):
        whole = functools.partial(curve, drop_intermediate=False)
        first, second, thresholds = curve_of(whole, 1.0, few)
        assert 20 < len(thresholds) <= 101
        for place in range(1, len(thresholds)):
            reached = score >= thresholds[place]
            hits = true[reached].sum()
            if curve is reference.roc_curve:
                wanted = ((~true[reached].astype(bool)).sum() / (1 - true).sum(), hits / true.sum())
            else:
                wanted = (hits / reached.sum(), hits / true.sum())
            np.testing.assert_allclose((first[place], second[place]), wanted, rtol=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
def test_rankings_of_several_classes(labels, probabilities, weight, average):
    y, P = labels[0], probabilities
    options = {"average": average, "sample_weight": weight}
    np.testing.assert_allclose(
        metrics.roc_auc_score(y, P, multi_class="ovr", **options),
        reference.roc_auc_score(y, P, multi_class="ovr", **options),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        metrics.average_precision_score(y, P, **options),
        reference.average_precision_score(y, P, **options),
        rtol=1e-12,
    )
    if average in ("macro", "weighted"):
        found = metrics.roc_auc_score(y, P, multi_class="ovo", average=average)
        wanted = reference.roc_auc_score(y, P, multi_class="ovo", average=average)
        assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(("most", "bound"), [(2000, 0.01), (200, 0.05), (60, 0.5)])
def test_more_scores_than_fit_are_within_their_bound(rng, most, bound):
    true = rng.integers(0, 2, 20_000)
    score = 1 / (1 + np.exp(-rng.normal(size=len(true)) - true))
    y = true.astype(float)[:, np.newaxis]
    parts = [
        summarise(most, [Block(score[low : low + 3000, np.newaxis], y[low : low + 3000])])
        for low in range(0, len(true), 3000)
    ]
    columns = functools.reduce(RANKING.merge, parts).columns[0]
    assert len(columns.keys) <= most // 2
    negative, positive = columns.weights.T
    for ours, theirs in (
        (area, reference.roc_auc_score),
        (average_precision, reference.average_precision_score),
    ):
        found, wanted = ours(columns, positive, negative), theirs(true, score)
        assert 0 < found.error_bound < bound
        assert abs(found - wanted) <= found.error_bound


def test_intervals_do_not_depend_on_the_order_of_merging(rng):
    values, ones = rng.normal(size=3000), np.ones((3000, 1))
    whole = order(values, ones, 100)
    halves = [order(values[part], ones[part], 100) for part in (slice(1200), slice(1200, None))]
    joined = ordered_weights.merge(*halves, 100)
    assert joined.shift == whole.shift
    np.testing.assert_array_equal(joined.keys, whole.keys)
    np.testing.assert_array_equal(joined.weights, whole.weights)
    assert (values_of(whole) <= values_of(whole, end=True)).all()


def test_keys_are_in_the_order_of_values(rng):
    values = np.concatenate([rng.normal(size=100), [0.0, -0.0, 1e300, -1e300, 5e-324]])
    place = np.argsort(values, kind="stable")
    assert (np.diff(keys_of(values)[place]) >= 0).all()
    np.testing.assert_array_equal(values_of(order(values, np.ones((105, 1)))), np.unique(values))


NUMBER_METRICS = (
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_log_error",
    "median_absolute_error",
    "r2_score",
    "explained_variance_score",
    "d2_absolute_error_score",
)


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_numbers(numbers, weight, kind, weighted):
    w = weight if weighted else None
    given, lazy_weight = [as_kind(values, kind) for values in numbers], as_kind(w, kind)
    for name in NUMBER_METRICS:
        found = getattr(metrics, name)(*given, sample_weight=lazy_weight)
        wanted = getattr(reference, name)(*numbers, sample_weight=w)
        assert found == pytest.approx(wanted, rel=1e-10), name
    for power in (-1, 0, 1, 1.5, 2, 3):
        for name in ("mean_tweedie_deviance", "d2_tweedie_score"):
            found = getattr(metrics, name)(*given, sample_weight=lazy_weight, power=power)
            wanted = getattr(reference, name)(*numbers, sample_weight=w, power=power)
            assert found == pytest.approx(wanted, rel=1e-9), (name, power)
    for name in ("mean_poisson_deviance", "mean_gamma_deviance"):
        found = getattr(metrics, name)(*given, sample_weight=lazy_weight)
        assert found == pytest.approx(getattr(reference, name)(*numbers, sample_weight=w), rel=1e-9)
    if not weighted:
        assert metrics.max_error(*given) == reference.max_error(*numbers)


@pytest.mark.parametrize("multioutput", ["uniform_average", "raw_values", [0.2, 0.8]])
def test_several_outputs(numbers, weight, multioutput):
    Y = np.column_stack(numbers)
    P = Y[:, ::-1] * 0.9
    lazy = [da.from_array(values, chunks=(300, 2)) for values in (Y, P)]
    for name in NUMBER_METRICS:
        options = {"sample_weight": weight, "multioutput": multioutput}
        wanted = getattr(reference, name)(Y, P, **options)
        np.testing.assert_allclose(getattr(metrics, name)(Y, P, **options), wanted, rtol=1e-10)
        options["sample_weight"] = da.from_array(weight, chunks=300)
        np.testing.assert_allclose(getattr(metrics, name)(*lazy, **options), wanted, rtol=1e-10)
    found = metrics.r2_score(Y, P, multioutput="variance_weighted")
    assert found == pytest.approx(reference.r2_score(Y, P, multioutput="variance_weighted"))


def test_a_median_of_more_errors_than_fit_is_within_its_bound(rng, monkeypatch):
    errors = rng.gamma(2, 1, 20_000)
    ordered = order(errors, np.ones((20_000, 1)), 500)
    found = metrics.errors.median(ordered)
    assert 0 < found.error_bound < 0.02
    assert abs(found - np.median(errors)) <= found.error_bound


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_medians_of_few(rng, rows):
    y, p, w = rng.normal(size=rows), rng.normal(size=rows), rng.integers(1, 4, rows).astype(float)
    found = metrics.median_absolute_error(y, p, sample_weight=w)
    wanted = reference.median_absolute_error(y, p, sample_weight=w)
    assert found == pytest.approx(wanted, rel=1e-12)


class Reads:
    """Counts how often chunks are made."""

    def __init__(self):
        self.n = 0

    def __call__(self, chunk):
        self.n += 1
        return chunk


def test_any_number_of_metrics_is_one_pass(numbers):
    reads = Reads()
    y, p = (da.from_array(values, chunks=100) for values in numbers)
    y = y.map_blocks(reads, dtype=float, meta=np.empty(0))
    names = ["r2", "neg_mean_absolute_error", "median_absolute_error", "mean_gamma_deviance"]
    found = metrics.evaluate(y, p, metrics=names)
    assert reads.n == 10
    assert list(found) == names
    assert found["r2"] == pytest.approx(reference.r2_score(*numbers))
    assert found["neg_mean_absolute_error"] == pytest.approx(
        -reference.mean_absolute_error(*numbers)
    )


def test_predictions_and_scores_together(binary):
    y, score = binary
    p = 1 / (1 + np.exp(-score))
    found = metrics.evaluate(
        y, (p > 0.5).astype(int), y_score=p, metrics=["accuracy", "f1", "roc_auc", "log_loss"]
    )
    assert found["accuracy"] == reference.accuracy_score(y, p > 0.5)
    assert found["f1"] == pytest.approx(reference.f1_score(y, p > 0.5))
    assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(y, p))
    assert found["log_loss"] == pytest.approx(reference.log_loss(y, p))


@pytest.fixture(scope="module")
def rows(rng):
    X = rng.normal(size=(N, 3))
    two = (X[:, 0] + rng.logistic(size=N) > 0).astype(float)
    three = (X[:, :3] + rng.gumbel(size=(N, 3))).argmax(axis=1)
    return X, two, three, X @ [1.0, 2.0, 3.0] + rng.normal(size=N)


CLASSIFIED = ("roc_auc", "average_precision", "accuracy", "neg_log_loss", "neg_brier_score", "f1")
SEVERAL = ("roc_auc_ovr", "roc_auc_ovo_weighted", "f1_macro", "neg_log_loss", "balanced_accuracy")
PREDICTED = ("r2", "neg_mean_squared_error", "neg_median_absolute_error", "neg_max_error")


@pytest.mark.parametrize("lazy", [False, True])
def test_scorers_are_scikit_learns(rows, lazy):
    X, two, three, y = rows
    cases = [
        (LogisticRegression().fit(X, two), two, CLASSIFIED),
        (LogisticRegression().fit(X, three), three, SEVERAL),
        (LinearRegression().fit(X, y), y, PREDICTED),
    ]
    for model, target, names in cases:
        inputs = (X, target)
        if lazy:
            inputs = da.from_array(X, chunks=(300, 3)), da.from_array(target, chunks=300)
        together = metrics.score_estimator(model, *inputs, names)
        for name in names:
            wanted = reference.get_scorer(name)(model, X, target)
            assert together[name] == pytest.approx(wanted, rel=1e-9), name
            found = metrics.get_scorer(name)(model, *inputs)
            assert found == pytest.approx(wanted, rel=1e-9), name


def test_scorers_take_any_estimator_and_weights(rows, weight):
    X, two, _, _ = rows
    model = PeerLogisticRegression().fit(X, two)
    for name in CLASSIFIED:
        wanted = reference.get_scorer(name)(model, X, two, sample_weight=weight)
        found = metrics.get_scorer(name)(model, X, two, sample_weight=weight)
        assert found == pytest.approx(wanted, rel=1e-9), name


def test_scorers_of_a_dataset(rows, weight, tmp_path):
    X, two, _, _ = rows
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame.assign(y=two, w=weight).to_parquet(tmp_path / "rows.parquet", row_group_size=300)
    dataset = flowml.read_parquet(tmp_path / "rows.parquet", target="y", weight="w")
    model, array_model = LogisticRegression().fit(dataset), LogisticRegression().fit(X, two, weight)
    found = metrics.score_estimator(model, dataset, None, CLASSIFIED)
    for name in CLASSIFIED:
        wanted = reference.get_scorer(name)(array_model, X, two, sample_weight=weight)
        assert found[name] == pytest.approx(wanted, rel=1e-9), name


def test_classifiers_score_themselves(rows, weight, tmp_path):
    X, two, three, _ = rows
    names = np.array(["ant", "bee", "cicada"])[three]
    model = LogisticRegression().fit(X, names)
    wanted = reference.accuracy_score(names, model.predict(X), sample_weight=weight)
    assert model.score(X, names, weight) == pytest.approx(wanted, rel=1e-12)
    lazy = da.from_array(X, chunks=(300, 3)), da.from_array(two, chunks=300)
    model = LogisticRegression().fit(*lazy)
    wanted = reference.accuracy_score(two, model.predict(X))
    assert model.score(*lazy) == pytest.approx(wanted, rel=1e-12)
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=two)
    frame.to_parquet(tmp_path / "rows.parquet")
    dataset = flowml.read_parquet(tmp_path / "rows.parquet", target="y")
    assert LogisticRegression().fit(dataset).score(dataset) == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(ValueError, match=r"y holds the label 2\.0, which fit hasn't seen"):
        model.score(X, three)


def test_scorer_names_are_scikit_learns():
    assert set(metrics.get_scorer_names()) <= set(reference.get_scorer_names())
    with pytest.raises(ValueError, match="'goodness' is no scorer: there are accuracy"):
        metrics.get_scorer("goodness")


def test_on_a_cluster(client, labels, binary):
    given = [da.from_array(values, chunks=170) for values in labels]
    assert metrics.accuracy_score(*given) == reference.accuracy_score(*labels)
    given = [da.from_array(values, chunks=170) for values in binary]
    assert metrics.roc_auc_score(*given) == pytest.approx(reference.roc_auc_score(*binary))


def test_wrong_input_is_named(binary, numbers):
    y, score = binary
    with pytest.raises(ValueError, match="y_true has 1000 rows, y_pred has 10 rows"):
        metrics.accuracy_score(y, y[:10])
    with pytest.raises(ValueError, match="one of y_true and y_pred holds strings"):
        metrics.accuracy_score(y, y.astype(str))
    with pytest.raises(ValueError, match="no probability: they lie between 0 and 1"):
        metrics.log_loss(y, score)
    with pytest.raises(ValueError, match="only one class occurs in y_true"):
        metrics.roc_auc_score(np.zeros(N), score)
    with pytest.raises(ValueError, match="contains NaN: block 0, row 3"):
        metrics.mean_squared_error(numbers[0], np.where(np.arange(N) == 3, np.nan, numbers[1]))
    with pytest.raises(ValueError, match="y_pred holds -1: for power=1 it must be above 0"):
        metrics.mean_poisson_deviance(numbers[0], np.full(N, -1.0))
    with pytest.raises(ValueError, match="y_true holds -1: for power=2 it must be above 0"):
        metrics.mean_gamma_deviance(np.full(N, -1.0), numbers[1])
    with pytest.raises(ValueError, match="metric 'roc_auc' needs y_score="):
        metrics.evaluate(y, y, metrics=["accuracy", "roc_auc"])
    with pytest.raises(ValueError, match="looks like a continuous target"):
        metrics.accuracy_score(np.arange(9000.0), np.arange(9000.0))
    with pytest.raises(ValueError, match="multi_class='ovr' or 'ovo'"):
        metrics.roc_auc_score(y, np.column_stack([score, score]))
    with pytest.raises(ValueError, match="nothing to measure"):
        metrics.f1_score(y, y, sample_weight=np.zeros(N))


def test_rankings_join_by_label():
    left = summarise(1000, [Block(np.array([[0.5]]), np.array([["b"]]))])
    right = summarise(1000, [Block(np.array([[0.5]]), np.array([["a"]]))])
    both = RANKING.merge(left, right)
    assert both.labels.tolist() == ["a", "b"]
    np.testing.assert_array_equal(both.columns[0].weights, [[1.0, 1.0]])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_a_block_without_rows_of_a_split_has_answers_too(method: str) -> None:
    random = np.random.default_rng(0)
    labels = pd.Categorical(random.choice(list("xyz"), 90))
    frame = pd.DataFrame({"number": random.normal(size=90), "label": labels})
    model = LogisticRegression().fit(frame, random.integers(0, 2, 90))
    empty = Mixed(np.zeros((0, 1)), np.zeros((0, 1), np.int32), (np.array(list("xyz")),))
    assert Answers(model, method)(empty).shape == (0,)
