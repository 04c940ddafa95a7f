"""The benchmark's own machinery, on a few rows and the contenders that are always here."""

import math
from dataclasses import replace

import pytest

from benchmarks.job import Contender, Job, Measure, Target, speedup
from benchmarks.jobs import JOBS
from benchmarks.page import page
from benchmarks.race import race
from benchmarks.verdict import met, record

ROWS = 2_000
BY_NAME = {job.name: job for job in JOBS}


def measured(job: Job) -> dict[str, object]:
    outcomes = race(job.with_rows(ROWS), 2, print)
    where = {"measured": "today", "commit": "none", "processor": "this"}
    return record(job, outcomes) | where


def results(**records: object) -> dict[str, object]:
    names = {name.replace("_", "-"): value for name, value in records.items()}
    return {"machine": {}, "versions": {}, "warm_up_turns": 2, "jobs": names}


def test_contenders_take_turns_and_agree() -> None:
    job = BY_NAME["linear-in-process"]
    both = replace(job, contenders=job.contenders[:2], targets=(speedup(1e-9, "scikit-learn"),))
    got = measured(both)
    assert [len(c["seconds"]) for c in got["contenders"].values()] == [2, 2]
    assert 0 <= got["contenders"]["scikit-learn"]["difference"] < 1e-9
    assert met(both, got, both.targets[0])
    text = page([both], results(linear_in_process=got), {})
    assert "at least 1e-09×" in text
    assert "Shortfalls" not in text


def test_who_can_not_run_is_left_out_with_the_reason() -> None:
    job = BY_NAME["linear-in-process"]
    absent = Contender("scikit-learn", "absent:linear_regression")
    both = replace(job, contenders=(job.contenders[0], absent), targets=job.targets[:1])
    got = measured(both)
    assert met(both, got, both.targets[0]) is None
    text = page([both], results(linear_in_process=got), {})
    assert "left out: ModuleNotFoundError: No module named 'benchmarks.contenders.absent'" in text


def test_a_different_result_is_not_a_win() -> None:
    job = BY_NAME["linear-in-process"]
    seconds = {"seconds": [1.0], "left_out": ""}
    got = {
        "rows": 1,
        "columns": 1,
        "measured": "today",
        "processor": "this",
        "commit": "none",
        "contenders": {
            "flowml": seconds | {"difference": 0.0},
            "scikit-learn": seconds | {"seconds": [100.0], "difference": math.inf},
            "scikit-learn-intelex": seconds | {"seconds": [100.0], "difference": 0.0},
        },
    }
    assert [met(job, got, target) for target in job.targets] == [False, True]
    text = page([job], results(linear_in_process=got), {"linear-in-process": "a bug"})
    assert "a bug" in text


def test_memory_is_on_the_page_with_its_cause_where_missed() -> None:
    job = {
        "job": "KMeans",
        "passes": 10,
        "seconds": 60.0,
        "bytes_per_second": 1.3e9,
        "peak_rss": 8e8,
        "spilled": 0,
        "killed": False,
        "paused": 0,
        "share_of_pyarrow": 0.5,
    }
    memory = {"rows": 10, "bytes": 8e9, "pyarrow_seconds": 3.0, "jobs": [job]}
    text = page([], results() | {"memory": memory}, {"memory": "too much copying"})
    assert "| KMeans | 10 | 60.0 | 1300 | 800 | no | 0 | 0 | 50% | **no** |" in text
    assert "too much copying" in text


@pytest.mark.parametrize("name", ["multinomial", "poisson"])
def test_minimisers_come_near_a_minimum_that_neither_has_found(name: str) -> None:
    job = BY_NAME[name]
    lbfgs = "scikit-learn (lbfgs)"
    both = replace(
        job,
        contenders=tuple(c for c in job.contenders if c.name in ("flowml", lbfgs)),
        targets=(speedup(1e-9, lbfgs), Target(Measure.COUNT, 100, (), "passes")),
    )
    got = measured(both)
    facts = [contender["facts"] for contender in got["contenders"].values()]
    assert all(-1e-12 < fact["gap"] <= 1e-8 for fact in facts)
    assert [met(both, got, target) for target in both.targets] == [True, True]
    text = page([both], results(**{name: got}), {})
    assert "at most 100 passes" in text
    assert f"tol {facts[0]['tol']:.3g}" in text


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_targets_name_contenders(job: Job) -> None:
    names = {contender.name for contender in job.contenders}
    assert job.subject in names
    assert all(set(target.peers) <= names for target in job.targets)
