"""Ridge regression whose penalty is chosen by cross-validation."""

from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np

from flowml.data.dataset import Dataset
from flowml.data.map_rows import of_rows
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step, follow
from flowml.drive.stage import Stage
from flowml.kernels.gram import Gram
from flowml.kernels.leave_one_out import (
    LEAVE_ONE_OUT,
    SLICE_ROWS,
    LeaveOneOut,
    LeftOutErrors,
    left_out,
    weights_of,
)
from flowml.kernels.rows import Array, Block, slices
from flowml.kernels.strata import STRATUM_COUNTS
from flowml.linear_model.base import LinearModel
from flowml.parameters import check_flags
from flowml.runtimes.blas import one_blas_thread
from flowml.solvers.gram_path import mean_squared_errors
from flowml.solvers.least_squares import Problem
from flowml.solvers.one_pass import OnePass
from flowml.solvers.ridge_path import RidgePath, ridge_path
from flowml.splitters import Splitter, as_splitter
from flowml.splitting import STAGE, draw_splits, sum_all, sum_splits

SCORINGS = (None, "r2", "neg_mean_squared_error", "neg_root_mean_squared_error")


class RidgeCV(LinearModel):
    r"""Ridge regression with the penalty that does best on rows that a fit didn't see.

    Without `cv` each row is left out once: a pass sums the Gram matrix up, and another gets every
    row's residual and leverage, from which follows the error that the fit without that row makes
    on it. With `cv` one pass sums up a Gram matrix for each split, from which all penalties'
    solutions and errors follow. The coefficients are then those of `Ridge` on all rows.

    Parameters
    ----------
    alphas : float or array of shape (n_alphas,), default=(0.1, 1.0, 10.0)
        The penalties to try: above 0 without `cv`, else at least 0.
    fit_intercept : bool, default=True
    scoring : {"r2", "neg_mean_squared_error", "neg_root_mean_squared_error"}, default=None
        What to choose by, averaged over splits and targets: by default R² with `cv`, and the
        negative mean of the rows' squared errors without.
    cv : int, splitter or iterable of pairs of index arrays, default=None
    store_cv_results : bool, default=False
        Whether to keep what each row gets from the fits without it; only without `cv`.
    alpha_per_target : bool, default=False
        Whether each target gets a penalty of its own; only without `cv`.

    Attributes
    ----------
    alpha_ : float or ndarray of shape (n_targets,)
        The penalty chosen.
    best_score_ : float or ndarray of shape (n_targets,)
    cv_results_ : array of shape (n_rows, n_alphas) or (n_rows, n_targets, n_alphas)
        With `store_cv_results`: each row's squared error, or with `scoring` its prediction, by the
        fits without it. Lazy for lazy rows.
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    intercept_ : float or ndarray of shape (n_targets,)
    solver_used_ : {"gram", "qr"}
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X had column names.
    n_passes_ : int
        Reads of the data that the fit took.
    history_ : DataFrame
        One row for each pass.

    Notes
    -----
    Sample weights count in the errors too: without `cv` as in scikit-learn (weighted squares over
    the number of rows), with it as weighted means. Squared errors from a Gram matrix are right up
    to :math:`10^{-15}` or so of the target's mean square.

    Scikit-learn's ``gcv_mode`` has nothing to choose here: the eigenvectors are those of the
    columns' scatter.

    References
    ----------
    G. H. Golub, M. Heath & G. Wahba 1979, "Generalized cross-validation as a method for choosing
    a good ridge parameter", Technometrics 21.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import RidgeCV
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((100, 3))
    >>> y = X @ [1.0, 2.0, 3.0] + random.standard_normal(100)
    >>> model = RidgeCV(alphas=[0.01, 1.0, 100.0], cv=5).fit(X, y)
    >>> float(model.alpha_), model.n_passes_
    (0.01, 1)
    """

    of_training_rows = ("cv_results_",)

    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        fit_intercept: bool = True,
        scoring: str | None = None,
        cv: Any = None,
        store_cv_results: bool = False,
        alpha_per_target: bool = False,
    ) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.store_cv_results = store_cv_results
        self.alpha_per_target = alpha_per_target

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Choose the penalty, and fit on all rows.

        Parameters
        ----------
        X, y, sample_weight : as for `Ridge`

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As for `Ridge`, or if a split leaves no row to train or test on.
        """
        with self._training(X, y, sample_weight) as session, one_blas_thread():
            dataset = session.runtime.dataset
            splitter = self._splitter(X, y)
            ask = follow(session, self._searching(splitter, dataset.schema, dataset.n_rows))
            self._keep_rows(ask, dataset)
        return self

    def _learning(
        self, schema: Schema, n_rows: int | None, describe: bool = True
    ) -> Procedure[None]:
        """Search on rows of which only the fit sees where they are."""
        yield from self._searching(self._splitter(None, None), schema, None)

    def _splitter(self, X: Any, y: Any) -> Splitter | None:
        return None if self.cv is None else as_splitter(self.cv, X, y, None, stratified=False)

    def _searching(
        self, splitter: Splitter | None, schema: Schema, n_rows: int | None
    ) -> Procedure[LeaveOneOut | None]:
        """Choose and solve; return what rows are asked that are left out."""
        ask = None
        problem = super()._problem(schema.n_targets, schema.dtype)
        alphas = self._alphas()
        if splitter is None:
            gram: Gram = yield from sum_all()
            if gram.rows < 2:
                raise ValueError("n_samples=1: a row can only be left out if there is another")
            path = ridge_path(gram, alphas, problem)
            ask = leave_one_out(gram, path, alphas, problem)
            left: LeftOutErrors = (yield Step("leave one out", OnePass(LEAVE_ONE_OUT, ask))).summary
            squared = left.error / gram.weight
            scores = -left.error / left.rows
            if self.scoring is not None:
                scores = score(gram, squared, self.scoring)
        else:
            splits = yield from draw_splits(splitter, n_rows)
            grams = yield from sum_splits(splits)
            gram = grams.whole
            pairs = zip(grams.train, grams.test, strict=True)
            found = []
            for train, test in pairs:
                path = ridge_path(train, alphas, problem)
                squared = mean_squared_errors(test, path.coef, path.intercept)
                found.append(score(test, squared, self.scoring))
            scores = np.mean(found, axis=0)
        self._choose(alphas, scores)
        yield from self._solve(gram, schema)
        return ask

    def _keep_rows(self, ask: LeaveOneOut | None, dataset: Dataset) -> None:
        self.__dict__.pop("cv_results_", None)
        if not self.store_cv_results or ask is None:
            return
        n_alphas, n_targets = ask.coef.shape[:2]
        targets = () if dataset.schema.y_is_1d else (n_targets,)
        kept = partial(_kept, ask, self.scoring is not None, targets, dataset.schema.dtype)
        meta = np.empty((0, *targets, n_alphas), dataset.schema.dtype)
        self.cv_results_ = of_rows(dataset, kept, meta)

    def _choose(self, alphas: Array, scores: Array) -> None:
        """Keep the penalty of the best score, of shape (n_alphas, n_targets)."""
        if not self.alpha_per_target:
            scores = scores.mean(axis=1)
        best = scores.argmax(axis=0)
        self.alpha_ = alphas[best]
        self.best_score_ = scores.max(axis=0)

    def _alphas(self) -> Array:
        return np.atleast_1d(np.asarray(self.alphas, dtype=np.float64))

    def _penalties(self, n_targets: int) -> Array:
        return np.broadcast_to(getattr(self, "alpha_", 0.0), n_targets).astype(np.float64)

    def _check(self, dataset: Dataset) -> None:
        check_flags(self, "fit_intercept", "store_cv_results", "alpha_per_target")
        least = "above 0" if self.cv is None else "at least 0"
        try:
            alphas = self._alphas()
        except (TypeError, ValueError):
            alphas = np.array([np.nan])
        low = alphas <= 0 if self.cv is None else alphas < 0
        if not np.isfinite(alphas).all() or low.any() or not len(alphas):
            raise ValueError(f"RidgeCV(alphas={self.alphas!r}): alphas must be numbers {least}")
        if self.scoring not in SCORINGS:
            allowed = ", ".join(map(repr, SCORINGS))
            raise ValueError(
                f"RidgeCV(scoring={self.scoring!r}): scoring must be {allowed}; for other scores "
                "take GridSearchCV of Ridge"
            )
        for name in ("alpha_per_target", "store_cv_results"):
            if getattr(self, name) and self.cv is not None:
                raise ValueError(f"RidgeCV: cv!=None and {name}=True are incompatible")

    def _stages(self, schema: Schema) -> list[Stage]:
        """Describe the passes of a fit on such data."""
        gram, *doubtful = super()._stages(schema)
        p, t, n = schema.n_features, schema.n_targets, len(self._alphas())
        if self.cv is None:
            point = np.zeros((n, t, p))
            ask = LeaveOneOut(np.zeros(p + t), point, np.zeros((p, p)), np.zeros((p, n)), 0.0)
            work = 8 * SLICE_ROWS * (3 * p + 2 * n + 3 * n * t)
            return [gram, Stage("leave one out", LEAVE_ONE_OUT, ask, 1, work), *doubtful]
        n_splits = self.cv if isinstance(self.cv, int) else 5
        grams = replace(gram, name="grams", workspace=gram.workspace * (1 + n_splits))
        counting = Stage(STAGE, STRATUM_COUNTS, False, 1, 0, only_if="rows aren't counted yet")
        return [counting, grams, *doubtful]


def leave_one_out(gram: Gram, path: RidgePath, alphas: Array, problem: Problem) -> LeaveOneOut:
    """Ask for the errors of fits on all rows but one."""
    p, S = problem.n_features, gram.scatter
    center, constant = gram.mean, 1.0 / gram.weight
    if not problem.fit_intercept:
        S = S + gram.weight * np.outer(gram.mean, gram.mean)
        center, constant = np.zeros_like(gram.mean), 0.0
    values, vectors = np.linalg.eigh(S[:p, :p])
    inverse = 1.0 / (np.maximum(values, 0.0)[:, np.newaxis] + alphas)
    return LeaveOneOut(center, path.coef, vectors, inverse, constant)


def score(gram: Gram, squared: Array, scoring: str | None) -> Array:
    """Return scores from mean squared errors, both of shape (n_alphas, n_targets).

    Parameters
    ----------
    gram : Gram
        Of the rows that they are of.
    squared : ndarray
    scoring : str or None
        One of `SCORINGS`; None is R².
    """
    if scoring == "neg_mean_squared_error":
        return -squared
    if scoring == "neg_root_mean_squared_error":
        return -np.sqrt(squared)
    total = gram.scatter.diagonal()[-squared.shape[1] :] / gram.weight
    constant = total == 0
    ratio = squared / np.where(constant, 1.0, total)
    return np.where(constant, np.where(squared == 0, 1.0, 0.0), 1.0 - ratio)


def _kept(
    ask: LeaveOneOut, predicts: bool, targets: tuple[int, ...], dtype: Any, block: Block
) -> Array:
    """Return squared errors of rows that are left out, or predictions for them."""
    n_alphas = len(ask.coef)
    kept = np.empty((block.X.shape[0], *targets, n_alphas), dtype)
    for part in slices([block], SLICE_ROWS):
        errors, begin = left_out(ask, part), part.start - block.start
        if predicts:
            assert part.y is not None
            values = part.y.reshape(len(errors), 1, -1) - errors
        else:
            values = weights_of(part)[:, np.newaxis, np.newaxis] * np.square(errors)
        by_target = values.transpose(0, 2, 1).reshape(len(errors), *targets, n_alphas)
        kept[begin : begin + len(errors)] = by_target
    return kept
