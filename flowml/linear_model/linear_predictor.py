"""What iteratively fitted linear models share: loss and penalty in, coefficients out."""

import warnings
from dataclasses import replace
from typing import Any, Self

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_random_state

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, follow
from flowml.drive.stage import Stage
from flowml.estimator import Needs, PassEstimator
from flowml.kernels.level_weights import LevelWeights
from flowml.kernels.linear_loss import SLICE_BYTES, Offset, Target
from flowml.kernels.sample import SAMPLE
from flowml.linear_model import evidence, separation
from flowml.linear_model import survey as first_look
from flowml.linear_model.categorical import (
    CategoricalEncoding,
    adopt_encoding,
    check_categorical,
    names_of_coefficients,
    spread_of_levels,
)
from flowml.linear_model.convergence import collinear_problem, problem_of
from flowml.linear_model.evidence import Described
from flowml.linear_model.minimising import STAGE, Minimum, Options, minimise
from flowml.linear_model.solver_choice import (
    SOLVERS,
    USUAL_SHARE,
    Work,
    choose_solver,
    planned,
    planned_ask,
)
from flowml.linear_model.survey import Survey, sample_ask, sample_seed
from flowml.losses.likelihood import likelihood_of
from flowml.losses.loss import Loss
from flowml.parameters import check_choice, check_flags, check_integer, check_number
from flowml.penalties.penalty import Penalty
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.machine import total_memory
from flowml.solvers.objective import Objective
from flowml.solvers.solver import Solver


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
    _described: Described
    _remedy = "set a finite C"
    _is_batch = False
    _counts_stored = False
    """Whether the survey tells the solver which columns CSR rows store."""

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
        return self._fit(X, y, sample_weight)

    def _fit(self, X: Any, y: Any, sample_weight: Any, **beside: Any) -> Self:
        """Fit the model; `beside` goes to `_dataset`."""
        with self._training(X, y, sample_weight, **beside) as session, one_blas_thread():
            dataset = session.runtime.dataset
            follow(session, self._learning(dataset.schema, dataset.n_rows))
        return self

    def _learning(
        self, schema: Schema, n_rows: int | None, describe: bool = True
    ) -> Procedure[None]:
        """Learn, and take what was learned."""
        minimum = yield from self._procedure(schema, n_rows, describe)
        self._take(minimum, schema)

    def _take(self, minimum: Minimum, schema: Schema) -> None:
        """Take what was learned, and warn where it isn't all."""
        self._adopt(minimum, schema.dtype)
        if minimum.described is not None:
            self._described = minimum.described._replace(
                target_names=schema.target_names, categorical=schema.categorical
            )
        self._warn(minimum)

    def _procedure(
        self, schema: Schema, n_rows: int | None, describe: bool = False
    ) -> Procedure[Minimum]:
        """Look once, then minimise; keep what a summary is made from if it is to be described."""
        seed = sample_seed(self.random_state)
        beside = first_look.Beside(
            self.needs.labels,
            self._counts_stored,
            self._target_check(schema),
            self._target_totals(schema) if describe else None,
        )
        survey = yield from first_look.survey(schema, n_rows, self.fit_intercept, seed, beside)
        loss, offset = self._loss(survey), self._offset(schema)
        target = self._target(survey)._replace(offset=offset)
        objective = Objective(
            loss, self._penalty(survey), target, survey.center, survey.spread, self.fit_intercept
        )
        if survey.levels is not None:
            objective = self._with_categories(objective, survey.levels, schema)
        warm = self._warm_parameters(objective) if self.warm_start else None
        options = self._options()._replace(describe=describe)
        return (yield from self._minimise(objective, survey, options, warm))

    def _minimise(
        self, objective: Objective, survey: Survey, options: Options, warm: np.ndarray | None
    ) -> Procedure[Minimum]:
        """Minimise the objective, or several that are made of it."""
        return minimise(objective, survey, options, warm)

    def _loss(self, survey: Survey) -> Loss:
        """Return the loss."""
        raise NotImplementedError

    def _penalty(self, survey: Survey) -> Penalty:
        """Return the penalty beside the mean loss."""
        raise NotImplementedError

    def _target(self, survey: Survey) -> Target:
        """Return how y is read."""
        return Target()

    def _offset(self, schema: Schema) -> Offset | None:
        """Return which column of y is an offset."""
        return None

    def _target_check(self, schema: Schema) -> Solver | None:
        """Return what refuses targets that the loss can't take."""
        return None

    def _target_totals(self, schema: Schema) -> Solver | None:
        """Return what sums up the targets for a summary."""
        return None

    def _with_categories(
        self, objective: Objective, levels: LevelWeights, schema: Schema
    ) -> Objective:
        """Give each label of the categorical columns a coefficient."""
        encoding = adopt_encoding(self, levels, schema, objective.is_penalised)
        assert encoding is not None
        widths = np.zeros(encoding.n_columns - encoding.n_numeric)
        return replace(
            objective,
            center=np.append(objective.center, widths),
            scale=np.append(objective.scale, spread_of_levels(levels, encoding)),
            encoding=encoding,
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

    def _options(self) -> Options:
        return Options(self.solver, self.tol, self.max_iter)

    def _check(self, dataset: Dataset) -> None:
        check_flags(self, "fit_intercept", "warm_start")
        check_categorical(self)
        check_number(self, "tol", 0.0)
        check_integer(self, "max_iter", 1)
        self._choose_solver(dataset.schema)
        check_random_state(self.random_state)

    def _warn(self, minimum: Minimum) -> None:
        if self._is_batch:  # one epoch of many isn't meant to converge
            return
        names = names_of_coefficients(self)
        if minimum.converged:
            self._warn_of_collinear(minimum, names)
            return
        problem = problem_of(minimum, self._options(), names, self._remedy)
        warnings.warn(
            f"{type(self).__name__} did not converge: {problem}", ConvergenceWarning, stacklevel=7
        )

    def _warn_of_collinear(self, minimum: Minimum, names: list[str]) -> None:
        """Warn where the curvature is at hand that tells."""
        evidence = None if minimum.described is None else minimum.described.evidence
        if evidence is None or evidence.curvature is None or evidence.squares.any():
            return
        if (problem := collinear_problem(evidence, names, self._remedy)) is not None:
            warnings.warn(problem, LinAlgWarning, stacklevel=8)

    def _stages(self, schema: Schema) -> list[Stage]:
        """Describe the passes of a fit on such data."""
        p, ask = schema.n_features, sample_ask(schema, None, 0)
        loss, (name, reason) = self._assumed_loss(), self._choose_solver(schema)
        solver = planned(name, loss, p, self.max_iter)
        held = loss.n_outputs * (p + 1) * (loss.n_outputs * (p + 1) if name == "newton" else 8)
        sample, work = 3 * 8 * ask.limit * (p + 1), 8 * SLICE_BYTES + 3 * 8 * held
        question, note = planned_ask(solver), f"{name}: {reason}"
        stages = [
            Stage(first_look.STAGE, SAMPLE, ask, 1, sample),
            Stage(STAGE, solver.fold, question, solver.max_passes, work, note=note),
        ]
        if name == "newton" and not self._has_kinks and likelihood_of(loss) is not None:
            allowed, passes = evidence.precision(self.tol), evidence.MOST_PASSES
            doubt = f"a sample leaves standard errors more than {allowed:g} off"
            stages.append(Stage(evidence.STAGE, solver.fold, question, passes, work, only_if=doubt))
        if self._is_unpenalised:
            stages += separation.stages(solver, work)
        return stages

    def _choose_solver(self, schema: Schema) -> tuple[str, str]:
        """Choose from what is known before the data are seen, or say why it can't be done."""
        check_choice(self, "solver", ("auto", *SOLVERS))
        n_outputs = self._assumed_loss().n_outputs
        n_parameters = n_outputs * (schema.n_features + self.fit_intercept)
        stored = float(schema.n_features) if schema.categorical else schema.stored
        if schema.sparse and stored is None:
            stored = USUAL_SHARE * schema.n_features
        work = Work(n_parameters, n_outputs, schema.n_rows, stored, total_memory())
        return choose_solver(self.solver, work, self._has_kinks)

    @property
    def _has_kinks(self) -> bool:
        """Whether the penalty holds absolute values or bounds."""
        return bool(getattr(self, "l1_ratio", 0.0))

    @property
    def _is_unpenalised(self) -> bool:
        return getattr(self, "C", np.inf) == np.inf and not getattr(self, "alpha", 0.0)

    def _assumed_loss(self) -> Loss:
        """Return a loss of the size that is expected before the data are seen."""
        raise NotImplementedError
