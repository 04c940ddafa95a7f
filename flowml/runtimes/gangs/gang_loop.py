"""A loop that runs on the members of a gang, as the client sees it."""

from collections.abc import Iterator
from typing import Protocol

from flowml.runtimes.runtime import Advance
from flowml.solvers.solver import State


class FailedError(Exception):
    """What the members ran has raised an error, the cluster being well.

    Parameters
    ----------
    error : Exception
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class GangLoop(Protocol):
    """A solver's loop, begun on a gang."""

    @property
    def state(self) -> State:
        """The last one known."""

    def advances(self) -> Iterator[Advance]:
        """Tell how far the loop is every now and then, until it ends.

        Raises
        ------
        FailedError
            If the solver or a kernel raises an error.
        MemberLostError, TimeoutError
            If a worker is gone.
        """

    def stop(self) -> None:
        """Have the members stop, soon, unless they have."""

    def has_ended(self) -> bool:
        """Tell whether no member runs any more, or soon none will: they can be used again."""
