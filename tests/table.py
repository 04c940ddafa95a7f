"""The one table of folds and estimators that the laws run over: a new one is a new row here."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from flowml.cluster import KMeans
from flowml.kernels.assignment import ASSIGNMENT, AssignmentAsk
from flowml.kernels.column_extremes import COLUMN_EXTREMES
from flowml.kernels.column_moments import COLUMN_MOMENTS
from flowml.kernels.confusion import CONFUSION
from flowml.kernels.deviance import deviance_fold
from flowml.kernels.fold import Fold
from flowml.kernels.gram import GRAM
from flowml.kernels.label_scores import LABEL_SCORES
from flowml.kernels.labels import LABEL_WEIGHTS
from flowml.kernels.leave_one_out import LEAVE_ONE_OUT, LeaveOneOut
from flowml.kernels.linear_loss import LOSS_CURVATURE, LOSS_GRADIENT, LossSums, Point, Target
from flowml.kernels.lloyd import LLOYD, LloydSums
from flowml.kernels.masked import MaskedAsk, masked
from flowml.kernels.near_kinks import NEAR_KINKS, KinkAsk, NearKinks
from flowml.kernels.nonfinite import FIRST_NONFINITE
from flowml.kernels.normal_residual import NORMAL_RESIDUAL, Candidate, NormalResidual
from flowml.kernels.ordered_weights import values_of
from flowml.kernels.prediction_deviance import prediction_deviance
from flowml.kernels.prediction_errors import PREDICTION_ERRORS
from flowml.kernels.prediction_values import PREDICTION_VALUES, PredictionValues, ValuesAsk
from flowml.kernels.ranking import MOST_WEIGHTS, RANKING, Ranking
from flowml.kernels.sample import SAMPLE, Sample, SampleAsk, gathered
from flowml.kernels.score_products import SCORE_PRODUCTS, ScoreAsk, ScoreProducts
from flowml.kernels.seeding import SEEDING, Seeding, SeedingAsk
from flowml.kernels.splits import TRAIN, Subset
from flowml.kernels.squared_error import SQUARED_ERROR, Predictor
from flowml.kernels.strata import rows_in_order
from flowml.kernels.target_range import FIRST_OUTSIDE, TargetRange
from flowml.kernels.target_totals import totals_fold
from flowml.kernels.triangular import TRIANGLE, Triangle
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
from flowml.losses.epsilon_insensitive import EpsilonInsensitiveLoss
from flowml.losses.families import Gaussian, Interval
from flowml.losses.family_loss import FamilyLoss
from flowml.losses.links import Power
from flowml.losses.loss import Loss
from flowml.losses.multinomial import MultinomialLoss
from flowml.losses.squared import SquaredLoss
from flowml.multiclass import OneVsRestClassifier
from flowml.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from flowml.solvers.lloyd import ask_about
from flowml.splitters import KFold
from flowml.svm import LinearSVC, LinearSVR

N_FEATURES = 4


def make_data(n_rows: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X away from zero, y, and whole weights of which some are 0."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n_rows, N_FEATURES)) * [1, 2, 0.5, 3] + [0, 10, -5, 100]
    y = X @ [1.0, -2.0, 0.5, 0.1] + random.standard_normal(n_rows)
    weight = random.integers(0, 3, n_rows).astype(np.float64)
    return X, y, weight


@dataclass(frozen=True)
class FoldRow:
    """A fold under the laws.

    Parameters
    ----------
    name : str
    fold : Fold
    ask : what is asked of the rows of `make_data`
    with_y : bool
        Whether the blocks carry y.
    target : callable, optional
        Makes what the fold takes of `make_data`'s y.
    weighted : bool
        Whether the law of weights holds; a search for broken values looks at every row.
    row_counts : tuple of str
        Fields that add up over rows, whatever their weight above zero.
    view : callable
        Returns the values to compare of a summary, by name.
    float32_rtol : float
        How far float32 blocks may be from the same values in float64: above rounding only where
        the fold computes in X's dtype.
    """

    name: str
    fold: Fold
    ask: Any = None
    with_y: bool = False
    target: Callable[[np.ndarray], np.ndarray] | None = None
    weighted: bool = True
    row_counts: tuple[str, ...] = ("rows",)
    view: Callable[[Any], dict[str, Any]] = operator.methodcaller("_asdict")
    float32_rtol: float = 1e-9


@dataclass(frozen=True)
class EstimatorRow:
    """An estimator under the laws.

    Parameters
    ----------
    name : str
    make : callable
        Returns a new estimator.
    learned : tuple of str
        The fitted attributes that hold what was learned.
    with_y : bool
    target : callable
        Makes y of that of `make_data`: labels for a classifier, say.
    sparse : bool
        Whether it takes CSR.
    in_the_mean : str or None
        Why blocks and repeated rows change what is learned, where they do: the laws of weights and
        of blocks then hold of the score only.
    make_for_checks : callable, optional
        Returns the estimator for scikit-learn's checks, whose data are others, if `make` can't.
    expected_failed_checks : dict of str to str
        Checks of scikit-learn's that can't pass, each with its reason.
    """

    name: str
    make: Callable[[], Any]
    learned: tuple[str, ...]
    with_y: bool = False
    target: Callable[[np.ndarray], np.ndarray] = np.asarray
    sparse: bool = True
    in_the_mean: str | None = None
    make_for_checks: Callable[[], Any] | None = None
    expected_failed_checks: dict[str, str] = field(default_factory=dict)

    def data(self, n_rows: int = 240) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return X, a target that the estimator takes, and weights."""
        X, y, weight = make_data(n_rows)
        return X, self.target(y), weight


