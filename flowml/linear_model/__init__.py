"""Linear models."""

from flowml.linear_model.categorical import CategoricalEncoding
from flowml.linear_model.elastic_net import ElasticNet
from flowml.linear_model.elastic_net_cv import ElasticNetCV
from flowml.linear_model.gamma_regressor import GammaRegressor
from flowml.linear_model.generalized_linear_regressor import GeneralizedLinearRegressor
from flowml.linear_model.huber_regressor import HuberRegressor
from flowml.linear_model.lasso import Lasso
from flowml.linear_model.lasso_cv import LassoCV
from flowml.linear_model.linear_regression import LinearRegression
from flowml.linear_model.logistic_regression import LogisticRegression
from flowml.linear_model.logistic_regression_cv import LogisticRegressionCV
from flowml.linear_model.poisson_regressor import PoissonRegressor
from flowml.linear_model.quantile_regressor import QuantileRegressor
from flowml.linear_model.ridge import Ridge
from flowml.linear_model.ridge_classifier import RidgeClassifier
from flowml.linear_model.ridge_cv import RidgeCV
from flowml.linear_model.sgd_classifier import SGDClassifier
from flowml.linear_model.sgd_regressor import SGDRegressor
from flowml.linear_model.tweedie_regressor import TweedieRegressor

__all__ = [
    "CategoricalEncoding",
    "ElasticNet",
    "ElasticNetCV",
    "GammaRegressor",
    "GeneralizedLinearRegressor",
    "HuberRegressor",
    "Lasso",
    "LassoCV",
    "LinearRegression",
    "LogisticRegression",
    "LogisticRegressionCV",
    "PoissonRegressor",
    "QuantileRegressor",
    "Ridge",
    "RidgeCV",
    "RidgeClassifier",
    "SGDClassifier",
    "SGDRegressor",
    "TweedieRegressor",
]
