"""What is opened once and lent from fit to fit, until the block that it belongs to ends."""

from collections.abc import Callable, Hashable
from threading import Lock
from types import TracebackType
from typing import Any, Protocol, TypeVar


class Closeable(Protocol):
    """Something that holds on to something."""

    def close(self) -> None:
        """Let go of it."""


Lent = TypeVar("Lent", bound=Closeable)


class Pool:
    """Lends each thing to one borrower at a time, and closes what it has in the end.

    Examples
    --------
    >>> from io import StringIO
    >>> with Pool() as pool:
    ...     first = pool.borrow("text", StringIO)
    ...     pool.give_back("text", first)
    ...     again = pool.borrow("text", StringIO)
    ...     pool.give_back("text", again)
    >>> again is first, first.closed
    (True, True)
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: dict[Hashable, list[Any]] = {}
        self._closed = False

    def borrow(self, kind: Hashable, make: Callable[[], Lent]) -> Lent:
        """Return one of a kind that nobody else has, made now if there is none."""
        with self._lock:
            idle = self._idle.get(kind)
            if idle:
                found: Lent = idle.pop()
                return found
        return make()

    def give_back(self, kind: Hashable, thing: Closeable) -> None:
        """Take back what was lent; a broken one is closed by its borrower instead."""
        with self._lock:
            if not self._closed:
                self._idle.setdefault(kind, []).append(thing)
                return
        thing.close()

    def has(self, kind: Hashable) -> bool:
        """Tell whether there is an idle one of a kind."""
        with self._lock:
            return bool(self._idle.get(kind))

    def discard(self, kind: Hashable) -> None:
        """Close what is idle of a kind."""
        with self._lock:
            idle = self._idle.pop(kind, [])
        for thing in idle:
            thing.close()

    def close(self) -> None:
        """Close all that is idle; the rest is closed when it is given back."""
        with self._lock:
            self._closed = True
            idle = [thing for things in self._idle.values() for thing in things]
            self._idle = {}
        for thing in idle:
            thing.close()

    def __enter__(self) -> "Pool":
        """Return the pool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
