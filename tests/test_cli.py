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
from click.testing import CliRunner
from distributed import LocalCluster

import flowml
from flowml.cli.main import flowml as command
from flowml.cluster import KMeans
from flowml.datasets import california_housing
from flowml.linear_model import Ridge

BIN = Path(sys.executable).parent
FEATURES = "median_income,housing_median_age,latitude,longitude"
SECONDS = 120


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / str(words[0]), *map(str, words[1:])],
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
    scored = run(
        "flowml", "predict", "--model", "model", "--data", california_housing(), "--out", "scored"
    )
    assert scored.returncode == 0, scored.stderr
    rows = pd.read_parquet(california_housing(), columns=FEATURES.split(","))
    expected = flowml.load_model("model").predict(rows)
    np.testing.assert_allclose(pd.read_parquet("scored")["prediction"], expected, rtol=1e-10)


def test_a_local_cluster_and_a_running_one_give_the_same_bits(cluster: LocalCluster) -> None:
    address = cluster.scheduler_address
    for done in (
        fit("--out", "local", "--workers", "2"),
        fit("--out", "there", "--scheduler", address, program=("dask", "flowml")),
    ):
        assert done.returncode == 0, done.stderr
    rows = flowml.read_parquet(
        california_housing(), target="median_house_value", features=FEATURES.split(",")
    )
    here = Ridge(alpha=0.5).fit(rows)
    for folder in ("local", "there"):
        np.testing.assert_array_equal(flowml.load_model(folder).coef_, here.coef_)
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


def test_an_interrupted_fit_says_how_to_go_on_and_does() -> None:
    np.save("rows.npy", np.random.default_rng(0).uniform(size=(100_000, 10)))
    parameters = {"n_clusters": 50, "max_iter": 60, "tol": 0.0, "random_state": 0}
    job = ["fit", "--estimator", "cluster.KMeans", "--data", "rows.npy", "--out", "model"]
    job += [text for name, value in parameters.items() for text in ("--param", f"{name}={value}")]
    stopped, wrote = interrupted(*job, "--checkpoint-seconds", "0")
    assert stopped == 130, wrote
    assert "Traceback" not in wrote
    assert "The checkpoint is model/checkpoint/checkpoint.npz" in wrote
    assert wrote.splitlines()[-1] == "Go on with: flowml fit model/checkpoint/job.toml --resume"
    refused = CliRunner().invoke(command, job)
    assert refused.exit_code == 1
    assert "--resume goes on from it, --overwrite starts again" in refused.stderr
    resumed = run("flowml", "fit", "model/checkpoint/job.toml", "--resume", "--quiet")
    assert (resumed.returncode, resumed.stdout, resumed.stderr) == (0, "", "")
    assert not Path("model/checkpoint").exists()
    model = flowml.load_model("model")
    undisturbed = KMeans(**parameters).fit(flowml.read_npy("rows.npy"))
    np.testing.assert_array_equal(model.cluster_centers_, undisturbed.cluster_centers_)
    assert model.n_passes_ == undisturbed.n_passes_


def interrupted(*arguments: str) -> tuple[int, str]:
    """Start a fit, press Ctrl-C after its first checkpoint; return its code and what it wrote."""
    with subprocess.Popen(
        [BIN / "flowml", *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + SECONDS
        while not Path("model/checkpoint/checkpoint.npz").exists():
            assert process.poll() is None, "the fit ended before it could be interrupted"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        _, text = process.communicate(timeout=SECONDS)
    return process.returncode, text
