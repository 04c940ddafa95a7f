"""A fit from start to end: open the runtime, drive, tell what happens, and let go of everything."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.drive.checkpoint import Checkpoint
from flowml.drive.events import Event, FitCompleted, FitStarted
from flowml.drive.training import Training
from flowml.runtimes.choose import open_runtime


@contextmanager
def training(
    dataset: Dataset,
    config: Config,
    fingerprint: dict[str, str],
    listeners: tuple[Callable[[Event], None], ...] = (),
) -> Iterator[Training]:
    """Open a training session on a dataset.

    Parameters
    ----------
    dataset : Dataset
    config : Config
    fingerprint : dict of str to str
        The estimator's share; ``"estimator"`` is its name.
    listeners : tuple of callables
        Called with every event, before the config's callbacks.
    """
    receivers = (*listeners, *config.callbacks)

    def emit(event: Event) -> None:
        for receive in receivers:
            receive(event)

    checkpoint = _open_checkpoint(dataset, config, fingerprint)
    started = time.perf_counter()
    runtime = open_runtime(dataset, config)
    try:
        emit(FitStarted(fingerprint["estimator"], dataset, runtime.placement))
        session = Training(runtime, checkpoint, emit)
        yield session
        seconds = time.perf_counter() - started
        emit(FitCompleted(fingerprint["estimator"], session.n_passes, seconds))
    finally:
        runtime.close()


def _open_checkpoint(dataset: Dataset, config: Config, fingerprint: dict[str, str]) -> Checkpoint:
    if config.checkpoint is None:
        return Checkpoint(None, {})
    data = {"data": dataset.identify(), "shape": str(dataset.shape), "kind": dataset.kind}
    checkpoint = Checkpoint(config.checkpoint, fingerprint | data, config.checkpoint_seconds)
    if config.resume:
        checkpoint.resume()
    return checkpoint
