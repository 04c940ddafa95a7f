"""Jobs in which runtimes are compared: what a pass costs beside its work."""

from dataclasses import asdict

from benchmarks.data import Data
from benchmarks.job import Contender, Job, Measure, Target, speedup
from benchmarks.problem import Problem

ALLREDUCE, DATAFLOW, DASK_LBFGS = "allreduce", "dataflow", "dask-ml (lbfgs)"
PROBLEM = Problem("logistic")
LOGISTIC = {"problem": asdict(PROBLEM), "solver": "lbfgs", "chunks": 2}

RUNTIME_JOBS = (
    Job(
        "empty-pass",
        "A pass over 2 rows, 2 workers",
        Data("noise", rows=2, columns=2, centres=2),
        tuple(
            Contender(name, "passes:empty", {"runtime": name, "chunks": 2})
            for name in (ALLREDUCE, DATAFLOW)
        ),
        (
            speedup(15.0, DATAFLOW),
            Target(Measure.COUNT, 1.0, (), "milliseconds"),
        ),
        subject=ALLREDUCE,
        note="The median of 200 passes of one fit.",
    ),
    Job(
        "logistic-allreduce",
        "LogisticRegression (L-BFGS), C=1, 50,000×20, on 2 workers, data persisted in 2 chunks",
        Data("logistic", rows=50_000, columns=20),
        (
            *(
                Contender(name, "flowml_models:logistic_on_workers", LOGISTIC | {"runtime": name})
                for name in (ALLREDUCE, DATAFLOW)
            ),
            Contender(DASK_LBFGS, "dask_ml:logistic_on_workers", LOGISTIC),
        ),
        (speedup(10.0, DATAFLOW), speedup(100.0, DASK_LBFGS)),
        problem=PROBLEM,
        subject=ALLREDUCE,
        note="The with block is open around the fits, so that ranks have met before.",
    ),
)
