"""Run the benchmarks and write docs/benchmarks.md."""

import json
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks.job import Job
from benchmarks.jobs import JOBS
from benchmarks.machine import commit, machine, versions
from benchmarks.page import page, summary_table
from benchmarks.race import WARM_UP_TURNS, race
from benchmarks.verdict import Record, record

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
MEMORY = HERE / "memory.json"
CAUSES = HERE / "causes.toml"
PAGE = HERE.parent / "docs" / "benchmarks.md"


@click.command()
@click.option(
    "--only",
    "names",
    multiple=True,
    type=click.Choice([job.name for job in JOBS]),
    help="Measure this job only; may be given several times.",
)
@click.option(
    "--rows", type=click.IntRange(min=100), help="At most so many rows: a trial, only printed."
)
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--render", is_flag=True, help="Measure nothing: write the page from the results.")
def main(names: tuple[str, ...], rows: int | None, repeats: int, render: bool) -> None:
    """Measure flowml against its neighbours and write docs/benchmarks.md.

    A job's new record replaces its old one in benchmarks/results.json as soon as it is measured.
    """
    jobs = [job for job in JOBS if not names or job.name in names]
    if rows is not None:
        measured = [(job, measure(job, repeats)) for job in (job.with_rows(rows) for job in jobs)]
        click.echo(summary_table(measured))
        return
    for job in [] if render else jobs:
        save(job, measure(job, repeats))
    PAGE.write_text(page(JOBS, saved(), tomllib.loads(CAUSES.read_text())))
    click.echo(f"wrote {PAGE}")


def measure(job: Job, repeats: int) -> Record:
    """Run one job, telling on the standard error how far it is."""
    click.echo(f"{job.name}: {job.title}, {job.data.rows:,} rows", err=True)
    outcomes = race(job, repeats, lambda line: click.echo(f"  {line}", err=True))
    today = datetime.now(UTC).date().isoformat()
    where = {"measured": today, "commit": commit(), "processor": machine()["processor"]}
    return record(job, outcomes) | where


def saved() -> dict[str, Any]:
    """Return the saved results, with those of benchmarks/memory.py where there are any."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"jobs": {}}
    if MEMORY.exists():
        results["memory"] = json.loads(MEMORY.read_text())
    return results


def save(job: Job, measured: Record) -> None:
    """Put a job's record into the results, with what it was measured on."""
    jobs = saved()["jobs"] | {job.name: measured}
    results = {
        "machine": machine(),
        "versions": versions(),
        "warm_up_turns": WARM_UP_TURNS,
        "jobs": jobs,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
