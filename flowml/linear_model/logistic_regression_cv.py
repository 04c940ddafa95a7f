"""Logistic regression whose penalty is chosen by cross-validation."""

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, check_random_state

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, follow, prefixed
from flowml.drive.stage import Stage
from flowml.kernels.rows import Array
from flowml.kernels.splits import TEST, Splits, Subset
from flowml.kernels.strata import STRATUM_COUNTS
from flowml.linear_model.joint_answers import answer_together
from flowml.linear_model.joint_fits import (
    Found,
    Trial,
    fit_on_splits,
    look,
    minimum_of,
    objective_of,
)
from flowml.linear_model.logistic_regression import LogisticRegression
from flowml.linear_model.summary import LinearSummary
from flowml.linear_model.survey import Survey, sample_seed
from flowml.metrics import get_scorer
from flowml.metrics.fit_scores import DEFAULT, Fit, choose_scorers, score_together
from flowml.parameters import check_flags, check_integer, check_numbers
from flowml.runtimes.blas import one_blas_thread
from flowml.splitters import Splitter, as_splitter
from flowml.splitting import STAGE as SPLITTING
from flowml.splitting import draw_splits


class LogisticRegressionCV(LogisticRegression):
    r"""Logistic regression with an elastic net of the strength that does best on unseen rows.

    What is minimised is as for `LogisticRegression`, for each of several C and `l1_ratio` and each
    split. All of these fits ride on the same passes: one looks at the splits' rows and draws a
    sample of each, on which a path from the strongest penalty to the weakest leads close to every
    minimum; a few more settle all of them, and one scores them.

    Parameters
    ----------
    Cs : int or array of shape (n_cs,), default=10
        How much the rows count against the penalty; a number means so many, from 1e-4 to 1e4.
    l1_ratios : array of shape (n_l1_ratios,), default=(0.0,)
        Shares of the absolute values in the penalty.
    fit_intercept : bool, default=True
    cv : int, splitter or iterable of pairs of index arrays, default=None
        None is 5 stratified splits.
    scoring : str or Scorer, default=None
        What to choose by: by default accuracy.
    solver : str, default="auto"
        As for `LogisticRegression`.
    tol : float, default=1e-4
        As for `LogisticRegression`.
    max_iter : int, default=100
        Most passes of the fits.
    class_weight : dict, "balanced" or None, default=None
    refit : bool, default=True
        Whether to fit to all rows with the C and `l1_ratio` of the best mean score. Else those that
        do best in each split are averaged, and their fits too; there is no `summary` then.
    random_state : int, RandomState or None, default=None
        Draws the sample that solvers start on; None is a fixed seed.
    categorical : CategoricalEncoding, optional
        As for `LogisticRegression`.

    Attributes
    ----------
    C_, l1_ratio_ : float
        What was chosen, or its mean over the splits without `refit`.
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Of the fit on all rows, or the mean of the splits' best.
    intercept_ : ndarray of shape (1,) or (n_classes,)
    Cs_ : ndarray of shape (n_cs,)
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
    scores_ : ndarray of shape (n_splits, n_l1_ratios, n_cs)
    coefs_paths_ : ndarray of shape (n_splits, n_l1_ratios, n_cs, n_outputs, n_features + 1)
        With the intercept last, where there is one.
    n_iter_ : ndarray of shape (n_splits, n_l1_ratios, n_cs)
        Steps on all rows.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X had column names.
    n_passes_ : int
        Reads of the data that the fit took.
    history_ : DataFrame
        One row for each pass.

    Notes
    -----
    The attributes are those that scikit-learn's `LogisticRegressionCV` has with
    ``use_legacy_attributes=False``.

    References
    ----------
    J. Friedman, T. Hastie & R. Tibshirani 2010, "Regularization paths for generalized linear
    models via coordinate descent", Journal of Statistical Software 33.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import LogisticRegressionCV
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((200, 3))
    >>> y = X[:, 0] + 0.5 * random.standard_normal(200) > 0
    >>> model = LogisticRegressionCV(Cs=[0.001, 1.0], scoring="neg_log_loss").fit(X, y)
    >>> float(model.C_), model.scores_.shape
    (1.0, (5, 1, 2))
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        *,
        Cs: Any = 10,
        l1_ratios: Any = (0.0,),
        fit_intercept: bool = True,
        cv: Any = None,
        scoring: Any = None,
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 100,
        class_weight: Any = None,
        refit: bool = True,
        random_state: Any = None,
        categorical: Any = None,
    ) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.refit = refit
        self.random_state = random_state
        self.categorical = categorical

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Choose the penalty, and fit on all rows.

        Parameters
        ----------
        X, y, sample_weight : as for `LogisticRegression`
            Weights count in fits and in scores.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As for `LogisticRegression`, or if a split has no row of some class to train on.
        """
        with self._training(X, y, sample_weight) as session, one_blas_thread():
            dataset = session.runtime.dataset
            splitter = as_splitter(self.cv, X, y, None, stratified=True)
            follow(session, self._searching(splitter, dataset.schema, dataset.n_rows))
        return self

    def to_sklearn(self) -> SklearnLogisticRegression | Pipeline:
        """Return scikit-learn's `LogisticRegression` of the penalty chosen, fitted to the same."""
        check_is_fitted(self)
        return self._best.to_sklearn()

    def summary(
        self, X: Any = None, y: Any = None, sample_weight: Any = None, **options: Any
    ) -> LinearSummary:
        """Return the summary of the fit on all rows, as `LogisticRegression` does.

        Raises
        ------
        ValueError
            As there, or if there is no such fit.
        """
        check_is_fitted(self)
        if not self.refit:
            raise ValueError(
                "LogisticRegressionCV(refit=False) averages fits, which have no common standard "
                "errors: fit with refit=True, or LogisticRegression with the C chosen"
            )
        return super().summary(X, y, sample_weight, **options)

    def _learning(
        self, schema: Schema, n_rows: int | None, describe: bool = True
    ) -> Procedure[None]:
        """Search on rows of which only the fit sees where they are."""
        splitter = as_splitter(self.cv, None, None, None, stratified=True)
        return self._searching(splitter, schema, None)

    def _searching(self, splitter: Splitter, schema: Schema, n_rows: int | None) -> Procedure[None]:
        splits = yield from draw_splits(splitter, n_rows)
        models = [
            [self._model(*penalty) for penalty in self._grid()] for _ in range(splits.n_splits)
        ]
        surveys = yield from look(models[0][0], splits, schema, n_rows)
        pairs = yield from fit_on_splits(models, surveys, splits, schema)
        trials, found = [trial for trial, _ in pairs], [end for _, end in pairs]
        fits = self._fits(trials, found, splits)
        scorers = choose_scorers(self, self.scoring)
        scores = yield from score_together(fits, scorers, schema)
        shape = (splits.n_splits, len(self._ratios()), len(self._costs()))
        self._note(fits, found, np.array([one[DEFAULT] for one in scores]).reshape(shape))
        if self.refit:
            yield from self._refit(surveys[0], schema, found)
        else:
            self._average(fits[0].estimator, schema.dtype)

    def _refit(self, survey: Survey, schema: Schema, found: Sequence[Found]) -> Procedure[None]:
        """Fit to all rows, from the middle of what the splits have found."""
        best = self._model(self.l1_ratio_, self.C_)
        best.random_state = sample_seed(self.random_state)
        self._name_features(best)
        objective = objective_of(best, survey, schema)
        place = self._grid().index((self.l1_ratio_, self.C_))
        warm = np.mean([one.theta for one in found[place :: len(self._grid())]], axis=0)
        options = best._options()._replace(describe=True)
        learning = best._minimise(objective, survey, options, warm)
        minimum = yield from prefixed(learning, "refit")
        best._take(minimum, schema)
        self._adopt_best(best)

    def _average(self, model: LogisticRegression, dtype: Any) -> None:
        """Take the mean of the splits' best fits."""
        flat = self.scores_.reshape(len(self.scores_), -1)
        best = flat.argmax(axis=1)
        ratios, costs = np.array(self._grid()).T
        self.C_, self.l1_ratio_ = float(costs[best].mean()), float(ratios[best].mean())
        paths = self.coefs_paths_.reshape(*flat.shape, *self.coefs_paths_.shape[3:])
        coef = paths[np.arange(len(flat)), best].mean(axis=0)
        mean = copy.copy(model).set_params(C=self.C_, l1_ratio=self.l1_ratio_)
        intercept = coef[:, -1] if self.fit_intercept else np.zeros(len(coef))
        mean.coef_ = coef[:, :-1] if self.fit_intercept else coef
        mean.coef_, mean.intercept_ = mean.coef_.astype(dtype), intercept.astype(dtype)
        self._adopt_best(mean)

    def _fits(self, trials: Sequence[Trial], found: Sequence[Found], splits: Splits) -> list[Fit]:
        """Return the fitted models beside the test rows of their splits."""
        tests = [Subset(splits, number, TEST) for number in range(splits.n_splits)]
        for trial, one in zip(trials, found, strict=True):
            minimum = minimum_of(trial, one)
            trial.model.coef_, trial.model.intercept_ = minimum.coef, minimum.intercept
            self._name_features(trial.model)
        if trials[0].objective.encoding is not None:
            return [Fit(trial.model, tests[trial.subset.split]) for trial in trials]
        size = len(self._grid())
        return [
            Fit(trial.model, tests[trial.subset.split], answers)
            for low in range(0, len(trials), size)
            for trial, answers in zip(
                trials[low : low + size],
                answer_together([trial.model for trial in trials[low : low + size]]),
                strict=True,
            )
        ]

    def _note(self, fits: Sequence[Fit], found: Sequence[Found], scores: Array) -> None:
        """Set what the search has found."""
        coefs = [fit.estimator.coef_ for fit in fits]
        if self.fit_intercept:
            coefs = [
                np.column_stack([fit.estimator.coef_, fit.estimator.intercept_]) for fit in fits
            ]
        self.scores_ = scores
        self.coefs_paths_ = np.array(coefs).reshape(*scores.shape, *coefs[0].shape)
        self.n_iter_ = np.array([one.n_iter for one in found]).reshape(scores.shape)
        self.Cs_, self.l1_ratios_ = self._costs(), self._ratios()
        mean = scores.mean(axis=0)
        ratio, cost = np.unravel_index(mean.argmax(), mean.shape)
        self.l1_ratio_, self.C_ = float(self.l1_ratios_[ratio]), float(self.Cs_[cost])

    def _name_features(self, model: LogisticRegression) -> None:
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(model, name, getattr(self, name))

    def _adopt_best(self, best: LogisticRegression) -> None:
        """Take what the fit on all rows has learned."""
        parameters = best.get_params()
        if hasattr(self, "encoding_"):
            del self.encoding_
        for name, value in vars(best).items():
            if name not in parameters and name != "n_iter_":
                setattr(self, name, value)
        self._best = best

    def _model(self, ratio: float, cost: float) -> LogisticRegression:
        return LogisticRegression(
            C=cost,
            l1_ratio=ratio,
            fit_intercept=self.fit_intercept,
            class_weight=self.class_weight,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            random_state=self.random_state,
            categorical=self.categorical,
        )

    def _grid(self) -> list[tuple[float, float]]:
        """Return the penalties, as pairs of a share of absolute values and a C."""
        return [(float(ratio), float(cost)) for ratio in self._ratios() for cost in self._costs()]

    def _costs(self) -> Array:
        if np.ndim(self.Cs) == 0:
            return np.logspace(-4, 4, self.Cs)
        return np.asarray(self.Cs, dtype=np.float64)

    def _ratios(self) -> Array:
        return np.atleast_1d(np.asarray(self.l1_ratios, dtype=np.float64))

    @property
    def _has_kinks(self) -> bool:
        return bool(self._ratios().any())

    def _check(self, dataset: Dataset) -> None:
        if np.ndim(self.Cs) == 0:
            check_integer(self, "Cs", 1)
        else:
            check_numbers(self, "Cs", 0.0)
        check_numbers(self, "l1_ratios", 0.0, 1.0)
        if self.scoring is not None:
            get_scorer(self.scoring)
        check_flags(self, "refit")
        for ratio, cost in self._grid():
            self._model(ratio, cost)._check(dataset)
        check_random_state(self.random_state)
        drop = "auto" if self.categorical is None else self.categorical.drop
        free = np.isinf(self._costs())
        if dataset.schema.categorical and drop == "auto" and free.any() and not free.all():
            raise ValueError(
                f"LogisticRegressionCV(Cs={self.Cs!r}): with and without a penalty categorical "
                "columns enter differently: say how by categorical=CategoricalEncoding(drop=...)"
            )

    def _stages(self, schema: Schema) -> list[Stage]:
        """Describe the passes of a fit on such data."""
        counting = Stage(SPLITTING, STRATUM_COUNTS, True, 1, 0)
        inner = self._model(float(self._ratios()[-1]), 1.0)._stages(schema)
        return [counting, *inner]
