"""Clustering."""

from flowml.cluster.kmeans import KMeans

__all__ = ["KMeans"]
