"""Linear models."""

from flowml.linear_model.linear_regression import LinearRegression

__all__ = ["LinearRegression"]
