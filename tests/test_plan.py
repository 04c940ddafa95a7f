"""Plans: nothing is computed for them, they say what happens, and their peak holds."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import psutil
import pytest
from distributed import Client

import flowml
from flowml.cluster import KMeans
from flowml.linear_model import LinearRegression
from flowml.preprocessing import StandardScaler
from tests.power_iteration import PRODUCT, PowerIteration, make_rows
from tests.table import ESTIMATORS, EstimatorRow

ROOT = Path(__file__).parents[1]


def explode(block: np.ndarray, block_info: Any = None) -> np.ndarray:
    if block.size == 0:
        return block
    raise AssertionError("the plan computed something")


def test_a_plan_of_arrays_in_this_process():
    X = make_rows(200_000, 8)
    estimator = LinearRegression()
    plan = flowml.plan(estimator, X, X[:, 0], sample_weight=np.ones(len(X)))
    assert vars(estimator) == vars(LinearRegression())
    assert plan.runtime == "threads"
    assert plan.keep
    assert plan.reason == "in memory already"
    assert plan.bytes_per_pass == 200_000 * 10 * 8
    model = estimator.fit(X, X[:, 0])
    assert model.n_passes_ <= plan.passes


def test_the_graph_of_a_pass_is_lazy_and_gives_the_summary():
    X = make_rows(50_000, 8)
    plan = flowml.plan(PowerIteration(), da.from_array(X, chunks=(10_000, -1)))
    summary = plan.graph.compute(scheduler="synchronous").summary
    assert summary.rows == 50_000
    np.testing.assert_allclose(summary.product, X.T @ (X @ np.ones(8)))
    here = flowml.plan(PowerIteration(), X).graph.compute(scheduler="synchronous").summary
    np.testing.assert_allclose(here.product, summary.product)
    assert PRODUCT.finite(summary)


@pytest.mark.parametrize("keep", [True, False])
def test_planning_computes_nothing(client: Client, keep: bool):
    X = da.zeros((1_000_000, 4), chunks=(100_000, 4))
    X = X.map_blocks(explode, meta=np.empty((0, 0)))
    with flowml.config_context(client=client, keep=keep):
        plan = flowml.plan(KMeans(3, init=np.zeros((3, 4)), max_iter=7), X)
        assert plan.runtime == "dataflow"
        assert plan.keep is keep
        assert plan.n_workers == 2
        # Streamed, each of the ten chunks takes two tasks of its own, one to gather, one to sum.
        assert plan.tasks_per_pass == (3 if keep else 10 * 4 + 1)
        text = str(plan)
    assert f"config_context(keep={keep})" in text
    assert "1,000,000 rows" in text


def test_a_plan_prints_as_a_table_and_as_html():
    plan = flowml.plan(StandardScaler(), make_rows(1000))
    assert str(plan).splitlines()[0] == "Plan of StandardScaler.fit"
    assert "peak memory" in str(plan)
    html = plan._repr_html_()
    assert html.startswith("<table>")
    assert "peak memory" in html


def test_unknown_sizes_are_said_to_be_unknown():
    frame = pd.DataFrame(make_rows(1000)).rename(columns="x{}".format)
    X = da.from_array(frame.to_numpy(), chunks=(100, -1))
    plan = flowml.plan(StandardScaler(), X[X[:, 0] > 0])
    assert plan.peak_memory is None
    assert "not known before the data are loaded" in str(plan)


def test_only_estimators_of_flowml_have_plans():
    with pytest.raises(TypeError, match="plan takes an estimator of flowml, got list"):
        flowml.plan([], make_rows(10))


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Eighty MB of rows in row groups of four."""
    folder = tmp_path_factory.mktemp("plan")
    frame = pd.DataFrame(make_rows(500_000, 20)).rename(columns="x{}".format)
    for part in range(2):
        frame.iloc[part::2].to_parquet(folder / f"{part}.parquet", row_group_size=25_000)
    return str(folder / "*.parquet")