def two_classes(y: np.ndarray) -> np.ndarray:
    """Return labels that the rows don't separate."""
    return np.where(y + 3 * np.sin(7 * y) > np.median(y), 1.0, -1.0)


def three_classes(y: np.ndarray) -> np.ndarray:
    """Return labels that the rows don't separate."""
    return np.digitize(y + 3 * np.sin(7 * y), np.quantile(y, [0.3, 0.7])).astype(np.float64)


def amounts(y: np.ndarray) -> np.ndarray:
    """Return numbers above zero."""
    return np.exp(0.1 * (y - y.mean()))


def counts(y: np.ndarray) -> np.ndarray:
    """Return whole numbers of zero and more."""
    return np.floor(2.0 * amounts(y))


COEF, INTERCEPT = np.array([[1.0, -2.0, 0.5, 0.2]]), np.array([3.0])
CENTER = np.array([0.0, 10.0, -5.0, 100.0, -12.0])


def triangle_view(triangle: Triangle) -> dict[str, Any]:
    """Return what the factor determines: its rows may differ in sign."""
    return {"rows": triangle.rows, "products": triangle.R.T @ triangle.R}


def residual_view(residual: NormalResidual) -> dict[str, Any]:
    """Return the sums: how they are split into two numbers may differ."""
    return {"sums": residual.high + residual.low}


def lloyd_view(sums: LloydSums) -> dict[str, Any]:
    """Return the sums and the distances of the farthest rows."""
    return {
        "rows": sums.rows,
        "weights": sums.weights,
        "sums": sums.sums,
        "scatter": sums.scatter,
        "far": sums.far.distances,
    }


def kinks_view(kinks: NearKinks) -> dict[str, Any]:
    """Return the sums, and what the near kinks add up to."""
    bends = kinks.below + kinks.above
    return {
        "weight": kinks.weight,
        "value": kinks.value,
        "slope": kinks.slope,
        "bends": bends @ kinks.Z,
        "gaps": bends @ kinks.gap,
        "n_far": kinks.n_far,
    }


def seeding_view(seeding: Seeding) -> dict[str, Any]:
    """Return what candidates attract, and the keys by which rows were drawn."""
    draws = [draw.keys for draw in seeding.draws]
    return {
        "rows": seeding.rows,
        "weights": seeding.weights,
        "potentials": seeding.potentials,
        "draws": np.concatenate(draws),
    }


