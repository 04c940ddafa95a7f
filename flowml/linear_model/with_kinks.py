"""What linear models share whose loss may be made of straight lines."""

from flowml.data.schema import Schema
from flowml.linear_model.linear_predictor import LinearPredictor
from flowml.linear_model.minimising_kinks import GLOBBING, check_columns
from flowml.losses.kinked import KinkedLoss


class WithKinks(LinearPredictor):
    """A linear predictor that leaves the choice of the solver to its loss."""

    solver = "auto"

    def _choose_solver(self, schema: Schema) -> tuple[str, str]:
        if not isinstance(self._assumed_loss(), KinkedLoss):
            return super()._choose_solver(schema)
        check_columns(schema.n_features + 1)
        return GLOBBING
