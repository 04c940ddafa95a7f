"""Classifiers of many classes, made of others."""

from flowml.multiclass.one_vs_rest import OneVsRestClassifier

__all__ = ["OneVsRestClassifier"]
