"""Spark in its own JVM, as many threads as the other contenders have workers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.clustering import KMeans, KMeansModel
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression, LinearRegressionModel
from pyspark.sql import DataFrame, SparkSession

from benchmarks.contenders.inputs import ITERATIONS, WORKERS
from benchmarks.contenders.reaching import reaching
from benchmarks.contenders.turn import Result, Run, Turn, Work, timed

PARTITIONS = 4


@contextmanager
def cached(work: Work) -> Iterator[DataFrame]:
    """Cache the rows as a column of vectors and a column of targets."""
    session = (
        SparkSession.builder.master(f"local[{WORKERS}]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", "6g")
        .getOrCreate()
    )
    try:
        rows = session.read.parquet(str(work.folder / "parquet"))
        names = [name for name in rows.columns if name != "y"]
        vectors = VectorAssembler(inputCols=names, outputCol="features").transform(rows)
        frame = vectors.select("features", "y").repartition(PARTITIONS).cache()
        frame.count()
        yield frame
    finally:
        session.stop()


@contextmanager
def linear_regression(work: Work) -> Iterator[Run]:
    with cached(work) as frame:
        model = LinearRegression(labelCol="y", solver="normal", regParam=0.0)
        yield timed(lambda: model.fit(frame), _coefficients)


@contextmanager
def k_means(work: Work) -> Iterator[Run]:
    """Run the iterations from the rows that Spark draws by seed.

    Spark takes no start from its user. So the start that it draws is written down for the other
    contenders, which are prepared after it; and as they don't draw, a fit that draws and makes no
    iteration is timed as well and taken off.
    """
    k = len(np.load(work.folder / "start.npy"))

    def fit(iterations: int) -> tuple[float, KMeansModel]:
        model = KMeans(k=k, initMode="random", seed=1, maxIter=iterations, tol=0.0)
        started = time.perf_counter()
        fitted = model.fit(frame)
        return time.perf_counter() - started, fitted

    def run() -> Turn:
        drawing, _ = fit(0)
        seconds, fitted = fit(ITERATIONS)
        return Turn(seconds - drawing, _centres(fitted))

    with cached(work) as frame:
        _, drawn = fit(0)
        np.save(work.folder / "start.npy", np.array(drawn.clusterCenters()))
        yield run


def _coefficients(model: LinearRegressionModel) -> Result:
    return {"coefficients": model.coefficients.toArray().tolist(), "intercept": model.intercept}


def _centres(model: KMeansModel) -> Result:
    return {
        "centres": [centre.tolist() for centre in model.clusterCenters()],
        "iterations": model.summary.numIter,
    }


@contextmanager
def logistic(work: Work) -> Iterator[Run]:
    """Two classes or more; Spark's penalty is beside the mean loss."""

    def fit(tol: float) -> LogisticRegressionModel:
        model = LogisticRegression(
            labelCol="y", regParam=1.0 / rows, standardization=False, tol=tol, maxIter=1000
        )
        return model.fit(frame)

    with cached(work) as frame:
        rows = frame.count()
        yield reaching(work, fit, _parameters)


def _parameters(model: LogisticRegressionModel) -> tuple[Any, Any]:
    return model.coefficientMatrix.toArray(), model.interceptVector.toArray()
