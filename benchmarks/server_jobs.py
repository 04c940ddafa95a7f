"""Jobs of the parameter server."""

from benchmarks.data import Data
from benchmarks.job import Contender, Job, speedup

WORKERS = {"workers": 8}

SERVER_JOBS = (
    Job(
        "staleness",
        "Parameter server, 8 workers slowed 3× at random, SGD to 1.005 times the least objective",
        Data("regression", rows=8_000, columns=50),
        (
            Contender("staleness 3", "serving:descent", WORKERS | {"staleness": 3}),
            Contender("staleness 0", "serving:descent", WORKERS | {"staleness": 0}),
        ),
        (speedup(1.5, "staleness 0"),),
        subject="staleness 3",
        tolerance=0.005,
        note="A pass over a worker's rows is made to take 150 ms, and three times as long while "
        "the worker is slow: a Markov chain in time, by which workers are slow for two passes on "
        "average, 29 % of the time. Both step alike; the objective is that on all rows.",
    ),
)
