"""BLAS at one thread while kernels run: the parallelism is over leaves, where it scales."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController


class OneThread:
    """Holds BLAS libraries to one thread for as long as anyone needs it.

    Passes of several fits overlap in one process: the first to come sets the limit, the last to
    go puts back what it found.

    Parameters
    ----------
    libraries : list of threadpoolctl.LibController
    """

    def __init__(self, libraries: list[Any]) -> None:
        self._libraries = libraries
        self._lock = Lock()
        self._holders = 0
        self._found: list[int] = []

    def hold(self) -> None:
        """Set the limit, or join those who have."""
        with self._lock:
            if self._holders == 0:
                self._found = [library.get_num_threads() for library in self._libraries]
                self._set([1] * len(self._found))
            self._holders += 1

    def let_go(self) -> None:
        """Leave; the last one puts the numbers of threads back."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._set(self._found)

    def _set(self, numbers: list[int]) -> None:
        for library, number in zip(self._libraries, numbers, strict=True):
            library.set_num_threads(number)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread within a ``with`` block.

    Costs a few microseconds, where threadpoolctl's own limit takes stock of all libraries again.
    """
    limit = _limit()
    limit.hold()
    try:
        yield
    finally:
        limit.let_go()


@cache
def _limit() -> OneThread:
    return OneThread(ThreadpoolController().select(user_api="blas").lib_controllers)
