"""Training one job: files in, a folder with a model and its report out."""

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distributed import Client  # names what connection.py opens

import flowml
from flowml.cli.connection import connection
from flowml.cli.job import Job
from flowml.cli.meter import MemoryMeter
from flowml.cli.preparing import prepare
from flowml.config import config_context
from flowml.data.dataset import Dataset
from flowml.drive.checkpoint import FILE_NAME as CHECKPOINT_FILE
from flowml.drive.checkpoint import PREVIOUS_NAME as PREVIOUS_CHECKPOINT_FILE
from flowml.drive.events import CheckpointWritten, Event, PassCompleted
from flowml.persistence import save_model
from flowml.report.fit_report import fit_report
from flowml.report.quality import fit_measures, score_name
from flowml.report.trained import Trained

FILES = ("model.skops", "job.toml", "versions.json", "history.csv", "report.html")
PACKAGES = ("flowml", "numpy", "scipy", "scikit-learn", "dask", "distributed", "pandas", "pyarrow")


class Watch:
    """Follows a fit: how far it came, and what it left to go on from.

    Parameters
    ----------
    job : Job
        Written beside the checkpoint, so that ``flowml fit`` can go on from there.

    Attributes
    ----------
    n_passes : int
    """

    def __init__(self, job: Job) -> None:
        self.n_passes = 0
        self.checkpoint = job.checkpoint_folder / CHECKPOINT_FILE
        self.job_file = job.checkpoint_folder / "job.toml"
        self._job = job

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, PassCompleted):
            self.n_passes = event.number
        elif isinstance(event, CheckpointWritten):
            self.leave_job()

    def leave_job(self) -> bool:
        """Write the job beside the checkpoint if there is one, and tell whether there is."""
        there = self.checkpoint.exists()
        if there and not self.job_file.exists():
            write_text(self.job_file, self._job.to_toml())
        return there

    def forget(self) -> None:
        """Remove the checkpoint of a fit that has ended well."""
        self.checkpoint.unlink(missing_ok=True)
        self.checkpoint.with_name(PREVIOUS_CHECKPOINT_FILE).unlink(missing_ok=True)
        self.job_file.unlink(missing_ok=True)
        folder = self.checkpoint.parent
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()


def train(job: Job, watch: Watch, resume: bool = False, progress: bool = False) -> Trained:
    """Train a job's model; nothing is written but the checkpoint.

    Parameters
    ----------
    job : Job
    watch : Watch
    resume : bool
        Go on from the checkpoint, where there is one.
    progress : bool

    Raises
    ------
    ValueError
        For anything wrong with the job or its data.
    """
    estimator, dataset, test = prepare(job)
    with (
        connection(job.scheduler, job.workers) as client,
        config_context(
            client=client,
            **job.runtime_settings,
            checkpoint=job.checkpoint_folder,
            checkpoint_seconds=job.checkpoint_seconds,
            resume=resume,
            progress=progress,
            callbacks=(watch,),
        ),
    ):
        plan = flowml.plan(estimator, dataset)
        with MemoryMeter(client) as meter:
            started = time.perf_counter()
            estimator.fit(dataset)
            seconds = time.perf_counter() - started
        found = scores(estimator, test)
        data = job.data if isinstance(job.data, str) else ", ".join(job.data)
        place = place_of(client)
        return Trained(estimator, data, dataset, plan, seconds, meter.peak, place, found)


def scores(model: Any, test: Dataset | None) -> dict[str, float]:
    """Return how good a model is: what it knows from the fit, and the score of held-out rows."""
    found = fit_measures(model)
    if test is not None and hasattr(model, "score"):
        score, is_cost = float(model.score(test)), hasattr(model, "inertia_")
        found[f"{score_name(model)}, held out"] = -score if is_cost else score
    return found


def place_of(client: Client | None) -> str:
    """Say in words what a fit ran on."""
    if client is None:
        return f"threads of this process, {len(os.sched_getaffinity(0))} processors"
    threads = list(client.nthreads().values())
    address = client.scheduler_info()["address"]
    return f"Dask cluster at {address}: {len(threads)} workers, {sum(threads)} threads"


def check_folder(job: Job, resume: bool, overwrite: bool) -> None:
    """Refuse to write over a model, or over a fit that could be resumed, unless told to.

    Raises
    ------
    ValueError
        Saying how to go on.
    """
    if overwrite:
        return
    there = [name for name in FILES if (job.folder / name).exists()]
    if there:
        raise ValueError(f"{job.folder} holds {there[0]} already: --overwrite replaces it")
    if (job.checkpoint_folder / CHECKPOINT_FILE).exists() and not resume:
        raise ValueError(
            f"{job.checkpoint_folder} holds the checkpoint of a fit that was stopped: "
            "--resume goes on from it, --overwrite starts again"
        )


def save(job: Job, trained: Trained) -> None:
    """Write a trained job's folder, the model last."""
    folder, text = job.folder, job.to_toml()
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "job.toml", text)
    write_text(folder / "versions.json", json.dumps(versions(), indent=2) + "\n")
    write_text(folder / "history.csv", trained.model.history_.to_csv())
    write_text(folder / "report.html", fit_report(trained, text, versions()))
    save_model(trained.model, folder / "model.skops")


def versions() -> dict[str, str]:
    """Return the versions of what a model was trained with."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
