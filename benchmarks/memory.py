"""More data than memory: 8 GB of Parquet through two workers of 1 GB each.

``python -m benchmarks.memory --gb 8`` prints its results as JSON; ``--jobs KMeans`` runs only some.

Passes are timed, each from its ask to its summary; ``seconds`` is the whole fit. Workers and
pyarrow's processes have all gone over one file before, so that no imports are timed.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster

import flowml
from flowml.cluster import KMeans
from flowml.drive.events import PassCompleted
from flowml.linear_model import LinearRegression
from flowml.preprocessing import StandardScaler

N_FEATURES = 50
GROUP_ROWS = 50_000
"""Row groups of 20 MB."""
FILE_GROUPS = 20
ROW_BYTES = 8 * (N_FEATURES + 1)
CLUSTERS = 8
JOBS = ("LinearRegression", "StandardScaler", "KMeans")
FEATURES = [f"x{number}" for number in range(N_FEATURES)]


def write_data(folder: Path, nbytes: float) -> list[str]:
    """Write Parquet files of about `nbytes` in all, of random rows."""
    rng = np.random.default_rng(0)
    n_groups = max(2, round(nbytes / ROW_BYTES / GROUP_ROWS))
    paths = []
    for low in range(0, n_groups, FILE_GROUPS):
        path = str(folder / f"{low:05d}.parquet")
        schema = pa.schema([(name, pa.float64()) for name in [*FEATURES, "y"]])
        with pq.ParquetWriter(path, schema, use_dictionary=False, compression="none") as writer:
            for _ in range(low, min(low + FILE_GROUPS, n_groups)):
                X = rng.normal(size=(N_FEATURES, GROUP_ROWS))
                y = X[:3].sum(axis=0) + rng.normal(size=GROUP_ROWS)
                writer.write_table(pa.table([*X, y], schema=schema), row_group_size=GROUP_ROWS)
        paths.append(path)
    return paths


def read_groups(paths: list[str]) -> int:
    """Read every row group of some files with pyarrow alone; return the rows."""
    rows = 0
    for path in paths:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows += file.read_row_group(group, use_threads=False).num_rows
    return rows


def pyarrow_seconds(paths: list[str], n_processes: int) -> float:
    """Time pyarrow alone, the files shared out among processes that run already."""
    with multiprocessing.get_context("spawn").Pool(n_processes) as pool:
        pool.map(read_groups, [paths[:1]] * n_processes)
        started = time.perf_counter()
        pool.map(read_groups, [paths[part::n_processes] for part in range(n_processes)])
        return time.perf_counter() - started


def worker_facts(dask_worker: Any) -> dict[str, Any]:
    """Return what a worker knows of its own memory."""
    spilled = dask_worker.data.spilled_total
    return {
        "peak": peak_resident(),
        "spilled": int(spilled.disk),
        "pid": os.getpid(),
    }


def peak_resident() -> int:
    """Return the most bytes that this process has ever held."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def measure(client: Client, name: str, fit: Callable[[], Any], nbytes: int) -> dict[str, Any]:
    """Run one fit and record speed and what the workers went through."""
    before = client.run(worker_facts)
    seconds: list[float] = []

    def listen(event: object) -> None:
        if isinstance(event, PassCompleted):
            seconds.append(event.seconds)

    with flowml.config_context(client=client, callbacks=[listen]):
        started = time.perf_counter()
        model = fit()
        total = time.perf_counter() - started
    after = client.run(worker_facts)
    return {
        "job": name,
        "passes": model.n_passes_,
        "seconds": total,
        "pass_seconds": seconds,
        "bytes_per_second": nbytes * len(seconds) / sum(seconds),
        "peak_rss": max(facts["peak"] for facts in after.values()),
        "spilled": sum(facts["spilled"] for facts in after.values()),
        "killed": before.keys() != after.keys()
        or any(after[worker]["pid"] != before[worker]["pid"] for worker in before),
        "paused": events_named(client, "paused"),
    }


def events_named(client: Client, status: str) -> int:
    """Count the workers' changes to a status, from the scheduler's log of events."""
    return sum(
        event.get("action") == "worker-status-change" and event.get("status") == status
        for log in client.get_events().values()
        for _, event in log
        if isinstance(event, dict)
    )


def run(
    gigabytes: float, n_workers: int = 2, memory_limit: str = "1GB", chosen: Sequence[str] = JOBS
) -> dict[str, Any]:
    """Make the data, run the chosen jobs and return the results."""
    with tempfile.TemporaryDirectory(prefix="flowml-memory-") as name:
        paths = write_data(Path(name), gigabytes * 1e9)
        rows = sum(pq.read_metadata(path).num_rows for path in paths)
        nbytes = rows * ROW_BYTES
        read = pyarrow_seconds(paths, n_workers)
        results = jobs(paths, nbytes, n_workers, memory_limit, chosen)
        read = min(read, pyarrow_seconds(paths, n_workers))
    for result in results:
        result["share_of_pyarrow"] = result["bytes_per_second"] / (nbytes / read)
    return {"rows": rows, "bytes": nbytes, "pyarrow_seconds": read, "jobs": results}


def make_fits(paths: list[str]) -> dict[str, Callable[[], Any]]:
    """Return the jobs over some files; each reads all columns, as pyarrow does."""
    with_target = flowml.read_parquet(paths, target="y")
    all_columns = flowml.read_parquet(paths)
    start = np.random.default_rng(1).normal(size=(CLUSTERS, N_FEATURES + 1))
    kmeans = KMeans(CLUSTERS, init=start, max_iter=10, tol=0.0)
    return {
        "LinearRegression": lambda: LinearRegression().fit(with_target),
        "StandardScaler": lambda: StandardScaler().fit(all_columns),
        "KMeans": lambda: kmeans.fit(all_columns),
    }


def jobs(
    paths: list[str], nbytes: int, n_workers: int, memory_limit: str, chosen: Sequence[str]
) -> list[dict[str, Any]]:
    """Fit the chosen models, each streaming the files."""
    fits = make_fits(paths)
    warm_up = make_fits(paths[:1])
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            memory_limit=memory_limit,
            dashboard_address=":0",
        ) as cluster,
        Client(cluster) as client,
    ):
        for name in chosen:
            with flowml.config_context(client=client, keep=False):
                warm_up[name]()
        return [measure(client, name, fits[name], nbytes) for name in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=8.0)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=JOBS)
    options = parser.parse_args()
    print(json.dumps(run(options.gb, chosen=options.jobs), indent=2))


if __name__ == "__main__":
    main()
