"""Measure passes on 1 to 16 workers, fit a cost model, simulate, and write docs/scaling.md."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.machine import commit, machine, versions
from benchmarks.scaling.measure import COUNTED, N_WORKERS, measure
from benchmarks.scaling.page import write

HERE = Path(__file__).parent
MEASURED = HERE / "measured.json"
DOCS = HERE.parent.parent / "docs"


@click.command()
@click.option(
    "--workers",
    multiple=True,
    type=click.IntRange(min=1),
    default=N_WORKERS,
    help="Measure with so many; may be given several times.",
)
@click.option("--passes", default=COUNTED, show_default=True, type=click.IntRange(min=2))
@click.option("--render", is_flag=True, help="Measure nothing: write the page from measured.json.")
@click.option("--largest", default=100_000, show_default=True, help="Workers to simulate.")
@click.option("--to", default=DOCS, type=click.Path(path_type=Path), help="Folder to write to.")
def main(workers: tuple[int, ...], passes: int, render: bool, largest: int, to: Path) -> None:
    """Measure passes, simulate more workers than there are, and write scaling.md with its plots.

    Records replace those with as many workers in benchmarks/scaling/measured.json.
    """
    load = os.getloadavg()[0]  # of others: later it is our own
    for n_workers in () if render else workers:
        click.echo(f"{n_workers} workers", err=True)
        save(n_workers, list(measure(n_workers, passes)), load)
    write(json.loads(MEASURED.read_text()), to, largest)
    click.echo(f"wrote {to / 'scaling.md'}")


def save(n_workers: int, records: list[dict[str, object]], load: float) -> None:
    """Put the records into the file, with what they were measured on."""
    before = json.loads(MEASURED.read_text())["records"] if MEASURED.exists() else []
    kept = [record for record in before if record["n_workers"] != n_workers]
    measured = {
        "machine": machine(),
        "load": load,
        "versions": versions(),
        "measured": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "records": sorted(kept + records, key=lambda record: record["n_workers"]),
    }
    MEASURED.write_text(json.dumps(measured) + "\n")


if __name__ == "__main__":
    sys.exit(main())
