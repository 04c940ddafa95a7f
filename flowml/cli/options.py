"""Flags that ``fit`` and ``plan`` share: each is a key of the job."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from flowml.cli.catalogue import parse_parameter
from flowml.cli.job import Job, make_job, settings_of
from flowml.config import DEFAULT_RUNTIME, RUNTIMES

MANY = "give it several times for several, or separate them by commas"


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the job's file and flags; it takes them as `job_of` does."""
    options: list[Callable[..., Any]] = [
        click.argument(
            "job_file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
        ),
        click.option("--estimator", metavar="NAME", help="Such as linear_model.Ridge."),
        click.option(
            "--param",
            "params",
            multiple=True,
            metavar="NAME=VALUE",
            help="A parameter of the estimator, its value in TOML: alpha=0.1.",
        ),
        click.option(
            "--data",
            multiple=True,
            metavar="PATH",
            help="Parquet, CSV, Zarr or .npy: paths, globs, folders or fsspec URLs.",
        ),
        click.option("--target", multiple=True, metavar="COLUMN", help=f"What to predict; {MANY}."),
        click.option("--weight", metavar="COLUMN", help="Sample weights."),
        click.option(
            "--features",
            multiple=True,
            metavar="COLUMNS",
            help=f"What to learn from, by default all the other columns; {MANY}.",
        ),
        click.option(
            "--categorical",
            multiple=True,
            metavar="COLUMNS",
            help=f"Columns of labels, where Parquet doesn't say so; {MANY}.",
        ),
        click.option(
            "--test-data", multiple=True, metavar="PATH", help="Held-out rows for the score."
        ),
        click.option("--out", metavar="FOLDER", help="Where the model goes."),
        cluster_options,
        runtime_option,
        click.option(
            "--checkpoint", metavar="FOLDER", help="By default 'checkpoint' in the --out folder."
        ),
        click.option(
            "--checkpoint-seconds",
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help="Least time between two checkpoints, by default 5.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags that say where it runs."""
    scheduler = click.option("--scheduler", metavar="ADDRESS", help="Run on this Dask cluster.")
    workers = click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="Start a local cluster of N processes. Without it: threads of this process.",
    )
    return scheduler(workers(command))


def runtime_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flag that says who adds up."""
    option = click.option(
        "--runtime",
        type=click.Choice(RUNTIMES),
        help=f"Who adds up on a cluster, by default {DEFAULT_RUNTIME}.",
    )
    return option(command)


def job_of(job_file: Path | None, flags: dict[str, Any]) -> Job:
    """Make the job of a file and flags.

    Raises
    ------
    ValueError
        See `flowml.cli.job.make_job`.
    """
    given = flags | {
        "params": dict(parse_parameter(text) for text in flags["params"]),
        "runtime": {} if flags["runtime"] is None else {"name": flags["runtime"]},
        "target": one_or_many(_split(flags["target"])),
        "features": _split(flags["features"]),
        "categorical": _split(flags["categorical"]),
        "data": one_or_many(list(flags["data"])),
        "test_data": one_or_many(list(flags["test_data"])),
    }
    return make_job(settings_of(job_file, given))


def one_or_many(values: list[str]) -> Any:
    """Return the only value by itself, several as a list, none as None.

    Examples
    --------
    >>> one_or_many(["y"]), one_or_many(["a", "b"]), one_or_many([])
    ('y', ['a', 'b'], None)
    """
    return values[0] if len(values) == 1 else values or None


def _split(values: tuple[str, ...]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]
