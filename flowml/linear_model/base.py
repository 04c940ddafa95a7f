"""What linear models share: from sums over the rows to coefficients, and what follows from them."""

import warnings
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.linalg import LinAlgWarning
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step, follow
from flowml.drive.stage import Stage
from flowml.estimator import Needs, PassEstimator, adopt
from flowml.kernels.gram import GRAM, Gram, nothing
from flowml.kernels.gram import SLICE_ROWS as GRAM_SLICE_ROWS
from flowml.kernels.level_weights import LEVEL_WEIGHTS
from flowml.kernels.mixed_gram import MIXED_GRAM
from flowml.kernels.normal_residual import NORMAL_RESIDUAL, Candidate
from flowml.kernels.squared_error import SQUARED_ERROR, Predictor, r_squared
from flowml.kernels.triangular import TRIANGLE, Triangle
from flowml.linear_model.categorical import (
    CategoricalEncoding,
    adopt_encoding,
    check_categorical,
    names_of_coefficients,
)
from flowml.linear_model.linear_robust import robust_statistics
from flowml.linear_model.minimising import Minimum
from flowml.linear_model.robust import NONROBUST, check_kind
from flowml.linear_model.summary import COLUMNS, LinearSummary
from flowml.linear_model.wide import NO_SUMS, is_wide, least_squares
from flowml.linear_model.wide import stages as wide_stages
from flowml.parameters import check_flags
from flowml.prediction import apply
from flowml.runtimes.blas import one_blas_thread
from flowml.solvers.least_squares import (
    LeastSquares,
    Problem,
    candidate,
    gram_equations,
    is_trusted,
    needs_refinement,
    refine,
    solve_gram,
    solve_triangle,
    triangle_equations,
)
from flowml.solvers.linear_statistics import linear_statistics
from flowml.solvers.one_pass import OnePass

NAMED_COLUMNS = 10
"""Most columns that a warning names."""


class Trained(NamedTuple):
    """What a linear model keeps of its rows.

    Attributes
    ----------
    gram : Gram
    triangle : Triangle or None
        Where the Gram matrix could not be trusted.
    solution : LeastSquares
        In float64, whatever the model's dtype.
    target_names : tuple of str
    """

    gram: Gram
    triangle: Triangle | None
    solution: LeastSquares
    target_names: tuple[str, ...]


