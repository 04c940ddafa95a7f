"""Measuring a fit from outside: how much memory it took at its peak."""

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from distributed import Client  # asks the cluster that connection.py opens for its memory

from flowml.runtimes.machine import resident_memory

Sample = dict[str, int]
"""Resident bytes by process."""


class MemoryMeter:
    """Samples resident memory on a thread, over what the processes held at the start.

    Parameters
    ----------
    client : distributed.Client or None
        Measures its workers (which report twice a second); None measures this process.

    Attributes
    ----------
    peak : int
        Bytes of the process that grew most.
    """

    def __init__(self, client: Client | None) -> None:
        self.peak = 0
        self._read: Callable[[], Sample] = _here if client is None else lambda: _workers(client)
        self._seconds = 0.02 if client is None else 0.5
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flowml-meter", daemon=True)
        self._before: Sample = {}

    def __enter__(self) -> "MemoryMeter":
        self._before = self._read()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        with suppress(OSError):  # the cluster went away: the fit itself says so
            while not self._stop.wait(self._seconds):
                self._note()
            self._note()

    def _note(self) -> None:
        now = self._read()
        grown = [size - self._before.get(process, 0) for process, size in now.items()]
        self.peak = max(self.peak, *grown, 0)


def _here() -> Sample:
    return {"": resident_memory()}


def _workers(client: Client) -> Sample:
    info = client.scheduler_info(n_workers=-1)["workers"]
    return {address: facts["metrics"]["memory"] for address, facts in info.items()}