def loss_point(loss: Loss, classes: np.ndarray | None = None) -> Point:
    """Return a place to ask a loss about."""
    coef = np.linspace(-0.5, 0.5, loss.n_outputs * N_FEATURES).reshape(-1, N_FEATURES)
    return Point(loss, Target(classes), coef, np.arange(1.0, loss.n_outputs + 1), CENTER[:-1])


def loss_view(sums: LossSums) -> dict[str, Any]:
    """Return the sums that were asked for."""
    return {name: value for name, value in sums._asdict().items() if value is not None}


def sample_view(sample: Sample) -> dict[str, Any]:
    """Return the drawn rows, dense."""
    values = gathered(sample)._asdict()
    X = values["X"].toarray() if sp.issparse(values["X"]) else values["X"]
    counts = {"rows": sample.rows, "weight": sample.weight, "limit": sample.limit}
    return values | counts | {"X": X.astype(np.float64)}


CENTERS = make_data()[0][[3, 50, 120]].astype(np.float32).astype(np.float64)
LLOYD_ASK = ask_about(CENTERS, np.zeros(N_FEATURES), remember=True, n_far=5)
SEEDING_ASK = SeedingAsk(CENTERS[:2], (1, 1), CENTERS[2:], 5, seed=7, remember=True, sparse=True)

SPLITS = KFold(3, shuffle=True, random_state=0).splits(rows_in_order(240))
LEFT_OUT = LeaveOneOut(CENTER, COEF[np.newaxis], np.eye(4), np.full((4, 1), 1e-6), 1e-3)


def two_labels(y: np.ndarray) -> np.ndarray:
    """Return a true and a predicted label for each row."""
    return np.column_stack([np.round(y / 10), np.round((y + 3) / 10)])


def predicted(y: np.ndarray) -> np.ndarray:
    """Return targets, and predictions beside them."""
    return np.column_stack([y, 0.9 * y + 1])


def grouped(y: np.ndarray) -> np.ndarray:
    """Return targets, and groups that span blocks beside them."""
    return np.column_stack([y, np.arange(len(y)) % 7])


def groups_view(products: ScoreProducts) -> dict[str, Any]:
    """Return the groups, and all sums but those over rows by themselves."""
    values = products._asdict()
    groups = values.pop("groups")
    return values | groups._asdict()


def ranking_view(ranking: Ranking) -> dict[str, Any]:
    """Return the scores and their weights."""
    values = np.concatenate([values_of(column) for column in ranking.columns])
    weights = np.concatenate([column.weights for column in ranking.columns])
    return {"labels": ranking.labels, "values": values, "weights": weights}


def values_view(values: PredictionValues) -> dict[str, Any]:
    """Return the values and their weights."""
    return {
        "values": np.concatenate([values_of(column) for column in values.columns]),
        "weights": np.concatenate([column.weights for column in values.columns]),
    }


