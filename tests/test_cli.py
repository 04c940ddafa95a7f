"""The command line as a user runs it: real processes, real clusters, real interrupts."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from distributed import LocalCluster

import flowml
from flowml.datasets import california_housing

BIN = Path(sys.executable).parent
FEATURES = "median_income,housing_median_age,latitude,longitude"
SECONDS = 120


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / str(command[0]), *map(str, command[1:])],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def fit(*more: object, program: tuple[str, ...] = ("flowml",)) -> subprocess.CompletedProcess[str]:
    data = ("--data", california_housing(), "--target", "median_house_value")
    ridge = ("--estimator", "linear_model.Ridge", "--param", "alpha=0.5", "--features", FEATURES)
    return run(*program, "fit", *ridge, *data, *more)


def test_fit_and_predict_on_threads() -> None:
    done = fit("--out", "model")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "model/report.html"
    assert {path.name for path in Path("model").iterdir()} == {
        "model.skops",
        "job.toml",
        "versions.json",
        "history.csv",
        "report.html",
    }
    assert json.loads(Path("model/versions.json").read_text())["flowml"] == flowml.__version__
    assert list(pd.read_csv("model/history.csv")["stage"]) == ["gram"]
    again = run("flowml", "fit", "model/job.toml", "--out", "again", "--quiet")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    model, other = flowml.load_model("model"), flowml.load_model("again")
    np.testing.assert_array_equal(model.coef_, other.coef_)
    scored = run(
        "flowml", "predict", "--model", "model", "--data", california_housing(), "--out", "scored"
    )
    assert scored.returncode == 0, scored.stderr
    rows = pd.read_parquet(california_housing(), columns=FEATURES.split(","))
    found = pd.read_parquet("scored")["prediction"]
    np.testing.assert_allclose(found, model.predict(rows), rtol=1e-10)


def test_a_local_cluster_and_a_running_one_give_the_same_bits(cluster: LocalCluster) -> None:
    address = cluster.scheduler_address
    runs = (
        fit("--out", "here"),
        fit("--out", "local", "--workers", "2"),
        fit("--out", "there", "--scheduler", address, program=("dask", "flowml")),
    )
    for done in runs:
        assert done.returncode == 0, done.stderr
    here, *others = (flowml.load_model(name).coef_ for name in ("here", "local", "there"))
    for coef in others:
        np.testing.assert_array_equal(coef, here)
    assert "2 workers" in Path("there/report.html").read_text()


def test_a_scheduler_that_does_not_answer_is_an_error_in_time() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    done = fit("--out", "model", "--scheduler", address)
    assert done.returncode == 1
    assert f"no Dask scheduler answered at {address} within 10 s" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not Path("model").exists()


def test_the_plan_reads_nothing_and_writes_nothing() -> None:
    job = Path("job.toml")
    job.write_text(
        f'estimator = "cluster.KMeans"\ndata = "{california_housing()}"\n'
        'features = ["latitude", "longitude"]\nout = "model"\n\n[params]\nmax_iter = 7\n'
    )
    done = run("flowml", "plan", job)
    assert done.returncode == 0, done.stderr
    assert "Plan of KMeans.fit" in done.stdout
    assert "20,640 rows, 2 features" in done.stdout
    assert not Path("model").exists()


def test_an_interrupted_fit_says_how_to_go_on_and_does() -> None:
    rows = np.random.default_rng(0).uniform(size=(150_000, 10))
    np.save("rows.npy", rows)
    job = ("--estimator", "cluster.KMeans", "--data", "rows.npy")
    for parameter in ("n_clusters=60", "max_iter=40", "tol=0", "random_state=0"):
        job += ("--param", parameter)
    whole = run("flowml", "fit", *job, "--out", "whole", "--quiet")
    assert whole.returncode == 0, whole.stderr
    stopped, progress = interrupted_fit(job, "model")
    assert stopped == 130, progress
    assert "Traceback" not in progress
    assert "The checkpoint is model/checkpoint/checkpoint.npz" in progress
    assert progress.splitlines()[-1] == "Go on with: flowml fit model/checkpoint/job.toml --resume"
    refused = run("flowml", "fit", *job, "--out", "model")
    assert refused.returncode == 1
    assert "--resume goes on from it, --overwrite starts again" in refused.stderr
    resumed = run("flowml", "fit", "model/checkpoint/job.toml", "--resume", "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    assert not Path("model/checkpoint").exists()
    model, undisturbed = flowml.load_model("model"), flowml.load_model("whole")
    np.testing.assert_array_equal(model.cluster_centers_, undisturbed.cluster_centers_)
    assert model.n_passes_ == undisturbed.n_passes_


def interrupted_fit(job: tuple[str, ...], out: str) -> tuple[int, str]:
    """Start a fit, press Ctrl-C once it has begun, and return its code and what it wrote."""
    command = [BIN / "flowml", "fit", *job, "--out", out]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + SECONDS
        while not Path(out, "checkpoint").exists():
            assert process.poll() is None, "the fit ended before it could be interrupted"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(1.5)
        os.kill(process.pid, signal.SIGINT)
        _, text = process.communicate(timeout=SECONDS)
    return process.returncode, text
