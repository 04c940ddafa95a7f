"""What linear models share that are fitted by stochastic gradient descent."""

import copy
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_random_state

from flowml.config import get_config
from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step
from flowml.drive.stage import Stage
from flowml.kernels.linear_loss import SLICE_BYTES, Target
from flowml.kernels.sample import SAMPLE
from flowml.linear_model.evidence import Described
from flowml.linear_model.linear_predictor import LinearPredictor
from flowml.linear_model.minimising import STAGE, Minimum, Options, without_features
from flowml.linear_model.survey import SEEDS, Survey, sample_ask
from flowml.linear_model.survey import STAGE as SURVEY
from flowml.parameters import (
    check_choice,
    check_flags,
    check_integer,
    check_number,
    check_share,
)
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.objective import Objective
from flowml.solvers.sgd import Schedule, Sgd, longest_step, state_bytes

PENALTIES = ("l2", "l1", "elasticnet", None)
RATES = ("optimal", "constant", "invscaling", "adaptive")
OPTIMAL_POWER = 0.5


def check_epsilon(estimator: Any) -> None:
    """Check how large an error is small."""
    check_number(estimator, "epsilon", 0.0)
    if estimator.loss == "huber" and estimator.epsilon == 0:
        raise ValueError(f"{type(estimator).__name__}(epsilon=0): huber needs an epsilon above 0")


def epochs_of_a_pass(local_steps: int | None) -> str:
    """Say how many epochs a pass is, for people.

    Examples
    --------
    >>> epochs_of_a_pass(1), epochs_of_a_pass(4)
    ('an epoch is a pass', '4 epochs are a pass')
    """
    if local_steps is None:
        return "all epochs are a pass, and another looks at their mean"
    return "an epoch is a pass" if local_steps == 1 else f"{local_steps} epochs are a pass"


class StochasticPredictor(LinearPredictor):
    """A linear predictor that is fitted an epoch at a time, each of which is a pass."""

    penalty: str | None
    alpha: float
    l1_ratio: float
    shuffle: bool
    learning_rate: str
    eta0: float
    power_t: float
    n_iter_no_change: int
    average: bool
    loss: str
    solver = "sgd"
    steps_locally = True
    _counts_stored = True
    _epochs = 0

    def _one_epoch(self, X: Any, y: Any, sample_weight: Any, **given: Any) -> Self:
        """Go on from where the model is, for one epoch over a batch."""
        epoch = copy.copy(self)
        parameters = {"max_iter": 1, "warm_start": True, "_is_batch": True, **given}
        epoch.__dict__.update(parameters)
        epoch._fit(X, y, sample_weight, reset=not hasattr(self, "coef_"))
        kept = self.get_params(deep=False).keys() | parameters.keys()
        learned = {name: value for name, value in vars(epoch).items() if name not in kept}
        self.__dict__.update(learned)
        return self

    def _minimise(
        self, objective: Objective, survey: Survey, options: Options, warm: np.ndarray | None
    ) -> Procedure[Minimum]:
        start = without_features(objective, survey.sample) if warm is None else warm
        begun = self._epochs if self._is_batch and warm is not None else 0
        schedule = self._schedule(
            longest_step(objective, survey.sample, start), begun, self._seed()
        )
        solver = Sgd(objective, start, options.tol, options.max_iter, schedule, survey.share)
        state = yield Step(STAGE, solver)
        self._epochs = solver.epochs(state)
        coef, intercept = objective.coefficients(state.theta)
        return Minimum(
            coef,
            intercept,
            *self._choose_solver(None),
            n_iter=(schedule.local or 1) * state.n_iter,
            n_sample_iter=0,
            value=state.value,
            violation=state.violation,
            converged=state.converged,
            separated=False,
            stuck=state.stuck,
            described=Described(
                None, self.solver, objective.loss, objective.target, objective.encoding
            ),
        )

    def _seed(self) -> int | None:
        return int(check_random_state(self.random_state).randint(SEEDS)) if self.shuffle else None

    def _schedule(self, longest: float, begun: int, seed: int | None) -> Schedule:
        powers = {"optimal": OPTIMAL_POWER, "invscaling": self.power_t}
        return Schedule(
            longest if self.learning_rate == "optimal" else self.eta0,
            powers.get(self.learning_rate, 0.0),
            self.learning_rate == "adaptive",
            self.n_iter_no_change,
            self.average,
            seed,
            begun,
            get_config().local_steps,
        )

    def _penalty(self, survey: Survey) -> ElasticNet:
        l1_ratio = {"l1": 1.0, "l2": 0.0, None: 0.0}.get(self.penalty, self.l1_ratio)
        alpha = 0.0 if self.penalty is None else self.alpha
        return ElasticNet(alpha * l1_ratio, alpha * (1 - l1_ratio))

    def _options(self) -> Options:
        return Options(self.solver, self.tol, self.max_iter)

    def _choose_solver(self, schema: Schema | None) -> tuple[str, str]:
        return self.solver, "as the estimator's name says"

    def _adopt(self, minimum: Minimum, dtype: Any) -> None:
        super()._adopt(minimum, dtype)
        self.n_iter_ = minimum.n_iter

    def _check(self, dataset: Dataset) -> None:
        super()._check(dataset)
        check_flags(self, "shuffle", "average")
        check_number(self, "alpha", 0.0)
        check_share(self, "l1_ratio")
        check_number(self, "eta0", 0.0)
        check_number(self, "power_t", 0.0)
        check_integer(self, "n_iter_no_change", 1)
        check_choice(self, "learning_rate", RATES)
        name = type(self).__name__
        if self.penalty not in PENALTIES:
            allowed = ", ".join(map(repr, PENALTIES))
            raise ValueError(f"{name}(penalty={self.penalty!r}): penalty must be {allowed}")
        if self.eta0 == 0 and self.learning_rate != "optimal":
            raise ValueError(f"{name}(eta0={self.eta0!r}): eta0 must be above 0")

    def _stages(self, schema: Schema) -> list[Stage]:
        p, ask, loss = schema.n_features, sample_ask(schema, None, 0), self._assumed_loss()
        objective = Objective(loss, ElasticNet(), Target(), np.zeros(p), np.ones(p))
        nothing, share = np.zeros(objective.shape), np.ones(p) if schema.sparse else None
        solver = Sgd(objective, nothing, self.tol, self.max_iter, self._schedule(1.0, 0, 0), share)
        sample, work = 3 * 8 * ask.limit * (p + 1), 8 * SLICE_BYTES + 8 * 8 * nothing.size
        question, note = solver.ask(solver.init()), epochs_of_a_pass(get_config().local_steps)
        shared = p if solver.along_columns else 0
        descent = Stage(
            STAGE,
            solver.fold,
            question,
            solver.max_passes,
            work,
            note=note,
            shared_columns=shared,
            shared_bytes=state_bytes(loss.n_outputs, shared),
        )
        return [Stage(SURVEY, SAMPLE, ask, 1, sample), descent]