FOLDS = [
    FoldRow("gram", GRAM, with_y=True, row_counts=("rows", "log_weight")),
    FoldRow("triangle", TRIANGLE, CENTER, with_y=True, view=triangle_view),
    FoldRow(
        "normal residual",
        NORMAL_RESIDUAL,
        Candidate(CENTER, COEF, INTERCEPT),
        with_y=True,
        view=residual_view,
    ),
    FoldRow(
        "gram of a split",
        masked(GRAM),
        MaskedAsk(Subset(SPLITS, 1, TRAIN), None),
        with_y=True,
        weighted=False,  # a row twice is two rows, each in a split of its own
    ),
    FoldRow(
        "leaving one out",
        LEAVE_ONE_OUT,
        LEFT_OUT,
        with_y=True,
        weighted=False,  # of a row twice one is left out
    ),
    FoldRow("squared error", SQUARED_ERROR, Predictor(COEF, INTERCEPT), with_y=True),
    FoldRow("nearest centres", LLOYD, LLOYD_ASK, row_counts=("rows", "far"), view=lloyd_view),
    FoldRow("assignment", ASSIGNMENT, AssignmentAsk(LLOYD_ASK, labels=False)),
    FoldRow(
        "seeding",
        SEEDING,
        SEEDING_ASK,
        row_counts=("rows", "draws"),
        view=seeding_view,
        float32_rtol=1e-3,  # distances only set the odds of a draw: X's dtype is enough
    ),
    FoldRow(
        "loss and gradient", LOSS_GRADIENT, loss_point(SquaredLoss()), with_y=True, view=loss_view
    ),
    FoldRow(
        "loss and curvature", LOSS_CURVATURE, loss_point(SquaredLoss()), with_y=True, view=loss_view
    ),
    FoldRow(
        "multinomial curvature",
        LOSS_CURVATURE,
        loss_point(MultinomialLoss(3), classes=np.array([-20.0, -10.0, 0.0])),
        with_y=True,
        view=loss_view,
    ),
    FoldRow(
        "near kinks",
        NEAR_KINKS,
        KinkAsk(loss_point(EpsilonInsensitiveLoss(2.0)), 5.0, 1000),
        with_y=True,
        row_counts=("n_far",),
        view=kinks_view,
    ),
    FoldRow(
        "sample",
        SAMPLE,
        SampleAsk(60, 0.5, seed=3),
        with_y=True,
        row_counts=("rows", "keys", "X", "y", "weights"),
        view=sample_view,
    ),
    FoldRow("labels", LABEL_WEIGHTS, with_y=True, row_counts=("rows", "idle")),
    FoldRow("first non-finite value", FIRST_NONFINITE, ask=True, with_y=True, weighted=False),
    FoldRow(
        "first target outside",
        FIRST_OUTSIDE,
        TargetRange(Target(), Interval(-1e6)),  # a place found depends on the cuts
        with_y=True,
        weighted=False,
    ),
    FoldRow(
        "deviance",
        deviance_fold(Gaussian(), Power(1.0)),
        Point(SquaredLoss(), Target(), COEF, INTERCEPT, CENTER[:-1]),
        with_y=True,
    ),
    FoldRow(
        "products of scores",
        SCORE_PRODUCTS,
        ScoreAsk(loss_point(SquaredLoss())),
        with_y=True,
        view=groups_view,
        weighted=False,  # a weight is squared with the score
    ),
    FoldRow(
        "scores by group",
        SCORE_PRODUCTS,
        ScoreAsk(loss_point(SquaredLoss()), group=1),
        with_y=True,
        target=grouped,
        view=groups_view,
    ),
    FoldRow(
        "totals of targets", totals_fold(FamilyLoss(Gaussian(), Power(1.0))), Target(), with_y=True
    ),
    FoldRow("confusion", CONFUSION, with_y=True, target=two_labels),
    FoldRow("probabilities by label", LABEL_SCORES, 1e-16, with_y=True, target=two_labels),
    FoldRow("ranking", RANKING, MOST_WEIGHTS, with_y=True, target=two_labels, view=ranking_view),
    FoldRow("errors", PREDICTION_ERRORS, with_y=True, target=predicted),
    FoldRow(
        "ordered errors",
        PREDICTION_VALUES,
        ValuesAsk(errors=True),
        with_y=True,
        target=predicted,
        view=values_view,
    ),
    FoldRow(
        "deviance of predictions", prediction_deviance(Gaussian()), with_y=True, target=predicted
    ),
    FoldRow("column moments", COLUMN_MOMENTS),
    FoldRow("column extremes", COLUMN_EXTREMES),
]

WEIGHTS_ARE_SPLIT = dict.fromkeys(
    (
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    ),
    "a row that is there twice may be tested in one split and trained on in another",
)

EPOCHS_STEP_BY_STEP = "an epoch steps from row to row, on each block by itself"