MEASURE = """
import sys, threading, time, numpy as np, psutil
import dask.array as da, flowml
from flowml.cluster import KMeans
from flowml.linear_model import LinearRegression
from flowml.preprocessing import StandardScaler

kind, keep, path = sys.argv[1], sys.argv[2] == "True", sys.argv[3]
data = (
    flowml.read_parquet(path) if kind == "parquet"
    else da.random.default_rng(0).normal(size=(500_000, 20), chunks=(25_000, -1))
)
process = psutil.Process()
idle = peak = process.memory_info().rss
running = True
def watch():
    global peak
    while running:
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.002)
watcher = threading.Thread(target=watch)
watcher.start()
with flowml.config_context(keep=keep, n_threads=2):
    estimator = KMeans(8, init=np.eye(8, 20), max_iter=3)
    plan = flowml.plan(estimator, data)
    estimator.fit(data)
running = False
watcher.join()
print(plan.peak_memory, peak - idle)
"""


@pytest.mark.parametrize("kind", ["parquet", "dask"])
@pytest.mark.parametrize("keep", [True, False])
def test_the_measured_peak_of_a_process_is_within_the_plan(parquet: str, kind: str, keep: bool):
    command = [sys.executable, "-c", MEASURE, kind, str(keep), parquet]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    planned, measured = map(int, found.stdout.split())
    assert measured <= planned
    assert planned < measured + 400e6


def resident() -> int:
    return psutil.Process(os.getpid()).memory_info().rss


@pytest.mark.parametrize("keep", [True, False])
def test_the_measured_memory_of_workers_is_within_the_plan(
    client: Client, parquet: str, keep: bool
):
    idle = client.run(resident)
    measured: list[int] = []

    def measure(event: object) -> None:
        now = client.run(resident)
        measured.append(max(now[worker] - idle[worker] for worker in idle))

    data = flowml.read_parquet(parquet)
    with flowml.config_context(client=client, keep=keep, callbacks=[measure]):
        plan = flowml.plan(PowerIteration(3), data)
        PowerIteration(3).fit(data)
    assert plan.peak_memory is not None
    assert max(measured) <= plan.peak_memory


@pytest.mark.parametrize("row", ESTIMATORS, ids=lambda row: row.name)
def test_a_pass_sends_as_much_for_few_rows_as_for_many(client: Client, row: EstimatorRow):
    sent = []
    for n_rows in (60, 6_000):
        X, y, weight = row.data(n_rows)
        with flowml.config_context(client=client):
            plan = flowml.plan(row.make(), X, y if row.with_y else None, weight)
            sent.append(plan.bytes_on_the_wire)
    assert sent[0] == sent[1]
    assert sent[0].down > 0
    assert sent[0].up < 2_000


def test_the_plan_says_what_goes_between_workers(client: Client):
    X = da.from_array(make_rows(4_000, 8), chunks=(500, -1))
    with flowml.config_context(client=client):
        plan = flowml.plan(PowerIteration(), X)
        down, between, up = plan.bytes_on_the_wire
        assert between == up, "four leaves each: one subtree goes to the other worker"
        assert down > 2 * 8 * 8
        assert "to the workers" in str(plan)
    with flowml.config_context(client=client, runtime="allreduce"):
        assert flowml.plan(PowerIteration(), X).bytes_on_the_wire == (0, 2 * 3 * 4096, 0)
    with flowml.config_context(client=client, runtime="parameter_server"):
        served = flowml.plan(PowerIteration(), X).bytes_on_the_wire
        assert served == (0, down // 2 + up, 0), "the one that doesn't serve: an ask, a subtree"
    with flowml.config_context(client=client, runtime="coded"):
        assert flowml.plan(PowerIteration(), X).bytes_on_the_wire is None
    with flowml.config_context(client=client, keep=False):
        assert flowml.plan(PowerIteration(), X).bytes_on_the_wire is None
    assert flowml.plan(PowerIteration(), make_rows(100)).bytes_on_the_wire == (0, 0, 0)
