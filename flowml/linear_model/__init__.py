"""Linear models."""

from flowml.linear_model.linear_regression import LinearRegression
from flowml.linear_model.ridge import Ridge

__all__ = ["LinearRegression", "Ridge"]
