"""The table of all jobs."""

from benchmarks.coded_jobs import CODED_JOBS
from benchmarks.data import Data
from benchmarks.fault_jobs import FAULT_JOBS
from benchmarks.glm_jobs import GLM_JOBS
from benchmarks.job import FLOWML, Contender, Job, Measure, Target, speedup
from benchmarks.runtime_jobs import RUNTIME_JOBS
from benchmarks.server_jobs import SERVER_JOBS

LLOYD, ELKAN = "scikit-learn (lloyd)", "scikit-learn (elkan)"
DASK_CHUNKS = {"chunks": 20}
SMALL_TIMES = {"times": 10}


def _k_means_in_process(name: str, title: str, kind: str, limit: float) -> Job:
    return Job(
        name,
        title,
        Data(kind),
        (
            Contender(FLOWML, "flowml:k_means_in_process"),
            Contender(LLOYD, "scikit_learn:k_means", {"algorithm": "lloyd"}),
            Contender(ELKAN, "scikit_learn:k_means", {"algorithm": "elkan"}),
        ),
        (speedup(limit, LLOYD, ELKAN),),
    )


def _small(name: str, title: str, function: str, peer: str, tolerance: float = 1e-6) -> Job:
    return Job(
        name,
        title,
        Data("blobs", rows=10_000, centres=8),
        (
            Contender(FLOWML, f"flowml:{function}", SMALL_TIMES),
            Contender("scikit-learn", f"scikit_learn:{peer}", SMALL_TIMES | {"algorithm": "lloyd"}),
        ),
        (speedup(1.0, "scikit-learn"),),
        tolerance=tolerance,
    )


def _chunks(name: str, title: str, kind: str, function: str) -> Job:
    few, many = "20 chunks", "1,000 chunks"
    return Job(
        name,
        title,
        Data(kind),
        (
            Contender(few, f"passes:{function}", {"chunks": 20}),
            Contender(many, f"passes:{function}", {"chunks": 1000}),
        ),
        (Target(Measure.COST, 1.25, (few,)),),
        subject=many,
    )


def _importing(
    name: str, statement: str, modules: list[str], peer_modules: list[str], limit: float | None
) -> Job:
    peer = " and ".join(peer_modules)
    return Job(
        name,
        f"{statement}, fresh process",
        Data("regression", rows=20),
        (
            Contender(FLOWML, "starting:importing", {"modules": modules}),
            Contender(peer, "starting:importing", {"modules": peer_modules}),
        ),
        () if limit is None else (Target(Measure.DELAY, limit, (peer,)),),
        fresh=True,
    )


JOBS = (
    Job(
        "linear-in-process",
        "LinearRegression, in process",
        Data("regression"),
        (
            Contender(FLOWML, "flowml:linear_regression"),
            Contender("scikit-learn", "scikit_learn:linear_regression"),
            Contender("scikit-learn-intelex", "intelex:linear_regression"),
        ),
        (speedup(8.0, "scikit-learn"), speedup(1.3, "scikit-learn-intelex")),
    ),
    Job(
        "linear-on-workers",
        "LinearRegression on 2 workers, data persisted in 20 chunks",
        Data("regression", parquet=True),
        (
            Contender(FLOWML, "flowml:linear_regression_on_workers", DASK_CHUNKS),
            Contender("dask-ml (newton)", "dask_ml:linear_regression_on_workers", DASK_CHUNKS),
            Contender("Spark (normal)", "spark:linear_regression"),
        ),
        (speedup(15.0, "dask-ml (newton)"), speedup(20.0, "Spark (normal)")),
    ),
    _k_means_in_process(
        "kmeans-blobs", "k-means k=20, 20 iterations, blobs, in process", "blobs", 3.0
    ),
    _k_means_in_process(
        "kmeans-noise", "k-means k=20, 20 iterations, uniform noise, in process", "noise", 1.3
    ),
    Job(
        "kmeans-on-workers",
        "k-means k=20, 20 iterations, blobs, on 2 workers, data persisted in 20 chunks",
        Data("blobs", parquet=True),
        (
            Contender("Spark", "spark:k_means"),
            Contender(FLOWML, "flowml:k_means_on_workers", DASK_CHUNKS),
            Contender("dask-ml", "dask_ml:k_means_on_workers", DASK_CHUNKS),
        ),
        (speedup(12.0, "dask-ml"), speedup(20.0, "Spark")),
        note="Spark takes no start from its user: it draws one by seed, and the others start from "
        "what it drew. Its time is that of its fit less that of a fit that draws and makes no "
        "iteration.",
    ),
    Job(
        "standard-scaler",
        "StandardScaler, in process",
        Data("regression"),
        (
            Contender(FLOWML, "flowml:standard_scaler"),
            Contender("scikit-learn", "scikit_learn:standard_scaler"),
        ),
        (speedup(4.0, "scikit-learn"),),
    ),
    Job(
        "parquet-to-linear",
        "Parquet on disk to fitted LinearRegression, fresh process",
        Data("regression", parquet=True),
        (
            Contender(FLOWML, "flowml:linear_regression_from_parquet"),
            Contender("dask.dataframe, dask-ml", "dask_ml:linear_regression_from_parquet"),
            Contender("dask.dataframe, Gram", "dask_array:linear_regression_from_parquet"),
        ),
        (speedup(3.0, "dask.dataframe, dask-ml", "dask.dataframe, Gram"),),
        fresh=True,
        note="Each turn is a new process, timed after its imports; the files are in the system's "
        "page cache. The Gram matrix is written with dask.array (`X.T @ X`) on the threaded "
        "scheduler.",
    ),
    _chunks("pass-gram", "A pass of LinearRegression, 2 workers", "regression", "gram"),
    _chunks("pass-kmeans", "A pass of k-means (lloyd, k=20), 2 workers", "blobs", "lloyd"),
    _small(
        "linear-small",
        "LinearRegression, 10,000 rows, in process",
        "linear_regression",
        "linear_regression",
    ),
    _small(
        "kmeans-small",
        "KMeans(8), 10,000 rows, in process, same start",
        "k_means_in_process",
        "k_means",
    ),
    _small(
        "kmeans-small-own-start",
        "KMeans(8), 10,000 rows, in process, each with its default start",
        "k_means_own_start",
        "k_means_own_start",
        tolerance=0.1,
    ),
    _importing("import", "import flowml", ["flowml"], ["dask.array", "sklearn"], 0.3),
    _importing(
        "import-linear",
        "import flowml.linear_model",
        ["flowml.linear_model"],
        ["dask.array", "sklearn.linear_model"],
        None,
    ),
    Job(
        "first-kmeans",
        "First KMeans fit of a process, 10,000 rows, compile cache warm",
        Data("blobs", rows=10_000, centres=8),
        (
            Contender("second fit", "flowml:k_means_own_start", {"fits_before": 1}),
            Contender("first fit", "flowml:k_means_own_start"),
        ),
        (Target(Measure.DELAY, 0.5, ("second fit",)),),
        subject="first fit",
        fresh=True,
    ),
    *GLM_JOBS,
    *RUNTIME_JOBS,
    *SERVER_JOBS,
    *FAULT_JOBS,
    *CODED_JOBS,
)
