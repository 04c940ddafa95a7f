"""Validation and search whose fits share their passes over the data."""

from flowml.splitters import GroupKFold, KFold, ShuffleSplit, StratifiedKFold

__all__ = ["GroupKFold", "KFold", "ShuffleSplit", "StratifiedKFold"]
