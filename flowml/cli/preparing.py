"""From a job to what it names: an estimator and rows, checked before any of them is read."""

from typing import Any

from flowml.cli.catalogue import make_estimator
from flowml.cli.files import open_data
from flowml.cli.job import Job
from flowml.data.dataset import Dataset


def prepare(job: Job) -> tuple[Any, Dataset, Dataset | None]:
    """Return a job's unfitted estimator, its training rows and its held-out rows.

    Raises
    ------
    ValueError
        For anything wrong with the job that can be told without reading rows.
    """
    estimator = make_estimator(job.estimator, job.params)
    if estimator.needs.target and job.target is None:
        raise ValueError(f"{job.estimator} predicts something: say which column with --target")
    columns = (job.target, job.weight, job.features, job.categorical)
    dataset = open_data(job.data, *columns)
    if job.test_data is None:
        return estimator, dataset, None
    return estimator, dataset, open_data(job.test_data, *columns)