class LinearModel(MultiOutputMixin, RegressorMixin, PassEstimator):
    """A linear predictor fitted by (penalised) least squares.

    A subclass gives `_penalties`, the penalty of each target.
    """

    needs = Needs(target=True)
    fit_intercept: bool
    categorical: CategoricalEncoding | None = None
    _trained: Trained

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model, in one pass over the data where its columns are not nearly collinear.

        Parameters
        ----------
        X : array, CSR array, frame, Dask collection or Dataset of shape (n_rows, n_features)
            float32 gives float32 coefficients, anything else float64; sums are in float64.
        y : array or Dask collection of shape (n_rows,) or (n_rows, n_targets)
            None for a Dataset, which has its own.
        sample_weight : array or Dask array of shape (n_rows,), optional
            At least 0. A weight of 2 is the row twice, a weight of 0 the row absent.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If shapes don't fit together, a value is NaN or infinite (naming block and column), a
            weight is negative, or there is no row of a weight above zero.
        TypeError
            If a parameter or a column has the wrong type.

        Warns
        -----
        LinAlgWarning
            If columns are collinear, naming them. Of all solutions, the one with the least norm of
            the coefficients is taken.
        """
        with self._training(X, y, sample_weight) as session, one_blas_thread():
            dataset = session.runtime.dataset
            follow(session, self._learning(dataset.schema, dataset.n_rows))
        return self

    def _learning(
        self, schema: Schema, n_rows: int | None, describe: bool = True
    ) -> Procedure[None]:
        """Sum up once, and solve."""
        levels = None
        if schema.categorical:
            levels = (yield Step("levels", OnePass(LEVEL_WEIGHTS))).summary
        penalised = bool(np.all(self._penalties(schema.n_targets) > 0))
        encoding = adopt_encoding(self, levels, schema, penalised)
        if is_wide(schema, encoding):
            alpha = float(self._penalties(schema.n_targets)[0])
            minimum = yield from least_squares(
                schema, n_rows, levels, encoding, alpha, self.fit_intercept
            )
            return self._adopt_minimum(minimum, schema)
        one_pass = OnePass(GRAM) if encoding is None else OnePass(MIXED_GRAM, encoding)
        gram: Gram = (yield Step("gram", one_pass)).summary
        yield from self._solve(gram, schema)

    def _adopt_minimum(self, minimum: Minimum, schema: Schema) -> None:
        """Set the fitted attributes of a solution that was iterated to."""
        coef = minimum.coef
        nowhere = np.zeros(coef.shape[1], dtype=bool)
        unknown = np.full(len(coef), np.nan)
        solution = LeastSquares(coef, minimum.intercept, unknown, 0, np.nan, nowhere)
        trained = Trained(nothing(0), None, solution, target_names(schema))
        self._adopt(trained, schema.dtype, schema.y_is_1d)
        self.solver_used_ = minimum.solver

    def _solve(self, gram: Gram, schema: Schema) -> Procedure[None]:
        """Solve from the sums, going over the rows again where these can't be trusted."""
        check_rows(gram)
        problem = self._problem(schema.n_targets, schema.dtype)
        triangle, solution = None, solve_gram(gram, problem)
        if not (is_trusted(solution, gram, problem) or schema.categorical):
            center = gram.mean if problem.fit_intercept else np.zeros_like(gram.mean)
            triangle = (yield Step("qr", OnePass(TRIANGLE, center))).summary
            solution = solve_triangle(gram, triangle, problem)
            if needs_refinement(solution):
                ask = candidate(solution, gram, problem)
                left = (yield Step("refine", OnePass(NORMAL_RESIDUAL, ask))).summary
                solution = refine(solution, left, gram, triangle, problem)
        self._warn_of_collinear(solution, gram, stacklevel=6)
        trained = Trained(gram, triangle, solution, target_names(schema))
        self._adopt(trained, schema.dtype, schema.y_is_1d)

    def predict(self, X: Any) -> Any:
        r"""Return :math:`X b + a` for each row.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array, Series or DataFrame of shape (n_rows,) or (n_rows, n_targets)
            Of the kind of X: lazy for lazy input, and with the index of a frame.

        Raises
        ------
        NotFittedError
            If the model isn't fitted.
        ValueError
            If features differ from those of the fit, or a value is NaN or infinite.
        """
        check_is_fitted(self)
        several = self.coef_.ndim == 2
        function = partial(linear, np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_))
        return apply(
            self, X, function, self._trained.target_names, len(self.coef_) if several else None
        )

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        r"""Return R², averaged over the targets; one pass over the data, lazy input included.

        .. math:: R^2 = 1 - \sum_i w_i (y_i - \hat y_i)^2 / \sum_i w_i (y_i - \bar y)^2

        Parameters
        ----------
        X, y, sample_weight : as for `fit`

        Returns
        -------
        float
            1 for a perfect prediction, 0 for that of the mean.

        Raises
        ------
        NotFittedError
            If the model isn't fitted.
        ValueError
            As `fit`, or if features or targets differ from those of the fit.
        """
        check_is_fitted(self)
        dataset = adopt(self, X, y, sample_weight, self.needs, reset=False)
        check_targets(self, dataset.schema)
        coef = np.atleast_2d(self.coef_).astype(np.float64)
        intercept = np.broadcast_to(np.asarray(self.intercept_, np.float64), len(coef))
        predictor = Predictor(coef, intercept.copy(), getattr(self, "encoding_", None))
        summary = self._summarise(dataset, SQUARED_ERROR, predictor)
        return float(r_squared(summary).mean())

    def summary(
        self,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        cov_type: str | None = None,
        groups: Any = None,
        target: int | str | None = None,
    ) -> LinearSummary:
        """Return standard errors, tests and measures of fit; needs no data unless they are robust.

        They are those of ordinary (with weights, of weighted) least squares with normal residuals,
        and equal statsmodels' ``OLS`` and ``WLS``. `Ridge` says what they mean with a penalty. Rows
        count by their number, not by their weight. Robust errors take one pass over the rows; their
        tests are by the normal distribution.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`, optional
            The rows that the model was fitted to.
        cov_type : {"nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster"}, optional
            Robust errors need the rows.
        groups : array or Dask collection of shape (n_rows,), or str
            For "cluster", the group of each row; of a Dataset the name of a target column.
        target : int or str, optional
            Which target, by place or name; needed where there are several.

        Returns
        -------
        LinearSummary

        Raises
        ------
        NotFittedError
            If the model isn't fitted.
        ValueError
            If there is no such target, or several and none is given, or what robust errors need
            isn't there.
        """
        check_is_fitted(self)
        kind = check_kind(cov_type, X, groups)
        gram, triangle, solution, names = self._trained
        if gram.weight == 0:
            raise ValueError(NO_SUMS)
        number = find_target(target, names)
        problem = self._problem(len(names), self.coef_.dtype)
        equations = (
            gram_equations(gram, problem)
            if triangle is None
            else triangle_equations(gram, triangle, problem)
        )
        found = linear_statistics(gram, equations, solution, problem, number)
        remarks: list[str] = []
        if kind != NONROBUST:
            rows, learned = (X, y, sample_weight, groups), (gram, solution, problem)
            found, remarks = robust_statistics(self, found, learned, number, rows, kind)
        statistics = found._asdict()
        index = ["intercept"] * self.fit_intercept + self._feature_names()
        columns = {name: statistics.pop(name) for name in COLUMNS}
        table = pd.DataFrame(columns, index=pd.Index(index, name="coefficient"))
        return LinearSummary(type(self).__name__, names[number], table, statistics, tuple(remarks))

    def _penalties(self, n_targets: int) -> np.ndarray:
        """Return the penalty of each target."""
        return np.zeros(n_targets)

    def _check(self, dataset: Dataset) -> None:
        check_flags(self, "fit_intercept")
        check_categorical(self)
        self._penalties(dataset.schema.n_targets)

    def _problem(self, n_targets: int, dtype: Any) -> Problem:
        epsilon = float(np.finfo(dtype).eps)
        n_columns = len(self._feature_names())
        return Problem(n_columns, self._penalties(n_targets), self.fit_intercept, epsilon)

    def _adopt(self, trained: Trained, dtype: Any, y_is_1d: bool) -> None:
        """Set the fitted attributes."""
        self._trained = trained
        coef = trained.solution.coef.astype(dtype)
        intercept = trained.solution.intercept.astype(dtype)
        self.coef_ = coef[0] if y_is_1d else coef
        self.intercept_ = (intercept[0] if y_is_1d else intercept) if self.fit_intercept else 0.0
        self.solver_used_ = "gram" if trained.triangle is None else "qr"

    def _stages(self, schema: Schema) -> list[Stage]:
        """Describe the passes of a fit on such data."""
        if is_wide(schema):
            return wide_stages(schema)
        p, t = schema.n_features, schema.n_targets
        columns = p + t + 1
        sums, rows = 8 * columns**2, 8 * columns * GRAM_SLICE_ROWS
        point = np.zeros(p + t)
        ask = Candidate(point, np.zeros((t, p)), np.zeros(t))
        doubt = "the Gram matrix can't be trusted: columns nearly collinear, or y met exactly"
        return [
            Stage("gram", GRAM, None, 1, rows + 3 * sums),
            Stage("qr", TRIANGLE, point, 1, 3 * rows + 4 * sums, only_if=doubt),
            Stage("refine", NORMAL_RESIDUAL, ask, 1, 2 * rows, only_if="columns nearly collinear"),
        ]

    def _feature_names(self) -> list[str]:
        return names_of_coefficients(self)

    def _warn_of_collinear(self, solution: LeastSquares, gram: Gram, stacklevel: int) -> None:
        if not solution.collinear.any():
            return
        n_columns = len(solution.collinear)
        if gram.rows <= n_columns:
            problem = f"{int(gram.rows)} rows don't determine {n_columns} coefficients"
        else:
            names = [
                name
                for name, involved in zip(self._feature_names(), solution.collinear, strict=True)
                if involved
            ]
            more = len(names) - NAMED_COLUMNS
            listed = ", ".join(names[:NAMED_COLUMNS]) + (f" and {more} more" if more > 0 else "")
            problem = f"columns {listed} are collinear (rank {solution.rank})"
        warnings.warn(
            f"{problem}: many solutions fit equally well, and the one of least norm is taken. "
            "Drop columns, or use Ridge.",
            LinAlgWarning,
            stacklevel=stacklevel,
        )


