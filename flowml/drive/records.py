"""What is kept of a fit as it goes: results, a checkpoint of them, and word of what happens."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from flowml.drive.checkpoint import Checkpoint
from flowml.drive.events import CheckpointWritten, Event, Incident, PassCompleted


class Errands(NamedTuple):
    """Results that take no pass over the shards, such as fits of other libraries' estimators.

    Attributes
    ----------
    stage : str
        Their name within the fit; where a later one has the same, it is numbered.
    n_results : int
        How many there are.
    run : callable ``(numbers, done) -> None``
        Gets the results of some numbers, and calls ``done(number, result)`` as each is there.
    kept : bool
        Whether results are states, which a checkpoint can hold.
    """

    stage: str
    n_results: int
    run: Callable[[Sequence[int], Callable[[int, Any], None]], None]
    kept: bool


class Records:
    """The records of one fit.

    Parameters
    ----------
    checkpoint : Checkpoint
    emit : callable
        Called with every event.
    """

    def __init__(self, checkpoint: Checkpoint, emit: Callable[[Event], None]) -> None:
        self.n_passes = 0
        self._checkpoint = checkpoint
        self._emit = emit

    @property
    def history(self) -> tuple[PassCompleted, ...]:
        """Every pass of the fit, those before a resume included."""
        return tuple(self._checkpoint.progression.history)

    def settle(self, stage: str, errands: Errands) -> list[Any]:
        """Return the results of errands: the checkpoint's, and those that it lacks.

        Parameters
        ----------
        stage : str
            Their name within the fit: unique, it finds the results again on resume.
        errands : Errands
        """
        names = [f"{stage}: {number}" for number in range(errands.n_results)]
        kept = self._checkpoint.progression.stages
        found = {n: kept[name].state for n, name in enumerate(names) if name in kept}

        def done(number: int, result: Any) -> None:
            found[number] = result
            if errands.kept:
                self._checkpoint.keep(names[number], result, self.n_passes)
                self.save()

        errands.run([number for number in range(errands.n_results) if number not in found], done)
        return [found[number] for number in range(errands.n_results)]

    def save(self, force: bool = False) -> bool:
        """Write the checkpoint if there is one and it is time; tell whether it was written.

        A full disk is no reason to lose the fit: it goes on, with a warning.
        """
        try:
            written = self._checkpoint.save(force)
        except OSError as error:
            self.report(
                f"checkpoint {self._checkpoint.path} can't be written ({error}); the one before it "
                "stays, and the fit goes on"
            )
            return False
        if written:
            self._emit(CheckpointWritten(str(self._checkpoint.path), self.n_passes))
        return written

    def report(self, what: str) -> None:
        """Tell of something that the user should see to: an event, and a warning."""
        self._emit(Incident(what, self.n_passes))
        warnings.warn(what, stacklevel=2)
