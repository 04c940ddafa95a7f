"""What iteratively fitted linear regressors share."""

from flowml.linear_model.linear_output import LinearOutput
from flowml.linear_model.linear_predictor import LinearPredictor


class LinearRegressor(LinearOutput, LinearPredictor):
    """A linear predictor that minimises a loss and predicts its target as it is."""