def linear(coef: np.ndarray, intercept: np.ndarray, X: Any) -> np.ndarray:
    """Predict rows."""
    return X @ coef.T + intercept


def check_rows(gram: Gram) -> None:
    """Refuse data without rows that count."""
    if gram.weight == 0:
        raise ValueError("there is nothing to fit: no row, or none of a weight above zero")


def check_targets(model: LinearModel, schema: Schema) -> None:
    """Refuse targets of another number than the fit's."""
    wanted = len(model._trained.target_names)
    if schema.n_targets != wanted:
        raise ValueError(f"y has {schema.n_targets} targets, but the model was fitted to {wanted}")


def target_names(schema: Schema) -> tuple[str, ...]:
    """Return the targets' names, ``y`` or ``y0, y1, …`` where they have none."""
    if schema.target_names is not None:
        return schema.target_names
    return ("y",) if schema.y_is_1d else tuple(f"y{i}" for i in range(schema.n_targets))


def find_target(target: int | str | None, names: tuple[str, ...]) -> int:
    """Return the place of a target that is given by place or name."""
    if target is None and len(names) == 1:
        return 0
    if target in names:
        return names.index(str(target))
    if isinstance(target, int) and 0 <= target < len(names):
        return target
    found = "several targets" if target is None else f"no target {target!r}"
    raise ValueError(f"the model has {found}: give target= as a place or one of {', '.join(names)}")


def copied(gram: Gram) -> Gram:
    """Return a Gram whose arrays may be written to."""
    return gram._replace(scatter=gram.scatter.copy())
