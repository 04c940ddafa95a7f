"""The command ``flowml fit``."""

import shlex
from pathlib import Path
from typing import Any

import click

from flowml.cli.fitting import Watch, check_folder, save, train
from flowml.cli.job import Job
from flowml.cli.options import job_of, job_options
from flowml.report.trained import Trained

INTERRUPTED = 130


@click.command("fit")
@job_options
@click.option("--resume", is_flag=True, help="Go on from the checkpoint, where there is one.")
@click.option("--overwrite", is_flag=True, help="Replace the model in the --out folder.")
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")
@click.pass_context
def command(
    ctx: click.Context,
    job_file: Path | None,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    """Train a model from files on disk.

    The job is given by flags, or by a TOML file with the same keys (and a table [params]); flags
    win. The --out folder gets the model, the job, versions, the history and report.html.
    """
    job = job_of(job_file, flags)
    check_folder(job, resume, overwrite)
    watch = Watch(job)
    try:
        trained = train(job, watch, resume, progress=not quiet)
        save(job, trained)
    except KeyboardInterrupt:
        click.echo(stopped(watch), err=True)
        ctx.exit(INTERRUPTED)
    watch.forget()
    if not quiet:
        click.echo(outcome(job, trained))


def outcome(job: Job, trained: Trained) -> str:
    """Return the scores and where the report is; the progress has told the rest."""
    lines = [f"{name} {value:.6g}" for name, value in trained.scores.items()]
    return "\n".join([*lines, str(job.folder / "report.html")])


def stopped(watch: Watch) -> str:
    """Say where a stopped fit can go on."""
    if not watch.leave_job():
        return "Stopped before the first pass was done: there is nothing to resume."
    resume = shlex.join(["flowml", "fit", str(watch.job_file), "--resume"])
    return (
        f"Stopped after pass {watch.n_passes}. The checkpoint is {watch.checkpoint}\n"
        f"Go on with: {resume}"
    )
