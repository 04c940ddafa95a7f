"""The command ``flowml plan``."""

from pathlib import Path
from typing import Any

import click

import flowml
from flowml.cli.connection import connection
from flowml.cli.options import job_of, job_options
from flowml.cli.preparing import prepare
from flowml.config import config_context


@click.command("plan")
@job_options
def command(job_file: Path | None, **flags: Any) -> None:
    """Say what a job will cost, before it is paid.

    Takes what 'flowml fit' takes, and reads no rows.
    """
    job = job_of(job_file, flags)
    estimator, dataset, _ = prepare(job)
    with (
        connection(job.scheduler, job.workers) as client,
        config_context(client=client, **job.runtime_settings),
    ):
        click.echo(str(flowml.plan(estimator, dataset)))
