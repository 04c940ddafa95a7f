"""Logistic regression whose penalty is chosen by cross-validation."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.utils.validation import check_is_fitted, check_random_state

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step, follow, masked, prefixed, together
from flowml.drive.stage import Stage
from flowml.kernels.linear_loss import LOSS_GRADIENT
from flowml.kernels.rows import Array
from flowml.kernels.splits import TEST, TRAIN, Splits, Subset
from flowml.kernels.strata import STRATUM_COUNTS
from flowml.linear_model import survey as first_look
from flowml.linear_model.logistic_regression import LogisticRegression
from flowml.linear_model.minimising import (
    SAMPLE_PASSES,
    SAMPLE_TOLERANCE,
    STAGE,
    without_features,
)
from flowml.linear_model.solver_choice import SOLVERS, choose_solver
from flowml.linear_model.survey import Survey, sample_seed
from flowml.metrics import get_scorer
from flowml.metrics.fit_scores import DEFAULT, Fit, choose_scorers, score_together
from flowml.parameters import check_integer
from flowml.runtimes.blas import one_blas_thread
from flowml.solvers.in_memory import solve_in_memory
from flowml.solvers.masked import Masked
from flowml.solvers.objective import Objective, Start
from flowml.solvers.solver import Solver, State
from flowml.solvers.together import Together
from flowml.splitters import Splitter, as_splitter
from flowml.splitting import STAGE as SPLITTING
from flowml.splitting import check_classes, draw_splits


class Trial(NamedTuple):
    """One fit of one split.

    Attributes
    ----------
    model : LogisticRegression
    objective : Objective
    subset : Subset
        The split's training rows.
    solver : Solver
        Starts from where the sample leads.
    """

    model: LogisticRegression
    objective: Objective
    subset: Subset
    solver: Solver


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
    random_state : int, RandomState or None, default=None
        Draws the samples that solvers start on; None is a fixed seed.

    Attributes
    ----------
    C_, l1_ratio_ : float
        What was chosen.
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Of the fit on all rows.
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

    needs = replace(LogisticRegression.needs, categorical=False)

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
        random_state: Any = None,
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
        self.random_state = random_state

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

    def to_sklearn(self) -> SklearnLogisticRegression:
        """Return scikit-learn's `LogisticRegression` of the penalty chosen, fitted to the same."""
        check_is_fitted(self)
        return self._best.to_sklearn()

    def _learning(
        self, schema: Schema, n_rows: int | None, describe: bool = True
    ) -> Procedure[None]:
        """Search on rows of which only the fit sees where they are."""
        splitter = as_splitter(self.cv, None, None, None, stratified=True)
        return self._searching(splitter, schema, None)

    def _searching(self, splitter: Splitter, schema: Schema, n_rows: int | None) -> Procedure[None]:
        splits = yield from draw_splits(splitter, n_rows)
        seed = sample_seed(self.random_state)
        surveys = yield from self._surveys(splits, schema, seed)
        grid = list(product(self._ratios(), self._costs()))
        trials = [
            trial
            for number, survey in enumerate(surveys)
            for trial in self._path(survey, Subset(splits, number, TRAIN), grid)
        ]
        solvers = [Masked(trial.solver, trial.subset) for trial in trials]
        states = (yield Step(STAGE, Together(solvers))).members
        fits = self._fits(trials, states, splits)
        scorers = choose_scorers(self, self.scoring)
        scores = yield from score_together(fits, scorers)
        shape = (splits.n_splits, len(self._ratios()), len(self._costs()))
        self._note(fits, states, np.array([one[DEFAULT] for one in scores]).reshape(shape))
        best = self._model(self.l1_ratio_, self.C_)
        best.random_state = seed
        best.n_features_in_ = self.n_features_in_
        yield from prefixed(best._learning(schema, n_rows), "refit")
        self._take(best)

    def _surveys(self, splits: Splits, schema: Schema, seed: int) -> Procedure[list[Survey]]:
        """Look at the training rows of each split, in one pass."""
        subsets = [Subset(splits, number, TRAIN) for number in range(splits.n_splits)]
        surveys: list[Survey] = yield from together(
            [
                masked(
                    first_look.survey(schema, subset.n_rows, self.fit_intercept, True, seed), subset
                )
                for subset in subsets
            ]
        )
        check_classes([s.labels for s in surveys if s.labels is not None])
        return surveys

    def _path(
        self, survey: Survey, subset: Subset, grid: Sequence[tuple[float, float]]
    ) -> list[Trial]:
        """Minimise on the sample for each penalty, each from the minimum of the one before."""
        trials: list[Trial] = []
        before: Array | None = None
        for ratio, cost in grid:
            model = self._model(ratio, cost)
            objective = Objective(
                model._loss(survey),
                model._penalty(survey),
                model._target(survey),
                survey.center,
                survey.spread,
                self.fit_intercept,
            )
            start = path_start(objective, survey, self._solver_name(objective), before)
            before = start.theta
            make = SOLVERS[self._solver_name(objective)].make
            solver = make(objective, start, self.tol, self.max_iter)
            trials.append(Trial(model, objective, subset, solver))
        return trials

    def _solver_name(self, objective: Objective) -> str:
        n_parameters = int(np.count_nonzero(objective.free))
        return choose_solver(self.solver, n_parameters, not objective.penalty.is_smooth)[0]

    def _fits(self, trials: Sequence[Trial], states: Sequence[State], splits: Splits) -> list[Fit]:
        """Return the fitted models beside the test rows of their splits."""
        tests = [Subset(splits, number, TEST) for number in range(splits.n_splits)]
        for trial, state in zip(trials, states, strict=True):
            coef, intercept = trial.objective.coefficients(state.theta)
            if trial.objective.loss.shift_invariant:
                intercept = intercept - intercept.mean()
            trial.model.coef_, trial.model.intercept_ = coef, intercept
            trial.model.n_features_in_ = self.n_features_in_
        return [Fit(trial.model, tests[trial.subset.split]) for trial in trials]

    def _note(self, fits: Sequence[Fit], states: Sequence[State], scores: Array) -> None:
        """Set what the search has found."""
        coefs = [fit.estimator.coef_ for fit in fits]
        if self.fit_intercept:
            coefs = [
                np.column_stack([fit.estimator.coef_, fit.estimator.intercept_]) for fit in fits
            ]
        self.scores_ = scores
        self.coefs_paths_ = np.array(coefs).reshape(*scores.shape, *coefs[0].shape)
        self.n_iter_ = np.array([state.n_iter for state in states]).reshape(scores.shape)
        self.Cs_, self.l1_ratios_ = self._costs(), self._ratios()
        mean = scores.mean(axis=0)
        ratio, cost = np.unravel_index(mean.argmax(), mean.shape)
        self.l1_ratio_, self.C_ = float(self.l1_ratios_[ratio]), float(self.Cs_[cost])

    def _take(self, best: LogisticRegression) -> None:
        """Take what the fit on all rows has learned."""
        parameters = best.get_params()
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
        )

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
        if self.scoring is not None:
            get_scorer(self.scoring)
        for ratio, cost in product(self._ratios(), self._costs()):
            self._model(ratio, cost)._check(dataset)
        check_random_state(self.random_state)

    def _stages(self, schema: Schema) -> list[Stage]:
        """Describe the passes of a fit on such data."""
        counting = Stage(SPLITTING, STRATUM_COUNTS, True, 1, 0)
        inner = self._model(float(self._ratios()[-1]), 1.0)._stages(schema)
        return [counting, *inner]


def path_start(objective: Objective, survey: Survey, name: str, before: Array | None) -> Start:
    """Minimise on the sample, from the minimum of another penalty where there is one."""
    nothing, sample = without_features(objective, survey.sample), survey.sample
    sums = LOSS_GRADIENT(objective.point(nothing), [sample], {})
    ceiling = objective.evaluate(sums, nothing).value
    first = nothing if before is None else before
    solver = SOLVERS[name].make(
        objective, Start(first, nothing, np.inf), SAMPLE_TOLERANCE, SAMPLE_PASSES
    )
    state, _ = solve_in_memory(solver, [sample])
    if state.separated or not np.isfinite(state.theta).all() or state.value > ceiling:
        return Start(nothing, nothing, np.inf)
    rows = len(sample.X) if isinstance(sample.X, np.ndarray) else 0
    return Start(state.theta, nothing, ceiling, state, rows)
