"""Validation and search whose fits share their passes over the data."""

from flowml.model_selection.grid_search_cv import GridSearchCV
from flowml.model_selection.hyperband_search_cv import HyperbandSearchCV
from flowml.model_selection.randomized_search_cv import RandomizedSearchCV
from flowml.model_selection.splitting_once import train_test_split
from flowml.model_selection.successive_halving_search_cv import SuccessiveHalvingSearchCV
from flowml.model_selection.validation import cross_val_score, cross_validate
from flowml.splitters import GroupKFold, KFold, ShuffleSplit, StratifiedKFold

__all__ = [
    "GridSearchCV",
    "GroupKFold",
    "HyperbandSearchCV",
    "KFold",
    "RandomizedSearchCV",
    "ShuffleSplit",
    "StratifiedKFold",
    "SuccessiveHalvingSearchCV",
    "cross_val_score",
    "cross_validate",
    "train_test_split",
]
