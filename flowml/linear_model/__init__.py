"""Linear models."""

from flowml.linear_model.categorical import CategoricalEncoding
from flowml.linear_model.huber_regressor import HuberRegressor
from flowml.linear_model.linear_regression import LinearRegression
from flowml.linear_model.logistic_regression import LogisticRegression
from flowml.linear_model.ridge import Ridge

__all__ = [
    "CategoricalEncoding",
    "HuberRegressor",
    "LinearRegression",
    "LogisticRegression",
    "Ridge",
]
