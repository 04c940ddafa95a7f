"""A fit from start to end: open the runtime, drive, tell what happens, and let go of everything."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.drive.checkpoint import Checkpoint
from flowml.drive.events import Event, FitCompleted, FitStarted
from flowml.drive.progress import progress
from flowml.drive.records import Records
from flowml.drive.training import Training
from flowml.runtimes.choose import open_runtime


@contextmanager
def training(dataset: Dataset, config: Config, fingerprint: dict[str, str]) -> Iterator[Training]:
    """Open a training session on a dataset.

    Parameters
    ----------
    dataset : Dataset
    config : Config
    fingerprint : dict of str to str
        The estimator's share; ``"estimator"`` is its name.
    """
    shown = progress() if config.progress else nullcontext()
    with shown as show:
        receivers = config.callbacks if show is None else (show, *config.callbacks)
        with _running(dataset, config, fingerprint, receivers) as session:
            yield session


@contextmanager
def recording(config: Config, fingerprint: dict[str, str]) -> Iterator[Records]:
    """Open the records of a fit that makes no passes.

    Parameters
    ----------
    config : Config
    fingerprint : dict of str to str
        Of the estimator and the data.
    """

    checkpoint, trouble = _open_checkpoint(config, fingerprint)
    records = Records(checkpoint, partial(_tell, config.callbacks))
    try:
        if trouble:
            records.report(trouble)
        yield records
        records.save(force=True)
    except BaseException as error:
        _keep_what_is_done(records, checkpoint, error)
        raise


@contextmanager
def _running(
    dataset: Dataset,
    config: Config,
    fingerprint: dict[str, str],
    receivers: Sequence[Callable[[Event], None]],
) -> Iterator[Training]:
    emit = partial(_tell, receivers)
    data: dict[str, str] = {}
    if config.checkpoint is not None:
        shape, identity = str(dataset.shape), dataset.identify()
        data = {"data": identity, "shape": shape, "kind": dataset.kind}
    checkpoint, trouble = _open_checkpoint(config, fingerprint | data)
    started = time.perf_counter()
    runtime = open_runtime(dataset, config)
    session = Training(runtime, checkpoint, emit)
    try:
        emit(FitStarted(fingerprint["estimator"], dataset, runtime.placement))
        if trouble:
            session.report(trouble)
        yield session
        seconds = time.perf_counter() - started
        emit(FitCompleted(fingerprint["estimator"], session.n_passes, seconds))
    except BaseException as error:
        _keep_what_is_done(session, checkpoint, error)
        raise
    finally:
        runtime.close()


def _tell(receivers: Sequence[Callable[[Event], None]], event: Event) -> None:
    for receive in receivers:
        receive(event)


def _keep_what_is_done(session: Records, checkpoint: Checkpoint, error: BaseException) -> None:
    """Save what a fit that was stopped has come to, and say where it is."""
    session.save(force=True)
    path = checkpoint.path
    if path is not None and path.exists():
        error.add_note(f"checkpoint: {path} (resume=True goes on from it)")


def _open_checkpoint(config: Config, fingerprint: dict[str, str]) -> tuple[Checkpoint, str]:
    """Return the checkpoint, and what was wrong with its newest file, if anything."""
    if config.checkpoint is None:
        return Checkpoint(None, {}), ""
    checkpoint = Checkpoint(config.checkpoint, fingerprint, config.checkpoint_seconds)
    checkpoint.prepare()
    return checkpoint, checkpoint.resume() if config.resume else ""
