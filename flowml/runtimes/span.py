"""Who worked on a pass, and when: what timelines are drawn of."""

import threading
import time
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from distributed import get_worker


class Span(NamedTuple):
    """Work on the rows of a pass without a break.

    Attributes
    ----------
    place : str
        The address of the worker, or the name of the thread in this process.
    start, end : float
        Seconds since 1970 by the clock of that place.
    """

    place: str
    start: float
    end: float


Spans: TypeAlias = tuple[Span, ...]


def here() -> str:
    """Name the place that this is called at: within a task or an actor, the worker's address."""
    try:
        return str(get_worker().address)
    except ValueError:
        return threading.current_thread().name


def since(start: float) -> Span:
    """Return what has been done here since a time."""
    return Span(here(), start, time.time())


def by_place(spans: Iterable[Span]) -> Spans:
    """Join what each place did one after the other.

    Examples
    --------
    >>> by_place([Span("a", 0, 1), Span("b", 0, 3), Span("a", 1, 2)])
    (Span(place='a', start=0, end=2), Span(place='b', start=0, end=3))
    """
    joined: dict[str, Span] = {}
    for span in spans:
        one = joined.get(span.place, span)
        start, end = min(one.start, span.start), max(one.end, span.end)
        joined[span.place] = Span(span.place, start, end)
    return tuple(joined.values())