ESTIMATORS = [
    EstimatorRow("LinearRegression", LinearRegression, ("coef_", "intercept_"), with_y=True),
    EstimatorRow("Ridge", lambda: Ridge(alpha=2.0), ("coef_", "intercept_"), with_y=True),
    EstimatorRow(
        "LogisticRegression",
        lambda: LogisticRegression(tol=1e-10),
        ("coef_", "intercept_", "classes_"),
        with_y=True,
        target=two_classes,
        make_for_checks=LogisticRegression,
    ),
    EstimatorRow(
        "LogisticRegression, three classes, lasso",
        lambda: LogisticRegression(C=0.1, l1_ratio=0.5, tol=1e-10),
        ("coef_", "intercept_", "classes_"),
        with_y=True,
        target=three_classes,
        make_for_checks=LogisticRegression,
    ),
    EstimatorRow(
        "RidgeCV",
        lambda: RidgeCV(alphas=[2.0]),
        ("coef_", "intercept_", "alpha_"),
        with_y=True,
        make_for_checks=RidgeCV,
        expected_failed_checks=WEIGHTS_ARE_SPLIT,
    ),
    EstimatorRow(
        "LogisticRegressionCV",
        lambda: LogisticRegressionCV(Cs=[0.1], tol=1e-10, cv=3, random_state=0),
        ("coef_", "intercept_", "C_"),
        with_y=True,
        target=two_classes,
        make_for_checks=lambda: LogisticRegressionCV(Cs=2, cv=2),
        expected_failed_checks=WEIGHTS_ARE_SPLIT,
    ),
    EstimatorRow(
        "RidgeCV with splits",
        lambda: RidgeCV(alphas=[2.0], cv=3),
        ("coef_", "intercept_", "alpha_"),
        with_y=True,
        make_for_checks=lambda: RidgeCV(cv=3),
        expected_failed_checks=WEIGHTS_ARE_SPLIT,
    ),
    EstimatorRow(
        "Lasso",
        lambda: Lasso(alpha=0.1, tol=1e-14),
        ("coef_", "intercept_"),
        with_y=True,
    ),
    EstimatorRow(
        "ElasticNet by newton",
        lambda: ElasticNet(alpha=0.1, tol=1e-10, solver="newton"),
        ("coef_", "intercept_"),
        with_y=True,
        make_for_checks=ElasticNet,
    ),
    EstimatorRow(
        "LassoCV",
        lambda: LassoCV(alphas=[0.1], tol=1e-14, cv=3),
        ("coef_", "intercept_", "alpha_"),
        with_y=True,
        make_for_checks=LassoCV,
        expected_failed_checks=WEIGHTS_ARE_SPLIT,
    ),
    EstimatorRow(
        "ElasticNetCV",
        lambda: ElasticNetCV(alphas=[0.1], tol=1e-14, cv=3),
        ("coef_", "intercept_", "alpha_"),
        with_y=True,
        make_for_checks=ElasticNetCV,
        expected_failed_checks=WEIGHTS_ARE_SPLIT,
    ),
    EstimatorRow(
        "HuberRegressor",
        lambda: HuberRegressor(tol=1e-10),
        ("coef_", "intercept_", "scale_"),
        with_y=True,
        make_for_checks=HuberRegressor,
    ),
    EstimatorRow(
        "PoissonRegressor",
        lambda: PoissonRegressor(alpha=0.1, tol=1e-11),
        ("coef_", "intercept_"),
        with_y=True,
        target=counts,
    ),
    EstimatorRow(
        "GammaRegressor",
        lambda: GammaRegressor(alpha=0.1, tol=1e-11),
        ("coef_", "intercept_"),
        with_y=True,
        target=amounts,
    ),
    EstimatorRow(
        "TweedieRegressor",
        lambda: TweedieRegressor(power=1.5, alpha=0.1, tol=1e-11),
        ("coef_", "intercept_"),
        with_y=True,
        target=counts,
    ),
    EstimatorRow(
        "GeneralizedLinearRegressor",
        lambda: GeneralizedLinearRegressor(
            family="negative_binomial", alpha=0.1, l1_ratio=0.3, lower_bounds=-0.1, tol=1e-11
        ),
        ("coef_", "intercept_"),
        with_y=True,
        target=counts,
        make_for_checks=GeneralizedLinearRegressor,
    ),
    EstimatorRow(
        "QuantileRegressor",
        lambda: QuantileRegressor(quantile=0.7, alpha=0.01),
        ("coef_", "intercept_"),
        with_y=True,
        make_for_checks=QuantileRegressor,
    ),
    EstimatorRow(
        "RidgeClassifier",
        lambda: RidgeClassifier(class_weight="balanced"),
        ("coef_", "intercept_", "classes_"),
        with_y=True,
        target=three_classes,
    ),
    EstimatorRow(
        "OneVsRestClassifier",
        lambda: OneVsRestClassifier(LogisticRegression(tol=1e-10)),
        ("classes_", "coef_", "intercept_"),
        with_y=True,
        target=three_classes,
        make_for_checks=lambda: OneVsRestClassifier(LogisticRegression()),
    ),
    EstimatorRow(
        "LinearSVC, three classes",
        lambda: LinearSVC(tol=1e-10),
        ("coef_", "intercept_", "classes_"),
        with_y=True,
        target=three_classes,
        make_for_checks=LinearSVC,
    ),
    EstimatorRow(
        "LinearSVC, hinge, lasso",
        lambda: LinearSVC("l1", "hinge", C=0.1),
        ("coef_", "intercept_", "classes_"),
        with_y=True,
        target=two_classes,
        make_for_checks=lambda: LinearSVC(loss="hinge"),
    ),
    EstimatorRow(
        "LinearSVR",
        lambda: LinearSVR(epsilon=0.5),
        ("coef_", "intercept_"),
        with_y=True,
        make_for_checks=LinearSVR,
    ),
    EstimatorRow(
        "LinearSVR, squared",
        lambda: LinearSVR(epsilon=0.5, loss="squared_epsilon_insensitive", tol=1e-10),
        ("coef_", "intercept_"),
        with_y=True,
        make_for_checks=lambda: LinearSVR(loss="squared_epsilon_insensitive"),
    ),
    EstimatorRow(
        "SGDClassifier, three classes",
        lambda: SGDClassifier("modified_huber", max_iter=4, tol=1e-9, random_state=0),
        ("coef_", "intercept_", "classes_"),
        with_y=True,
        target=three_classes,
        in_the_mean=EPOCHS_STEP_BY_STEP,
        make_for_checks=lambda: SGDClassifier(random_state=0),
    ),
    EstimatorRow(
        "SGDRegressor",
        lambda: SGDRegressor("huber", epsilon=1.0, max_iter=4, tol=1e-9, random_state=0),
        ("coef_", "intercept_"),
        with_y=True,
        in_the_mean=EPOCHS_STEP_BY_STEP,
        make_for_checks=lambda: SGDRegressor(random_state=0),
    ),
    EstimatorRow(
        "KMeans",
        lambda: KMeans(n_clusters=3, init=CENTERS, n_init=1),
        ("cluster_centers_", "inertia_", "n_iter_"),
        make_for_checks=lambda: KMeans(random_state=0),
    ),
    EstimatorRow(
        "StandardScaler", StandardScaler, ("mean_", "var_", "n_samples_seen_"), sparse=False
    ),
    EstimatorRow(
        "StandardScaler without mean",
        lambda: StandardScaler(with_mean=False),
        ("mean_", "var_", "n_samples_seen_"),
    ),
    EstimatorRow(
        "MinMaxScaler", MinMaxScaler, ("data_min_", "data_max_", "n_samples_seen_"), sparse=False
    ),
    EstimatorRow("MaxAbsScaler", MaxAbsScaler, ("max_abs_", "n_samples_seen_")),
]
