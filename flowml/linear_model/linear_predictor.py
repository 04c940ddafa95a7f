"""What iteratively fitted linear models share: loss and penalty in, coefficients out."""

import warnings
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_random_state

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, follow
from flowml.drive.stage import Stage
from flowml.estimator import Needs, PassEstimator
from flowml.kernels.level_weights import LevelWeights
from flowml.kernels.linear_loss import LOSS_CURVATURE, SLICE_BYTES, Point, Target
from flowml.kernels.sample import SAMPLE
from flowml.linear_model import survey as first_look
from flowml.linear_model.categorical import (
    CategoricalEncoding,
    check_categorical,
    make_encoding,
    spread_of_levels,
)
from flowml.linear_model.minimising import STAGE, Minimum, Options, minimise
from flowml.linear_model.solver_choice import SOLVERS
from flowml.linear_model.survey import Survey, sample_ask
from flowml.losses.loss import Loss
from flowml.parameters import check_choice, check_flags, check_integer, check_number
from flowml.penalties.penalty import Penalty
from flowml.runtimes.blas import one_blas_thread
from flowml.solvers.objective import Objective

SEEDS = 1 << 31


class LinearPredictor(PassEstimator):
    """A linear predictor that minimises a loss and a penalty.

    A subclass gives `_loss` and `_penalty`, and takes what was learned in `_adopt`.
    """

    needs = Needs(target=True, many_passes=True, one_target=True, categorical=True)
    coef_: Any
    intercept_: Any
    n_iter_: Any
    fit_intercept: bool
    solver: str
    tol: float
    max_iter: int
    warm_start: bool
    categorical: CategoricalEncoding | None = None
    random_state: Any

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array, CSR array, frame, Dask collection or Dataset of shape (n_rows, n_features)
            float32 gives float32 coefficients, anything else float64; sums are in float64.
        y : array or Dask collection of shape (n_rows,)
            None for a Dataset, which has its own.
        sample_weight : array or Dask array of shape (n_rows,), optional
            A weight of 2 is the row twice, a weight of 0 the row absent.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If input or a parameter can't be used, naming what and where.
        """
        with self._training(X, y, sample_weight) as session, one_blas_thread():
            dataset = session.runtime.dataset
            minimum = follow(session, self._procedure(dataset.schema, dataset.n_rows))
            self._adopt(minimum, dataset.schema.dtype)
            self._warn(minimum)
        return self

    def _procedure(self, schema: Schema, n_rows: int | None) -> Procedure[Minimum]:
        """Look once, then minimise."""
        seed = int(check_random_state(self.random_state).randint(SEEDS))
        labels = self.needs.labels
        survey = yield from first_look.survey(schema, n_rows, self.fit_intercept, labels, seed)
        loss, target = self._loss(survey), self._target(survey)
        objective = Objective(
            loss, self._penalty(survey), target, survey.center, survey.spread, self.fit_intercept
        )
        if survey.levels is not None:
            objective = self._with_categories(objective, survey.levels, schema)
        options = Options(self.solver, self.tol, self.max_iter)
        warm = self._warm_parameters(objective) if self.warm_start else None
        return (yield from minimise(objective, survey, options, warm))

    def _loss(self, survey: Survey) -> Loss:
        """Return the loss."""
        raise NotImplementedError

    def _penalty(self, survey: Survey) -> Penalty:
        """Return the penalty beside the mean loss."""
        raise NotImplementedError

    def _target(self, survey: Survey) -> Target:
        """Return how y is read."""
        return Target()

    def _with_categories(
        self, objective: Objective, levels: LevelWeights, schema: Schema
    ) -> Objective:
        """Give each label of the categorical columns a coefficient."""
        penalised = objective.is_penalised
        self.encoding_ = make_encoding(self.categorical, levels, schema, penalised)
        widths = np.zeros(self.encoding_.n_columns - self.encoding_.n_numeric)
        return replace(
            objective,
            center=np.append(objective.center, widths),
            scale=np.append(objective.scale, spread_of_levels(levels, self.encoding_)),
            encoding=self.encoding_,
        )

    def _adopt(self, minimum: Minimum, dtype: Any) -> None:
        """Set the fitted attributes."""
        self.coef_ = minimum.coef[0].astype(dtype)
        self.intercept_ = minimum.intercept.astype(dtype)[0] if self.fit_intercept else 0.0
        self.n_iter_ = minimum.n_iter
        self._adopt_course(minimum)

    def _adopt_course(self, minimum: Minimum) -> None:
        self.n_sample_iter_ = minimum.n_sample_iter
        self.solver_used_ = minimum.solver
        self.solver_reason_ = minimum.reason

    def _warm_parameters(self, objective: Objective) -> np.ndarray | None:
        if not hasattr(self, "coef_"):
            return None
        coef = np.atleast_2d(self.coef_).astype(np.float64)
        intercept = np.broadcast_to(np.asarray(self.intercept_, np.float64), len(coef))
        theta = objective.parameters(coef, intercept)
        return theta if theta.shape == objective.shape else None

    def _check(self, dataset: Dataset) -> None:
        check_flags(self, "fit_intercept", "warm_start")
        check_categorical(self)
        check_number(self, "tol", 0.0)
        check_integer(self, "max_iter", 1)
        check_choice(self, "solver", ("auto", *SOLVERS))
        check_random_state(self.random_state)

    def _warn(self, minimum: Minimum) -> None:
        if minimum.converged:
            return
        name = type(self).__name__
        if minimum.separated:
            problem = (
                "the classes are perfectly separated, so that without a penalty the coefficients "
                "grow for ever: set a finite C"
            )
        elif minimum.n_iter + 1 >= self.max_iter:
            problem = (
                f"after max_iter={self.max_iter} passes the steepest way down is still "
                f"{minimum.violation:.1e}, above tol={self.tol}: raise max_iter or tol"
            )
        else:
            problem = (
                f"no step lowers the objective any more at {minimum.violation:.1e}, above "
                f"tol={self.tol}: scale the columns, or raise tol"
            )
        warnings.warn(f"{name} did not converge: {problem}", ConvergenceWarning, stacklevel=3)

    def _stages(self, schema: Schema) -> list[Stage]:
        """Describe the passes of a fit on such data."""
        p, ask = schema.n_features, sample_ask(schema, None, 0)
        loss = self._assumed_loss()
        parameters = loss.n_outputs * (p + 1)
        nothing = np.zeros((loss.n_outputs, p))
        point = Point(loss, Target(), nothing, nothing[:, 0], nothing[0])
        sample = 3 * 8 * ask.limit * (p + 1)
        work = 8 * SLICE_BYTES + 3 * 8 * parameters**2
        return [
            Stage(first_look.STAGE, SAMPLE, ask, 1, sample),
            Stage(STAGE, LOSS_CURVATURE, point, self.max_iter, work),
        ]

    def _assumed_loss(self) -> Loss:
        """Return a loss of the size that is expected before the data are seen."""
        raise NotImplementedError
