"""Progress for a person: a bar on a terminal, plain lines every few seconds elsewhere."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from flowml.drive.events import (
    Event,
    FitCompleted,
    FitStarted,
    Incident,
    PassCompleted,
    StageStarted,
)

SECONDS_BETWEEN_LINES = 3.0
Receiver: TypeAlias = Callable[[Event], None]


@contextmanager
def progress(console: Console | None = None) -> Iterator[Receiver]:
    """Show the progress of a fit on standard error for the length of a ``with`` block.

    Parameters
    ----------
    console : rich.console.Console, optional

    Yields
    ------
    callable
        To be called with every event of the fit.
    """
    console = Console(stderr=True) if console is None else console
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}")
    with Progress(*columns, console=console) as bar:
        yield Bar(bar)


class Meter:
    """What a person wants to know in the midst of a fit, gathered from its events."""

    def __init__(self) -> None:
        self.estimator = ""
        self.stage = ""
        self.max_passes = 0
        self.passes = 0
        self.seconds = 0.0

    def note(self, event: Event) -> None:
        """Take an event in."""
        match event:
            case FitStarted():
                self.estimator = event.estimator
            case StageStarted():
                self.stage, self.max_passes = event.stage, event.max_passes
                self.passes, self.seconds = 0, 0.0
            case PassCompleted():
                self.passes += 1
                self.seconds += event.seconds

    def describe(self, event: PassCompleted) -> str:
        """Return pass number, objective, rows per second and estimated end in one line."""
        parts = [f"pass {event.number}", f"{self.passes} of at most {self.max_passes}"]
        if not math.isnan(event.objective):
            parts.append(f"objective {event.objective:.6g}")
        if event.rows >= 0:
            parts.append(f"{short(event.rows / max(event.seconds, 1e-9))} rows/s")
        left = (self.max_passes - self.passes) * self.seconds / max(self.passes, 1)
        if left > 0:
            parts.append(f"at most {duration(left)} left")
        return ", ".join(parts)


class Bar:
    """Receives events and moves a bar, one for each stage.

    Parameters
    ----------
    progress : rich.progress.Progress
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._meter = Meter()
        self._task = progress.add_task("", total=None, status="reading the data")

    def __call__(self, event: Event) -> None:
        """Show an event."""
        meter = self._meter
        meter.note(event)
        name = f"{meter.estimator} {meter.stage}"
        match event:
            case StageStarted():
                self._progress.reset(self._task, total=event.max_passes, description=name)
            case PassCompleted():
                status = meter.describe(event)
                self._progress.update(self._task, completed=meter.passes, status=status)
            case Incident():
                self._progress.print(event.what, markup=False)
            case FitCompleted():
                self._progress.update(
                    self._task, total=1, completed=1, description=meter.estimator, status=end(event)
                )


class Lines:
    """Receives events and writes a line every few seconds.

    Parameters
    ----------
    console : rich.console.Console
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._meter = Meter()
        self._written_at = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Write a line if it is time."""
        meter = self._meter
        meter.note(event)
        if isinstance(event, FitCompleted):
            self._write(f"{event.estimator}: {end(event)}")
        elif isinstance(event, Incident):
            self._write(f"{meter.estimator} {meter.stage}: {event.what}")
        elif isinstance(event, PassCompleted) and self._is_time():
            self._write(f"{meter.estimator} {meter.stage}: {meter.describe(event)}")

    def _is_time(self) -> bool:
        return time.monotonic() - self._written_at >= SECONDS_BETWEEN_LINES

    def _write(self, line: str) -> None:
        self._written_at = time.monotonic()
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def end(event: FitCompleted) -> str:
    """Describe the end of a fit."""
    passes = "1 pass" if event.n_passes == 1 else f"{event.n_passes} passes"
    return f"{passes} in {duration(event.seconds)}"


def short(count: float) -> str:
    """Write a number with three digits and a unit.

    Examples
    --------
    >>> short(12_345_678)
    '12.3M'
    """
    for unit in ("", "k", "M"):
        if count < 1000:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g}G"


def duration(seconds: float) -> str:
    """Write a time for a person.

    Examples
    --------
    >>> duration(3.21), duration(75), duration(7320)
    ('3.2 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s"
    return f"{minutes // 60} h {minutes % 60} min"
