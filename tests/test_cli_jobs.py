"""Jobs from flags and files: what they mean, and what a mistake gets."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from flowml.cli.job import Job, make_job, settings_of
from flowml.cli.main import flowml
from flowml.datasets import california_housing
from flowml.persistence import load_model

HOUSING = str(california_housing())
GOOD = {
    "estimator": "linear_model.Ridge",
    "data": HOUSING,
    "target": "median_house_value",
    "features": ["median_income", "latitude"],
    "out": "model",
}
THREE = 'estimator = "a"\ndata = "b"\nout = "c"\n'


def run(*arguments: object) -> Result:
    return CliRunner().invoke(flowml, [str(argument) for argument in arguments])


def flags(**changed: str | None) -> list[str]:
    """Return the flags of a good job, some of them changed or (None) left out."""
    settings = GOOD | {"features": "median_income,latitude"} | changed
    return [text for key, value in settings.items() if value for text in (f"--{key}", str(value))]


def test_a_job_survives_its_file() -> None:
    job = Job(
        estimator="cluster.KMeans",
        data=["a b.parquet", 'quoted "name".csv'],
        out="C:\\models\\ö",
        features=["x", "y"],
        workers=2,
        params={
            "n_clusters": 3,
            "tol": 1e-9,
            "init": "k-means++",
            "flag": True,
            "alpha": [1.0, 2.5],
        },
        runtime={"name": "parameter_server", "staleness": 3},
    )
    assert make_job(tomllib.loads(job.to_toml())) == job


def test_flags_win_over_the_file_parameter_by_parameter(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(Job(**GOOD, params={"alpha": 2.0, "fit_intercept": False}).to_toml())
    settings = settings_of(path, {"out": "other", "weight": None, "params": {"alpha": 0.5}})
    job = make_job(settings)
    assert (job.out, job.weight, job.target) == ("other", None, "median_house_value")
    assert job.params == {"alpha": 0.5, "fit_intercept": False}


def test_the_runtime_is_a_table_of_the_file_and_its_name_a_flag(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    runtime = {"name": "parameter_server", "staleness": 3}
    path.write_text(Job(**GOOD, workers=2, runtime=runtime).to_toml())
    job = make_job(settings_of(path, {"runtime": {"name": "auto"}}))
    assert job.runtime_settings == {"runtime": "auto", "staleness": 3}
    assert Job(**GOOD).runtime_settings == {"runtime": "dataflow"}


def test_a_model_by_allreduce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for out, more in (("here", ()), ("there", ("--workers", "2", "--runtime", "allreduce"))):
        done = run("fit", "--quiet", *flags(out=out), *more)
        assert done.exit_code == 0, done.output
    assert "allreduce" in Path("there/report.html").read_text()
    here, there = (load_model(Path(out)) for out in ("here", "there"))
    np.testing.assert_array_equal(here.coef_, there.coef_)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('estimater = "a"', "a job has no key 'estimater'; did you mean estimator?"),
        ('estimator = "a"\nout = "b"', "the job doesn't say data"),
        ("data = 3", "data = 3 in the job must be text or a list"),
        ("features = [1, 2]", "features = [1, 2] in the job must be a list of text"),
        ('workers = "2"', "workers = '2' in the job must be a whole number"),
        ("workers = true", "workers = True in the job must be a whole number"),
        ('data = "a', "can't be read as TOML"),
        (
            'estimator = "a"\ndata = "b"\nout = "c"\nworkers = 2\nscheduler = "tcp://a:1"',
            "scheduler and workers exclude each other",
        ),
        ('estimator = "a"\ndata = "b"\nout = "c"\nworkers = 0', "workers = 0 must be at least 1"),
        (f"{THREE}[runtime]\nname = 'ring'", "runtime 'ring' is none of auto, dataflow"),
        (
            f"{THREE}[runtime]\nstalenes = 3",
            "[runtime] has no key 'stalenes'; did you mean staleness",
        ),
        (f"{THREE}[runtime]\nname = 'allreduce'", "'allreduce' needs a cluster: give --workers N"),
        (f"{THREE}runtime = 'allreduce'", "runtime = 'allreduce' in the job must be a table"),
    ],
)
def test_mistakes_in_a_file_are_named(toml: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(toml)
    assert_refused(run("fit", path), message)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"estimator": "Ridge"}, "no estimator 'Ridge'; did you mean linear_model.Ridge"),
        ({"estimator": "linear_model.Rigde"}, "did you mean linear_model.Ridge"),
        ({"estimator": "os.system"}, "there is no estimator 'os.system'; there are "),
        ({"param": "alfa=1"}, "linear_model.Ridge has no parameter 'alfa'; it has alpha"),
        ({"param": "alpha"}, "--param takes name=value, such as alpha=0.1; got 'alpha'"),
        ({"param": "alpha=-1.0"}, "alpha"),
        ({"param": "alpha=lots"}, "alpha"),
        ({"target": None}, "linear_model.Ridge predicts something: say which column with --target"),
        ({"target": "median_house"}, "median_house"),
        ({"features": "median_income,lattitude"}, "lattitude"),
        ({"features": "median_income,ocean_proximity"}, "ocean_proximity"),
        ({"features": "median_income,total_bedrooms"}, "NaN"),
        ({"data": "nowhere/*.parquet"}, "no file matches nowhere/*.parquet"),
        ({"data": "rows.xlsx"}, "ends in .xlsx, which flowml doesn't read; it reads .parquet"),
    ],
)
def test_mistakes_are_one_line(
    changed: dict[str, str | None],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run("fit", "--quiet", *flags(**changed)), message)
    assert not (tmp_path / "model" / "model.skops").exists()


def test_misuse_is_code_2() -> None:
    assert run("fit", "--nonsense").exit_code == 2
    assert run("fit", "missing.toml").exit_code == 2
    assert run("fti").exit_code == 2
    assert run("predict", "--out", "x").exit_code == 2


def test_version_and_help() -> None:
    assert run("--version").output == "flowml, version 0.1.0\n"
    text = run("--help").output
    for name in ("fit", "predict", "plan", "demo"):
        summary = run(name, "--help").output.splitlines()[2].strip()
        assert name in text
        assert summary in text


def test_the_plan_reads_nothing_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = Job("cluster.KMeans", HOUSING, "model", features=["latitude", "longitude"])
    Path("job.toml").write_text(job.to_toml())
    result = run("plan", "job.toml", "--param", "max_iter=7")
    assert result.exit_code == 0, result.stderr
    assert "Plan of KMeans.fit" in result.stdout
    assert "20,640 rows, 2 features" in result.stdout
    assert not Path("model").exists()


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz"])
def test_kinds_of_tables_give_the_same_model(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = pd.read_parquet(HOUSING, columns=["median_income", "latitude", "median_house_value"])
    write = rows.to_parquet if kind == "parquet" else rows.to_csv
    write(f"rows.{kind}", index=False)
    result = run("fit", *flags(data=f"rows.{kind}"))
    assert result.exit_code == 0, result.output
    expected = run("fit", *flags(out="expected"))
    score, report = result.stdout.splitlines()
    assert score == expected.stdout.splitlines()[0]
    assert report == "model/report.html"


def assert_refused(result: Result, message: str) -> None:
    assert result.exit_code == 1, result.output
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1
