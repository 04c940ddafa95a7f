"""The page about scaling, from passes whose costs are known."""

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.scaling.__main__ import MEASURED
from benchmarks.scaling.evidence import WITHIN, as_measured, compare, is_within, messages
from benchmarks.scaling.measure import ROW_BYTES, RUNTIMES, SUMMARY_BYTES, measure
from benchmarks.scaling.page import write
from flowml.simulate import CostModel, fitted, predicted, relative_errors

COSTS = CostModel(row=2e-9, task=2e-3, cores=2)


def record(n_workers: int, row_bytes: int, runtime: str, summary_bytes: int) -> dict[str, Any]:
    told = {
        "runtime": runtime,
        "n_workers": n_workers,
        "row_bytes": row_bytes,
        "summary_bytes": summary_bytes,
    }
    seconds = predicted(as_measured(told | {"seconds": [[1.0]]}), COSTS)
    return told | {"seconds": [[9.0 * seconds], [seconds, 0.5 * seconds]]}


def records(*n_workers: int) -> list[dict[str, Any]]:
    return [record(*kind) for kind in product(n_workers, ROW_BYTES, RUNTIMES, SUMMARY_BYTES)]


def test_costs_are_fitted_to_what_passes_usually_took() -> None:
    costs, rows = compare(records(1, 2, 8), cores=2)
    assert costs.row == pytest.approx(COSTS.row, rel=0.02)
    assert all(is_within(row.simulated, row.measured) for row in rows)
    assert all(is_within(row.foretold, row.measured) for row in rows if row.work.n_workers == 2)


def test_what_was_measured_last_is_simulated() -> None:
    """Nine tenths of the kinds of passes, at least, by costs that are all that is fitted."""
    results = json.loads(MEASURED.read_text())
    measured = [one for one in map(as_measured, results["records"]) if one.work.n_workers >= 2]
    costs = fitted(measured, CostModel(cores=int(results["machine"]["cores"])))
    errors = relative_errors(measured, costs)
    assert np.mean(np.abs(errors) <= WITHIN) >= 0.9
    assert abs(np.median(errors)) < 0.05


def test_messages_grow_no_faster_than_the_logarithm() -> None:
    assert [messages(n) for n in (1, 2, 4, 8, 16, 17, 300)] == [4, 6, 6, 6, 6, 10, 14]


def test_the_page_shows_what_was_measured_and_what_would_be(tmp_path: Path) -> None:
    results = {
        "machine": {"cores": "2"},
        "versions": {},
        "load": 2.5,
        "measured": "today",
        "commit": "none",
        "records": records(1, 2),
    }
    write(results, tmp_path, largest=16)
    text = (tmp_path / "scaling.md").read_text()
    glance = text.split("\n## ")[1]
    assert [glance.count(f"| {way} | 0.") for way in ("dataflow", "allreduce", "tree of 8")] == [
        1
    ] * 3
    assert glance.count("| Pareto, shape 2 | 16 |") == 1
    assert "16 of 16 simulated" in text
    assert "2.5 processes wanted one of its 2 cores" in text
    assert "| 2 | 6 | 6 | yes |" in text
    assert "| `row` | A byte of rows, on a core | 0.002 |" in text
    drawn = re.findall(r"\]\((scaling/.*\.svg)\)", text)
    assert len(drawn) == 3
    assert all((tmp_path / name).read_text().startswith("<?xml") for name in drawn)


@pytest.mark.slow
def test_passes_are_measured_on_every_runtime() -> None:
    measured = list(measure(2, counted=2))
    assert {one["runtime"] for one in measured} == set(RUNTIMES)
    assert all(second > 0 for one in measured for turn in one["seconds"] for second in turn)
